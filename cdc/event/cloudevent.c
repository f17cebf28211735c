// SPDX-License-Identifier: Apache-2.0
// The headers of a CloudEvent in binary content mode (CloudEvents 1.0, Kafka protocol binding):
// the value stays what it is, attributes stand beside it as ce_*. Keeps no state. Thread: any.
#include "cdc/event/cloudevent.h"

#include "base/clock.h"

#include <stdio.h>

static const char *verb(enum change_op op)
{
    switch (op) {
    case CHANGE_CREATE: return "created";
    case CHANGE_UPDATE: return "updated";
    case CHANGE_DELETE: return "deleted";
    case CHANGE_READ: return "read";
    }
    return "changed";
}

static size_t add(struct kafka_header *h, size_t n, const char *name, const char *value)
{
    h[n] = (struct kafka_header){name, str_of(value)};
    return n + 1;
}

size_t cloudevent_headers(struct cloudevent *ce, const struct change *c, const char *prefix,
                          const char *term, unsigned long long number, struct kafka_header *out)
{
    size_t n = 0;
    snprintf(ce->id, sizeof ce->id, "%s-%s-%llu", side_name(c->from), term, number);
    snprintf(ce->source, sizeof ce->source, "/ficus/%.100s/%s", prefix, side_name(c->from));
    snprintf(ce->type, sizeof ce->type, "ficus.%.100s.%s", c->entity->name, verb(c->op));
    n = add(out, n, "ce_specversion", "1.0");
    n = add(out, n, "ce_id", ce->id);
    n = add(out, n, "ce_source", ce->source);
    n = add(out, n, "ce_type", ce->type);
    n = add(out, n, "content-type", "application/json");
    if (c->commit_us) {
        char date[20];
        clock_utc_seconds(c->commit_us / 1000, date);
        snprintf(ce->time, sizeof ce->time, "%.10sT%.8s.%06lluZ", date, date + 11,
                 (unsigned long long)(c->commit_us % 1000000));
        n = add(out, n, "ce_time", ce->time);
    }
    return n;
}
