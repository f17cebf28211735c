// SPDX-License-Identifier: Apache-2.0
// Metrics are registered when a route first meets a stage, side and outcome, so that a scrape
// shows only what happened. Thread: the loop's.
#include "facade/server/request_stats.h"

#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define STAGES   (STAGE_RETIRED + 1)
#define STATUSES (RESULT_ERROR + 1)

struct route_stats {
    char name[64], label[2][80];
    struct metric *count[STAGES][2][STATUSES], *seconds[2];
    UT_hash_handle hh;
};

struct request_stats {
    struct route_stats *routes;
    struct metric *unrouted;
};

struct request_stats *request_stats_create(struct err *e)
{
    struct request_stats *s = calloc(1, sizeof *s);
    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->unrouted = metrics_counter("ficus_unrouted_total", "Operations that no route serves.", "");
    return s;
}

void request_stats_destroy(struct request_stats *s)
{
    struct route_stats *r, *next;
    if (!s)
        return;
    HASH_ITER(hh, s->routes, r, next)
    {
        HASH_DEL(s->routes, r);
        free(r);
    }
    free(s);
}

// NULL when memory is out or the name is longer than any label should be.
static struct route_stats *stats_of(struct request_stats *s, const struct route *route)
{
    struct route_stats *r;
    HASH_FIND_STR(s->routes, route->name, r);
    if (r || !(r = calloc(1, sizeof *r)))
        return r;
    if (str_copy(r->name, sizeof r->name, str_of(route->name))) {
        free(r);
        return NULL;
    }
    for (int side = 0; side < 2; side++)
        snprintf(r->label[side], sizeof r->label[side], "%s %s", route->name,
                 side_name((enum side)side));
    HASH_ADD_STR(s->routes, name, r);
    return r;
}

static struct metric *counter(struct route_stats *r, enum stage stage, enum side side,
                              enum result_status status)
{
    struct metric **m = &r->count[stage][side][status];
    char labels[200];
    if (*m)
        return *m;
    snprintf(labels, sizeof labels, "route=\"%s\",stage=\"%s\",side=\"%s\",status=\"%s\"", r->name,
             stage_name(stage), side_name(side), result_status_name(status));
    *m = metrics_counter("ficus_requests_total",
                         "Operations answered, by route, its stage, the side that answered and"
                         " the outcome.",
                         labels);
    return *m;
}

static struct metric *seconds(struct route_stats *r, enum side side)
{
    char labels[120];
    if (r->seconds[side])
        return r->seconds[side];
    snprintf(labels, sizeof labels, "route=\"%s\",side=\"%s\"", r->name, side_name(side));
    r->seconds[side] = metrics_seconds(
        "ficus_request_seconds", "Time of an operation in dispatch, holding included.", labels);
    return r->seconds[side];
}

void request_stats_note(struct request_stats *s, const struct route *route, const struct result *x,
                        uint64_t duration_ns)
{
    struct route_stats *r = route ? stats_of(s, route) : NULL;
    if (!r) {
        metric_add(s->unrouted, 1);
        return;
    }
    metric_add(counter(r, route->stage, x->served_by, x->status), 1);
    metric_observe_ns(seconds(r, x->served_by), duration_ns);
}

const char *request_stats_label(struct request_stats *s, const struct route *route, enum side side)
{
    struct route_stats *r = route ? stats_of(s, route) : NULL;
    return r ? r->label[side] : "-";
}

const char *request_stats_name(struct request_stats *s, const struct route *route)
{
    struct route_stats *r = route ? stats_of(s, route) : NULL;
    return r ? r->name : NULL;
}
