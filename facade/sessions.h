// SPDX-License-Identifier: Apache-2.0
// Sessions of legacy clients: kept in the control store (hashed id), cached per loop, usable
// on every instance and across restarts; memory only while the control store is away.
#ifndef FICUS_FACADE_SESSIONS_H
#define FICUS_FACADE_SESSIONS_H

#include "base/loop.h"
#include "facade/operation.h"

struct sessions; // one per loop

struct session {
    char id[33];              // 32 hex, opaque to clients
    struct principal principal;
    uint64_t expires_ms;      // wall clock
};

// `done(ctx, s)`: s is NULL when unknown or expired; borrowed during the call.
typedef void session_found_fn(void *ctx, const struct session *s);
void sessions_find(struct sessions *s, struct str id, session_found_fn *done, void *ctx);
// Makes a session; the id is written to `id_out`. Stored in the background.
int sessions_create(struct sessions *s, const struct principal *p, char id_out[33],
                    struct err *e) FICUS_MUST_CHECK;
void sessions_end(struct sessions *s, struct str id);

#endif
