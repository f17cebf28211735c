// SPDX-License-Identifier: Apache-2.0
// Handlers that look at this process. Thread: the loop that is looked at.
#include "facade/admin/admin_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "facade/backend/http_backend.h"
#include "facade/server/explain.h"

#include <arpa/inet.h>

static const char *const levels[] = {"error", "warn", "info", "debug"};

void admin_help(struct admin_call *c, struct server_loop *sl)
{
    (void)sl;
    c->reply = json_array();
    for (const struct admin_endpoint *e = admin_endpoints; e->name; e++)
        json_array_append_new(c->reply,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", e->name, "method",
                                        e->method, "path", e->path, "role", role_name(e->role),
                                        "body", e->takes, "help", e->help));
}

void admin_config(struct admin_call *c, struct server_loop *sl)
{
    c->reply = conf_dump(sl->server->o.conf);
}

void admin_log_level(struct admin_call *c, struct server_loop *sl)
{
    (void)sl;
    c->reply = json_pack("{s:s}", "level", levels[log_get_level()]);
}

void admin_table_state(struct admin_call *c, struct server_loop *sl)
{
    c->reply = route_table_state(dispatcher_table(sl->dispatcher));
}

void admin_explain(struct admin_call *c, struct server_loop *sl)
{
    const struct route_table *t = dispatcher_table(sl->dispatcher);
    const struct route *r = route_find(t, str_of(admin_text(c, "route")));
    if (r)
        c->reply = explain_route(t, r, str_of(admin_text(c, "key")), true);
    else
        err_set(&c->err, ERR_NOT_FOUND, "no such route");
}

static void note_request(void *ctx, const struct http_request *r, const struct http_facts *f,
                         uint64_t age_ns)
{
    json_t *list = ctx;
    char peer[INET6_ADDRSTRLEN] = "-";
    const void *address =
        r->peer.ss_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)&r->peer)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)&r->peer)->sin_addr;
    inet_ntop(r->peer.ss_family, address, peer, sizeof peer);
    json_array_append_new(list,
                          json_pack("{s:s, s:s%, s:s%, s:s?, s:s?, s:f}", "client", peer, "method",
                                    r->method.data, r->method.len, "path", r->path.data,
                                    r->path.len < 200 ? r->path.len : 200, "handler", f->handler,
                                    "route", f->route, "age_ms", (double)age_ns / 1e6));
}

void admin_in_flight(struct admin_call *c, struct server_loop *sl)
{
    json_t *list = json_array();
    http_listener_each(sl->listener, note_request, list, 1000);
    if (sl->tls_listener)
        http_listener_each(sl->tls_listener, note_request, list, 1000);
    json_array_append_new(c->reply,
                          json_pack("{s:i, s:o}", "loop", (int)sl->index, "requests", list));
}

void admin_pools(struct admin_call *c, struct server_loop *sl)
{
    struct http_listener_stats h;
    struct pg_pool_stats p = {0};
    struct worker_stats w = {0};
    http_listener_stats(sl->listener, &h);
    if (sl->pool)
        pg_pool_stats(sl->pool, &p);
    if (sl->server->workers)
        worker_pool_stats(odbc_workers_pool(sl->server->workers), &w);
    json_array_append_new(
        c->reply,
        json_pack("{s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i, s:I, s:I}, s:{s:i, s:i, s:i, s:I, s:I,"
                  " s:f}}",
                  "loop", (int)sl->index, "connections", (int)h.connections, "in_flight",
                  (int)h.exchanges, "held", (int)dispatcher_held(sl->dispatcher), "postgres",
                  "connections", (int)p.connections, "idle", (int)p.idle, "waiting", (int)p.waiting,
                  "done", (json_int_t)p.done, "refused", (json_int_t)p.refused, "legacy_workers",
                  "threads", (int)w.threads, "busy", (int)w.busy, "queued", (int)w.queued, "done",
                  (json_int_t)w.done, "refused", (json_int_t)w.refused, "longest_running_ms",
                  (double)w.longest_running_ns / 1e6));
}

static void note_breaker(void *ctx, const char *name, const struct breaker *k)
{
    json_array_append_new(
        ctx, json_pack("{s:s, s:s, s:i, s:i, s:f}", "backend", name, "state",
                       breaker_state_name(k->state), "calls", (int)(k->calls[0] + k->calls[1]),
                       "failures", (int)(k->failures[0] + k->failures[1]), "since_s",
                       k->since_ns ? (double)(clock_mono_ns() - k->since_ns) / 1e9 : 0.0));
}

void admin_breakers(struct admin_call *c, struct server_loop *sl)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < 3; i++)
        if (sl->backends[i] && i != BACKEND_HTTP)
            note_breaker(list, backend_name((enum backend_kind)i), &sl->backends[i]->breaker);
    if (sl->backends[BACKEND_HTTP])
        http_backend_breakers(sl->backends[BACKEND_HTTP], note_breaker, list);
    json_array_append_new(c->reply,
                          json_pack("{s:i, s:o}", "loop", (int)sl->index, "breakers", list));
}
