// SPDX-License-Identifier: Apache-2.0
// Apache Kafka through librdkafka: idempotent producer, positioned consumer, topics.
// Knows no entity. Each handle belongs to one thread unless said otherwise.
#ifndef FICUS_CONNECTORS_KAFKA_H
#define FICUS_CONNECTORS_KAFKA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"

#include <stdint.h>

struct kafka_options {
    const char *brokers;           // host:port,...
    const char *security_protocol; // NULL: plaintext
    const char *sasl_mechanism, *sasl_username, *sasl_password;
    const char *ca_file;
    const char *certificate_file, *key_file, *key_password; // of the client
    const char *client_id;
    unsigned message_max; // bytes; default 32 MiB
};

// From the configuration's section kafka; borrows its texts. client_id and message_max are not set.
struct kafka_options kafka_options_of(const struct conf *c);

struct kafka_header {
    const char *name;
    struct str value;
};

struct kafka_producer;
int kafka_producer_create(const struct kafka_options *o, struct kafka_producer **out,
                          struct err *e) FICUS_MUST_CHECK; // acks=all, idempotent, lz4
void kafka_producer_destroy(struct kafka_producer *p);     // purges what is not sent
// Copies key and value. partition -1: by murmur2 hash of the key as Kafka's own clients do.
// value.data NULL: tombstone. `ticket` comes back from kafka_producer_confirmed order-free.
// ERR_BUSY when the local queue is full (poll and try again).
int kafka_produce(struct kafka_producer *p, const char *topic, int32_t partition, struct str key,
                  struct str value, const struct kafka_header *headers, size_t nheaders,
                  uint64_t ticket, struct err *e) FICUS_MUST_CHECK;
// Serves delivery reports for up to `ms`. Returns -1 once a message failed for good (the
// producer is then to be destroyed and capture restarted from its published position).
int kafka_producer_poll(struct kafka_producer *p, unsigned ms, struct err *e) FICUS_MUST_CHECK;
// All tickets <= the result were acknowledged by the broker (tickets ascend by produce order).
uint64_t kafka_producer_confirmed(const struct kafka_producer *p);
unsigned kafka_producer_in_flight(const struct kafka_producer *p);
int kafka_producer_flush(struct kafka_producer *p, unsigned ms, struct err *e) FICUS_MUST_CHECK;

struct kafka_message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    struct str key, value; // value.data NULL: tombstone
    const struct kafka_header *headers;
    size_t nheaders;
};

struct kafka_consumer;
struct kafka_assignment {
    char topic[250];
    int32_t partition;
    int64_t next;
};

struct kafka_consumer_options {
    struct kafka_options kafka;
    const char *group;
    const char *const *topics;
    size_t ntopics;
    // Called in kafka_consumer_poll. on_assign fills `next` of each from the sink's position
    // (-2: from the beginning). on_revoke: commit or abandon what is in hand first.
    int (*on_assign)(void *ctx, struct kafka_assignment *parts, size_t n, struct err *e);
    void (*on_revoke)(void *ctx, const struct kafka_assignment *parts, size_t n);
    void *ctx;
};
int kafka_consumer_create(const struct kafka_consumer_options *o, struct kafka_consumer **out,
                          struct err *e) FICUS_MUST_CHECK;
void kafka_consumer_destroy(struct kafka_consumer *c);
// Up to `max` messages, waiting at most `ms` for the first. Messages are borrowed until the
// next poll. Returns the count, -1 on an error; ERR_STALE: position out of range or topic
// recreated (never skipped: the caller stops that stream).
long kafka_consumer_poll(struct kafka_consumer *c, unsigned ms, struct kafka_message *out,
                         size_t max, struct err *e);
// Steps a partition back to `next` (after a failed sink transaction).
int kafka_consumer_seek(struct kafka_consumer *c, const char *topic, int32_t partition,
                        int64_t next, struct err *e) FICUS_MUST_CHECK;
int kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition, bool pause,
                         struct err *e) FICUS_MUST_CHECK;
// `ms` 0: as the last fetch told, without asking (-1001 while unknown).
int kafka_watermarks(struct kafka_consumer *c, const char *topic, int32_t partition, int64_t *low,
                     int64_t *high, unsigned ms, struct err *e) FICUS_MUST_CHECK;

struct kafka_topic {
    const char *name;
    unsigned partitions, replication;
    bool compact;
};
// Creates what is missing, with settings; checks the partition count of what exists.
int kafka_topics_ensure(const struct kafka_options *o, const struct kafka_topic *topics, size_t n,
                        struct err *e) FICUS_MUST_CHECK;
// Partition count of a topic, -1 on error; a topic id text for recreation checks.
int kafka_topic_partitions(const struct kafka_options *o, const char *topic, unsigned ms,
                           struct err *e) FICUS_MUST_CHECK;
// The partition that Kafka's own clients choose for a key (murmur2).
int32_t kafka_partition_of(struct str key, int32_t partitions);

#endif
