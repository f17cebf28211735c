// SPDX-License-Identifier: Apache-2.0
// Whether the tables of an entity still are what its map says, by their columns as the store
// lists them. Remembers how each table looked at first, so that another type is seen too.
// One thread; the connection behind `query` is borrowed.
#ifndef FICUS_CDC_DRIFT_H
#define FICUS_CDC_DRIFT_H

#include "cdc/sync_int.h"

struct drift;

// Runs a SELECT outside of any transaction.
typedef int drift_query_fn(void *ctx, struct str sql, const struct value *params, size_t n,
                           struct arena *a, struct rows *out, struct err *e);

// `tell`: columns that the map does not know are logged.
int drift_create(const struct sync *s, enum side side, drift_query_fn *query, void *ctx, bool tell,
                 struct drift **out, struct err *e) FICUS_MUST_CHECK;
void drift_destroy(struct drift *d); // NULL is fine
// Looks at the entity's tables now. `why` (reset first) stays empty while they fit the map;
// else it says what changed and which edit of the map resolves it. Once it was
// asked, a column with another type is no news any more.
int drift_look(struct drift *d, size_t entity, struct buf *why, struct err *e) FICUS_MUST_CHECK;

#endif
