// SPDX-License-Identifier: Apache-2.0
// Runs a canonical read that was kept with a mismatch against both sides again. Blocking: has a
// loop, workers and connections of its own, for the command line. Never writes.
#ifndef FICUS_FACADE_REPLAY_H
#define FICUS_FACADE_REPLAY_H

#include "base/conf.h"
#include "facade/evidence/compare.h"

struct replay {
    struct operation op;
    struct result side[2]; // by enum side
    struct mismatch differing[MISMATCHES_MAX];
    unsigned n; // how many differ now, as result_compare counts
};

// `operation` is canonical JSON (canonical.h). Results live in `a`. -1 when it cannot be asked;
// a side that did not answer says so in its result's status.
int replay_run(const struct conf *conf, struct route_table *t, const struct route *r,
               const json_t *operation, struct arena *a, struct replay *out,
               struct err *e) FICUS_MUST_CHECK;

#endif
