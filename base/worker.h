// SPDX-License-Identifier: Apache-2.0
// Threads for calls that block (ODBC, bcrypt). Bounded queue; a full queue answers
// ERR_BUSY at once. A job carries its inputs and outputs itself and is owned by the pool
// between submit and completion; the loop owns deadlines and may orphan a job.
#ifndef FICUS_BASE_WORKER_H
#define FICUS_BASE_WORKER_H

#include "base/loop.h"

struct worker_pool;

// What the submitter embeds first in its own job struct.
struct worker_job {
    // Runs in a worker. `slot` is the worker's number, `state` what slot_start returned.
    void (*run)(struct worker_job *job, unsigned slot, void *state);
    // Runs on the loop that owns `reply_to` after run, or instead of it when the job was
    // cancelled while queued (job->cancelled). Must free the job.
    void (*done)(struct worker_job *job);
    struct mailbox *reply_to; // NULL: `done` runs in the worker itself
    uint64_t deadline_ns;     // monotonic; a job past it is not started. 0: none
    bool cancelled;           // set by the pool
    struct mail mail;         // the pool's
    struct worker_job *next;  // the pool's
    uint64_t submitted_ns;    // the pool's
};

struct worker_options {
    const char *name;
    unsigned threads;
    unsigned queue_max;
    unsigned spares; // most threads started in place of ones that were given up
    // Per-thread state, e.g. a database connection. Either may be NULL.
    void *(*slot_start)(void *arg, unsigned slot);
    void (*slot_stop)(void *arg, unsigned slot, void *state);
    void *arg;
};

struct worker_stats {
    unsigned threads, busy, queued;
    uint64_t done, refused, expired, replaced;
    unsigned stuck;              // given up and not back yet
    uint64_t longest_running_ns; // how long the oldest running job has been at it
};

struct worker_pool *worker_pool_create(const struct worker_options *o, struct err *e);
// Thread: any. ERR_BUSY when the queue is full; the job is then still the caller's.
int worker_pool_submit(struct worker_pool *p, struct worker_job *job,
                       struct err *e) FICUS_MUST_CHECK;
void worker_pool_stats(const struct worker_pool *p, struct worker_stats *out);
// The job's thread will not be back in time (it hangs in a driver): another is started in its
// place, and it ends when it comes back, its job then completed as ever. ERR_LIMIT when all
// spares are out; the thread stays one of the pool's. ERR_NOT_FOUND: the job does not run (now).
// Thread: any; never blocks on the job.
int worker_pool_give_up(struct worker_pool *p, const struct worker_job *job,
                        struct err *e) FICUS_MUST_CHECK;
// Stops intake, waits for what runs up to `ms`, cancels what is queued, joins.
// Returns the number of threads that did not end in time (left detached).
unsigned worker_pool_destroy(struct worker_pool *p, unsigned ms);

#endif
