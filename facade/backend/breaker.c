// SPDX-License-Identifier: Apache-2.0
// See breaker.h. Thread: the loop that owns the breaker.
#include "facade/backend/breaker.h"

#include "base/log.h"
#include "base/metrics.h"

#include <assert.h>
#include <stdio.h>

#define HALF_WINDOW_NS UINT64_C(5000000000)
#define PROBES         3u

static const struct log_ctx ctx = {"breaker", NULL, NULL};
static const char *const names[] = {"closed", "half-open", "open"};

const char *breaker_state_name(enum breaker_state s)
{
    return names[s];
}

void breaker_init(struct breaker *b, const struct breaker_options *o, const char *name)
{
    char labels[320];

    *b = (struct breaker){.o = *o, .name = name};
    for (int s = 0; s < 3; s++) {
        snprintf(labels, sizeof(labels), "backend=\"%.256s\",to=\"%s\"", name, names[s]);
        b->to[s] = metrics_counter("ficus_breaker_transitions_total",
                                   "Changes of a circuit breaker's state, over all loops.", labels);
    }
    snprintf(labels, sizeof(labels), "backend=\"%.256s\"", name);
    b->refused = metrics_counter("ficus_breaker_refused_total",
                                 "Calls that an open circuit breaker refused.", labels);
}

static void set_state(struct breaker *b, enum breaker_state to, uint64_t now)
{
    static const unsigned allowed[] = {
        [BREAKER_CLOSED] = 1u << BREAKER_OPEN,
        [BREAKER_HALF_OPEN] = 1u << BREAKER_OPEN | 1u << BREAKER_CLOSED,
        [BREAKER_OPEN] = 1u << BREAKER_HALF_OPEN,
    };

    assert(allowed[b->state] & 1u << to);
    if (to == BREAKER_OPEN)
        log_warn(&ctx, "%s: %s -> open: %u of %u calls failed", b->name, names[b->state],
                 b->failures[0] + b->failures[1], b->calls[0] + b->calls[1]);
    else
        log_info(&ctx, "%s: %s -> %s", b->name, names[b->state], names[to]);
    b->state = to;
    b->since_ns = b->half_ns = now;
    b->generation++;
    b->probes = b->successes = 0;
    b->calls[0] = b->calls[1] = b->failures[0] = b->failures[1] = 0;
    metric_add(b->to[to], 1);
}

static void fade(struct breaker *b, uint64_t now)
{
    uint64_t age = now - b->half_ns;

    if (age < HALF_WINDOW_NS)
        return;
    bool recent = age < 2 * HALF_WINDOW_NS;
    b->calls[1] = recent ? b->calls[0] : 0;
    b->failures[1] = recent ? b->failures[0] : 0;
    b->calls[0] = b->failures[0] = 0;
    b->half_ns = now;
}

bool breaker_admit(struct breaker *b, uint64_t now, unsigned *ticket)
{
    if (b->state == BREAKER_OPEN && now - b->since_ns >= (uint64_t)b->o.open_ms * 1000000u)
        set_state(b, BREAKER_HALF_OPEN, now);
    if (b->state == BREAKER_OPEN || (b->state == BREAKER_HALF_OPEN && b->probes >= PROBES)) {
        metric_add(b->refused, 1);
        return false;
    }
    if (b->state == BREAKER_HALF_OPEN)
        b->probes++;
    *ticket = b->generation;
    return true;
}

static void record_closed(struct breaker *b, enum breaker_outcome outcome, uint64_t now)
{
    fade(b, now);
    b->calls[0]++;
    b->failures[0] += outcome == BREAKER_FAILURE;
    unsigned calls = b->calls[0] + b->calls[1], failures = b->failures[0] + b->failures[1];
    if (b->o.percent > 0 && outcome == BREAKER_FAILURE && calls >= b->o.calls &&
        (uint64_t)failures * 100 >= (uint64_t)calls * b->o.percent)
        set_state(b, BREAKER_OPEN, now);
}

void breaker_record(struct breaker *b, unsigned ticket, enum breaker_outcome outcome, uint64_t now)
{
    if (ticket != b->generation)
        return;
    if (b->state == BREAKER_HALF_OPEN)
        b->probes--;
    if (outcome == BREAKER_NEUTRAL)
        return;
    if (b->state == BREAKER_CLOSED) {
        record_closed(b, outcome, now);
        return;
    }
    b->calls[0]++;
    b->failures[0] += outcome == BREAKER_FAILURE;
    if (outcome == BREAKER_FAILURE)
        set_state(b, BREAKER_OPEN, now);
    else if (++b->successes >= PROBES)
        set_state(b, BREAKER_CLOSED, now);
}
