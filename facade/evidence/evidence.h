// SPDX-License-Identifier: Apache-2.0
// What shadow comparison found, on its way to the control store: counts by route and by its
// stay at a stage (a new stay, or a new ignore rule, begins new evidence), and samples
// of mismatches, personal data by length only. Thread: any; written by the live thread's
// heartbeat through its own connection. Bounded: samples beyond the bound are only counted.
#ifndef FICUS_FACADE_EVIDENCE_H
#define FICUS_FACADE_EVIDENCE_H

#include "facade/evidence/compare.h"

enum evidence_outcome {
    EVIDENCE_MATCH,
    EVIDENCE_IGNORED, // differs only where an ignore rule of the route says so
    EVIDENCE_MISMATCH,
    EVIDENCE_STALE,
    EVIDENCE_DROPPED,
    EVIDENCE_OUTCOMES
};

struct evidence;
struct control;

struct evidence *evidence_create(struct err *e);
void evidence_destroy(struct evidence *v);
// `op` and what the client was told say what the comparison covers.
void evidence_count(struct evidence *v, const struct route *r, enum evidence_outcome o,
                    const struct operation *op, enum result_status told);
void evidence_sample(struct evidence *v, const struct route *r, const struct operation *op,
                     const struct mismatch *m);
// Two reads of the legacy in a row: how many pairs, and each field that differed (`m` of `n`).
void evidence_noise(struct evidence *v, const struct route *r, const struct mismatch *m,
                    unsigned n);
// A value as people may see it: personal and secret ones by length only.
void evidence_show(char *out, size_t size, const struct field *f, struct value v);
// Writes what has gathered since the last call. Blocking: not on a loop.
int evidence_flush(struct evidence *v, struct control *c, const char *instance,
                   struct err *e) FICUS_MUST_CHECK;

#endif
