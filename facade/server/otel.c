// SPDX-License-Identifier: Apache-2.0
// The queue holds finished requests with their parts; the JSON is made by the sending thread, on
// its loop, once half a second or when a batch is full. One batch is under way at a time.
#include "facade/server/otel.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "connectors/http/http_client.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_MAX   2048 // requests
#define BATCH_MAX   256
#define TICK_US     250000
#define DEADLINE_MS 5000
#define STOP_MS     1000

struct noted {
    struct trace trace;
    char name[96], route[64], stage[16], side[16];
    uint64_t begin_ns, end_ns; // wall
    unsigned status;
    struct http_part parts[HTTP_PARTS_MAX]; // wall times
    unsigned nparts;
};

struct otel {
    struct loop *loop;
    struct http_client *client;
    struct http_upstream *upstream;
    char target[256];
    struct event *tick;
    unsigned sample; // per mille of the requests whose trace is not sampled
    pthread_mutex_t lock;
    struct noted *queue;        // ring, under lock
    size_t first, n;            // under lock
    struct trace_random random; // the loop's
    size_t sending;             // spans of the batch under way; the loop's
    struct metric *sent, *dropped, *failed;
};

static const struct log_ctx log_ctx = {"trace", NULL, NULL};

// ---------------------------------------------------------------- noting

static bool wanted(const struct otel *o, const struct trace *t)
{
    unsigned long long low;
    char text[5] = {t->trace_id[28], t->trace_id[29], t->trace_id[30], t->trace_id[31], 0};
    if (t->flags & 1)
        return true;
    low = strtoull(text, NULL, 16); // the same for every process that sees the trace
    return low * 1000 < (unsigned long long)o->sample * 65536;
}

static void fill(struct noted *q, const struct http_access *a)
{
    const struct http_facts *f = a->facts;
    uint64_t now = clock_mono_ns(), wall = clock_wall_us() * 1000, offset = wall - now;
    *q = (struct noted){.trace = a->request->trace,
                        .begin_ns = wall - a->duration_ns,
                        .end_ns = wall,
                        .status = a->status,
                        .nparts = f->nparts};
    q->trace.state = str_n(NULL, 0); // borrowed of the request
    snprintf(q->name, sizeof q->name, "%.*s %s",
             (int)(a->request->method.len < 16 ? a->request->method.len : 16),
             a->request->method.data, f->handler ? f->handler : "none");
    snprintf(q->route, sizeof q->route, "%s", f->route ? f->route : "");
    snprintf(q->stage, sizeof q->stage, "%s", f->stage ? f->stage : "");
    snprintf(q->side, sizeof q->side, "%s", f->side ? f->side : "");
    for (unsigned i = 0; i < f->nparts; i++) {
        q->parts[i] = f->parts[i];
        q->parts[i].begin_ns += offset;
        q->parts[i].end_ns += offset;
    }
}

void otel_note(struct otel *o, const struct http_access *a)
{
    if (!o || !a->request || !wanted(o, &a->request->trace))
        return;
    pthread_mutex_lock(&o->lock);
    bool room = o->n < QUEUE_MAX;
    if (room)
        fill(&o->queue[(o->first + o->n++) % QUEUE_MAX], a);
    pthread_mutex_unlock(&o->lock);
    if (!room)
        metric_add(o->dropped, 1 + a->facts->nparts);
}

// ---------------------------------------------------------------- JSON

static void attribute(struct buf *b, const char *key, const char *value, bool *first)
{
    if (!value || !*value)
        return;
    buf_printf(b, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":", *first ? "" : ",", key);
    buf_addjson(b, str_of(value));
    buf_addz(b, "}}");
    *first = false;
}

static void span_head(struct buf *b, const struct noted *q, const char *id, const char *parent,
                      const char *name, int kind, uint64_t begin_ns, uint64_t end_ns)
{
    buf_printf(b, "{\"traceId\":\"%s\",\"spanId\":\"%s\"", q->trace.trace_id, id);
    if (*parent)
        buf_printf(b, ",\"parentSpanId\":\"%s\"", parent);
    buf_addz(b, ",\"name\":");
    buf_addjson(b, str_of(name));
    buf_printf(b,
               ",\"kind\":%d,\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\","
               "\"attributes\":[",
               kind, (unsigned long long)begin_ns, (unsigned long long)end_ns);
}

static void new_id(struct otel *o, char out[17])
{
    struct trace t;
    trace_begin(&t, &o->random, str_n(NULL, 0), str_n(NULL, 0));
    memcpy(out, t.span_id, 17);
}

// A backend's span belongs to the operation that was noted after it (dispatch ends last).
static void add_parts(struct otel *o, struct buf *b, const struct noted *q)
{
    char operation[17] = "", id[17];
    for (unsigned i = q->nparts; i > 0; i--) {
        const struct http_part *p = &q->parts[i - 1];
        bool first = true, backend = p->backend;
        new_id(o, id);
        buf_addc(b, ',');
        span_head(b, q, id, backend && *operation ? operation : q->trace.span_id, p->name,
                  backend ? 3 : 1, p->begin_ns, p->end_ns);
        attribute(b, backend ? "ficus.backend" : "ficus.operation", p->detail, &first);
        buf_addz(b, "]}");
        if (!backend)
            memcpy(operation, id, sizeof operation);
    }
}

static size_t add_request(struct otel *o, struct buf *b, const struct noted *q)
{
    char status[8];
    bool first = true;
    snprintf(status, sizeof status, "%u", q->status);
    span_head(b, q, q->trace.span_id, q->trace.parent_id, q->name, 2, q->begin_ns, q->end_ns);
    attribute(b, "http.response.status_code", status, &first);
    attribute(b, "ficus.route", q->route, &first);
    attribute(b, "ficus.stage", q->stage, &first);
    attribute(b, "ficus.side", q->side, &first);
    buf_printf(b, "],\"status\":{\"code\":%d}}", q->status >= 500 ? 2 : 0);
    add_parts(o, b, q);
    return 1 + q->nparts;
}

static void open_batch(struct buf *b)
{
    buf_addz(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                "\"value\":{\"stringValue\":\"ficus\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
                "\"ficus\",\"version\":\"" FICUS_VERSION "\"},\"spans\":[");
}

// ---------------------------------------------------------------- sending

static void on_sent(void *ctx, struct err *e, const struct http_client_response *r)
{
    static struct log_limit limit;
    struct otel *o = ctx;
    unsigned dropped;
    bool taken = r && r->status >= 200 && r->status < 300;
    metric_add(taken ? o->sent : o->failed, o->sending);
    o->sending = 0;
    if (!taken && log_allowed(&limit, 60000, &dropped))
        log_warn(&log_ctx, "the collector did not take spans: %s (%u more held back)",
                 e   ? e->msg
                 : r ? http_status_text(r->status)
                     : "no answer",
                 dropped);
}

static bool take_one(struct otel *o, struct noted *out)
{
    pthread_mutex_lock(&o->lock);
    bool any = o->n > 0;
    if (any) {
        *out = o->queue[o->first];
        o->first = (o->first + 1) % QUEUE_MAX;
        o->n--;
    }
    pthread_mutex_unlock(&o->lock);
    return any;
}

static void send_batch(struct otel *o)
{
    struct buf b = BUF_INIT;
    struct noted q;
    struct err e = {0};
    size_t spans = 0;
    for (unsigned i = 0; i < BATCH_MAX && take_one(o, &q); i++) {
        if (i == 0)
            open_batch(&b);
        else
            buf_addc(&b, ',');
        spans += add_request(o, &b, &q);
    }
    if (spans == 0)
        return;
    buf_addz(&b, "]}]}]}");
    struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct http_client_request r = {.upstream = o->upstream,
                                    .method = STR("POST"),
                                    .target = str_of(o->target),
                                    .headers = &type,
                                    .nheaders = 1,
                                    .body = buf_str(&b),
                                    .deadline_ms = DEADLINE_MS,
                                    .done = on_sent,
                                    .ctx = o};
    o->sending = spans;
    if (b.failed || http_client_send(o->client, &r, NULL, &e)) {
        metric_add(o->failed, spans);
        o->sending = 0;
    }
    buf_free(&b);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct otel *o = arg;
    (void)fd;
    (void)what;
    if (o->sending == 0)
        send_batch(o);
}

// ---------------------------------------------------------------- lifetime

static void destroy(struct otel *o)
{
    if (o->tick)
        event_free(o->tick);
    http_client_destroy(o->client);
    if (o->loop)
        loop_destroy(o->loop);
    pthread_mutex_destroy(&o->lock);
    free(o->queue);
    free(o);
}

static int begin(struct otel *o, const char *endpoint, struct err *e)
{
    struct timeval tick = {0, TICK_US};
    const char *host = strstr(endpoint, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    char base[256];
    if (str_copy(base, sizeof base,
                 str_n(endpoint, path ? (size_t)(path - endpoint) : strlen(endpoint))) ||
        str_copy(o->target, sizeof o->target, path ? str_of(path) : STR("/v1/traces")))
        return err_set(e, ERR_CONFIG, "trace.endpoint is too long");
    if (!(o->queue = calloc(QUEUE_MAX, sizeof *o->queue)))
        return err_memory(e);
    if (!(o->loop = loop_create("trace", 0, e)))
        return -1;
    struct http_client_options options = {.loop = o->loop, .connections_max = 1, .queue_max = 2};
    if (!(o->client = http_client_create(&options, e)) ||
        http_client_upstream(o->client, base, &o->upstream, e))
        return -1;
    o->tick = event_new(loop_base(o->loop), -1, EV_PERSIST, on_tick, o);
    return o->tick && event_add(o->tick, &tick) == 0 ? loop_start(o->loop, e) : err_memory(e);
}

int otel_start(const struct conf *conf, struct otel **out, struct err *e)
{
    const char *endpoint = conf_str(conf, "trace.endpoint");
    *out = NULL;
    if (!*endpoint)
        return 0;
    struct otel *o = calloc(1, sizeof *o);
    if (!o)
        return err_memory(e);
    pthread_mutex_init(&o->lock, NULL);
    trace_random_seed(&o->random);
    o->sample = (unsigned)conf_int(conf, "trace.sample");
    o->sent = metrics_counter("ficus_trace_spans_total", "Spans of traces by what became of them.",
                              "result=\"sent\"");
    o->dropped = metrics_counter("ficus_trace_spans_total",
                                 "Spans of traces by what became of them.", "result=\"dropped\"");
    o->failed = metrics_counter("ficus_trace_spans_total",
                                "Spans of traces by what became of them.", "result=\"failed\"");
    if (begin(o, endpoint, e)) {
        destroy(o);
        return err_prefix(e, "trace.endpoint");
    }
    *out = o;
    return 0;
}

void otel_stop(struct otel *o)
{
    uint64_t end = clock_mono_ms() + STOP_MS;
    size_t left = 1;
    if (!o)
        return;
    while (left && clock_mono_ms() < end) {
        clock_sleep_ms(20);
        pthread_mutex_lock(&o->lock);
        left = o->n;
        pthread_mutex_unlock(&o->lock);
    }
    loop_stop(o->loop);
    loop_join(o->loop);
    destroy(o);
}
