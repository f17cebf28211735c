// SPDX-License-Identifier: Apache-2.0
// What one loop owns: listener, dispatcher, backends, sessions, mounted dialects. Built before
// the loop's thread starts and torn down after it ended, so that nothing in here is shared.
#include "facade/backend/http_backend.h"
#include "facade/backend/postgres_backend.h"
#include "facade/http/activation.h"
#include "facade/server_int.h"
#include "facade/sessions_int.h"

#include "base/log.h"

#include <stdlib.h>

#define SESSION_MS       (24u * 3600 * 1000)
#define SHADOW_IN_FLIGHT 64
#define SHADOW_MS        2000

static void not_found(struct http_request *r)
{
    struct http_response out = {.status = 404,
                                .content_type = STR("application/problem+json"),
                                .body = STR("{\"title\": \"Not Found\", \"status\": 404,"
                                            " \"detail\": \"no dialect is mounted here\"}\n")};
    http_reply(r->exchange, &out);
}

static bool under(struct str path, const char *mount)
{
    size_t n = strlen(mount);
    return str_starts(path, str_of(mount)) &&
           (path.len == n || path.data[n] == '/' || (n > 0 && mount[n - 1] == '/'));
}

// Methods that a dialect may know (RFC 9110, 9.3; RFC 5789); their case matters. What one of
// them does with a method that is not for it is its own affair.
static bool is_known(struct str method)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (str_eqz(method, known[i]))
            return true;
    return false;
}

static void not_implemented(struct http_request *r)
{
    http_reply(r->exchange, &(struct http_response){.status = 501,
                                                    .content_type = STR("text/plain"),
                                                    .body = STR("unknown method\n")});
}

static void on_request(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    if (!is_known(r->method)) {
        not_implemented(r);
        return;
    }
    bool admin_here = !*conf_str(sl->server->o.conf, "facade.admin_listen") ||
                      sl->server->o.service;
    if (admin_here && server_admin(sl->server, r))
        return;
    for (size_t i = 0; i < sl->nmounts; i++) {
        if (!under(r->path, sl->mounts[i].path))
            continue;
        http_exchange_label(r->exchange, sl->mounts[i].dialect->name);
        sl->mounts[i].dialect->on_request(sl->mounts[i].state, r);
        return;
    }
    not_found(r);
}

static void on_admin(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    if (!server_admin(sl->server, r))
        not_found(r);
}

static int mount_dialect(struct server_loop *sl, const struct mount *m, struct err *e)
{
    const struct dialect *d = dialect_find(str_of(m->dialect));
    if (!d)
        return err_set(e, ERR_CONFIG, "mount %s: there is no dialect '%s'", m->path, m->dialect);
    struct dialect_mount *state = d->mount(&sl->env, m, e);
    if (!state)
        return err_prefix(e, "mount %s (%s)", m->path, m->dialect);
    sl->mounts[sl->nmounts++] = (struct mounted){m->path, d, state};
    return 0;
}

static int mount_all(struct server_loop *sl, const struct route_table *t, struct err *e)
{
    static const struct mount service = {"rest", "", NULL};
    size_t n = sl->server->o.service ? 1 : mount_count(t);
    sl->mounts = calloc(n + 1, sizeof *sl->mounts);
    if (!sl->mounts)
        return err_memory(e);
    if (sl->server->o.service)
        return mount_dialect(sl, &service, e);
    for (size_t i = 0; i < n; i++)
        if (mount_dialect(sl, mount_at(t, i), e))
            return -1;
    return 0;
}

static int create_backends(struct server_loop *sl, struct err *e)
{
    struct server *s = sl->server;
    const struct conf *conf = s->o.conf;
    struct pg_pool_options o = {.conninfo = conf_str(conf, "control.conninfo"),
                                .application = s->o.service ? "ficus service" : "ficus serve",
                                .size = (unsigned)conf_int(conf, "facade.pool_size"),
                                .queue_max = 1024};
    struct http_client_options h = {.loop = sl->loop};
    if (!(sl->pool = pg_pool_create(sl->loop, &o, e)) ||
        !(sl->backends[BACKEND_POSTGRES] = postgres_backend_create(sl->pool, sl->loop, e)))
        return -1;
    if (s->o.service)
        return 0;
    if (!(sl->client = http_client_create(&h, e)) ||
        !(sl->backends[BACKEND_HTTP] = http_backend_create(sl->client, sl->loop, e)) ||
        !(sl->backends[BACKEND_ODBC] = odbc_backend_create(s->workers, sl->loop, e)))
        return -1;
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
                                .deadline_ms = SHADOW_MS};
    memcpy(sh.backends, sl->backends, sizeof sh.backends);
    if (!s->o.service && !(sl->shadow = shadow_create(&sh, e)))
        return -1;
    struct route_table *t = live_table(s->live);
    struct dispatcher_options o = {.loop = sl->loop,
                                   .table = t,
                                   .pins = s->pins,
                                   .shadow = sl->shadow,
                                   .service = s->o.service,
                                   .hold_max = (unsigned)conf_int(conf, "facade.hold_max"),
                                   .hold_ms = (unsigned)conf_int(conf, "facade.hold_ms")};
    memcpy(o.backends, sl->backends, sizeof o.backends);
    sl->dispatcher = dispatcher_create(&o, e);
    sl->sessions = sl->dispatcher ? sessions_open(sl->pool, SESSION_MS, e) : NULL;
    sl->env = (struct dialect_env){.dispatcher = sl->dispatcher,
                                   .workers = s->hashers,
                                   .sessions = sl->sessions,
                                   .entities = s->o.entities,
                                   .conf = conf};
    int result = sl->sessions ? mount_all(sl, t, e) : -1;
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
        .on_request = on_request,
        .on_access = server_access,
        .ctx = sl,
        .address = sl->index && !s->o.service
                       ? s->address
                       : conf_str(conf, s->o.service ? "service.listen" : "facade.listen"),
        .limits = {.header_max = (size_t)conf_int(conf, "facade.header_max"),
                   .body_max = (size_t)conf_int(conf, "facade.body_max"),
                   .idle_ms = (unsigned)conf_int(conf, "facade.idle_ms"),
                   .request_ms = (unsigned)conf_int(conf, "facade.request_ms"),
                   .connections_max = (unsigned)conf_int(conf, "facade.connections_max")}};
    if (sl->index && s->o.service)
        o.address = s->address;
    if (activation_socket(&o.inherited, e) || !(sl->listener = http_listener_create(&o, e)))
        return -1;
    if (sl->index || s->o.service || !*admin)
        return 0;
    o.address = admin;
    o.inherited = 0;
    o.reuse_port = false;
    o.on_request = on_admin;
    o.on_access = NULL;
    return (sl->admin = http_listener_create(&o, e)) ? 0 : -1;
}

int server_loop_create(struct server_loop *sl, struct server *s, unsigned index, struct err *e)
{
    sl->server = s;
    sl->index = index;
    if (!(sl->loop = loop_create("http", index, e)) || create_backends(sl, e) ||
        create_dispatch(sl, e) || listen_on(sl, e))
        return -1;
    return 0;
}

// The loop's thread has ended and the workers are gone. What is under way ends here, in an
// order in which whoever is told is still there: first nothing new starts, then mail of the
// workers, then each backend answers what it holds, then what they answered to.
void server_loop_destroy(struct server_loop *sl)
{
    struct backend *odbc = sl->backends[BACKEND_ODBC];
    http_listener_destroy(sl->listener);
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
    shadow_destroy(sl->shadow);
    for (size_t i = 0; i < sl->nmounts; i++)
        sl->mounts[i].dialect->unmount(sl->mounts[i].state);
    free(sl->mounts);
    if (sl->sessions)
        sessions_close(sl->sessions);
    loop_destroy(sl->loop);
}
