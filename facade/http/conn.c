// SPDX-License-Identifier: Apache-2.0
// One client connection: reads requests, hands each complete one to the handler, sends the
// reply, and closes. Requests of one connection are served in order, one at a time; what a
// pipelining client sends meanwhile waits in the buffer, then in the kernel. The states are
// drawn in http_int.h. Owns the socket and the input buffer; the exchange owns what the
// handler sees. Thread: the loop.
//
// Input buffer:  [ head | body that fits | following requests ... ]
//                0      head_len         used                 in_len
// The head stays where it is until the reply: the request's slices point into it. A body
// that does not fit, and every chunked one, is collected in `body`.
#include "facade/http/http_int.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define BODY_STEP ((size_t)64 << 10)

static const struct log_ctx ctx = {"http", NULL, NULL};

static const char *const names[CONN_STATES] = {
    "idle", "head", "body", "handling", "writing", "linger", "closed",
};

#define TO(s) (1u << (s))

// Where each state may go; CLOSED is always allowed.
static const unsigned allowed[CONN_STATES] = {
    [CONN_IDLE] = TO(CONN_HEAD),
    [CONN_HEAD] = TO(CONN_BODY) | TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_LINGER) |
                  TO(CONN_IDLE),
    [CONN_BODY] = TO(CONN_HANDLING) | TO(CONN_WRITING) | TO(CONN_LINGER),
    [CONN_HANDLING] = TO(CONN_WRITING) | TO(CONN_IDLE) | TO(CONN_HEAD) | TO(CONN_LINGER),
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

// A body is timed from its request's first byte: it shares the list of heads.
static struct conn_list *list_of(const struct conn *c, enum conn_state s)
{
    return &c->listener->lists[s == CONN_BODY ? CONN_HEAD : s];
}

static void set_state(struct conn *c, enum conn_state to)
{
    struct conn_list *from_list = list_of(c, c->state), *to_list = list_of(c, to);

    assert(to == CONN_CLOSED || (allowed[c->state] & TO(to)));
    log_debug(&ctx, "fd %d: %s -> %s", c->fd, names[c->state], names[to]);
    c->state = to;
    if (from_list == to_list)
        return;
    list_remove(from_list, c);
    c->since_ns = c->listener->now_ns;
    list_append(to_list, c);
}

// ---- opening and closing

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void run(struct conn *c);

static void set_reading(struct conn *c, bool on)
{
    if (on == c->reading)
        return;
    if (on ? event_add(&c->read_event, NULL) == 0 : event_del(&c->read_event) == 0)
        c->reading = on;
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
    set_state(c, CONN_CLOSED);
    event_del(&c->read_event);
    event_del(&c->write_event);
    close(c->fd);
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
    c->fd = fd;
    c->peer = *peer;
    c->since_ns = l->now_ns;
    c->state = CONN_IDLE;
    list_append(&l->lists[CONN_IDLE], c);
    l->stats.connections++;
    if (event_assign(&c->read_event, base, fd, EV_READ | EV_PERSIST, on_readable, c) != 0 ||
        event_assign(&c->write_event, base, fd, EV_WRITE | EV_PERSIST, on_writable, c) != 0) {
        conn_close(c);
        return;
    }
    set_reading(c, true);
    if (!c->reading)
        conn_close(c);
}

// Says that nothing more will come, then waits for the client to close: closing at once
// with unread input would reset the connection and may destroy the reply on its way.
static void linger(struct conn *c)
{
    shutdown(c->fd, SHUT_WR);
    listener_give_in(c->listener, c->in);
    c->in = NULL;
    c->in_len = 0;
    buf_free(&c->body);
    buf_free(&c->out);
    set_state(c, CONN_LINGER);
    set_reading(c, true);
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
    c->used = c->scanned = c->head_len = 0;
    c->blank_seen = false;
    if (c->in_len > 0) {
        set_state(c, CONN_HEAD);
    } else {
        listener_give_in(c->listener, c->in);
        c->in = NULL;
        set_state(c, CONN_IDLE);
    }
    set_reading(c, true);
}

// Bytes taken by the socket, 0 when it takes none now, -1 when it is broken.
static ssize_t send_parts(struct conn *c, struct str head, struct str body)
{
    struct iovec parts[2] = {{(void *)head.data, head.len}, {(void *)body.data, body.len}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = body.len > 0 ? 2 : 1};
    ssize_t n;

    do {
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return n;
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
    ssize_t n = send_parts(c, head, body);

    c->close_after |= close_after;
    if (n < 0) {
        conn_close(c);
        return;
    }
    if ((size_t)n == head.len + body.len) {
        reply_done(c);
    } else {
        c->out_pos = 0;
        if (keep_rest(c, head, body, (size_t)n) != 0 || event_add(&c->write_event, NULL) != 0) {
            conn_close(c);
            return;
        }
        set_state(c, CONN_WRITING);
    }
    if (!c->stepping)
        run(c); // a pipelined request may be waiting
}

static void write_rest(struct conn *c)
{
    ssize_t n = send_parts(c, str_n(c->out.data + c->out_pos, c->out.len - c->out_pos),
                           str_n(NULL, 0));

    if (n < 0) {
        conn_close(c);
        return;
    }
    c->out_pos += (size_t)n;
    if (c->out_pos == c->out.len) {
        event_del(&c->write_event);
        buf_free(&c->out);
        reply_done(c);
        run(c);
    } else if (n > 0) { // progress restarts the clock
        struct conn_list *list = &c->listener->lists[CONN_WRITING];
        list_remove(list, c);
        list_append(list, c);
        c->since_ns = c->listener->now_ns;
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct http_listener *l = c->listener;

    (void)fd;
    (void)what;
    listener_enter(l);
    write_rest(c);
    listener_leave(l);
}

// Refuses what was sent and gives the connection up.
static void refuse(struct conn *c, unsigned status, const char *why)
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
    struct str head = exchange_build_head(l, &r, false, false);
    if (!head.data) {
        conn_close(c);
        return;
    }
    conn_send(c, head, r.body, true);
}

// ---- one request

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
    r->peer = c->peer;
    r->exchange = x; // from here the handler owes a reply
    x->started_ns = clock_mono_ns();
    l->stats.requests++;
    set_state(c, CONN_HANDLING);
    l->o.on_request(l->o.ctx, r);
}

static void fill_request(struct http_request *r, const struct wire_head *h)
{
    const char *question = memchr(h->target.data, '?', h->target.len);

    r->method = h->method;
    r->target = h->target;
    r->path = h->target;
    if (question) {
        r->path.len = (size_t)(question - h->target.data);
        r->query = str_n(question + 1, h->target.len - r->path.len - 1);
    }
    r->host = h->host.data ? h->host : STR("");
    r->http10 = h->http10;
    r->head = str_eqz(h->method, "HEAD");
    r->keep_alive = h->keep_alive;
    r->headers = h->headers;
    r->nheaders = h->nheaders;
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
        refuse(c, f.status, f.why);
        return;
    }
    fill_request(&c->exchange->request, &h);
    if (h.framing == WIRE_LENGTH && h.length > l->limits.body_max) {
        refuse(c, 413, "the body is larger than this server accepts");
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
        send_parts(c, go_on, str_n(NULL, 0)) != (ssize_t)go_on.len) {
        conn_close(c);
        return;
    }
    if (begin_body(c, &h) != 0) {
        conn_close(c);
        return;
    }
    set_state(c, CONN_BODY);
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
        set_state(c, CONN_IDLE);
        return false;
    }
    if (rc < 0) {
        refuse(c, f.status, f.why);
    } else if (rc == 0 ? c->in_len > l->limits.header_max : c->head_len > l->limits.header_max) {
        bool line = memchr(c->in, '\n', l->limits.header_max) != NULL;
        refuse(c, line ? 431 : 414,
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
            refuse(c, f.status, f.why);
            return true;
        }
        buf_addstr(&c->body, data);
        if (c->body.failed) {
            refuse(c, 413, "the body is larger than this server accepts");
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

// Goes on until more input, the handler or the socket is needed.
static void run(struct conn *c)
{
    bool moved = true;

    c->stepping = true;
    while (moved) {
        switch (c->state) {
        case CONN_HEAD: moved = step_head(c); break;
        case CONN_BODY: moved = step_body(c); break;
        default: moved = false; break;
        }
    }
    c->stepping = false;
}

// ---- reading

static ssize_t receive(struct conn *c, void *to, size_t size)
{
    ssize_t n;

    do {
        n = recv(c->fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

// The client closed its side or the connection broke. A client that half-closes before it
// has its reply is taken for gone, as most servers do: waiting for it would hide the usual
// case, a caller that gave up.
static void client_left(struct conn *c)
{
    conn_close(c);
}

static void read_body(struct conn *c)
{
    size_t want = c->left < BODY_STEP ? (size_t)c->left : BODY_STEP;

    if (buf_reserve(&c->body, want) != 0) {
        refuse(c, 413, "no memory for the body");
        return;
    }
    ssize_t n = receive(c, c->body.data + c->body.len, want);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
        client_left(c);
        return;
    }
    if (n > 0) {
        c->body.len += (size_t)n;
        c->body.data[c->body.len] = '\0';
        c->left -= (uint64_t)n;
    }
}

// Into the free end of `in`. A full buffer stops reading until the present reply is out.
static void read_input(struct conn *c)
{
    size_t room = c->listener->in_size - c->in_len;

    if (room == 0) {
        set_reading(c, false);
        return;
    }
    ssize_t n = receive(c, c->in + c->in_len, room);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        client_left(c);
    else if (n > 0)
        c->in_len += (size_t)n;
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
        set_state(c, CONN_HEAD);
    } else {
        listener_give_in(c->listener, c->in);
        c->in = NULL;
    }
}

static void read_and_drop(struct conn *c)
{
    char waste[4096];
    ssize_t n = receive(c, waste, sizeof(waste));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        conn_close(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct http_listener *l = c->listener;

    (void)fd;
    (void)what;
    listener_enter(l);
    if (c->state == CONN_IDLE)
        read_first(c);
    else if (c->state == CONN_LINGER)
        read_and_drop(c);
    else if (c->state == CONN_BODY && c->framing == WIRE_LENGTH && c->body.limit > 0)
        read_body(c);
    else
        read_input(c);
    run(c);
    listener_leave(l);
}

// ---- timeouts and the end of the listener

void conn_timeout(struct conn *c)
{
    if (c->state == CONN_HEAD || c->state == CONN_BODY) {
        refuse(c, 408, "the request took too long");
        return;
    }
    conn_close(c);
}

void conn_drain(struct conn *c)
{
    char first;

    if (recv(c->fd, &first, 1, MSG_PEEK) > 0)
        on_readable(c->fd, EV_READ, c);
    else
        conn_close(c);
}
