// SPDX-License-Identifier: Apache-2.0
// Which way a request goes: to a built-in endpoint, to the dialect mounted on its path, or through
// to the application behind the facade. Owns the mounts and the passes of a loop.
// Thread: the loop.
#include "facade/server_int.h"

#include "base/log.h"

#include <stdlib.h>

void server_not_found(struct http_request *r)
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

static const struct mounted *mounted_at(const struct server_loop *sl, struct str path)
{
    for (size_t i = 0; i < sl->nmounts; i++)
        if (under(path, sl->mounts[i].path))
            return &sl->mounts[i];
    return NULL;
}

// ---------------------------------------------------------------- a request

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

static bool admin_here(const struct server_loop *sl)
{
    return !*conf_str(sl->server->o.conf, "facade.admin_listen") || sl->server->o.service;
}

// Whether the reply is to tell how it came about (facade.explain).
static void note_wish(const struct server_loop *sl, struct http_request *r)
{
    const char *when = conf_str(sl->server->o.conf, "facade.explain");
    struct str token = *when == 't' ? http_header(r, "Ficus-Explain") : STR("");
    if (*when == 'a' || (token.data && people_find(&sl->server->people, token)))
        http_exchange_explain(r->exchange);
}

// Only what goes through is taken at its head: it may be larger than memory.
bool server_on_head(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    if (!sl->fallback || mounted_at(sl, r->path) || (admin_here(sl) && server_is_admin(r->path)))
        return false;
    note_wish(sl, r);
    http_exchange_facts(r->exchange)->handler = "pass";
    pass_request(sl->fallback, r);
    return true;
}

void server_on_request(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    const struct mounted *m = mounted_at(sl, r->path);
    note_wish(sl, r);
    if (!is_known(r->method)) {
        not_implemented(r);
    } else if (admin_here(sl) && server_admin(sl->server, r)) {
        return;
    } else if (m) {
        http_exchange_label(r->exchange, m->dialect->name);
        http_exchange_facts(r->exchange)->handler = m->path;
        m->dialect->on_request(m->state, r);
    } else {
        server_not_found(r);
    }
}

// ---------------------------------------------------------------- mounts and passes

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

// The pass for an upstream as described; made when there is none like it.
static struct pass *pass_for(struct server_loop *sl, const struct upstream *u, struct err *e)
{
    for (size_t i = 0; i < sl->npasses; i++)
        if (pass_is(sl->passes[i], u))
            return sl->passes[i];
    if (sl->npasses == PASSES_MAX) {
        err_set(e, ERR_LIMIT, "upstream %s: %d upstreams were described since the start", u->name,
                PASSES_MAX);
        return NULL;
    }
    struct pass *p = pass_create(sl->loop, u, sl->server->wire.upstream, e);
    if (p)
        sl->passes[sl->npasses++] = p;
    return p;
}

int server_route_create(struct server_loop *sl, struct route_table *t, struct err *e)
{
    const struct upstream *fallback = sl->server->o.service ? NULL : upstream_fallback(t);
    route_table_ref(t);
    sl->ways = t;
    for (size_t i = 0; !sl->server->o.service && i < upstream_count(t); i++)
        if (!pass_for(sl, upstream_at(t, i), e))
            return -1;
    if (fallback && !(sl->fallback = pass_for(sl, fallback, e)))
        return -1;
    return mount_all(sl, t, e);
}

void server_route_destroy(struct server_loop *sl)
{
    for (size_t i = 0; i < sl->nmounts; i++)
        sl->mounts[i].dialect->unmount(sl->mounts[i].state);
    free(sl->mounts);
    while (sl->npasses > 0)
        pass_destroy(sl->passes[--sl->npasses]);
    route_table_unref(sl->ways);
}
