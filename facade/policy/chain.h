// SPDX-License-Identifier: Apache-2.0
// Canonical reads of the policy's own, one after another, through the dispatcher: at whatever
// stage its entities are. And the filters that they are made of. Memory is an arena's that
// outlives the last answer. Thread: the loop's.
#ifndef FICUS_FACADE_CHAIN_H
#define FICUS_FACADE_CHAIN_H

#include "facade/dispatch.h"

struct chain;
typedef void chain_step_fn(struct chain *c);

struct chain {
    struct dispatcher *dispatcher;
    struct arena *arena;
    uint64_t deadline_ns; // of each read
    bool before_write;    // a write follows: the owner is asked
    // Of the last read.
    struct operation *op;
    const struct result *result;
    chain_step_fn *next;
};

// A read to be sent, to be filled further; NULL: no memory.
struct operation *chain_operation(struct chain *c, enum operation_kind kind,
                                  const struct entity *en, const struct field *const *fields,
                                  size_t nfields, const struct filter *filter);
// Sends it; `next` is called once, maybe before this returns.
void chain_run(struct chain *c, struct operation *op, chain_step_fn *next);
// The result as nothing but trouble (RESULT_OK and RESULT_NOT_FOUND are none).
bool chain_failed(const struct chain *c);
// First column of all rows of the result that have one; NULL: no memory.
struct value *chain_column(const struct chain *c, size_t at, size_t *n);

// Filters; NULL when there is no memory (or a part is NULL).
struct filter *filter_is(struct arena *a, const struct field *f, struct str text);
struct filter *filter_in(struct arena *a, const struct field *f, const struct value *v, size_t n);
struct filter *filter_null(struct arena *a, const struct field *f);
struct filter *filter_join(struct arena *a, enum filter_kind kind, struct filter *x,
                           struct filter *y);
struct filter *filter_never(struct arena *a);

#endif
