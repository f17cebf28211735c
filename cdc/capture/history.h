// SPDX-License-Identifier: Apache-2.0
// Whether the new store still has the history that the legacy has seen of it. A restored backup
// brings back an earlier one, with its slot and the control store; what the legacy has applied
// since is then of a history that is no more, and terms and LSNs come a second time. Capture draws
// its terms by chance (cdc/capture/leader.h), each goes out with the events, and the sink keeps the
// last one beside its positions: a term that the new store never drew tells.
#ifndef FICUS_CDC_HISTORY_H
#define FICUS_CDC_HISTORY_H

#include "cdc/sync_int.h"

// The newest that a sink's positions tell of.
struct history_seen {
    long long term, through;
};

void history_add(struct history_seen *seen, long long term, long long through);
// -1 with ERR_STALE: restored; capture of the new store is stopped with that reason, and whoever
// leads it fails when it saves. `pg`: the new store.
int history_check(struct pg_conn *pg, const struct history_seen *seen,
                  struct err *e) FICUS_MUST_CHECK;
// The same by the legacy's positions. A legacy that is away is no reason to wait: 0, and apply asks
// when it takes its partitions. Blocks.
int history_ask_legacy(struct sync *s, struct pg_conn *pg, struct err *e) FICUS_MUST_CHECK;

#endif
