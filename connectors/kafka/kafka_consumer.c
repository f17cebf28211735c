// SPDX-License-Identifier: Apache-2.0
// Consumer of a group that starts each partition where its sink says, never where the broker
// remembers. A position that the log does not hold any more is an error, never a skip. One
// thread; librdkafka's callbacks run inside kafka_consumer_poll.
#include "connectors/kafka/kafka_int.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_MAX 10000

struct kafka_consumer {
    rd_kafka_t *rk;
    struct kafka_consumer_options o;
    rd_kafka_message_t *held[BATCH_MAX];
    size_t nheld;
    struct arena *headers; // of the messages in hand
    struct err failed;     // found by a callback or behind good messages; told once
    bool revoked;          // a callback gave partitions away
};

static void release(struct kafka_consumer *c)
{
    for (size_t i = 0; i < c->nheld; i++)
        rd_kafka_message_destroy(c->held[i]);
    c->nheld = 0;
    arena_reset(c->headers);
}

static struct kafka_assignment *assignment_of(const rd_kafka_topic_partition_list_t *list)
{
    struct kafka_assignment *a = calloc((size_t)list->cnt + 1, sizeof *a);
    for (int i = 0; a && i < list->cnt; i++) {
        a[i].partition = list->elems[i].partition;
        a[i].next = RD_KAFKA_OFFSET_BEGINNING;
        if (str_copy(a[i].topic, sizeof a[i].topic, str_of(list->elems[i].topic))) {
            free(a);
            return NULL;
        }
    }
    return a;
}

static void assign(struct kafka_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    struct kafka_assignment *a = assignment_of(list);
    if (!a) {
        err_memory(&c->failed);
    } else if (c->o.on_assign(c->o.ctx, a, (size_t)list->cnt, &c->failed) == 0) {
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = a[i].next < 0 ? RD_KAFKA_OFFSET_BEGINNING : a[i].next;
        rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
        if (code)
            kafka_err(&c->failed, code, "taking partitions");
        free(a);
        return;
    }
    free(a);
    rd_kafka_assign(c->rk, NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_consumer *c = opaque;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        assign(c, list);
        return;
    }
    struct kafka_assignment *a = assignment_of(list);
    if (a && c->o.on_revoke)
        c->o.on_revoke(c->o.ctx, a, (size_t)list->cnt);
    free(a);
    c->revoked = true;
    rd_kafka_assign(rk, NULL);
}

static int configure(rd_kafka_conf_t *conf, const char *group, struct err *e)
{
    const char *const pairs[][2] = {
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"partition.assignment.strategy", "range"}, // equal partitions of topics stay together
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "500"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.min.bytes", "1"},
        {"fetch.message.max.bytes", "33554432"},
        {"fetch.max.bytes", "67108864"},
        {"queued.min.messages", "20000"},
        {"queued.max.messages.kbytes", "65536"},
        {"fetch.error.backoff.ms", "50"},
        {"max.poll.interval.ms", "300000"},
        {"check.crcs", "true"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (kafka_conf_set(conf, pairs[i][0], pairs[i][1], e))
            return -1;
    return 0;
}

static int subscribe(struct kafka_consumer *c, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->o.ntopics);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < c->o.ntopics; i++)
        rd_kafka_topic_partition_list_add(list, c->o.topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "subscribing") : 0;
}

int kafka_consumer_create(const struct kafka_consumer_options *o, struct kafka_consumer **out,
                          struct err *e)
{
    char text[256];
    rd_kafka_conf_t *conf = kafka_conf(&o->kafka, e);
    struct kafka_consumer *c = NULL;
    *out = NULL;
    if (!conf)
        return -1;
    if (configure(conf, o->group, e) == 0 &&
        (!(c = calloc(1, sizeof *c)) || !(c->headers = arena_create(0))))
        err_memory(e);
    if (!c || !c->headers) {
        rd_kafka_conf_destroy(conf);
        free(c);
        return -1;
    }
    c->o = *o;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_opaque(conf, c);
    c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!c->rk) {
        rd_kafka_conf_destroy(conf);
        kafka_consumer_destroy(c);
        return err_set(e, ERR_CONFIG, "Kafka: consumer: %.200s", text);
    }
    rd_kafka_poll_set_consumer(c->rk);
    if (subscribe(c, e)) {
        kafka_consumer_destroy(c);
        return -1;
    }
    *out = c;
    return 0;
}

void kafka_consumer_destroy(struct kafka_consumer *c)
{
    if (!c)
        return;
    release(c);
    if (c->rk) {
        rd_kafka_consumer_close(c->rk);
        rd_kafka_destroy(c->rk);
    }
    arena_destroy(c->headers);
    free(c);
}

static int copy_headers(struct kafka_consumer *c, const rd_kafka_message_t *m,
                        struct kafka_message *out, struct err *e)
{
    rd_kafka_headers_t *h;
    if (rd_kafka_message_headers(m, &h))
        return 0;
    size_t n = rd_kafka_header_cnt(h);
    struct kafka_header *list = arena_array(c->headers, n ? n : 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(h, i, &list[i].name, &value, &size))
            return err_set(e, ERR_INTERNAL, "Kafka: a header cannot be read");
        list[i].value = str_n(value, size);
    }
    out->headers = list;
    out->nheaders = n;
    return 0;
}

static int take(struct kafka_consumer *c, const rd_kafka_message_t *m, struct kafka_message *out,
                struct err *e)
{
    *out = (struct kafka_message){.topic = rd_kafka_topic_name(m->rkt),
                                  .partition = m->partition,
                                  .offset = m->offset,
                                  .timestamp_ms = rd_kafka_message_timestamp(m, NULL),
                                  .key = str_n(m->key, m->key_len),
                                  .value = str_n(m->payload, m->payload ? m->len : 0)};
    return copy_headers(c, m, out, e);
}

// What librdkafka mends by itself or says for information.
static bool is_harmless(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__PARTITION_EOF || code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED;
}

static int message_err(const rd_kafka_message_t *m, struct err *e)
{
    kafka_err(e, m->err, rd_kafka_message_errstr(m));
    return m->rkt ? err_prefix(e, "%s/%d", rd_kafka_topic_name(m->rkt), (int)m->partition) : -1;
}

// One message, waiting up to `ms`. 1: taken into out[*n], 0: none, -1: c->failed is set.
static int poll_one(struct kafka_consumer *c, unsigned ms, struct kafka_message *out, long *n)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, (int)ms);
    if (c->revoked) {
        // What was polled in this call belongs to the next owner, who reads it again.
        *n = 0;
        c->revoked = false;
    }
    if (m)
        c->held[c->nheld++] = m;
    if (c->failed.code)
        return -1;
    if (!m || is_harmless(m->err))
        return m ? 1 : 0;
    if (m->err)
        return message_err(m, &c->failed);
    if (take(c, m, &out[*n], &c->failed))
        return -1;
    ++*n;
    return 1;
}

long kafka_consumer_poll(struct kafka_consumer *c, unsigned ms, struct kafka_message *out,
                         size_t max, struct err *e)
{
    long n = 0;
    int got = c->failed.code ? -1 : 1;
    release(c);
    c->revoked = false;
    while (got > 0 && (size_t)n < max && c->nheld < BATCH_MAX)
        got = poll_one(c, n ? 0 : ms, out, &n);
    if (n > 0 || !c->failed.code)
        return n; // an error behind good messages waits for the next call
    if (e)
        *e = c->failed;
    err_clear(&c->failed);
    return -1;
}

static rd_kafka_topic_partition_list_t *one(const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    if (list)
        rd_kafka_topic_partition_list_add(list, topic, partition);
    return list;
}

int kafka_consumer_seek(struct kafka_consumer *c, const char *topic, int32_t partition,
                        int64_t next, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = one(topic, partition);
    if (!list)
        return err_memory(e);
    list->elems[0].offset = next < 0 ? RD_KAFKA_OFFSET_BEGINNING : next;
    rd_kafka_error_t *error = rd_kafka_seek_partitions(c->rk, list, 5000);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : list->elems[0].err;
    if (error)
        rd_kafka_error_destroy(error);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "seeking") : 0;
}

int kafka_consumer_pause(struct kafka_consumer *c, const char *topic, int32_t partition, bool pause,
                         struct err *e)
{
    rd_kafka_topic_partition_list_t *list = one(topic, partition);
    if (!list)
        return err_memory(e);
    rd_kafka_resp_err_t code = pause ? rd_kafka_pause_partitions(c->rk, list)
                                     : rd_kafka_resume_partitions(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "pausing") : 0;
}

int kafka_watermarks(struct kafka_consumer *c, const char *topic, int32_t partition, int64_t *low,
                     int64_t *high, unsigned ms, struct err *e)
{
    rd_kafka_resp_err_t code = ms ? rd_kafka_query_watermark_offsets(c->rk, topic, partition, low,
                                                                     high, (int)ms)
                                  : rd_kafka_get_watermark_offsets(c->rk, topic, partition, low,
                                                                   high);
    return code ? kafka_err(e, code, "asking for watermarks") : 0;
}
