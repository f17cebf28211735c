// SPDX-License-Identifier: Apache-2.0
// Takes an operation to the side that must answer it.
//
//   reads    owner new: new. Otherwise the ladder: legacy | shadow (legacy, then compare) |
//            canary by key | new; with the owner while a change has not arrived (pins.h,
//            dispatch_read.c), and whenever a write follows from the read. During a switch
//            they wait too: another facade may have the new owner's table already
//   writes   the owner of the entity's group, under its epoch
//
//            +------------- newer table -------------+
//            v                                       |
//   run -> CHOOSING -> EXECUTING --fenced--> HELD ---+--> busy (bound of time or number)
//            |  ^          |                  ^
//            |  +----------+ done             |
//            +---- group is holding ----------+
//
// At a bound a held write is answered busy; a held read asks the stores who is open.
// A fenced write did nothing: the store refused it inside its transaction. It waits in the
// same queue as the writes that arrive during a switch and is tried again by a newer table.
// Thread: the loop's, all of it.
#include "facade/dispatch_int.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "facade/evidence/shadow.h"
#include "facade/http/http.h"
#include "facade/policy/access.h"
#include "facade/server/explain.h"
#include "facade/server/request_stats.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define ATTEMPTS_MAX 50
#define TICK_US      10000
#define READ_HOLD_MS 1000 // a read that waited so long for a switch of owner asks who is open
#define AGAIN_MS     100  // and asks again, while nobody can tell

static const struct log_ctx log_ctx = {"dispatch", NULL, NULL};

static void choose(struct dispatcher *p, struct dispatch *d);
static void release(struct dispatcher *p, struct dispatch *d);
static void ended(struct dispatch *d);

// ---------------------------------------------------------------- ending

// A queue and not a call, since a write may end before it returns, and the next one too.
static void go_on(struct dispatcher *p, struct dispatch *d)
{
    d->next_held = NULL;
    *p->ready_last = d;
    p->ready_last = &d->next_held;
    if (p->going_on)
        return;
    p->going_on = true;
    while ((d = p->ready)) {
        p->ready = d->next_held;
        if (!p->ready)
            p->ready_last = &p->ready;
        release(p, d);
    }
    p->going_on = false;
}

static void end(struct dispatcher *p, struct dispatch *d)
{
    const struct operation *op = d->operation;
    struct route_table *table = d->table;
    uint64_t took = clock_mono_ns() - d->started_ns;
    request_stats_note(p->stats, d->route, &d->result, took);
    tally_note(p->tally, d->route, op, &d->result, took);
    if (d->exchange)
        explain_note(d, request_stats_name(p->stats, d->route), took);
    if (d->result.status == RESULT_TIMEOUT && !operation_is_read(op->kind))
        log_warn(&log_ctx, "%s of %s, write id %s: the outcome is not known: %s",
                 operation_name(op->kind), op->entity->name, op->write_id, d->result.err.msg);
    if (p->o.pins && d->result.status == RESULT_OK && d->result.served_by == SIDE_LEGACY &&
        !operation_is_read(op->kind))
        pins_note(p->o.pins, op, d->result.through);
    if (p->o.shadow && d->route &&
        (d->route->stage == STAGE_SHADOW || d->route->stage == STAGE_CANARY) &&
        operation_is_read(op->kind) && d->result.served_by == SIDE_LEGACY)
        shadow_compare(p->o.shadow, d->route, table, op, &d->result);
    if (d->hole)
        access_note(p->access, d);
    if (p->access && d->result.status == RESULT_OK && !operation_is_read(op->kind))
        access_changed(p->access, op);
    if (p->access && !p->closed && access_inherits(p->access, d))
        access_inherit(p->access, d, ended);
    else
        ended(d);
}

static void ended(struct dispatch *d)
{
    struct dispatcher *p = d->dispatcher;
    struct route_table *table = d->table;
    struct dispatch *next = held_ended(&p->held, d);
    d->done(d); // `d` may be gone after this
    route_table_unref(table);
    if (next)
        go_on(p, next);
}

static void fail(struct dispatcher *p, struct dispatch *d, enum result_status s, const char *why)
{
    d->result = (struct result){.status = s, .total = -1};
    err_set(&d->result.err,
            s == RESULT_BUSY     ? ERR_BUSY
            : s == RESULT_DENIED ? ERR_DENIED
                                 : ERR_UNSUPPORTED,
            "%s", why);
    end(p, d);
}

// ---------------------------------------------------------------- holding

static void hold(struct dispatcher *p, struct dispatch *d)
{
    struct dispatch *behind = held_unrelease(&p->held, d), *next;
    if (!held_add(&p->held, d)) {
        metric_add(p->held_refused, 1);
        for (; behind; behind = next) {
            next = behind->next_held;
            fail(p, behind, RESULT_BUSY, "too many writes wait for a switch of owner");
        }
        fail(p, d, RESULT_BUSY, "too many writes wait for a switch of owner");
        return;
    }
    metric_add(p->held_total, 1);
    d->held_since_ns = clock_mono_ns();
    unsigned ms = p->o.hold_ms;
    if (operation_is_read(d->operation->kind) && ms > READ_HOLD_MS)
        ms = READ_HOLD_MS;
    if (d->held_until_ns == 0)
        d->held_until_ns = d->held_since_ns + ms * 1000000ull;
    for (; behind; behind = next) {
        next = behind->next_held;
        hold(p, behind);
    }
}

// Waiting for a switch of owner is bounded by hold_ms and leaves the deadline of the work
// itself as it was: a request must not fail because its wait used up its time.
static void give_time_back(struct dispatch *d, uint64_t now)
{
    if (d->deadline_ns)
        d->deadline_ns += now - d->held_since_ns;
    d->held_since_ns = now;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct dispatcher *p = arg;
    uint64_t now = clock_mono_ns();
    struct dispatch *d, *next;
    (void)fd;
    (void)what;
    if (p->dual)
        dual_desk_tick(p->dual, now);
    if (held_count(&p->held) == 0)
        return;
    for (d = held_take(&p->held); d; d = next) {
        next = d->next_held;
        if (now >= d->held_until_ns && operation_is_read(d->operation->kind)) {
            give_time_back(d, now);
            dispatch_read_held(p, d);
            continue;
        }
        if (now >= d->held_until_ns) {
            metric_add(p->held_refused, 1);
            fail(p, d, RESULT_BUSY, "the switch of owner took longer than facade.hold_ms");
            continue;
        }
        held_keep(&p->held, d);
    }
}

// ---------------------------------------------------------------- executing

static void on_dual(struct dual_wait *w)
{
    struct dispatch *d = (struct dispatch *)((char *)w - offsetof(struct dispatch, dual));
    d->upstream_ns += clock_mono_ns() - d->asked_ns;
    if (d->exchange)
        explain_part(d->exchange, "dual", side_name(side_other(d->result.served_by)), true,
                     d->asked_ns);
    end(d->dispatcher, d);
}

// The owner has committed and its answer stands. In a dual group it waits for the other side.
static void acknowledged(struct dispatcher *p, struct dispatch *d)
{
    const struct group *g = d->route ? d->route->group : NULL;
    bool dual = p->dual && !p->closed && g && g->dual && d->result.status == RESULT_OK &&
                !operation_is_read(d->operation->kind);
    if (dual)
        FAILPOINT("dual");
    d->asked_ns = clock_mono_ns();
    d->dual = (struct dual_wait){.done = on_dual};
    if (!dual || !dual_desk_wait(p->dual, &d->dual, g, d->operation, &d->result, d->deadline_ns))
        end(p, d);
}

// By a newer table if there is one: it may have moved on meanwhile. Else it waits for one.
static void try_again(struct dispatcher *p, struct dispatch *d, const char *why)
{
    if (++d->attempts >= ATTEMPTS_MAX) {
        fail(p, d, RESULT_BUSY, why);
        return;
    }
    bool newer = route_table_version(p->table) > route_table_version(d->table);
    route_table_unref(d->table);
    route_table_ref(d->table = p->table);
    if (newer)
        choose(p, d);
    else
        hold(p, d);
}

void dispatch_executed(struct execution *x)
{
    struct dispatch *d = (struct dispatch *)((char *)x - offsetof(struct dispatch, execution));
    struct dispatcher *p = d->dispatcher;
    d->upstream_ns += clock_mono_ns() - d->asked_ns;
    if (d->exchange)
        explain_part(d->exchange, x->guarded ? "guard" : "backend", side_name(x->side), true,
                     d->asked_ns);
    enum guard guard = x->guarded ? dispatch_guard(p, d) : GUARD_ANSWERED;
    if (guard == GUARD_NEW) {
        dispatch_execute(p, d, SIDE_NEW);
    } else if (guard == GUARD_UNDECIDED) {
        d->held_until_ns = clock_mono_ns() + AGAIN_MS * 1000000ull;
        try_again(p, d, "the switch of owner takes long");
    } else if (x->result.status != RESULT_FENCED || p->o.service) {
        d->result = x->result;
        acknowledged(p, d);
    } else {
        metric_add(p->fenced_total, 1);
        try_again(p, d, "the store refused the write again and again (fence)");
    }
}

static void release(struct dispatcher *p, struct dispatch *d)
{
    give_time_back(d, clock_mono_ns());
    route_table_unref(d->table);
    route_table_ref(d->table = p->table);
    choose(p, d);
}

static const struct trace *trace_of(const struct dispatch *d)
{
    return d->exchange ? &http_exchange_request(d->exchange)->trace : NULL;
}

void dispatch_execute(struct dispatcher *p, struct dispatch *d, enum side side)
{
    // A service has no routes; everything else was given one.
    bool own = p->o.service || !d->route;
    struct backend *b = p->o.backends[own ? BACKEND_POSTGRES : d->route->backend[side]];
    d->execution = (struct execution){.operation = d->operation,
                                      .route = d->route,
                                      .side = side,
                                      .trace = trace_of(d),
                                      .deadline_ns = d->deadline_ns,
                                      .done = dispatch_executed,
                                      .result = {.total = -1}};
    if (!b) {
        fail(p, d, RESULT_UNSUPPORTED, "this process has no backend for that side");
        return;
    }
    d->asked_ns = clock_mono_ns();
    backend_execute(b, &d->execution);
}

// Reads take no more than half of the queue: a write that finds no room fails.
static bool must_wait(struct dispatcher *p, const struct dispatch *d)
{
    return !p->o.service && d->route && d->route->group && d->route->group->holding &&
           held_has_room(&p->held);
}

static void choose_write(struct dispatcher *p, struct dispatch *d)
{
    const struct group *g = d->route ? d->route->group : NULL;
    struct operation *op = d->operation;
    struct err e = {0};
    d->why = p->o.service ? WHY_SERVICE : WHY_WRITE;
    if (g && g->holding && !p->o.service) {
        hold(p, d);
        return;
    }
    if (held_follows(&p->held, d, d->held_since_ns != 0)) {
        d->held_since_ns = clock_mono_ns();
        return;
    }
    if (!p->o.service)
        op->epoch = g ? g->epoch : -1;
    if (!op->write_id[0])
        uuid_make(op->write_id);
    if (operation_prepare(op, &e)) {
        d->result = (struct result){.status = RESULT_INVALID, .total = -1, .err = e};
        end(p, d);
        return;
    }
    dispatch_execute(p, d, p->o.service ? SIDE_NEW : g ? g->owner : SIDE_LEGACY);
}

static void retire(struct dispatcher *p, struct dispatch *d)
{
    d->why = WHY_RETIRED;
    d->gone = d->route->retired_gone;
    fail(p, d, RESULT_RETIRED, "this route is retired");
}

static void choose(struct dispatcher *p, struct dispatch *d)
{
    const struct operation *op = d->operation;
    if (p->closed) {
        fail(p, d, RESULT_BUSY, "the facade is stopping");
        return;
    }
    d->route = route_for(d->table, op->entity, operation_route_bit(op->kind));
    if (!operation_is_read(op->kind) && op->entity->read_only)
        fail(p, d, RESULT_DENIED, "this entity is read-only");
    else if (!d->route && !p->o.service)
        fail(p, d, RESULT_UNSUPPORTED, "no route serves this operation");
    else if (!p->o.service && d->route->stage == STAGE_RETIRED)
        retire(p, d);
    else if (!operation_is_read(op->kind))
        choose_write(p, d);
    else if (must_wait(p, d))
        hold(p, d);
    else
        dispatch_read_held(p, d); // an ordinary read, but for one that found no room to wait
}

// ---------------------------------------------------------------- public

// The table may have moved on while the policy asked the stores.
static void on_verdict(struct dispatch *d, enum result_status s, const char *why)
{
    struct dispatcher *p = d->dispatcher;
    if (s != RESULT_OK) {
        fail(p, d, s, why);
        return;
    }
    route_table_unref(d->table);
    route_table_ref(d->table = p->table);
    choose(p, d);
}

void dispatch_run(struct dispatcher *p, struct dispatch *d)
{
    d->dispatcher = p;
    d->attempts = 0;
    d->held_since_ns = d->held_until_ns = 0;
    d->next_held = d->next_released = d->followers = NULL;
    d->key_hash = 0;
    d->route = NULL;
    d->upstream_ns = 0;
    d->bucket = -1;
    d->started_ns = clock_mono_ns();
    d->hidden = false;
    d->hole = 0;
    d->table = p->table;
    route_table_ref(d->table);
    if (p->access && d->operation->access != ACCESS_FACADE)
        access_check(p->access, d, on_verdict);
    else
        choose(p, d);
}

struct access *dispatcher_access(struct dispatcher *p)
{
    return p->access;
}

void dispatcher_set_access(struct dispatcher *p, struct access *a)
{
    p->access = a;
}

struct loop *dispatcher_loop(struct dispatcher *p)
{
    return p->o.loop;
}

const struct route_table *dispatcher_table(struct dispatcher *p)
{
    return p->table;
}

void dispatcher_set_table(struct dispatcher *p, struct route_table *t)
{
    struct route_table *old = p->table;
    struct dispatch *d, *next;
    route_table_ref(t);
    p->table = t;
    route_table_unref(old);
    for (d = held_take(&p->held); d; d = next) {
        next = d->next_held;
        release(p, d);
    }
}

const char *dispatch_label(const struct dispatch *d)
{
    return request_stats_label(d->dispatcher->stats, d->route, d->result.served_by);
}

struct tally *dispatcher_tally(const struct dispatcher *p)
{
    return p->tally;
}

unsigned dispatcher_held(const struct dispatcher *p)
{
    return held_count(&p->held);
}

struct dispatcher *dispatcher_create(const struct dispatcher_options *o, struct err *e)
{
    struct timeval tick = {0, TICK_US};
    struct dispatcher *p = calloc(1, sizeof *p);
    if (!p || !(p->stats = request_stats_create(e)) || !(p->tally = tally_create(e)) ||
        !(p->tick = event_new(loop_base(o->loop), -1, EV_PERSIST, on_tick, p)) ||
        event_add(p->tick, &tick)) {
        if (p && p->tick)
            event_free(p->tick);
        if (p) {
            request_stats_destroy(p->stats);
            tally_destroy(p->tally);
        }
        free(p);
        err_memory(e);
        return NULL;
    }
    if (o->dual && !(p->dual = dual_desk_create(o->dual, o->loop, e))) {
        event_free(p->tick);
        request_stats_destroy(p->stats);
        tally_destroy(p->tally);
        free(p);
        return NULL;
    }
    p->o = *o;
    p->table = o->table;
    route_table_ref(p->table);
    held_init(&p->held, o->budget);
    p->ready_last = &p->ready;
    p->held_total = metrics_counter("ficus_held_requests_total",
                                    "Writes that waited for a switch of owner.", "");
    p->held_refused = metrics_counter("ficus_held_refused_total",
                                      "Held writes answered busy at a bound.", "");
    p->kept_total = metrics_counter("ficus_reads_kept_total",
                                    "Reads for the new side that the owner answered: a change had"
                                    " not arrived there.",
                                    "");
    p->unguarded_total = metrics_counter("ficus_reads_unguarded_total",
                                         "Reads that went to the new side while there was no"
                                         " changelog of the legacy to ask.",
                                         "");
    p->fenced_total = metrics_counter("ficus_fenced_writes_total",
                                      "Writes refused by a fence and tried again.", "");
    return p;
}

void dispatcher_close(struct dispatcher *p)
{
    struct dispatch *d, *next;
    if (!p)
        return;
    p->closed = true;
    p->o.pins = NULL;
    for (d = held_take(&p->held); d; d = next) {
        next = d->next_held;
        fail(p, d, RESULT_BUSY, "the facade is stopping");
    }
    for (d = held_take_followers(&p->held); d; d = next) {
        next = d->next_held;
        fail(p, d, RESULT_BUSY, "the facade is stopping");
    }
    if (p->dual)
        dual_desk_close(p->dual);
}

void dispatcher_destroy(struct dispatcher *p)
{
    if (!p)
        return;
    dispatcher_close(p);
    event_free(p->tick);
    dual_desk_destroy(p->dual);
    route_table_unref(p->table);
    request_stats_destroy(p->stats);
    tally_destroy(p->tally);
    free(p);
}
