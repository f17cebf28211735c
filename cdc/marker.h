// SPDX-License-Identifier: Apache-2.0
// Markers: "everything before this has arrived". Written into the source store, carried by
// capture through every partition of every topic of that side, noted by apply in the sink.
// Capture forwards a marker only after re-reading every open gap below it in a statement that
// began when the marker was already visible.
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

#endif
