// SPDX-License-Identifier: Apache-2.0
// Calls and upstreams of the HTTP client: building requests, the queue, deadlines, retries.
// A call belongs to its upstream's queue or to one connection; http_client_conn.c moves the
// bytes. Thread: the loop.
#include "connectors/http/http_client_int.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 500

// ---- client and upstreams

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct http_client *c = arg;
    uint64_t now = clock_mono_ns(), age = (uint64_t)c->o.idle_ms * 1000000u;

    (void)fd;
    (void)what;
    for (struct http_upstream *u = c->upstreams; u; u = u->next) {
        struct client_conn *conn = u->idle, *next;
        for (; conn; conn = next) {
            next = conn->idle_next;
            if (now - conn->idle_since_ns >= age)
                client_conn_close(conn);
        }
    }
}

struct http_client *http_client_create(const struct http_client_options *o, struct err *e)
{
    struct http_client *c = calloc(1, sizeof(*c));
    struct timeval tv = {.tv_usec = TICK_MS * 1000};

    if (!c) {
        err_memory(e);
        return NULL;
    }
    c->o.loop = o->loop;
    c->o.tls = o->tls;
    c->o.connections_max = o->connections_max ? o->connections_max : 16;
    c->o.queue_max = o->queue_max ? o->queue_max : 256;
    c->o.idle_ms = o->idle_ms ? o->idle_ms : 15000;
    c->o.header_max = o->header_max ? o->header_max : (size_t)32 << 10;
    c->o.body_max = o->body_max ? o->body_max : (size_t)32 << 20;
    c->tick = event_new(loop_base(o->loop), -1, EV_PERSIST, on_tick, c);
    if (!c->tick || event_add(c->tick, &tv) != 0) {
        http_client_destroy(c);
        err_memory(e);
        return NULL;
    }
    return c;
}

static void queue_remove(struct http_call *call)
{
    struct http_upstream *u = call->upstream;

    if (call->prev)
        call->prev->next = call->next;
    else
        u->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        u->last = call->prev;
    call->prev = call->next = NULL;
    u->stats.queued--;
}

static struct http_call *queue_pop(struct http_upstream *u)
{
    struct http_call *call = u->first;

    u->first = call->next;
    if (u->first)
        u->first->prev = NULL;
    else
        u->last = NULL;
    call->next = NULL;
    u->stats.queued--;
    return call;
}

static void upstream_free(struct http_upstream *u)
{
    free(u->url);
    free(u->name);
    free(u->prefix);
    free(u->host);
    free(u);
}

static void cancel_all(struct http_upstream *u)
{
    struct err e;

    err_set(&e, ERR_CANCELLED, "the HTTP client is closing");
    while (u->first) {
        struct http_call *call = queue_pop(u);
        client_call_end(call, &e, NULL);
    }
    while (u->conns) {
        struct client_conn *conn = u->conns;
        struct http_call *call = conn->call;
        conn->call = NULL;
        client_conn_close(conn);
        if (call)
            client_call_end(call, &e, NULL);
    }
}

void http_client_destroy(struct http_client *c)
{
    if (!c)
        return;
    c->closing = true;
    for (struct http_upstream *u = c->upstreams; u; u = u->next)
        cancel_all(u);
    while (c->upstreams) {
        struct http_upstream *u = c->upstreams;
        c->upstreams = u->next;
        upstream_free(u);
    }
    if (c->tick)
        event_free(c->tick);
    free(c);
}

// "http://host[:port][/prefix]" into its parts; host without the brackets of an IPv6 one.
static int parse_url(struct http_upstream *u, char port[8], struct err *e)
{
    struct str url = str_of(u->url);
    long long number;

    u->https = str_starts(url, STR("https://"));
    if (u->https && !u->client->o.tls)
        return err_set(e, ERR_UNSUPPORTED, "%s: https is not supported", u->url);
    if (!u->https && !str_starts(url, STR("http://")))
        return err_set(e, ERR_INVALID, "%s: must start with http:// or https://", u->url);
    size_t scheme = u->https ? 8 : 7;
    url = str_n(url.data + scheme, url.len - scheme);
    const char *slash = url.len > 0 ? memchr(url.data, '/', url.len) : NULL;
    struct str authority = str_n(url.data, slash ? (size_t)(slash - url.data) : url.len);
    struct str prefix = str_n(url.data + authority.len, url.len - authority.len);
    while (prefix.len > 0 && prefix.data[prefix.len - 1] == '/')
        prefix.len--;
    const char *bracket = memrchr(authority.data, ']', authority.len);
    const char *colon = memrchr(authority.data, ':', authority.len);
    if (colon && bracket && colon < bracket)
        colon = NULL;
    struct str h = str_n(authority.data, colon ? (size_t)(colon - authority.data) : authority.len);
    struct str p = colon      ? str_n(colon + 1, authority.len - h.len - 1)
                   : u->https ? STR("443")
                              : STR("80");
    if (h.len == 0 || memchr(authority.data, '@', authority.len) ||
        !str_to_int(p, 1, 65535, &number) || (prefix.len > 0 && !wire_is_target(prefix)))
        return err_set(e, ERR_INVALID, "%s: not http://host[:port][/prefix]", u->url);
    if (h.data[0] == '[' && h.data[h.len - 1] == ']')
        h = str_n(h.data + 1, h.len - 2);
    snprintf(port, 8, "%lld", number);
    u->name = strndup(authority.data, authority.len);
    u->prefix = strndup(prefix.data, prefix.len);
    u->host = strndup(h.data, h.len);
    return u->name && u->prefix && u->host ? 0 : err_memory(e);
}

static int resolve(struct http_upstream *u, const char *port, struct err *e)
{
    const char *host = u->host;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list);

    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        rc = getaddrinfo(host, port, &hints, &list);
    }
    if (rc != 0)
        return err_set(e, ERR_UNREACHABLE, "%s: %s", host, gai_strerror(rc));
    for (struct addrinfo *a = list; a && u->naddresses < CLIENT_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(u->addresses[0]))
            continue;
        memcpy(&u->addresses[u->naddresses], a->ai_addr, a->ai_addrlen);
        u->lengths[u->naddresses++] = a->ai_addrlen;
    }
    freeaddrinfo(list);
    return u->naddresses > 0 ? 0 : err_set(e, ERR_UNREACHABLE, "%s has no address", host);
}

// Every kept connection may turn out to be stale at once: when the upstream restarts.
static unsigned retry_tenths_max(const struct http_client *c)
{
    return (c->o.connections_max + 10) * 10;
}

bool http_upstream_may_retry(struct http_upstream *u)
{
    if (u->retry_tenths < 10)
        return false;
    u->retry_tenths -= 10;
    return true;
}

int http_client_upstream(struct http_client *c, const char *url, struct http_upstream **out,
                         struct err *e)
{
    char port[8];

    for (struct http_upstream *u = c->upstreams; u; u = u->next) {
        if (strcmp(u->url, url) == 0) {
            *out = u;
            return 0;
        }
    }
    struct http_upstream *u = calloc(1, sizeof(*u));
    if (!u)
        return err_memory(e);
    u->client = c;
    u->retry_tenths = retry_tenths_max(c);
    u->url = strdup(url);
    if (!u->url || parse_url(u, port, e) != 0 || resolve(u, port, e) != 0) {
        if (!u->url)
            err_memory(e);
        upstream_free(u);
        return -1;
    }
    u->next = c->upstreams;
    c->upstreams = u;
    *out = u;
    return 0;
}

void http_upstream_stats(const struct http_upstream *u, struct http_upstream_stats *out)
{
    *out = u->stats;
}

const char *http_upstream_name(const struct http_upstream *u)
{
    return u->name;
}

const char *http_upstream_prefix(const struct http_upstream *u)
{
    return u->prefix;
}

// ---- the end of a call

void client_call_free(struct http_call *call)
{
    event_del(&call->timer);
    buf_free(&call->request);
    buf_free(&call->flow.trailers);
    free(call);
}

void client_call_end(struct http_call *call, struct err *e, const struct http_client_response *r)
{
    event_del(&call->timer);
    if (e)
        call->upstream->stats.failed++;
    if (call->flow.ops)
        call->flow.ops->failed(call->ctx, e);
    else
        call->done(call->ctx, e, r);
    client_call_free(call);
}

void client_call_detach(struct http_call *call)
{
    struct client_conn *conn = call->conn;

    if (conn) {
        conn->call = NULL;
        call->conn = NULL;
        client_conn_close(conn);
    } else {
        queue_remove(call);
    }
}

enum err_code client_call_outcome(const struct http_call *call, enum err_code code)
{
    return call->sent > 0 && !call->idempotent ? ERR_UNKNOWN_OUTCOME : code;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct http_call *call = arg;
    struct http_upstream *u = call->upstream;
    struct err e;

    (void)fd;
    (void)what;
    err_set(&e, client_call_outcome(call, ERR_TIMEOUT), "%s did not answer in time", u->name);
    client_call_detach(call);
    client_call_end(call, &e, NULL);
    client_pump(u);
}

void client_call_broken(struct http_call *call, bool may_retry, const char *why)
{
    struct http_upstream *u = call->upstream;
    struct err e;

    call->conn = NULL;
    if (may_retry && (call->idempotent || call->sent == 0) && !call->flow.taken && !call->retried &&
        http_upstream_may_retry(u)) {
        call->retried = true;
        call->sent = 0;
        call->flow.deaf = false;
        if (call->flow.out.framing == WIRE_CHUNKED)
            wire_out_begin(&call->flow.out, WIRE_CHUNKED, 0);
        u->stats.retried++;
        // A new connection: others that were kept may be as stale.
        if (client_conn_open(u, call, &e) == 0)
            return;
    } else {
        err_set(&e, client_call_outcome(call, ERR_UNREACHABLE), "%s: %s", u->name, why);
    }
    client_call_end(call, &e, NULL);
    client_pump(u);
}

// ---- the start of a call

bool http_client_idempotent(struct str method)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (str_eqz(method, methods[i]))
            return true;
    return false;
}

static bool client_owns(struct str name)
{
    return str_eq_nocase(name, STR("host")) || str_eq_nocase(name, STR("connection")) ||
           str_eq_nocase(name, STR("content-length")) ||
           str_eq_nocase(name, STR("transfer-encoding"));
}

static int build(struct buf *b, const struct http_client_request *r, struct err *e)
{
    bool sends_body = str_eqz(r->method, "POST") || str_eqz(r->method, "PUT") ||
                      str_eqz(r->method, "PATCH") || r->body.len > 0;

    if (!wire_is_token(r->method) || !wire_is_target(r->target))
        return err_set(e, ERR_INVALID, "malformed method or target");
    buf_addstr(b, r->method);
    buf_addc(b, ' ');
    buf_addz(b, r->upstream->prefix);
    buf_addstr(b, r->target);
    buf_addz(b, " HTTP/1.1\r\nHost: ");
    buf_addz(b, r->upstream->name);
    buf_addz(b, "\r\n");
    for (size_t i = 0; i < r->nheaders; i++) {
        const struct http_header *h = &r->headers[i];
        if (!wire_is_token(h->name) || !wire_is_value(h->value) || client_owns(h->name))
            return err_set(e, ERR_INVALID, "header field %zu cannot be sent", i);
        buf_addstr(b, h->name);
        buf_addz(b, ": ");
        buf_addstr(b, h->value);
        buf_addz(b, "\r\n");
    }
    if (sends_body) {
        buf_addz(b, "Content-Length: ");
        buf_addint(b, (long long)r->body.len);
        buf_addz(b, "\r\n");
    }
    buf_addz(b, "\r\n");
    buf_addstr(b, r->body);
    return buf_check(b, e);
}

static struct http_call *call_create(struct http_client *c, const struct http_client_request *r,
                                     struct err *e)
{
    struct http_call *call = calloc(1, sizeof(*call));
    struct timeval tv = {.tv_sec = r->deadline_ms / 1000,
                         .tv_usec = (suseconds_t)(r->deadline_ms % 1000) * 1000};

    if (!call) {
        err_memory(e);
        return NULL;
    }
    call->upstream = r->upstream;
    call->done = r->done;
    call->ctx = r->ctx;
    call->head_request = str_eqz(r->method, "HEAD");
    call->idempotent = http_client_idempotent(r->method);
    if (build(&call->request, r, e) != 0)
        goto fail;
    if (event_assign(&call->timer, loop_base(c->o.loop), -1, 0, on_deadline, call) != 0 ||
        event_add(&call->timer, &tv) != 0) {
        err_memory(e);
        goto fail;
    }
    return call;
fail:
    buf_free(&call->request);
    free(call);
    return NULL;
}

// A call that must not be sent twice does not go over a connection that the upstream has closed
// already; of the others the retry takes care.
static struct client_conn *take_idle(struct http_upstream *u, bool careful)
{
    struct client_conn *conn;
    char first;

    while ((conn = u->idle) != NULL && careful &&
           (recv(conn->io.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
            (errno != EAGAIN && errno != EWOULDBLOCK)))
        client_conn_close(conn);
    if (conn) {
        u->idle = conn->idle_next;
        conn->idle_next = NULL;
        u->stats.idle--;
    }
    return conn;
}

// A connection for the call now; false when it has to wait, -1 with an error.
static int start(struct http_upstream *u, struct http_call *call, bool *started, struct err *e)
{
    struct client_conn *conn = take_idle(u, !call->idempotent);

    *started = true;
    if (conn) {
        client_conn_use(conn, call);
        return 0;
    }
    if (u->stats.connections < u->client->o.connections_max)
        return client_conn_open(u, call, e);
    *started = false;
    return 0;
}

static void queue_append(struct http_upstream *u, struct http_call *call)
{
    call->prev = u->last;
    if (u->last)
        u->last->next = call;
    else
        u->first = call;
    u->last = call;
    u->stats.queued++;
}

int client_call_start(struct http_call *call, struct err *e)
{
    struct http_upstream *u = call->upstream;
    bool started = false;

    if (u->retry_tenths < retry_tenths_max(u->client))
        u->retry_tenths++;
    // Not past those that wait already.
    if (!u->first && start(u, call, &started, e) != 0)
        return -1;
    if (!started)
        queue_append(u, call);
    return 0;
}

int client_may_call(const struct http_upstream *u, struct err *e)
{
    const struct http_client *c = u->client;

    if (c->closing)
        return err_set(e, ERR_CANCELLED, "the HTTP client is closing");
    if (!u->idle && u->stats.connections >= c->o.connections_max &&
        u->stats.queued >= c->o.queue_max)
        return err_set(e, ERR_BUSY, "%s: %u calls are waiting already", u->name, u->stats.queued);
    return 0;
}

int http_client_send(struct http_client *c, const struct http_client_request *r,
                     struct http_call **out, struct err *e)
{
    assert(r->deadline_ms > 0 && r->upstream->client == c);
    if (client_may_call(r->upstream, e) != 0)
        return -1;
    struct http_call *call = call_create(c, r, e);
    if (!call)
        return -1;
    if (out)
        *out = call;
    if (client_call_start(call, e) != 0) {
        client_call_free(call);
        return -1;
    }
    return 0;
}

void client_pump(struct http_upstream *u)
{
    bool started = true;
    struct err e;

    while (u->first && started) {
        struct http_call *call = u->first;
        assert(!call->prev);
        queue_remove(call);
        if (start(u, call, &started, &e) != 0) {
            client_call_end(call, &e, NULL);
            continue;
        }
        if (started)
            continue;
        call->next = u->first; // back to the front
        if (u->first)
            u->first->prev = call;
        else
            u->last = call;
        u->first = call;
        u->stats.queued++;
    }
}

void http_call_cancel(struct http_call *call)
{
    struct http_upstream *u = call->upstream;

    client_call_detach(call);
    client_call_free(call);
    client_pump(u);
}
