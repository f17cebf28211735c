// SPDX-License-Identifier: Apache-2.0
// Keys that somebody names, read on both sides. Thread: the run's; each side is read by one of its
// own meanwhile.
#ifndef FICUS_CDC_RECONCILE_RECHECK_H
#define FICUS_CDC_RECONCILE_RECHECK_H

#include "cdc/reconcile/reconcile_events.h"

// Gives `each` every key it knows, as often as it likes; must not use the connections of `p->side`.
typedef int recheck_source_fn(struct pass *p, void *ctx, events_key_fn *each, void *each_ctx,
                              struct err *e);
// Keys whose rows differ, or stand more than once, become candidates of p->pool. rows: found, by side.
int recheck(struct pass *p, recheck_source_fn *source, void *ctx, long long rows[2],
            struct err *e) FICUS_MUST_CHECK;

#endif
