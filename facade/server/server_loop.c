// SPDX-License-Identifier: Apache-2.0
// What one loop owns: listener, dispatcher, backends, sessions, mounted dialects. Built before
// the loop's thread starts and torn down after it ended, so that nothing in here is shared.
#include "facade/admin/admin.h"
#include "facade/backend/http_backend.h"
#include "facade/backend/postgres_backend.h"
#include "facade/http/activation.h"
#include "facade/http/unix_socket.h"
#include "facade/server/server_int.h"
#include "facade/session/app_sessions.h"
#include "facade/session/sessions_int.h"

#include "base/log.h"

#include <stdlib.h>

#define SHADOW_IN_FLIGHT 64
#define SHADOW_MS        2000

static void on_access(void *ctx, const struct http_access *a)
{
    struct server_loop *sl = ctx;
    access_log_write(sl->access_log, a);
    otel_note(sl->server->otel, a);
}

static void on_admin(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    if (!server_admin(sl->server, r) && !admin_request(sl, r))
        server_not_found(r);
}

static int create_backends(struct server_loop *sl, struct err *e)
{
    struct server *s = sl->server;
    const struct conf *conf = s->o.conf;
    struct pg_pool_options o = {.conninfo = conf_str(conf, "control.conninfo"),
                                .application = s->o.service ? "ficus service" : "ficus serve",
                                .size = (unsigned)conf_int(conf, "facade.pool_size"),
                                .queue_max = 1024};
    struct http_client_options h = {.loop = sl->loop, .tls = s->wire.upstream};
    if (s->through_only)
        return 0;
    if (!(sl->pool = pg_pool_create(sl->loop, &o, e)) ||
        !(sl->backends[BACKEND_POSTGRES] = postgres_backend_create(sl->pool, sl->loop, e)))
        return -1;
    struct breaker_options breaker = {
        .percent = (unsigned)conf_int(conf, "facade.breaker_percent"),
        .calls = (unsigned)conf_int(conf, "facade.breaker_calls"),
        .open_ms = (unsigned)conf_int(conf, "facade.breaker_open_ms")};
    backend_protect(sl->backends[BACKEND_POSTGRES], &breaker);
    if (s->o.service)
        return 0;
    if (!(sl->client = http_client_create(&h, e)) ||
        !(sl->backends[BACKEND_HTTP] = http_backend_create(sl->client, sl->loop, e)) ||
        !(sl->backends[BACKEND_ODBC] = odbc_backend_create(s->workers, sl->loop, e)))
        return -1;
    backend_protect(sl->backends[BACKEND_HTTP], &breaker);
    backend_protect(sl->backends[BACKEND_ODBC], &breaker);
    struct route_table *t = live_table(s->live);
    int result = http_backend_prepare(sl->backends[BACKEND_HTTP], t, e);
    route_table_unref(t);
    return result;
}

static int create_dispatch(struct server_loop *sl, struct err *e)
{
    struct server *s = sl->server;
    const struct conf *conf = s->o.conf;
    struct shadow_options sh = {.loop = sl->loop,
                                .evidence = s->evidence,
                                .pins = s->pins,
                                .in_flight_max = SHADOW_IN_FLIGHT,
                                .deadline_ms = SHADOW_MS,
                                .noise_every = (unsigned)conf_int(conf, "ladder.noise_every")};
    memcpy(sh.backends, sl->backends, sizeof sh.backends);
    if (!s->o.service && !s->through_only && !(sl->shadow = shadow_create(&sh, e)))
        return -1;
    struct route_table *t = live_table(s->live);
    struct dispatcher_options o = {.loop = sl->loop,
                                   .table = t,
                                   .pins = s->pins,
                                   .shadow = sl->shadow,
                                   .dual = s->dual,
                                   .service = s->o.service,
                                   .budget = &s->held,
                                   .hold_ms = (unsigned)conf_int(conf, "facade.hold_ms")};
    memcpy(o.backends, sl->backends, sizeof o.backends);
    sl->dispatcher = dispatcher_create(&o, e);
    if (sl->dispatcher && s->o.policy && !s->o.service) {
        sl->access = access_create(s->o.policy, sl->dispatcher,
                                   (unsigned)conf_int(conf, "facade.access_fresh_ms"), e);
        if (!sl->access) {
            route_table_unref(t);
            return -1;
        }
        dispatcher_set_access(sl->dispatcher, sl->access);
    }
    sl->sessions = sl->dispatcher && !s->through_only
                       ? sessions_open(sl->pool, (uint64_t)conf_int(conf, "facade.session_ms"), e)
                       : NULL;
    if (!(sl->access_log = access_log_create(sl->loop, conf, e))) {
        route_table_unref(t);
        return -1;
    }
    if (sl->sessions && !(sl->app_sessions = app_sessions_create(sl->pool, e))) {
        route_table_unref(t);
        return -1;
    }
    sl->env = (struct dialect_env){.dispatcher = sl->dispatcher,
                                   .workers = s->hashers,
                                   .sessions = sl->sessions,
                                   .logins = s->logins,
                                   .entities = s->o.entities,
                                   .conf = conf,
                                   .control = sl->pool,
                                   .app_sessions = sl->app_sessions,
                                   .pass = server_pass,
                                   .rule = s->o.service ? NULL : server_rule,
                                   .pass_ctx = sl};
    int result = sl->dispatcher && (sl->sessions || s->through_only) ? server_route_create(sl, t, e)
                                                                     : -1;
    route_table_unref(t);
    return result;
}

static int listen_on(struct server_loop *sl, struct err *e)
{
    struct server *s = sl->server;
    const struct conf *conf = s->o.conf;
    const char *admin = conf_str(conf, "facade.admin_listen");
    struct http_listener_options o = {
        .loop = sl->loop,
        .reuse_port = true,
        .on_head = server_on_head,
        .on_request = server_on_request,
        .on_access = on_access,
        .ctx = sl,
        .address = sl->index ? s->address
                             : conf_str(conf, s->o.service ? "service.listen" : "facade.listen")};
    server_wire_options(s, &o);
    if (activation_socket(&o.inherited, e) || !(sl->listener = http_listener_create(&o, e)))
        return -1;
    if (s->wire.tls) {
        struct http_listener_options t = o;
        t.tls = s->wire.tls;
        t.inherited = 0;
        t.address = sl->index ? s->tls_address : server_tls_listen(s);
        if (!(sl->tls_listener = http_listener_create(&t, e)))
            return err_prefix(e, "TLS");
    }
    if (sl->index || s->o.service || !*admin)
        return 0;
    if (unix_socket_mode(conf_str(conf, "facade.admin_mode"), &o.mode, e))
        return err_prefix(e, "facade.admin_mode");
    o.address = admin;
    o.inherited = 0;
    o.reuse_port = false;
    o.on_head = NULL;
    o.on_request = on_admin;
    o.on_access = NULL;
    o.trusted = NULL;
    o.proxy = false;
    o.addresses = NULL;
    return (sl->admin = http_listener_create(&o, e)) ? 0 : -1;
}

int server_loop_create(struct server_loop *sl, struct server *s, unsigned index, struct err *e)
{
    sl->server = s;
    sl->index = index;
    if (!(sl->loop = loop_create("http", index, e)) || create_backends(sl, e) ||
        create_dispatch(sl, e) || listen_on(sl, e))
        return -1;
    sl->running = true;
    return 0;
}

// The loop's thread has ended and the workers are gone. What is under way ends here, in an
// order in which whoever is told is still there: first nothing new starts, then mail of the
// workers, then each backend answers what it holds, then what they answered to.
void server_loop_destroy(struct server_loop *sl)
{
    struct backend *odbc = sl->backends[BACKEND_ODBC];
    http_listener_destroy(sl->listener);
    http_listener_destroy(sl->tls_listener);
    http_listener_destroy(sl->admin);
    dispatcher_close(sl->dispatcher);
    shadow_close(sl->shadow);
    if (sl->loop)
        loop_deliver(sl->loop);
    if (odbc)
        odbc->ops->destroy(odbc);
    http_client_destroy(sl->client);
    pg_pool_destroy(sl->pool);
    for (unsigned i = 0; i < 3; i++)
        if (i != BACKEND_ODBC && sl->backends[i])
            sl->backends[i]->ops->destroy(sl->backends[i]);
    dispatcher_destroy(sl->dispatcher);
    access_destroy(sl->access);
    shadow_destroy(sl->shadow);
    server_route_destroy(sl);
    access_log_destroy(sl->access_log);
    app_sessions_destroy(sl->app_sessions);
    if (sl->sessions)
        sessions_close(sl->sessions);
    loop_destroy(sl->loop);
}
