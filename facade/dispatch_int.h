// SPDX-License-Identifier: Apache-2.0
// Shared by dispatch.c (writes, holding, the way of an operation) and dispatch_read.c (which side
// reads) only. Thread: the loop's.
#ifndef FICUS_FACADE_DISPATCH_INT_H
#define FICUS_FACADE_DISPATCH_INT_H

#include "facade/dispatch.h"
#include "facade/dispatcher.h"

struct dispatcher {
    struct dispatcher_options o;
    struct route_table *table;
    struct held held;
    struct dispatch *ready, **ready_last; // writes that waited for another one of their key
    bool going_on;
    struct event *tick;
    struct request_stats *stats;
    struct tally *tally;
    struct access *access;
    struct dual_desk *dual; // NULL: none
    bool closed;
    struct metric *held_total, *held_refused, *fenced_total, *kept_total, *unguarded_total;
};

void dispatch_executed(struct execution *x); // `done` of every execution
void dispatch_execute(struct dispatcher *p, struct dispatch *d, enum side side);

// Chooses the side of a read and executes it there.
void dispatch_read(struct dispatcher *p, struct dispatch *d);
// The same for one that waited for a switch of owner as long as it may, or found no room to wait.
void dispatch_read_held(struct dispatcher *p, struct dispatch *d);
// What has come of a guarded execution: its result stands, the new side answers, or nobody can tell
// yet who does.
enum guard { GUARD_ANSWERED, GUARD_NEW, GUARD_UNDECIDED };
enum guard dispatch_guard(struct dispatcher *p, struct dispatch *d);

#endif
