// SPDX-License-Identifier: Apache-2.0
// A direct copy: existing rows of the legacy straight into the new store by COPY, several ranges of
// keys at once, then the stream from where it was. For the first copy of large tables: each row is
// touched once instead of going through Kafka.
//
//   requested -> pausing -> ranges -> COPYING -> leftovers -> done, stream resumed
//                                        |  ^
//                                        +--+ killed: each range goes on behind its last key
//
// Why nothing older stands at the end: the stream of the entity is paused before the first row is
// read, and no applier can commit a batch of it from then on (its position's statement asks for the
// pause). A change that was applied before was committed before, so the copy reads it or something
// newer; a change that was not is applied when the stream resumes, from the aggregate's state at a
// later time, deletions too. A range's last key moves in the transaction that copies its rows.
//
// A chunk that the store refuses, and rows that no policy lets across, are left to the stream, by
// key: it parks them in sight. Into a table that is not empty rows go by upsert; rows that only the
// new store has stay (reconcile names them).
#ifndef FICUS_CDC_COPY_H
#define FICUS_CDC_COPY_H

#include "cdc/sync_int.h"

#define COPY_RANGES_MAX 16

// One direct copy, to its end or until the process stops (*done tells). The slice is that of the
// request in ficus.snapshot. Takes up what an earlier run left. `pg`: the control store.
// Only legacy -> new. Thread: the snapshot thread; starts and joins one a range.
int copy_run(struct sync *s, size_t entity, struct pg_conn *pg, bool resumed, bool *done,
             struct err *e) FICUS_MUST_CHECK;

#endif
