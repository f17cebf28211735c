// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context: reading traceparent and tracestate, and being one hop of a trace.
// Thread: any; a random source belongs to one.
#ifndef FICUS_BASE_TRACE_H
#define FICUS_BASE_TRACE_H

#include "base/str.h"

#include <stdint.h>

#define TRACE_PARENT_LEN    55  // "00-" trace "-" span "-" flags
#define TRACE_STATE_MAX     512 // bytes, 32 members; a longer one is dropped
#define TRACE_STATE_MEMBERS 32

// A fast generator for identifiers: not for secrets.
struct trace_random {
    uint64_t state[2];
};
void trace_random_seed(struct trace_random *r); // from the kernel

struct trace {
    char trace_id[33];  // lower-case hex, never all zero
    char span_id[17];   // of our own span: what is passed on as the parent
    char parent_id[17]; // of who asked; "" when the trace begins here
    uint8_t flags;      // bit 0: sampled
    struct str state;   // as it came, valid members only; borrowed. "" without one
};

// Continues the trace that `traceparent` (.data NULL: none came) names, or begins one, not
// sampled, when there is none or it is malformed; `state` counts only beside a valid parent.
void trace_begin(struct trace *t, struct trace_random *r, struct str traceparent, struct str state);
// The field for the next hop, NUL-ended.
void trace_write_parent(const struct trace *t, char out[TRACE_PARENT_LEN + 1]);
// Whether a whole tracestate field keeps to the grammar and the limits above.
bool trace_state_is_valid(struct str state);

#endif
