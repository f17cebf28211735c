// SPDX-License-Identifier: Apache-2.0
// Whom the sealing of a fence waits for. Owns the watching thread and its two connections: one to
// the control store, and for a legacy store one to it. It only looks, writes
// ficus.transfer.waiting and, if that was asked for, ends the sessions in the way: that a seal is
// sound never depends on it. Thread: its own; start and stop from the coordinator's.
#include "base/clock.h"
#include "base/log.h"
#include "cdc/transfer/transfer_int.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_EVERY_MS 500
#define NAMED_MAX     3 // sessions named; the others are counted

struct holders {
    const struct conf *conf;
    const struct dbms *dbms; // of the store that is being sealed
    enum side side;
    long long transfer, epoch, waiter;
    bool end;
    uint64_t started_ms, end_after_ms;
    struct control *control;
    struct odbc_conn *legacy;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stopped;
    bool stop; // under the mutex
    // The thread's until it is joined.
    char who[256];
    long long ended;
};

// True when it is time to go.
static bool stopped_within(struct holders *h, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&h->mutex);
    for (int late = 0; !h->stop && !late;)
        late = pthread_cond_timedwait(&h->stopped, &h->mutex, &until) != 0;
    bool stop = h->stop;
    pthread_mutex_unlock(&h->mutex);
    return stop;
}

static int store_open(struct holders *h, struct err *e)
{
    if (!h->control &&
        control_open(conf_str(h->conf, "control.conninfo"), "ficus sync holders", &h->control, e))
        return -1;
    return h->side == SIDE_NEW || h->legacy
               ? 0
               : odbc_open(conf_str(h->conf, "legacy.odbc"), h->dbms, &h->legacy, e);
}

// A statement of the table of dialects with one number in it, in the store that is being sealed.
static int store_query(struct holders *h, const char *fmt, long long id, struct arena *a,
                       struct rows *rows, struct err *e)
{
    struct buf sql = BUF_INIT;
    struct pg_conn *pg = control_pg(h->control, e);
    int result = -1;
    buf_printf(&sql, fmt, id);
    if (buf_check(&sql, e) == 0 && h->side == SIDE_LEGACY)
        result = odbc_query(h->legacy, buf_str(&sql), NULL, 0, a, 100, rows, e);
    else if (!sql.failed && pg)
        result = pg_query(pg, buf_str(&sql), NULL, 0, a, rows, e);
    buf_free(&sql);
    return result;
}

static int end_one(struct holders *h, long long id, struct arena *a, struct err *e)
{
    struct rows rows;
    struct buf sql = BUF_INIT;
    int result;
    if (h->side == SIDE_NEW) {
        result = store_query(h, h->dbms->end_session_fmt, id, a, &rows, e);
    } else {
        buf_printf(&sql, h->dbms->end_session_fmt, id);
        result = buf_check(&sql, e) || odbc_direct(h->legacy, buf_str(&sql), e) ? -1 : 0;
        buf_free(&sql);
    }
    h->ended += result == 0;
    return result;
}

static void describe(struct holders *h, const struct rows *rows)
{
    size_t used = 0;
    h->who[0] = '\0';
    for (size_t i = 0; i < rows->nrows && i < NAMED_MAX && used < sizeof h->who; i++) {
        struct str one = value_str(rows->cells[i * rows->ncols + 1]);
        used += (size_t)snprintf(h->who + used, sizeof h->who - used, "%s%.*s", i ? "; " : "",
                                 (int)one.len, one.data);
    }
    if (rows->nrows > NAMED_MAX && used < sizeof h->who)
        snprintf(h->who + used, sizeof h->who - used, " and %zu more", rows->nrows - NAMED_MAX);
}

static int tell(struct holders *h, struct err *e)
{
    char id[24], epoch[24];
    struct pg_conn *pg = control_pg(h->control, e);
    snprintf(id, sizeof id, "%lld", h->transfer);
    snprintf(epoch, sizeof epoch, "%lld", h->epoch);
    const char *p[] = {id, epoch, h->who};
    return pg ? pg_execz(pg,
                         "UPDATE ficus.transfer SET heartbeat = now(), waiting = $3"
                         " WHERE id = $1::bigint AND epoch = $2::bigint AND outcome IS NULL",
                         p, 3, NULL, e)
              : -1;
}

static int look(struct holders *h, struct arena *a, struct err *e)
{
    struct rows rows;
    bool overdue = h->end && clock_mono_ms() > h->started_ms + h->end_after_ms;
    struct log_ctx ctx = {"transfer", NULL, NULL};
    if (store_open(h, e) || store_query(h, h->dbms->holders_fmt, h->waiter, a, &rows, e))
        return -1;
    if (rows.ncols != 2)
        return err_set(e, ERR_INTERNAL, "the list of holders has %zu columns", rows.ncols);
    if (rows.nrows > 0)
        describe(h, &rows);
    if (tell(h, e))
        return -1;
    for (size_t i = 0; overdue && i < rows.nrows; i++) {
        long long id;
        if (!str_to_int(value_str(rows.cells[i * 2]), 1, INT64_MAX, &id))
            return err_set(e, ERR_INTERNAL, "a session's id is no number");
        log_warn(&ctx, "transfer %lld: ends %.*s, as it was told to", h->transfer,
                 (int)rows.cells[i * 2 + 1].len, rows.cells[i * 2 + 1].data);
        if (end_one(h, id, a, e))
            return err_prefix(e, "ending session %lld", id);
    }
    return 0;
}

static void *holders_main(void *arg)
{
    struct holders *h = arg;
    static struct log_limit limit;
    unsigned dropped, pause = HOLDERS_AFTER_MS;
    while (!stopped_within(h, pause)) {
        struct err e = {0};
        struct arena *a = arena_create(0);
        if (!a || look(h, a, &e)) {
            if (a && log_allowed(&limit, 5000, &dropped))
                log_warn(&(struct log_ctx){"transfer", NULL, NULL},
                         "transfer %lld: who holds the fence is not known: %s", h->transfer, e.msg);
            odbc_close(h->legacy);
            h->legacy = NULL;
        }
        arena_destroy(a);
        pause = LOOK_EVERY_MS;
    }
    odbc_close(h->legacy);
    control_close(h->control);
    return NULL;
}

static const struct dbms *store_dbms(const struct attempt *t, enum side side)
{
    return side == SIDE_NEW ? &dbms_postgres : dbms_find(str_of(conf_str(t->conf, "legacy.dbms")));
}

// The id of the session that is about to wait; 0: not known.
static long long session_id(struct attempt *t, enum side side, const struct dbms *d)
{
    struct err e = {0};
    struct rows rows = {0};
    struct pg_conn *pg = side == SIDE_NEW ? control_pg(t->control, &e) : NULL;
    struct odbc_conn *legacy = side == SIDE_LEGACY ? attempt_legacy(t, &e) : NULL;
    struct arena *a = pg || legacy ? arena_create(0) : NULL;
    struct str sql = str_of(d->session_id_sql);
    long long id = 0;
    int result = !a   ? -1
                 : pg ? pg_query(pg, sql, NULL, 0, a, &rows, &e)
                      : odbc_query(legacy, sql, NULL, 0, a, 1, &rows, &e);
    if (result == 0 && rows.nrows == 1 && !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &id))
        id = 0;
    arena_destroy(a);
    return id;
}

struct holders *holders_watch(struct attempt *t, enum side side)
{
    const struct dbms *d = store_dbms(t, side);
    long long waiter = d && d->holders_fmt ? session_id(t, side, d) : 0;
    struct holders *h = waiter > 0 ? calloc(1, sizeof *h) : NULL;
    pthread_condattr_t attr;
    if (!h)
        return NULL;
    *h = (struct holders){.conf = t->conf,
                          .dbms = d,
                          .side = side,
                          .transfer = t->id,
                          .epoch = t->epoch,
                          .waiter = waiter,
                          .end = t->end_holders,
                          .started_ms = clock_mono_ms(),
                          .end_after_ms = (uint64_t)conf_int(t->conf, "cutover.drain_ms") / 2};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->stopped, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&h->thread, NULL, holders_main, h) == 0)
        return h;
    pthread_cond_destroy(&h->stopped);
    pthread_mutex_destroy(&h->mutex);
    free(h);
    return NULL;
}

long long holders_stop(struct holders *h, char *who, size_t size)
{
    who[0] = '\0';
    if (!h)
        return 0;
    pthread_mutex_lock(&h->mutex);
    h->stop = true;
    pthread_cond_signal(&h->stopped);
    pthread_mutex_unlock(&h->mutex);
    pthread_join(h->thread, NULL);
    long long ended = h->ended;
    snprintf(who, size, "%s", h->who);
    pthread_cond_destroy(&h->stopped);
    pthread_mutex_destroy(&h->mutex);
    free(h);
    return ended;
}
