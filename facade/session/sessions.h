// SPDX-License-Identifier: Apache-2.0
// Sessions of legacy clients: kept in the control store (hashed id), cached per loop, usable
// on every instance and across restarts; memory only while the control store is away.
#ifndef FICUS_FACADE_SESSIONS_H
#define FICUS_FACADE_SESSIONS_H

#include "base/loop.h"
#include "facade/operation.h"

struct sessions; // one per loop

struct session {
    char id[33]; // 32 hex, opaque to clients
    struct principal principal;
    uint64_t expires_ms; // wall clock
};

// `done(ctx, s)`: s is NULL when unknown or expired; borrowed during the call.
typedef void session_found_fn(void *ctx, const struct session *s);
void sessions_find(struct sessions *s, struct str id, session_found_fn *done, void *ctx);
// What follows a change of sessions; may be called before the call returns.
typedef void session_settled_fn(void *ctx);
// Makes a session; the id is written to `id_out`. `stored` is called (unless -1 is returned)
// when every loop and instance can find it, or the control store is away: the client may use
// another connection as soon as it has its answer, so answer then.
int sessions_create(struct sessions *s, const struct principal *p, char id_out[33],
                    session_settled_fn *stored, void *ctx, struct err *e) FICUS_MUST_CHECK;
// `ended` is called when no loop of this process takes the session any more.
void sessions_end(struct sessions *s, struct str id, session_settled_fn *ended, void *ctx);

#endif
