// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key: the first request of a key runs, its answer is kept in the control store, and
// later ones get that answer, on every instance. A key belongs to one principal of one mount and
// to one request (its hash).
//
//            +-- busy, no outcome, process died (lease over) --+
//            v                                                 |
//   absent -> RUNNING (lease) --------- answer ----------> KEPT (until it expires) -> absent
//
// A run that gave no final answer, or whose process died, is taken up by the next request of the
// key. A create takes its record's key from here, the same in each run: if an earlier run did
// create it, the later one finds it there (idempotency_is_repeat).
// Thread: the loop's. All memory is the request's arena.
#ifndef FICUS_FACADE_IDEMPOTENCY_H
#define FICUS_FACADE_IDEMPOTENCY_H

#include "facade/http/http.h"

#define IDEMPOTENCY_KEY_MAX  255
#define IDEMPOTENCY_BODY_MAX (64u << 10) // longer answers are not kept

struct idempotency;
struct pg_pool;

enum idempotency_state {
    IDEMPOTENCY_RUN,     // this request is to run; idempotency_end must follow
    IDEMPOTENCY_KEPT,    // the answer of an earlier one
    IDEMPOTENCY_RUNNING, // an earlier one still runs
    IDEMPOTENCY_OTHER,   // the key belongs to another request
    IDEMPOTENCY_AWAY,    // the control store does not answer: nothing is known
};

struct idempotency_options {
    struct pg_pool *pool; // of the control store
    struct arena *arena;
    struct str scope, key;
    struct str hash;   // of the request
    unsigned lease_ms; // longer than a run may take
    unsigned keep_s;   // how long an answer is kept
};

// `kept` is the answer of IDEMPOTENCY_KEPT, `x` lives as long as the arena.
typedef void idempotency_begun_fn(void *ctx, enum idempotency_state s, struct idempotency *x,
                                  const struct http_response *kept);
void idempotency_begin(const struct idempotency_options *o, idempotency_begun_fn *begun, void *ctx);

// A later run of the same key.
bool idempotency_is_repeat(const struct idempotency *x);
// The key for the record that this request creates: a UUID, the same in each run.
struct str idempotency_record_key(const struct idempotency *x);

// Keeps the answer (`final`) or lets the next request of the key run; then `deliver(ctx, r)` with
// a copy of `r`, which is borrowed during the call.
void idempotency_end(struct idempotency *x, bool final, const struct http_response *r,
                     void (*deliver)(void *ctx, const struct http_response *r), void *ctx);

#endif
