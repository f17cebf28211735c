// SPDX-License-Identifier: Apache-2.0
// Shared by reconcile.c (run and record), reconcile_scan.c (first pass) and
// reconcile_settle.c (what outlives the markers) only.
#ifndef FICUS_CDC_RECONCILE_INT_H
#define FICUS_CDC_RECONCILE_INT_H

#include "cdc/reader.h"
#include "cdc/reconcile.h"

#define XXH_STATIC_LINKING_ONLY // a hash state on the stack
#include <xxhash.h>

#define CANDIDATES_MAX 100000
#define SAMPLES_MAX    1000

// A key whose sides did not agree, with what they held at the first read of a round.
struct candidate {
    struct str key;
    XXH128_hash_t hash[2]; // by side
};

struct scan {
    const struct reconcile_options *o;
    const struct entity *entity;
    struct reader side[2];
    struct odbc_conn *odbc;
    struct pg_conn *pg;
    struct arena *keep;  // candidates, samples: lives as long as the report
    struct arena *chunk; // one chunk of rows
    struct candidate *candidates;
    size_t ncandidates;
    bool overflow; // more candidates than CANDIDATES_MAX: incomplete
    struct entity_report *report;
};

bool rows_agree(const struct scan *s, const struct value *legacy, const struct value *new_);
// Walks one side by key range and looks every key up on the other. From legacy it compares
// rows; from new it only looks for keys that the legacy does not have.
int scan_side(struct scan *s, enum side from, struct err *e) FICUS_MUST_CHECK;
// Rounds of read, markers, read. Fills the report's differences, settled and unsettled.
int settle(struct scan *s, struct err *e) FICUS_MUST_CHECK;

#endif
