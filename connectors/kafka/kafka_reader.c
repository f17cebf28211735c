// SPDX-License-Identifier: Apache-2.0
// A consumer that assigns itself one partition at a time. Owns the client and the arena of one
// message's headers.
#include "connectors/kafka/kafka_reader.h"

#include "base/clock.h"
#include "connectors/kafka/kafka_int.h"

#include <stdlib.h>

struct kafka_reader {
    rd_kafka_t *rk;
    struct arena *headers;
};

static int configure(rd_kafka_conf_t *conf, struct err *e)
{
    const char *const pairs[][2] = {
        {"group.id", "ficus-reader"}, // never joined
        {"enable.auto.commit", "false"},  {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"}, {"auto.offset.reset", "error"},
        {"fetch.wait.max.ms", "10"},      {"fetch.message.max.bytes", "33554432"},
        {"fetch.max.bytes", "67108864"},  {"queued.max.messages.kbytes", "16384"},
        {"fetch.error.backoff.ms", "50"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (kafka_conf_set(conf, pairs[i][0], pairs[i][1], e))
            return -1;
    return 0;
}

int kafka_reader_open(const struct kafka_options *o, struct kafka_reader **out, struct err *e)
{
    char text[256];
    rd_kafka_conf_t *conf = kafka_conf(o, e);
    struct kafka_reader *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!conf || !r || !(r->headers = arena_create(0)) || configure(conf, e)) {
        if (conf) {
            rd_kafka_conf_destroy(conf);
            if (!r || !r->headers)
                err_memory(e);
        }
        kafka_reader_close(r);
        return -1;
    }
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!r->rk) {
        rd_kafka_conf_destroy(conf);
        kafka_reader_close(r);
        return err_set(e, ERR_CONFIG, "Kafka: reader: %.200s", text);
    }
    rd_kafka_poll_set_consumer(r->rk);
    *out = r;
    return 0;
}

void kafka_reader_close(struct kafka_reader *r)
{
    if (!r)
        return;
    if (r->rk) {
        rd_kafka_consumer_close(r->rk);
        rd_kafka_destroy(r->rk);
    }
    arena_destroy(r->headers);
    free(r);
}

int kafka_reader_ends(struct kafka_reader *r, const char *topic, int32_t partition, unsigned ms,
                      int64_t *low, int64_t *high, struct err *e)
{
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(r->rk, topic, partition, low, high,
                                                                (int)ms);
    return code ? kafka_err(e, code, topic) : 0;
}

static int assign(struct kafka_reader *r, const char *topic, int32_t partition, int64_t from,
                  struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (!list)
        return err_memory(e);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = from;
    rd_kafka_resp_err_t code = rd_kafka_assign(r->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, topic) : 0;
}

static int give(struct kafka_reader *r, const rd_kafka_message_t *m, kafka_reader_fn *each,
                void *ctx, struct err *e)
{
    rd_kafka_headers_t *h;
    struct kafka_message out = {.topic = rd_kafka_topic_name(m->rkt),
                                .partition = m->partition,
                                .offset = m->offset,
                                .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
                                .key = str_n(m->key, m->key_len),
                                .value = str_n(m->payload, m->payload ? m->len : 0)};
    arena_reset(r->headers);
    if (!rd_kafka_message_headers(m, &h)) {
        size_t n = rd_kafka_header_cnt(h);
        struct kafka_header *list = arena_array(r->headers, n ? n : 1, sizeof *list);
        if (!list)
            return err_memory(e);
        for (size_t i = 0; i < n; i++) {
            const void *value;
            size_t size;
            if (rd_kafka_header_get_all(h, i, &list[i].name, &value, &size))
                return err_set(e, ERR_INTERNAL, "Kafka: a header cannot be read");
            list[i].value = str_n(value, size);
        }
        out.headers = list;
        out.nheaders = n;
    }
    return each(ctx, &out, e);
}

// 1: the end was reached, 0: go on.
static int step(struct kafka_reader *r, int64_t to, kafka_reader_fn *each, void *ctx, struct err *e)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, 100);
    int result = 0;
    if (!m)
        return 0;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        result = 1;
    else if (m->err == RD_KAFKA_RESP_ERR__TRANSPORT ||
             m->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        result = 0; // mended by itself, or the deadline tells
    else if (m->err)
        result = kafka_err(e, m->err, "reading a topic");
    else if (m->offset < to)
        result = give(r, m, each, ctx, e) ? -1 : m->offset + 1 >= to;
    else
        result = 1;
    rd_kafka_message_destroy(m);
    return result;
}

int kafka_reader_walk(struct kafka_reader *r, const char *topic, int32_t partition, int64_t from,
                      int64_t to, unsigned ms, kafka_reader_fn *each, void *ctx, struct err *e)
{
    uint64_t end = clock_mono_ms() + ms;
    int result = 0;
    if (from >= to)
        return 0;
    if (assign(r, topic, partition, from, e))
        return -1;
    while ((result = step(r, to, each, ctx, e)) == 0)
        if (clock_mono_ms() > end) {
            result = err_set(e, ERR_TIMEOUT, "Kafka: %s was not read within %u ms", topic, ms);
            break;
        }
    rd_kafka_assign(r->rk, NULL);
    return result < 0 ? -1 : 0;
}
