// SPDX-License-Identifier: Apache-2.0
// How much of a store's time a walk over its rows may take: what reconcile, the sweep, snapshots
// and direct copies obey. Pure arithmetic; whoever walks does the resting.
#ifndef FICUS_CDC_PACE_H
#define FICUS_CDC_PACE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// May change while walks run: it is read before every rest.
struct pace {
    atomic_llong rows_per_s; // 0: no bound
    atomic_uint share;       // per cent of the time that a store may be busy for it; 0: 100
};

// What one walk has learned of its store. Zeroed at its start.
struct pacer {
    double best_us; // least time a row took
};

// Microseconds to rest after a chunk of `rows` that took `us`. A store that answers slower than
// it once did has other work: with a share below 100 it is left alone for longer.
uint64_t pacer_rest_us(struct pacer *p, const struct pace *pace, size_t rows, uint64_t us);

#endif
