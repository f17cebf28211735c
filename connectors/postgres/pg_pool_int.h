// SPDX-License-Identifier: Apache-2.0
// Shared by pg_pool.c (queue, deadlines), pg_pool_conn.c (connecting, closing) and
// pg_pool_job.c (sending a job, taking its results) only. Thread: the loop's.
#ifndef FICUS_CONNECTORS_PG_POOL_INT_H
#define FICUS_CONNECTORS_PG_POOL_INT_H

#include "base/log.h"
#include "connectors/postgres/pg_int.h"
#include "connectors/postgres/pg_pool.h"

#include <uthash.h>

enum conn_state {
    CONN_DOWN, // waits for its timer to connect
    CONN_CONNECTING,
    CONN_IDLE,
    CONN_BUSY,     // a job's pipeline is under way (an orphaned one: `job` is NULL)
    CONN_CLEANING, // undoes what a failed job left: open transaction, prepared statements
};

// A prepared statement: its name is 'p' and the number.
struct known {
    UT_hash_handle hh;
    unsigned number;
    size_t len;
    char sql[];
};

struct pool_conn {
    struct pg_pool *pool;
    enum conn_state state;
    PGconn *pq;
    struct event *io, *timer;
    short io_events;
    unsigned backoff_ms;
    struct known *known;
    unsigned serial; // of statement names
    bool forget;     // what is prepared here and there differs: DEALLOCATE ALL is due
    struct pg_job *job;
    uint64_t deadline_ns; // of the job, also when orphaned; of the cleaning
    size_t step;          // results taken so far
    size_t lead;          // of them before BEGIN or the calls: clean-up and PREPAREs
    unsigned *prepare_of; // call that the n-th PREPARE is for; the job's arena
    size_t prepares;
    bool retried, committed;
    struct err err; // the job's first error
    size_t failed;
};

struct pg_pool {
    struct loop *loop;
    char *conninfo, *application;
    unsigned size, queue_max;
    struct pool_conn *conns;
    struct pg_job *first, **last;
    unsigned waiting;
    uint64_t done, failed, refused;
    struct event *deadlines;
    struct err down; // why the newest connection attempt failed
};

// pg_pool.c
void pg_pool_pump(struct pg_pool *p);     // gives waiting jobs to idle connections
void pg_pool_answer(struct pool_conn *c); // the job of `c` is over: c->err, c->failed
void pg_pool_fail_waiting(struct pg_pool *p, const struct err *why);
bool pg_pool_all_down(const struct pg_pool *p);

// pg_pool_conn.c
int pg_pool_conn_create(struct pg_pool *p, struct pool_conn *c, struct err *e); // connects soon
void pg_pool_conn_close(struct pool_conn *c);
void pg_pool_conn_reopen(struct pool_conn *c, unsigned ms); // closes; connects again after `ms`
void pg_pool_conn_break(struct pool_conn *c); // pg_pool_job_broke, in the loop's next turn
void pg_pool_conn_watch(struct pool_conn *c, short events);
void pg_pool_known_clear(struct pool_conn *c);

// pg_pool_job.c
void pg_pool_job_start(struct pool_conn *c, struct pg_job *job);
void pg_pool_job_read(struct pool_conn *c);  // something arrived
void pg_pool_job_flush(struct pool_conn *c); // the socket takes more
void pg_pool_job_broke(struct pool_conn *c); // the connection is gone

#endif
