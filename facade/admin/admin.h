// SPDX-License-Identifier: Apache-2.0
// The admin API under /admin on facade.admin_listen: a table of endpoints, each with the role it
// needs; the dispatcher in admin.c checks the bearer token before any handler runs. Answers are
// JSON. What talks to the control store runs in a worker; what looks at loops visits one after
// the other, each in its own thread. docs/admin-api.md is written from the table.
#ifndef FICUS_FACADE_ADMIN_H
#define FICUS_FACADE_ADMIN_H

#include "facade/server/server_int.h"

// True when the path is under /admin; the request has then been taken. Thread: the loop that
// owns the admin listener.
bool admin_request(struct server_loop *sl, struct http_request *r);
void admin_write_reference(struct buf *out); // Markdown of the table

#endif
