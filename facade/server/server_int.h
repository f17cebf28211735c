// SPDX-License-Identifier: Apache-2.0
// Shared by server.c (process), server_loop.c (what one loop owns), server_route.c (which way a
// request goes) and server_admin.c (/healthz, /readyz, /metrics) only.
#ifndef FICUS_FACADE_SERVER_INT_H
#define FICUS_FACADE_SERVER_INT_H

#include "connectors/http/http_client.h"
#include "connectors/postgres/pg_pool.h"
#include "facade/backend/odbc_backend.h"
#include "facade/dialect.h"
#include "facade/dispatcher.h"
#include "facade/evidence/ledger.h"
#include "facade/evidence/shadow.h"
#include "facade/http/listener.h"
#include "facade/pass/pass.h"
#include "facade/policy/access.h"
#include "facade/server/access_log.h"
#include "facade/server/otel.h"
#include "facade/server/server.h"
#include "facade/session/login_guard.h"
#include "routes/people.h"

#include <stdatomic.h>

#define LOOPS_MAX   64
#define PASSES_MAX  128
#define MOUNTED_MAX 256

// A dialect under a path, as a route table describes it.
struct mounted {
    const struct mount *def; // of `table`
    const struct dialect *dialect;
    struct dialect_mount *state;
    struct route_table *table; // referenced; NULL for a service's
};

// Where requests go by one route table (referenced). By index of the table's mounts and upstreams.
struct ways {
    struct route_table *table;
    struct mounted **mounts;
    struct pass **passes;
    struct pass *fallback; // of what nothing describes; NULL: refused
};

// Everything that one loop owns. Created before its thread runs, destroyed after it ended.
struct server_loop {
    struct server *server;
    unsigned index;
    struct loop *loop;
    struct http_listener *listener, *tls_listener, *admin; // for clients, and ours
    struct pg_pool *pool;
    struct http_client *client;
    struct backend *backends[3];
    struct dispatcher *dispatcher;
    struct access *access; // NULL: no access control
    struct shadow *shadow;
    struct sessions *sessions;
    struct access_log *access_log;
    struct app_sessions *app_sessions;
    struct dialect_env env;
    struct mounted mounted[MOUNTED_MAX]; // in order of creation, as passes: none ends early
    size_t nmounted;
    struct pass *passes[PASSES_MAX];
    size_t npasses;
    struct ways ways;
    bool running;               // nothing may block any more
    atomic_uint draining;       // listeners that are not drained yet
    atomic_llong table_version; // that this loop goes by
};

// What all loops use on the wire: certificates, whom to trust, who has how many connections.
struct server_wire {
    struct tls *tls;      // NULL: no TLS listener
    struct tls *upstream; // for https services
    struct peers *trusted;
    struct address_count *addresses; // NULL: no limit
};

struct server {
    struct server_options o;
    struct live *live;
    struct odbc_workers *workers;
    struct worker_pool *hashers; // bcrypt
    struct login_guard *logins;
    struct worker_pool *admin_workers; // NULL: no control store
    struct people people;              // of admin.tokens
    struct pins *pins;
    struct dual *dual;
    struct evidence *evidence;
    struct ledger *ledger;
    struct otel *otel;       // NULL: no traces are exported
    struct held_budget held; // of all loops
    struct server_loop loops[LOOPS_MAX];
    unsigned nloops;
    bool through_only; // no store and no database: everything passes through
    atomic_bool draining, started;
    char address[128], tls_address[128];
    struct server_wire wire;
};

// server_wire.c
int server_wire_open(struct server *s, struct err *e) FICUS_MUST_CHECK;
void server_wire_close(struct server *s);
// The certificates anew; those that cannot be loaded stay as they are. -1 if one could not.
int server_wire_reload(struct server *s, struct err *e) FICUS_MUST_CHECK;
// The limits and trust of a listener for clients.
void server_wire_options(const struct server *s, struct http_listener_options *o);
const char *server_tls_listen(const struct server *s); // "" when there is none

int server_loop_create(struct server_loop *sl, struct server *s, unsigned index,
                       struct err *e) FICUS_MUST_CHECK;
void server_loop_destroy(struct server_loop *sl);
// server_route.c: which way a request goes. Thread: before the loop runs, then the loop's.
int server_route_create(struct server_loop *sl, struct route_table *t,
                        struct err *e) FICUS_MUST_CHECK;
// Another table; when it cannot be followed, that is logged and the ways stay.
void server_route_set(struct server_loop *sl, struct route_table *t);
void server_route_destroy(struct server_loop *sl);
// dialect_env.pass and .rule.
struct pass *server_pass(void *loop, const char *name);
struct pass *server_rule(void *loop, const struct http_request *r, struct str method,
                         struct str module);
bool server_on_head(void *loop, struct http_request *r);
void server_on_request(void *loop, struct http_request *r);
void server_not_found(struct http_request *r);
// True when the request was one of the built-in endpoints and has been answered.
bool server_is_admin(struct str path);
bool server_admin(struct server *s, struct http_request *r);

#endif
