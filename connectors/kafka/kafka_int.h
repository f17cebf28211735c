// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder only.
#ifndef FICUS_CONNECTORS_KAFKA_INT_H
#define FICUS_CONNECTORS_KAFKA_INT_H

#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>

#define KAFKA_MESSAGE_MAX (32u << 20)

// A client configuration with brokers, security, sizes and log routing. NULL with `e` set.
rd_kafka_conf_t *kafka_conf(const struct kafka_options *o, struct err *e);
int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                   struct err *e) FICUS_MUST_CHECK;
// librdkafka's error as ours. Returns -1.
int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *doing);

#endif
