// SPDX-License-Identifier: Apache-2.0
// A legacy API's wire language. A folder entry each (facade/dialect/NAME*.c), found by name.
#ifndef FICUS_FACADE_DIALECT_H
#define FICUS_FACADE_DIALECT_H

#include "base/conf.h"
#include "base/worker.h"
#include "facade/dispatch.h"
#include "facade/http/http.h"

struct app_sessions; // facade/session/app_sessions.h
struct login_guard;  // facade/session/login_guard.h
struct pass;         // facade/pass/pass.h
struct sessions;     // facade/session/sessions.h
struct pg_pool;      // connectors/postgres/pg_pool.h

// What a dialect may use; one per loop, borrowed.
struct dialect_env {
    struct dispatcher *dispatcher;
    struct worker_pool *workers; // for password hashes
    struct sessions *sessions;
    struct login_guard *logins; // NULL: logins are not bounded
    const struct entity_set *entities;
    const struct conf *conf;
    struct pg_pool *control;           // the control store (in a service: its own)
    struct app_sessions *app_sessions; // NULL: no application
    // The way to an upstream of the present table by name; NULL: there is none.
    struct pass *(*pass)(void *ctx, const char *upstream);
    // Where the table's rules send a call of a dialect: an upstream, or NULL. `r` may be NULL.
    struct pass *(*rule)(void *ctx, const struct http_request *r, struct str method,
                         struct str module);
    void *pass_ctx;
};

// What a request to a dialect would be, as far as that can be told without doing it.
struct dialect_call {
    struct str method, module;   // the dialect's own words; "" when it has none
    const struct entity *entity; // NULL: none, or not known
    bool read;
    struct str key; // "" for lists and creates
};

struct dialect {
    const char *name; // "v4_1", "rest"
    // `options` is the mount's JSON. Returns per-mount state (or NULL with `e` set).
    struct dialect_mount *(*mount)(const struct dialect_env *env, const struct mount *m,
                                   struct err *e);
    // Must end with exactly one http_reply. Thread: the loop.
    void (*on_request)(struct dialect_mount *m, struct http_request *r);
    void (*unmount)(struct dialect_mount *m);
    // May be NULL. `r` has what a request has but for its exchange; results live in its arena
    // or borrow from it. ERR_* says why the dialect would refuse it. Pure; any thread.
    int (*describe)(const struct entity_set *set, const struct mount *m,
                    const struct http_request *r, struct dialect_call *out, struct err *e);
    bool any_method; // refuses by itself the methods that HTTP does not know
};

extern const struct dialect dialect_v4_1, dialect_rest, dialect_template;
const struct dialect *dialect_find(struct str name);

#endif
