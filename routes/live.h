// SPDX-License-Identifier: Apache-2.0
// The live route table of a process: a thread that listens on the control store, keeps the
// last good table on disk, heartbeats, and hands each new snapshot to whoever asked.
#ifndef FICUS_ROUTES_LIVE_H
#define FICUS_ROUTES_LIVE_H

#include "base/conf.h"
#include "routes/control.h"

struct live;

struct live_options {
    const struct conf *conf;
    const struct entity_set *entities;
    const char *kind;       // "serve", "sync", "service"
    const char *address;    // shown in `ficus status`
    const char *state_path; // last good table on disk; NULL: none
    // Called in the live thread with a table that the callee must route_table_ref to keep.
    void (*on_table)(void *ctx, struct route_table *t);
    // Called before every heartbeat; returns an owned JSON object (held requests, ..) or NULL.
    json_t *(*on_heartbeat)(void *ctx);
    void *ctx;
};
// Loads definitions, then state from the control store, else from disk, else the defaults
// (all legacy). Fails only when the definitions are wrong. Without control.conninfo there is no
// thread, and no state but the defaults.
struct live *live_start(const struct live_options *o, struct err *e);
void live_stop(struct live *l);
struct route_table *live_table(struct live *l); // referenced: unref it. Thread: any
bool live_connected(const struct live *l);      // control store reachable now
const char *live_id(const struct live *l);      // instance id
// Every change of the entity up to this legacy changelog seq stands in the new store (the
// least ficus.position.through over the partitions of stream legacy.<entity>); -1 unknown.
// This is what releases a read-your-writes pin: a write remembers the greatest changelog seq
// read inside its own transaction, no clock decides. Refreshed while live_want_through(l, true).
long long live_through(const struct live *l, const struct entity *en);
void live_want_through(struct live *l, bool wanted);
int live_reload(struct live *l, struct err *e) FICUS_MUST_CHECK; // definitions, on SIGHUP

#endif
