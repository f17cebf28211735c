// SPDX-License-Identifier: Apache-2.0
// Looks into topics from beside: no group, no position kept, nothing disturbed. For what the
// command line wants to know of events that passed. One thread; calls block up to their deadline.
#ifndef FICUS_CONNECTORS_KAFKA_READER_H
#define FICUS_CONNECTORS_KAFKA_READER_H

#include "connectors/kafka/kafka.h"

struct kafka_reader;

int kafka_reader_open(const struct kafka_options *o, struct kafka_reader **out,
                      struct err *e) FICUS_MUST_CHECK;
void kafka_reader_close(struct kafka_reader *r); // NULL is fine
// First offset that is there, and the one after the last.
int kafka_reader_ends(struct kafka_reader *r, const char *topic, int32_t partition, unsigned ms,
                      int64_t *low, int64_t *high, struct err *e) FICUS_MUST_CHECK;
// Every message from `from` up to, not with, `to`. The message is valid during the call only; a
// callback that returns -1 with `e` set stops. ERR_TIMEOUT after `ms` without the end.
typedef int kafka_reader_fn(void *ctx, const struct kafka_message *m, struct err *e);
int kafka_reader_walk(struct kafka_reader *r, const char *topic, int32_t partition, int64_t from,
                      int64_t to, unsigned ms, kafka_reader_fn *each, void *ctx,
                      struct err *e) FICUS_MUST_CHECK;

#endif
