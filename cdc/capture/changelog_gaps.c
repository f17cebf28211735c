// SPDX-License-Identifier: Apache-2.0
// Reading by numbers, where a missing one can be probed (MariaDB) or does not occur (SQLite).
// Owns the list of missing numbers, as ranges in ascending order; keeps nothing on disk.
#include "cdc/capture/changelog_int.h"

#include "base/clock.h"

#include <stdlib.h>

#define PROBES_A_ROUND 256 // bounds the time that one round of looking at gaps may take
#define PROBE_AGAIN_MS 20  // an in-flight number is not asked for more often

// Numbers from..to are missing. A range is cut up as its numbers turn out differently.
struct gap {
    long long from, to;
    uint64_t empty_ns; // first found empty at; 0: not yet
    uint64_t next_ns;  // not looked at before
};

// What one look at one number found.
enum look { LOOK_IN_FLIGHT, LOOK_EMPTY, LOOK_SHOWN };

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

// New rows beyond `top`, and the numbers missing between them.
static int read_new(struct changelog *l, struct changelog_out *o, struct err *e)
{
    size_t first = o->n;
    uint64_t now = clock_mono_ns();
    if (o->n == o->max)
        return 0;
    if (changelog_rows(l, l->top, INT64_MAX, o->max - o->n, o, e))
        return -1;
    for (size_t i = first; i < o->n; i++) {
        long long seq = o->rows[i].seq;
        if (l->dbms->changelog_probe_sql && seq > l->top + 1 &&
            gap_insert(l, l->n, (struct gap){l->top + 1, seq - 1, 0, now}, e))
            return -1;
        l->top = seq;
    }
    return o->n > first ? changelog_note_top(l, &o->rows[o->n - 1], e) : 0;
}

static int probe(struct changelog *l, long long seq, struct arena *a, enum look *found,
                 struct err *e)
{
    struct rows rows;
    struct err busy = {0};
    struct value p = changelog_param(a, seq);
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
static int gap_look(struct changelog *l, size_t at, struct changelog_out *o, bool *gone,
                    struct err *e)
{
    enum look found;
    struct gap *g = &l->gaps[at];
    uint64_t now = clock_mono_ns();
    *gone = false;
    if (probe(l, g->from, o->a, &found, e))
        return -1;
    if (found == LOOK_SHOWN) {
        size_t before = o->n;
        if (changelog_rows(l, g->from - 1, g->from, 1, o, e))
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

static int look_at_gaps(struct changelog *l, struct changelog_out *o, struct err *e)
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

static int gaps_open(struct changelog *l, long long after, struct err *e)
{
    struct arena *a = arena_create(0);
    long long max = 0;
    int result = a ? changelog_number(l, l->dbms->changelog_max_sql, a, &max, e) : err_memory(e);
    arena_destroy(a);
    l->top = after;
    if (result == 0 && max < after)
        result = err_set(e, ERR_STALE,
                         "the changelog ends at %lld but %lld was read before: a backup was"
                         " restored or the changelog emptied; a new snapshot is due",
                         max, after);
    return result;
}

static int gaps_read(struct changelog *l, struct changelog_out *o, struct err *e)
{
    return look_at_gaps(l, o, e) || read_new(l, o, e) ? -1 : 0;
}

// Rows inside one range, by plain reads; what stays missing is cut into ranges again.
static int gap_reread(struct changelog *l, size_t *at, struct changelog_out *o, struct err *e)
{
    struct gap g = l->gaps[*at];
    size_t first = o->n;
    if (changelog_rows(l, g.from - 1, g.to, o->max - o->n, o, e))
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

static int gaps_recheck(struct changelog *l, struct arena *a, struct changelog_out *o, bool *more,
                        struct err *e)
{
    size_t missing = changelog_gaps(l);
    *more = false;
    // The rows of one gap never outnumber it, so that every gap is read to its end.
    if (missing > 1000000)
        return err_set(e, ERR_BUSY, "%zu changelog numbers are still open", missing);
    if (changelog_out_init(o, missing, a, e))
        return -1;
    for (size_t i = 0; i < l->n;)
        if (gap_reread(l, &i, o, e))
            return -1;
    return 0;
}

static long long gaps_low(const struct changelog *l)
{
    return l->n ? l->gaps[0].from - 1 : l->top;
}

static size_t gaps_open_count(const struct changelog *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += (size_t)(l->gaps[i].to - l->gaps[i].from + 1);
    return n;
}

static long long gaps_trim_to(const struct changelog *l, long long upto)
{
    return upto >= l->top ? l->top - 1 : upto;
}

static void gaps_close(struct changelog *l)
{
    free(l->gaps);
}

const struct changelog_ops changelog_gaps_ops = {
    .open = gaps_open,
    .read = gaps_read,
    .recheck = gaps_recheck,
    .low = gaps_low,
    .position = gaps_low,
    .captured = changelog_top,
    .gaps = gaps_open_count,
    .trim_to = gaps_trim_to,
    .close = gaps_close,
};
