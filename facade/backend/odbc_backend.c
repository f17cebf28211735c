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
#include "facade/backend/odbc_backend.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "facade/backend/odbc_slots.h"
#include "facade/backend/plan.h"
#include "facade/backend/tail.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#define JOB_ARENA_MAX (256u << 20)
#define JOB_KEEP      (64u << 10) // memory of a job that waits to be used again
#define SPARE_MAX     64          // such jobs
#define RECONNECT_NS  250000000ull
#define SETTLE_TRIES  10
#define TICK_US       20000
#define CANCEL_QUEUE  256
#define CANCEL_MS     1000         // for cancels under way when it all ends
#define GIVE_UP_NS    500000000ull // after the deadline: time for the cancel to help

struct odbc_workers {
    const struct conf *conf;
    const struct dbms *dbms;
    struct worker_pool *pool;
    struct worker_pool *canceller;
    struct odbc_slots *slots;
    atomic_ullong calls; // numbers given out
    atomic_bool healthy;
};

// A worker's own: used by that thread only.
struct slot {
    struct odbc_workers *workers;
    struct odbc_slot *slot; // the connection
    uint64_t retry_ns;
    struct err down;
};

struct odbc_backend {
    struct backend base;
    struct odbc_workers *workers;
    struct loop *loop;
    struct event *tick;
    struct job *jobs;  // running or queued, of this loop
    struct job *spare; // with their memory: a worker's malloc is then not freed on the loop, where
    unsigned nspare;   // the two would wait for each other
    struct metric *orphans, *cancels;
    struct log_limit stuck_limit;
};

struct job {
    struct worker_job base;       // first: the pool's pointer is ours
    struct odbc_backend *backend; // NULL once that has ended
    struct execution *execution;  // NULL once the deadline has answered it
    struct job *next, **link;
    struct arena *arena;
    struct plan plan;
    long long epoch; // -1: entity without a group
    char write_id[37];
    bool want_through;
    bool guarded;
    const char *switching; // group; NULL: no switch of owner is under way
    long long after;
    struct result result; // memory of the job's arena
    uint64_t call;        // its number
    atomic_bool late;     // its client was answered: what it leaves behind is not trusted
    uint64_t late_ns;     // since when; the loop's
    bool given_up;        // the loop's
};

static const struct log_ctx log_ctx = {"odbc", NULL, NULL};

// ---------------------------------------------------------------- in the worker

static struct odbc_conn *slot_conn(struct slot *s, struct err *e)
{
    struct odbc_conn *c = odbc_slot_conn(s->slot);
    if (c && odbc_alive(c))
        return c;
    odbc_slot_set_conn(s->slot, NULL);
    if (clock_mono_ns() < s->retry_ns) {
        *e = s->down;
        return NULL;
    }
    if (odbc_open(conf_str(s->workers->conf, "legacy.odbc"), s->workers->dbms, &c, e)) {
        if (atomic_exchange(&s->workers->healthy, false))
            log_warn(&log_ctx, "legacy database away: %s", e->msg);
        e->code = ERR_UNREACHABLE;
        s->down = *e;
        s->retry_ns = clock_mono_ns() + RECONNECT_NS;
        return NULL;
    }
    if (!atomic_exchange(&s->workers->healthy, true))
        log_info(&log_ctx, "legacy database connected");
    odbc_slot_set_conn(s->slot, c);
    return c;
}

static int query(struct odbc_conn *c, struct job *j, const struct sql *sql, struct rows *rows,
                 struct err *e)
{
    return odbc_query(c, sql->text, sql->params, sql->nparams, j->arena, 0, rows, e);
}

static int run_read(struct odbc_conn *c, struct job *j, struct err *e)
{
    struct plan *p = &j->plan;
    struct rows rows;
    size_t n;
    if (p->has_select &&
        (query(c, j, &p->select, &rows, e) || plan_take_rows(p, &rows, &j->result, e)))
        return -1;
    if (p->has_count && (query(c, j, &p->count, &rows, e) || plan_take_count(&rows, &j->result, e)))
        return -1;
    if (plan_expand(p, &j->result, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (query(c, j, &p->expansions[i], &rows, e) ||
            plan_take_expansion(p, i, &rows, &j->result, e))
            return -1;
    return 0;
}

static int fence_open(struct odbc_conn *c, struct job *j, bool *open, struct err *e)
{
    struct rows rows;
    struct value group = value_set(str_of(j->switching));
    if (odbc_query(c, str_of(odbc_dbms(c)->fence_read_sql), &group, 1, j->arena, 1, &rows, e))
        return err_prefix(e, "fence");
    *open = rows.nrows == 1 && !str_eqz(value_str(rows.cells[0]), "0");
    return 0;
}

// The owner answers what has not arrived on the other side; the rest is not its to answer.
static int run_guarded(struct odbc_conn *c, struct job *j, struct err *e)
{
    bool touched, open = false;
    if (j->switching && fence_open(c, j, &open, e))
        return -1;
    if (open)
        return run_read(c, j, e);
    if (tail_touches(c, &j->plan.op, j->after, j->arena, &touched, e))
        return -1;
    if (touched && !j->switching)
        return run_read(c, j, e);
    j->result.status = touched ? RESULT_FENCED : RESULT_CURRENT;
    return 0;
}

static int direct(void *ctx, struct str sql, struct err *e)
{
    return odbc_direct(ctx, sql, e);
}

static int mark(struct odbc_conn *c, const struct job *j, struct err *e)
{
    struct dbms_marks marks = {.epoch = j->epoch, .write_id = j->write_id};
    struct buf sql = BUF_INIT;
    odbc_dbms(c)->set_marks(&sql, &marks);
    int result = buf_check(&sql, e) || dbms_each_statement(buf_str(&sql), direct, c, e) ? -1 : 0;
    buf_free(&sql);
    return result;
}

static int run_statements(struct odbc_conn *c, struct job *j, const struct write_statement *list,
                          size_t n, struct err *e)
{
    const struct plan *p = &j->plan;
    bool must_find = p->op.kind == OPERATION_UPDATE || p->op.kind == OPERATION_DELETE;
    for (size_t i = 0; i < n; i++) {
        const struct write_statement *s = &list[i];
        long long changed = 0;
        if (odbc_exec(c, s->sql.text, s->sql.params, s->sql.nparams, &changed, e))
            return -1;
        if (s->role == STATEMENT_ROOT && must_find && changed == 0)
            return err_set(e, ERR_NOT_FOUND, "%s not found", p->op.entity->name);
        if (s->role == STATEMENT_ROOT && changed > 0)
            j->result.changed += changed;
    }
    return 0;
}

// The write, and what the map leaves behind besides.
static int run_all(struct odbc_conn *c, struct job *j, struct err *e)
{
    struct plan *p = &j->plan;
    struct write_statement *list;
    struct rows before;
    bool read = p->nbefore_fields > 0;
    size_t n;
    if ((read && query(c, j, &p->before, &before, e)) ||
        run_statements(c, j, p->statements, p->nstatements, e))
        return -1;
    if (!p->also)
        return 0;
    return plan_also(p, read ? &before : NULL, &list, &n, e) || run_statements(c, j, list, n, e)
               ? -1
               : 0;
}

static int lock_row(struct odbc_conn *c, struct job *j, struct err *e)
{
    struct rows ignored;
    return j->plan.lock.text.len > 0 ? query(c, j, &j->plan.lock, &ignored, e) : 0;
}

// Inside the writing transaction, with the row locked: nobody writes between this and the write.
static int check_guard(struct odbc_conn *c, struct job *j, struct err *e)
{
    struct rows rows;
    if (!j->plan.guard_fields)
        return 0;
    return query(c, j, &j->plan.guard, &rows, e) || plan_check_guard(&j->plan, &rows, e) ? -1 : 0;
}

// The greatest changelog number seen inside the writing transaction: at least our own.
static int read_through(struct odbc_conn *c, struct job *j, struct err *e)
{
    struct rows rows;
    if (!j->want_through)
        return 0;
    if (odbc_query(c, str_of(odbc_dbms(c)->changelog_max_sql), NULL, 0, j->arena, 1, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &j->result.through))
        return err_set(e, ERR_INTERNAL, "the changelog gave no number");
    return 0;
}

// The commit was sent and not answered: the changelog row of this write says whether it took
// effect. Absent after several looks, the outcome stays unknown: we never guess.
static int settle(struct slot *s, const struct job *j, struct err *e)
{
    struct value id = value_set(str_of(j->write_id));
    for (unsigned i = 0; i < SETTLE_TRIES && !atomic_load(&j->late); i++) {
        struct err ignored = {0};
        struct rows rows;
        s->retry_ns = 0;
        struct odbc_conn *c = slot_conn(s, &ignored);
        if (c &&
            odbc_query(c, STR("SELECT 1 FROM ficus_changelog WHERE write_id = ?"), &id, 1, j->arena,
                       0, &rows, &ignored) == 0 &&
            rows.nrows > 0)
            return 0;
        clock_sleep_ms(100);
    }
    return err_set(e, ERR_UNKNOWN_OUTCOME, "the legacy database did not answer a commit");
}

static int run_write(struct slot *s, struct odbc_conn *c, struct job *j, struct err *e)
{
    if (odbc_begin(c, true, e))
        return -1;
    if (mark(c, j, e) || lock_row(c, j, e) || check_guard(c, j, e) || run_all(c, j, e) ||
        read_through(c, j, e) ||
        dbms_each_statement(str_of(odbc_dbms(c)->clear_marks), direct, c, e)) {
        odbc_rollback(c);
        return -1;
    }
    if (odbc_commit(c, e) == 0)
        return 0;
    return e->code == ERR_UNKNOWN_OUTCOME ? settle(s, j, e) : -1;
}

static void on_run(struct worker_job *base, unsigned number, void *state)
{
    struct job *j = (struct job *)base;
    struct slot *s = state;
    struct err e = {0};
    (void)number;
    if (s)
        odbc_slot_begin(s->slot, j->call);
    struct odbc_conn *c = s ? slot_conn(s, &e) : NULL;
    if (!s)
        err_memory(&e);
    int failed = !c                                   ? -1
                 : j->guarded                         ? run_guarded(c, j, &e)
                 : operation_is_read(j->plan.op.kind) ? run_read(c, j, &e)
                                                      : run_write(s, c, j, &e);
    if (failed)
        result_error(&j->result, &e);
    if (!s)
        return;
    odbc_slot_end(s->slot);
    if (atomic_load(&j->late)) { // cancelled or not: nobody knows what state it is in
        log_warn(&log_ctx, "a late call has come back; its connection is not used again");
        odbc_slot_set_conn(s->slot, NULL);
    }
}

static void *slot_start(void *arg, unsigned number)
{
    struct slot *s = calloc(1, sizeof *s);
    (void)number;
    if (!s)
        return NULL;
    s->workers = arg;
    s->slot = odbc_slot_open(s->workers->slots);
    if (s->slot)
        return s;
    free(s);
    return NULL;
}

static void slot_stop(void *arg, unsigned number, void *state)
{
    struct slot *s = state;
    (void)arg;
    (void)number;
    if (s)
        odbc_slot_close(s->slot);
    free(s);
}

// ---------------------------------------------------------------- on the loop

static void job_unlink(struct job *j)
{
    if (j->link) {
        *j->link = j->next;
        if (j->next)
            j->next->link = j->link;
    }
    j->link = NULL;
}

static void job_destroy(struct job *j)
{
    arena_destroy(j->arena);
    free(j);
}

static struct job *job_take(struct odbc_backend *b)
{
    struct job *j = b->spare;
    if (j) {
        struct arena *arena = j->arena;
        b->spare = j->next;
        b->nspare--;
        *j = (struct job){.arena = arena};
        return j;
    }
    if (!(j = calloc(1, sizeof *j)) || !(j->arena = arena_create(JOB_ARENA_MAX))) {
        free(j);
        return NULL;
    }
    arena_keep(j->arena, JOB_KEEP);
    return j;
}

static void job_free(struct job *j)
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
    struct job *j = (struct job *)base;
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

static struct job *job_create(struct odbc_backend *b, struct execution *x, struct err *e)
{
    const struct operation *op = x->operation;
    struct job *j = job_take(b);
    if (!j) {
        err_memory(e);
        return NULL;
    }
    j->base = (struct worker_job){.run = on_run,
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
    j->switching = x->switching ? arena_strz(j->arena, str_of(x->route->group->name)) : NULL;
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
    struct job *j = job_create(b, x, &e);
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
static void ask_cancel(struct odbc_backend *b, const struct job *j)
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

static void give_up(struct odbc_backend *b, struct job *j)
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

static struct job *expired(const struct odbc_backend *b, uint64_t now)
{
    for (struct job *j = b->jobs; j; j = j->next)
        if (j->execution && j->execution->deadline_ns && now >= j->execution->deadline_ns)
            return j;
    return NULL;
}

// Answers what is past its deadline; the worker keeps the job, which is freed when it returns.
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct odbc_backend *b = arg;
    uint64_t now = clock_mono_ns();
    struct job *j;
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
    struct job *j;
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

// ---------------------------------------------------------------- the workers

struct odbc_workers *odbc_workers_create(const struct conf *conf, struct err *e)
{
    struct odbc_workers *w = calloc(1, sizeof *w);
    if (!w) {
        err_memory(e);
        return NULL;
    }
    w->conf = conf;
    w->dbms = dbms_find(str_of(conf_str(conf, "legacy.dbms")));
    atomic_init(&w->healthy, true);
    struct worker_options o = {.name = "odbc",
                               .threads = (unsigned)conf_int(conf, "legacy.workers"),
                               .queue_max = (unsigned)conf_int(conf, "legacy.queue_max"),
                               .spares = (unsigned)conf_int(conf, "legacy.spare_workers"),
                               .slot_start = slot_start,
                               .slot_stop = slot_stop,
                               .arg = w};
    if (!w->dbms)
        err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known", conf_str(conf, "legacy.dbms"));
    else
        dbms_warn_untested(w->dbms);
    struct worker_options cancel = {.name = "cancel", .threads = 1, .queue_max = CANCEL_QUEUE};
    if (w->dbms && (w->slots = odbc_slots_create(e)) &&
        (w->canceller = worker_pool_create(&cancel, e)) && (w->pool = worker_pool_create(&o, e)))
        return w;
    worker_pool_destroy(w->canceller, CANCEL_MS);
    odbc_slots_destroy(w->slots);
    free(w);
    return NULL;
}

void odbc_workers_destroy(struct odbc_workers *w, unsigned ms)
{
    if (!w)
        return;
    // A worker that hangs in its driver still uses `w`: then it is left to the process' end.
    unsigned stuck = worker_pool_destroy(w->pool, ms);
    if (worker_pool_destroy(w->canceller, CANCEL_MS) || stuck)
        return;
    odbc_slots_destroy(w->slots);
    free(w);
}

struct worker_pool *odbc_workers_pool(struct odbc_workers *w)
{
    return w->pool;
}

bool odbc_workers_healthy(const struct odbc_workers *w)
{
    return atomic_load(&w->healthy);
}
