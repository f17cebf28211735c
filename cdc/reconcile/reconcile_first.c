// SPDX-License-Identifier: Apache-2.0
// First pass: every range is walked on both sides, by several walkers at a time, each with its
// own two connections; what does not agree becomes a candidate. With the pushdown plan a range
// is first compared by checksums that both stores compute, and cut until the part that differs
// is small enough to walk.
//
// Threads: the walkers, and the caller, which shows progress and watches how busy the stores are
// with others' writes. Locks: crew.lock guards the fields marked so; the pool has its own.
#include "base/clock.h"
#include "base/log.h"
#include "cdc/reconcile/checksum.h"
#include "cdc/reconcile/reconcile_ledger.h"

#include <stdlib.h>

#define JOBS        4
#define WAITING_MAX 16384 // prints of one walk in memory
#define LEAF_ROWS   1000  // a differing part of so few rows is walked
#define CUTS        8     // parts that a differing range is cut into
#define DEPTH_MAX   24
#define BUSY_SHARE  20 // per cent of one walk's time, of all walks, while others write
#define BUSY_WRITES 4  // changes and transactions between two looks that count as writing,
#define BUSY_RATE   20 // and a second
#define LOOK_MS     500
#define TICK_MS     20

struct crew {
    struct pass *p;
    struct pace pace;
    struct ledger ledger; // has a lock of its own
    pthread_mutex_t lock;
    size_t next;      // range; lock
    size_t working;   // walkers; lock
    bool stop;        // lock
    struct err err;   // of the first that failed; lock
    long long legacy; // rows; lock
    long long new_;   // lock
    long long wire;   // lock
};

struct walker {
    struct crew *crew;
    pthread_t thread;
    struct odbc_conn *odbc;
    struct pg_conn *pg;
    struct reader side[2];
    struct join join;
    struct sketch sketch; // of the sketch plan: rows of the present range
    struct spool kept;
    struct arena *arena; // of one checksum
    long long rows[2], wire;
};

struct feed {
    struct walker *w;
    enum side side;
};

static int on_print(void *ctx, const struct print *p, struct err *e)
{
    const struct feed *f = ctx;
    if (p->null_key) // bad_keys tells of them
        return 0;
    if (!f->w->sketch.cells || !sketch_fits(&f->w->sketch, p->key))
        return join_add(&f->w->join, f->side, p, e);
    sketch_add(&f->w->sketch, f->side, p);
    return 0;
}

static bool stopped(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

static void add_rows(struct walker *w, long long legacy, long long new_, long long wire)
{
    pthread_mutex_lock(&w->crew->lock);
    w->crew->legacy += legacy;
    w->crew->new_ += new_;
    w->crew->wire += wire;
    pthread_mutex_unlock(&w->crew->lock);
    w->rows[SIDE_LEGACY] += legacy;
    w->rows[SIDE_NEW] += new_;
}

static int step(struct walker *w, struct scan *scan, enum side side, struct err *e)
{
    struct feed feed = {w, side};
    long long rows = scan->rows, bytes = scan->bytes;
    if (stopped(w->crew))
        return err_set(e, ERR_CANCELLED, "stopped");
    if (scan_step(scan, on_print, &feed, e))
        return err_prefix(e, "%s of %s", w->crew->p->entity->name, side_name(side));
    rows = scan->rows - rows;
    add_rows(w, side == SIDE_LEGACY ? rows : 0, side == SIDE_NEW ? rows : 0, scan->bytes - bytes);
    return 0;
}

// One side alone, of the sketch plan.
static int walk_part(struct walker *w, const struct range *r, const struct scan_query *slice,
                     struct err *e)
{
    struct scan scan = {0};
    enum side side = r->part == PART_PAGES ? SIDE_NEW : SIDE_LEGACY;
    int result = side == SIDE_NEW ? scan_start_pages(&scan, &w->side[side], slice->deleted,
                                                     r->first, r->end, &w->crew->pace, e)
                                  : scan_start(&scan, &w->side[side], slice, &w->crew->pace, e);
    while (result == 0 && !scan.done)
        result = step(w, &scan, side, e);
    scan_stop(&scan);
    return result;
}

// The side that is behind goes next, so that few prints wait for their other half.
static int walk(struct walker *w, const struct scan_query *slice, struct err *e)
{
    struct scan scan[2] = {{0}, {0}};
    struct pass *p = w->crew->p;
    int result = 0;
    for (int side = 0; side < 2 && result == 0; side++) {
        struct scan_query q = *slice;
        q.unordered = p->unordered[side];
        result = scan_start(&scan[side], &w->side[side], &q, &w->crew->pace, e);
    }
    while (result == 0 && !(scan[0].done && scan[1].done)) {
        enum side side = scan[0].done                                   ? SIDE_NEW
                         : scan[1].done || scan[0].rows <= scan[1].rows ? SIDE_LEGACY
                                                                        : SIDE_NEW;
        result = step(w, &scan[side], side, e);
    }
    scan_stop(&scan[0]);
    scan_stop(&scan[1]);
    return result;
}

static int push(struct walker *w, const struct scan_query *slice, unsigned depth, struct err *e);

// Cuts a range that differs where the new side has its rows.
static int cut(struct walker *w, const struct scan_query *slice, long long rows, unsigned depth,
               struct err *e)
{
    struct value bounds[CUTS];
    size_t n = 0;
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    for (size_t i = 1; i < CUTS && result == 0; i++) {
        struct value v;
        bool found;
        result = checksum_split(&w->side[SIDE_NEW], slice, (size_t)rows * i / CUTS, a, &v, &found,
                                e);
        if (result == 0 && found && (n == 0 || !value_eq(bounds[n - 1], v)))
            bounds[n++] = v;
    }
    // A first key part that most rows share cannot be cut any more.
    bool helps = n > 1;
    for (size_t i = 0; i <= n && helps && result == 0; i++) {
        struct scan_query part = *slice;
        part.above = i == 0 ? slice->above : &bounds[i - 1];
        part.up_to = i == n ? slice->up_to : &bounds[i];
        result = push(w, &part, depth + 1, e);
    }
    if (result == 0 && !helps)
        result = walk(w, slice, e);
    arena_destroy(a);
    return result;
}

static int push(struct walker *w, const struct scan_query *slice, unsigned depth, struct err *e)
{
    struct checksum sum[2];
    long long wire = 0;
    if (stopped(w->crew))
        return err_set(e, ERR_CANCELLED, "stopped");
    for (int side = 0; side < 2; side++) {
        arena_reset(w->arena);
        if (checksum_take(&w->side[side], slice, w->arena, &sum[side], e))
            return err_prefix(e, "checksum of %s", side_name(side));
        wire += sum[side].wire;
    }
    if (checksum_equal(&sum[0], &sum[1])) {
        add_rows(w, sum[0].rows, sum[1].rows, wire);
        return 0;
    }
    add_rows(w, 0, 0, wire);
    if (sum[0].rows + sum[1].rows <= 2 * LEAF_ROWS || depth == DEPTH_MAX || sum[1].rows < CUTS)
        return walk(w, slice, e);
    return cut(w, slice, sum[1].rows, depth, e);
}

static int do_range(struct walker *w, size_t i, struct err *e)
{
    struct pass *p = w->crew->p;
    struct scan_query slice = p->slice;
    const struct range *r = &p->ranges[i];
    if (r->above.state == VALUE_SET)
        slice.above = &r->above;
    if (r->up_to.state == VALUE_SET)
        slice.up_to = &r->up_to;
    w->rows[0] = w->rows[1] = 0;
    spool_init(&w->kept, 64u << 10);
    int result = r->part != PART_BOTH               ? walk_part(w, r, &slice, e)
                 : p->report->plan == PLAN_PUSHDOWN ? push(w, &slice, 0, e)
                                                    : walk(w, &slice, e);
    if (result == 0)
        result = join_flush(&w->join, e);
    struct range_done done = {i, {w->rows[0], w->rows[1]}, w->kept};
    spool_init(&w->kept, 0);
    if (result == 0)
        result = ledger_add(&w->crew->ledger, &done, &w->sketch, w->pg, e);
    spool_free(&done.waiting);
    return result;
}

static bool take(struct crew *c, size_t *i)
{
    pthread_mutex_lock(&c->lock);
    while (c->next < c->p->nranges && c->p->ranges[c->next].done)
        c->next++;
    bool more = !c->stop && c->next < c->p->nranges;
    if (more)
        *i = c->next++;
    pthread_mutex_unlock(&c->lock);
    return more;
}

static int walker_open(struct walker *w, struct err *e)
{
    struct pass *p = w->crew->p;
    if (pass_open(p->o, &w->odbc, &w->pg, e) || join_init(&w->join, &p->pool, WAITING_MAX, e) ||
        reader_init(&w->side[SIDE_LEGACY], p->entity, SIDE_LEGACY, w->odbc, NULL, e) ||
        reader_init(&w->side[SIDE_NEW], p->entity, SIDE_NEW, NULL, w->pg, e))
        return -1;
    w->join.kept = &w->kept;
    if (p->report->plan == PLAN_SKETCH && sketch_init(&w->sketch, pass_key_max(p->entity), e))
        return -1;
    w->arena = arena_create(0);
    return w->arena ? 0 : err_memory(e);
}

static void *walker_main(void *arg)
{
    struct walker *w = arg;
    struct crew *c = w->crew;
    struct err e = {0};
    size_t i;
    int result = walker_open(w, &e);
    while (result == 0 && take(c, &i))
        result = do_range(w, i, &e);
    join_free(&w->join);
    sketch_free(&w->sketch);
    arena_destroy(w->arena);
    odbc_close(w->odbc);
    pg_close(w->pg);
    pthread_mutex_lock(&c->lock);
    if (result && !c->stop)
        c->err = e;
    c->stop |= result != 0;
    c->working--;
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

// ---------------------------------------------------------------- the caller meanwhile

// Transactions, not bytes of log: what a run saves of itself is much of the latter.
void pass_look(struct pass *p)
{
    struct err ignored = {0};
    struct rows rows;
    long long transactions = 0, seq = 0;
    const char *max = odbc_dbms(p->odbc)->changelog_max_sql;
    arena_reset(p->chunk);
    p->look.known = max &&
                    odbc_query(p->odbc, str_of(max), NULL, 0, p->chunk, 1, &rows, &ignored) == 0 &&
                    rows.nrows == 1 && str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &seq) &&
                    control_number(p->control,
                                   "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
                                   NULL, 0, &transactions, &ignored) == 0;
    p->look.writes = seq + transactions;
    p->look.ms = clock_mono_ms();
}

// How much may be taken, by what others wrote since the last look.
static void look_around(struct crew *c, unsigned jobs)
{
    struct pass *p = c->p;
    struct load_look last = p->look;
    unsigned share = 100;
    pass_look(p);
    if (last.known && p->look.known) {
        long long writes = p->look.writes - last.writes;
        double seconds = (double)(p->look.ms - last.ms) / 1000 + 0.001;
        if (writes >= BUSY_WRITES && (double)writes > BUSY_RATE * seconds)
            share = BUSY_SHARE / jobs;
    }
    atomic_store_explicit(&c->pace.share, share ? share : 1, memory_order_relaxed);
}

static void show(struct crew *c, uint64_t start)
{
    struct pass *p = c->p;
    struct reconcile_progress now = {.entity = p->entity, .estimate = p->report->estimate};
    pthread_mutex_lock(&c->lock);
    now.rows_legacy = c->legacy;
    now.rows_new = c->new_;
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&p->pool.lock);
    now.candidates = p->pool.candidates.records;
    pthread_mutex_unlock(&p->pool.lock);
    now.ms = clock_mono_ms() - start;
    p->o->progress(p->o->ctx, &now);
}

static void watch(struct crew *c, unsigned jobs)
{
    uint64_t start = clock_mono_ms();
    for (size_t working = 1; working > 0;) {
        uint64_t now = clock_mono_ms();
        if (c->p->o->budget == 0 && now - c->p->look.ms >= LOOK_MS)
            look_around(c, jobs);
        if (c->p->o->progress)
            show(c, start);
        clock_sleep_ms(now - start < TICK_MS ? 1 : TICK_MS);
        pthread_mutex_lock(&c->lock);
        working = c->working;
        pthread_mutex_unlock(&c->lock);
    }
}

static unsigned jobs_for(const struct pass *p)
{
    unsigned jobs = p->o->jobs ? p->o->jobs : JOBS;
    if (jobs > JOBS_MAX)
        jobs = JOBS_MAX;
    return jobs < p->nranges ? jobs : p->nranges ? (unsigned)p->nranges : 1;
}

static int run_crew(struct crew *c, struct walker *walkers, unsigned jobs, struct err *e)
{
    unsigned started = 0;
    for (; started < jobs; started++) {
        walkers[started].crew = c;
        pthread_mutex_lock(&c->lock);
        c->working++;
        pthread_mutex_unlock(&c->lock);
        if (pthread_create(&walkers[started].thread, NULL, walker_main, &walkers[started]) != 0) {
            pthread_mutex_lock(&c->lock);
            c->working--;
            c->stop = true;
            pthread_mutex_unlock(&c->lock);
            err_set(&c->err, ERR_MEMORY, "no thread for a walk");
            break;
        }
    }
    watch(c, jobs);
    for (unsigned i = 0; i < started; i++)
        pthread_join(walkers[i].thread, NULL);
    if (!c->stop)
        return 0;
    if (e)
        *e = c->err;
    return -1;
}

int first_pass(struct pass *p, struct err *e)
{
    unsigned jobs = jobs_for(p);
    struct walker *walkers = calloc(jobs, sizeof *walkers);
    struct crew c = {.p = p, .lock = PTHREAD_MUTEX_INITIALIZER};
    int result = -1;
    if (!walkers)
        return err_memory(e);
    c.legacy = p->report->rows_legacy; // of ranges that an earlier process did
    c.new_ = p->report->rows_new;
    atomic_init(&c.pace.share, p->o->budget ? p->o->budget : 100);
    atomic_init(&c.pace.rows_per_s, p->o->rows_per_s ? p->o->rows_per_s / jobs + 1 : 0);
    if (p->o->budget == 0)
        look_around(&c, jobs); // the run began with a look: no walk starts without knowing
    result = ledger_open(&c.ledger, p, e) ? -1 : run_crew(&c, walkers, jobs, e);
    p->report->rows_legacy = c.legacy;
    p->report->rows_new = c.new_;
    p->report->wire += c.wire;
    free(walkers);
    if (result == 0)
        result = pool_finish(&p->pool, e) || ledger_finish(&c.ledger, e) ? -1 : 0;
    ledger_close(&c.ledger);
    return result;
}
