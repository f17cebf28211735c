// SPDX-License-Identifier: Apache-2.0
// Operations on a service: POST <url>/<plural>/_canonical, the epoch and the write's id as
// headers, the fence's refusal as 409 with Ficus-Fenced. A read whose kept-alive connection
// broke is asked once more; a write never is. Thread: the loop's.
#include "facade/backend/http_backend.h"

#include "base/clock.h"
#include "connectors/http/wire_out.h"
#include "facade/backend/plan.h"
#include "facade/canonical.h"

#include <stdio.h>
#include <stdlib.h>

#define UPSTREAMS_MAX 256
#define JSON_FLAGS    (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

struct http_backend {
    struct backend base;
    struct http_client *client;
    struct loop *loop;
    struct {
        char url[512];
        struct http_upstream *upstream;
        struct breaker breaker;
    } upstreams[UPSTREAMS_MAX];
    size_t nupstreams;
    bool down; // the newest call could not reach its service
};

struct call {
    struct http_backend *backend;
    struct execution *execution;
    bool again;
};

static void send_call(struct call *c);

static void finish(struct call *c, const struct err *e)
{
    struct execution *x = c->execution;
    if (e)
        result_error(&x->result, e);
    x->result.served_by = SIDE_NEW;
    x->done(x);
}

static struct http_upstream *upstream_of(const struct http_backend *b, const char *url)
{
    for (size_t i = 0; i < b->nupstreams; i++)
        if (strcmp(b->upstreams[i].url, url) == 0)
            return b->upstreams[i].upstream;
    return NULL;
}

// Each service has its own: one that is down takes no other with it.
static struct breaker *breaker_of(struct backend *base, const struct execution *x)
{
    struct http_backend *b = (struct http_backend *)base;
    for (size_t i = 0; i < b->nupstreams; i++)
        if (strcmp(b->upstreams[i].url, x->route->url[SIDE_NEW]) == 0)
            return &b->upstreams[i].breaker;
    return NULL;
}

static bool has_header(const struct http_client_response *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (str_eq_nocase(r->headers[i].name, str_of(name)))
            return true;
    return false;
}

static int take_reply(struct call *c, const struct http_client_response *r, struct err *e)
{
    struct execution *x = c->execution;
    json_error_t je;
    if (r->status == 409 && has_header(r, "Ficus-Fenced"))
        return err_set(e, ERR_FENCED, "the service's store is fenced");
    if (r->status == 503)
        return err_set(e, ERR_BUSY, "the service is overloaded");
    json_t *j = json_loadb(r->body.data ? r->body.data : "", r->body.len, JSON_FLAGS, &je);
    if (!j)
        return err_set(e, ERR_INTERNAL, "the service answered %u without canonical JSON",
                       r->status);
    int result = canonical_read_result(x->operation, j, &x->result, e);
    json_decref(j);
    return result;
}

static void on_reply(void *ctx, struct err *failure, const struct http_client_response *r)
{
    struct call *c = ctx;
    struct err e = {0};
    if (failure) {
        bool read = operation_is_read(c->execution->operation->kind);
        c->backend->down = failure->code == ERR_UNREACHABLE;
        if (read && failure->code == ERR_UNKNOWN_OUTCOME && !c->again &&
            http_upstream_may_retry(upstream_of(c->backend, c->execution->route->url[SIDE_NEW]))) {
            c->again = true;
            send_call(c);
            return;
        }
        if (read && failure->code == ERR_UNKNOWN_OUTCOME)
            failure->code = ERR_UNREACHABLE;
        finish(c, failure);
        return;
    }
    c->backend->down = false;
    finish(c, take_reply(c, r, &e) ? &e : NULL);
}

static unsigned left_ms(const struct execution *x)
{
    uint64_t now = clock_mono_ns();
    if (!x->deadline_ns)
        return 30000;
    return now >= x->deadline_ns ? 1 : (unsigned)((x->deadline_ns - now) / 1000000 + 1);
}

static void send_call(struct call *c)
{
    struct execution *x = c->execution;
    const struct operation *op = x->operation;
    struct buf body = BUF_INIT;
    char epoch[24], target[160];
    struct err e = {0};
    char parent[TRACE_PARENT_LEN + 1];
    struct http_header headers[5] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("Ficus-Write-Id"), str_of(op->write_id)},
        {STR("Ficus-Epoch"),
         str_n(epoch, (size_t)snprintf(epoch, sizeof epoch, "%lld", op->epoch))}};
    struct http_client_request r = {.upstream = upstream_of(c->backend, x->route->url[SIDE_NEW]),
                                    .method = STR("POST"),
                                    .headers = headers,
                                    .nheaders = operation_is_read(op->kind) ? 1
                                                : op->epoch < 0             ? 2
                                                                            : 3,
                                    .deadline_ms = left_ms(x),
                                    .done = on_reply,
                                    .ctx = c};
    if (x->trace)
        r.nheaders += wire_out_trace(x->trace, parent, headers + r.nheaders);
    snprintf(target, sizeof target, "/%s/_canonical", op->entity->plural);
    r.target = str_of(target);
    canonical_write_operation(op, &body);
    r.body = buf_str(&body);
    int failed = buf_check(&body, &e);
    if (!failed && !r.upstream)
        failed = err_set(&e, ERR_UNSUPPORTED, "the service's URL is known from the next start");
    if (!failed)
        failed = http_client_send(c->backend->client, &r, NULL, &e);
    buf_free(&body);
    if (failed)
        finish(c, &e);
}

static void execute(struct backend *base, struct execution *x)
{
    struct call *c = arena_alloc(x->operation->arena, sizeof *c);
    struct err e = {0};
    if (!c) {
        err_memory(&e);
        result_error(&x->result, &e);
        x->done(x);
        return;
    }
    *c = (struct call){.backend = (struct http_backend *)base, .execution = x};
    send_call(c);
}

static bool healthy(const struct backend *base)
{
    return !((const struct http_backend *)base)->down;
}

static void destroy(struct backend *base)
{
    free((struct http_backend *)base);
}

int http_backend_prepare(struct backend *base, const struct route_table *t, struct err *e)
{
    struct http_backend *b = (struct http_backend *)base;
    for (size_t i = 0; i < route_count(t); i++) {
        const struct route *r = route_at(t, i);
        const char *url = r->url[SIDE_NEW];
        if (r->backend[SIDE_NEW] != BACKEND_HTTP || upstream_of(b, url))
            continue;
        if (b->nupstreams == UPSTREAMS_MAX ||
            str_copy(b->upstreams[b->nupstreams].url, sizeof b->upstreams[0].url, str_of(url)))
            return err_set(e, ERR_LIMIT, "route %s: too many or too long service URLs", r->name);
        if (http_client_upstream(b->client, url, &b->upstreams[b->nupstreams].upstream, e))
            return err_prefix(e, "route %s", r->name);
        breaker_init(&b->upstreams[b->nupstreams].breaker, &b->base.breaker.o,
                     http_upstream_name(b->upstreams[b->nupstreams].upstream));
        b->nupstreams++;
    }
    return 0;
}

struct backend *http_backend_create(struct http_client *client, struct loop *loop, struct err *e)
{
    static const struct backend_ops ops = {"http", execute, healthy, destroy, breaker_of};
    struct http_backend *b = calloc(1, sizeof *b);
    if (!b) {
        err_memory(e);
        return NULL;
    }
    b->base.ops = &ops;
    b->client = client;
    b->loop = loop;
    return &b->base;
}

void http_backend_breakers(const struct backend *base,
                           void (*each)(void *ctx, const char *url, const struct breaker *k),
                           void *ctx)
{
    const struct http_backend *b = (const struct http_backend *)base;
    for (size_t i = 0; i < b->nupstreams; i++)
        each(ctx, b->upstreams[i].url, &b->upstreams[i].breaker);
}
