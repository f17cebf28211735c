// SPDX-License-Identifier: Apache-2.0
// Entities whose capture stands still while the others go on: their changed keys are kept in
// the control store (ficus.held) before any position moves past them, and published from the
// rows as they are then, once the stream is resumed. Nothing is lost and nobody waits.
// One thread: the capture of that side. Connection borrowed.
#ifndef FICUS_CDC_HOLD_H
#define FICUS_CDC_HOLD_H

#include "cdc/keymap.h"
#include "cdc/sync_int.h"

#define HOLD_PAGE 256

struct hold {
    struct sync *s;
    enum side side;
    struct pg_conn *pg;
    bool *on;           // by entity
    struct keymap keys; // not in the store yet
};

// Takes up what an earlier process left.
int hold_open(struct hold *h, struct sync *s, enum side side, struct pg_conn *pg,
              struct err *e) FICUS_MUST_CHECK;
void hold_close(struct hold *h);
// Stops the stream, with the reason in log, status and control store.
void hold_stop(struct hold *h, size_t entity, const char *reason);
int hold_add(struct hold *h, size_t entity, struct str key, struct err *e) FICUS_MUST_CHECK;
// Before a position is saved.
int hold_flush(struct hold *h, struct err *e) FICUS_MUST_CHECK;
// An entity that is held and was resumed, -1: none.
long hold_resumed(const struct hold *h);
// Up to HOLD_PAGE of its keys, in the arena; none: the entity is held no longer.
int hold_page(struct hold *h, size_t entity, struct arena *a, struct str *keys, size_t *n,
              struct err *e) FICUS_MUST_CHECK;
// These were published and acknowledged.
int hold_drop(struct hold *h, size_t entity, const struct str *keys, size_t n,
              struct err *e) FICUS_MUST_CHECK;

#endif
