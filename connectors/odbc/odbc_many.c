// SPDX-License-Identifier: Apache-2.0
// One statement for many parameter rows. MariaDB has a true bulk protocol behind
// SQL_ATTR_PARAMSET_SIZE; the other drivers loop anyway, so there the loop is ours and knows
// which row failed.
#include "connectors/odbc/odbc_int.h"

#include <stdlib.h>

#define BATCH_ROWS        1000
#define BATCH_BYTES       (8u << 20)
#define MARIADB_NO_ARRAYS 1295 // the bulk protocol knows no INSERT .. SELECT

struct batch {
    char *data;         // ncols blocks of rows * stride
    SQLLEN *indicators; // column-wise
    size_t *stride;
};

static void batch_free(struct batch *b)
{
    free(b->data);
    free(b->indicators);
    free(b->stride);
}

// How many of the rows fit in one batch, and the stride of each column for them.
static size_t measure(const struct value *params, size_t ncols, size_t nrows, size_t *stride)
{
    size_t rows = 0;
    for (size_t i = 0; i < ncols; i++)
        stride[i] = 1;
    for (; rows < nrows && rows < BATCH_ROWS; rows++) {
        size_t wider = 0;
        for (size_t i = 0; i < ncols; i++) {
            size_t len = params[rows * ncols + i].len;
            wider += len > stride[i] ? len : stride[i];
        }
        if (rows > 0 && wider * (rows + 1) > BATCH_BYTES)
            break;
        for (size_t i = 0; i < ncols; i++)
            if (params[rows * ncols + i].len > stride[i])
                stride[i] = params[rows * ncols + i].len;
    }
    return rows;
}

static int batch_fill(struct odbc_conn *c, struct odbc_statement *st, struct batch *b,
                      const struct value *params, size_t ncols, size_t rows, struct err *e)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < ncols; i++)
        total += b->stride[i] * rows;
    b->data = malloc(total ? total : 1);
    b->indicators = calloc(ncols * rows, sizeof *b->indicators);
    if (!b->data || !b->indicators)
        return err_memory(e);
    for (size_t i = 0; i < ncols; i++) {
        for (size_t r = 0; r < rows; r++) {
            struct value v = params[r * ncols + i];
            bool null = v.state == VALUE_NULL || v.state == VALUE_ABSENT;
            b->indicators[i * rows + r] = null ? SQL_NULL_DATA : (SQLLEN)v.len;
            if (!null && v.len)
                memcpy(b->data + at + r * b->stride[i], v.data, v.len);
        }
        if (!SQL_SUCCEEDED(
                SQLBindParameter(st->handle, (SQLUSMALLINT)(i + 1), SQL_PARAM_INPUT, SQL_C_CHAR,
                                 b->stride[i] > 4000 ? SQL_LONGVARCHAR : SQL_VARCHAR, b->stride[i],
                                 0, b->data + at, (SQLLEN)b->stride[i], b->indicators + i * rows)))
            return odbc_err(c, SQL_HANDLE_STMT, st->handle, "binding an array", e);
        at += b->stride[i] * rows;
    }
    return 0;
}

// MariaDB's driver reports an array as done, each row a success, when the server refused it
// with SQLSTATE 01000; the server itself knows better.
static int hidden_error(struct odbc_conn *c, struct err *e)
{
    struct arena *a = arena_create(1 << 16);
    struct rows r = {0};
    long long native = 0;
    int result = a ? odbc_query(c, STR("SHOW ERRORS LIMIT 1"), NULL, 0, a, 0, &r, e)
                   : err_memory(e);
    if (result == 0 && r.nrows == 1 && r.ncols == 3) {
        struct value code = r.cells[1], text = r.cells[2];
        if (!str_to_int(value_str(code), 1, INT32_MAX, &native))
            native = 0;
        char *message = arena_strz(a, value_str(text));
        result = err_set(e, c->dbms->classify("01000", (int)native, message ? message : ""),
                         "ODBC: executing an array: %.380s", message ? message : "refused");
        if (e)
            e->native = (int)native;
    }
    arena_destroy(a);
    return result;
}

static int batch_run(struct odbc_conn *c, struct str sql, const struct value *params, size_t ncols,
                     size_t nrows, size_t *taken, struct err *e)
{
    struct odbc_statement *st;
    struct batch b = {.stride = calloc(ncols ? ncols : 1, sizeof(size_t))};
    int result = -1;
    if (!b.stride)
        return err_memory(e);
    if (odbc_statement_get(c, sql, &st, e)) {
        batch_free(&b);
        return -1;
    }
    *taken = measure(params, ncols, nrows, b.stride);
    if (batch_fill(c, st, &b, params, ncols, *taken, e) == 0) {
        SQLSetStmtAttr(st->handle, SQL_ATTR_PARAMSET_SIZE, (SQLPOINTER)*taken, 0);
        odbc_enter(c, st->handle);
        SQLRETURN r = SQLExecute(st->handle);
        odbc_leave(c);
        result = odbc_outcome(c, st->handle, r, "executing an array", e);
    }
    SQLFreeStmt(st->handle, SQL_CLOSE);
    SQLFreeStmt(st->handle, SQL_RESET_PARAMS);
    SQLSetStmtAttr(st->handle, SQL_ATTR_PARAMSET_SIZE, (SQLPOINTER)1, 0);
    if (result)
        odbc_statement_drop(c, st);
    else
        result = hidden_error(c, e);
    batch_free(&b);
    return result;
}

int odbc_exec_many(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
                   size_t nrows, long long *failed_row, struct err *e)
{
    bool arrays = c->dbms == &dbms_mariadb && nrows > 1;
    struct err mine = {0};
    e = e ? e : &mine;
    *failed_row = -1;
    for (size_t row = 0, taken = 0; row < nrows; row += taken) {
        taken = 1;
        const struct value *first = params + row * nparams;
        int failed = arrays ? batch_run(c, sql, first, nparams, nrows - row, &taken, e)
                            : odbc_exec(c, sql, first, nparams, NULL, e);
        if (failed && arrays && e->native == MARIADB_NO_ARRAYS) {
            arrays = false; // refused before the first row
            taken = 0;
            continue;
        }
        if (failed) {
            *failed_row = arrays ? -1 : (long long)row;
            return -1;
        }
    }
    return 0;
}
