// SPDX-License-Identifier: Apache-2.0
// One comparison: the new side answers the copied read. If the results differ, it is asked what
// stands in the legacy's changelog beyond what has been applied (backend/tail.h): a change of
// what this read looks at means that the new side is behind. If there is none, the new side has
// everything that had been committed by then; it is read again, and then the legacy. When the
// legacy still gives the first answer and the new side another one, no lag explains it.
//
//   NEW_SIDE --differs--> TAIL --nothing stands there--> NEW_AGAIN --differs--> LEGACY_AGAIN
//      |equal              |a change                      |equal        changed|   |unchanged
//    match               stale                          stale            stale    mismatch,
//                                                                                 or ignored
// Now and then the legacy is read once more before all that (NOISE): what differs between its two
// answers is reported as noise.
// So staleness is proven by versions, not by time. A route without a group (no stream follows
// it), or whose legacy side is not asked by ODBC, skips TAIL. Each comparison has an arena of
// its own.
#include "facade/evidence/shadow.h"

#include "base/clock.h"
#include "facade/backend/plan.h"
#include "facade/evidence/evidence.h"
#include "facade/pins.h"

#include <stddef.h>
#include <stdlib.h>

#define ARENA_MAX (64u << 20)

enum shadow_state { NOISE, NEW_SIDE, TAIL, NEW_AGAIN, LEGACY_AGAIN };

struct shadow {
    struct shadow_options o;
    unsigned in_flight;
    bool closed;
    unsigned count; // for noise_every
};

struct comparison {
    struct execution execution;
    struct shadow *shadow;
    struct arena *arena;
    struct route_table *table; // keeps the route
    const struct route *route;
    struct operation op;
    struct result legacy; // the answer that the client got
    enum shadow_state state;
    struct mismatch differing[MISMATCHES_MAX]; // of NEW_AGAIN
    unsigned ndiffering;
};

static void comparison_end(struct comparison *c, enum evidence_outcome outcome)
{
    struct shadow *s = c->shadow;
    if (s->o.evidence)
        evidence_count(s->o.evidence, c->route, outcome, &c->op, c->legacy.status);
    s->in_flight--;
    route_table_unref(c->table);
    arena_destroy(c->arena); // `c` lives in it
}

static void ask(struct comparison *c, enum shadow_state state, enum side side, bool tail)
{
    struct shadow *s = c->shadow;
    void (*done)(struct execution *) = c->execution.done;
    struct backend *b = s->o.backends[c->route->backend[side]];
    c->state = state;
    c->execution = (struct execution){.operation = &c->op,
                                      .route = c->route,
                                      .side = side,
                                      .guarded = tail,
                                      .after = tail ? pins_arrived(s->o.pins, c->route, &c->op) : 0,
                                      .done = done,
                                      .deadline_ns = clock_mono_ns() +
                                                     (uint64_t)s->o.deadline_ms * 1000000u,
                                      .result = {.total = -1}};
    if (b && !s->closed)
        backend_execute(b, &c->execution);
    else
        comparison_end(c, EVIDENCE_DROPPED);
}

static void ask_tail(struct comparison *c)
{
    const struct route *r = c->route;
    if (c->shadow->o.pins && r->backend[SIDE_LEGACY] == BACKEND_ODBC)
        ask(c, TAIL, SIDE_LEGACY, true);
    else
        ask(c, NEW_AGAIN, SIDE_NEW, false);
}

static bool ignored(const struct comparison *c, const struct mismatch *m)
{
    const struct ignore_rule *rule = m->field ? route_ignores(c->table, c->route, m->field) : NULL;
    return rule && (rule->any_value || mismatch_is_policy(m));
}

// `m`: what differs; the legacy has not moved meanwhile.
static void conclude(struct comparison *c, const struct mismatch *m, unsigned n)
{
    struct evidence *v = c->shadow->o.evidence;
    unsigned heeded = n > MISMATCHES_MAX ? 1 : 0;
    for (unsigned i = 0; i < n && i < MISMATCHES_MAX; i++) {
        if (ignored(c, &m[i]))
            continue;
        heeded++;
        if (v)
            evidence_sample(v, c->route, &c->op, &m[i]);
    }
    comparison_end(c, heeded ? EVIDENCE_MISMATCH : EVIDENCE_IGNORED);
}

static bool answered(const struct result *r)
{
    return r->status == RESULT_OK || r->status == RESULT_NOT_FOUND;
}

static void on_new_again(struct comparison *c)
{
    c->ndiffering = result_compare(&c->op, &c->legacy, &c->execution.result, c->arena,
                                   c->differing);
    if (c->ndiffering == 0)
        comparison_end(c, EVIDENCE_STALE);
    else
        ask(c, LEGACY_AGAIN, SIDE_LEGACY, false);
}

static void on_answer(struct execution *x)
{
    struct comparison *c = (struct comparison *)x; // first member
    struct mismatch m[MISMATCHES_MAX];
    if (c->state == NOISE) {
        if (answered(&x->result) && c->shadow->o.evidence)
            evidence_noise(c->shadow->o.evidence, c->route, m,
                           result_compare(&c->op, &c->legacy, &x->result, c->arena, m));
        ask(c, NEW_SIDE, SIDE_NEW, false);
    } else if (c->state == TAIL && x->result.status == RESULT_CURRENT) {
        ask(c, NEW_AGAIN, SIDE_NEW, false);
    } else if (!answered(&x->result)) {
        // A side that could not answer is not a mismatch of data; it is counted as dropped.
        comparison_end(c, EVIDENCE_DROPPED);
    } else if (c->state == TAIL) {
        comparison_end(c, EVIDENCE_STALE);
    } else if (c->state == NEW_AGAIN) {
        on_new_again(c);
    } else {
        unsigned n = result_compare(&c->op, &c->legacy, &x->result, c->arena, m);
        if (c->state == NEW_SIDE && n > 0)
            ask_tail(c);
        else if (c->state == NEW_SIDE)
            comparison_end(c, EVIDENCE_MATCH);
        else if (n > 0)
            comparison_end(c, EVIDENCE_STALE);
        else
            conclude(c, c->differing, c->ndiffering);
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
            evidence_count(s->o.evidence, r, EVIDENCE_DROPPED, op, legacy->status);
        return;
    }
    s->in_flight++;
    c->route = r;
    c->table = table;
    route_table_ref(table);
    if (s->o.noise_every && ++s->count % s->o.noise_every == 0)
        ask(c, NOISE, SIDE_LEGACY, false);
    else
        ask(c, NEW_SIDE, SIDE_NEW, false);
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
