// SPDX-License-Identifier: Apache-2.0
// The input of one client connection: reads what the socket has, finds head and body in it,
// and hands each complete request to the handler. States, sending and closing are conn.c's.
// Thread: the loop.
//
// Input buffer:  [ head | body that fits | following requests ... ]
//                0      head_len         used                 in_len
// The head stays where it is until the reply: the request's slices point into it. A body
// that does not fit, and every chunked one, is collected in `body`.
#include "facade/http/http_int.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>

#define BODY_STEP ((size_t)64 << 10)

// ---- one request

// The whole tracestate: several lines are one list.
static struct str tracestate(const struct http_request *r)
{
    struct str found = str_n(NULL, 0);

    for (size_t i = 0; i < r->nheaders; i++) {
        struct str line = r->headers[i].value;
        if (!str_eq_nocase(r->headers[i].name, STR("tracestate")))
            continue;
        if (!found.data) {
            found = line;
            continue;
        }
        char *both = arena_alloc(r->arena, found.len + 1 + line.len);
        if (!both || found.len + 1 + line.len > TRACE_STATE_MAX)
            return str_n(NULL, 0);
        memcpy(both, found.data, found.len);
        both[found.len] = ',';
        memcpy(both + found.len + 1, line.data, line.len);
        found = str_n(both, found.len + 1 + line.len);
    }
    return found;
}

static void handle(struct conn *c)
{
    struct http_listener *l = c->listener;
    struct http_exchange *x = c->exchange;

    assert(x);
    struct http_request *r = &x->request;
    r->body = c->body.limit > 0 ? buf_str(&c->body)
                                : str_n(c->in + c->head_len, c->used - c->head_len);
    if (r->body.len == 0)
        r->body = str_n(NULL, 0);
    r->exchange = x; // from here the handler owes a reply
    x->started_ns = clock_mono_ns();
    l->stats.requests++;
    conn_set_state(c, CONN_HANDLING);
    l->o.on_request(l->o.ctx, r);
}

// Whether `requests_max` makes this request the connection's last.
static bool last_of_connection(struct conn *c)
{
    unsigned most = c->listener->limits.requests_max;

    return most > 0 && ++c->requests >= most;
}

static void fill_request(struct conn *c, struct http_request *r, const struct wire_head *h)
{
    struct http_listener *l = c->listener;

    r->method = h->method;
    r->host = h->host.data ? h->host : STR("");
    r->http10 = h->http10;
    r->head = str_eqz(h->method, "HEAD");
    r->keep_alive = h->keep_alive && !last_of_connection(c);
    r->expect_continue = h->expect_continue;
    r->framing = h->framing;
    r->length = h->length;
    r->headers = h->headers;
    r->nheaders = h->nheaders;
    r->peer = r->hop = c->peer;
    r->https = c->io.tls != NULL;
    forwarded_client(r->headers, r->nheaders, l->o.forwarded, l->o.trusted, &r->peer, &r->https);
    trace_begin(&r->trace, &l->random, http_header(r, "traceparent"), tracestate(r));
}

// After the head of a request with a body: where will the body go?
static int begin_body(struct conn *c, const struct wire_head *h)
{
    size_t have = c->in_len - c->head_len;

    c->framing = h->framing;
    c->used = c->head_len;
    if (h->framing == WIRE_CHUNKED) {
        c->chunks = (struct wire_chunks){0};
        c->body.limit = c->listener->limits.body_max;
        return 0;
    }
    c->left = h->length;
    if (h->length <= c->listener->in_size - c->head_len)
        return 0; // stays in `in`
    c->body.limit = (size_t)h->length;
    buf_add(&c->body, c->in + c->head_len, have);
    c->in_len = c->head_len;
    c->left -= have;
    return c->body.failed ? -1 : 0;
}

// Shows the head to a handler that may take the request as a stream. True: it was taken.
static bool offer_head(struct conn *c, const struct wire_head *h)
{
    struct http_listener *l = c->listener;
    struct http_exchange *x = c->exchange;

    if (!l->o.on_head)
        return false;
    x->request.exchange = x; // from here the handler owes a reply
    x->started_ns = clock_mono_ns();
    x->stream.body_done = h->framing == WIRE_NO_BODY || (h->framing == WIRE_LENGTH && !h->length);
    c->framing = h->framing;
    c->left = h->length;
    c->chunks = (struct wire_chunks){0};
    c->used = c->head_len;
    c->run = 0;
    if (l->o.on_head(l->o.ctx, &x->request)) {
        l->stats.requests++;
        return true;
    }
    x->request.exchange = NULL;
    return false;
}

static bool body_is_here(const struct conn *c, const struct wire_head *h)
{
    return h->framing == WIRE_LENGTH && h->length <= c->in_len - c->head_len;
}

// Parses a head that is wholly in the buffer.
static void take_head(struct conn *c)
{
    struct http_listener *l = c->listener;
    struct wire_head h;
    struct wire_fault f;

    c->exchange = exchange_take(l);
    if (!c->exchange) {
        conn_close(c);
        return;
    }
    c->exchange->conn = c;
    if (wire_parse_request(str_n(c->in, c->head_len), c->exchange->headers, &h, &f) != 0) {
        conn_refuse(c, f.status, f.why);
        return;
    }
    struct err e;
    if (http_request_target(&c->exchange->request, h.target, &e) != 0) {
        conn_refuse(c, e.code == ERR_INVALID ? 400 : 503, e.msg);
        return;
    }
    fill_request(c, &c->exchange->request, &h);
    if (offer_head(c, &h))
        return;
    if (h.framing == WIRE_LENGTH && h.length > l->limits.body_max) {
        conn_refuse(c, 413, "the body is larger than this server accepts");
        return;
    }
    if (h.framing == WIRE_NO_BODY) {
        c->used = c->head_len;
        handle(c);
        return;
    }
    // The socket took every earlier reply, so that these few bytes fit or it is broken.
    static const struct str go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    if (h.expect_continue && !body_is_here(c, &h) &&
        conn_send_parts(c, go_on, str_n(NULL, 0)) != (ssize_t)go_on.len) {
        conn_close(c);
        return;
    }
    if (begin_body(c, &h) != 0) {
        conn_close(c);
        return;
    }
    conn_set_state(c, CONN_BODY);
    conn_begin_moving(c);
}

// Whether the state changed.
static bool step_head(struct conn *c)
{
    struct http_listener *l = c->listener;
    struct wire_fault f;
    int rc = wire_find_end(str_n(c->in, c->in_len), &c->scanned, &c->head_len, &f);

    if (rc > 0 && c->head_len == 2 && !c->blank_seen) { // RFC 9112, 2.2
        c->blank_seen = true;
        c->in_len -= 2;
        memmove(c->in, c->in + 2, c->in_len);
        c->scanned = c->head_len = 0;
        if (c->in_len > 0)
            return true;
        listener_give_in(l, c->in);
        c->in = NULL;
        conn_set_state(c, CONN_IDLE);
        return false;
    }
    if (rc < 0) {
        conn_refuse(c, f.status, f.why);
    } else if (rc == 0 ? c->in_len > l->limits.header_max : c->head_len > l->limits.header_max) {
        bool line = memchr(c->in, '\n', l->limits.header_max) != NULL;
        conn_refuse(c, line ? 431 : 414,
                    line ? "the header fields are too large" : "the request target is too long");
    } else if (rc > 0) {
        take_head(c);
    } else {
        return false;
    }
    return true;
}

// Moves what has arrived of a chunked body from `in` to `body`.
static bool step_chunks(struct conn *c)
{
    struct wire_fault f;
    struct str data;
    size_t n;
    int rc = 0;

    while (rc == 0 && c->used < c->in_len) {
        rc = wire_chunks_next(&c->chunks, str_n(c->in + c->used, c->in_len - c->used), &n, &data,
                              &f);
        if (rc < 0) {
            conn_refuse(c, f.status, f.why);
            return true;
        }
        buf_addstr(&c->body, data);
        if (c->body.failed) {
            conn_refuse(c, 413, "the body is larger than this server accepts");
            return true;
        }
        c->used += n;
    }
    if (rc > 0) {
        handle(c);
        return true;
    }
    c->in_len = c->used = c->head_len;
    return false;
}

static bool step_body(struct conn *c)
{
    if (c->framing == WIRE_CHUNKED)
        return step_chunks(c);
    if (c->body.limit > 0) {
        if (c->left > 0)
            return false;
    } else {
        if (c->in_len - c->head_len < c->left)
            return false;
        c->used = c->head_len + (size_t)c->left;
    }
    handle(c);
    return true;
}

void conn_run(struct conn *c)
{
    bool moved = true;

    c->stepping = true;
    while (moved) {
        switch (c->state) {
        case CONN_HEAD: moved = step_head(c); break;
        case CONN_BODY: moved = step_body(c); break;
        case CONN_STREAM: moved = stream_step(c); break;
        default: moved = false; break;
        }
    }
    c->stepping = false;
}

// ---- reading

static void refuse_trickle(struct conn *c, size_t n)
{
    if (conn_is_too_slow(c, n))
        conn_refuse(c, 408, "the body comes too slowly");
}

static void read_body(struct conn *c)
{
    size_t want = c->left < BODY_STEP ? (size_t)c->left : BODY_STEP;

    if (buf_reserve(&c->body, want) != 0) {
        conn_refuse(c, 413, "no memory for the body");
        return;
    }
    ssize_t n = transport_recv(&c->io, c->body.data + c->body.len, want);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
        conn_close(c);
        return;
    }
    if (n > 0) {
        c->body.len += (size_t)n;
        c->body.data[c->body.len] = '\0';
        c->left -= (uint64_t)n;
        refuse_trickle(c, (size_t)n);
    }
}

// Into the free end of `in`. A full buffer stops reading until the present reply is out, and so
// does the end of what a client sends while it waits: it may have closed its half only and gets
// its reply; the end is met again afterwards.
static void read_input(struct conn *c)
{
    size_t room = c->listener->in_size - c->in_len;

    if (room == 0) {
        conn_set_reading(c, false);
        return;
    }
    ssize_t n = transport_recv(&c->io, c->in + c->in_len, room);
    if (n == 0 && (c->state == CONN_HANDLING || c->state == CONN_WRITING ||
                   (c->state == CONN_STREAM && c->exchange->stream.body_done)))
        conn_set_reading(c, false);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        conn_close(c);
    else if (n > 0)
        c->in_len += (size_t)n;
    if (n > 0 && c->state == CONN_STREAM)
        stream_received(c, (size_t)n);
    if (n > 0 && c->state == CONN_BODY)
        refuse_trickle(c, (size_t)n);
}

static void read_first(struct conn *c)
{
    c->in = listener_take_in(c->listener);
    if (!c->in) {
        conn_close(c);
        return;
    }
    c->in_len = 0;
    read_input(c);
    if (c->state == CONN_CLOSED)
        return;
    if (c->in_len > 0) {
        conn_set_state(c, CONN_HEAD);
    } else {
        listener_give_in(c->listener, c->in);
        c->in = NULL;
    }
}

static void read_and_drop(struct conn *c)
{
    char waste[4096];
    ssize_t n = transport_recv(&c->io, waste, sizeof(waste));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        conn_close(c);
}

void conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct http_listener *l = c->listener;

    (void)fd;
    (void)what;
    listener_enter(l);
    if (c->state == CONN_PROXY || c->state == CONN_TLS)
        conn_on_greeting(c);
    else if (c->state == CONN_IDLE)
        read_first(c);
    else if (c->state == CONN_LINGER)
        read_and_drop(c);
    else if (c->state == CONN_BODY && c->framing == WIRE_LENGTH && c->body.limit > 0)
        read_body(c);
    else
        read_input(c);
    conn_run(c);
    if (c->state != CONN_CLOSED && c->reading && transport_pending(&c->io))
        event_active(&c->read_event, EV_READ, 0);
    listener_leave(l);
}
