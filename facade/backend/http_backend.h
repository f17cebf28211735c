// SPDX-License-Identifier: Apache-2.0
// A service that speaks the rest dialect, asked for canonical operations (facade/canonical.h).
#ifndef FICUS_FACADE_HTTP_BACKEND_H
#define FICUS_FACADE_HTTP_BACKEND_H

#include "connectors/http/http_client.h"
#include "facade/backend.h"

// Borrows the client. One a loop.
struct backend *http_backend_create(struct http_client *client, struct loop *loop, struct err *e);
// Resolves the URLs of the table's http routes; may block: before the loop runs.
int http_backend_prepare(struct backend *b, const struct route_table *t,
                         struct err *e) FICUS_MUST_CHECK;

// Each service's breaker, with its URL. Thread: the loop.
void http_backend_breakers(const struct backend *b,
                           void (*each)(void *ctx, const char *url, const struct breaker *k),
                           void *ctx);

#endif
