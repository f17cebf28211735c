// SPDX-License-Identifier: Apache-2.0
// One client connection: its states, opening and closing, sending replies, refusals. Requests
// of one connection are served in order, one at a time; what a pipelining client sends
// meanwhile waits in the buffer, then in the kernel. The states are drawn in http_int.h;
// conn_input.c reads. Owns the socket and the input buffer; the exchange owns what the handler
// sees. Thread: the loop.
#include "facade/http/http_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const struct log_ctx ctx = {"http", NULL, NULL};

static const char *const names[CONN_STATES] = {
    "proxy", "tls", "idle", "head", "body", "handling", "stream", "writing", "linger", "closed",
};

#define RATE_GRACE_NS UINT64_C(2000000000)
#define TO(s)         (1u << (s))

// Where each state may go; CLOSED is always allowed.
static const unsigned allowed[CONN_STATES] = {
    [CONN_PROXY] = TO(CONN_TLS) | TO(CONN_IDLE),
    [CONN_TLS] = TO(CONN_IDLE) | TO(CONN_WRITING) | TO(CONN_LINGER),
    [CONN_IDLE] = TO(CONN_HEAD) | TO(CONN_PROXY) | TO(CONN_TLS),
    [CONN_HEAD] = TO(CONN_BODY) | TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_LINGER) |
                  TO(CONN_IDLE) | TO(CONN_STREAM),
    [CONN_BODY] = TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_LINGER),
    [CONN_HANDLING] = TO(CONN_STREAM) | TO(CONN_WRITING) | TO(CONN_IDLE) | TO(CONN_HEAD) |
                      TO(CONN_LINGER),
    [CONN_STREAM] = TO(CONN_WRITING) | TO(CONN_IDLE) | TO(CONN_HEAD) | TO(CONN_LINGER),
    [CONN_WRITING] = TO(CONN_IDLE) | TO(CONN_HEAD) | TO(CONN_LINGER),
    [CONN_LINGER] = 0,
    [CONN_CLOSED] = 0,
};

const char *conn_state_name(enum conn_state s)
{
    return names[s];
}

static void list_remove(struct conn_list *list, struct conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
}

static void list_append(struct conn_list *list, struct conn *c)
{
    c->prev = list->last;
    c->next = NULL;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

// PROXY header and handshake have one time limit together.
static struct conn_list *list_of(const struct conn *c, enum conn_state s)
{
    return &c->listener->lists[s == CONN_PROXY ? CONN_TLS : s];
}

void conn_set_state(struct conn *c, enum conn_state to)
{
    struct conn_list *from_list = list_of(c, c->state), *to_list = list_of(c, to);

    assert(to == CONN_CLOSED || (allowed[c->state] & TO(to)));
    log_debug(&ctx, "fd %d: %s -> %s", c->io.fd, names[c->state], names[to]);
    c->listener->handshaking += (to == CONN_TLS) - (c->state == CONN_TLS);
    c->state = to;
    if (from_list == to_list)
        return;
    list_remove(from_list, c);
    c->since_ns = c->listener->now_ns;
    list_append(to_list, c);
}

void conn_touch(struct conn *c)
{
    struct conn_list *list = list_of(c, c->state);

    c->since_ns = c->listener->now_ns;
    if (list->last == c)
        return;
    list_remove(list, c);
    list_append(list, c);
}

// ---- opening and closing

static void on_writable(evutil_socket_t fd, short what, void *arg);

void conn_set_reading(struct conn *c, bool on)
{
    if (on == c->reading)
        return;
    if (on ? event_add(&c->read_event, NULL) == 0 : event_del(&c->read_event) == 0)
        c->reading = on;
    if (on && c->reading && transport_pending(&c->io))
        event_active(&c->read_event, EV_READ, 0);
}

void conn_free_closed(struct http_listener *l)
{
    struct conn *c;

    while ((c = l->lists[CONN_CLOSED].first) != NULL) {
        list_remove(&l->lists[CONN_CLOSED], c);
        listener_give_in(l, c->in);
        buf_free(&c->body);
        buf_free(&c->out);
        free(c);
        l->stats.connections--;
    }
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_IDLE && c->io.tls)
        tls_stream_end(c->io.tls);
    conn_set_state(c, CONN_CLOSED);
    event_del(&c->read_event);
    event_del(&c->write_event);
    transport_close(&c->io);
    if (c->counted)
        address_count_leave(c->listener->o.addresses, &c->peer);
    c->counted = false;
    if (c->exchange) {
        struct http_exchange *x = c->exchange;
        bool handled = x->request.exchange != NULL;
        c->exchange = NULL;
        if (handled)
            exchange_gone(x);
        else
            exchange_release(x);
    }
}

void conn_open(struct http_listener *l, int fd, const struct sockaddr_storage *peer)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct event_base *base = loop_base(l->o.loop);

    if (!c) {
        close(fd);
        return;
    }
    c->listener = l;
    c->io.fd = fd;
    c->peer = *peer;
    peers_plain(&c->peer);
    c->since_ns = l->now_ns;
    c->state = CONN_IDLE;
    list_append(&l->lists[CONN_IDLE], c);
    l->stats.connections++;
    if (event_assign(&c->read_event, base, fd, EV_READ | EV_PERSIST, conn_on_readable, c) != 0 ||
        event_assign(&c->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, c) != 0) {
        conn_close(c);
        return;
    }
    conn_set_reading(c, true);
    if (!c->reading)
        conn_close(c);
    else
        conn_greet(c);
}

// Says that nothing more will come, then waits for the client to close: closing at once
// with unread input would reset the connection and may destroy the reply on its way.
static void linger(struct conn *c)
{
    transport_end(&c->io);
    listener_give_in(c->listener, c->in);
    c->in = NULL;
    c->in_len = 0;
    buf_free(&c->body);
    buf_free(&c->out);
    conn_set_state(c, CONN_LINGER);
    conn_set_reading(c, true);
}

// ---- sending

// The reply is out: the next request, or the end.
static void reply_done(struct conn *c)
{
    if (c->close_after) {
        linger(c);
        return;
    }
    buf_free(&c->body);
    c->in_len -= c->used;
    if (c->in_len > 0)
        memmove(c->in, c->in + c->used, c->in_len);
    c->used = c->scanned = c->head_len = c->run = 0;
    c->blank_seen = false;
    if (c->in_len > 0) {
        conn_set_state(c, CONN_HEAD);
    } else {
        listener_give_in(c->listener, c->in);
        c->in = NULL;
        conn_set_state(c, CONN_IDLE);
    }
    conn_set_reading(c, true);
}

ssize_t conn_send_parts(struct conn *c, struct str head, struct str body)
{
    struct iovec parts[2] = {{(void *)head.data, head.len}, {(void *)body.data, body.len}};

    return conn_sendv(c, parts, body.len > 0 ? 2 : 1);
}

ssize_t conn_sendv(struct conn *c, struct iovec *parts, unsigned count)
{
    ssize_t n = transport_sendv(&c->io, parts, count);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return n;
}

void conn_begin_moving(struct conn *c)
{
    c->moved = 0;
    c->moving_ns = c->listener->now_ns;
}

bool conn_is_too_slow(struct conn *c, size_t n)
{
    struct http_listener *l = c->listener;
    uint64_t took = l->now_ns - c->moving_ns;
    unsigned dropped;

    c->moved += n;
    if (l->limits.rate_min == 0 || took < RATE_GRACE_NS ||
        c->moved >= l->limits.rate_min * (took / 1000000u) / 1000u)
        return false;
    l->stats.trickled++;
    if (log_allowed(&l->trickle_limit, 10000, &dropped))
        log_warn(&ctx, "a client sends or takes less than %u bytes/s: closed (%u more)",
                 l->limits.rate_min, dropped);
    return true;
}

static int keep_rest(struct conn *c, struct str head, struct str body, size_t sent)
{
    if (sent < head.len)
        buf_add(&c->out, head.data + sent, head.len - sent);
    sent = sent > head.len ? sent - head.len : 0;
    buf_add(&c->out, body.data + sent, body.len - sent);
    return c->out.failed ? -1 : 0;
}

void conn_send(struct conn *c, struct str head, struct str body, bool close_after)
{
    ssize_t n = conn_send_parts(c, head, body);

    c->close_after |= close_after;
    if (n < 0) {
        conn_close(c);
        return;
    }
    if ((size_t)n == head.len + body.len) {
        reply_done(c);
    } else {
        c->out_pos = 0;
        conn_begin_moving(c);
        if (keep_rest(c, head, body, (size_t)n) != 0 || event_add(&c->write_event, NULL) != 0) {
            conn_close(c);
            return;
        }
        conn_set_state(c, CONN_WRITING);
    }
    if (!c->stepping)
        conn_run(c); // a pipelined request may be waiting
}

void conn_wait_writable(struct conn *c, bool on)
{
    if (!on)
        event_del(&c->write_event);
    else if (event_add(&c->write_event, NULL) != 0)
        conn_close(c);
}

void conn_send_rest(struct conn *c, bool close_after)
{
    struct str rest = str_n(c->out.data + c->out_pos, c->out.len - c->out_pos);
    ssize_t n = rest.len > 0 ? conn_send_parts(c, rest, str_n(NULL, 0)) : 0;

    c->close_after |= close_after;
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->out_pos += (size_t)n;
    conn_wait_writable(c, (size_t)n < rest.len);
    if (c->state == CONN_CLOSED)
        return;
    if ((size_t)n < rest.len) {
        conn_set_state(c, CONN_WRITING);
        return;
    }
    buf_free(&c->out);
    c->out_pos = 0;
    reply_done(c);
    if (!c->stepping)
        conn_run(c);
}

static void write_rest(struct conn *c)
{
    ssize_t n = conn_send_parts(c, str_n(c->out.data + c->out_pos, c->out.len - c->out_pos),
                                str_n(NULL, 0));

    if (n < 0) {
        conn_close(c);
        return;
    }
    c->out_pos += (size_t)n;
    if (c->out_pos == c->out.len) {
        event_del(&c->write_event);
        buf_free(&c->out);
        c->out_pos = 0;
        reply_done(c);
        conn_run(c);
    } else if (n > 0 && conn_is_too_slow(c, (size_t)n)) {
        conn_close(c);
    } else if (n > 0) {
        conn_touch(c);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct http_listener *l = c->listener;

    (void)fd;
    (void)what;
    listener_enter(l);
    if (c->state == CONN_TLS)
        conn_on_greeting(c);
    else if (c->state == CONN_STREAM)
        stream_writable(c);
    else
        write_rest(c);
    listener_leave(l);
}

void conn_refuse(struct conn *c, unsigned status, const char *why)
{
    struct http_listener *l = c->listener;
    struct http_response r = {
        .status = status, .content_type = STR("text/plain"), .body = str_of(why)};
    struct http_access a = {.status = status, .bytes = r.body.len};

    l->stats.malformed++;
    if (c->exchange)
        exchange_release(c->exchange);
    c->exchange = NULL;
    listener_access(l, &a);
    struct str head = exchange_build_head(l, NULL, &r, false, false);
    if (!head.data) {
        conn_close(c);
        return;
    }
    conn_send(c, head, r.body, true);
}

// ---- timeouts and the end of the listener

void conn_timeout(struct conn *c)
{
    if (c->state == CONN_PROXY || c->state == CONN_TLS) {
        conn_greeting_expired(c);
        return;
    }
    if (c->state == CONN_HEAD || c->state == CONN_BODY) {
        conn_refuse(c, 408, "the request took too long");
        return;
    }
    if (c->state == CONN_STREAM)
        stream_timeout(c);
    else
        conn_close(c);
}

void conn_drain(struct conn *c)
{
    char first;

    if (recv(c->io.fd, &first, 1, MSG_PEEK) > 0)
        conn_on_readable(c->io.fd, EV_READ, c);
    else
        conn_close(c);
}
