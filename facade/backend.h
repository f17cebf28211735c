// SPDX-License-Identifier: Apache-2.0
// What executes an operation: odbc (workers), postgres (loop), http (a service, loop).
// Thread: the loop that owns the request; `done` runs on the same loop, exactly once.
#ifndef FICUS_FACADE_BACKEND_H
#define FICUS_FACADE_BACKEND_H

#include "base/loop.h"
#include "base/trace.h"
#include "facade/backend/breaker.h"
#include "facade/operation.h"

struct backend;

// One execution. Embedded in the caller's request; memory of operation->arena.
struct execution {
    const struct operation *operation;
    const struct route *route; // for the URL of http backends and for metrics
    enum side side;
    // A read that the new side is to answer, put to the legacy first: it answers only when a
    // change of what the read looks at stands in its changelog beyond `after` (see tail.h),
    // else the result is RESULT_CURRENT. Backend odbc only.
    bool guarded;
    // A guarded read during a switch of owner: the legacy also answers when its fence is open; when it
    // is not and something has not arrived, the result is RESULT_FENCED.
    bool switching;
    long long after;
    const struct trace *trace; // of the request that it is done for; NULL: of none
    uint64_t deadline_ns;
    struct result result;
    // The arena must outlive `done`; on client disconnect the owner keeps it until then.
    void (*done)(struct execution *x);
    // backend_execute's: whose breaker learns from it, and who is told then
    struct breaker *breaker;
    unsigned ticket;
    void (*then)(struct execution *x);
};

struct backend_ops {
    const char *name;
    // Never fails synchronously: trouble is delivered through done (maybe before return).
    void (*execute)(struct backend *b, struct execution *x);
    bool (*healthy)(const struct backend *b);
    void (*destroy)(struct backend *b);
    // The breaker of what the execution will ask; NULL: the backend's own.
    struct breaker *(*breaker)(struct backend *b, const struct execution *x);
};
struct backend {
    const struct backend_ops *ops;
    struct breaker breaker; // all zero: never opens
};

// Gives the backend its circuit breaker, or one for each system behind it. Before its first call.
void backend_protect(struct backend *b, const struct breaker_options *o);
// Ends with RESULT_UNAVAILABLE at once while the breaker is open.
void backend_execute(struct backend *b, struct execution *x);

#endif
