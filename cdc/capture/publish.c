// SPDX-License-Identifier: Apache-2.0
// From change to broker. Owns the producer, the encode buffers and the ring of marks that turns
// acknowledged tickets into positions of the source.
#include "cdc/capture/publish.h"

#include "base/clock.h"
#include "cdc/event/cloudevent.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC_WAIT_MS 10000

static int ensure_topics(struct sync *s, enum side side, struct err *e)
{
    struct kafka_topic *t = calloc(s->nentities, sizeof *t);
    size_t n = 0;
    if (!t)
        return err_memory(e);
    for (size_t i = 0; i < s->nentities; i++)
        if (!s->streams[side][i].foreign_topic)
            t[n++] = (struct kafka_topic){s->streams[side][i].topic, s->partitions,
                                          (unsigned)conf_int(s->conf, "kafka.replication"), false};
    int result = kafka_topics_ensure(&s->kafka, t, n, e);
    free(t);
    return result;
}

// A topic made just now may take a moment to show up in the metadata.
static int count_partitions(struct sync *s, const char *topic, int *out, struct err *e)
{
    uint64_t until = clock_mono_ms() + TOPIC_WAIT_MS;
    for (;;) {
        struct err why = {0};
        *out = kafka_topic_partitions(&s->kafka, topic, 5000, &why);
        if (*out > 0)
            return 0;
        if (why.code != ERR_NOT_FOUND || clock_mono_ms() > until || sync_stopping(s)) {
            *e = why;
            return *out == 0 ? err_set(e, ERR_UNREACHABLE, "topic %s has no partitions", topic)
                             : -1;
        }
        sync_pause(s, 50);
    }
}

static int make_schemas(struct publisher *p, struct err *e)
{
    const struct sync *s = p->sync;
    if (strcmp(conf_str(s->conf, "kafka.schema"), "on") != 0)
        return 0;
    if (!(p->schemas = calloc(s->nentities + 1, sizeof *p->schemas)))
        return err_memory(e);
    for (size_t i = 0; i < s->nentities; i++)
        if (event_schema_make(&p->schemas[i], s->entities[i], s->streams[p->side][i].topic, e))
            return -1;
    return 0;
}

void publisher_term(struct publisher *p, long long term)
{
    snprintf(p->term, sizeof p->term, "%lld", term);
}

int publisher_open(struct publisher *p, struct sync *s, enum side side, long long term,
                   uint64_t published, struct err *e)
{
    *p = (struct publisher){.sync = s, .side = side, .published = published};
    publisher_term(p, term);
    p->partitions = calloc(s->nentities, sizeof *p->partitions);
    p->cloudevents = strcmp(conf_str(s->conf, "kafka.cloudevents"), "on") == 0;
    if (!p->partitions)
        return err_memory(e);
    if (make_schemas(p, e))
        return -1;
    if (ensure_topics(s, side, e) || kafka_producer_create(&s->kafka, &p->producer, e))
        return -1;
    for (size_t i = 0; i < s->nentities; i++) // of a foreign topic: 0, it gets no marker
        if (!s->streams[side][i].foreign_topic &&
            count_partitions(s, s->streams[side][i].topic, &p->partitions[i], e))
            return -1;
    return 0;
}

void publisher_close(struct publisher *p)
{
    kafka_producer_destroy(p->producer);
    p->producer = NULL;
    free(p->partitions);
    p->partitions = NULL;
    buf_free(&p->key);
    buf_free(&p->value);
    buf_free(&p->foreign);
    buf_free(&p->sent_key);
    for (size_t i = 0; p->schemas && i < p->sync->nentities; i++)
        event_schema_free(&p->schemas[i]);
    free(p->schemas);
    p->schemas = NULL;
}

static int produce(struct publisher *p, size_t entity, int32_t partition, struct str value,
                   const struct kafka_header *h, size_t nh, struct err *e)
{
    const char *topic = p->sync->streams[p->side][entity].topic;
    struct str key = buf_str(&p->key);
    if (p->schemas) {
        buf_reset(&p->sent_key);
        if (event_wrap_key(&p->schemas[entity], key, &p->sent_key, e))
            return -1;
        key = buf_str(&p->sent_key);
    }
    for (;;) {
        struct err full = {0};
        if (kafka_produce(p->producer, topic, partition, key, value, h, nh, p->ticket + 1, &full) ==
            0) {
            p->ticket++;
            return 0;
        }
        if (full.code != ERR_BUSY) {
            *e = full;
            return -1;
        }
        if (sync_stopping(p->sync))
            return err_set(e, ERR_CANCELLED, "stopping");
        if (publisher_poll(p, 10, e))
            return -1;
    }
}

int publish_change(struct publisher *p, size_t entity, const struct change *c, struct err *e)
{
    struct stream_stat *st = &p->sync->streams[p->side][entity];
    struct cloudevent ce;
    struct kafka_header h[3 + CLOUDEVENT_HEADERS] = {{"ficus-term", str_of(p->term)},
                                                     {"ficus-origin", str_of(side_name(p->side))}};
    size_t nh = 2;
    if (st->foreign_topic)
        return err_set(e, ERR_CONFIG, "topic %s is its connector's, nothing is written to it",
                       st->topic);
    buf_reset(&p->key);
    buf_reset(&p->value);
    buf_reset(&p->foreign);
    if (event_encode(c, p->sync->prefix, &p->key, &p->value, &p->foreign,
                     p->schemas ? &p->schemas[entity] : NULL, e))
        return -1;
    int32_t partition = kafka_partition_of(buf_str(&p->key), p->partitions[entity]);
    if (p->foreign.len)
        h[nh++] = (struct kafka_header){"ficus-foreign", buf_str(&p->foreign)};
    if (p->cloudevents)
        nh += cloudevent_headers(&ce, c, p->sync->prefix, p->term, p->ticket + 1, h + nh);
    if (produce(p, entity, partition, buf_str(&p->value), h, nh, e))
        return -1;
    if (c->op == CHANGE_DELETE && produce(p, entity, partition, (struct str){0}, h, 2, e))
        return -1;
    atomic_fetch_add_explicit(&st->captured, 1, memory_order_relaxed);
    metric_add(st->m_captured, 1);
    return 0;
}

int publish_control_to(struct publisher *p, size_t entity, struct str marker, long long through,
                       struct err *e)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", through);
    struct kafka_header h[] = {
        {"ficus-term", str_of(p->term)}, {"ficus-marker", marker}, {"ficus-through", str_of(text)}};
    buf_reset(&p->key);
    event_marker_key(p->sync->entities[entity], &p->key);
    if (buf_check(&p->key, e))
        return -1;
    for (int32_t part = 0; part < p->partitions[entity]; part++)
        if (produce(p, entity, part, (struct str){0}, h, through >= 0 ? 3 : 2, e))
            return -1;
    return 0;
}

int publish_control_in(struct publisher *p, size_t entity, int32_t partition, struct str marker,
                       struct err *e)
{
    struct kafka_header h[] = {{"ficus-term", str_of(p->term)}, {"ficus-marker", marker}};
    buf_reset(&p->key);
    event_marker_key(p->sync->entities[entity], &p->key);
    if (buf_check(&p->key, e))
        return -1;
    return produce(p, entity, partition, (struct str){0}, h, 2, e);
}

int publisher_partition(struct publisher *p, size_t entity, struct str key, int32_t *out,
                        struct err *e)
{
    buf_reset(&p->key);
    if (event_key_json(p->sync->entities[entity], key, &p->key, e))
        return -1;
    *out = kafka_partition_of(buf_str(&p->key), p->partitions[entity]);
    return 0;
}

int publish_control(struct publisher *p, struct str marker, long long through, struct err *e)
{
    for (size_t i = 0; i < p->sync->nentities; i++)
        if (!(p->held && p->held[i]) && publish_control_to(p, i, marker, through, e))
            return -1;
    return 0;
}

static void advance(struct publisher *p)
{
    uint64_t confirmed = kafka_producer_confirmed(p->producer);
    if (confirmed == p->ticket && p->counted != confirmed) { // all that was captured is out
        p->counted = confirmed;
        for (size_t i = 0; i < p->sync->nentities; i++) {
            struct stream_stat *st = &p->sync->streams[p->side][i];
            atomic_store_explicit(&st->published, atomic_load(&st->captured), memory_order_relaxed);
        }
    }
    while (p->nmarks && p->marks[p->first].ticket <= confirmed) {
        p->published = p->marks[p->first].position;
        p->first = (p->first + 1) % PUBLISH_MARKS;
        p->nmarks--;
    }
}

void publisher_mark(struct publisher *p, uint64_t position)
{
    size_t last = (p->first + p->nmarks + PUBLISH_MARKS - 1) % PUBLISH_MARKS;
    struct publish_mark mark = {p->ticket, position};
    if (p->nmarks == PUBLISH_MARKS || (p->nmarks && p->marks[last].ticket == p->ticket)) {
        p->marks[last] = mark; // a later ticket covers an earlier one
    } else {
        p->marks[(p->first + p->nmarks) % PUBLISH_MARKS] = mark;
        p->nmarks++;
    }
    advance(p);
}

int publisher_poll(struct publisher *p, unsigned ms, struct err *e)
{
    if (kafka_producer_poll(p->producer, ms, e))
        return -1;
    advance(p);
    return 0;
}

bool publisher_idle(const struct publisher *p)
{
    return kafka_producer_in_flight(p->producer) == 0;
}
