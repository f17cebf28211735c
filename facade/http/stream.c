// SPDX-License-Identifier: Apache-2.0
// The flow of a request's body to its handler and of the reply to the client, without a copy of
// either: the body is offered where it was received, the reply's data is sent from where the
// handler has it. The states are drawn in stream.h; the connection's in http_int.h.
// Thread: the loop.
//
// Input buffer:  [ head | taken | run | not decoded yet, or the next request ]
//                0      head_len      used                             in_len
// What is taken makes room when nothing is left behind it, or when the buffer is full.
#include "facade/http/http_int.h"

#include <assert.h>

#define TRAILERS_MAX WIRE_TRAILER_MAX

// ---- the request's body

// The chunk decoder's next run becomes c->run. 1: there is one or the body ended, 0: more input
// is needed, -1: malformed.
static int decode(struct conn *c)
{
    struct stream *s = &c->exchange->stream;
    struct wire_fault f;
    struct str data;
    size_t n;
    int rc = wire_chunks_next(&c->chunks, str_n(c->in + c->used, c->in_len - c->used), &n, &data,
                              &f);

    if (rc < 0)
        return -1;
    if (c->chunks.fields.len > 0) {
        s->trailers.limit = TRAILERS_MAX;
        buf_addstr(&s->trailers, c->chunks.fields);
        if (s->trailers.failed)
            return -1;
    }
    c->used += n - data.len;
    c->run = data.len;
    if (rc > 0)
        s->body_done = true;
    return rc > 0 || data.len > 0;
}

// Takes what was received into account and makes room for more.
static void compact(struct conn *c)
{
    size_t rest = c->in_len - c->used;

    if (c->used == c->head_len || (rest > 0 && c->in_len < c->listener->in_size))
        return;
    if (rest > 0)
        memmove(c->in + c->head_len, c->in + c->used, rest);
    c->used = c->head_len;
    c->in_len = c->head_len + rest;
}

static void refuse(struct conn *c)
{
    struct stream *s = &c->exchange->stream;

    c->listener->stats.malformed++;
    s->ops->gone(s->ctx, HTTP_GONE_BAD);
    assert(!c->exchange);
}

// Offers one run. False: nothing more can be done now.
static bool offer(struct conn *c)
{
    struct http_exchange *x = c->exchange;
    struct stream *s = &x->stream;
    size_t have = c->in_len - c->used;

    if (c->framing == WIRE_CHUNKED) {
        int rc = c->run > 0 ? 1 : have > 0 ? decode(c) : 0;
        if (rc < 0)
            refuse(c);
        if (rc <= 0)
            return false;
        have = c->run;
    } else if (have > c->left) {
        have = (size_t)c->left;
    }
    if (have > 0) {
        size_t taken = s->ops->body(s->ctx, str_n(c->in + c->used, have));
        if (c->exchange != x)
            return false; // the handler ended it
        assert(taken <= have);
        s->paused = taken < have;
        c->used += taken;
        if (c->framing == WIRE_CHUNKED)
            c->run -= taken;
        else
            c->left -= taken;
    }
    if (c->framing == WIRE_LENGTH && c->left == 0)
        s->body_done = true;
    if (s->body_done)
        s->ops->body_end(s->ctx, buf_str(&s->trailers));
    return have > 0 && !s->body_done;
}

bool stream_step(struct conn *c)
{
    struct http_exchange *x = c->exchange;

    while (c->state == CONN_STREAM && c->exchange == x && !x->stream.body_done &&
           !x->stream.paused && offer(c))
        ;
    if (c->state != CONN_STREAM || c->exchange != x)
        return c->state == CONN_HEAD; // a pipelined request
    if (!x->stream.body_done)
        compact(c);
    return false;
}

void http_stream_start(struct http_exchange *x, const struct http_stream_ops *ops, void *ctx)
{
    struct conn *c = x->conn;

    assert(c && (c->state == CONN_HEAD || c->state == CONN_HANDLING));
    x->stream.ops = ops;
    x->stream.ctx = ctx;
    if (c->state == CONN_HANDLING)
        x->stream.body_done = true; // it was collected
    conn_begin_moving(c);
    conn_set_state(c, CONN_STREAM);
}

bool http_stream_body_done(const struct http_exchange *x)
{
    return x->stream.body_done;
}

void http_stream_resume(struct http_exchange *x)
{
    struct conn *c = x->conn;

    if (!c || !x->stream.paused)
        return;
    listener_enter(c->listener);
    x->stream.paused = false;
    conn_touch(c);
    conn_begin_moving(c);
    conn_set_reading(c, true);
    if (!c->stepping)
        conn_run(c);
    listener_leave(c->listener);
}

// ---- the reply

static void add_fields(struct buf *b, const struct http_header *h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_addstr(b, h[i].name);
        buf_add(b, ": ", 2);
        buf_addstr(b, h[i].value);
        buf_add(b, "\r\n", 2);
    }
}

static void add_status(struct buf *b, unsigned status, struct str reason)
{
    char line[] = "HTTP/1.1 000 ";

    line[9] = (char)('0' + status / 100 % 10);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    buf_add(b, line, sizeof line - 1);
    buf_addstr(b, reason.len > 0 ? reason : str_of(http_status_text(status)));
    buf_add(b, "\r\n", 2);
}

int http_stream_interim(struct http_exchange *x, unsigned status, struct str reason,
                        const struct http_header *headers, size_t n)
{
    struct conn *c = x->conn;

    assert(!x->stream.head_given && status >= 100 && status < 200 && status != 101);
    if (!c)
        return -1;
    if (x->request.http10)
        return 0;
    add_status(&c->out, status, reason);
    add_fields(&c->out, headers, n);
    buf_add(&c->out, "\r\n", 2);
    return http_stream_flush(x);
}

// How the client can tell where the body ends.
static enum wire_framing framing_for(const struct http_exchange *x,
                                     const struct http_stream_head *h)
{
    if (x->request.head || h->status == 204 || h->status == 304)
        return WIRE_NO_BODY;
    if (h->has_length)
        return WIRE_LENGTH;
    return x->request.http10 ? WIRE_TO_CLOSE : WIRE_CHUNKED;
}

int http_stream_head(struct http_exchange *x, const struct http_stream_head *h)
{
    struct conn *c = x->conn;
    struct stream *s = &x->stream;

    assert(!s->head_given && h->status >= 200 && h->status <= 599);
    s->head_given = true;
    s->status = h->status;
    if (!c)
        return -1;
    struct buf *b = &c->out;
    s->head_at = b->len;
    enum wire_framing framing = framing_for(x, h);
    wire_out_begin(&s->out, framing, h->length);
    bool keep = x->request.keep_alive && !x->listener->draining && s->body_done &&
                framing != WIRE_TO_CLOSE;
    c->close_after |= !keep;
    add_status(b, h->status, h->reason);
    if (!wire_find(h->headers, h->nheaders, "date").data)
        buf_addz(b, exchange_date(x->listener));
    exchange_add_facts(x, b);
    add_fields(b, h->headers, h->nheaders);
    if (h->has_length && h->status != 204) {
        buf_addz(b, "Content-Length: ");
        buf_addint(b, (long long)h->length);
        buf_addz(b, "\r\n");
    } else if (framing == WIRE_CHUNKED) {
        buf_addz(b, "Transfer-Encoding: chunked\r\n");
    }
    if (!keep)
        buf_addz(b, "Connection: close\r\n");
    else if (x->request.http10)
        buf_addz(b, "Connection: keep-alive\r\n");
    buf_addz(b, "\r\n");
    return b->failed ? -1 : 0;
}

bool http_stream_head_sent(const struct http_exchange *x)
{
    return x->stream.head_given;
}

bool http_stream_take_back(struct http_exchange *x)
{
    struct conn *c = x->conn;
    struct stream *s = &x->stream;

    if (!c || !s->head_given || s->head_gone || s->blocked)
        return false;
    c->out.len = s->head_at;
    s->out = (struct wire_out){0};
    s->head_given = false;
    s->status = 0;
    return true;
}

ssize_t http_stream_write(struct http_exchange *x, struct str data)
{
    struct conn *c = x->conn;
    struct stream *s = &x->stream;
    struct iovec parts[WIRE_OUT_PARTS + 1];
    unsigned n = 0;
    size_t total = 0;

    if (!c)
        return -1;
    size_t ahead = c->out.len - c->out_pos;
    if (ahead > 0)
        parts[n++] = (struct iovec){c->out.data + c->out_pos, ahead};
    n += wire_out_parts(&s->out, data, parts + n);
    for (unsigned i = 0; i < n; i++)
        total += parts[i].iov_len;
    ssize_t sent = total > 0 ? conn_sendv(c, parts, n) : 0;
    if (sent < 0)
        return -1;
    s->head_gone |= s->head_given && sent > 0;
    bool whole = (size_t)sent == total;
    size_t went = (size_t)sent < ahead ? (size_t)sent : ahead;
    c->out_pos += went;
    if (c->out_pos == c->out.len) {
        buf_reset(&c->out);
        c->out_pos = 0;
    }
    size_t taken = wire_out_sent(&s->out, data, (size_t)sent - went);
    s->bytes += s->out.framing == WIRE_NO_BODY ? 0 : taken;
    if (sent > 0)
        conn_touch(c);
    if (s->blocked && sent > 0 && conn_is_too_slow(c, (size_t)sent))
        return -1;
    if (!whole && !s->blocked) {
        conn_begin_moving(c); // the rate is the client's only while it is waited for
        s->blocked = true;
        if (event_add(&c->write_event, NULL) != 0)
            return -1;
    }
    return (ssize_t)taken;
}

int http_stream_flush(struct http_exchange *x)
{
    return http_stream_write(x, str_n(NULL, 0)) < 0 ? -1 : 0;
}

void stream_writable(struct conn *c)
{
    struct http_exchange *x = c->exchange;
    struct stream *s = &x->stream;

    if (http_stream_flush(x) != 0) {
        conn_close(c);
        return;
    }
    if (c->out.len > 0 || s->out.edge_len > 0)
        return; // still no room
    s->blocked = false;
    event_del(&c->write_event);
    s->ops->writable(s->ctx);
}

// ---- the end

static void let_go(struct http_exchange *x)
{
    x->conn->exchange = NULL;
    x->conn = NULL;
}

void http_stream_end(struct http_exchange *x, struct str trailers)
{
    struct http_listener *l = x->listener;
    struct conn *c = x->conn;
    struct stream *s = &x->stream;

    assert(s->ops && s->head_given);
    if (!c || (s->out.framing == WIRE_LENGTH && s->out.left > 0) ||
        (s->out.framing == WIRE_CHUNKED && s->out.left > 0)) {
        http_stream_abort(x);
        return;
    }
    listener_enter(l);
    if (s->out.framing == WIRE_CHUNKED) {
        buf_add(&c->out, s->out.edge, s->out.edge_len);
        buf_addz(&c->out, "0\r\n");
        buf_addstr(&c->out, trailers);
        buf_addz(&c->out, "\r\n");
    }
    exchange_tell(x, s->status, s->bytes, false, false);
    let_go(x);
    if (c->out.failed)
        conn_close(c);
    else
        conn_send_rest(c, !s->body_done);
    exchange_release(x);
    listener_leave(l);
}

void http_stream_abort(struct http_exchange *x)
{
    struct http_listener *l = x->listener;
    struct conn *c = x->conn;

    assert(x->stream.ops);
    listener_enter(l);
    exchange_tell(x, x->stream.status, x->stream.bytes, c == NULL, c != NULL);
    if (c) {
        struct linger reset = {.l_onoff = 1};
        let_go(x);
        setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        conn_close(c);
    }
    exchange_release(x);
    listener_leave(l);
}

void stream_received(struct conn *c, size_t n)
{
    struct stream *s = &c->exchange->stream;

    conn_touch(c);
    if (c->framing == WIRE_LENGTH && !s->body_done && !s->paused && conn_is_too_slow(c, n))
        s->ops->gone(s->ctx, HTTP_GONE_SLOW);
}

void stream_timeout(struct conn *c)
{
    struct http_exchange *x = c->exchange;
    struct stream *s = &x->stream;

    if (!s->blocked && (s->body_done || s->paused)) {
        conn_touch(c); // the client owes nothing
        return;
    }
    s->ops->gone(s->ctx, HTTP_GONE_SLOW);
    assert(c->state != CONN_STREAM);
}
