// SPDX-License-Identifier: Apache-2.0
// Built-in endpoints. Thread: the loop of the request.
#include "base/metrics.h"
#include "facade/server/server_int.h"

#include <stdio.h>

static void reply(struct http_request *r, unsigned status, const char *type, struct str body)
{
    struct http_response out = {.status = status, .content_type = str_of(type), .body = body};
    http_reply(r->exchange, &out);
}

// Ready: the route table is there (from the control store or from disk), the process is not
// draining, and the backends that the table needs answered lately.
static void ready(struct server *s, struct http_request *r)
{
    char text[256];
    bool legacy = s->o.service || s->through_only || odbc_workers_healthy(s->workers);
    bool control = live_connected(s->live);
    bool ok = !atomic_load(&s->draining) && (s->o.service ? control : legacy || control);
    int n = snprintf(text, sizeof text,
                     "{\"ready\": %s, \"draining\": %s, \"control\": %s, \"legacy\": %s}\n",
                     ok ? "true" : "false", atomic_load(&s->draining) ? "true" : "false",
                     control ? "true" : "false", legacy ? "true" : "false");
    reply(r, ok ? 200 : 503, "application/json", str_n(text, (size_t)n));
}

static void gauges(struct server *s)
{
    unsigned held = 0;
    for (unsigned i = 0; i < s->nloops; i++)
        held += dispatcher_held(s->loops[i].dispatcher);
    metric_set(metrics_gauge("ficus_held_requests", "Writes held for a switch of owner now.", ""),
               held);
    metric_set(metrics_gauge("ficus_control_connected", "1 while the control store answers.", ""),
               live_connected(s->live));
    if (s->workers) {
        struct worker_stats w;
        worker_pool_stats(odbc_workers_pool(s->workers), &w);
        metric_set(metrics_gauge("ficus_odbc_workers_busy", "Workers inside a driver now.", ""),
                   w.busy);
        metric_set(metrics_gauge("ficus_odbc_workers_stuck",
                                 "Workers that hang in a driver and were replaced: an alarm.", ""),
                   w.stuck);
        metric_set(
            metrics_gauge("ficus_odbc_workers_replaced", "Workers replaced since the start.", ""),
            (double)w.replaced);
        metric_set(metrics_gauge("ficus_odbc_queue", "Operations waiting for a worker.", ""),
                   w.queued);
    }
}

bool server_is_admin(struct str path)
{
    return str_eqz(path, "/healthz") || str_eqz(path, "/readyz") || str_eqz(path, "/metrics");
}

bool server_admin(struct server *s, struct http_request *r)
{
    struct buf out = BUF_INIT;
    if (str_eqz(r->path, "/healthz")) {
        reply(r, 200, "text/plain; charset=utf-8", STR("ok\n"));
    } else if (str_eqz(r->path, "/readyz")) {
        ready(s, r);
    } else if (str_eqz(r->path, "/metrics")) {
        gauges(s);
        metrics_write(&out);
        reply(r, out.failed ? 500 : 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
        buf_free(&out);
    } else {
        return false;
    }
    return true;
}
