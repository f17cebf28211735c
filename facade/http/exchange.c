// SPDX-License-Identifier: Apache-2.0
// One request and its reply, as handlers see them. Builds the reply's head; the connection
// sends it. An exchange outlives its connection until its http_reply. Thread: the loop.
#include "facade/http/http_int.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static const struct log_ctx ctx = {"http", NULL, NULL};

static const struct {
    unsigned status;
    const char *text;
} texts[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Status";
}

int http_request_target(struct http_request *r, struct str target, struct err *e)
{
    const char *mark = memchr(target.data, '?', target.len);
    size_t n = mark ? (size_t)(mark - target.data) : target.len;

    r->target = target;
    r->query = mark ? str_n(mark + 1, target.len - n - 1) : str_n(NULL, 0);
    return http_path_normal(str_n(target.data, n), r->arena, &r->path, e);
}

struct str http_header(const struct http_request *r, const char *name)
{
    return wire_find(r->headers, r->nheaders, name);
}

// ---- the head of a reply

// "Date: ...\r\n", made anew once a second.
const char *exchange_date(struct http_listener *l)
{
    struct timespec now;
    struct tm t;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (l->date[0] && l->date_second == now.tv_sec)
        return l->date;
    if (!gmtime_r(&now.tv_sec, &t) ||
        strftime(l->date, sizeof(l->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &t) == 0)
        l->date[0] = '\0';
    l->date_second = now.tv_sec;
    return l->date;
}

static bool server_owns(struct str name)
{
    return str_eq_nocase(name, STR("content-length")) || str_eq_nocase(name, STR("date")) ||
           str_eq_nocase(name, STR("connection")) || str_eq_nocase(name, STR("transfer-encoding"));
}

static void add_field(struct buf *b, const struct http_header *h)
{
    if (!wire_is_token(h->name) || !wire_is_value(h->value) || server_owns(h->name)) {
        log_error(&ctx, "a reply's header field was left out: not a field that may be set");
        return;
    }
    buf_addstr(b, h->name);
    buf_add(b, ": ", 2);
    buf_addstr(b, h->value);
    buf_add(b, "\r\n", 2);
}

static void add_fact(struct buf *b, const char *name, const char *text)
{
    if (text)
        buf_printf(b, "; %s=%s", name, text);
}

void exchange_add_facts(const struct http_exchange *x, struct buf *b)
{
    const struct http_facts *f = &x->facts;

    if (!x->explain)
        return;
    buf_printf(b, "Ficus-Route: %s", f->route ? f->route : "-");
    add_fact(b, "handler", f->handler);
    add_fact(b, "stage", f->stage);
    add_fact(b, "side", f->side);
    add_fact(b, "backend", f->backend);
    add_fact(b, "owner", f->owner);
    if (f->route)
        buf_printf(b, "; epoch=%lld; table=%lld; operations=%u; upstream_us=%llu", f->epoch,
                   f->version, f->operations, (unsigned long long)(f->upstream_ns / 1000));
    if (f->bucket >= 0)
        buf_printf(b, "; bucket=%d", f->bucket);
    if (f->why)
        buf_printf(b, "; why=\"%s\"", f->why);
    buf_add(b, "\r\n", 2);
}

struct str exchange_build_head(struct http_listener *l, const struct http_exchange *x,
                               const struct http_response *r, bool http10, bool keep_alive)
{
    struct buf *b = &l->head;

    buf_reset(b);
    buf_addz(b, "HTTP/1.1 ");
    buf_addint(b, r->status);
    buf_addc(b, ' ');
    buf_addz(b, http_status_text(r->status));
    buf_addz(b, "\r\n");
    buf_addz(b, exchange_date(l));
    if (r->content_type.len > 0 && wire_is_value(r->content_type)) {
        buf_addz(b, "Content-Type: ");
        buf_addstr(b, r->content_type);
        buf_addz(b, "\r\n");
    }
    for (size_t i = 0; i < r->nheaders; i++)
        add_field(b, &r->headers[i]);
    if (x)
        exchange_add_facts(x, b);
    if (r->status != 204 && r->status != 304) {
        buf_addz(b, "Content-Length: ");
        buf_addint(b, (long long)r->body.len);
        buf_addz(b, "\r\n");
    }
    if (!keep_alive)
        buf_addz(b, "Connection: close\r\n");
    else if (http10)
        buf_addz(b, "Connection: keep-alive\r\n");
    buf_addz(b, "\r\n");
    return b->failed ? str_n(NULL, 0) : buf_str(b);
}

void exchange_tell(struct http_exchange *x, unsigned status, size_t bytes, bool gone, bool cut)
{
    struct http_access a = {.request = &x->request,
                            .label = x->label,
                            .facts = &x->facts,
                            .status = status,
                            .bytes = bytes,
                            .duration_ns = http_exchange_age_ns(x),
                            .gone = gone,
                            .cut = cut};

    listener_access(x->listener, &a);
}

// ---- replying

static void tell(struct http_exchange *x, const struct http_response *r, bool gone)
{
    exchange_tell(x, r->status, r->body.len, gone, false);
}

static void reply(struct http_exchange *x, struct conn *c, const struct http_response *r)
{
    struct http_listener *l = x->listener;
    // Of a request that was taken at its head the body may not have been read.
    bool whole = c->state == CONN_HANDLING || x->stream.body_done;
    bool keep = x->request.keep_alive && !l->draining && whole;
    bool bodiless = x->request.head || r->status == 204 || r->status == 304;
    struct str head = exchange_build_head(l, x, r, x->request.http10, keep);
    struct str body = bodiless ? str_n(NULL, 0) : r->body;

    c->exchange = NULL;
    x->conn = NULL;
    if (c->state == CONN_HEAD)
        conn_set_state(c, CONN_HANDLING);
    if (x->stream.ops)
        conn_wait_writable(c, false);
    if (!head.data) {
        conn_close(c);
    } else if (c->out.len == 0) {
        conn_send(c, head, body, !keep);
    } else { // behind the rest of an interim reply
        buf_addstr(&c->out, head);
        buf_addstr(&c->out, body);
        if (c->out.failed)
            conn_close(c);
        else
            conn_send_rest(c, !keep);
    }
}

void http_reply(struct http_exchange *x, const struct http_response *r)
{
    struct http_listener *l = x->listener;
    struct conn *c = x->conn;

    assert(x->request.exchange == x); // once an exchange
    assert(!x->stream.head_given);
    assert(r->status >= 200 && r->status <= 599);
    listener_enter(l);
    tell(x, r, c == NULL);
    if (c)
        reply(x, c, r);
    // The body may live in the exchange's arena: it goes only after the socket has it.
    exchange_release(x);
    listener_leave(l);
}

// ---- what a handler may ask of an exchange

void exchange_gone(struct http_exchange *x)
{
    struct conn *c = x->conn;
    void (*closed)(void *) = x->closed;

    // The request's slices point into these.
    x->in = c->in;
    c->in = NULL;
    x->body = c->body;
    c->body = (struct buf)BUF_INIT;
    x->conn = NULL;
    x->closed = NULL;
    if (x->stream.ops)
        x->stream.ops->gone(x->stream.ctx, HTTP_GONE_LEFT); // ends the exchange
    else if (closed)
        closed(x->closed_ctx); // may reply, which ends the exchange
}

void http_exchange_on_close(struct http_exchange *x, void (*closed)(void *ctx), void *arg)
{
    x->closed = closed;
    x->closed_ctx = arg;
}

bool http_exchange_gone(const struct http_exchange *x)
{
    return x->conn == NULL;
}

bool http_exchange_collected(const struct http_exchange *x)
{
    return x->conn && x->conn->state == CONN_HANDLING;
}

struct loop *http_exchange_loop(const struct http_exchange *x)
{
    return x->listener->o.loop;
}

uint64_t http_exchange_age_ns(const struct http_exchange *x)
{
    return clock_mono_ns() - x->started_ns;
}

struct http_facts *http_exchange_facts(struct http_exchange *x)
{
    return &x->facts;
}

void http_exchange_explain(struct http_exchange *x)
{
    x->explain = true;
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
    return &x->request;
}

void http_exchange_label(struct http_exchange *x, const char *label)
{
    x->label = label;
}
