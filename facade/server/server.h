// SPDX-License-Identifier: Apache-2.0
// A facade process: loops with listeners, dispatchers, backends and dialects, and the admin
// endpoints. `ficus serve` is one with the route table's mounts; `ficus service` is one with
// the rest dialect on the new store only.
#ifndef FICUS_FACADE_SERVER_H
#define FICUS_FACADE_SERVER_H

#include "base/conf.h"
#include "facade/policy/policy.h"
#include "routes/live.h"

struct server;

struct server_options {
    const struct conf *conf;
    const struct entity_set *entities;
    const struct access_policy *policy; // NULL: none
    bool service;                       // rest dialect on postgres, no ladder, no legacy
};

// Loads the table, starts threads, binds the listeners; serving when it returns.
struct server *server_start(const struct server_options *o, struct err *e);
// Drains (no new connections, open requests finish, up to facade.drain_ms) and frees.
void server_stop(struct server *s);
int server_reload(struct server *s, struct err *e) FICUS_MUST_CHECK; // definitions, SIGHUP
// Loads certificates whose files changed. To be called every second or so, by the thread that
// reloads: it reads files.
void server_watch(struct server *s);
const char *server_address(const struct server *s); // "127.0.0.1:8080"

#endif
