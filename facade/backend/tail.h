// SPDX-License-Identifier: Apache-2.0
// What stands in the legacy's changelog beyond a position, against what a read looks at. An
// acknowledged write is committed, so its changelog row is there for whoever asks later, from
// any process: this is read-your-writes without a clock and without anything that clients or
// facades would have to remember.
#ifndef FICUS_FACADE_BACKEND_TAIL_H
#define FICUS_FACADE_BACKEND_TAIL_H

#include "connectors/odbc/odbc.h"
#include "facade/operation.h"

// *touched: a row beyond `after` is of the record that `op` (a GET by key) asks for, or of an
// entity that a list, a count or an expansion looks at; or there are too many rows to tell.
// Memory of `a`. Thread: a worker; blocks for one indexed select.
int tail_touches(struct odbc_conn *c, const struct operation *op, long long after, struct arena *a,
                 bool *touched, struct err *e) FICUS_MUST_CHECK;

#endif
