// SPDX-License-Identifier: Apache-2.0
// Topics: creating what is missing, looking at what is there. Each call has a client of its
// own and blocks for seconds at most. Thread: any.
#include "connectors/kafka/kafka_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ADMIN_MS 15000

static rd_kafka_t *admin_open(const struct kafka_options *o, struct err *e)
{
    char text[256];
    rd_kafka_conf_t *conf = kafka_conf(o, e);
    if (!conf)
        return NULL;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        err_set(e, ERR_CONFIG, "Kafka: admin client: %.200s", text);
    }
    return rk;
}

// Partitions of a topic; 0: there is none; -1: error.
static int partitions_of(rd_kafka_t *rk, const char *topic, unsigned ms, struct err *e)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    int n = 0;
    if (!t)
        return kafka_err(e, rd_kafka_last_error(), "topic");
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, t, &md, (int)ms);
    rd_kafka_topic_destroy(t);
    if (code)
        return kafka_err(e, code, "asking for metadata");
    for (int i = 0; i < md->topic_cnt; i++) {
        if (strcmp(md->topics[i].topic, topic) != 0)
            continue;
        rd_kafka_resp_err_t te = md->topics[i].err;
        if (te == RD_KAFKA_RESP_ERR_NO_ERROR || te == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
            n = md->topics[i].partition_cnt;
        else if (te != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            n = kafka_err(e, te, topic);
    }
    rd_kafka_metadata_destroy(md);
    return n;
}

int kafka_topic_partitions(const struct kafka_options *o, const char *topic, unsigned ms,
                           struct err *e)
{
    rd_kafka_t *rk = admin_open(o, e);
    int n = rk ? partitions_of(rk, topic, ms, e) : -1;
    if (rk)
        rd_kafka_destroy(rk);
    if (n == 0)
        return err_set(e, ERR_NOT_FOUND, "Kafka: no topic %s", topic);
    return n;
}

static int check_result(rd_kafka_event_t *ev, struct err *e)
{
    size_t n;
    if (!ev)
        return err_set(e, ERR_UNREACHABLE, "Kafka: creating topics was not answered");
    if (rd_kafka_event_error(ev))
        return kafka_err(e, rd_kafka_event_error(ev), "creating topics");
    const rd_kafka_CreateTopics_result_t *r = rd_kafka_event_CreateTopics_result(ev);
    const rd_kafka_topic_result_t **topics = rd_kafka_CreateTopics_result_topics(r, &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[i]);
        if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return kafka_err(e, code, rd_kafka_topic_result_name(topics[i]));
    }
    return 0;
}

static rd_kafka_NewTopic_t *describe(const struct kafka_topic *t, struct err *e)
{
    char text[256], max[24];
    rd_kafka_NewTopic_t *nt = rd_kafka_NewTopic_new(t->name, (int)t->partitions,
                                                    (int)t->replication, text, sizeof text);
    if (!nt) {
        err_set(e, ERR_CONFIG, "Kafka: topic %s: %.200s", t->name, text);
        return NULL;
    }
    snprintf(max, sizeof max, "%u", KAFKA_MESSAGE_MAX);
    rd_kafka_NewTopic_set_config(nt, "max.message.bytes", max);
    rd_kafka_NewTopic_set_config(nt, "cleanup.policy", t->compact ? "compact" : "delete");
    return nt;
}

static int create(rd_kafka_t *rk, const struct kafka_topic *const *topics, size_t n, struct err *e)
{
    rd_kafka_NewTopic_t **list = calloc(n, sizeof *list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    int result = list && queue ? 0 : err_memory(e);
    for (size_t i = 0; i < n && result == 0; i++)
        result = (list[i] = describe(topics[i], e)) ? 0 : -1;
    if (result == 0) {
        rd_kafka_CreateTopics(rk, list, n, NULL, queue);
        rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, ADMIN_MS);
        result = check_result(ev, e);
        if (ev)
            rd_kafka_event_destroy(ev);
    }
    for (size_t i = 0; list && i < n; i++)
        if (list[i])
            rd_kafka_NewTopic_destroy(list[i]);
    free(list);
    if (queue)
        rd_kafka_queue_destroy(queue);
    return result;
}

int kafka_topics_ensure(const struct kafka_options *o, const struct kafka_topic *topics, size_t n,
                        struct err *e)
{
    rd_kafka_t *rk = admin_open(o, e);
    const struct kafka_topic **missing = calloc(n ? n : 1, sizeof *missing);
    size_t nmissing = 0;
    int result = rk ? 0 : -1;
    if (rk && !missing)
        result = err_memory(e);
    for (size_t i = 0; i < n && result == 0; i++) {
        int have = partitions_of(rk, topics[i].name, ADMIN_MS, e);
        if (have == 0)
            missing[nmissing++] = &topics[i];
        else if (have < 0)
            result = -1;
        else if ((unsigned)have != topics[i].partitions)
            result = err_set(e, ERR_CONFIG,
                             "Kafka: topic %s has %d partitions, kafka.partitions says %u; keys"
                             " would move: set kafka.partitions to %d",
                             topics[i].name, have, topics[i].partitions, have);
    }
    if (result == 0 && nmissing > 0)
        result = create(rk, missing, nmissing, e);
    free(missing);
    if (rk)
        rd_kafka_destroy(rk);
    return result;
}
