// SPDX-License-Identifier: Apache-2.0
// The legacy application's own session beside ours: what its login needs, and the session that it
// gave. Kept with our session in the control store, sealed under a key that only the client's
// session id yields (the store knows the id's hash alone), so that every instance can take it up
// and the store tells nobody. Never logged. Thread: the loop.
#ifndef FICUS_FACADE_APP_SESSIONS_H
#define FICUS_FACADE_APP_SESSIONS_H

#include "base/arena.h"
#include "base/buf.h"

struct app_sessions; // one a loop
struct pg_pool;

struct app_session {
    struct str login; // the dialect's own words
    struct str id;    // of the application's session; "": none yet
};

struct app_sessions *app_sessions_create(struct pg_pool *pool, struct err *e);
void app_sessions_destroy(struct app_sessions *s); // after the pool; NULL is fine

// Remembers it for our session `ours`; the store hears of it in its own time. Without memory, or
// while the store is away, it is forgotten sooner: the client is asked to log in again.
void app_sessions_put(struct app_sessions *s, struct str ours, const struct app_session *app);
// `found` is called once, perhaps before the call returns; NULL: nothing is known. Borrowed.
typedef void app_session_found_fn(void *ctx, const struct app_session *app);
void app_sessions_get(struct app_sessions *s, struct str ours, app_session_found_fn *found,
                      void *ctx);

// For tests: the sealed text of arena `a`, .data NULL on failure; and back.
struct str app_session_seal(struct arena *a, struct str ours, struct str clear);
struct str app_session_open(struct arena *a, struct str ours, struct str sealed);

#endif
