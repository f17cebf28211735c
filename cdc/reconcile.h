// SPDX-License-Identifier: Apache-2.0
// Compares both stores row by row while both are live. Candidates from a first pass are
// settled: markers go through both streams, then the candidate keys are read again on both
// sides, until a key either agrees or stood still on both sides across a marker and still
// differs. Only the latter is a difference.
#ifndef FICUS_CDC_RECONCILE_H
#define FICUS_CDC_RECONCILE_H

#include "base/conf.h"
#include "routes/control.h"

struct reconcile_options {
    const struct conf *conf;
    const struct route_table *table;
    const struct entity *const *entities;
    size_t nentities;
    const char *who;
    unsigned chunk;  // rows a chunk; 0: default
    unsigned rounds; // settle rounds; 0: default
    // Progress: called between chunks. NULL: none.
    void (*progress)(void *ctx, const struct entity *en, long long rows, long long estimate);
    void *ctx;
};

struct difference {
    struct str key;      // as shown: a personal key by its length only
    struct str real_key; // never leaves the process
    const char *kind, *field;
    struct value legacy, new_;
};
struct entity_report {
    const struct entity *entity;
    long long rows_legacy, rows_new, differences, settled, unsettled, parked;
    long long bad_keys; // legacy rows with a NULL key, or one that others have too: not compared
    bool complete;
    struct difference *samples;
    size_t nsamples;  // bounded
    bool samples_cut; // there were more
};
struct reconcile_report {
    long long run; // id in ficus.reconcile_run
    struct entity_report *entities;
    size_t nentities;
    bool complete, equal;
    uint64_t ms;
};
// Memory of the report is the arena's.
int reconcile_run(const struct reconcile_options *o, struct control *c, struct arena *a,
                  struct reconcile_report *out, struct err *e) FICUS_MUST_CHECK;

#endif
