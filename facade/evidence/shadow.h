// SPDX-License-Identifier: Apache-2.0
// Shadow comparison: after the legacy has answered a read, the same read runs on the new side
// and the canonical results are compared. Never delays a client: bounded in number, dropped
// and counted beyond. One a loop; what it finds goes to the evidence store in batches.
#ifndef FICUS_FACADE_SHADOW_H
#define FICUS_FACADE_SHADOW_H

#include "facade/backend.h"

struct shadow;
struct evidence; // facade/evidence/evidence.h
struct pins;     // facade/pins.h

struct shadow_options {
    struct loop *loop;
    struct backend *backends[3]; // by enum backend_kind
    struct evidence *evidence;   // borrowed; may be NULL
    struct pins *pins;           // borrowed; says how far the new side has come. NULL: no lag
                                 // is known, a difference that stays is a mismatch
    unsigned in_flight_max;
    unsigned deadline_ms;
    unsigned noise_every; // each so many comparisons the legacy is read twice; 0 never
};

struct shadow *shadow_create(const struct shadow_options *o, struct err *e);
// No further comparison, none under way goes on to its next read. Before the backends go.
void shadow_close(struct shadow *s);
void shadow_destroy(struct shadow *s); // nothing may be with a backend
// Copies what it needs; the caller's memory may go away after the call.
void shadow_compare(struct shadow *s, const struct route *r, struct route_table *table,
                    const struct operation *op, const struct result *legacy);

#endif
