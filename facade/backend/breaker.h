// SPDX-License-Identifier: Apache-2.0
// A circuit breaker: what fails most of the time is left alone for a while, so that callers are
// answered at once and it can recover; then a few calls try it.
//
//             failures of the last window >= the share, and enough calls
//    CLOSED ------------------------------------------------------------> OPEN
//      ^                                                            ^      | open_ms later
//      |  PROBES successes in a row                  one failure    |      v
//      +----------------------------------- HALF_OPEN --------------+<-- HALF_OPEN
//
// Counts are of two half windows, so that old calls fade. Thread: one loop's; each loop learns
// by itself.
#ifndef FICUS_FACADE_BREAKER_H
#define FICUS_FACADE_BREAKER_H

#include "base/err.h"

#include <stdint.h>

struct metric;

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker_options {
    unsigned percent; // failures of all calls that open it; 0: it never opens
    unsigned calls;   // fewer in a window open nothing
    unsigned open_ms; // then a few calls may try
};

struct breaker {
    struct breaker_options o;
    const char *name; // borrowed; of the backend, for log and metrics
    enum breaker_state state;
    uint64_t since_ns, half_ns;     // of the state; of the present half window
    unsigned calls[2], failures[2]; // the present half window, and the one before
    unsigned probes, successes;     // HALF_OPEN: under way; in a row
    unsigned generation;            // of the state: answers to calls of an earlier one are stale
    struct metric *to[3], *refused;
};

enum breaker_outcome { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NEUTRAL };

void breaker_init(struct breaker *b, const struct breaker_options *o, const char *name);
// Whether a call may go; then breaker_record must follow with the same `*ticket`.
bool breaker_admit(struct breaker *b, uint64_t now_ns, unsigned *ticket);
// NEUTRAL: says nothing of the backend (refused by our own queue, say).
void breaker_record(struct breaker *b, unsigned ticket, enum breaker_outcome outcome,
                    uint64_t now_ns);
const char *breaker_state_name(enum breaker_state s);

#endif
