// SPDX-License-Identifier: Apache-2.0
// The legacy database behind a pool of worker threads, one connection each.
#ifndef FICUS_FACADE_ODBC_BACKEND_H
#define FICUS_FACADE_ODBC_BACKEND_H

#include "base/conf.h"
#include "base/worker.h"
#include "facade/backend.h"

struct odbc_workers; // shared by all loops

struct odbc_workers *odbc_workers_create(const struct conf *conf, struct err *e);
void odbc_workers_destroy(struct odbc_workers *w, unsigned ms);
struct worker_pool *odbc_workers_pool(struct odbc_workers *w);
bool odbc_workers_healthy(const struct odbc_workers *w); // the newest connection attempt worked

// One a loop.
struct backend *odbc_backend_create(struct odbc_workers *w, struct loop *loop, struct err *e);

#endif
