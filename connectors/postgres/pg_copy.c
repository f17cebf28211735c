// SPDX-License-Identifier: Apache-2.0
// COPY FROM STDIN in text format, array literals and notices. Text format of COPY: columns by
// tab, rows by newline, NULL as \\N, backslash escapes (PostgreSQL documentation, COPY).
#include "connectors/postgres/pg_int.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>

#define COPY_CHUNK (64u << 10)

int pg_copy_begin(struct pg_conn *c, struct str sql, struct err *e)
{
    struct buf text = BUF_INIT;
    buf_addstr(&text, sql);
    PGresult *r = text.data ? PQexec(c->pq, text.data) : NULL;
    int result = PQresultStatus(r) == PGRES_COPY_IN ? 0 : pg_result_err(c, r, e);
    PQclear(r);
    buf_free(&text);
    buf_reset(&c->copy);
    return result;
}

static void add_cell(struct buf *out, struct value v)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT) {
        buf_add(out, "\\N", 2);
        return;
    }
    size_t start = 0;
    for (size_t i = 0; i < v.len; i++) {
        char c = v.data[i];
        const char *escape = c == '\\'   ? "\\\\"
                             : c == '\n' ? "\\n"
                             : c == '\r' ? "\\r"
                             : c == '\t' ? "\\t"
                                         : NULL;
        if (!escape)
            continue;
        buf_add(out, v.data + start, i - start);
        buf_add(out, escape, 2);
        start = i + 1;
    }
    buf_add(out, v.data + start, v.len - start);
}

static int copy_send(struct pg_conn *c, struct err *e)
{
    if (buf_check(&c->copy, e))
        return -1;
    if (c->copy.len && PQputCopyData(c->pq, c->copy.data, (int)c->copy.len) != 1)
        return pg_conn_err(c, e);
    buf_reset(&c->copy);
    return 0;
}

int pg_copy_row(struct pg_conn *c, const struct value *cells, size_t ncols, struct err *e)
{
    for (size_t i = 0; i < ncols; i++) {
        if (i)
            buf_addc(&c->copy, '\t');
        add_cell(&c->copy, cells[i]);
    }
    buf_addc(&c->copy, '\n');
    return c->copy.len < COPY_CHUNK ? 0 : copy_send(c, e);
}

int pg_copy_end(struct pg_conn *c, long long *rows, struct err *e)
{
    PGresult *r;
    int result = copy_send(c, e);
    long long n = -1;
    if (PQputCopyEnd(c->pq, result ? "abandoned" : NULL) != 1)
        return pg_conn_err(c, e);
    while ((r = PQgetResult(c->pq)) != NULL) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK && result == 0)
            result = pg_result_err(c, r, e);
        else if (!str_to_int(str_of(PQcmdTuples(r)), 0, INT64_MAX, &n))
            n = -1;
        PQclear(r);
    }
    if (rows)
        *rows = n;
    return result;
}

void pg_array_literal(struct buf *out, const struct value *items, size_t n, size_t stride)
{
    buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        const struct value *v = &items[i * stride];
        if (i)
            buf_addc(out, ',');
        if (v->state == VALUE_NULL || v->state == VALUE_ABSENT) {
            buf_add(out, "NULL", 4);
            continue;
        }
        buf_addc(out, '"');
        size_t start = 0;
        for (size_t k = 0; k < v->len; k++) {
            if (v->data[k] != '"' && v->data[k] != '\\')
                continue;
            buf_add(out, v->data + start, k - start);
            buf_addc(out, '\\');
            start = k;
        }
        buf_add(out, v->data + start, v->len - start);
        buf_addc(out, '"');
    }
    buf_addc(out, '}');
}

// 1 got one, 0 none.
static int take_notice(struct pg_conn *c, struct pg_notice *out)
{
    PGnotify *n = PQnotifies(c->pq);
    if (!n)
        return 0;
    int unfit = str_copy(out->channel, sizeof out->channel, str_of(n->relname)) ||
                str_copy(out->payload, sizeof out->payload, str_of(n->extra));
    PQfreemem(n);
    return unfit ? 0 : 1;
}

int pg_wait_notice(struct pg_conn *c, unsigned ms, struct pg_notice *out, struct err *e)
{
    struct pollfd p = {.fd = PQsocket(c->pq), .events = POLLIN};
    uint64_t now = clock_mono_ms(), end = now + ms;
    // Input need not be a notice: another message, or the first part of one.
    while (!take_notice(c, out)) {
        int ready = poll(&p, 1, (int)(end - now));
        if (ready < 0 && errno != EINTR)
            return err_set(e, ERR_INTERNAL, "poll: errno %d", errno);
        if (ready > 0 && (!PQconsumeInput(c->pq) || PQstatus(c->pq) != CONNECTION_OK))
            return pg_conn_err(c, e);
        now = clock_mono_ms();
        if (now >= end)
            return take_notice(c, out);
    }
    return 1;
}
