// SPDX-License-Identifier: Apache-2.0
// Which way a request goes: to a built-in endpoint, to the dialect mounted for it, or through to
// an application behind the facade. Owns the mounts and the passes of a loop.
// Thread: the loop; before it runs, whoever builds it.
//
// The ways are those of one route table. A new table makes new ones; dialects and passes that are
// described as before go on being used, and those that are not stay until the end, since calls may
// be under way in them.
#include "facade/server/server_int.h"

#include "base/log.h"
#include "facade/server/request_fields.h"

#include <stdlib.h>

static const struct log_ctx log_ctx = {"server", NULL, NULL};

// Who decodes before he splits would serve below a mount what is not below it here.
static void hidden_mount(struct http_request *r)
{
    struct http_response out = {
        .status = 400,
        .content_type = STR("application/problem+json"),
        .body = STR("{\"title\": \"Bad Request\", \"status\": 400,"
                    " \"detail\": \"encoded slashes lead past a mount\"}\n")};
    http_reply(r->exchange, &out);
}

void server_not_found(struct http_request *r)
{
    struct http_response out = {.status = 404,
                                .content_type = STR("application/problem+json"),
                                .body = STR("{\"title\": \"Not Found\", \"status\": 404,"
                                            " \"detail\": \"no dialect is mounted here\"}\n")};
    http_reply(r->exchange, &out);
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

// Where the request goes: *pass, *mounted, or neither.
static enum match_result find_way(const struct server_loop *sl, const struct http_request *r,
                                  bool whole, struct pass **pass, const struct mounted **mounted)
{
    const struct match_rule *rule = NULL;
    struct request_fields f = {0};
    struct match_request q;
    enum match_result result = MATCH_NONE;
    *pass = NULL;
    *mounted = NULL;
    if (sl->server->o.service) {
        *mounted = sl->ways.mounts[0];
        return MATCH_FOUND;
    }
    request_fields_of(&f, r, whole, &q);
    result = match_find(route_matcher(sl->ways.table), &q, &rule);
    request_fields_free(&f);
    if (result == MATCH_FOUND && rule->mount)
        *mounted = sl->ways.mounts[rule->mount->index];
    else if (result == MATCH_FOUND)
        *pass = sl->ways.passes[rule->upstream->index];
    else if (result == MATCH_NONE)
        *pass = sl->ways.fallback;
    return result;
}

// What goes through is taken at its head: it may be larger than memory.
bool server_on_head(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    const struct mounted *mounted;
    struct pass *pass;
    if (admin_here(sl) && server_is_admin(r->path))
        return false;
    if (find_way(sl, r, false, &pass, &mounted) == MATCH_NEEDS_BODY || !pass)
        return false;
    note_wish(sl, r);
    http_exchange_facts(r->exchange)->handler = "pass";
    pass_request(pass, r);
    return true;
}

void server_on_request(void *ctx, struct http_request *r)
{
    struct server_loop *sl = ctx;
    const struct mounted *mounted;
    struct pass *pass;
    note_wish(sl, r);
    enum match_result result = find_way(sl, r, true, &pass, &mounted);
    if (result == MATCH_HIDDEN) {
        hidden_mount(r);
    } else if (pass) {
        http_exchange_facts(r->exchange)->handler = "pass";
        pass_request(pass, r);
    } else if (!is_known(r->method) && !(mounted && mounted->dialect->any_method)) {
        not_implemented(r);
    } else if (admin_here(sl) && server_admin(sl->server, r)) {
        return;
    } else if (mounted) {
        http_exchange_label(r->exchange, mounted->dialect->name);
        http_exchange_facts(r->exchange)->handler = mounted->def->path;
        mounted->dialect->on_request(mounted->state, r);
    } else {
        server_not_found(r);
    }
}

// ---------------------------------------------------------------- calls of dialects

struct pass *server_pass(void *ctx, const char *name)
{
    const struct server_loop *sl = ctx;
    const struct upstream *u = sl->ways.table ? upstream_find(sl->ways.table, str_of(name)) : NULL;
    return u ? sl->ways.passes[u->index] : NULL;
}

struct pass *server_rule(void *ctx, const struct http_request *r, struct str method,
                         struct str module)
{
    const struct server_loop *sl = ctx;
    const struct match_rule *rule = NULL;
    struct request_fields f = {.call_method = method, .call_module = module};
    struct match_request q;
    if (!sl->ways.table || !r)
        return NULL;
    request_fields_of(&f, r, true, &q);
    enum match_result result = match_find(route_matcher(sl->ways.table), &q, &rule);
    request_fields_free(&f);
    return result == MATCH_FOUND && rule->upstream ? sl->ways.passes[rule->upstream->index] : NULL;
}

// ---------------------------------------------------------------- mounts and passes

static bool same_mount(const struct mount *a, const struct mount *b)
{
    return strcmp(a->dialect, b->dialect) == 0 && strcmp(a->path, b->path) == 0 &&
           (a->options == b->options || json_equal(a->options, b->options));
}

// The mount as described; made when there is none like it. `t` holds its description.
static struct mounted *mount_for(struct server_loop *sl, struct route_table *t,
                                 const struct mount *m, struct err *e)
{
    for (size_t i = 0; i < sl->nmounted; i++)
        if (same_mount(sl->mounted[i].def, m))
            return &sl->mounted[i];
    const struct dialect *d = dialect_find(str_of(m->dialect));
    if (!d) {
        err_set(e, ERR_CONFIG, "mount %s: there is no dialect '%s'", m->path, m->dialect);
        return NULL;
    }
    if (sl->nmounted == MOUNTED_MAX) {
        err_set(e, ERR_LIMIT, "mount %s: %d mounts were described since the start", m->path,
                MOUNTED_MAX);
        return NULL;
    }
    struct dialect_mount *state = d->mount(&sl->env, m, e);
    if (!state) {
        err_prefix(e, "mount %s (%s)", m->path, m->dialect);
        return NULL;
    }
    struct mounted *made = &sl->mounted[sl->nmounted++];
    *made = (struct mounted){.def = m, .dialect = d, .state = state, .table = t};
    if (t)
        route_table_ref(t);
    return made;
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
    if (sl->running && !pass_is_numeric(u)) {
        err_set(e, ERR_UNSUPPORTED,
                "upstream %s: its host is a name, which is looked up at the start only", u->name);
        return NULL;
    }
    struct pass *p = pass_create(sl->loop, u, sl->server->wire.upstream, e);
    if (p)
        sl->passes[sl->npasses++] = p;
    return p;
}

static void ways_free(struct ways *w)
{
    free(w->mounts);
    free(w->passes);
    route_table_unref(w->table);
    *w = (struct ways){0};
}

static int ways_make(struct server_loop *sl, struct route_table *t, struct ways *w, struct err *e)
{
    static const struct mount service = {.dialect = "rest", .path = ""};
    bool alone = sl->server->o.service;
    size_t n = alone ? 1 : mount_count(t), nupstreams = alone ? 0 : upstream_count(t);
    *w = (struct ways){.table = t,
                       .mounts = calloc(n + 1, sizeof *w->mounts),
                       .passes = calloc(nupstreams + 1, sizeof *w->passes)};
    route_table_ref(t);
    if (!w->mounts || !w->passes)
        return err_memory(e);
    for (size_t i = 0; i < nupstreams; i++)
        if (!(w->passes[i] = pass_for(sl, upstream_at(t, i), e)))
            return -1;
    if (!alone && upstream_fallback(t))
        w->fallback = w->passes[upstream_fallback(t)->index];
    for (size_t i = 0; i < n; i++)
        if (!(w->mounts[i] = mount_for(sl, alone ? NULL : t, alone ? &service : mount_at(t, i), e)))
            return -1;
    return 0;
}

int server_route_create(struct server_loop *sl, struct route_table *t, struct err *e)
{
    return ways_make(sl, t, &sl->ways, e);
}

void server_route_set(struct server_loop *sl, struct route_table *t)
{
    struct ways fresh;
    struct err e = {0};
    if (route_matcher(t) == route_matcher(sl->ways.table))
        return; // only state has changed
    if (ways_make(sl, t, &fresh, &e)) {
        log_error(&log_ctx, "the ways of the new route table are not taken: %s", e.msg);
        ways_free(&fresh);
        return;
    }
    ways_free(&sl->ways);
    sl->ways = fresh;
}

void server_route_destroy(struct server_loop *sl)
{
    for (size_t i = 0; i < sl->nmounted; i++) {
        sl->mounted[i].dialect->unmount(sl->mounted[i].state);
        route_table_unref(sl->mounted[i].table);
    }
    while (sl->npasses > 0)
        pass_destroy(sl->passes[--sl->npasses]);
    ways_free(&sl->ways);
}
