// SPDX-License-Identifier: Apache-2.0
// The changelog reader's front, and what both ways of reading share: rows, the newest row read
// (which trimming leaves and verification looks for), trimming. Numbers and their gaps are
// changelog_gaps.c, snapshot difference is changelog_snapshot.c. Does not own the connection.
#include "cdc/capture/changelog_int.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIM_NUMBERS 20000 // of one statement: a long one would hold up the legacy's writers

struct value changelog_param(struct arena *a, long long n)
{
    return value_set(arena_printf(a, "%lld", n));
}

int changelog_number(struct changelog *l, const char *sql, struct arena *a, long long *out,
                     struct err *e)
{
    struct rows rows;
    if (odbc_query(l->conn, str_of(sql), NULL, 0, a, 1, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out))
        return err_set(e, ERR_SCHEMA, "the changelog gave no number");
    return 0;
}

int changelog_open(struct odbc_conn *c, long long after, struct changelog **out, struct err *e)
{
    struct changelog *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l)
        return err_memory(e);
    *l = (struct changelog){.conn = c, .dbms = odbc_dbms(c)};
    l->ops = l->dbms->changelog_snapshot_sql ? &changelog_snapshot_ops : &changelog_gaps_ops;
    int result = l->dbms->changelog_read_sql
                     ? l->ops->open(l, after, e)
                     : err_set(e, ERR_UNSUPPORTED, "no changelog on %s", l->dbms->name);
    if (result) {
        changelog_close(l);
        return -1;
    }
    *out = l;
    return 0;
}

void changelog_close(struct changelog *l)
{
    if (!l)
        return;
    l->ops->close(l);
    buf_free(&l->top_row);
    free(l);
}

int changelog_note_top(struct changelog *l, const struct changelog_row *row, struct err *e)
{
    l->verified = row->seq;
    buf_reset(&l->top_row);
    buf_addstr(&l->top_row, row->entity);
    buf_addc(&l->top_row, '\n');
    buf_addstr(&l->top_row, row->key);
    return buf_check(&l->top_row, e);
}

int changelog_take(const struct value *cells, struct arena *a, struct changelog_row *out,
                   struct err *e)
{
    long long at = 0;
    if (!str_to_int(value_str(cells[0]), 1, INT64_MAX, &out->seq))
        return err_set(e, ERR_SCHEMA, "a changelog row without a number");
    out->entity = arena_str(a, value_str(cells[1]));
    out->key = arena_str(a, value_str(cells[2]));
    if (cells[4].state == VALUE_SET && str_to_int(value_str(cells[4]), 0, INT64_MAX, &at))
        out->at_us = (uint64_t)at;
    return out->entity.data && out->key.data ? 0 : err_memory(e);
}

int changelog_rows(struct changelog *l, long long after, long long upto, size_t limit,
                   struct changelog_out *o, struct err *e)
{
    struct rows rows;
    struct value p[] = {changelog_param(o->a, after), changelog_param(o->a, (long long)limit)};
    if (odbc_query(l->conn, str_of(l->dbms->changelog_read_sql), p, 2, o->a, 0, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows && o->n < o->max; i++) {
        struct changelog_row *row = &o->rows[o->n];
        if (changelog_take(rows_at(&rows, i, 0), o->a, row, e))
            return -1;
        if (row->seq > upto)
            break;
        o->n++;
    }
    return 0;
}

int changelog_out_init(struct changelog_out *o, size_t max, struct arena *a, struct err *e)
{
    *o = (struct changelog_out){
        .a = a, .max = max, .rows = arena_array(a, max + 1, sizeof *o->rows)};
    return o->rows ? 0 : err_memory(e);
}

int changelog_verify(struct changelog *l, struct err *e)
{
    struct changelog_out o;
    struct arena *a = l->top_row.len ? arena_create(0) : NULL;
    if (l->top_row.len == 0)
        return 0;
    int result = !a || changelog_out_init(&o, 1, a, e) ? err_memory(e) : 0;
    if (result == 0)
        result = changelog_rows(l, l->verified - 1, l->verified, 1, &o, e);
    if (result == 0) {
        struct str was = buf_str(&l->top_row);
        const struct changelog_row *row = &o.rows[0];
        struct str now = o.n ? arena_printf(a, "%.*s\n%.*s", (int)row->entity.len, row->entity.data,
                                            (int)row->key.len, row->key.data)
                             : (struct str){0};
        if (!str_eq(was, now))
            result = err_set(e, ERR_STALE,
                             "changelog row %lld, which was read before, is gone or another one: a"
                             " backup was restored or the changelog emptied; a new snapshot is due",
                             l->verified);
    }
    arena_destroy(a);
    return result;
}

int changelog_read(struct changelog *l, size_t max, struct arena *a, struct changelog_row **rows,
                   size_t *n, struct err *e)
{
    struct changelog_out o;
    *n = 0;
    if (changelog_out_init(&o, max, a, e) || l->ops->read(l, &o, e))
        return -1;
    *rows = o.rows;
    *n = o.n;
    return 0;
}

bool changelog_fresh(const struct changelog *l)
{
    return !l->ops->fresh || l->ops->fresh(l);
}

int changelog_recheck(struct changelog *l, struct arena *a, struct changelog_row **rows, size_t *n,
                      bool *more, struct err *e)
{
    struct changelog_out o;
    *n = 0;
    if (l->ops->recheck(l, a, &o, more, e))
        return -1;
    *rows = o.rows;
    *n = o.n;
    return 0;
}

long long changelog_low(const struct changelog *l)
{
    return l->ops->low(l);
}

long long changelog_position(const struct changelog *l)
{
    return l->ops->position(l);
}

long long changelog_captured(const struct changelog *l)
{
    return l->ops->captured(l);
}

long long changelog_top(const struct changelog *l)
{
    return l->top;
}

size_t changelog_gaps(const struct changelog *l)
{
    return l->ops->gaps(l);
}

long long changelog_trimmed(const struct changelog *l)
{
    return l->trimmed;
}

int changelog_trim(struct changelog *l, long long upto, struct err *e)
{
    char text[24];
    upto = l->ops->trim_to(l, upto);
    if (upto <= l->trimmed)
        return 0;
    long long to = l->trimmed && upto - l->trimmed > TRIM_NUMBERS ? l->trimmed + TRIM_NUMBERS
                                                                  : upto;
    snprintf(text, sizeof text, "%lld", to);
    struct value p = value_set(str_of(text));
    if (odbc_exec(l->conn, str_of(l->dbms->changelog_trim_sql), &p, 1, NULL, e))
        return -1;
    l->trimmed = to;
    return 0;
}
