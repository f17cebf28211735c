// SPDX-License-Identifier: Apache-2.0
// The threads that call the driver, each with a connection of its own.
#include "facade/backend/odbc_backend_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdlib.h>

#define RECONNECT_NS 250000000ull
#define CANCEL_QUEUE 256
#define CANCEL_MS    1000 // for cancels under way when it all ends

static const struct log_ctx log_ctx = {"odbc", NULL, NULL};

struct odbc_conn *odbc_worker_conn(struct odbc_worker *w, struct err *e)
{
    struct odbc_conn *c = odbc_slot_conn(w->slot);
    if (c && odbc_alive(c))
        return c;
    odbc_slot_set_conn(w->slot, NULL);
    if (clock_mono_ns() < w->retry_ns) {
        *e = w->down;
        return NULL;
    }
    if (odbc_open(conf_str(w->workers->conf, "legacy.odbc"), w->workers->dbms, &c, e)) {
        if (atomic_exchange(&w->workers->healthy, false))
            log_warn(&log_ctx, "legacy database away: %s", e->msg);
        e->code = ERR_UNREACHABLE;
        w->down = *e;
        w->retry_ns = clock_mono_ns() + RECONNECT_NS;
        return NULL;
    }
    if (!atomic_exchange(&w->workers->healthy, true))
        log_info(&log_ctx, "legacy database connected");
    odbc_slot_set_conn(w->slot, c);
    return c;
}

static void *worker_start(void *arg, unsigned number)
{
    struct odbc_worker *w = calloc(1, sizeof *w);
    (void)number;
    if (!w)
        return NULL;
    w->workers = arg;
    w->slot = odbc_slot_open(w->workers->slots);
    if (w->slot)
        return w;
    free(w);
    return NULL;
}

static void worker_stop(void *arg, unsigned number, void *state)
{
    struct odbc_worker *w = state;
    (void)arg;
    (void)number;
    if (w)
        odbc_slot_close(w->slot);
    free(w);
}

struct odbc_workers *odbc_workers_create(const struct conf *conf, struct err *e)
{
    struct odbc_workers *w = calloc(1, sizeof *w);
    if (!w) {
        err_memory(e);
        return NULL;
    }
    w->conf = conf;
    w->dbms = dbms_find(str_of(conf_str(conf, "legacy.dbms")));
    atomic_init(&w->healthy, true);
    w->victims = metrics_counter("ficus_odbc_deadlock_retries_total",
                                 "Writes run again because the database ended them in a deadlock.",
                                 "");
    struct worker_options o = {.name = "odbc",
                               .threads = (unsigned)conf_int(conf, "legacy.workers"),
                               .queue_max = (unsigned)conf_int(conf, "legacy.queue_max"),
                               .spares = (unsigned)conf_int(conf, "legacy.spare_workers"),
                               .slot_start = worker_start,
                               .slot_stop = worker_stop,
                               .arg = w};
    if (!w->dbms)
        err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known", conf_str(conf, "legacy.dbms"));
    else
        dbms_warn_untested(w->dbms);
    struct worker_options cancel = {.name = "cancel", .threads = 1, .queue_max = CANCEL_QUEUE};
    if (w->dbms && (w->slots = odbc_slots_create(e)) &&
        (w->canceller = worker_pool_create(&cancel, e)) && (w->pool = worker_pool_create(&o, e)))
        return w;
    worker_pool_destroy(w->canceller, CANCEL_MS);
    odbc_slots_destroy(w->slots);
    free(w);
    return NULL;
}

void odbc_workers_destroy(struct odbc_workers *w, unsigned ms)
{
    if (!w)
        return;
    // A worker that hangs in its driver still uses `w`: then it is left to the process' end.
    unsigned stuck = worker_pool_destroy(w->pool, ms);
    if (worker_pool_destroy(w->canceller, CANCEL_MS) || stuck)
        return;
    odbc_slots_destroy(w->slots);
    free(w);
}

struct worker_pool *odbc_workers_pool(struct odbc_workers *w)
{
    return w->pool;
}

bool odbc_workers_healthy(const struct odbc_workers *w)
{
    return atomic_load(&w->healthy);
}
