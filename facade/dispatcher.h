// SPDX-License-Identifier: Apache-2.0
// Making and feeding a loop's dispatcher; what dialects may do with it is in dispatch.h.
#ifndef FICUS_FACADE_DISPATCHER_H
#define FICUS_FACADE_DISPATCHER_H

#include "base/metrics.h"
#include "facade/evidence/tally.h"
#include "facade/held.h"
#include "facade/pins.h"

struct shadow;

struct dispatcher_options {
    struct loop *loop;
    struct route_table *table;   // referenced by the dispatcher
    struct backend *backends[3]; // by enum backend_kind; NULL: none
    struct pins *pins;           // NULL: no read-your-writes (a service)
    struct shadow *shadow;       // NULL: none
    struct dual *dual;           // NULL: no write waits for the other side
    bool service;                // always the new side, no ladder, no holding: a fenced
                                 // write is the dialect's to report
    struct held_budget *budget;  // shared by the loops of a process; outlives the dispatcher
    unsigned hold_ms;
};

// The gate, borrowed; before the first operation.
void dispatcher_set_access(struct dispatcher *p, struct access *a);
struct dispatcher *dispatcher_create(const struct dispatcher_options *o, struct err *e);
// From here on every operation is answered busy, held ones too. Before the backends go.
void dispatcher_close(struct dispatcher *p);
void dispatcher_destroy(struct dispatcher *p); // closes; no operation may be with a backend
// A newer table for this loop. Held writes go on by it, in order of arrival. Thread: the loop.
void dispatcher_set_table(struct dispatcher *p, struct route_table *t);
struct tally *dispatcher_tally(const struct dispatcher *p); // lives as long as `p`
unsigned dispatcher_held(const struct dispatcher *p);       // Thread: any, a snapshot

#endif
