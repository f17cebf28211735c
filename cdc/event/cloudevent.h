// SPDX-License-Identifier: Apache-2.0
// CloudEvents attributes of a change as Kafka headers (kafka.cloudevents). The id is unique under
// its source: an event that is sent again after a crash has another one.
#ifndef FICUS_CDC_CLOUDEVENT_H
#define FICUS_CDC_CLOUDEVENT_H

#include "cdc/event/event.h"

#define CLOUDEVENT_HEADERS 6

struct cloudevent { // texts that the headers borrow
    char id[96], source[128], type[128], time[40];
};

// Writes up to CLOUDEVENT_HEADERS to `out` and returns how many.
size_t cloudevent_headers(struct cloudevent *ce, const struct change *c, const char *prefix,
                          const char *term, unsigned long long number, struct kafka_header *out);

#endif
