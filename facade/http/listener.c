// SPDX-License-Identifier: Apache-2.0
// A listening socket, the connections it accepted, their timeouts and the recycled memory
// they share. Knows nothing of requests. Timeouts are one coarse tick over lists in order
// of time, so that a request costs no timer. Thread: the loop.
#include "facade/http/http_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPTS_A_TURN      64
#define SPARE_IN_MAX        64
#define SPARE_EXCHANGES_MAX 64
#define EXCHANGE_KEEP       ((size_t)64 << 10) // memory of a spare one
#define LINGER_MS           2000
#define TICK_MAX_MS         250

static const struct log_ctx ctx = {"http", NULL, NULL};

// ---- recycled memory

char *listener_take_in(struct http_listener *l)
{
    if (l->nspare_in > 0)
        return l->spare_in[--l->nspare_in];
    return malloc(l->in_size);
}

void listener_give_in(struct http_listener *l, char *in)
{
    if (!in)
        return;
    if (l->nspare_in < SPARE_IN_MAX)
        l->spare_in[l->nspare_in++] = in;
    else
        free(in);
}

struct http_exchange *exchange_take(struct http_listener *l)
{
    struct http_exchange *x = l->spare;

    if (x) {
        l->spare = x->next;
        l->nspare--;
        x->next = NULL;
    } else {
        x = calloc(1, sizeof(*x));
        if (!x)
            return NULL;
        x->listener = l;
        x->request.arena = arena_create((size_t)128 << 20);
        if (!x->request.arena) {
            free(x);
            return NULL;
        }
        arena_keep(x->request.arena, EXCHANGE_KEEP);
    }
    x->facts = (struct http_facts){.bucket = -1};
    x->explain = false;
    l->stats.exchanges++;
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    arena_destroy(x->request.arena);
    free(x);
}

void exchange_release(struct http_exchange *x)
{
    struct http_listener *l = x->listener;
    struct arena *arena = x->request.arena;

    listener_give_in(l, x->in);
    buf_free(&x->body);
    arena_reset(arena);
    x->request = (struct http_request){.arena = arena};
    buf_free(&x->stream.trailers);
    x->stream = (struct stream){0};
    x->conn = NULL;
    x->closed = NULL;
    x->closed_ctx = NULL;
    x->label = NULL;
    x->in = NULL;
    if (l->nspare < SPARE_EXCHANGES_MAX) {
        x->next = l->spare;
        l->spare = x;
        l->nspare++;
    } else {
        exchange_free(x);
    }
    l->stats.exchanges--;
}

static void listener_free(struct http_listener *l)
{
    while (l->nspare_in > 0)
        free(l->spare_in[--l->nspare_in]);
    free(l->spare_in);
    while (l->spare) {
        struct http_exchange *x = l->spare;
        l->spare = x->next;
        exchange_free(x);
    }
    buf_free(&l->head);
    free(l);
}

void listener_enter(struct http_listener *l)
{
    if (l->depth++ == 0)
        l->now_ns = clock_mono_ns();
}

void listener_leave(struct http_listener *l)
{
    if (--l->depth > 0)
        return;
    conn_free_closed(l);
    if (l->destroyed && l->stats.exchanges == 0)
        listener_free(l);
    else if (l->drained && l->stats.connections == 0)
        event_active(l->tick, EV_TIMEOUT, 0); // tells from a fresh stack
}

void listener_access(struct http_listener *l, const struct http_access *a)
{
    if (l->o.on_access && !l->destroyed)
        l->o.on_access(l->o.ctx, a);
}

// ---- accepting

static void accept_one(struct http_listener *l, int fd, const struct sockaddr_storage *peer)
{
    int one = 1;
    unsigned dropped;

    if (l->stats.connections >= l->limits.connections_max) {
        l->stats.refused++;
        close(fd);
        if (log_allowed(&l->full_limit, 10000, &dropped))
            log_warn(&ctx, "%u connections are open: new ones are closed (%u more)",
                     l->stats.connections, dropped);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    l->stats.accepted++;
    conn_open(l, fd, peer);
}

static void accept_some(struct http_listener *l)
{
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        int client = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            accept_one(l, client, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_error(&ctx, "accept: %s; pausing", strerror(errno));
            event_del(l->accept_event);
            l->accept_paused = true; // until the next tick
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct http_listener *l = arg;

    (void)fd;
    (void)what;
    listener_enter(l);
    accept_some(l);
    listener_leave(l);
}

// ---- timeouts

static void expire(struct http_listener *l, enum conn_state state, unsigned ms)
{
    uint64_t age = (uint64_t)ms * 1000000u;
    struct conn *c;

    while ((c = l->lists[state].first) != NULL && l->now_ns - c->since_ns >= age)
        conn_timeout(c); // always leaves the front of the list
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct http_listener *l = arg;

    (void)fd;
    (void)what;
    listener_enter(l);
    expire(l, CONN_IDLE, l->draining ? 0 : l->limits.idle_ms);
    expire(l, CONN_TLS, l->limits.handshake_ms); // PROXY too
    expire(l, CONN_HEAD, l->limits.head_ms);
    expire(l, CONN_BODY, l->limits.request_ms);
    expire(l, CONN_STREAM, l->limits.write_ms);
    expire(l, CONN_WRITING, l->limits.write_ms);
    expire(l, CONN_LINGER, LINGER_MS);
    conn_free_closed(l); // nothing of them is on the stack
    if (l->accept_paused && !l->draining) {
        l->accept_paused = false;
        event_add(l->accept_event, NULL);
    }
    if (l->stats.connections == 0 && l->drained) {
        void (*drained)(void *) = l->drained;
        l->drained = NULL;
        drained(l->drained_ctx); // may destroy the listener, which then goes on leaving
    }
    listener_leave(l);
}

static unsigned tick_ms(const struct http_limits *m)
{
    const unsigned all[] = {m->idle_ms, m->head_ms, m->request_ms, m->write_ms, m->handshake_ms};
    unsigned least = all[0];

    for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++)
        least = all[i] < least ? all[i] : least;
    least /= 8;
    return least < 5 ? 5 : least > TICK_MAX_MS ? TICK_MAX_MS : least;
}

// ---- opening

// "1.2.3.4:80" or "[::1]:80"; port 0 takes any. Returns the length, 0 when malformed.
static socklen_t parse_address(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    const char *colon = strrchr(text, ':');
    char host[64];
    long long port;

    if (!colon || !str_to_int(str_of(colon + 1), 0, 65535, &port) ||
        str_copy(host, sizeof(host), str_n(text, (size_t)(colon - text))) != 0)
        return 0;
    size_t len = strlen(host);
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 ? sizeof(*v6) : 0;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? sizeof(*v4) : 0;
}

static unsigned port_of(const struct sockaddr_storage *ss)
{
    size_t at = ss->ss_family == AF_INET6 ? offsetof(struct sockaddr_in6, sin6_port)
                                          : offsetof(struct sockaddr_in, sin_port);
    in_port_t port;

    memcpy(&port, (const char *)ss + at, sizeof(port));
    return ntohs(port);
}

static int inherit_socket(struct http_listener *l, struct err *e)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    int flags;

    l->fd = fcntl(l->o.inherited, F_DUPFD_CLOEXEC, 3);
    if (l->fd < 0 || (flags = fcntl(l->fd, F_GETFL)) < 0 ||
        fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        getsockname(l->fd, (struct sockaddr *)&ss, &len) != 0)
        return err_set(e, ERR_INTERNAL, "the inherited socket: %s", strerror(errno));
    l->port = port_of(&ss);
    return 0;
}

static int bind_socket(struct http_listener *l, struct err *e)
{
    struct sockaddr_storage ss = {0};
    int one = 1;
    socklen_t bound = sizeof(ss);
    const struct http_listener_options *o = &l->o;

    if (unix_socket_is(o->address))
        return unix_socket_listen(o->address, o->mode, &l->path, &l->fd, e);
    socklen_t len = parse_address(o->address, &ss);
    if (len == 0)
        return err_set(e, ERR_INVALID, "\"%s\" is not a numeric address and port", o->address);
    l->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return err_set(e, ERR_INTERNAL, "socket: %s", strerror(errno));
    if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        (o->reuse_port && setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) ||
        bind(l->fd, (struct sockaddr *)&ss, len) != 0 || listen(l->fd, 1024) != 0 ||
        getsockname(l->fd, (struct sockaddr *)&ss, &bound) != 0)
        return err_set(e, ERR_UNREACHABLE, "cannot listen on %s: %s", o->address, strerror(errno));
    l->port = port_of(&ss);
    return 0;
}

static void fill_limits(struct http_limits *m, const struct http_limits *o)
{
    m->header_max = o->header_max ? o->header_max : 16384;
    m->body_max = o->body_max ? o->body_max : (size_t)8 << 20;
    m->idle_ms = o->idle_ms ? o->idle_ms : 60000;
    m->head_ms = o->head_ms ? o->head_ms : 10000;
    m->request_ms = o->request_ms ? o->request_ms : 30000;
    m->write_ms = o->write_ms ? o->write_ms : 30000;
    m->rate_min = o->rate_min;
    m->requests_max = o->requests_max;
    m->connections_max = o->connections_max ? o->connections_max : 10000;
    m->handshake_ms = o->handshake_ms ? o->handshake_ms : 5000;
    m->handshakes_max = o->handshakes_max ? o->handshakes_max : 256;
}

static int add_events(struct http_listener *l, struct err *e)
{
    struct event_base *base = loop_base(l->o.loop);
    unsigned ms = tick_ms(&l->limits);
    struct timeval tv = {.tv_usec = (suseconds_t)ms * 1000};

    l->accept_event = event_new(base, l->fd, EV_READ | EV_PERSIST, on_accept, l);
    l->tick = event_new(base, -1, EV_PERSIST, on_tick, l);
    if (!l->accept_event || !l->tick || event_add(l->accept_event, NULL) != 0 ||
        event_add(l->tick, &tv) != 0)
        return err_memory(e);
    return 0;
}

struct http_listener *http_listener_create(const struct http_listener_options *o, struct err *e)
{
    struct http_listener *l = calloc(1, sizeof(*l));

    if (!l) {
        err_memory(e);
        return NULL;
    }
    l->o = *o;
    l->fd = -1;
    fill_limits(&l->limits, &o->limits);
    l->in_size = l->limits.header_max + IN_SLACK;
    trace_random_seed(&l->random);
    l->handshakes_done = metrics_counter("ficus_tls_handshakes_total", "TLS handshakes of clients.",
                                         "result=\"done\"");
    l->handshakes_failed = metrics_counter("ficus_tls_handshakes_total",
                                           "TLS handshakes of clients.", "result=\"failed\"");
    l->spare_in = calloc(SPARE_IN_MAX, sizeof(*l->spare_in));
    if (!l->spare_in) {
        err_memory(e);
        goto fail;
    }
    if ((l->o.inherited ? inherit_socket(l, e) : bind_socket(l, e)) != 0 || add_events(l, e) != 0)
        goto fail;
    l->o.address = NULL; // was borrowed for this call only
    return l;
fail:
    http_listener_destroy(l);
    return NULL;
}

unsigned http_listener_port(const struct http_listener *l)
{
    return l->port;
}

void http_listener_stats(const struct http_listener *l, struct http_listener_stats *out)
{
    *out = l->stats;
}

// ---- closing

static void stop_accepting(struct http_listener *l)
{
    if (l->accept_event)
        event_free(l->accept_event);
    l->accept_event = NULL;
    unix_socket_remove(&l->path); // from here on nobody finds it; who did is served
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

void http_listener_drain(struct http_listener *l, void (*drained)(void *ctx), void *arg)
{
    listener_enter(l);
    if (!l->draining)
        accept_some(l); // those already connected are served
    l->draining = true;
    l->drained = drained;
    l->drained_ctx = arg;
    stop_accepting(l);
    for (struct conn *c = l->lists[CONN_IDLE].first, *next; c; c = next) {
        next = c->next;
        conn_drain(c);
    }
    listener_leave(l);
}

void http_listener_destroy(struct http_listener *l)
{
    if (!l)
        return;
    listener_enter(l);
    stop_accepting(l);
    l->draining = true;
    l->drained = NULL;
    for (unsigned s = 0; s < CONN_CLOSED; s++)
        while (l->lists[s].first)
            conn_close(l->lists[s].first);
    if (l->tick)
        event_free(l->tick);
    l->tick = NULL;
    l->destroyed = true;
    listener_leave(l);
}

void http_listener_each(const struct http_listener *l,
                        void (*each)(void *ctx, const struct http_request *r,
                                     const struct http_facts *f, uint64_t age_ns),
                        void *arg, unsigned max)
{
    static const enum conn_state busy[] = {CONN_HANDLING, CONN_STREAM};

    for (unsigned i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
        for (struct conn *c = l->lists[busy[i]].first; c && max; c = c->next)
            if (c->exchange) {
                each(arg, &c->exchange->request, &c->exchange->facts,
                     http_exchange_age_ns(c->exchange));
                max--;
            }
}
