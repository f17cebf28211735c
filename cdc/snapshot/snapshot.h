// SPDX-License-Identifier: Apache-2.0
// The first copy of existing rows, beside the running stream (DBLog's idea, without writing
// watermarks): the snapshot thread opens a window, reads a chunk by key range on a connection of
// its own and hands it to the capture thread of that side, which leaves out every row whose key
// it has emitted since the window opened, emits the rest as reads and closes the window. A row
// that changes later is emitted later; so the newest state of each key is always the last one.
#ifndef FICUS_CDC_SNAPSHOT_H
#define FICUS_CDC_SNAPSHOT_H

#include "cdc/reader.h"

struct sync;
struct publisher;
struct desk;

struct chunk {
    size_t entity;
    const struct field *const *fields; // of the rows' values
    size_t nfields;
    const struct reader_row *rows;
    size_t n;
    uint64_t after; // may be emitted once the stream has got here (0: at once)
};

struct desk *desk_create(struct err *e);
void desk_destroy(struct desk *d);

// --- capture thread
void desk_lead(struct desk *d, bool leads); // a chunk in hand fails when it stops leading
void desk_note(struct desk *d, size_t entity, struct str key); // emitted just now
// The side was opened just now: a chunk read before that may lack what came from the other side,
// so it is read again.
void desk_spoil(struct desk *d);
// Emits a waiting chunk when the stream has reached it, reports one that is acknowledged.
int desk_serve(struct desk *d, struct publisher *p, uint64_t reached,
               struct err *e) FICUS_MUST_CHECK;
bool desk_busy(struct desk *d); // a chunk is in hand or being read

// --- snapshot thread
bool desk_leads(struct desk *d);
int desk_window(struct desk *d, size_t entity, struct err *e) FICUS_MUST_CHECK;
// Returns when the broker has acknowledged the chunk's rows. ERR_STALE: capture went away.
int desk_hand(struct desk *d, struct sync *s, const struct chunk *c,
              struct err *e) FICUS_MUST_CHECK;

#endif
