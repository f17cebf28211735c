// SPDX-License-Identifier: Apache-2.0
// The new store through a non-blocking pool on the loop.
#ifndef FICUS_FACADE_POSTGRES_BACKEND_H
#define FICUS_FACADE_POSTGRES_BACKEND_H

#include "base/conf.h"
#include "connectors/postgres/pg_pool.h"
#include "facade/backend.h"

// Borrows the pool; one a loop.
struct backend *postgres_backend_create(struct pg_pool *pool, struct loop *loop, struct err *e);

#endif
