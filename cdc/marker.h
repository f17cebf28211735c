// SPDX-License-Identifier: Apache-2.0
// Markers: "everything before this has arrived". Written into the source store, carried by
// capture through every partition of every topic of that side, noted by apply in the sink.
// Capture forwards a marker only after re-reading every open gap below it in a statement that
// began when the marker was already visible.
// A marker that tells of an opening is written by whoever opens the side's fence, in the same
// transaction: what stands behind it in a partition was written after that. Apply compares it
// with when its own store was opened (apply_fence.c).
#ifndef FICUS_CDC_MARKER_H
#define FICUS_CDC_MARKER_H

#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg.h"
#include "migrations/entity.h"

// Writes the marker into the legacy changelog / the new store's WAL (one transaction).
int marker_send_legacy(struct odbc_conn *c, const char *marker, struct err *e) FICUS_MUST_CHECK;
int marker_send_new(struct pg_conn *c, const char *marker, struct err *e) FICUS_MUST_CHECK;
// How many (stream, partition) pairs of these entities have committed it in the sink.
int marker_count_new(struct pg_conn *sink, const char *marker, const struct entity *const *en,
                     size_t n, unsigned *count, struct err *e) FICUS_MUST_CHECK; // legacy.* streams
int marker_count_legacy(struct odbc_conn *sink, const char *marker, const struct entity *const *en,
                        size_t n, unsigned *count,
                        struct err *e) FICUS_MUST_CHECK; // new.* streams

// "opened-<epoch>-<group>"; the new store's fence_set() writes the same.
#define MARKER_OPENED_MAX 128
void marker_opened(char out[MARKER_OPENED_MAX], long long epoch, const char *group);
bool marker_is_opened(struct str marker, long long *epoch, struct str *group);

#endif
