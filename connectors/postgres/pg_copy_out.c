// SPDX-License-Identifier: Apache-2.0
// COPY .. TO STDOUT in text format, row by row: a line a row, columns by tab, \N for NULL,
// backslash escapes (PostgreSQL documentation, COPY). A row is taken apart where libpq put it.
#include "connectors/postgres/pg_int.h"

#define COLUMNS_MAX 1024

static char unescaped(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return c;
    }
}

// In place; the new length.
static size_t unescape(char *s, size_t len)
{
    char *first = memchr(s, '\\', len), *to = first;
    if (!first)
        return len;
    for (const char *p = first, *end = s + len; p < end; p++) {
        bool escape = *p == '\\' && p + 1 < end;
        *to++ = escape ? unescaped(*++p) : *p;
    }
    return (size_t)(to - s);
}

// Cells of one line without its newline; their number, 0 when there are too many.
static size_t take_apart(char *line, size_t len, struct value *cells)
{
    bool plain = !memchr(line, '\\', len);
    size_t n = 0;
    for (char *p = line, *end = line + len;; n++) {
        char *tab = memchr(p, '\t', (size_t)(end - p));
        size_t size = (size_t)((tab ? tab : end) - p);
        if (n == COLUMNS_MAX)
            return 0;
        if (!plain && size == 2 && p[0] == '\\' && p[1] == 'N')
            cells[n] = value_null();
        else
            cells[n] = value_set(str_n(p, plain ? size : unescape(p, size)));
        if (!tab)
            return n + 1;
        p = tab + 1;
    }
}

static int on_line(char *line, size_t len, rows_each_fn *each, void *ctx, struct err *e)
{
    struct value cells[COLUMNS_MAX];
    size_t n = take_apart(line, len > 0 && line[len - 1] == '\n' ? len - 1 : len, cells);
    return n ? each(ctx, cells, n, e) : err_set(e, ERR_LIMIT, "more than %d columns", COLUMNS_MAX);
}

// Takes what is left, so that the connection can be used again; 0 when the server was content.
static int finish(struct pg_conn *c, struct err *e)
{
    PGresult *r;
    char *line;
    int result = 0;
    while (PQgetCopyData(c->pq, &line, 0) > 0)
        PQfreemem(line);
    while ((r = PQgetResult(c->pq)) != NULL) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK && result == 0)
            result = pg_result_err(c, r, e);
        PQclear(r);
    }
    if (result == 0 && PQstatus(c->pq) != CONNECTION_OK)
        result = pg_conn_err(c, e);
    return result;
}

int pg_copy_each(struct pg_conn *c, struct str sql, rows_each_fn *each, void *ctx, struct err *e)
{
    struct buf text = BUF_INIT;
    struct err ignored = {0};
    char *line;
    int len, result = 0;
    buf_addstr(&text, sql);
    PGresult *r = text.data ? PQexec(c->pq, text.data) : NULL;
    buf_free(&text);
    if (PQresultStatus(r) != PGRES_COPY_OUT)
        result = pg_result_err(c, r, e);
    PQclear(r);
    if (result)
        return -1;
    while (result == 0 && (len = PQgetCopyData(c->pq, &line, 0)) > 0) {
        result = on_line(line, (size_t)len, each, ctx, e);
        PQfreemem(line);
    }
    return finish(c, result ? &ignored : e) || result ? -1 : 0;
}
