// SPDX-License-Identifier: Apache-2.0
// Operations on the new store. A read is one pipeline, and a second one for expansions. A
// write is one transaction in one pipeline; an update with more than its root's statement
// first asks whether the root is there, so that nothing is left behind for a row that is not.
//
//   read:   SELECTING -> EXPANDING -> done
//   write:  [LOOKING | GUARDING ->] WRITING -> [SETTLING ->] done
//
// A write at a version (operation.match) reads the record with its row mark, compares, and
// writes in a transaction whose first statement fails unless the row still has that mark.
//
// Everything lives in the request's arena: the pool never touches a job after its done.
#include "facade/backend/postgres_backend.h"

#include "base/clock.h"
#include "facade/backend/plan.h"

#include <stddef.h>
#include <stdlib.h>

#define SETTLE_TRIES     30
#define SETTLE_US        100000
#define SETTLE_ONE_NS    1000000000ull
#define DIVISION_BY_ZERO "22012" // how query_assert fails

enum phase { SELECTING, EXPANDING, LOOKING, GUARDING, WRITING, SETTLING };

struct postgres_backend {
    struct backend base;
    struct pg_pool *pool;
    struct loop *loop;
};

struct work {
    struct pg_job job; // first: the pool's pointer is ours
    struct postgres_backend *backend;
    struct execution *execution;
    struct plan plan;
    enum phase phase;
    struct sql assertion;   // of a write at a version; text.len 0: none
    size_t first_statement; // of the plan, among the calls of the write
    char xid[24];           // of the write being settled
    unsigned settling;      // how often it was asked for
};

static void finish(struct work *w, const struct err *e)
{
    struct execution *x = w->execution;
    if (e)
        result_error(&x->result, e);
    x->result.key = w->plan.op.write.key;
    x->result.served_by = SIDE_NEW;
    x->done(x);
}

static int settle_later(struct work *w, struct err *e);

static void submit(struct work *w, enum phase phase, struct pg_call *calls, size_t n)
{
    struct err e = {0};
    void (*done)(struct pg_job *) = w->job.done;
    w->phase = phase;
    w->job = (struct pg_job){.calls = calls,
                             .ncalls = n,
                             .transaction = phase == WRITING,
                             .want_xid = phase == WRITING, // to settle a lost commit by
                             .arena = w->plan.arena,
                             .deadline_ns = w->execution->deadline_ns,
                             .done = done};
    if (phase == SETTLING) // the write's own time may be over
        w->job.deadline_ns = clock_mono_ns() + SETTLE_ONE_NS;
    if (pg_pool_submit(w->backend->pool, &w->job, &e) &&
        (phase != SETTLING || settle_later(w, &e) < 0))
        finish(w, &e);
}

static struct pg_call call_of(const struct sql *s)
{
    return (struct pg_call){.sql = s->text, .params = s->params, .nparams = s->nparams};
}

// ---------------------------------------------------------------- reads

static int start_read(struct work *w, struct err *e)
{
    struct pg_call *calls = arena_array(w->plan.arena, 2, sizeof *calls);
    size_t n = 0;
    if (!calls)
        return err_memory(e);
    if (w->plan.has_select)
        calls[n++] = call_of(&w->plan.select);
    if (w->plan.has_count)
        calls[n++] = call_of(&w->plan.count);
    submit(w, SELECTING, calls, n);
    return 0;
}

// 1: a second pipeline is on its way.
static int after_select(struct work *w, struct err *e)
{
    struct result *r = &w->execution->result;
    struct plan *p = &w->plan;
    size_t n, at = 0;
    if (p->has_select && plan_take_rows(p, &w->job.calls[at++].rows, r, e))
        return -1;
    if (p->has_count && plan_take_count(&w->job.calls[at].rows, r, e))
        return -1;
    if (plan_expand(p, r, &n, e))
        return -1;
    if (n == 0)
        return 0;
    struct pg_call *calls = arena_array(p->arena, n, sizeof *calls);
    if (!calls)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        calls[i] = call_of(&p->expansions[i]);
    submit(w, EXPANDING, calls, n);
    return 1;
}

static int after_expand(struct work *w, struct err *e)
{
    for (size_t i = 0; i < w->job.ncalls; i++)
        if (plan_take_expansion(&w->plan, i, &w->job.calls[i].rows, &w->execution->result, e))
            return -1;
    return 0;
}

// ---------------------------------------------------------------- writes

static int start_write(struct work *w, struct err *e)
{
    const struct operation *op = w->execution->operation;
    const struct route *route = w->execution->route;
    struct plan *p = &w->plan;
    struct pg_call *calls = arena_array(p->arena, p->nstatements + 2, sizeof *calls);
    size_t n = 0;
    struct value *marks = arena_array(p->arena, 2, sizeof *marks);
    struct str epoch = arena_printf(p->arena, "%lld", op->epoch);
    if (!calls || !marks || !epoch.data)
        return err_memory(e);
    marks[0] = value_set(route && route->group && op->epoch >= 0 ? epoch : STR(""));
    marks[1] = value_set(str_of(op->write_id));
    calls[n++] = (struct pg_call){.sql = STR("SELECT set_config('ficus.epoch', $1, true),"
                                             " set_config('ficus.write_id', $2, true)"),
                                  .params = marks,
                                  .nparams = 2};
    if (w->assertion.text.len)
        calls[n++] = call_of(&w->assertion);
    w->first_statement = n;
    for (size_t i = 0; i < p->nstatements; i++)
        calls[n++] = call_of(&p->statements[i].sql);
    submit(w, WRITING, calls, n);
    return 0;
}

static int start_look(struct work *w, struct err *e)
{
    const struct operation *op = w->execution->operation;
    struct query q = {
        .entity = op->entity, .key = op->write.key, .deleted = DELETED_ANY, .limit = -1};
    struct pg_call *call = arena_alloc(w->plan.arena, sizeof *call);
    struct sql sql;
    if (!call)
        return err_memory(e);
    if (query_count(&q, SIDE_NEW, &dbms_postgres, w->plan.arena, &sql, e))
        return -1;
    *call = call_of(&sql);
    submit(w, LOOKING, call, 1);
    return 0;
}

static bool finds_root(const struct operation *op)
{
    return op->kind == OPERATION_UPDATE || op->kind == OPERATION_DELETE;
}

static int after_look(struct work *w, struct err *e)
{
    struct result found = {0};
    if (plan_take_count(&w->job.calls[0].rows, &found, e))
        return -1;
    if (found.total == 0)
        return err_set(e, ERR_NOT_FOUND, "%s not found", w->plan.op.entity->name);
    return start_write(w, e) ? -1 : 1;
}

static int start_guard(struct work *w, struct err *e)
{
    struct pg_call *call = arena_alloc(w->plan.arena, sizeof *call);
    if (!call)
        return err_memory(e);
    *call = call_of(&w->plan.guard);
    submit(w, GUARDING, call, 1);
    return 0;
}

static int after_guard(struct work *w, struct err *e)
{
    const struct rows *rows = &w->job.calls[0].rows;
    const struct plan *p = &w->plan;
    if (plan_check_guard(p, rows, e))
        return -1;
    if (rows->ncols != p->nguard_fields + 1)
        return err_set(e, ERR_SCHEMA, "%s: no row mark", p->op.entity->name);
    struct str mark = value_str(*rows_at(rows, 0, p->nguard_fields));
    if (query_assert(p->op.entity, p->op.write.key, mark, SIDE_NEW, &dbms_postgres, p->arena,
                     &w->assertion, e))
        return -1;
    return start_write(w, e) ? -1 : 1;
}

static int after_write(struct work *w, struct err *e)
{
    struct plan *p = &w->plan;
    for (size_t i = 0; i < p->nstatements; i++) {
        long long changed = w->job.calls[w->first_statement + i].rows.changed;
        if (p->statements[i].role != STATEMENT_ROOT)
            continue;
        if (finds_root(&p->op) && changed == 0)
            return err_set(e, ERR_NOT_FOUND, "%s not found", p->op.entity->name);
        w->execution->result.changed += changed > 0 ? changed : 0;
    }
    return 0;
}

// The commit was not answered: PostgreSQL keeps the fate of a transaction by its id. The
// connection that would tell may break as well, and a transaction whose client is gone takes a
// moment to end: so it is asked again, for a while. What never answers stays unknown.
static int ask_fate(struct work *w, struct err *e)
{
    struct pg_call *call = arena_alloc(w->plan.arena, sizeof *call);
    struct value *id = arena_alloc(w->plan.arena, sizeof *id);
    if (!call || !id)
        return err_memory(e);
    *id = value_set(str_of(w->xid));
    *call = (struct pg_call){
        .sql = STR("SELECT pg_xact_status($1::xid8)"), .params = id, .nparams = 1};
    submit(w, SETTLING, call, 1);
    return 1;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
    struct work *w = arg;
    struct err e = {0};
    (void)fd;
    (void)what;
    if (ask_fate(w, &e) < 0)
        finish(w, &e);
}

// 1: asked again in a moment.
static int settle_later(struct work *w, struct err *e)
{
    struct timeval moment = {0, SETTLE_US};
    if (w->settling++ < SETTLE_TRIES &&
        event_base_once(loop_base(w->backend->loop), -1, EV_TIMEOUT, on_again, w, &moment) == 0)
        return 1;
    return err_set(e, ERR_UNKNOWN_OUTCOME, "the new store did not answer a commit");
}

static int after_settle(struct work *w, struct err *e)
{
    const struct rows *r = &w->job.calls[0].rows;
    struct str status = r->nrows == 1 ? value_str(r->cells[0]) : STR("");
    if (str_eqz(status, "committed")) {
        w->execution->result.changed = 1;
        return 0;
    }
    if (str_eqz(status, "aborted"))
        return err_set(e, ERR_UNREACHABLE, "the write was rolled back with its connection");
    return settle_later(w, e);
}

static int after_failure(struct work *w, struct err *e)
{
    const struct pg_job *job = &w->job;
    if (w->phase == SETTLING && job->err.code != ERR_CANCELLED)
        return settle_later(w, e);
    if (w->phase == SETTLING)
        return err_set(e, ERR_UNKNOWN_OUTCOME, "the facade is stopping while a commit is open");
    if (w->phase == WRITING && job->err.code == ERR_UNKNOWN_OUTCOME && job->xid[0]) {
        memcpy(w->xid, job->xid, sizeof w->xid);
        return ask_fate(w, e);
    }
    if (w->phase == WRITING && w->assertion.text.len && job->failed == 1 &&
        strcmp(job->err.sqlstate, DIVISION_BY_ZERO) == 0)
        return err_set(e, ERR_STALE, "%s has been changed", w->plan.op.entity->name);
    *e = job->err;
    return -1;
}

// ---------------------------------------------------------------- the phases

static void on_job(struct pg_job *job)
{
    struct work *w = (struct work *)job;
    struct err e = {0};
    int next = -1;
    if (job->err.code != ERR_NONE) {
        next = after_failure(w, &e);
    } else {
        switch (w->phase) {
        case SELECTING: next = after_select(w, &e); break;
        case EXPANDING: next = after_expand(w, &e); break;
        case LOOKING: next = after_look(w, &e); break;
        case GUARDING: next = after_guard(w, &e); break;
        case WRITING: next = after_write(w, &e); break;
        case SETTLING: next = after_settle(w, &e); break;
        }
    }
    if (next <= 0)
        finish(w, next < 0 ? &e : NULL);
}

static void execute(struct backend *base, struct execution *x)
{
    struct postgres_backend *b = (struct postgres_backend *)base;
    const struct operation *op = x->operation;
    struct work *w = arena_alloc(op->arena, sizeof *w);
    struct err e = {0};
    x->result = (struct result){.total = -1};
    if (!w) {
        err_memory(&e);
        result_error(&x->result, &e);
        x->result.served_by = SIDE_NEW;
        x->done(x);
        return;
    }
    w->backend = b;
    w->execution = x;
    w->job.done = on_job;
    int failed = plan_make(&w->plan, op, SIDE_NEW, &dbms_postgres, op->arena, &e);
    if (!failed && operation_is_read(op->kind))
        failed = start_read(w, &e);
    else if (!failed && op->nmatch && finds_root(op))
        failed = start_guard(w, &e);
    else if (!failed && finds_root(op) && w->plan.nstatements > 1)
        failed = start_look(w, &e);
    else if (!failed)
        failed = start_write(w, &e);
    if (failed)
        finish(w, &e);
}

static bool healthy(const struct backend *base)
{
    struct pg_pool_stats s;
    pg_pool_stats(((const struct postgres_backend *)base)->pool, &s);
    return s.connections > 0;
}

static void destroy(struct backend *base)
{
    free((struct postgres_backend *)base);
}

struct backend *postgres_backend_create(struct pg_pool *pool, struct loop *loop, struct err *e)
{
    static const struct backend_ops ops = {"postgres", execute, healthy, destroy, NULL};
    struct postgres_backend *b = calloc(1, sizeof *b);
    if (!b) {
        err_memory(e);
        return NULL;
    }
    b->base.ops = &ops;
    b->pool = pool;
    b->loop = loop;
    return &b->base;
}
