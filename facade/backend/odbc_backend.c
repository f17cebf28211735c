// SPDX-License-Identifier: Apache-2.0
// Operations on the legacy database. A job is planned on the loop, run by a worker that has a
// connection of its own, and answered on the loop. The job has its own arena: when the
// deadline answers the client first, the worker goes on with memory that is still there and
// its late result is thrown away. A call that is late is cancelled from a thread of its own
// (the driver may block in that too), its connection is not used again, and a worker that does
// not come back then is replaced, as long as there are spares:
//
//   running -> late (client answered, cancel asked for) -> given up (worker replaced)
//      |          |                                            |
//      +----------+--------------------------------------------+--> done
#include "facade/backend/odbc_backend_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stddef.h>
#include <stdlib.h>

#define JOB_ARENA_MAX (256u << 20)
#define JOB_KEEP      (64u << 10) // memory of a job that waits to be used again
#define SPARE_MAX     64          // such jobs
#define TICK_US       20000
#define GIVE_UP_NS    500000000ull // after the deadline: time for the cancel to help

struct odbc_backend {
    struct backend base;
    struct odbc_workers *workers;
    struct loop *loop;
    struct event *tick;
    struct odbc_job *jobs; // running or queued, of this loop
    struct odbc_job
        *spare;      // with their memory: a worker's malloc is then not freed on the loop, where
    unsigned nspare; // the two would wait for each other
    struct metric *orphans, *cancels;
    struct log_limit stuck_limit;
};

static const struct log_ctx log_ctx = {"odbc", NULL, NULL};

// ---------------------------------------------------------------- on the loop

static void job_unlink(struct odbc_job *j)
{
    if (j->link) {
        *j->link = j->next;
        if (j->next)
            j->next->link = j->link;
    }
    j->link = NULL;
}

static void job_destroy(struct odbc_job *j)
{
    arena_destroy(j->arena);
    free(j);
}

static struct odbc_job *job_take(struct odbc_backend *b)
{
    struct odbc_job *j = b->spare;
    if (j) {
        struct arena *arena = j->arena;
        b->spare = j->next;
        b->nspare--;
        *j = (struct odbc_job){.arena = arena};
        return j;
    }
    if (!(j = calloc(1, sizeof *j)) || !(j->arena = arena_create(JOB_ARENA_MAX))) {
        free(j);
        return NULL;
    }
    arena_keep(j->arena, JOB_KEEP);
    return j;
}

static void job_free(struct odbc_job *j)
{
    struct odbc_backend *b = j->backend;
    job_unlink(j);
    if (!b || b->nspare == SPARE_MAX) {
        job_destroy(j);
        return;
    }
    arena_reset(j->arena);
    j->next = b->spare;
    b->spare = j;
    b->nspare++;
}

static void answer(struct execution *x, enum side side)
{
    x->result.served_by = side;
    x->done(x);
}

static void on_done(struct worker_job *base)
{
    struct odbc_job *j = (struct odbc_job *)base;
    struct execution *x = j->execution;
    struct err e = {0};
    if (x) {
        if (base->cancelled) {
            err_set(&e, ERR_BUSY, "no worker was free in time");
            result_error(&j->result, &e);
        }
        j->result.key = j->plan.op.write.key;
        if (result_copy(x->operation, &j->result, x->operation->arena, &x->result, &e))
            result_error(&x->result, &e);
    }
    job_free(j);
    if (x)
        answer(x, SIDE_LEGACY);
}

static struct odbc_job *job_create(struct odbc_backend *b, struct execution *x, struct err *e)
{
    const struct operation *op = x->operation;
    struct odbc_job *j = job_take(b);
    if (!j) {
        err_memory(e);
        return NULL;
    }
    j->base = (struct worker_job){.run = odbc_run,
                                  .done = on_done,
                                  .reply_to = loop_mailbox(b->loop),
                                  .deadline_ns = x->deadline_ns};
    j->backend = b;
    j->call = atomic_fetch_add(&b->workers->calls, 1) + 1;
    j->execution = x;
    j->epoch = x->route && x->route->group ? op->epoch : -1;
    // Whatever this route's stage: the write may touch entities of further routes.
    j->want_through = x->route && x->route->group;
    j->guarded = x->guarded;
    if (x->switching && x->route && x->route->group)
        j->switching = arena_strz(j->arena, str_of(x->route->group->name));
    j->after = x->after;
    j->result.total = -1;
    memcpy(j->write_id, op->write_id, sizeof j->write_id);
    if (plan_make(&j->plan, op, SIDE_LEGACY, b->workers->dbms, j->arena, e)) {
        job_free(j);
        return NULL;
    }
    return j;
}

static void execute(struct backend *base, struct execution *x)
{
    struct odbc_backend *b = (struct odbc_backend *)base;
    struct err e = {0};
    struct odbc_job *j = job_create(b, x, &e);
    if (!j || worker_pool_submit(b->workers->pool, &j->base, &e)) {
        if (j)
            job_free(j);
        result_error(&x->result, &e);
        answer(x, SIDE_LEGACY);
        return;
    }
    j->next = b->jobs;
    j->link = &b->jobs;
    if (j->next)
        j->next->link = &j->next;
    b->jobs = j;
}

// ---------------------------------------------------------------- late calls

struct cancel {
    struct worker_job base; // first
    struct odbc_workers *workers;
    uint64_t call;
};

static void on_cancel(struct worker_job *base, unsigned number, void *state)
{
    struct cancel *c = (struct cancel *)base;
    (void)number;
    (void)state;
    odbc_slots_cancel(c->workers->slots, c->call);
}

static void on_cancelled(struct worker_job *base)
{
    free(base);
}

// As far as it can be: a canceller that hangs itself has a full queue some time.
static void ask_cancel(struct odbc_backend *b, const struct odbc_job *j)
{
    struct cancel *c = calloc(1, sizeof *c);
    struct err e = {0};
    if (!c)
        return;
    *c = (struct cancel){
        .base = {.run = on_cancel, .done = on_cancelled}, .workers = b->workers, .call = j->call};
    if (worker_pool_submit(b->workers->canceller, &c->base, &e))
        free(c);
    else
        metric_add(b->cancels, 1);
}

static void give_up(struct odbc_backend *b, struct odbc_job *j)
{
    struct err e = {0};
    unsigned dropped;
    if (worker_pool_give_up(b->workers->pool, &j->base, &e) == 0) {
        j->given_up = true;
        log_warn(&log_ctx, "a call hangs in the driver; its worker is replaced");
    } else if (e.code == ERR_LIMIT) {
        if (log_allowed(&b->stuck_limit, 10000, &dropped))
            log_error(&log_ctx, "%s (said %u more times)", e.msg, dropped);
    } else if (e.code != ERR_NOT_FOUND) {
        log_error(&log_ctx, "%s", e.msg);
    }
}

static struct odbc_job *expired(const struct odbc_backend *b, uint64_t now)
{
    for (struct odbc_job *j = b->jobs; j; j = j->next)
        if (j->execution && j->execution->deadline_ns && now >= j->execution->deadline_ns)
            return j;
    return NULL;
}

// Answers what is past its deadline; the worker keeps the job, which is freed when it returns.
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct odbc_backend *b = arg;
    uint64_t now = clock_mono_ns();
    struct odbc_job *j;
    (void)fd;
    (void)what;
    while ((j = expired(b, now)) != NULL) {
        struct execution *x = j->execution;
        struct err e = {0};
        err_set(&e, ERR_TIMEOUT, "the legacy database did not answer in time");
        j->execution = NULL;
        j->late_ns = now;
        atomic_store(&j->late, true);
        ask_cancel(b, j);
        metric_add(b->orphans, 1);
        result_error(&x->result, &e);
        answer(x, SIDE_LEGACY);
    }
    for (j = b->jobs; j; j = j->next)
        if (j->late_ns && !j->given_up && now - j->late_ns >= GIVE_UP_NS)
            give_up(b, j);
}

static bool healthy(const struct backend *base)
{
    return odbc_workers_healthy(((const struct odbc_backend *)base)->workers);
}

static void destroy(struct backend *base)
{
    struct odbc_backend *b = (struct odbc_backend *)base;
    struct odbc_job *j;
    // What a driver has not come back with: answered here, orphaned there.
    while ((j = b->jobs) != NULL) {
        struct execution *x = j->execution;
        struct err e = {0};
        job_unlink(j);
        j->execution = NULL;
        j->backend = NULL;
        if (!x)
            continue;
        err_set(&e, ERR_CANCELLED, "the facade is stopping");
        result_error(&x->result, &e);
        answer(x, SIDE_LEGACY);
    }
    while ((j = b->spare) != NULL) {
        b->spare = j->next;
        job_destroy(j);
    }
    event_free(b->tick);
    free(b);
}

struct backend *odbc_backend_create(struct odbc_workers *w, struct loop *loop, struct err *e)
{
    static const struct backend_ops ops = {"odbc", execute, healthy, destroy, NULL};
    struct timeval tick = {0, TICK_US};
    struct odbc_backend *b = calloc(1, sizeof *b);
    if (!b || !(b->tick = event_new(loop_base(loop), -1, EV_PERSIST, on_tick, b)) ||
        event_add(b->tick, &tick)) {
        free(b);
        err_memory(e);
        return NULL;
    }
    b->base.ops = &ops;
    b->workers = w;
    b->loop = loop;
    b->orphans = metrics_counter("ficus_odbc_late_results_total",
                                 "Operations answered by their deadline before the driver.", "");
    b->cancels = metrics_counter("ficus_odbc_cancels_total",
                                 "Calls that were asked to end after their deadline.", "");
    return &b->base;
}
