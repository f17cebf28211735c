// SPDX-License-Identifier: Apache-2.0
// What a capture tells of when its side was opened (cdc/marker.h, apply_fence.c).
#ifndef FICUS_CDC_OPENING_H
#define FICUS_CDC_OPENING_H

#include "cdc/capture/publish.h"
#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg.h"

// A marker goes by, at its place in the stream.
int opening_pass(struct publisher *p, struct str marker, long long through,
                 struct err *e) FICUS_MUST_CHECK;
// Tells again of the last opening of every group: to all entities that are not held when a
// capture begins (-1), or to one that was held while it was told. What is read from the side
// after this call is newer than that opening. One of the two connections is not NULL.
int opening_tell(struct publisher *p, long entity, struct odbc_conn *legacy, struct pg_conn *pg,
                 struct err *e) FICUS_MUST_CHECK;

#endif
