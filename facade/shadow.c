// SPDX-License-Identifier: Apache-2.0
// One comparison: the new side answers the copied read; if the results differ, both sides are
// read again. If the legacy's answer changed meanwhile, or they agree now, the row was moving:
// stale. Otherwise it is a mismatch. Each comparison has an arena of its own.
//
//   NEW_SIDE --differs--> LEGACY_AGAIN --unchanged--> NEW_AGAIN --still differs--> mismatch
//      |equal                  |changed                  |equal
//    match                   stale                     stale
// A record whose last write through this facade has not reached the new side yet is stale at
// once: asked before the deciding read of the new side, so that a sync that catches up in
// between cannot hide it, and again after it.
#include "facade/shadow.h"

#include "base/clock.h"
#include "facade/backend/plan.h"
#include "facade/evidence.h"
#include "facade/pins.h"

#include <stddef.h>
#include <stdlib.h>

#define ARENA_MAX (64u << 20)

enum shadow_state { NEW_SIDE, LEGACY_AGAIN, NEW_AGAIN };

struct shadow {
    struct shadow_options o;
    unsigned in_flight;
    bool closed;
};

struct comparison {
    struct execution execution;
    struct shadow *shadow;
    struct arena *arena;
    struct route_table *table; // keeps the route
    const struct route *route;
    struct operation op;
    struct result legacy;
    enum shadow_state state;
};

static void comparison_end(struct comparison *c, enum evidence_outcome outcome)
{
    struct shadow *s = c->shadow;
    if (s->o.evidence)
        evidence_count(s->o.evidence, c->route, outcome);
    s->in_flight--;
    route_table_unref(c->table);
    arena_destroy(c->arena); // `c` lives in it
}

static bool behind(const struct shadow *s, const struct route *r, const struct operation *op)
{
    return s->o.pins && r->group && pins_hold(s->o.pins, op, r->group);
}

static void ask(struct comparison *c, enum side side)
{
    struct shadow *s = c->shadow;
    void (*done)(struct execution *) = c->execution.done;
    struct backend *b = s->o.backends[c->route->backend[side]];
    c->execution = (struct execution){.operation = &c->op,
                                      .route = c->route,
                                      .side = side,
                                      .done = done,
                                      .deadline_ns = clock_mono_ns() +
                                                     (uint64_t)s->o.deadline_ms * 1000000u,
                                      .result = {.total = -1}};
    if (b && !s->closed)
        backend_execute(b, &c->execution);
    else
        comparison_end(c, EVIDENCE_DROPPED);
}

static void record(struct comparison *c, const struct mismatch *m, unsigned n)
{
    for (unsigned i = 0; c->shadow->o.evidence && i < n && i < MISMATCHES_MAX; i++)
        evidence_sample(c->shadow->o.evidence, c->route, &c->op, &m[i]);
}

static bool answered(const struct result *r)
{
    return r->status == RESULT_OK || r->status == RESULT_NOT_FOUND;
}

static void on_answer(struct execution *x)
{
    struct comparison *c = (struct comparison *)x; // first member
    struct mismatch m[MISMATCHES_MAX];
    // A side that could not answer is not a mismatch of data; it is counted as dropped.
    if (!answered(&x->result)) {
        comparison_end(c, EVIDENCE_DROPPED);
        return;
    }
    unsigned n = result_compare(&c->op, &c->legacy, &x->result, c->arena, m);
    switch (c->state) {
    case NEW_SIDE:
        if (n == 0) {
            comparison_end(c, EVIDENCE_MATCH);
            return;
        }
        c->state = LEGACY_AGAIN;
        ask(c, SIDE_LEGACY);
        return;
    case LEGACY_AGAIN:
        if (n > 0 || behind(c->shadow, c->route, &c->op)) {
            comparison_end(c, EVIDENCE_STALE);
            return;
        }
        c->state = NEW_AGAIN;
        ask(c, SIDE_NEW);
        return;
    case NEW_AGAIN:
        if (n == 0 || behind(c->shadow, c->route, &c->op)) {
            comparison_end(c, EVIDENCE_STALE);
            return;
        }
        record(c, m, n);
        comparison_end(c, EVIDENCE_MISMATCH);
        return;
    }
}

static struct comparison *comparison_create(struct shadow *s, const struct operation *op,
                                            const struct result *legacy)
{
    struct err e = {0};
    struct arena *a = arena_create(ARENA_MAX);
    struct comparison *c = a ? arena_alloc(a, sizeof *c) : NULL;
    if (!c || operation_clone_read(op, a, &c->op, &e) ||
        result_copy(op, legacy, a, &c->legacy, &e)) {
        arena_destroy(a);
        return NULL;
    }
    c->shadow = s;
    c->arena = a;
    c->execution.done = on_answer;
    return c;
}

void shadow_compare(struct shadow *s, const struct route *r, struct route_table *table,
                    const struct operation *op, const struct result *legacy)
{
    if (s->closed || !answered(legacy))
        return;
    struct comparison *c = s->in_flight < s->o.in_flight_max ? comparison_create(s, op, legacy)
                                                             : NULL;
    if (!c) {
        if (s->o.evidence)
            evidence_count(s->o.evidence, r, EVIDENCE_DROPPED);
        return;
    }
    s->in_flight++;
    c->route = r;
    c->table = table;
    route_table_ref(table);
    c->state = NEW_SIDE;
    ask(c, SIDE_NEW);
}

struct shadow *shadow_create(const struct shadow_options *o, struct err *e)
{
    struct shadow *s = calloc(1, sizeof *s);
    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->o = *o;
    return s;
}

void shadow_close(struct shadow *s)
{
    if (s)
        s->closed = true;
}

void shadow_destroy(struct shadow *s)
{
    free(s);
}
