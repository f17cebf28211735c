// SPDX-License-Identifier: Apache-2.0
// What comes before the first request of a connection: the PROXY header of a trusted peer that
// speaks for its clients, then the TLS handshake. Both have one time limit from the accept on,
// and handshakes a limit of their number, since each costs a signature. Thread: the loop.
//
// The header is taken byte-exactly (looked at first): what follows it is TLS's.
#include "facade/http/http_int.h"

#include "base/metrics.h"

#include <errno.h>

static const struct log_ctx ctx = {"http", NULL, NULL};

// ---- TLS

static void on_handshake(struct conn *c);

static void count_failed(struct http_listener *l)
{
    l->stats.handshakes_failed++;
    metric_add(l->handshakes_failed, 1);
}

static void begin_tls(struct conn *c)
{
    struct http_listener *l = c->listener;
    struct err e;
    unsigned dropped;

    if (l->handshaking >= l->limits.handshakes_max) {
        count_failed(l);
        if (log_allowed(&l->handshakes_limit, 10000, &dropped))
            log_warn(&ctx, "%u TLS handshakes are under way: new connections are closed (%u more)",
                     l->handshaking, dropped);
        conn_close(c);
        return;
    }
    c->io.tls = tls_stream_create(l->o.tls, c->io.fd, NULL, &e);
    if (!c->io.tls) {
        conn_close(c);
        return;
    }
    conn_set_state(c, CONN_TLS);
    on_handshake(c);
}

// A client that speaks HTTP is told so in HTTP.
static void handshake_failed(struct conn *c, const struct err *e)
{
    count_failed(c->listener);
    log_debug(&ctx, "fd %d: %s", c->io.fd, e->msg);
    if (e->code != ERR_INVALID) {
        conn_close(c);
        return;
    }
    tls_stream_destroy(c->io.tls);
    c->io.tls = NULL;
    conn_refuse(c, 400, "plain HTTP was sent to a TLS port\n");
}

static void on_handshake(struct conn *c)
{
    struct err e;

    switch (tls_stream_handshake(c->io.tls, &e)) {
    case TLS_DONE:
        event_del(&c->write_event);
        c->listener->stats.handshakes++;
        metric_add(c->listener->handshakes_done, 1);
        conn_set_state(c, CONN_IDLE);
        break;
    case TLS_WANT_READ: event_del(&c->write_event); break;
    case TLS_WANT_WRITE:
        if (event_add(&c->write_event, NULL) != 0)
            conn_close(c);
        break;
    case TLS_FAILED:
        event_del(&c->write_event);
        handshake_failed(c, &e);
        break;
    }
}

// ---- the client's address is known

// Counts the connection to its client; closes it when that one has its fill.
static bool count_address(struct conn *c)
{
    struct http_listener *l = c->listener;
    unsigned dropped;

    if (!l->o.addresses)
        return true;
    c->counted = address_count_enter(l->o.addresses, &c->peer);
    if (c->counted)
        return true;
    l->stats.refused++;
    if (log_allowed(&l->address_limit, 10000, &dropped))
        log_warn(&ctx, "a client has too many connections: new ones are closed (%u more)", dropped);
    conn_close(c);
    return false;
}

static void addressed(struct conn *c)
{
    if (!count_address(c))
        return;
    if (c->listener->o.tls)
        begin_tls(c);
    else if (c->state != CONN_IDLE)
        conn_set_state(c, CONN_IDLE);
}

// ---- the PROXY header

static void proxy_broken(struct conn *c, const char *why)
{
    unsigned dropped;

    c->listener->stats.malformed++;
    if (log_allowed(&c->listener->proxy_limit, 10000, &dropped))
        log_warn(&ctx, "a trusted peer's PROXY header: %s (%u more)", why, dropped);
    conn_close(c);
}

static void take_proxy(struct conn *c, size_t used, const struct proxy_header *h)
{
    struct http_listener *l = c->listener;

    if (transport_recv(&c->io, c->in + c->in_len, used - c->in_len) !=
        (ssize_t)(used - c->in_len)) {
        conn_close(c);
        return;
    }
    listener_give_in(l, c->in);
    c->in = NULL;
    c->in_len = 0;
    if (h->told)
        c->peer = h->client;
    addressed(c);
}

static void read_proxy(struct conn *c)
{
    struct proxy_header h;
    size_t used = 0, room = PROXY_HEADER_MAX - c->in_len;
    ssize_t n = recv(c->io.fd, c->in + c->in_len, room, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) { // a health check that only connects is no fault
        conn_close(c);
        return;
    }
    int rc = proxy_header_parse(str_n(c->in, c->in_len + (size_t)n), &h, &used);
    if (rc > 0) {
        take_proxy(c, used, &h);
    } else if (rc < 0 || (size_t)n == room) {
        proxy_broken(c, "none, or malformed");
    } else if (transport_recv(&c->io, c->in + c->in_len, (size_t)n) != n) {
        conn_close(c);
    } else {
        c->in_len += (size_t)n;
    }
}

static void begin_proxy(struct conn *c)
{
    c->in = listener_take_in(c->listener);
    if (!c->in) {
        conn_close(c);
        return;
    }
    c->in_len = 0;
    conn_set_state(c, CONN_PROXY);
}

// ---- from conn.c and conn_input.c

void conn_greet(struct conn *c)
{
    struct http_listener *l = c->listener;

    if (l->o.proxy && peers_has(l->o.trusted, &c->peer))
        begin_proxy(c);
    else
        addressed(c);
}

void conn_on_greeting(struct conn *c)
{
    if (c->state == CONN_PROXY)
        read_proxy(c);
    else
        on_handshake(c);
}

void conn_greeting_expired(struct conn *c)
{
    if (c->state == CONN_TLS)
        count_failed(c->listener);
    conn_close(c);
}
