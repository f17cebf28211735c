// SPDX-License-Identifier: Apache-2.0
// Prepared statements of a connection, kept by text; binding, execution, and the calls of
// odbc.h made of them. All values travel as text (SQL_C_CHAR) with explicit lengths.
#include "connectors/odbc/odbc_int.h"

#include <stdlib.h>

#define STATEMENTS_MAX       128
#define BLOCK_ROWS           100 // of a stream
#define PARAMS_MAX           32768
#define NATIVE_NEEDS_PREPARE 2057 // MariaDB: the table gained a column under the statement

void odbc_statement_drop(struct odbc_conn *c, struct odbc_statement *st)
{
    HASH_DEL(c->statements, st);
    SQLFreeHandle(SQL_HANDLE_STMT, st->handle);
    odbc_columns_free(st);
    free(st->hex);
    free(st->sql);
    free(st);
}

// Which placeholders stand for bytes (DBMS_HEX_PARAM). Quoted text holds none of ours.
static int find_hex(struct odbc_statement *st, struct err *e)
{
    size_t n = 0, mark = sizeof DBMS_HEX_PARAM - 1;
    if (!strstr(st->sql, DBMS_HEX_PARAM))
        return 0;
    if (!(st->hex = calloc(strlen(st->sql), sizeof *st->hex)))
        return err_memory(e);
    for (const char *p = st->sql; *p; p++) {
        if (*p == '\'') {
            p = strchr(p + 1, '\'');
            if (!p)
                break;
        } else if (*p == '?') {
            st->hex[n++] = strncmp(p + 1, DBMS_HEX_PARAM, mark) == 0;
        }
    }
    return 0;
}

int odbc_statement_get(struct odbc_conn *c, struct str sql, struct odbc_statement **out,
                       struct err *e)
{
    struct odbc_statement *st;
    HASH_FIND(hh, c->statements, sql.data, sql.len, st);
    *out = st;
    if (st) {
        // Insertion order is age: the one just used becomes the youngest.
        HASH_DEL(c->statements, st);
        HASH_ADD_KEYPTR(hh, c->statements, st->sql, sql.len, st);
        return 0;
    }
    if (HASH_COUNT(c->statements) >= STATEMENTS_MAX)
        odbc_statement_drop(c, c->statements);
    if (!(st = calloc(1, sizeof *st)) || !(st->sql = strndup(sql.data, sql.len))) {
        free(st);
        return err_memory(e);
    }
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, c->dbc, &st->handle))) {
        odbc_err(c, SQL_HANDLE_DBC, c->dbc, "allocating a statement", e);
        free(st->sql);
        free(st);
        return -1;
    }
    HASH_ADD_KEYPTR(hh, c->statements, st->sql, sql.len, st);
    if (!SQL_SUCCEEDED(SQLPrepare(st->handle, (SQLCHAR *)st->sql, (SQLINTEGER)sql.len))) {
        odbc_err(c, SQL_HANDLE_STMT, st->handle, "preparing", e);
        odbc_statement_drop(c, st);
        return -1;
    }
    if (find_hex(st, e)) {
        odbc_statement_drop(c, st);
        return -1;
    }
    *out = st;
    return 0;
}

int odbc_check_param(const struct odbc_conn *c, struct value v, size_t number, struct err *e)
{
    if (v.state == VALUE_SET && c->dbms != &dbms_mariadb && v.len && memchr(v.data, 0, v.len))
        return err_set(e, ERR_VALUE, "parameter %zu holds a NUL, which the %s driver would cut at",
                       number, c->dbms->name);
    return 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hex text as bytes, kept in *bytes (to be freed by the caller) until after execution.
static int bind_bytes(struct odbc_conn *c, struct odbc_statement *st, SQLUSMALLINT number,
                      struct value v, SQLLEN *indicator, unsigned char **bytes, struct err *e)
{
    size_t n = v.state == VALUE_SET ? v.len / 2 : 0;
    *bytes = malloc(n ? n : 1);
    if (!*bytes)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        int high = nibble(v.data[2 * i]), low = nibble(v.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_set(e, ERR_VALUE, "parameter %u is no hex text", number);
        (*bytes)[i] = (unsigned char)(high << 4 | low);
    }
    *indicator = v.state == VALUE_SET ? (SQLLEN)n : SQL_NULL_DATA;
    if (!SQL_SUCCEEDED(SQLBindParameter(st->handle, number, SQL_PARAM_INPUT, SQL_C_BINARY,
                                        n > 4000 ? SQL_LONGVARBINARY : SQL_VARBINARY, n ? n : 1, 0,
                                        *bytes, (SQLLEN)n, indicator)))
        return odbc_err(c, SQL_HANDLE_STMT, st->handle, "binding bytes", e);
    return 0;
}

// Binds into `indicators`; data stays where the caller has it until after execution.
static int bind(struct odbc_conn *c, struct odbc_statement *st, const struct value *params,
                size_t n, SQLLEN *indicators, unsigned char **bytes, struct err *e)
{
    static char empty[1];
    for (size_t i = 0; i < n; i++) {
        if (st->hex && st->hex[i]) {
            if (bind_bytes(c, st, (SQLUSMALLINT)(i + 1), params[i], &indicators[i], &bytes[i], e))
                return -1;
            continue;
        }
        bool null = params[i].state == VALUE_NULL || params[i].state == VALUE_ABSENT;
        SQLULEN size = params[i].len ? params[i].len : 1;
        if (odbc_check_param(c, params[i], i + 1, e))
            return -1;
        indicators[i] = null ? SQL_NULL_DATA : (SQLLEN)params[i].len;
        char *data = params[i].data && !null ? (char *)params[i].data : empty;
        if (!SQL_SUCCEEDED(SQLBindParameter(st->handle, (SQLUSMALLINT)(i + 1), SQL_PARAM_INPUT,
                                            SQL_C_CHAR, size > 4000 ? SQL_LONGVARCHAR : SQL_VARCHAR,
                                            size, 0, data, (SQLLEN)params[i].len, &indicators[i])))
            return odbc_err(c, SQL_HANDLE_STMT, st->handle, "binding a parameter", e);
    }
    return 0;
}

static int execute_once(struct odbc_conn *c, struct str sql, const struct value *params, size_t n,
                        struct odbc_statement **out, struct err *e)
{
    SQLLEN small[64], *indicators = small;
    unsigned char **bytes = NULL; // of parameters that are bound as such
    struct odbc_statement *st;
    int result = -1;
    if (n > PARAMS_MAX)
        return err_set(e, ERR_LIMIT, "ODBC: %zu parameters", n);
    if (odbc_statement_get(c, sql, &st, e))
        return -1;
    if (n > 64 && !(indicators = calloc(n, sizeof *indicators)))
        return err_memory(e);
    if (st->hex && !(bytes = calloc(n ? n : 1, sizeof *bytes)))
        err_memory(e);
    else if (bind(c, st, params, n, indicators, bytes, e) == 0) {
        odbc_enter(c, st->handle);
        SQLRETURN r = SQLExecute(st->handle);
        odbc_leave(c);
        result = odbc_outcome(c, st->handle, r, "executing", e);
    }
    // The parameters' memory is the caller's: nothing may point at it after this.
    SQLFreeStmt(st->handle, SQL_RESET_PARAMS);
    if (indicators != small)
        free(indicators);
    for (size_t i = 0; bytes && i < n; i++)
        free(bytes[i]);
    free(bytes);
    if (result)
        odbc_statement_drop(c, st);
    else
        *out = st;
    return result;
}

int odbc_execute(struct odbc_conn *c, struct str sql, const struct value *params, size_t n,
                 struct odbc_statement **out, struct err *e)
{
    struct err first = {0};
    if (execute_once(c, sql, params, n, out, &first) == 0)
        return 0;
    // The failed statement did nothing and was dropped; prepared anew it may fit the table.
    if (first.native == NATIVE_NEEDS_PREPARE)
        return execute_once(c, sql, params, n, out, e);
    if (e)
        *e = first;
    return -1;
}

struct growing {
    struct arena *a;
    struct rows *rows;
    size_t room;
};

static struct value *next_row(struct growing *g)
{
    struct rows *r = g->rows;
    if (r->nrows == g->room) {
        size_t room = g->room ? g->room * 2 : 8;
        struct value *cells = arena_array(g->a, room * r->ncols, sizeof *cells);
        if (!cells)
            return NULL;
        if (r->nrows)
            memcpy(cells, r->cells, r->nrows * r->ncols * sizeof *cells);
        r->cells = cells;
        g->room = room;
    }
    return r->cells + r->nrows * r->ncols;
}

static int collect(struct odbc_conn *c, struct odbc_statement *st, struct growing *g,
                   size_t max_rows, struct err *e)
{
    int more;
    while ((more = odbc_fetch(c, st, e)) == 1) {
        if (max_rows && g->rows->nrows == max_rows)
            return err_set(e, ERR_LIMIT, "more than %zu rows", max_rows);
        struct value *cells = next_row(g);
        if (!cells)
            return err_set(e, ERR_LIMIT, "the result does not fit in this request's memory");
        if (odbc_take_row(c, st, g->a, cells, e))
            return -1;
        g->rows->nrows++;
    }
    return more;
}

static long long row_count(struct odbc_statement *st)
{
    SQLLEN n = -1;
    return SQL_SUCCEEDED(SQLRowCount(st->handle, &n)) ? (long long)n : -1;
}

int odbc_query(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
               struct arena *a, size_t max_rows, struct rows *out, struct err *e)
{
    struct odbc_statement *st;
    int result = -1;
    *out = (struct rows){.changed = -1};
    if (odbc_execute(c, sql, params, nparams, &st, e))
        return -1;
    if (odbc_columns_bind(c, st, 1, e) == 0) {
        struct growing g = {a, out, 0};
        out->ncols = (size_t)st->ncolumns;
        result = st->ncolumns > 0 ? collect(c, st, &g, max_rows, e) : 0;
        out->changed = st->ncolumns > 0 ? (long long)out->nrows : row_count(st);
    }
    SQLFreeStmt(st->handle, SQL_CLOSE);
    if (result)
        odbc_statement_drop(c, st);
    return result;
}

int odbc_each(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
              rows_each_fn *each, void *ctx, struct err *e)
{
    struct odbc_statement *st;
    struct value *cells = NULL;
    struct arena *a = NULL;
    int result = -1, more = 1;
    if (odbc_execute(c, sql, params, nparams, &st, e))
        return -1;
    if (odbc_columns_bind(c, st, BLOCK_ROWS, e))
        goto out;
    a = arena_create(0);
    cells = calloc((size_t)st->ncolumns + 1, sizeof *cells);
    if (!a || !cells) {
        err_memory(e);
        goto out;
    }
    while ((more = odbc_fetch(c, st, e)) == 1) {
        arena_reset(a);
        if (odbc_lend_row(c, st, a, cells, e) || each(ctx, cells, (size_t)st->ncolumns, e))
            goto out;
    }
    result = more;
out:
    free(cells);
    arena_destroy(a);
    SQLFreeStmt(st->handle, SQL_CLOSE);
    if (result)
        odbc_statement_drop(c, st);
    return result;
}

int odbc_exec(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
              long long *changed, struct err *e)
{
    struct odbc_statement *st;
    if (odbc_execute(c, sql, params, nparams, &st, e))
        return -1;
    if (changed)
        *changed = row_count(st);
    SQLFreeStmt(st->handle, SQL_CLOSE);
    return 0;
}
