// SPDX-License-Identifier: Apache-2.0
// One connection of the HTTP client: connecting, sending one request, receiving one reply,
// waiting for the next. Knows its call, not the queue. Thread: the loop.
//
// A reply's head stays in `in`; a body that came whole with it is used in place, any other
// is collected in `body`.
#include "connectors/http/http_client_int.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define INTERIM_MAX 8

static const struct log_ctx ctx = {"http_client", NULL, NULL};

static const char *const names[CLIENT_STATES] = {"connecting", "busy", "idle", "closed"};

static void set_state(struct client_conn *c, enum client_state to)
{
    static const unsigned allowed[CLIENT_STATES] = {
        [CLIENT_CONNECTING] = 1u << CLIENT_BUSY | 1u << CLIENT_CLOSED,
        [CLIENT_BUSY] = 1u << CLIENT_IDLE | 1u << CLIENT_CLOSED,
        [CLIENT_IDLE] = 1u << CLIENT_BUSY | 1u << CLIENT_CLOSED,
    };

    assert(allowed[c->state] & 1u << to);
    log_debug(&ctx, "%s: %s -> %s", c->upstream->name, names[c->state], names[to]);
    c->state = to;
}

// ---- closing

void client_conn_free(struct client_conn *c)
{
    buf_free(&c->body);
    free(c->in);
    free(c);
}

static void idle_remove(struct client_conn *c)
{
    struct client_conn **at = &c->upstream->idle;

    while (*at != c)
        at = &(*at)->idle_next;
    *at = c->idle_next;
    c->upstream->stats.idle--;
}

// The call, if any, is let go of by the caller first.
void client_conn_close(struct client_conn *c)
{
    struct http_upstream *u = c->upstream;

    assert(!c->call);
    if (c->state == CLIENT_CLOSED)
        return;
    if (c->state == CLIENT_IDLE)
        idle_remove(c);
    set_state(c, CLIENT_CLOSED);
    if (c->io.fd >= 0) {
        event_del(&c->read_event);
        event_del(&c->write_event);
        transport_close(&c->io);
    }
    if (c->prev)
        c->prev->next = c->next;
    else
        u->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    u->stats.connections--;
    if (!c->delivering)
        client_conn_free(c);
}

// The connection is of no more use; its call is sent again or fails.
static void broken(struct client_conn *c, const char *why)
{
    struct http_call *call = c->call;
    bool may_retry = c->reused && c->in_len == 0 && !c->head_done && c->interim == 0;

    c->call = NULL;
    client_conn_close(c);
    if (call)
        client_call_broken(call, may_retry, why);
}

void client_conn_refuse(struct client_conn *c, enum err_code code, const char *why)
{
    struct http_upstream *u = c->upstream;
    struct http_call *call = c->call;
    struct err e;

    err_set(&e, code, "reply of %s: %s", u->name, why);
    c->call = NULL;
    client_conn_close(c);
    call->conn = NULL;
    client_call_end(call, &e, NULL);
    client_pump(u);
}

// ---- connecting

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

// Tries the upstream's addresses from c->address on. An attempt that fails at once leads to
// the next; the last failure's errno is returned, 0 when one is under way.
static int try_connect(struct client_conn *c)
{
    struct http_upstream *u = c->upstream;
    struct event_base *base = loop_base(u->client->o.loop);
    int one = 1, error = ECONNREFUSED;

    for (; c->address < u->naddresses; c->address++) {
        const struct sockaddr *sa = (const struct sockaddr *)&u->addresses[c->address];
        c->io.fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->io.fd < 0) {
            error = errno;
            continue;
        }
        setsockopt(c->io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if ((connect(c->io.fd, sa, u->lengths[c->address]) == 0 || errno == EINPROGRESS) &&
            event_assign(&c->read_event, base, c->io.fd, EV_READ | EV_PERSIST, on_readable, c) ==
                0 &&
            event_assign(&c->write_event, base, c->io.fd, EV_WRITE | EV_PERSIST, on_writable, c) ==
                0 &&
            event_add(&c->write_event, NULL) == 0)
            return 0;
        error = errno;
        transport_close(&c->io);
    }
    return error;
}

int client_conn_open(struct http_upstream *u, struct http_call *call, struct err *e)
{
    struct client_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return err_memory(e);
    c->in = malloc(u->client->o.header_max + CLIENT_IN_SLACK);
    if (!c->in) {
        free(c);
        return err_memory(e);
    }
    c->upstream = u;
    c->io.fd = -1;
    c->state = CLIENT_CONNECTING;
    int error = try_connect(c);
    if (error != 0) {
        client_conn_free(c);
        return err_set(e, ERR_UNREACHABLE, "%s: %s", u->name, strerror(error));
    }
    c->next = u->conns;
    if (u->conns)
        u->conns->prev = c;
    u->conns = c;
    u->stats.connections++;
    u->stats.opened++;
    c->call = call;
    call->conn = c;
    return 0;
}

// ---- sending

static void send_request(struct client_conn *c)
{
    struct http_call *call = c->call;
    struct str rest = str_n(call->request.data + call->sent, call->request.len - call->sent);
    ssize_t n = transport_send(&c->io, rest, str_n(NULL, 0));

    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        // The reply may have come before the reset: reading tells.
        event_del(&c->write_event);
        return;
    }
    if (n > 0)
        call->sent += (size_t)n;
    if (call->sent < call->request.len)
        event_add(&c->write_event, NULL);
    else
        event_del(&c->write_event);
}

ssize_t client_conn_sendv(struct client_conn *c, struct iovec *parts, unsigned count)
{
    ssize_t n = transport_sendv(&c->io, parts, count);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return n;
}

static void begin_call(struct client_conn *c)
{
    c->in_len = c->scanned = c->head_len = c->used = c->run = 0;
    c->head_done = false;
    c->interim = 0;
    c->upstream->stats.sent++;
    set_state(c, CLIENT_BUSY);
    if (c->call->flow.ops)
        client_stream_begin(c);
    else
        send_request(c);
}

void client_conn_use(struct client_conn *c, struct http_call *call)
{
    c->call = call;
    call->conn = c;
    begin_call(c);
}

static void begin_first_call(struct client_conn *c)
{
    begin_call(c);
    if (c->call->flow.ops)
        client_stream_writable(c);
}

// A certificate that is not right fails the call: another address would not have a better one.
static void on_handshake(struct client_conn *c)
{
    struct err e;

    switch (tls_stream_handshake(c->io.tls, &e)) {
    case TLS_DONE:
        event_del(&c->write_event);
        begin_first_call(c);
        break;
    case TLS_WANT_READ: event_del(&c->write_event); break;
    case TLS_WANT_WRITE: event_add(&c->write_event, NULL); break;
    case TLS_FAILED: broken(c, e.msg); break;
    }
}

static void begin_tls(struct client_conn *c)
{
    struct err e;

    c->io.tls = tls_stream_create(c->upstream->client->o.tls, c->io.fd, c->upstream->host, &e);
    if (c->io.tls)
        on_handshake(c);
    else
        broken(c, e.msg);
}

static void connected(struct client_conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(c->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0 && event_add(&c->read_event, NULL) == 0) {
        event_del(&c->write_event);
        if (c->upstream->https)
            begin_tls(c);
        else
            begin_first_call(c);
        return;
    }
    event_del(&c->write_event);
    transport_close(&c->io);
    c->address++;
    int next = try_connect(c);
    if (next != 0)
        broken(c, strerror(error ? error : next));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct client_conn *c = arg;

    (void)fd;
    (void)what;
    if (c->io.tls && c->state == CLIENT_CONNECTING)
        on_handshake(c);
    else if (c->state == CLIENT_CONNECTING)
        connected(c);
    else if (c->call && c->call->flow.ops)
        client_stream_writable(c);
    else if (c->call)
        send_request(c);
}

// ---- receiving

static void deliver(struct client_conn *c)
{
    struct http_upstream *u = c->upstream;
    struct http_call *call = c->call;
    bool in_place = c->head.framing == WIRE_LENGTH && c->body.limit == 0;
    struct http_client_response r = {
        .status = c->head.status,
        .headers = c->headers,
        .nheaders = c->head.nheaders,
        .body = in_place ? str_n(c->in + c->head_len, (size_t)c->head.length) : buf_str(&c->body),
    };
    // Bytes behind the reply, or a reply before the whole request: not to be trusted again.
    bool keep = c->head.keep_alive && c->used == c->in_len && call->sent == call->request.len;

    c->call = NULL;
    call->conn = NULL;
    c->delivering = true;
    client_call_end(call, NULL, &r);
    c->delivering = false;
    if (c->state == CLIENT_CLOSED) {
        client_conn_free(c);
        return;
    }
    client_conn_rest(c, keep);
    client_pump(u);
}

void client_conn_rest(struct client_conn *c, bool keep)
{
    struct http_upstream *u = c->upstream;

    buf_free(&c->body);
    c->in_len = c->used = 0;
    if (keep) {
        c->reused = true;
        c->idle_since_ns = clock_mono_ns();
        c->idle_next = u->idle;
        u->idle = c;
        u->stats.idle++;
        set_state(c, CLIENT_IDLE);
    } else {
        client_conn_close(c);
    }
}

// Of a body that is collected: takes what is in `in` behind c->used.
// 1 complete, 0 more is needed, -1 refused (the connection is gone).
static int collect(struct client_conn *c)
{
    struct wire_fault f;
    struct str data;
    size_t n;
    int rc = 0;

    if (c->head.framing != WIRE_CHUNKED) {
        n = c->in_len - c->used;
        if (c->head.framing == WIRE_LENGTH && n > c->left)
            n = (size_t)c->left;
        buf_add(&c->body, c->in + c->used, n);
        c->used += n;
        c->left -= c->head.framing == WIRE_LENGTH ? n : 0;
        rc = c->head.framing == WIRE_LENGTH && c->left == 0;
    }
    while (c->head.framing == WIRE_CHUNKED && rc == 0 && c->used < c->in_len) {
        rc = wire_chunks_next(&c->chunks, str_n(c->in + c->used, c->in_len - c->used), &n, &data,
                              &f);
        if (rc < 0) {
            client_conn_refuse(c, ERR_INVALID, f.why);
            return -1;
        }
        buf_addstr(&c->body, data);
        c->used += n;
    }
    if (c->body.failed) {
        client_conn_refuse(c, ERR_LIMIT, "the body is too large");
        return -1;
    }
    if (rc == 0)
        c->in_len = c->used = c->head_len; // the head stays, the rest was taken
    return rc;
}

static void begin_body(struct client_conn *c)
{
    c->used = c->head_len;
    c->head_done = true;
    c->left = c->head.length;
    if (c->head.framing == WIRE_NO_BODY ||
        (c->head.framing == WIRE_LENGTH && c->head.length <= c->in_len - c->head_len)) {
        if (c->head.framing == WIRE_LENGTH)
            c->used += (size_t)c->head.length;
        c->left = 0;
        return;
    }
    c->chunks = (struct wire_chunks){0};
    c->body.limit = c->upstream->client->o.body_max;
}

int client_conn_take_head(struct client_conn *c)
{
    struct wire_fault f;
    size_t max = c->upstream->client->o.header_max;
    int rc = wire_find_end(str_n(c->in, c->in_len), &c->scanned, &c->head_len, &f);

    if (rc < 0) {
        client_conn_refuse(c, ERR_INVALID, f.why);
        return -1;
    }
    if (rc == 0 ? c->in_len > max : c->head_len > max) {
        client_conn_refuse(c, ERR_LIMIT, "the header fields are too large");
        return -1;
    }
    if (rc == 0)
        return 0;
    if (wire_parse_response(str_n(c->in, c->head_len), c->call->head_request, c->headers, &c->head,
                            &f) != 0) {
        client_conn_refuse(c, ERR_INVALID, f.why);
        return -1;
    }
    if (c->head.status < 200) {
        if (c->head.status == 101 || ++c->interim > INTERIM_MAX) {
            client_conn_refuse(c, ERR_INVALID, "an interim reply that was not asked for");
            return -1;
        }
        if (c->call->flow.ops && c->call->flow.ops->interim) {
            c->call->flow.ops->interim(c->call->ctx, &c->head);
            if (!c->call)
                return -1; // given up
        }
        c->in_len -= c->head_len;
        memmove(c->in, c->in + c->head_len, c->in_len);
        c->scanned = c->head_len = 0;
        return client_conn_take_head(c); // INTERIM_MAX deep at most
    }
    if (c->call->flow.ops) {
        c->head_done = true;
        c->used = c->head_len;
        c->left = c->head.length;
        c->chunks = (struct wire_chunks){0};
        return 1;
    }
    if (c->head.framing == WIRE_LENGTH && c->head.length > c->upstream->client->o.body_max) {
        client_conn_refuse(c, ERR_LIMIT, "the body is too large");
        return -1;
    }
    begin_body(c);
    return 1;
}

static void step(struct client_conn *c)
{
    if (c->call->flow.ops) {
        client_stream_step(c);
        return;
    }
    if (!c->head_done && client_conn_take_head(c) <= 0)
        return;
    if (c->body.limit > 0 && collect(c) <= 0)
        return;
    deliver(c);
}

static void on_eof(struct client_conn *c, const char *why, bool clean)
{
    if (!clean || !c->call || !c->head_done || c->head.framing != WIRE_TO_CLOSE)
        broken(c, why);
    else if (c->call->flow.ops)
        client_stream_done(c);
    else
        deliver(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct client_conn *c = arg;
    size_t room = c->upstream->client->o.header_max + CLIENT_IN_SLACK - c->in_len;
    ssize_t n;

    (void)fd;
    (void)what;
    if (c->state == CLIENT_CONNECTING) {
        on_handshake(c);
        return;
    }
    n = transport_recv(&c->io, c->in + c->in_len, room);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0) {
        on_eof(c, n == 0 ? "closed the connection" : strerror(errno), n == 0);
        return;
    }
    if (!c->call) { // words without a question
        client_conn_close(c);
        return;
    }
    c->in_len += (size_t)n;
    if (transport_pending(&c->io))
        event_active(&c->read_event, EV_READ, 0);
    step(c);
}
