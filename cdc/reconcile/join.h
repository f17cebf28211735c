// SPDX-License-Identifier: Apache-2.0
// Brings the prints of both sides together by key, in whatever order they come. Where both
// sides walk in about the same order few prints wait at a time; where their collations differ,
// or rows are missing, those that wait go to the pool, and beyond its memory to disk: the result
// never depends on the order, only the cost does.
//
//   scan legacy --> +------+  a key on both sides, same hash: forgotten
//                   | join |  other hash, or twice on one side with two hashes: candidate
//   scan new -----> +------+  still waiting at the end, or too many waiting: pool
//                                pool: all joins of a run; what stays alone there: candidate
#ifndef FICUS_CDC_JOIN_H
#define FICUS_CDC_JOIN_H

#include "cdc/reconcile/scan.h"
#include "cdc/reconcile/spool.h"

#include <pthread.h>

#define POOL_PARTS 128

struct pool {
    pthread_mutex_t lock;
    struct spool parts[POOL_PARTS]; // by hash of the key; under lock
    long long waiting;              // under lock
    struct spool candidates;        // key texts, each once or a few times; under lock
};

struct join_entry;
struct join {
    struct pool *pool;
    struct join_entry **buckets;
    size_t size, count, max; // size: a power of two
    long long matched;
    struct spool *kept; // what went to the pool is noted here too; NULL: not
};

int pool_init(struct pool *p, struct err *e) FICUS_MUST_CHECK;
void pool_free(struct pool *p);
// Thread: any; takes the lock.
int pool_candidate(struct pool *p, struct str key, struct err *e) FICUS_MUST_CHECK;
// A record as join_add noted it in `kept`, of an earlier process.
int pool_put(struct pool *p, struct str record, struct err *e) FICUS_MUST_CHECK;
// Joins what waits; the rest becomes candidates. No join may be at work any more.
int pool_finish(struct pool *p, struct err *e) FICUS_MUST_CHECK;

// `max`: prints that may wait in memory.
int join_init(struct join *j, struct pool *pool, size_t max, struct err *e) FICUS_MUST_CHECK;
void join_free(struct join *j);
int join_add(struct join *j, enum side side, const struct print *p, struct err *e) FICUS_MUST_CHECK;
int join_flush(struct join *j, struct err *e) FICUS_MUST_CHECK; // what waits goes to the pool

#endif
