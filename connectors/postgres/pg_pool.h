// SPDX-License-Identifier: Apache-2.0
// Non-blocking PostgreSQL connections on one loop. A job is a short list of statements sent
// as one pipeline (libpq pipeline mode), by choice inside one transaction.
// Thread: the loop's only.
#ifndef FICUS_CONNECTORS_PG_POOL_H
#define FICUS_CONNECTORS_PG_POOL_H

#include "base/loop.h"
#include "connectors/rows.h"

struct pg_pool;

struct pg_call {
    struct str sql; // prepared once a connection, kept by text
    const struct value *params;
    size_t nparams;
    struct rows rows; // filled in the job's arena
};

struct pg_job {
    struct pg_call *calls;
    size_t ncalls;
    bool transaction;    // BEGIN .. COMMIT around; the first error undoes all
    bool want_xid;       // of the transaction; told before the commit's outcome is known
    struct arena *arena; // results go here; borrowed until done
    // Monotonic; 0: none. Past it the connection is closed: ERR_TIMEOUT, for a transaction
    // ERR_UNKNOWN_OUTCOME.
    uint64_t deadline_ns;
    // Exactly once, from the loop, never inside pg_pool_submit. `job->err.code` is ERR_NONE when all went well; `failed` is
    // the number of the statement at fault (ncalls: the commit).
    void (*done)(struct pg_job *job);
    struct err err;
    size_t failed;
    char xid[24];        // "" when not known; for pg_xact_status
    struct pg_job *next; // the pool's
};

struct pg_pool_options {
    // Borrowed during the call. A host name in it is looked up whenever a connection is opened,
    // which stops the loop for as long: give `hostaddr` or a socket's folder where that matters.
    const char *conninfo;
    const char *application;
    unsigned size;      // connections at most
    unsigned queue_max; // waiting jobs at most
};
struct pg_pool_stats {
    unsigned connections, idle, waiting;
    uint64_t done, failed, refused;
};

struct pg_pool *pg_pool_create(struct loop *loop, const struct pg_pool_options *o, struct err *e);
void pg_pool_destroy(struct pg_pool *p); // fails what waits with ERR_CANCELLED
// ERR_BUSY when the queue is full, ERR_VALUE for a parameter that PostgreSQL cannot hold (NUL;
// job->failed says of which call), ERR_UNREACHABLE while the server is down (reconnects by
// itself with backoff); the job is then still the caller's and `done` is not called.
int pg_pool_submit(struct pg_pool *p, struct pg_job *job, struct err *e) FICUS_MUST_CHECK;
// The client went away: `done` is not called any more, the result is discarded.
void pg_pool_orphan(struct pg_pool *p, struct pg_job *job);
void pg_pool_stats(const struct pg_pool *p, struct pg_pool_stats *out);

#endif
