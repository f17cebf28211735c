// SPDX-License-Identifier: Apache-2.0
// Inside of the ODBC backend: what its loops and its workers share. A job belongs to its loop but
// while it is queued or run: then to a worker, and the loop only reads or sets what says so.
#ifndef FICUS_FACADE_BACKEND_ODBC_BACKEND_INT_H
#define FICUS_FACADE_BACKEND_ODBC_BACKEND_INT_H

#include "facade/backend/odbc_backend.h"
#include "facade/backend/odbc_slots.h"
#include "facade/backend/plan.h"

#include <stdatomic.h>

struct odbc_workers {
    const struct conf *conf;
    const struct dbms *dbms;
    struct worker_pool *pool;
    struct worker_pool *canceller;
    struct odbc_slots *slots;
    atomic_ullong calls; // numbers given out
    atomic_bool healthy;
    struct metric *victims;
};

// A worker's own: used by that thread only.
struct odbc_worker {
    struct odbc_workers *workers;
    struct odbc_slot *slot; // the connection
    uint64_t retry_ns;
    struct err down;
};

struct odbc_job {
    struct worker_job base;       // first: the pool's pointer is ours
    struct odbc_backend *backend; // NULL once that has ended
    struct execution *execution;  // NULL once the deadline has answered it
    struct odbc_job *next, **link;
    struct arena *arena;
    struct plan plan;
    long long epoch; // -1: entity without a group
    char write_id[37];
    bool want_through;
    bool guarded;
    const char *switching; // group; NULL: no switch of owner is under way
    long long after;
    struct result result; // memory of the job's arena
    uint64_t call;        // its number
    atomic_bool late;     // its client was answered: what it leaves behind is not trusted
    uint64_t late_ns;     // since when; the loop's
    bool given_up;        // the loop's
};

// The worker's connection, made anew when it is gone; NULL with the reason, which stands for a
// moment. Blocks.
struct odbc_conn *odbc_worker_conn(struct odbc_worker *w, struct err *e);

// worker_job.run of a job: reads or writes, and leaves j->result. Blocks. (odbc_run.c)
void odbc_run(struct worker_job *base, unsigned number, void *worker);

#endif
