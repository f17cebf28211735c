// SPDX-License-Identifier: Apache-2.0
// Reads a trigger changelog without losing a commit. Rows above an open gap are given out at
// once; the missing numbers below them are remembered and looked at again until their row shows
// up or the store says that there is none:
//
//   missing -> in flight   the row is locked by its transaction: look again
//           -> empty once  no such row, but a number is handed out before its row is inserted
//           -> closed      still none after CHANGELOG_PAUSE_MS: rolled back
//           -> shown       committed: given out, late
//
// A DBMS whose seq order is commit order (no probe statement) has no gaps. PostgreSQL's is read by
// snapshot difference instead (changelog_snapshot.c): there a position is a transaction id. One
// thread; the connection is borrowed and must be in autocommit mode at READ COMMITTED.
#ifndef FICUS_CDC_CHANGELOG_H
#define FICUS_CDC_CHANGELOG_H

#include "connectors/odbc/odbc.h"

#define CHANGELOG_PAUSE_MS 100

struct changelog_row {
    long long seq;
    struct str entity; // "": a marker
    struct str key;    // or the marker
    uint64_t at_us;    // when it was written, by the store's clock
};

struct changelog;

// Gives out rows from behind `after`, a changelog_position() of earlier or 0. ERR_STALE: the store's changelog ends before `after` (a
// restored backup or a reset sequence: a new snapshot is due).
int changelog_open(struct odbc_conn *c, long long after, struct changelog **out,
                   struct err *e) FICUS_MUST_CHECK;
void changelog_close(struct changelog *l);
// ERR_STALE when the newest row that was read, which trimming leaves, is another one or gone: the
// changelog was emptied, restored or numbered anew under a running capture.
int changelog_verify(struct changelog *l, struct err *e) FICUS_MUST_CHECK;
// Up to `max` rows (memory of `a`): first rows of gaps that showed up, then new ones by seq.
int changelog_read(struct changelog *l, size_t max, struct arena *a, struct changelog_row **rows,
                   size_t *n, struct err *e) FICUS_MUST_CHECK;
// The next read begins in a state of the store that is not older than this call.
bool changelog_fresh(const struct changelog *l);
// For markers: gives out what was committed before a row that was given out, in statements that
// begin now. *more: there is more of it, ask again.
int changelog_recheck(struct changelog *l, struct arena *a, struct changelog_row **rows, size_t *n,
                      bool *more, struct err *e) FICUS_MUST_CHECK;
// Every change with seq <= this has been given out or does not exist.
long long changelog_low(const struct changelog *l);
// Where to open again, and how far the reading got, in the same unit.
long long changelog_position(const struct changelog *l);
long long changelog_captured(const struct changelog *l);
long long changelog_top(const struct changelog *l); // greatest seq given out
size_t changelog_gaps(const struct changelog *l);   // missing numbers not settled yet
// Removes rows up to the position `upto`, or a good many of them: it is called again and again.
// The newest row that was read always stays.
long long changelog_trimmed(const struct changelog *l); // the position up to which it did
int changelog_trim(struct changelog *l, long long upto, struct err *e) FICUS_MUST_CHECK;

#endif
