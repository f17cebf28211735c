// SPDX-License-Identifier: Apache-2.0
// Results of a statement: columns bound to modest buffers, fetched in blocks, long values in
// pieces. Lengths come from the indicators alone, since drivers do not terminate what they
// cut. A column longer than its buffer is fetched whole by SQLGetData.
#include "connectors/odbc/odbc_int.h"

#include <stdlib.h>

#define COLUMN_BUFFER_MAX 2048        // row by row, where a longer value can be had whole
#define BLOCK_COLUMN_MAX  (64u << 10) // in a block, where it cannot: a whole TEXT
#define BLOCK_BYTES       (16u << 20) // of address space; what is never filled costs nothing

// ---------------------------------------------------------------- binding

void odbc_columns_free(struct odbc_statement *st)
{
    for (SQLSMALLINT i = 0; st->columns && i < st->ncolumns; i++) {
        free(st->columns[i].data);
        free(st->columns[i].indicators);
    }
    free(st->columns);
    st->columns = NULL;
    st->ncolumns = 0;
    st->block = 0;
}

static int describe(struct odbc_conn *c, struct odbc_statement *st, SQLSMALLINT i, struct err *e)
{
    struct odbc_column *col = &st->columns[i];
    SQLCHAR name[256];
    SQLSMALLINT name_len, type, digits, nullable;
    SQLULEN size;
    if (!SQL_SUCCEEDED(SQLDescribeCol(st->handle, (SQLUSMALLINT)(i + 1), name, sizeof name,
                                      &name_len, &type, &size, &digits, &nullable)))
        return odbc_err(c, SQL_HANDLE_STMT, st->handle, "describing a column", e);
    bool binary = type == SQL_BINARY || type == SQL_VARBINARY || type == SQL_LONGVARBINARY;
    col->described = size;
    col->c_type = binary ? SQL_C_BINARY : SQL_C_CHAR;
    return 0;
}

// A buffer's bytes. Described sizes (in characters) are hints: a LONGTEXT says 1 GiB, an
// SQLite column may hold anything.
static SQLLEN buffer_size(const struct odbc_column *col, SQLULEN max)
{
    return col->described > max / 4 ? (SQLLEN)max + 1 : (SQLLEN)col->described * 4 + 32;
}

// Only MariaDB's driver gains by blocks. The rest of a long value cannot be had in a block
// (SQLSetPos with SQLGetData reads another row, in silence), so every value must fit.
static SQLULEN block_for(const struct odbc_conn *c, const struct odbc_statement *st, SQLULEN wanted)
{
    size_t width = 1;
    if (c->dbms != &dbms_mariadb)
        return 1;
    for (SQLSMALLINT i = 0; i < st->ncolumns; i++) {
        if (st->columns[i].described >= BLOCK_COLUMN_MAX)
            return 1;
        width += (size_t)buffer_size(&st->columns[i], BLOCK_COLUMN_MAX);
    }
    size_t fit = BLOCK_BYTES / width;
    return fit < 2 ? 1 : fit < wanted ? fit : wanted;
}

static int bind_block(struct odbc_conn *c, struct odbc_statement *st, SQLULEN block, struct err *e)
{
    SQLFreeStmt(st->handle, SQL_UNBIND);
    st->block = 0;
    for (SQLSMALLINT i = 0; i < st->ncolumns; i++) {
        struct odbc_column *col = &st->columns[i];
        free(col->data);
        free(col->indicators);
        col->size = buffer_size(col, block > 1 ? BLOCK_COLUMN_MAX : COLUMN_BUFFER_MAX);
        col->data = malloc((size_t)col->size * block);
        col->indicators = calloc(block, sizeof *col->indicators);
        if (!col->data || !col->indicators)
            return err_memory(e);
        if (!SQL_SUCCEEDED(SQLBindCol(st->handle, (SQLUSMALLINT)(i + 1), col->c_type, col->data,
                                      col->size, col->indicators)))
            return odbc_err(c, SQL_HANDLE_STMT, st->handle, "binding a column", e);
    }
    if (!SQL_SUCCEEDED(SQLSetStmtAttr(st->handle, SQL_ATTR_ROW_ARRAY_SIZE, (SQLPOINTER)block, 0)) ||
        !SQL_SUCCEEDED(SQLSetStmtAttr(st->handle, SQL_ATTR_ROWS_FETCHED_PTR, &st->fetched, 0)))
        return odbc_err(c, SQL_HANDLE_STMT, st->handle, "asking for blocks", e);
    st->block = block;
    return 0;
}

int odbc_columns_bind(struct odbc_conn *c, struct odbc_statement *st, SQLULEN block, struct err *e)
{
    SQLSMALLINT n = 0;
    st->fetched = st->next = 0;
    if (!SQL_SUCCEEDED(SQLNumResultCols(st->handle, &n)))
        return odbc_err(c, SQL_HANDLE_STMT, st->handle, "counting columns", e);
    if (n != st->ncolumns || !st->block) {
        odbc_columns_free(st);
        st->columns = calloc((size_t)n + 1, sizeof *st->columns);
        if (!st->columns)
            return err_memory(e);
        st->ncolumns = n;
        for (SQLSMALLINT i = 0; i < n; i++)
            if (describe(c, st, i, e))
                return -1;
    }
    block = block > 1 ? block_for(c, st, block) : 1;
    return n == 0 || block == st->block ? 0 : bind_block(c, st, block, e);
}

// ---------------------------------------------------------------- cells

static int hex(struct str raw, struct arena *a, struct value *out)
{
    static const char digits[] = "0123456789abcdef";
    char *p = arena_array(a, raw.len ? raw.len : 1, 2);
    if (!p)
        return -1;
    for (size_t i = 0; i < raw.len; i++) {
        p[2 * i] = digits[(unsigned char)raw.data[i] >> 4];
        p[2 * i + 1] = digits[(unsigned char)raw.data[i] & 15];
    }
    *out = value_set(str_n(p, raw.len * 2));
    return 0;
}

// The whole of a column that was cut, in pieces.
static int fetch_long(struct odbc_conn *c, struct odbc_statement *st, SQLSMALLINT i,
                      struct buf *whole, struct err *e)
{
    char piece[16384];
    const struct odbc_column *col = &st->columns[i];
    SQLLEN room = col->c_type == SQL_C_CHAR ? (SQLLEN)sizeof piece - 1 : (SQLLEN)sizeof piece;
    for (;;) {
        SQLLEN got = 0;
        SQLRETURN r = SQLGetData(st->handle, (SQLUSMALLINT)(i + 1), col->c_type, piece,
                                 (SQLLEN)sizeof piece, &got);
        if (r == SQL_NO_DATA)
            return buf_check(whole, e);
        if (!SQL_SUCCEEDED(r))
            return odbc_err(c, SQL_HANDLE_STMT, st->handle, "reading a long column", e);
        bool more = got == SQL_NO_TOTAL || got > room;
        buf_add(whole, piece, more ? (size_t)room : (size_t)got);
        if (!more)
            return buf_check(whole, e);
    }
}

// `lend`: text stays in the column's buffer, where the next fetch overwrites it.
static int cell(struct odbc_conn *c, struct odbc_statement *st, SQLSMALLINT i, bool lend,
                struct arena *a, struct value *out, struct err *e)
{
    const struct odbc_column *col = &st->columns[i];
    SQLLEN room = col->c_type == SQL_C_CHAR ? col->size - 1 : col->size;
    struct buf whole = BUF_INIT;
    SQLLEN len = col->indicators[st->next];
    struct str raw = str_n(col->data + (SQLLEN)st->next * col->size, (size_t)len);
    bool cut = len == SQL_NO_TOTAL || len > room;
    int result = 0;
    if (len == SQL_NULL_DATA) {
        *out = value_null();
        return 0;
    }
    if (cut) {
        if (st->block > 1) {
            err_set(e, ERR_SCHEMA, "ODBC: column %d became wider while it was read", i + 1);
            if (e)
                e->retriable = true;
            return -1;
        }
        if (fetch_long(c, st, i, &whole, e)) {
            buf_free(&whole);
            return -1;
        }
        raw = buf_str(&whole);
    }
    if (col->c_type == SQL_C_BINARY) {
        result = hex(raw, a, out);
    } else if (lend && !cut) {
        *out = value_set(raw);
    } else {
        struct str kept = arena_str(a, raw);
        *out = value_set(kept);
        result = kept.data ? 0 : -1;
    }
    buf_free(&whole);
    return result ? err_set(e, ERR_LIMIT, "the result does not fit in this request's memory") : 0;
}

// ---------------------------------------------------------------- rows

int odbc_fetch(struct odbc_conn *c, struct odbc_statement *st, struct err *e)
{
    if (st->fetched > 0 && ++st->next < st->fetched)
        return 1;
    st->fetched = st->next = 0;
    bool steps = c->dbms == &dbms_sqlite; // the work is done while fetching
    if (steps)
        odbc_enter(c, st->handle);
    SQLRETURN r = SQLFetch(st->handle);
    if (steps)
        odbc_leave(c);
    if (r == SQL_NO_DATA)
        return 0;
    if (!SQL_SUCCEEDED(r))
        return odbc_err(c, SQL_HANDLE_STMT, st->handle, "fetching", e);
    if (st->block == 1)
        st->fetched = 1;
    return st->fetched > 0;
}

static int take_cells(struct odbc_conn *c, struct odbc_statement *st, bool lend, struct arena *a,
                      struct value *cells, struct err *e)
{
    for (SQLSMALLINT i = 0; i < st->ncolumns; i++)
        if (cell(c, st, i, lend, a, &cells[i], e))
            return -1;
    return 0;
}

int odbc_take_row(struct odbc_conn *c, struct odbc_statement *st, struct arena *a,
                  struct value *cells, struct err *e)
{
    return take_cells(c, st, false, a, cells, e);
}

int odbc_lend_row(struct odbc_conn *c, struct odbc_statement *st, struct arena *a,
                  struct value *cells, struct err *e)
{
    return take_cells(c, st, true, a, cells, e);
}
