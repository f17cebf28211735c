// SPDX-License-Identifier: Apache-2.0
// Making a loop's sessions; what dialects may do with them is in sessions.h.
#ifndef FICUS_FACADE_SESSIONS_INT_H
#define FICUS_FACADE_SESSIONS_INT_H

#include "facade/session/sessions.h"

struct pg_pool;

// Borrows the pool (of the control store). One a loop.
struct sessions *sessions_open(struct pg_pool *pool, uint64_t life_ms, struct err *e);
void sessions_close(struct sessions *s);

#endif
