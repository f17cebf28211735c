// SPDX-License-Identifier: Apache-2.0
// One job on one connection, as one pipeline: clean-up that is due, PREPARE of what this
// connection does not know yet, BEGIN and the transaction's id if wanted, the calls, COMMIT,
// Sync. Results come back in that order. The server answers nothing before the Sync unless
// asked to; the id is asked for at once, since it is for the case that the rest is lost.
#include "connectors/postgres/pg_pool_int.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define STATEMENTS_MAX 512
#define CLEANING_NS    (10 * 1000000000ull)

// ---------------------------------------------------------------- sending

static int send_text(struct pool_conn *c, const char *sql)
{
    return PQsendQueryParams(c->pq, sql, 0, NULL, NULL, NULL, NULL, 0) ? 0 : -1;
}

// What an earlier failure left behind. Statements of the pipeline's start, counted in `lead`.
static int send_cleaning(struct pool_conn *c)
{
    c->lead = 0;
    if (PQtransactionStatus(c->pq) != PQTRANS_IDLE) {
        c->lead++;
        if (send_text(c, "ROLLBACK"))
            return -1;
    }
    if (c->forget || HASH_COUNT(c->known) >= STATEMENTS_MAX) {
        pg_pool_known_clear(c);
        c->forget = false;
        c->lead++;
        if (send_text(c, "DEALLOCATE ALL"))
            return -1;
    }
    return 0;
}

static int send_prepare(struct pool_conn *c, struct str sql, unsigned *number, bool *sent)
{
    struct known *k;
    char name[16];
    HASH_FIND(hh, c->known, sql.data, sql.len, k);
    *sent = k == NULL;
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
    return PQsendPrepare(c->pq, name, k->sql, 0, NULL) ? 0 : -1;
}

static int send_prepares(struct pool_conn *c, unsigned *numbers)
{
    struct pg_job *job = c->job;
    c->prepares = 0;
    for (size_t i = 0; i < job->ncalls; i++) {
        bool sent;
        if (send_prepare(c, job->calls[i].sql, &numbers[i], &sent))
            return -1;
        if (sent)
            c->prepare_of[c->prepares++] = (unsigned)i;
    }
    return 0;
}

static int send_call(struct pool_conn *c, const struct pg_call *call, unsigned number)
{
    char name[16];
    const char **values = arena_array(c->job->arena, call->nparams ? call->nparams : 1,
                                      sizeof *values);
    if (!values)
        return -1;
    for (size_t i = 0; i < call->nparams; i++) {
        struct value v = call->params[i];
        if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
            continue;
        if (!(values[i] = arena_strz(c->job->arena, value_str(v))))
            return -1;
    }
    snprintf(name, sizeof name, "p%u", number);
    return PQsendQueryPrepared(c->pq, name, (int)call->nparams, values, NULL, NULL, 0) ? 0 : -1;
}

static int send_all(struct pool_conn *c)
{
    struct pg_job *job = c->job;
    size_t n = job->ncalls ? job->ncalls : 1;
    unsigned *numbers = arena_array(job->arena, n, sizeof *numbers);
    c->prepare_of = arena_array(job->arena, n, sizeof *c->prepare_of);
    if (!numbers || !c->prepare_of || send_cleaning(c) || send_prepares(c, numbers))
        return -1;
    if (job->transaction && send_text(c, "BEGIN ISOLATION LEVEL READ COMMITTED"))
        return -1;
    if (job->transaction && job->want_xid &&
        (send_text(c, "SELECT pg_current_xact_id()::text") || !PQsendFlushRequest(c->pq)))
        return -1;
    for (size_t i = 0; i < job->ncalls; i++)
        if (send_call(c, &job->calls[i], numbers[i]))
            return -1;
    if (job->transaction && send_text(c, "COMMIT"))
        return -1;
    return PQpipelineSync(c->pq) ? 0 : -1;
}

void pg_pool_job_flush(struct pool_conn *c)
{
    int left = PQflush(c->pq);
    if (left < 0)
        pg_pool_conn_break(c);
    else
        pg_pool_conn_watch(c, (short)(left ? EV_READ | EV_WRITE : EV_READ));
}

static void send_job(struct pool_conn *c)
{
    c->step = 0;
    c->failed = 0;
    c->committed = false;
    err_clear(&c->err);
    if (send_all(c) == 0) {
        pg_pool_job_flush(c);
        return;
    }
    // Half a pipeline is in libpq's buffer, but no COMMIT with its Sync: nothing took effect.
    if (PQstatus(c->pq) == CONNECTION_OK)
        err_set(&c->err, ERR_LIMIT, "the statements do not fit in this request's memory");
    else
        pg_unreachable(&c->err, c->pq);
    pg_pool_conn_break(c);
}

void pg_pool_job_start(struct pool_conn *c, struct pg_job *job)
{
    c->job = job;
    c->deadline_ns = job->deadline_ns;
    c->retried = false;
    job->xid[0] = 0;
    c->state = CONN_BUSY;
    send_job(c);
}

// ---------------------------------------------------------------- results

static void job_error(struct pool_conn *c, size_t call, const PGresult *r)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (c->err.code != ERR_NONE)
        return;
    c->failed = call;
    if (state)
        pg_err(&c->err, state, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
    else
        pg_unreachable(&c->err, c->pq);
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
    for (size_t row = 0; row < out->nrows; row++)
        if (pg_copy_cells(r, (int)row, rows_at(out, row, 0), job->arena))
            return -1;
    return 0;
}

// A good result, by its place in the pipeline.
static void take_good(struct pool_conn *c, size_t at, const PGresult *r)
{
    struct pg_job *job = c->job;
    size_t begin = c->lead + c->prepares;
    size_t first = begin + job->transaction + (job->transaction && job->want_xid);
    size_t call = at - first;
    if (at < first) {
        if (at > begin && PQntuples(r) == 1 &&
            str_copy(job->xid, sizeof job->xid, str_of(PQgetvalue(r, 0, 0))))
            job_error(c, 0, NULL);
    } else if (call == job->ncalls) {
        c->committed = true;
    } else if (take_rows(job, &job->calls[call], r) && c->err.code == ERR_NONE) {
        c->failed = call;
        err_set(&c->err, ERR_LIMIT, "the result does not fit in this request's memory");
    }
}

static size_t call_at(const struct pool_conn *c, size_t at)
{
    size_t begin = c->lead + c->prepares;
    size_t first = begin + c->job->transaction + (c->job->transaction && c->job->want_xid);
    if (at >= first)
        return at - first;
    return at >= c->lead && at < begin ? c->prepare_of[at - c->lead] : 0;
}

static void take_result(struct pool_conn *c, const PGresult *r)
{
    size_t at = c->step++;
    ExecStatusType s = PQresultStatus(r);
    bool good = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
    // A PREPARE that failed or was skipped: the server does not know what we noted.
    c->forget |= !good && at < c->lead + c->prepares;
    if (!c->job)
        return;
    if (good)
        take_good(c, at, r);
    else if (s != PGRES_PIPELINE_ABORTED && !c->committed) // a server may say goodbye after it
        job_error(c, call_at(c, at), r);
}

// The plan or the statement was lost to a change of the tables; nothing took effect.
static bool is_stale_plan(const struct err *e)
{
    return strcmp(e->sqlstate, "0A000") == 0 || strcmp(e->sqlstate, "26000") == 0;
}

static void clean(struct pool_conn *c)
{
    c->state = CONN_CLEANING;
    c->deadline_ns = clock_mono_ns() + CLEANING_NS;
    c->step = c->prepares = 0;
    if (send_cleaning(c) || !PQpipelineSync(c->pq))
        pg_pool_conn_break(c);
    else
        pg_pool_job_flush(c);
}

// The pipeline is through.
static void on_sync(struct pool_conn *c)
{
    if (is_stale_plan(&c->err)) {
        c->forget = true;
        if (c->job && !c->retried) {
            c->retried = true;
            send_job(c);
            return;
        }
    }
    if (PQtransactionStatus(c->pq) != PQTRANS_IDLE || c->forget)
        clean(c);
    else
        c->state = CONN_IDLE;
    pg_pool_answer(c);
    pg_pool_pump(c->pool);
}

void pg_pool_job_broke(struct pool_conn *c)
{
    const struct pg_job *job = c->job;
    if (job && !c->committed) {
        // Unless an earlier statement is known to have failed, the COMMIT, which travels in
        // the same pipeline, may have been done.
        bool failed = c->err.code != ERR_NONE &&
                      (c->failed < job->ncalls || c->err.code != ERR_UNREACHABLE);
        job_error(c, 0, NULL);
        if (job->transaction && !failed) {
            c->failed = job->ncalls;
            err_set(&c->err, ERR_UNKNOWN_OUTCOME,
                    "PostgreSQL: the connection broke before the commit was answered");
        }
    }
    pg_pool_conn_reopen(c, 0);
    pg_pool_answer(c);
}

void pg_pool_job_read(struct pool_conn *c)
{
    if (!PQconsumeInput(c->pq) || PQstatus(c->pq) != CONNECTION_OK) {
        pg_pool_job_broke(c);
        return;
    }
    while ((c->state == CONN_BUSY || c->state == CONN_CLEANING) && !PQisBusy(c->pq)) {
        PGresult *r = PQgetResult(c->pq);
        bool sync = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        if (r && !sync)
            take_result(c, r);
        PQclear(r);
        if (PQstatus(c->pq) != CONNECTION_OK) {
            pg_pool_job_broke(c);
            return;
        }
        if (sync) {
            on_sync(c);
            return;
        }
    }
}
