// SPDX-License-Identifier: Apache-2.0
// Calls that flow, on the connections of http_client_conn.c: the request's body goes out from
// where the caller has it, the reply's is offered from where it was received. Thread: the loop.
//
// A connection's input buffer:  [ taken | run | not decoded yet ]      (the head is gone)
//                               0         used                   in_len
// While a callback runs, `delivering` keeps the connection's memory; whether the call is still
// there afterwards is seen by c->call.
#include "connectors/http/http_client_int.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

// ---- the request

// Sends what there is of the head, the frame and `data`; returns how much of data was taken.
static size_t send_some(struct http_call *call, struct str data)
{
    struct client_conn *c = call->conn;
    struct client_flow *f = &call->flow;
    struct iovec parts[WIRE_OUT_PARTS + 1];
    size_t ahead = call->request.len - call->sent, total = 0;
    unsigned n = 0;

    if (f->deaf) {
        f->taken |= data.len > 0;
        return data.len;
    }
    if (ahead > 0)
        parts[n++] = (struct iovec){call->request.data + call->sent, ahead};
    n += wire_out_parts(&f->out, data, parts + n);
    for (unsigned i = 0; i < n; i++)
        total += parts[i].iov_len;
    ssize_t sent = total > 0 ? client_conn_sendv(c, parts, n) : 0;
    if (sent < 0) {
        // The reply may have come before the reset: reading tells. What was not begun can go over
        // another connection.
        event_del(&c->write_event);
        f->deaf = call->sent > 0 || !c->reused;
        f->taken |= f->deaf && data.len > 0;
        return f->deaf ? data.len : 0;
    }
    if (sent > 0)
        f->progress_ns = clock_mono_ns();
    size_t went = (size_t)sent < ahead ? (size_t)sent : ahead;
    call->sent += went;
    size_t taken = wire_out_sent(&f->out, data, (size_t)sent - went);
    f->taken |= taken > 0;
    if ((size_t)sent < total)
        event_add(&c->write_event, NULL);
    else
        event_del(&c->write_event);
    return taken;
}

void client_stream_begin(struct client_conn *c)
{
    struct http_call *call = c->call;

    call->flow.progress_ns = clock_mono_ns();
    event_del(&c->write_event);
    if (call->flow.over || call->flow.head_now)
        (void)send_some(call, str_n(NULL, 0));
}

void client_stream_writable(struct client_conn *c)
{
    struct http_call *call = c->call;
    struct client_flow *f = &call->flow;

    if (call->sent > 0 || f->over || f->head_now)
        (void)send_some(call, str_n(NULL, 0));
    if (!f->deaf && call->sent > 0 && (call->sent < call->request.len || f->out.edge_len > 0))
        return; // no room yet
    if (!f->blocked)
        return;
    f->blocked = false;
    c->delivering = true;
    f->ops->writable(call->ctx);
    c->delivering = false;
    if (c->state == CLIENT_CLOSED)
        client_conn_free(c);
}

size_t http_call_write(struct http_call *call, struct str data)
{
    struct client_flow *f = &call->flow;
    size_t taken = 0;

    assert(!f->over);
    if (call->conn && call->conn->state == CLIENT_BUSY && !f->blocked)
        taken = send_some(call, data);
    f->blocked = taken < data.len;
    return taken;
}

void http_call_finish(struct http_call *call, struct str trailers)
{
    struct client_flow *f = &call->flow;

    assert(!f->over);
    f->over = true;
    f->blocked = false;
    if (f->out.framing == WIRE_CHUNKED) {
        buf_add(&call->request, f->out.edge, f->out.edge_len);
        f->out.edge_len = 0;
        buf_addz(&call->request, "0\r\n");
        buf_addstr(&call->request, trailers);
        buf_addz(&call->request, "\r\n");
    }
    f->deaf |= call->request.failed;
    if (call->conn && call->conn->state == CLIENT_BUSY)
        (void)send_some(call, str_n(NULL, 0));
}

// ---- the reply

static int decode(struct client_conn *c)
{
    struct client_flow *f = &c->call->flow;
    struct wire_fault fault = {0, "the trailer is too long"};
    struct str data;
    size_t n;
    int rc = wire_chunks_next(&c->chunks, str_n(c->in + c->used, c->in_len - c->used), &n, &data,
                              &fault);

    if (rc >= 0 && c->chunks.fields.len > 0) {
        f->trailers.limit = WIRE_TRAILER_MAX;
        buf_addstr(&f->trailers, c->chunks.fields);
        rc = f->trailers.failed ? -1 : rc;
    }
    if (rc < 0) {
        client_conn_refuse(c, ERR_INVALID, fault.why);
        return -1;
    }
    c->used += n - data.len;
    c->run = data.len;
    return rc;
}

// Offers one run of the body. 1 the reply is complete, 0 more is needed, -1 the call is gone or
// paused, 2 go on.
static int offer(struct client_conn *c)
{
    struct http_call *call = c->call;
    size_t have = c->in_len - c->used;
    bool last = c->head.framing == WIRE_NO_BODY;

    if (c->head.framing == WIRE_CHUNKED) {
        int rc = c->run > 0 ? 0 : have > 0 ? decode(c) : 0;
        if (rc < 0)
            return -1;
        last = rc > 0;
        have = c->run;
    } else if (c->head.framing != WIRE_TO_CLOSE && have > c->left) {
        have = (size_t)c->left;
    }
    if (have > 0 && !last) {
        size_t taken = call->flow.ops->body(call->ctx, str_n(c->in + c->used, have));
        if (c->call != call)
            return -1;
        assert(taken <= have);
        c->used += taken;
        if (c->head.framing == WIRE_CHUNKED)
            c->run -= taken;
        else if (c->head.framing == WIRE_LENGTH)
            c->left -= taken;
        call->flow.paused = taken < have;
    }
    if (last || (c->head.framing == WIRE_LENGTH && c->left == 0))
        return 1;
    return call->flow.paused ? -1 : have > 0 ? 2 : 0;
}

// Makes room behind what is left.
static void compact(struct client_conn *c)
{
    c->in_len -= c->used;
    if (c->in_len > 0 && c->used > 0)
        memmove(c->in, c->in + c->used, c->in_len);
    c->used = 0;
}

static void flow(struct client_conn *c)
{
    struct http_call *call = c->call;
    int rc = 2;

    while (rc == 2 && c->used <= c->in_len)
        rc = offer(c);
    if (rc == 1) {
        client_stream_done(c);
        return;
    }
    if (c->call != call)
        return;
    compact(c);
    if (call->flow.paused)
        event_del(&c->read_event);
    if (call->flow.ops->idle)
        call->flow.ops->idle(call->ctx);
}

static void give_head(struct client_conn *c)
{
    struct http_call *call = c->call;

    call->flow.ops->head(call->ctx, &c->head);
    if (c->call == call)
        flow(c);
}

void client_stream_step(struct client_conn *c)
{
    bool outer = c->delivering;

    c->delivering = true;
    c->call->flow.progress_ns = clock_mono_ns();
    if (c->head_done)
        flow(c);
    else if (client_conn_take_head(c) > 0)
        give_head(c);
    c->delivering = outer;
    if (!outer && c->state == CLIENT_CLOSED)
        client_conn_free(c);
}

// Callers hold `delivering`, or do not look at the connection again.
void client_stream_done(struct client_conn *c)
{
    struct http_upstream *u = c->upstream;
    struct http_call *call = c->call;
    const struct client_flow *f = &call->flow;
    // Bytes behind the reply, or a reply before the whole request: not to be trusted again.
    bool keep = c->head.keep_alive && c->used == c->in_len && f->over && !f->deaf &&
                call->sent == call->request.len && !wire_out_open(&f->out);

    c->call = NULL;
    call->conn = NULL;
    client_conn_rest(c, keep); // first: the caller's next call may want it
    event_del(&call->timer);
    call->flow.ops->end(call->ctx, buf_str(&call->flow.trailers));
    client_call_free(call);
    client_pump(u);
}

void http_call_resume(struct http_call *call)
{
    struct client_conn *c = call->conn;

    if (!call->flow.paused)
        return;
    call->flow.paused = false;
    call->flow.progress_ns = clock_mono_ns();
    if (transport_pending(&c->io))
        event_active(&c->read_event, EV_READ, 0);
    if (event_add(&c->read_event, NULL) != 0)
        client_conn_refuse(c, ERR_MEMORY, "cannot be read");
    else if (!c->delivering)
        client_stream_step(c);
}

// ---- time, and the start

// The deadline is for the connection first, then for each silence of the upstream.
void client_stream_timer(evutil_socket_t fd, short what, void *arg)
{
    struct http_call *call = arg;
    struct http_upstream *u = call->upstream;
    struct client_flow *f = &call->flow;
    bool begun = call->conn && call->conn->state == CLIENT_BUSY;
    uint64_t now = clock_mono_ns(), limit = (uint64_t)f->silence_ms * 1000000u, left = 0;
    struct err e;

    (void)fd;
    (void)what;
    if (begun && (f->paused || (!f->over && !f->blocked && !f->deaf)))
        f->progress_ns = now; // the wait is not for the upstream
    if (begun && now - f->progress_ns < limit)
        left = (limit - (now - f->progress_ns)) / 1000 + 1;
    if (left > 0) {
        struct timeval tv = {.tv_sec = (time_t)(left / 1000000),
                             .tv_usec = (suseconds_t)(left % 1000000)};
        if (event_add(&call->timer, &tv) == 0)
            return;
    }
    err_set(&e, client_call_outcome(call, ERR_TIMEOUT), "%s did not answer in time", u->name);
    e.code = ERR_TIMEOUT;
    client_call_detach(call);
    client_call_end(call, &e, NULL);
    client_pump(u);
}

static struct http_call *create(struct http_client *c, const struct http_stream_request *r,
                                struct err *e)
{
    struct http_call *call = calloc(1, sizeof(*call));
    unsigned ms = r->connect_ms < r->silence_ms ? r->connect_ms : r->silence_ms;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    if (!call || r->head->failed) {
        free(call);
        buf_free(r->head);
        err_memory(e);
        return NULL;
    }
    call->upstream = r->upstream;
    call->ctx = r->ctx;
    call->head_request = r->head_request;
    call->idempotent = r->idempotent;
    call->flow.ops = r->ops;
    call->flow.silence_ms = r->silence_ms;
    call->flow.head_now = r->head_now;
    call->flow.over = r->framing == WIRE_NO_BODY || (r->framing == WIRE_LENGTH && !r->length);
    wire_out_begin(&call->flow.out, r->framing, r->length);
    call->request = *r->head;
    *r->head = (struct buf)BUF_INIT;
    if (event_assign(&call->timer, loop_base(c->o.loop), -1, 0, client_stream_timer, call) != 0 ||
        event_add(&call->timer, &tv) != 0) {
        client_call_free(call);
        err_memory(e);
        return NULL;
    }
    return call;
}

int http_client_stream(struct http_client *c, const struct http_stream_request *r,
                       struct http_call **out, struct err *e)
{
    assert(r->connect_ms > 0 && r->silence_ms > 0 && r->upstream->client == c);
    if (client_may_call(r->upstream, e) != 0) {
        buf_free(r->head);
        return -1;
    }
    struct http_call *call = create(c, r, e);
    if (!call)
        return -1;
    *out = call;
    if (client_call_start(call, e) != 0) {
        client_call_free(call);
        return -1;
    }
    return 0;
}
