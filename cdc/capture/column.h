// SPDX-License-Identifier: Apache-2.0
// Capture without triggers: "capture": {"by": "column"} names a timestamp or version column of
// the root table that the application sets with every write. Every sync.column_poll_ms the keys
// from (greatest value seen - overlap) on are read in the order of (column, key); those that were
// not seen with this value before are noted in the changelog on the application's behalf, and
// from there all goes as with triggers. The legacy needs Ficus' tables, no trigger.
//
// The overlap is what a transaction may take from choosing its value to its commit. No clock of
// ours decides anything: values are compared with values; one in the store's future is told but
// does not move the mark. A value that came back from the new store is told like any other and
// changes nothing there, since the row is the same.
//
// Not seen here, but by the sweep (cdc/capture/sweep.h): deletes, writes that leave the column, rows whose
// column is NULL, commits later than the overlap. Without triggers there is no fence: the group's
// writes cannot move (guard "fence").
//
// Only in the process whose capture leads, while the legacy owns the group.
#ifndef FICUS_CDC_COLUMN_H
#define FICUS_CDC_COLUMN_H

#include "cdc/sync_int.h"

int column_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
// The greatest value less the overlap, as text that the store compares; in `out`.
int column_low(const struct capture_source *c, struct str greatest, char out[40],
               struct err *e) FICUS_MUST_CHECK;

#endif
