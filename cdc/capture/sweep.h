// SPDX-License-Identifier: Apache-2.0
// The sweep finds what no trigger saw: foreign-key cascades and TRUNCATE on MariaDB, bulk loads,
// disabled or dropped triggers, a change of a row that was linked at the same moment. It walks
// every entity for ever, slowly, and compares fingerprints (cdc/reconcile/scan.h) of both stores by key:
//
//   walk the legacy's keys   rows that the new store lacks or holds otherwise
//   walk the new store's     rows that the legacy no longer has
//
// What differs is looked at again behind a marker that went through the stream: a legacy row that
// has not moved since and still differs was missed by capture. It is noted in the changelog, so
// that the stream carries it in order with every other change, and counted.
//
// Only while the legacy owns the entity's group, after its first copy, in the process whose
// capture leads. Paced by sync.sweep_rows (rows a second, 0: off) and sync.sweep_share (per cent
// of the time that a store may be busy for it); so a change is found within
// (rows of all entities on both sides) / sync.sweep_rows at the latest, when the stores keep up.
// Where it is stands in ficus.sweep: a restart goes on at a chunk.
#ifndef FICUS_CDC_SWEEP_H
#define FICUS_CDC_SWEEP_H

#include "cdc/sync_int.h"

int sweep_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;

#endif
