// SPDX-License-Identifier: Apache-2.0
// The way into a backend: past its circuit breaker, which learns from how the call ended.
#include "facade/backend.h"

#include "base/clock.h"
#include "facade/backend/plan.h"

static enum breaker_outcome outcome_of(const struct result *r)
{
    switch (r->status) {
    case RESULT_UNAVAILABLE:
    case RESULT_TIMEOUT: return BREAKER_FAILURE;
    case RESULT_BUSY: return BREAKER_NEUTRAL; // our own queues, mostly
    default: return BREAKER_SUCCESS;
    }
}

void backend_protect(struct backend *b, const struct breaker_options *o)
{
    breaker_init(&b->breaker, o, b->ops->name);
}

static void on_done(struct execution *x)
{
    x->done = x->then;
    breaker_record(x->breaker, x->ticket, outcome_of(&x->result), clock_mono_ns());
    x->done(x);
}

void backend_execute(struct backend *b, struct execution *x)
{
    struct breaker *k = b->ops->breaker ? b->ops->breaker(b, x) : &b->breaker;
    struct err e = {0};

    if (!k || k->o.percent == 0) {
        b->ops->execute(b, x);
        return;
    }
    if (!breaker_admit(k, clock_mono_ns(), &x->ticket)) {
        err_set(&e, ERR_UNREACHABLE, "%s has failed too often; it is tried again soon", k->name);
        result_error(&x->result, &e);
        x->result.served_by = x->side;
        x->done(x);
        return;
    }
    x->breaker = k;
    x->then = x->done;
    x->done = on_done;
    b->ops->execute(b, x);
}
