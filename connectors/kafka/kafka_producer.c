// SPDX-License-Identifier: Apache-2.0
// Idempotent producer with acks=all. Tickets ascend in the order of kafka_produce; delivery
// reports may come in any order across partitions, so the confirmed ticket is the end of the
// unbroken run, kept in a ring of bits over what is in flight. One thread.
#include "connectors/kafka/kafka_int.h"

#include "base/clock.h"

#include <stdlib.h>

#define IN_FLIGHT_MAX (1u << 18) // messages; a power of two

struct kafka_producer {
    rd_kafka_t *rk;
    uint64_t *tickets;    // ring: ticket of message number i
    unsigned char *done;  // ring: delivered
    uint64_t first, next; // message numbers: oldest unconfirmed, next to produce
    uint64_t confirmed;   // ticket
    int32_t failed;       // rd_kafka_resp_err_t of the first final failure
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct kafka_producer *p = opaque;
    uint64_t number = (uint64_t)(uintptr_t)m->_private;
    (void)rk;
    if (m->err) {
        if (!p->failed && m->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
            m->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
            p->failed = m->err;
        return;
    }
    p->done[number % IN_FLIGHT_MAX] = 1;
    while (p->first < p->next && p->done[p->first % IN_FLIGHT_MAX]) {
        p->done[p->first % IN_FLIGHT_MAX] = 0;
        p->confirmed = p->tickets[p->first % IN_FLIGHT_MAX];
        p->first++;
    }
}

static int configure(rd_kafka_conf_t *conf, struct err *e)
{
    static const char *const pairs[][2] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"compression.codec", "lz4"},
        {"linger.ms", "0"},
        {"partitioner", "murmur2_random"}, // as kafka_partition_of
        {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "262144"},
        {"queue.buffering.max.kbytes", "131072"},
        {"message.timeout.ms", "0"}, // waits for the broker; the caller has the deadlines
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (kafka_conf_set(conf, pairs[i][0], pairs[i][1], e))
            return -1;
    return 0;
}

int kafka_producer_create(const struct kafka_options *o, struct kafka_producer **out, struct err *e)
{
    char text[256];
    rd_kafka_conf_t *conf = kafka_conf(o, e);
    struct kafka_producer *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!conf || configure(conf, e))
        goto fail;
    if (p) {
        p->tickets = calloc(IN_FLIGHT_MAX, sizeof *p->tickets);
        p->done = calloc(IN_FLIGHT_MAX, 1);
    }
    if (!p || !p->tickets || !p->done) {
        err_memory(e);
        goto fail;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, p);
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!p->rk) {
        err_set(e, ERR_CONFIG, "Kafka: producer: %.200s", text);
        goto fail;
    }
    *out = p;
    return 0;
fail:
    if (conf)
        rd_kafka_conf_destroy(conf);
    kafka_producer_destroy(p);
    return -1;
}

void kafka_producer_destroy(struct kafka_producer *p)
{
    if (!p)
        return;
    if (p->rk) {
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(p->rk, 0);
        rd_kafka_destroy(p->rk);
    }
    free(p->tickets);
    free(p->done);
    free(p);
}

static rd_kafka_headers_t *copy_headers(const struct kafka_header *headers, size_t n)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(n);
    for (size_t i = 0; h && i < n; i++)
        if (rd_kafka_header_add(h, headers[i].name, -1, headers[i].value.data,
                                (ssize_t)headers[i].value.len)) {
            rd_kafka_headers_destroy(h);
            return NULL;
        }
    return h;
}

int kafka_produce(struct kafka_producer *p, const char *topic, int32_t partition, struct str key,
                  struct str value, const struct kafka_header *headers, size_t nheaders,
                  uint64_t ticket, struct err *e)
{
    if (p->next - p->first >= IN_FLIGHT_MAX)
        return err_set(e, ERR_BUSY, "Kafka: %u messages are not acknowledged yet", IN_FLIGHT_MAX);
    rd_kafka_headers_t *h = nheaders ? copy_headers(headers, nheaders) : NULL;
    if (nheaders && !h)
        return err_memory(e);
    p->tickets[p->next % IN_FLIGHT_MAX] = ticket;
    p->done[p->next % IN_FLIGHT_MAX] = 0;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        p->rk, RD_KAFKA_V_TOPIC(topic),
        RD_KAFKA_V_PARTITION(partition < 0 ? RD_KAFKA_PARTITION_UA : partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY((void *)key.data, key.len),
        RD_KAFKA_V_VALUE((void *)value.data, value.len), RD_KAFKA_V_HEADERS(h),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)p->next), RD_KAFKA_V_END);
    if (code) {
        if (h)
            rd_kafka_headers_destroy(h);
        return kafka_err(e, code, "producing");
    }
    p->next++;
    return 0;
}

int kafka_producer_poll(struct kafka_producer *p, unsigned ms, struct err *e)
{
    char text[256];
    rd_kafka_poll(p->rk, (int)ms);
    if (p->failed)
        return kafka_err(e, p->failed, "a message was given up");
    if (rd_kafka_fatal_error(p->rk, text, sizeof text))
        return err_set(e, ERR_INTERNAL, "Kafka: the producer cannot go on: %.200s", text);
    return 0;
}

uint64_t kafka_producer_confirmed(const struct kafka_producer *p)
{
    return p->confirmed;
}

unsigned kafka_producer_in_flight(const struct kafka_producer *p)
{
    return (unsigned)(p->next - p->first);
}

int kafka_producer_flush(struct kafka_producer *p, unsigned ms, struct err *e)
{
    uint64_t end = clock_mono_ms() + ms;
    while (kafka_producer_in_flight(p) > 0) {
        if (kafka_producer_poll(p, 10, e))
            return -1;
        if (clock_mono_ms() > end)
            return err_set(e, ERR_TIMEOUT, "Kafka: %u messages were not acknowledged in %u ms",
                           kafka_producer_in_flight(p), ms);
    }
    return 0;
}
