// SPDX-License-Identifier: Apache-2.0
// Which side reads. What a client wrote through any facade it must read: while the legacy owns, a
// read for the new side is put to the legacy first, whose changelog tells whether something that it
// looks at has not arrived there (tail.h).
//
// During a switch of owner the table says who owned before, and the stores know more: one of them
// may have been opened, and written, while the step that tells the facades is late (its coordinator
// died, say). A read that has waited as long as it may is then decided by what the legacy says:
//
//   its fence is open                  it owns: it answers
//   sealed, nothing is to arrive       the new side has all, and is the only one that may be open
//   sealed, something has not arrived  new is not open yet, or this process has not heard of its
//                                      arrival: asked again, in the end answered busy
//
// Only where there is no legacy to ask by ODBC does the table decide. Thread: the loop's.
#include "base/clock.h"
#include "facade/dispatch_int.h"
#include "facade/http/http.h"
#include "facade/server/explain.h"

#define GUARD_MS 1000 // longest that a read waits for the legacy's answer

enum guard dispatch_guard(struct dispatcher *p, struct dispatch *d)
{
    enum result_status s = d->execution.result.status;
    bool unknown = s == RESULT_UNAVAILABLE || s == RESULT_TIMEOUT || s == RESULT_BUSY;
    if (d->execution.switching && (unknown || s == RESULT_FENCED))
        return GUARD_UNDECIDED;
    if (s == RESULT_CURRENT)
        return GUARD_NEW;
    if (unknown) { // what this process knows (pins.h) was enough to come here
        metric_add(p->unguarded_total, 1);
        return GUARD_NEW;
    }
    metric_add(p->kept_total, 1);
    if (!d->execution.switching)
        d->why = WHY_PENDING;
    return GUARD_ANSWERED;
}

static void execute_guarded(struct dispatcher *p, struct dispatch *d, bool switching)
{
    uint64_t latest = clock_mono_ns() + GUARD_MS * 1000000ull;
    d->execution = (struct execution){
        .operation = d->operation,
        .route = d->route,
        .side = SIDE_LEGACY,
        .guarded = true,
        .switching = switching,
        .after = pins_arrived(p->o.pins, d->route, d->operation),
        .deadline_ns = d->deadline_ns && d->deadline_ns < latest ? d->deadline_ns : latest,
        .done = dispatch_executed,
        .result = {.total = -1}};
    d->asked_ns = clock_mono_ns();
    backend_execute(p->o.backends[BACKEND_ODBC], &d->execution);
}

// The legacy owns what is read, and clients write it through here: what they wrote may not have
// arrived on the new side. What belongs to no group is the legacy's always.
static bool may_lag(const struct dispatch *d)
{
    const struct group *g = d->route ? d->route->group : NULL;
    if (!d->route)
        return false;
    return g ? g->owner == SIDE_LEGACY
             : route_for(d->table, d->route->entity, ROUTE_WRITES) != NULL;
}

static enum side read_side(struct dispatcher *p, struct dispatch *d)
{
    const struct operation *op = d->operation;
    const struct route *r = d->route;
    struct str key = {NULL, 0};
    enum side asked;
    if (op->kind == OPERATION_GET && op->query.key)
        key = entity_key_text(op->query.key, op->entity->nkeys, op->arena);
    enum side s = route_choose_read(r, key, &d->why);
    if (key.len || d->why == WHY_BUCKET)
        d->bucket = (int)route_bucket(r, key);
    if (d->why == WHY_OWNER)
        return s;
    if (op->before_write && may_lag(d)) {
        d->why = WHY_BEFORE;
        return SIDE_LEGACY;
    }
    if (d->exchange && explain_asked_side(d, &asked)) {
        d->why = WHY_ASKED;
        s = asked;
    }
    if (s == SIDE_NEW && p->o.pins && may_lag(d) && pins_hold(p->o.pins, r, op)) {
        d->why = WHY_PENDING;
        return SIDE_LEGACY;
    }
    return s;
}

static bool has_legacy_to_ask(const struct dispatcher *p, const struct dispatch *d)
{
    return p->o.pins && !p->o.service && d->route->backend[SIDE_LEGACY] == BACKEND_ODBC &&
           p->o.backends[BACKEND_ODBC];
}

void dispatch_read(struct dispatcher *p, struct dispatch *d)
{
    d->why = WHY_SERVICE;
    enum side s = p->o.service ? SIDE_NEW : read_side(p, d);
    if (s == SIDE_NEW && has_legacy_to_ask(p, d) && may_lag(d)) {
        if (entity_has_changelog(d->operation->entity)) {
            execute_guarded(p, d, false);
            return;
        }
        metric_add(p->unguarded_total, 1); // no changelog to ask
    }
    dispatch_execute(p, d, s);
}

void dispatch_read_held(struct dispatcher *p, struct dispatch *d)
{
    const struct group *g = d->route ? d->route->group : NULL;
    if (!g || !g->holding || !has_legacy_to_ask(p, d) ||
        !entity_has_changelog(d->operation->entity)) {
        dispatch_read(p, d);
        return;
    }
    d->why = WHY_OWNER;
    execute_guarded(p, d, true);
}
