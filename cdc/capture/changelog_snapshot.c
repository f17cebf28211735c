// SPDX-License-Identifier: Apache-2.0
// Reading by snapshot difference (PostgreSQL). A cycle takes the store's present snapshot and
// gives out what is visible in it and was not in the one before:
//
//   late  rows of transactions that were in progress then and have ended since
//   new   rows of transactions that began since, visible in the present snapshot
//   done  the present snapshot becomes the one before
//
// in pages by (transaction, number), so that nothing is read twice and a transaction that stays
// open for an hour costs nothing. The present state of each key is what goes out, so that their
// order inside a cycle does not matter. A restart begins at the oldest transaction that was in
// progress: some keys are read again, which does no harm.
//
// changelog_low() is a number below which every row was given out. Numbers are handed out before
// their transaction commits, but after it has its id; so when all transactions with an id below B
// have ended, where B was handed out after number L, every row up to L has been seen.
#include "cdc/capture/changelog_int.h"

#include "base/clock.h"

#include <stdlib.h>

#define OPEN_MAX    4096 // transactions in progress in one snapshot
#define HORIZONS    64
#define HORIZON_MS  200
#define SNAPSHOT_SQ "the store's snapshot cannot be read"

struct snapshot {
    long long xmin, xmax;
    long long *open; // in progress, ascending; owned
    size_t nopen;
};

// Every transaction below `xid` has ended => every number up to `seq` was seen.
struct horizon {
    long long seq, xid;
};

enum phase { PHASE_DONE, PHASE_LATE, PHASE_NEW };

struct snapshot_reader {
    struct snapshot before, now;
    struct buf before_text, now_text;
    enum phase phase;
    struct buf late;        // "{1,2}": the transactions that ended
    long long xid, seq;     // where the last page ended
    long long verified_xid; // of the row that changelog_verify() looks for
    struct horizon horizons[HORIZONS];
    size_t nhorizons;
    long long low, horizon_seq;
    uint64_t horizon_ns;
};

static bool take_number(struct str *rest, char end, long long *out)
{
    const char *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    size_t n = at ? (size_t)(at - rest->data) : rest->len;
    if (!str_to_int(str_n(rest->data, n), 0, INT64_MAX, out))
        return false;
    n += at != NULL;
    *rest = str_n(rest->data + n, rest->len - n);
    return true;
}

// "xmin:xmax:xid,xid,..".
static int parse(struct str text, struct snapshot *s, struct err *e)
{
    struct str rest = text;
    size_t n = 0;
    free(s->open);
    *s = (struct snapshot){0};
    if (!take_number(&rest, ':', &s->xmin) || !take_number(&rest, ':', &s->xmax))
        return err_set(e, ERR_SCHEMA, SNAPSHOT_SQ);
    for (size_t i = 0; i < rest.len; i++)
        n += rest.data[i] == ',';
    if (n >= OPEN_MAX)
        return err_set(e, ERR_LIMIT, "%zu transactions are in progress in the legacy store", n + 1);
    s->open = calloc(n + 1, sizeof *s->open);
    if (!s->open)
        return err_memory(e);
    while (rest.len)
        if (!take_number(&rest, ',', &s->open[s->nopen++]))
            return err_set(e, ERR_SCHEMA, SNAPSHOT_SQ);
    return 0;
}

static bool in_progress(const struct snapshot *s, long long xid)
{
    for (size_t i = 0; i < s->nopen; i++)
        if (s->open[i] == xid)
            return true;
    return xid >= s->xmax;
}

static int look(struct changelog *l, struct arena *a, struct buf *text, struct err *e)
{
    struct rows rows;
    if (odbc_query(l->conn, str_of(l->dbms->changelog_snapshot_sql), NULL, 0, a, 1, &rows, e))
        return -1;
    if (rows.nrows != 1)
        return err_set(e, ERR_SCHEMA, SNAPSHOT_SQ);
    buf_reset(text);
    buf_addstr(text, value_str(rows.cells[0]));
    return buf_check(text, e);
}

static int snapshot_open(struct changelog *l, long long after, struct err *e)
{
    struct snapshot_reader *r = calloc(1, sizeof *r);
    struct arena *a = arena_create(0);
    l->snapshot = r;
    int result = r && a ? look(l, a, &r->now_text, e) : err_memory(e);
    arena_destroy(a);
    if (result || parse(buf_str(&r->now_text), &r->now, e))
        return -1;
    if (r->now.xmax < after)
        return err_set(e, ERR_STALE,
                       "the legacy store is at transaction %lld but %lld was read before: a backup"
                       " was restored; a new snapshot is due",
                       r->now.xmax, after);
    r->before.xmin = r->before.xmax = after;
    return 0;
}

// The transactions of the snapshot before that have ended.
static int begin_cycle(struct snapshot_reader *r, struct err *e)
{
    size_t n = 0;
    buf_reset(&r->late);
    buf_addc(&r->late, '{');
    for (size_t i = 0; i < r->before.nopen; i++)
        if (!in_progress(&r->now, r->before.open[i]))
            buf_printf(&r->late, "%s%lld", n++ ? "," : "", r->before.open[i]);
    buf_addc(&r->late, '}');
    r->phase = n ? PHASE_LATE : PHASE_NEW;
    r->xid = n ? 0 : r->before.xmax - 1;
    r->seq = n ? 0 : INT64_MAX;
    return buf_check(&r->late, e);
}

static int page(struct changelog *l, struct changelog_out *o, size_t *got, struct err *e)
{
    struct snapshot_reader *r = l->snapshot;
    struct value xid = changelog_param(o->a, r->xid), seq = changelog_param(o->a, r->seq);
    struct value limit = changelog_param(o->a, (long long)(o->max - o->n));
    struct value late[] = {value_set(buf_str(&r->late)), xid, seq, limit};
    struct value fresh[] = {xid, seq, changelog_param(o->a, r->now.xmax),
                            value_set(buf_str(&r->now_text)), limit};
    bool is_late = r->phase == PHASE_LATE;
    struct rows rows;
    if (odbc_query(l->conn,
                   str_of(is_late ? l->dbms->changelog_late_sql : l->dbms->changelog_diff_sql),
                   is_late ? late : fresh, is_late ? 4 : 5, o->a, 0, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows && o->n < o->max; i++) {
        const struct value *cells = rows_at(&rows, i, 0);
        struct changelog_row *row = &o->rows[o->n++];
        if (changelog_take(cells, o->a, row, e))
            return -1;
        if (!str_to_int(value_str(cells[5]), 0, INT64_MAX, &r->xid))
            return err_set(e, ERR_SCHEMA, "a changelog row without a transaction");
        r->seq = row->seq;
        if (row->seq > l->top)
            l->top = row->seq;
        if (r->xid >= r->verified_xid) {
            r->verified_xid = r->xid;
            if (changelog_note_top(l, row, e))
                return -1;
        }
    }
    *got = rows.nrows;
    return 0;
}

static void end_cycle(struct snapshot_reader *r)
{
    struct snapshot old = r->before;
    struct buf text = r->before_text;
    r->before = r->now;
    r->before_text = r->now_text;
    r->now = old;
    r->now_text = text;
    r->phase = PHASE_DONE;
    size_t passed = 0;
    while (passed < r->nhorizons && r->horizons[passed].xid <= r->before.xmin)
        r->low = r->horizons[passed++].seq;
    r->nhorizons -= passed;
    memmove(r->horizons, r->horizons + passed, r->nhorizons * sizeof r->horizons[0]);
}

struct horizon_job {
    struct changelog *l;
    struct arena *a;
    long long numbers[2];
    size_t n;
};

static int horizon_number(void *ctx, struct str sql, struct err *e)
{
    struct horizon_job *j = ctx;
    char *z = arena_strz(j->a, sql);
    if (!z || j->n == 2)
        return err_memory(e);
    return changelog_number(j->l, z, j->a, &j->numbers[j->n++], e);
}

// Now and then, while there are numbers above the last horizon.
static int add_horizon(struct changelog *l, struct arena *a, struct err *e)
{
    struct snapshot_reader *r = l->snapshot;
    struct horizon_job j = {.l = l, .a = a};
    uint64_t now = clock_mono_ns();
    if (l->top <= r->horizon_seq || r->nhorizons == HORIZONS ||
        now - r->horizon_ns < HORIZON_MS * 1000000ull)
        return 0;
    if (dbms_each_statement(str_of(l->dbms->changelog_horizon_sql), horizon_number, &j, e))
        return -1;
    r->horizons[r->nhorizons++] = (struct horizon){j.numbers[0], j.numbers[1]};
    r->horizon_seq = j.numbers[0];
    r->horizon_ns = now;
    return 0;
}

static int snapshot_read(struct changelog *l, struct changelog_out *o, struct err *e)
{
    struct snapshot_reader *r = l->snapshot;
    size_t got = 0;
    if (r->phase == PHASE_DONE) {
        if (add_horizon(l, o->a, e) || look(l, o->a, &r->now_text, e))
            return -1;
        if (str_eq(buf_str(&r->now_text), buf_str(&r->before_text)))
            return 0;
        if (parse(buf_str(&r->now_text), &r->now, e) || begin_cycle(r, e))
            return -1;
    }
    while (o->n < o->max && r->phase != PHASE_DONE) {
        size_t room = o->max - o->n;
        if (page(l, o, &got, e))
            return -1;
        if (got >= room)
            return 0;
        if (r->phase == PHASE_NEW) {
            end_cycle(r);
        } else {
            r->phase = PHASE_NEW;
            r->xid = r->before.xmax - 1;
            r->seq = INT64_MAX;
        }
    }
    return 0;
}

// What was committed before a marker is visible wherever the marker is: the rest of the cycle.
static int snapshot_recheck(struct changelog *l, struct arena *a, struct changelog_out *o,
                            bool *more, struct err *e)
{
    struct snapshot_reader *r = l->snapshot;
    *more = false;
    if (changelog_out_init(o, r->phase == PHASE_DONE ? 0 : 1000, a, e))
        return -1;
    if (r->phase != PHASE_DONE && snapshot_read(l, o, e))
        return -1;
    *more = r->phase != PHASE_DONE;
    return 0;
}

// A cycle that is under way goes on with the snapshot that it began with.
static bool snapshot_fresh(const struct changelog *l)
{
    return l->snapshot->phase == PHASE_DONE;
}

static long long snapshot_low(const struct changelog *l)
{
    return l->snapshot->low;
}

static long long snapshot_position(const struct changelog *l)
{
    return l->snapshot->before.xmin;
}

static size_t snapshot_gaps(const struct changelog *l)
{
    return l->snapshot->before.nopen;
}

static long long snapshot_trim_to(const struct changelog *l, long long upto)
{
    return upto > l->snapshot->verified_xid ? l->snapshot->verified_xid : upto;
}

static void snapshot_close(struct changelog *l)
{
    struct snapshot_reader *r = l->snapshot;
    if (!r)
        return;
    free(r->before.open);
    free(r->now.open);
    buf_free(&r->before_text);
    buf_free(&r->now_text);
    buf_free(&r->late);
    free(r);
}

const struct changelog_ops changelog_snapshot_ops = {
    .open = snapshot_open,
    .read = snapshot_read,
    .recheck = snapshot_recheck,
    .fresh = snapshot_fresh,
    .low = snapshot_low,
    .position = snapshot_position,
    .captured = snapshot_position,
    .gaps = snapshot_gaps,
    .trim_to = snapshot_trim_to,
    .close = snapshot_close,
};
