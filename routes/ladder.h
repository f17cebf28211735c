// SPDX-License-Identifier: Apache-2.0
// What a rung is judged by: limits of a route, the evidence for a promotion, and when the new
// arm is so much worse that the route is taken back. Pure functions. Thread: any.
//
// A rate is never taken as measured: a promotion needs the lower end of its 95 % interval
// (Wilson) above the limit, a rollback the lower end of the bad rate above it, so that few
// answers prove neither.
#ifndef FICUS_ROUTES_LADDER_H
#define FICUS_ROUTES_LADDER_H

#include "base/conf.h"

// Kinds of read and what the client was told, as bits.
enum ladder_operation { LADDER_GET = 1, LADDER_LIST = 2, LADDER_COUNT = 4 };
enum ladder_status { LADDER_OK = 1, LADDER_NOT_FOUND = 2 };
extern const char *const ladder_operations[]; // by bit position, NULL-ended
extern const char *const ladder_statuses[];

#define LADDER_UNSET (-1)

// Limits of one route; LADDER_UNSET: the configuration's (section ladder).
struct ladder {
    int match_bp;        // 1/100 per cent: the lower bound of the match rate must reach it
    int evidence_min;    // comparisons; 0: no evidence is asked for
    int each_min;        // comparisons of each kind of operation and status that is needed
    unsigned operations; // needed besides those that clients used
    unsigned statuses;   // likewise
    int rollback;        // 0 never, 1 by itself
    int error_bp;        // of the new arm's answers
    int mismatch_bp;     // of comparisons at the stage
    int latency_percent; // of the baseline's 95th percentile
    int rollback_min;    // answers of an arm before it is judged
};
#define LADDER_INIT                                                                       \
    {                                                                                     \
        .match_bp = LADDER_UNSET, .evidence_min = LADDER_UNSET, .each_min = LADDER_UNSET, \
        .rollback = LADDER_UNSET, .error_bp = LADDER_UNSET, .mismatch_bp = LADDER_UNSET,  \
        .latency_percent = LADDER_UNSET, .rollback_min = LADDER_UNSET                     \
    }

// Reads a route's "ladder" object (may be NULL: nothing set).
void ladder_load(const struct json_doc *doc, const json_t *def, const char *at, struct ladder *out,
                 struct problems *p);
// `l` with everything unset taken from the configuration.
struct ladder ladder_resolve(const struct ladder *l, const struct conf *conf);

// Ends of the 95 % Wilson interval of k of n; 0 and 1 when n is 0.
double ladder_lower(uint64_t k, uint64_t n);
double ladder_upper(uint64_t k, uint64_t n);

struct ladder_cover {
    unsigned operation, status; // one bit each
    uint64_t seen, compared;
};
#define LADDER_COVERS 6
struct ladder_evidence {
    uint64_t matched, ignored, mismatched, stale, dropped;
    struct ladder_cover cover[LADDER_COVERS];
    size_t ncover;
};
uint64_t ladder_compared(const struct ladder_evidence *v); // matched, ignored or mismatched
// What is missing for a promotion, one sentence each in `out`; true: nothing is. `l` resolved.
bool ladder_judge(const struct ladder *l, const struct ladder_evidence *v, struct buf *out);
// The evidence, the limits and what is missing, for the history.
json_t *ladder_evidence_json(const struct ladder *l, const struct ladder_evidence *v);

// ---- arms. Durations are counted in slots: slot i holds those below 2^i * 64 us.
#define ARM_SLOTS 20
unsigned arm_slot(uint64_t duration_ns);
struct arm {
    uint64_t requests, errors, slots[ARM_SLOTS];
};
double arm_quantile_ms(const struct arm *a, double q); // upper end of its slot; 0 without any

// True: the new arm is worse than the limits allow; the reason, with figures, in `out`.
// `baseline` may be empty (stage new): then only errors and mismatches are judged.
bool ladder_worse(const struct ladder *l, const struct arm *baseline, const struct arm *arm,
                  const struct ladder_evidence *stay, struct buf *out);

#endif
