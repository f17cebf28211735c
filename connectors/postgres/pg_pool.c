// SPDX-License-Identifier: Apache-2.0
// Non-blocking PostgreSQL connections of one loop. A job is sent as one pipeline: prepare
// what this connection does not know yet, BEGIN and the transaction id if wanted, the calls,
// COMMIT, Sync. One job a connection at a time; the others wait in a bounded queue.
//
//   DOWN --timer--> CONNECTING --> IDLE <--> BUSY
//    ^_________________|____________|_________|      any error of the connection
//
// A job past its deadline is answered at once; its connection is closed, which also ends the
// work on the server. Nothing here waits.
#include "connectors/postgres/pg_pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "connectors/postgres/pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define STATEMENTS_MAX 512
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 3000
#define CONNECT_MS 10000

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_IDLE, CONN_BUSY };

struct known {
    UT_hash_handle hh;
    unsigned number;
    size_t len;
    char sql[];
};

struct pool_conn {
    struct pg_pool *pool;
    enum conn_state state;
    PGconn *pq;
    struct event *io, *timer;
    short io_events;
    struct known *known;
    unsigned serial, backoff_ms;
    struct pg_job *job;      // BUSY; NULL: an orphaned one is still being answered
    size_t step;             // results taken so far, see enum below
    size_t prepares;         // how many of them are for PREPARE and DEALLOCATE
    bool prepare_failed;     // what this connection knows is not what the server knows
    struct err err;          // the job's first error
    size_t failed;
};

struct pg_pool {
    struct loop *loop;
    char *conninfo, *application;
    unsigned size, queue_max;
    struct pool_conn *conns;
    struct pg_job *first, **last;
    unsigned waiting;
    uint64_t done, failed, refused;
    struct event *deadlines;
    struct err down;         // why the newest connection attempt failed
};

static void conn_close(struct pool_conn *c);
static void pump(struct pg_pool *p);

static const struct log_ctx log_ctx = {"postgres", NULL, NULL};

static void known_clear(struct pool_conn *c)
{
    struct known *k, *next;
    HASH_ITER(hh, c->known, k, next) {
        HASH_DEL(c->known, k);
        free(k);
    }
}

// ---------------------------------------------------------------- events

static void on_io(evutil_socket_t fd, short what, void *arg);

static void watch(struct pool_conn *c, short events)
{
    int fd = PQsocket(c->pq);
    if (c->io && event_get_fd(c->io) == fd && c->io_events == events)
        return;
    if (c->io)
        event_free(c->io);
    c->io_events = events;
    c->io = event_new(loop_base(c->pool->loop), fd, events | EV_PERSIST, on_io, c);
    if (!c->io || event_add(c->io, NULL))
        log_error(&log_ctx, "no event for a connection");
}

static void arm(struct pool_conn *c, unsigned ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
    event_add(c->timer, &tv);
}

// ---------------------------------------------------------------- jobs

static void job_end(struct pool_conn *c)
{
    struct pg_job *job = c->job;
    c->job = NULL;
    if (!job)
        return;
    job->err = c->err;
    job->failed = c->failed;
    c->pool->done += c->err.code == ERR_NONE;
    c->pool->failed += c->err.code != ERR_NONE;
    job->done(job);
}

static void job_error(struct pool_conn *c, size_t call, const PGresult *r)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (c->err.code != ERR_NONE)
        return;
    c->failed = call;
    if (state)
        pg_err(&c->err, state, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
    else
        err_set(&c->err, ERR_UNREACHABLE, "PostgreSQL: %.300s", PQerrorMessage(c->pq));
}

static int take_rows(struct pg_job *job, struct pg_call *call, const PGresult *r)
{
    struct rows *out = &call->rows;
    long long n;
    *out = (struct rows){.ncols = (size_t)PQnfields(r), .nrows = (size_t)PQntuples(r)};
    out->changed = str_to_int(str_of(PQcmdTuples((PGresult *)r)), 0, INT64_MAX, &n) ? n : -1;
    size_t cells = out->ncols * out->nrows;
    out->cells = arena_array(job->arena, cells ? cells : 1, sizeof *out->cells);
    if (!out->cells)
        return -1;
    for (size_t i = 0; i < cells; i++) {
        int row = (int)(i / out->ncols), col = (int)(i % out->ncols);
        if (PQgetisnull(r, row, col)) {
            out->cells[i] = value_null();
            continue;
        }
        struct str s = arena_str(job->arena, str_n(PQgetvalue(r, row, col),
                                                   (size_t)PQgetlength(r, row, col)));
        if (!s.data)
            return -1;
        out->cells[i] = value_set(s);
    }
    return 0;
}

// One result of the pipeline in its place: prepares, [BEGIN, xid], calls, [COMMIT].
static void take_result(struct pool_conn *c, const PGresult *r)
{
    struct pg_job *job = c->job;
    size_t at = c->step++;
    ExecStatusType s = PQresultStatus(r);
    bool good = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
    size_t lead = c->prepares + (job && job->transaction ? 2 : 0);
    size_t call = at < lead ? 0 : at - lead;
    if (!job) {
        c->prepare_failed |= !good;
        return;
    }
    if (!good) {
        c->prepare_failed |= at < c->prepares;
        if (s != PGRES_PIPELINE_ABORTED)
            job_error(c, call > job->ncalls ? job->ncalls : call, r);
        return;
    }
    if (at == c->prepares + 1 && job->transaction) {
        if (PQntuples(r) == 1 && str_copy(job->xid, sizeof job->xid, str_of(PQgetvalue(r, 0, 0))))
            job->xid[0] = 0;
    } else if (at >= lead && call < job->ncalls && take_rows(job, &job->calls[call], r) &&
               c->err.code == ERR_NONE) {
        c->failed = call;
        err_set(&c->err, ERR_LIMIT, "the result does not fit in this request's memory");
    }
}

static void conn_broke(struct pool_conn *c)
{
    if (c->job && c->err.code == ERR_NONE) {
        job_error(c, 0, NULL);
        // The commit travels in the same pipeline: it may have been done.
        if (c->job->transaction) {
            c->failed = c->job->ncalls;
            err_set(&c->err, ERR_UNKNOWN_OUTCOME,
                    "PostgreSQL: the connection broke before the commit was answered");
        }
    }
    conn_close(c);
    job_end(c);
    arm(c, c->backoff_ms);
}

// Takes what has arrived. The pipeline of a job ends with its Sync.
static void read_results(struct pool_conn *c)
{
    if (!PQconsumeInput(c->pq)) {
        conn_broke(c);
        return;
    }
    while (c->state == CONN_BUSY && !PQisBusy(c->pq)) {
        PGresult *r = PQgetResult(c->pq);
        if (!r)
            continue; // between two statements of the pipeline
        ExecStatusType s = PQresultStatus(r);
        if (s == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            c->state = CONN_IDLE;
            if (c->prepare_failed)
                known_clear(c);
            job_end(c);
            pump(c->pool);
            return;
        }
        take_result(c, r);
        PQclear(r);
        if (PQstatus(c->pq) != CONNECTION_OK) {
            conn_broke(c);
            return;
        }
    }
}

// ---------------------------------------------------------------- sending

static int send_prepare(struct pool_conn *c, struct str sql, unsigned *number)
{
    struct known *k;
    char name[16];
    HASH_FIND(hh, c->known, sql.data, sql.len, k);
    if (k) {
        *number = k->number;
        return 0;
    }
    if (!(k = calloc(1, sizeof *k + sql.len + 1)))
        return -1;
    memcpy(k->sql, sql.data, sql.len);
    k->len = sql.len;
    k->number = *number = ++c->serial;
    HASH_ADD_KEYPTR(hh, c->known, k->sql, k->len, k);
    snprintf(name, sizeof name, "p%u", k->number);
    c->prepares++;
    return PQsendPrepare(c->pq, name, k->sql, 0, NULL) ? 0 : -1;
}

static int send_call(struct pool_conn *c, const struct pg_call *call, unsigned number)
{
    char name[16];
    const char **values = calloc(call->nparams ? call->nparams : 1, sizeof *values);
    int result = values ? 0 : -1;
    for (size_t i = 0; result == 0 && i < call->nparams; i++) {
        struct value v = call->params[i];
        if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
            continue;
        if (v.len && memchr(v.data, 0, v.len))
            result = err_set(&c->err, ERR_VALUE,
                             "parameter %zu holds a NUL, which PostgreSQL refuses", i + 1);
        else
            values[i] = arena_strz(c->job->arena, value_str(v));
        if (result == 0 && !values[i])
            result = -1;
    }
    snprintf(name, sizeof name, "p%u", number);
    if (result == 0 &&
        !PQsendQueryPrepared(c->pq, name, (int)call->nparams, values, NULL, NULL, 0))
        result = -1;
    free(values);
    return result;
}

static int send_text(struct pool_conn *c, const char *sql)
{
    return PQsendQueryParams(c->pq, sql, 0, NULL, NULL, NULL, NULL, 0) ? 0 : -1;
}

static int send_job(struct pool_conn *c)
{
    struct pg_job *job = c->job;
    unsigned *numbers = arena_array(job->arena, job->ncalls ? job->ncalls : 1, sizeof *numbers);
    if (!numbers || !PQenterPipelineMode(c->pq))
        return -1;
    if (HASH_COUNT(c->known) >= STATEMENTS_MAX) {
        known_clear(c);
        c->prepares++;
        if (send_text(c, "DEALLOCATE ALL"))
            return -1;
    }
    for (size_t i = 0; i < job->ncalls; i++)
        if (send_prepare(c, job->calls[i].sql, &numbers[i]))
            return -1;
    if (job->transaction && (send_text(c, "BEGIN ISOLATION LEVEL READ COMMITTED") ||
                             send_text(c, "SELECT pg_current_xact_id()::text")))
        return -1;
    for (size_t i = 0; i < job->ncalls; i++)
        if (send_call(c, &job->calls[i], numbers[i])) {
            c->failed = i;
            return -1;
        }
    if (job->transaction && send_text(c, "COMMIT"))
        return -1;
    return PQpipelineSync(c->pq) ? 0 : -1;
}

static void flush(struct pool_conn *c)
{
    int left = PQflush(c->pq);
    if (left < 0)
        conn_broke(c);
    else
        watch(c, (short)(left ? EV_READ | EV_WRITE : EV_READ));
}

static void conn_start(struct pool_conn *c, struct pg_job *job)
{
    c->state = CONN_BUSY;
    c->job = job;
    c->step = c->prepares = 0;
    c->prepare_failed = false;
    c->failed = 0;
    err_clear(&c->err);
    job->xid[0] = 0;
    if (send_job(c)) {
        // Half a pipeline may be buffered: nothing of it was flushed yet, drop the connection.
        if (c->err.code == ERR_NONE)
            err_set(&c->err, ERR_UNREACHABLE, "PostgreSQL: %.300s", PQerrorMessage(c->pq));
        conn_close(c);
        job_end(c);
        arm(c, 1);
        return;
    }
    flush(c);
}

static struct pg_job *dequeue(struct pg_pool *p)
{
    struct pg_job *job = p->first;
    p->first = job->next;
    if (!p->first)
        p->last = &p->first;
    p->waiting--;
    job->next = NULL;
    return job;
}

static void pump(struct pg_pool *p)
{
    for (unsigned i = 0; i < p->size && p->first; i++)
        if (p->conns[i].state == CONN_IDLE)
            conn_start(&p->conns[i], dequeue(p));
}

// ---------------------------------------------------------------- connecting

static void conn_close(struct pool_conn *c)
{
    if (c->io)
        event_free(c->io);
    c->io = NULL;
    event_del(c->timer);
    PQfinish(c->pq);
    c->pq = NULL;
    known_clear(c);
    c->serial = 0;
    c->state = CONN_DOWN;
}

static void conn_failed(struct pool_conn *c, const char *why)
{
    err_set(&c->pool->down, ERR_UNREACHABLE, "PostgreSQL: %.300s", why);
    if (c->backoff_ms == BACKOFF_MIN_MS)
        log_warn(&log_ctx, "%s", c->pool->down.msg);
    conn_close(c);
    arm(c, c->backoff_ms);
    c->backoff_ms = c->backoff_ms * 2 < BACKOFF_MAX_MS ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void conn_poll(struct pool_conn *c)
{
    switch (PQconnectPoll(c->pq)) {
    case PGRES_POLLING_READING: watch(c, EV_READ); break;
    case PGRES_POLLING_WRITING: watch(c, EV_WRITE); break;
    case PGRES_POLLING_OK:
        event_del(c->timer);
        c->backoff_ms = BACKOFF_MIN_MS;
        PQsetnonblocking(c->pq, 1);
        c->state = CONN_IDLE;
        err_clear(&c->pool->down);
        watch(c, EV_READ);
        pump(c->pool);
        break;
    default: conn_failed(c, PQerrorMessage(c->pq));
    }
}

static void conn_open(struct pool_conn *c)
{
    static const char *const keys[] = {"dbname", "application_name", "client_encoding",
                                       "options", NULL};
    const char *values[] = {c->pool->conninfo, c->pool->application, "UTF8",
                            "-c timezone=UTC -c datestyle=ISO,YMD -c intervalstyle=iso_8601"
                            " -c standard_conforming_strings=on -c extra_float_digits=1",
                            NULL};
    c->pq = PQconnectStartParams(keys, values, 1);
    c->state = CONN_CONNECTING;
    if (!c->pq || PQstatus(c->pq) == CONNECTION_BAD) {
        conn_failed(c, c->pq ? PQerrorMessage(c->pq) : "out of memory");
        return;
    }
    arm(c, CONNECT_MS);
    watch(c, EV_WRITE);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct pool_conn *c = arg;
    (void)fd;
    (void)what;
    if (c->state == CONN_CONNECTING)
        conn_failed(c, "connecting took too long");
    else if (c->state == CONN_DOWN)
        conn_open(c);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct pool_conn *c = arg;
    (void)fd;
    if (c->state == CONN_CONNECTING) {
        conn_poll(c);
        return;
    }
    if (what & EV_READ) {
        if (c->state == CONN_BUSY)
            read_results(c);
        else if (!PQconsumeInput(c->pq) || PQstatus(c->pq) != CONNECTION_OK)
            conn_broke(c); // closed by the server while idle
    }
    if (c->state == CONN_BUSY && (what & EV_WRITE))
        flush(c);
}

// ---------------------------------------------------------------- deadlines

static void expire_busy(struct pool_conn *c, uint64_t now)
{
    if (c->state != CONN_BUSY || !c->job || !c->job->deadline_ns || now < c->job->deadline_ns)
        return;
    err_clear(&c->err);
    err_set(&c->err, c->job->transaction ? ERR_UNKNOWN_OUTCOME : ERR_TIMEOUT,
            "PostgreSQL did not answer in time");
    conn_close(c); // also ends the work on the server
    job_end(c);
    arm(c, 1);
}

static void expire_waiting(struct pg_pool *p, uint64_t now)
{
    struct pg_job **at = &p->first, *expired = NULL, *job;
    while ((job = *at) != NULL) {
        if (!job->deadline_ns || now < job->deadline_ns) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        p->waiting--;
        job->next = expired;
        expired = job;
    }
    p->last = at;
    while ((job = expired) != NULL) {
        expired = job->next;
        err_set(&job->err, ERR_TIMEOUT, "no PostgreSQL connection was free in time");
        p->failed++;
        job->done(job);
    }
}

static void on_deadlines(evutil_socket_t fd, short what, void *arg)
{
    struct pg_pool *p = arg;
    uint64_t now = clock_mono_ns();
    (void)fd;
    (void)what;
    for (unsigned i = 0; i < p->size; i++)
        expire_busy(&p->conns[i], now);
    expire_waiting(p, now);
}

// ---------------------------------------------------------------- the pool

struct pg_pool *pg_pool_create(struct loop *loop, const struct pg_pool_options *o, struct err *e)
{
    struct timeval tick = {0, 20000};
    struct pg_pool *p = calloc(1, sizeof *p);
    if (!p)
        goto memory;
    p->loop = loop;
    p->size = o->size ? o->size : 1;
    p->queue_max = o->queue_max;
    p->last = &p->first;
    p->conninfo = strdup(o->conninfo);
    p->application = strdup(o->application ? o->application : "ficus");
    p->conns = calloc(p->size, sizeof *p->conns);
    p->deadlines = event_new(loop_base(loop), -1, EV_PERSIST, on_deadlines, p);
    if (!p->conninfo || !p->application || !p->conns || !p->deadlines ||
        event_add(p->deadlines, &tick))
        goto memory;
    for (unsigned i = 0; i < p->size; i++) {
        struct pool_conn *c = &p->conns[i];
        c->pool = p;
        c->backoff_ms = BACKOFF_MIN_MS;
        if (!(c->timer = event_new(loop_base(loop), -1, 0, on_timer, c)))
            goto memory;
        arm(c, 0);
    }
    return p;
memory:
    err_memory(e);
    if (p)
        pg_pool_destroy(p);
    return NULL;
}

void pg_pool_destroy(struct pg_pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; p->conns && i < p->size; i++) {
        struct pool_conn *c = &p->conns[i];
        if (!c->timer)
            continue;
        err_clear(&c->err);
        err_set(&c->err, ERR_CANCELLED, "the pool is closing");
        conn_close(c);
        job_end(c);
        event_free(c->timer);
    }
    while (p->first) {
        struct pg_job *job = dequeue(p);
        err_set(&job->err, ERR_CANCELLED, "the pool is closing");
        job->done(job);
    }
    if (p->deadlines)
        event_free(p->deadlines);
    free(p->conns);
    free(p->conninfo);
    free(p->application);
    free(p);
}

static bool all_down(const struct pg_pool *p)
{
    for (unsigned i = 0; i < p->size; i++)
        if (p->conns[i].state == CONN_IDLE || p->conns[i].state == CONN_BUSY)
            return false;
    return p->down.code != ERR_NONE;
}

int pg_pool_submit(struct pg_pool *p, struct pg_job *job, struct err *e)
{
    if (all_down(p)) {
        p->refused++;
        return err_set(e, ERR_UNREACHABLE, "%s", p->down.msg);
    }
    if (p->waiting >= p->queue_max) {
        p->refused++;
        return err_set(e, ERR_BUSY, "%u jobs wait for a PostgreSQL connection", p->waiting);
    }
    err_clear(&job->err);
    job->next = NULL;
    *p->last = job;
    p->last = &job->next;
    p->waiting++;
    pump(p);
    return 0;
}

void pg_pool_orphan(struct pg_pool *p, struct pg_job *job)
{
    for (struct pg_job **at = &p->first; *at; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (p->last == &job->next)
            p->last = at;
        p->waiting--;
        return;
    }
    for (unsigned i = 0; i < p->size; i++)
        if (p->conns[i].job == job)
            p->conns[i].job = NULL;
}

void pg_pool_stats(const struct pg_pool *p, struct pg_pool_stats *out)
{
    *out = (struct pg_pool_stats){.waiting = p->waiting, .done = p->done, .failed = p->failed,
                                  .refused = p->refused};
    for (unsigned i = 0; i < p->size; i++) {
        out->connections += p->conns[i].state != CONN_DOWN;
        out->idle += p->conns[i].state == CONN_IDLE;
    }
}
