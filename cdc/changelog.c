// SPDX-License-Identifier: Apache-2.0
// The gap-safe changelog reader. Owns the list of missing numbers, as ranges in ascending order;
// does not own the connection and keeps nothing on disk: its caller stores changelog_low().
#include "cdc/changelog.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define PROBES_A_ROUND 256 // bounds the time that one round of looking at gaps may take
#define PROBE_AGAIN_MS 20  // an in-flight number is not asked for more often

// Numbers from..to are missing. A range is cut up as its numbers turn out differently.
struct gap {
    long long from, to;
    uint64_t empty_ns; // first found empty at; 0: not yet
    uint64_t next_ns;  // not looked at before
};

struct changelog {
    struct odbc_conn *conn;
    const struct dbms *dbms;
    long long top;
    struct buf top_row; // entity and key of the row `top`; empty: not read by us
    struct gap *gaps;
    size_t n, room;
};

// What one look at one number found.
enum look { LOOK_IN_FLIGHT, LOOK_EMPTY, LOOK_SHOWN };

struct out {
    struct arena *a;
    struct changelog_row *rows;
    size_t n, max;
};

static struct value number(struct arena *a, long long n)
{
    return value_set(arena_printf(a, "%lld", n));
}

static int query_number(struct changelog *l, const char *sql, struct arena *a, long long *out,
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
    struct arena *a = arena_create(0);
    long long max = 0;
    int result = l && a ? 0 : err_memory(e);
    *out = NULL;
    if (result == 0) {
        *l = (struct changelog){.conn = c, .dbms = odbc_dbms(c), .top = after};
        result = l->dbms->changelog_read_sql
                     ? query_number(l, l->dbms->changelog_max_sql, a, &max, e)
                     : err_set(e, ERR_UNSUPPORTED, "no changelog on %s", l->dbms->name);
    }
    if (result == 0 && max < after)
        result = err_set(e, ERR_STALE,
                         "the changelog ends at %lld but %lld was read before: a backup was"
                         " restored or the changelog emptied; a new snapshot is due",
                         max, after);
    arena_destroy(a);
    if (result) {
        free(l);
        return -1;
    }
    *out = l;
    return 0;
}

void changelog_close(struct changelog *l)
{
    if (!l)
        return;
    free(l->gaps);
    buf_free(&l->top_row);
    free(l);
}

static int note_top(struct changelog *l, const struct changelog_row *row, struct err *e)
{
    buf_reset(&l->top_row);
    buf_addstr(&l->top_row, row->entity);
    buf_addc(&l->top_row, '\n');
    buf_addstr(&l->top_row, row->key);
    return buf_check(&l->top_row, e);
}

static int gap_insert(struct changelog *l, size_t at, struct gap g, struct err *e)
{
    if (l->n == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct gap *more = realloc(l->gaps, room * sizeof *more);
        if (!more)
            return err_memory(e);
        l->gaps = more;
        l->room = room;
    }
    memmove(l->gaps + at + 1, l->gaps + at, (l->n - at) * sizeof *l->gaps);
    l->gaps[at] = g;
    l->n++;
    return 0;
}

static void gap_remove(struct changelog *l, size_t at)
{
    l->n--;
    memmove(l->gaps + at, l->gaps + at + 1, (l->n - at) * sizeof *l->gaps);
}

static int row_take(const struct value *cells, struct arena *a, struct changelog_row *out,
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

// Rows with seq in (after, upto], at most `limit`.
static int read_rows(struct changelog *l, long long after, long long upto, size_t limit,
                     struct out *o, struct err *e)
{
    struct rows rows;
    struct value p[] = {number(o->a, after), number(o->a, (long long)limit)};
    if (odbc_query(l->conn, str_of(l->dbms->changelog_read_sql), p, 2, o->a, 0, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows && o->n < o->max; i++) {
        struct changelog_row *row = &o->rows[o->n];
        if (row_take(rows_at(&rows, i, 0), o->a, row, e))
            return -1;
        if (row->seq > upto)
            break;
        o->n++;
    }
    return 0;
}

// New rows beyond `top`, and the numbers missing between them.
static int read_new(struct changelog *l, struct out *o, struct err *e)
{
    size_t first = o->n;
    uint64_t now = clock_mono_ns();
    if (o->n == o->max)
        return 0;
    if (read_rows(l, l->top, INT64_MAX, o->max - o->n, o, e))
        return -1;
    for (size_t i = first; i < o->n; i++) {
        long long seq = o->rows[i].seq;
        if (l->dbms->changelog_probe_sql && seq > l->top + 1 &&
            gap_insert(l, l->n, (struct gap){l->top + 1, seq - 1, 0, now}, e))
            return -1;
        l->top = seq;
    }
    return o->n > first ? note_top(l, &o->rows[o->n - 1], e) : 0;
}

static int out_init(struct out *o, size_t max, struct arena *a, struct err *e)
{
    *o = (struct out){.a = a, .max = max, .rows = arena_array(a, max + 1, sizeof *o->rows)};
    return o->rows ? 0 : err_memory(e);
}

int changelog_verify(struct changelog *l, struct err *e)
{
    struct out o;
    struct arena *a = l->top_row.len ? arena_create(0) : NULL;
    if (l->top_row.len == 0)
        return 0;
    int result = !a || out_init(&o, 1, a, e) ? err_memory(e) : 0;
    if (result == 0)
        result = read_rows(l, l->top - 1, l->top, 1, &o, e);
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
                             l->top);
    }
    arena_destroy(a);
    return result;
}

static int probe(struct changelog *l, long long seq, struct arena *a, enum look *found,
                 struct err *e)
{
    struct rows rows;
    struct err busy = {0};
    struct value p = number(a, seq);
    if (odbc_query(l->conn, str_of(l->dbms->changelog_probe_sql), &p, 1, a, 1, &rows, &busy)) {
        *found = LOOK_IN_FLIGHT;
        if (busy.code == ERR_BUSY && odbc_alive(l->conn))
            return 0;
        if (e)
            *e = busy;
        return -1;
    }
    *found = rows.nrows ? LOOK_SHOWN : LOOK_EMPTY;
    return 0;
}

// Takes the first number of gap `at` out of its range with its own state. Ranges of more than
// one number exist only while they have not been looked at, so that this is where they are cut.
static int gap_isolate(struct changelog *l, size_t at, struct err *e)
{
    struct gap g = l->gaps[at];
    if (g.from == g.to)
        return 0;
    l->gaps[at].to = g.from;
    g.from++;
    return gap_insert(l, at + 1, g, e);
}

// One look at the single number of gap `at`. *gone: it was settled and removed.
static int gap_look(struct changelog *l, size_t at, struct out *o, bool *gone, struct err *e)
{
    enum look found;
    struct gap *g = &l->gaps[at];
    uint64_t now = clock_mono_ns();
    *gone = false;
    if (probe(l, g->from, o->a, &found, e))
        return -1;
    if (found == LOOK_SHOWN) {
        size_t before = o->n;
        if (read_rows(l, g->from - 1, g->from, 1, o, e))
            return -1;
        *gone = o->n > before;
    } else if (found == LOOK_EMPTY) {
        *gone = g->empty_ns && now - g->empty_ns >= CHANGELOG_PAUSE_MS * 1000000ull;
        if (!g->empty_ns)
            g->empty_ns = now;
        g->next_ns = g->empty_ns + CHANGELOG_PAUSE_MS * 1000000ull;
    } else {
        g->empty_ns = 0;
        g->next_ns = now + PROBE_AGAIN_MS * 1000000ull;
    }
    if (*gone)
        gap_remove(l, at);
    return 0;
}

static int look_at_gaps(struct changelog *l, struct out *o, struct err *e)
{
    uint64_t now = clock_mono_ns();
    unsigned probes = 0;
    for (size_t i = 0; i < l->n && o->n < o->max && probes < PROBES_A_ROUND;) {
        bool gone = false;
        if (l->gaps[i].next_ns <= now) {
            probes++;
            if (gap_isolate(l, i, e) || gap_look(l, i, o, &gone, e))
                return -1;
        }
        i += !gone;
    }
    return 0;
}

int changelog_read(struct changelog *l, size_t max, struct arena *a, struct changelog_row **rows,
                   size_t *n, struct err *e)
{
    struct out o;
    *n = 0;
    if (out_init(&o, max, a, e) || look_at_gaps(l, &o, e) || read_new(l, &o, e))
        return -1;
    *rows = o.rows;
    *n = o.n;
    return 0;
}

// Rows inside one range, by plain reads; what stays missing is cut into ranges again.
static int gap_reread(struct changelog *l, size_t *at, struct out *o, struct err *e)
{
    struct gap g = l->gaps[*at];
    size_t first = o->n;
    if (read_rows(l, g.from - 1, g.to, o->max - o->n, o, e))
        return -1;
    gap_remove(l, *at);
    for (size_t i = first; i <= o->n; i++) {
        long long next = i < o->n ? o->rows[i].seq : g.to + 1;
        struct gap rest = {g.from, next - 1, g.empty_ns, g.next_ns};
        if (rest.from <= rest.to && gap_insert(l, (*at)++, rest, e))
            return -1;
        g.from = next + 1;
    }
    return 0;
}

int changelog_recheck(struct changelog *l, struct arena *a, struct changelog_row **rows, size_t *n,
                      struct err *e)
{
    struct out o;
    long long missing = 0;
    *n = 0;
    for (size_t i = 0; i < l->n; i++)
        missing += l->gaps[i].to - l->gaps[i].from + 1;
    // The rows of one gap never outnumber it, so that every gap is read to its end.
    if (missing > 1000000)
        return err_set(e, ERR_BUSY, "%lld changelog numbers are still open", missing);
    if (out_init(&o, (size_t)missing, a, e))
        return -1;
    for (size_t i = 0; i < l->n;)
        if (gap_reread(l, &i, &o, e))
            return -1;
    *rows = o.rows;
    *n = o.n;
    return 0;
}

long long changelog_low(const struct changelog *l)
{
    return l->n ? l->gaps[0].from - 1 : l->top;
}

long long changelog_top(const struct changelog *l)
{
    return l->top;
}

size_t changelog_gaps(const struct changelog *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += (size_t)(l->gaps[i].to - l->gaps[i].from + 1);
    return n;
}

int changelog_trim(struct changelog *l, long long upto, struct err *e)
{
    char text[24];
    if (upto >= l->top)
        upto = l->top - 1;
    if (upto <= 0)
        return 0;
    snprintf(text, sizeof text, "%lld", upto);
    struct value p = value_set(str_of(text));
    return odbc_exec(l->conn, str_of(l->dbms->changelog_trim_sql), &p, 1, NULL, e);
}
