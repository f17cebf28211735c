// SPDX-License-Identifier: Apache-2.0
// One look a second. What is remembered between looks is only since when a route's stay has
// been worse: a look that finds it well again forgets that.
#include "facade/evidence/rollback.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define LOOKS_MAX 64 // routes a look; the others take their turn in the next

struct watch {
    char route[64];
    long long since_us;
    uint64_t worse_ms; // monotonic; 0: it is not
    UT_hash_handle hh;
};

struct rollback {
    const struct conf *conf;
    struct watch *watches;
    size_t next; // position in the table at which the next look begins
};

static const struct log_ctx log_ctx = {"rollback", NULL, NULL};

struct rollback *rollback_create(const struct conf *conf, struct err *e)
{
    struct rollback *rb = calloc(1, sizeof *rb);
    if (!rb) {
        err_memory(e);
        return NULL;
    }
    rb->conf = conf;
    return rb;
}

void rollback_destroy(struct rollback *rb)
{
    struct watch *w, *next;
    if (!rb)
        return;
    HASH_ITER(hh, rb->watches, w, next)
    {
        HASH_DEL(rb->watches, w);
        free(w);
    }
    free(rb);
}

static struct watch *watch_of(struct rollback *rb, const struct route *r)
{
    struct watch *w;
    HASH_FIND_STR(rb->watches, r->name, w);
    if (!w && (w = calloc(1, sizeof *w))) {
        if (str_copy(w->route, sizeof w->route, str_of(r->name))) {
            free(w);
            return NULL;
        }
        HASH_ADD_STR(rb->watches, route, w);
    }
    if (w && w->since_us != r->since_us) {
        w->since_us = r->since_us;
        w->worse_ms = 0;
    }
    return w;
}

static bool concerns(const struct route *r)
{
    return (r->stage == STAGE_CANARY || r->stage == STAGE_NEW) && (r->operations & ROUTE_READS) &&
           !(r->group && r->group->owner == SIDE_NEW);
}

static json_t *arm_json(const struct arm *a)
{
    return json_pack("{s:I, s:I, s:f, s:f}", "answers", (json_int_t)a->requests, "errors",
                     (json_int_t)a->errors, "p50_ms", arm_quantile_ms(a, 0.5), "p95_ms",
                     arm_quantile_ms(a, 0.95));
}

static int take_back(struct control *c, const struct route *r, const char *reason,
                     const struct arm *arms, struct err *e)
{
    json_t *evidence = json_pack("{s:o, s:o}", "legacy", arm_json(&arms[SIDE_LEGACY]), "new",
                                 arm_json(&arms[SIDE_NEW]));
    int done = control_take_back(c, r, reason, evidence, e);
    json_decref(evidence);
    if (done <= 0)
        return done;
    char labels[96];
    snprintf(labels, sizeof labels, "route=\"%s\"", r->name);
    metric_add(metrics_counter("ficus_rollbacks_total",
                               "Routes that this process took a rung back by itself.", labels),
               1);
    log_warn(&log_ctx, "route %s was taken back from %s: %s", r->name, stage_name(r->stage),
             reason);
    return 0;
}

static int look_at(struct rollback *rb, struct control *c, const struct route *r, struct err *e)
{
    struct ladder limits = ladder_resolve(&r->ladder, rb->conf);
    unsigned window = (unsigned)conf_int(rb->conf, "ladder.window_s");
    struct watch *w = limits.rollback ? watch_of(rb, r) : NULL;
    struct ladder_evidence stay;
    struct arm arms[2];
    struct buf reason = BUF_INIT;
    int result = 0;
    if (!w)
        return 0;
    if (control_arm(c, r->name, SIDE_LEGACY, window, &arms[SIDE_LEGACY], e) ||
        control_arm(c, r->name, SIDE_NEW, window, &arms[SIDE_NEW], e) ||
        control_evidence(c, r->name, true, &stay, e))
        return -1;
    uint64_t now = clock_mono_ms();
    if (!ladder_worse(&limits, &arms[SIDE_LEGACY], &arms[SIDE_NEW], &stay, &reason)) {
        w->worse_ms = 0;
    } else if (w->worse_ms == 0) {
        w->worse_ms = now;
    } else if (now - w->worse_ms >= (uint64_t)conf_int(rb->conf, "ladder.hold_s") * 1000) {
        buf_addc(&reason, 0);
        result = reason.failed ? err_memory(e) : take_back(c, r, reason.data, arms, e);
        w->worse_ms = 0;
    }
    buf_free(&reason);
    return result;
}

int rollback_look(struct rollback *rb, struct control *c, const struct route_table *t,
                  struct err *e)
{
    size_t n = route_count(t), looks = 0;
    for (size_t i = 0; i < n && looks < LOOKS_MAX; i++) {
        const struct route *r = route_at(t, rb->next++ % n);
        if (!concerns(r))
            continue;
        looks++;
        if (look_at(rb, c, r, e))
            return -1;
    }
    return 0;
}
