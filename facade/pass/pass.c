// SPDX-License-Identifier: Apache-2.0
// One request through: glue between the exchange's flow (facade/http/stream.h) and the call's
// (connectors/http/http_client_stream.h). Holds no byte of either body: what one side does not
// take waits in the other's receive buffer, then in its socket. Thread: the loop.
//
//   client -> body ------> http_call_write      \  whoever takes less than all is followed
//   client <- http_stream_write <------ body    /  by a call of the other's `writable`
//
// A relay lives in its exchange's arena: it ends with the exchange, and every path ends both the
// exchange and the call, whichever is left.
#include "facade/pass/pass.h"

#include "base/log.h"
#include "base/metrics.h"
#include "connectors/http/http_client_stream.h"
#include "facade/pass/pass_head.h"

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_MAX       ((size_t)64 << 10)
#define CONTINUE_WAIT_MS 1000 // for the upstream's 100, before we say it
#define CLASSES          6    // 1xx is not counted; index: status / 100

enum failure { FAIL_UNREACHABLE, FAIL_TIMEOUT, FAIL_BUSY, FAIL_INVALID, FAIL_CUT, FAIL_CLIENT };
#define FAILURES (FAIL_CLIENT + 1)

struct pass {
    struct upstream upstream; // strings owned
    struct loop *loop;
    struct http_client *client;
    struct http_upstream *to;
    struct metric *replies[CLASSES], *failures[FAILURES], *bytes_in, *bytes_out, *seconds;
    struct log_limit limit;
};

struct relay {
    struct pass *pass;
    struct http_exchange *x;
    struct http_call *call; // NULL once it has ended
    struct str rest;        // of a body that was collected before
    bool collected, expects, waiting;
    struct event timer; // waiting: for the upstream's 100
    uint64_t in;        // bytes of the request's body
    unsigned status;
};

// ---- the end

static void stop_waiting(struct relay *r)
{
    if (r->waiting)
        event_del(&r->timer);
    r->waiting = false;
}

static void note(struct relay *r, unsigned status)
{
    struct pass *p = r->pass;

    stop_waiting(r);
    metric_add(p->replies[status / 100 % CLASSES], 1);
    metric_add(p->bytes_in, r->in);
    metric_observe_ns(p->seconds, http_exchange_age_ns(r->x));
}

static void refuse(struct relay *r, unsigned status, const char *why)
{
    struct http_header retry = {STR("Retry-After"), STR("1")};
    struct http_response reply = {.status = status,
                                  .content_type = STR("text/plain"),
                                  .body = str_of(why),
                                  .headers = &retry,
                                  .nheaders = status == 503};

    note(r, status);
    http_reply(r->x, &reply);
}

// Of the reply there is a part already: the client must not take it for the whole.
static void cut(struct relay *r, enum failure why)
{
    note(r, r->status);
    metric_add(r->pass->failures[why], 1);
    http_stream_abort(r->x);
}

// The client cannot be written to.
static void give_up(struct relay *r)
{
    if (r->call)
        http_call_cancel(r->call);
    r->call = NULL;
    cut(r, FAIL_CLIENT);
}

static void fail(struct relay *r, const struct err *e)
{
    static const struct {
        enum err_code code;
        enum failure why;
        unsigned status;
        const char *text;
    } rows[] = {
        {ERR_TIMEOUT, FAIL_TIMEOUT, 504, "the application did not answer in time\n"},
        {ERR_BUSY, FAIL_BUSY, 503, "too many requests are waiting for the application\n"},
        {ERR_MEMORY, FAIL_BUSY, 503, "no memory\n"},
        {ERR_INVALID, FAIL_INVALID, 502, "the application's answer is malformed\n"},
        {ERR_LIMIT, FAIL_INVALID, 502, "the application's answer is too large\n"},
        {ERR_NONE, FAIL_UNREACHABLE, 502, "the application cannot be reached\n"},
    };
    struct log_ctx ctx = {"pass", r->pass->upstream.name, NULL};
    unsigned dropped;
    size_t i = 0;

    while (rows[i].code != ERR_NONE && rows[i].code != e->code)
        i++;
    if (e->code != ERR_CANCELLED && log_allowed(&r->pass->limit, 1000, &dropped))
        log_warn(&ctx, "%s (%u more held back)", e->msg, dropped);
    if (http_stream_head_sent(r->x) && !http_stream_take_back(r->x)) {
        cut(r, FAIL_CUT);
        return;
    }
    metric_add(r->pass->failures[rows[i].why], 1);
    refuse(r, rows[i].status, rows[i].text);
}

// ---- the request, from the client

static size_t on_body(void *ctx, struct str data)
{
    struct relay *r = ctx;
    size_t taken = http_call_write(r->call, data);

    r->in += taken;
    return taken;
}

static void on_body_end(void *ctx, struct str trailers)
{
    struct relay *r = ctx;
    struct buf kept = BUF_INIT;

    pass_trailers(&kept, trailers);
    http_call_finish(r->call, buf_str(&kept));
    buf_free(&kept);
}

static void on_client_writable(void *ctx)
{
    struct relay *r = ctx;

    http_call_resume(r->call);
}

static void on_gone(void *ctx, enum http_gone why)
{
    struct relay *r = ctx;

    http_call_cancel(r->call);
    r->call = NULL;
    if (why == HTTP_GONE_LEFT || http_stream_head_sent(r->x)) {
        cut(r, FAIL_CLIENT);
        return;
    }
    metric_add(r->pass->failures[FAIL_CLIENT], 1);
    if (why == HTTP_GONE_SLOW)
        refuse(r, 408, "the request took too long\n");
    else
        refuse(r, 400, "the body is malformed\n");
}

static const struct http_stream_ops stream_ops = {
    .body = on_body, .body_end = on_body_end, .writable = on_client_writable, .gone = on_gone};

// ---- the reply, from the upstream

static void on_interim(void *ctx, const struct wire_head *h)
{
    struct relay *r = ctx;
    struct http_header fields[WIRE_HEADERS_MAX + 1];
    struct http_stream_head out;

    if (h->status == 100 && !r->expects)
        return; // nobody asked
    if (h->status == 100) {
        stop_waiting(r);
        r->expects = false;
    }
    pass_reply_head(h, &r->pass->upstream, fields, &out);
    if (http_stream_interim(r->x, h->status, h->reason, out.headers, out.nheaders) != 0)
        give_up(r);
}

static void on_head(void *ctx, const struct wire_head *h)
{
    struct relay *r = ctx;
    struct http_header fields[WIRE_HEADERS_MAX + 1];
    struct http_stream_head out;

    stop_waiting(r);
    r->status = h->status;
    pass_reply_head(h, &r->pass->upstream, fields, &out);
    if (http_stream_head(r->x, &out) != 0)
        give_up(r);
}

static size_t on_reply_body(void *ctx, struct str data)
{
    struct relay *r = ctx;
    ssize_t taken = http_stream_write(r->x, data);

    if (taken < 0) {
        give_up(r);
        return data.len;
    }
    metric_add(r->pass->bytes_out, (uint64_t)taken);
    return (size_t)taken;
}

static void on_idle(void *ctx)
{
    struct relay *r = ctx;

    if (http_stream_head_sent(r->x) && http_stream_flush(r->x) != 0)
        give_up(r);
}

static void on_end(void *ctx, struct str trailers)
{
    struct relay *r = ctx;
    struct buf kept = BUF_INIT;

    r->call = NULL;
    note(r, r->status);
    pass_trailers(&kept, trailers);
    http_stream_end(r->x, buf_str(&kept));
    buf_free(&kept);
}

static void on_failed(void *ctx, const struct err *e)
{
    struct relay *r = ctx;

    r->call = NULL;
    fail(r, e);
}

static void push_collected(struct relay *r)
{
    size_t taken = http_call_write(r->call, r->rest);

    r->in += taken;
    r->rest = str_n(r->rest.data + taken, r->rest.len - taken);
    if (r->rest.len == 0)
        http_call_finish(r->call, str_n(NULL, 0));
}

static void on_upstream_writable(void *ctx)
{
    struct relay *r = ctx;

    if (r->collected)
        push_collected(r);
    else
        http_stream_resume(r->x);
}

static const struct http_call_ops call_ops = {.interim = on_interim,
                                              .head = on_head,
                                              .body = on_reply_body,
                                              .idle = on_idle,
                                              .end = on_end,
                                              .failed = on_failed,
                                              .writable = on_upstream_writable};

// ---- the start

// An upstream that knows no 100-continue would wait for the body, and the client for us.
static void on_continue_wait(evutil_socket_t fd, short what, void *arg)
{
    struct relay *r = arg;

    (void)fd;
    (void)what;
    r->waiting = r->expects = false;
    if (http_stream_interim(r->x, 100, str_n(NULL, 0), NULL, 0) != 0)
        give_up(r);
}

static void wait_for_continue(struct relay *r)
{
    struct timeval tv = {.tv_sec = CONTINUE_WAIT_MS / 1000,
                         .tv_usec = CONTINUE_WAIT_MS % 1000 * 1000};

    r->expects = true;
    r->waiting = event_assign(&r->timer, loop_base(r->pass->loop), -1, 0, on_continue_wait, r) ==
                     0 &&
                 event_add(&r->timer, &tv) == 0;
}

void pass_request(struct pass *p, struct http_request *q)
{
    struct relay *r = arena_alloc(q->arena, sizeof *r);
    struct buf head = BUF_INIT;
    struct err e = {0};

    http_exchange_label(q->exchange, p->upstream.name);
    if (!r) {
        http_reply(q->exchange, &(struct http_response){.status = 503});
        return;
    }
    bool collected = q->body.len > 0 || http_exchange_collected(q->exchange);
    *r = (struct relay){.pass = p, .x = q->exchange, .rest = q->body, .collected = q->body.len > 0};
    http_stream_start(r->x, &stream_ops, r);
    struct pass_way way = {.upstream = &p->upstream,
                           .name = http_upstream_name(p->to),
                           .prefix = http_upstream_prefix(p->to),
                           .framing = q->framing,
                           .length = q->length,
                           .expects = q->expect_continue && !collected};
    if (collected && way.framing == WIRE_CHUNKED) {
        way.framing = WIRE_LENGTH;
        way.length = q->body.len;
    }
    pass_request_head(&head, q, &way);
    struct http_stream_request s = {.upstream = p->to,
                                    .head = &head,
                                    .framing = way.framing,
                                    .length = way.length,
                                    .head_request = q->head,
                                    .idempotent = http_client_idempotent(q->method),
                                    .head_now = way.expects,
                                    .connect_ms = p->upstream.connect_ms,
                                    .silence_ms = p->upstream.silence_ms,
                                    .ops = &call_ops,
                                    .ctx = r};
    if (http_client_stream(p->client, &s, &r->call, &e) != 0) {
        fail(r, &e);
        return;
    }
    if (r->collected)
        push_collected(r);
    else if (way.expects && !http_stream_body_done(r->x))
        wait_for_continue(r);
}

// ---- the upstream

static int register_metrics(struct pass *p)
{
    static const char *const why[FAILURES] = {"unreachable", "timeout", "busy",
                                              "malformed",   "cut",     "client"};
    const char *name = p->upstream.name;
    char labels[300];
    bool all = true;

    for (int i = 2; i < CLASSES; i++) {
        snprintf(labels, sizeof labels, "upstream=\"%.200s\",class=\"%dxx\"", name, i);
        all &= (p->replies[i] = metrics_counter("ficus_passthrough_requests_total",
                                                "Requests passed through, by upstream and class of"
                                                " the status that the client got.",
                                                labels)) != NULL;
    }
    p->replies[0] = p->replies[1] = p->replies[2]; // ended before there was a status
    for (int i = 0; i < FAILURES; i++) {
        snprintf(labels, sizeof labels, "upstream=\"%.200s\",why=\"%s\"", name, why[i]);
        all &= (p->failures[i] = metrics_counter(
                    "ficus_passthrough_failures_total",
                    "Requests that did not get the upstream's whole reply, by reason.", labels)) !=
               NULL;
    }
    snprintf(labels, sizeof labels, "upstream=\"%.200s\",direction=\"request\"", name);
    p->bytes_in = metrics_counter("ficus_passthrough_bytes_total",
                                  "Bytes of bodies passed through.", labels);
    snprintf(labels, sizeof labels, "upstream=\"%.200s\",direction=\"reply\"", name);
    p->bytes_out = metrics_counter("ficus_passthrough_bytes_total",
                                   "Bytes of bodies passed through.", labels);
    snprintf(labels, sizeof labels, "upstream=\"%.200s\"", name);
    p->seconds = metrics_seconds("ficus_passthrough_seconds",
                                 "Time from a request's head to the end of its reply.", labels);
    return all && p->bytes_in && p->bytes_out && p->seconds ? 0 : -1;
}

struct pass *pass_create(struct loop *loop, const struct upstream *u, struct tls *tls,
                         struct err *e)
{
    struct pass *p = calloc(1, sizeof *p);
    struct http_client_options o = {.loop = loop,
                                    .tls = tls,
                                    .connections_max = u->connections,
                                    .queue_max = u->queue,
                                    .header_max = HEADER_MAX};

    if (!p) {
        err_memory(e);
        return NULL;
    }
    p->loop = loop;
    p->upstream = *u;
    p->upstream.name = strdup(u->name);
    p->upstream.url = strdup(u->url);
    if (!p->upstream.name || !p->upstream.url || register_metrics(p)) {
        err_memory(e);
        goto failed;
    }
    if ((p->client = http_client_create(&o, e)) != NULL &&
        http_client_upstream(p->client, u->url, &p->to, e) == 0)
        return p;
    err_prefix(e, "upstream %s", u->name);
failed:
    pass_destroy(p);
    return NULL;
}

void pass_destroy(struct pass *p)
{
    if (!p)
        return;
    http_client_destroy(p->client);
    free((char *)p->upstream.name);
    free((char *)p->upstream.url);
    free(p);
}

bool pass_is_numeric(const struct upstream *u)
{
    const char *host = strstr(u->url, "://");
    char text[INET6_ADDRSTRLEN] = "";
    struct in6_addr v6;
    struct in_addr v4;

    if (!host)
        return false;
    host += 3;
    bool bracket = *host == '[';
    host += bracket;
    size_t n = strcspn(host, bracket ? "]" : ":/");
    return str_copy(text, sizeof text, str_n(host, n)) == 0 &&
           (inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1);
}

bool pass_is(const struct pass *p, const struct upstream *u)
{
    const struct upstream *o = &p->upstream;

    return strcmp(o->name, u->name) == 0 && strcmp(o->url, u->url) == 0 &&
           o->host_rewritten == u->host_rewritten && o->forwarded == u->forwarded &&
           o->forwarded_rfc == u->forwarded_rfc && o->via == u->via &&
           o->connections == u->connections && o->queue == u->queue &&
           o->connect_ms == u->connect_ms && o->silence_ms == u->silence_ms;
}

const struct upstream *pass_upstream(const struct pass *p)
{
    return &p->upstream;
}

int pass_send(struct pass *p, struct http_client_request *r, struct err *e)
{
    r->upstream = p->to;
    return http_client_send(p->client, r, NULL, e);
}
