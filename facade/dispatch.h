// SPDX-License-Identifier: Apache-2.0
// Takes an operation to the side that must answer it: stage, canary bucket, owner, epoch,
// holding during a switch, retry when fenced, shadow comparison after the reply.
#ifndef FICUS_FACADE_DISPATCH_H
#define FICUS_FACADE_DISPATCH_H

#include "facade/backend.h"
#include "facade/dual.h"

struct dispatcher; // one per loop
struct http_exchange;
struct access; // policy/access.h

// One request's way through dispatch; embedded or arena-allocated by the dialect.
struct dispatch {
    struct operation *operation;
    uint64_t deadline_ns;
    struct result result;      // never RESULT_FENCED
    struct route_table *table; // the snapshot it runs under (dispatch refs/unrefs)
    const struct route *route;
    struct http_exchange *exchange;   // the client's, told what was done (explain.h); may be NULL
    void (*done)(struct dispatch *d); // exactly once, on the loop
    void *owner;                      // the dialect's request
    struct execution execution;       // dispatch's
    struct dual_wait dual;            // dispatch's
    unsigned attempts;                // dispatch's
    struct dispatch *next_held;       // dispatch's and held.c's, as the next four
    struct dispatch *next_released, *followers;
    size_t held_bytes;
    uint64_t key_hash;             // of a write that was held and is being executed; else 0
    uint64_t held_since_ns;        // dispatch's; 0: not held
    uint64_t held_until_ns;        // dispatch's
    struct dispatcher *dispatcher; // dispatch's
    bool hidden;                   // denied: in the strict policy, as if it were not there
    uint8_t hole;                  // policy's: what a strict one would not answer
    uint64_t started_ns;           // dispatch's
    uint64_t asked_ns;             // dispatch's; when a backend was asked
    uint64_t upstream_ns;          // time spent with backends so far
    enum route_why why;            // of the side that was chosen last
    int bucket;                    // of the key; -1: none was looked at
    bool gone;                     // RESULT_RETIRED is to be 410 in every dialect
};

void dispatch_run(struct dispatcher *p, struct dispatch *d);
struct loop *dispatcher_loop(struct dispatcher *p);
// The table as of now for this loop; borrowed until the current callback returns.
const struct route_table *dispatcher_table(struct dispatcher *p);
// The gate that every operation passes; NULL: none, everyone may do everything.
struct access *dispatcher_access(struct dispatcher *p);
// "account new": route and the side that answered, for the access log. Lives as long as the
// dispatcher. To be asked within `done`.
const char *dispatch_label(const struct dispatch *d);

#endif
