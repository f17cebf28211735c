// SPDX-License-Identifier: Apache-2.0
// One blocking libpq connection. Owns the connection and the table of its prepared statements
// (kept by text, oldest dropped); results are copied into the caller's arena. Not thread-safe.
#include "connectors/postgres/pg.h"

#include "base/log.h"
#include "connectors/odbc/dbms.h"
#include "connectors/postgres/pg_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define STATEMENTS_MAX 256

struct statement {
    char *sql;
    char name[24];
    UT_hash_handle hh;
};

static void on_notice(void *arg, const char *message)
{
    struct log_ctx ctx = {"postgres", NULL, NULL};
    (void)arg;
    log_debug(&ctx, "%s", message);
}

// Takes every result that is left, so that the connection can be used again.
static void drain(struct pg_conn *c)
{
    PGresult *r;
    while ((r = PQgetResult(c->pq)) != NULL)
        PQclear(r);
}

int pg_err(struct err *e, const char *sqlstate, const char *message)
{
    struct str text = str_trim(str_of(message ? message : "no message"));
    const char *state = sqlstate && strlen(sqlstate) == 5 ? sqlstate : "08006";
    const char *line = memchr(text.data, '\n', text.len);
    if (line)
        text.len = (size_t)(line - text.data);
    err_set(e, dbms_postgres.classify(state, 0, message), "%.*s (SQLSTATE %s)", (int)text.len,
            text.data, state);
    if (e)
        memcpy(e->sqlstate, state, 6);
    return -1;
}

int pg_conn_err(struct pg_conn *c, struct err *e)
{
    c->broken |= PQstatus(c->pq) != CONNECTION_OK;
    return c->broken ? pg_unreachable(e, c->pq)
                     : err_set(e, ERR_INTERNAL, "PostgreSQL: %.400s", PQerrorMessage(c->pq));
}

int pg_result_err(struct pg_conn *c, const PGresult *r, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    c->broken |= PQstatus(c->pq) != CONNECTION_OK;
    if (!state)
        return pg_conn_err(c, e);
    return pg_err(e, state, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY));
}

int pg_open(const char *conninfo, const char *application, struct pg_conn **out, struct err *e)
{
    struct pg_params params;
    struct pg_conn *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return err_memory(e);
    if (pg_params_fill(&params, conninfo, application, NULL, e)) {
        free(c);
        return -1;
    }
    c->pq = PQconnectdbParams(params.keys, params.values, 1);
    pg_params_free(&params);
    if (!c->pq || PQstatus(c->pq) != CONNECTION_OK) {
        pg_unreachable(e, c->pq);
        pg_close(c);
        return -1;
    }
    PQsetNoticeProcessor(c->pq, on_notice, NULL);
    *out = c;
    return 0;
}

void pg_close(struct pg_conn *c)
{
    struct statement *st, *next;
    if (!c)
        return;
    st = c->statements;
    HASH_CLEAR(hh, c->statements); // the table only
    for (; st; st = next) {
        next = st->hh.next;
        free(st->sql);
        free(st);
    }
    PQfinish(c->pq);
    buf_free(&c->copy);
    free(c);
}

bool pg_alive(const struct pg_conn *c)
{
    return c && !c->broken && PQstatus(c->pq) == CONNECTION_OK;
}

int pg_socket(const struct pg_conn *c)
{
    return PQsocket(c->pq);
}

// ---------------------------------------------------------------- statements

static void statement_drop(struct pg_conn *c, struct statement *st)
{
    char sql[64];
    snprintf(sql, sizeof sql, "DEALLOCATE %s", st->name);
    // In a failed transaction this is refused; the name is never used again, so it only stays
    // allocated on the server until the connection ends.
    PQclear(PQexec(c->pq, sql));
    HASH_DEL(c->statements, st);
    free(st->sql);
    free(st);
}

static int prepare(struct pg_conn *c, struct str sql, const char **name, struct err *e)
{
    struct statement *st;
    HASH_FIND(hh, c->statements, sql.data, (unsigned)sql.len, st);
    if (st) {
        // Insertion order is age: the one just used becomes the youngest.
        HASH_DEL(c->statements, st);
        HASH_ADD_KEYPTR(hh, c->statements, st->sql, (unsigned)sql.len, st);
        *name = st->name;
        return 0;
    }
    if (HASH_COUNT(c->statements) >= STATEMENTS_MAX)
        statement_drop(c, c->statements); // insertion order: the oldest
    if (!(st = calloc(1, sizeof *st)) || !(st->sql = strndup(sql.data, sql.len))) {
        free(st);
        return err_memory(e);
    }
    snprintf(st->name, sizeof st->name, "s%llu", ++c->serial);
    PGresult *r = PQprepare(c->pq, st->name, st->sql, 0, NULL);
    if (!r || PQresultStatus(r) != PGRES_COMMAND_OK) {
        pg_result_err(c, r, e);
        PQclear(r);
        free(st->sql);
        free(st);
        return -1;
    }
    PQclear(r);
    HASH_ADD_KEYPTR(hh, c->statements, st->sql, (unsigned)sql.len, st);
    *name = st->name;
    return 0;
}

// Parameters as C strings; text with a NUL inside cannot be sent in text format.
struct bound {
    const char **values;
    struct buf text;
};

static int bind(struct bound *b, const struct value *params, size_t n, struct err *e)
{
    size_t total = n;
    *b = (struct bound){0};
    for (size_t i = 0; i < n; i++)
        total += params[i].len;
    b->values = calloc(n ? n : 1, sizeof *b->values);
    if (!b->values || buf_reserve(&b->text, total + 1))
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        if (params[i].state == VALUE_NULL || params[i].state == VALUE_ABSENT)
            continue;
        if (params[i].len && memchr(params[i].data, 0, params[i].len))
            return err_set(e, ERR_VALUE, "parameter %zu holds a NUL, which PostgreSQL refuses",
                           i + 1);
        b->values[i] = b->text.data + b->text.len;
        buf_add(&b->text, params[i].data, params[i].len);
        buf_addc(&b->text, 0);
    }
    return buf_check(&b->text, e);
}

static void unbind(struct bound *b)
{
    free(b->values);
    buf_free(&b->text);
}

// After a change of the tables the server may refuse a plan (0A000), or have lost it (26000).
// Dropped here, it is prepared anew next time. True when that time may be now.
static bool stale_plan(struct pg_conn *c, struct str sql, struct err *e)
{
    struct statement *st;
    if (strcmp(e->sqlstate, "0A000") != 0 && strcmp(e->sqlstate, "26000") != 0)
        return false;
    e->retriable = true;
    HASH_FIND(hh, c->statements, sql.data, (unsigned)sql.len, st);
    if (st)
        statement_drop(c, st);
    return st && PQtransactionStatus(c->pq) == PQTRANS_IDLE;
}

static PGresult *run_once(struct pg_conn *c, struct str sql, const struct value *params, size_t n,
                          struct err *e)
{
    const char *name;
    struct bound b;
    PGresult *r = NULL;
    if (prepare(c, sql, &name, e))
        return NULL;
    if (bind(&b, params, n, e) == 0) {
        r = PQexecPrepared(c->pq, name, (int)n, b.values, NULL, NULL, 0);
        ExecStatusType s = PQresultStatus(r);
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK) {
            pg_result_err(c, r, e);
            PQclear(r);
            r = NULL;
        }
    }
    unbind(&b);
    return r;
}

static PGresult *run(struct pg_conn *c, struct str sql, const struct value *params, size_t n,
                     struct err *e)
{
    struct err mine = {0};
    PGresult *r = run_once(c, sql, params, n, &mine);
    if (!r && stale_plan(c, sql, &mine))
        r = run_once(c, sql, params, n, &mine);
    if (!r && e)
        *e = mine;
    return r;
}

static long long found_rows(const PGresult *r)
{
    long long n;
    const char *text = PQcmdTuples((PGresult *)r);
    return str_to_int(str_of(text), 0, INT64_MAX, &n) ? n : -1;
}

int pg_query(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
             struct arena *a, struct rows *out, struct err *e)
{
    PGresult *r = run(c, sql, params, nparams, e);
    int result = 0;
    *out = (struct rows){.changed = -1};
    if (!r)
        return -1;
    out->ncols = (size_t)PQnfields(r);
    out->nrows = (size_t)PQntuples(r);
    out->changed = found_rows(r);
    size_t cells = out->ncols * out->nrows;
    out->cells = arena_array(a, cells ? cells : 1, sizeof *out->cells);
    for (size_t i = 0; out->cells && result == 0 && i < out->nrows; i++)
        result = pg_copy_cells(r, (int)i, out->cells + i * out->ncols, a);
    PQclear(r);
    return out->cells && result == 0
               ? 0
               : err_set(e, ERR_LIMIT, "the result does not fit in this request's memory");
}

int pg_exec(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
            long long *changed, struct err *e)
{
    PGresult *r = run(c, sql, params, nparams, e);
    if (!r)
        return -1;
    if (changed)
        *changed = found_rows(r);
    PQclear(r);
    return 0;
}

int pg_execz(struct pg_conn *c, const char *sql, const char *const *params, size_t nparams,
             long long *changed, struct err *e)
{
    struct value values[16];
    if (nparams > 16)
        return err_set(e, ERR_INTERNAL, "pg_execz takes 16 parameters at most");
    for (size_t i = 0; i < nparams; i++)
        values[i] = params[i] ? value_set(str_of(params[i])) : value_null();
    return pg_exec(c, str_of(sql), values, nparams, changed, e);
}

int pg_each(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
            rows_each_fn *each, void *ctx, struct err *e)
{
    const char *name;
    struct bound b;
    struct value cells[1024];
    int result = -1;
    PGresult *r;
    if (prepare(c, sql, &name, e))
        return -1;
    if (bind(&b, params, nparams, e) == 0) {
        if (PQsendQueryPrepared(c->pq, name, (int)nparams, b.values, NULL, NULL, 0) &&
            PQsetSingleRowMode(c->pq))
            result = 0;
        else
            pg_conn_err(c, e);
    }
    unbind(&b);
    while (result == 0 && (r = PQgetResult(c->pq)) != NULL) {
        ExecStatusType s = PQresultStatus(r);
        if (PQnfields(r) > 1024)
            result = err_set(e, ERR_LIMIT, "more than 1024 columns");
        else if (s == PGRES_SINGLE_TUPLE)
            result = pg_copy_cells(r, 0, cells, NULL) || each(ctx, cells, (size_t)PQnfields(r), e)
                         ? -1
                         : 0;
        else if (s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK)
            result = pg_result_err(c, r, e);
        PQclear(r);
    }
    if (result)
        drain(c);
    return result;
}

int pg_script(struct pg_conn *c, struct str sql, struct err *e)
{
    char *text = strndup(sql.data, sql.len);
    if (!text)
        return err_memory(e);
    PGresult *r = PQexec(c->pq, text);
    ExecStatusType s = PQresultStatus(r);
    int result = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_EMPTY_QUERY
                     ? 0
                     : pg_result_err(c, r, e);
    PQclear(r);
    free(text);
    return result;
}

// ---------------------------------------------------------------- transactions

int pg_begin(struct pg_conn *c, struct err *e)
{
    return pg_script(c, STR("BEGIN ISOLATION LEVEL READ COMMITTED"), e);
}

int pg_commit(struct pg_conn *c, struct err *e)
{
    PGresult *r = PQexec(c->pq, "COMMIT");
    int result = 0;
    if (PQresultStatus(r) != PGRES_COMMAND_OK) {
        result = pg_result_err(c, r, e);
        // The commit was sent; without an answer nobody knows here whether it took effect.
        if (c->broken)
            err_set(e, ERR_UNKNOWN_OUTCOME, "PostgreSQL: the connection broke during commit");
    } else if (strcmp(PQcmdStatus(r), "ROLLBACK") == 0) {
        result = err_set(e, ERR_INTERNAL, "the transaction had failed and was rolled back");
    }
    PQclear(r);
    return result;
}

void pg_rollback(struct pg_conn *c)
{
    if (PQtransactionStatus(c->pq) != PQTRANS_IDLE)
        PQclear(PQexec(c->pq, "ROLLBACK"));
}

static int savepoint(struct pg_conn *c, const char *verb, const char *name, struct err *e)
{
    char sql[128];
    int n = snprintf(sql, sizeof sql, "%s %s", verb, name);
    if (n < 0 || (size_t)n >= sizeof sql)
        return err_set(e, ERR_INTERNAL, "a savepoint's name is too long");
    return pg_script(c, str_of(sql), e);
}

int pg_savepoint(struct pg_conn *c, const char *name, struct err *e)
{
    return savepoint(c, "SAVEPOINT", name, e);
}

int pg_rollback_to(struct pg_conn *c, const char *name, struct err *e)
{
    return savepoint(c, "ROLLBACK TO SAVEPOINT", name, e);
}
