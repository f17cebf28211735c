// SPDX-License-Identifier: Apache-2.0
// What every Kafka client of ours has in common: connection, security, limits, log lines,
// errors; and the partitioner of Kafka's own clients. Thread: any.
#include "base/log.h"
#include "connectors/kafka/kafka_int.h"

#include <stdio.h>

#define SAY_AGAIN_MS 60000

struct kafka_options kafka_options_of(const struct conf *c)
{
    return (struct kafka_options){.brokers = conf_str(c, "kafka.brokers"),
                                  .security_protocol = conf_str(c, "kafka.security_protocol"),
                                  .sasl_mechanism = conf_str(c, "kafka.sasl_mechanism"),
                                  .sasl_username = conf_str(c, "kafka.sasl_username"),
                                  .sasl_password = conf_str(c, "kafka.sasl_password"),
                                  .ca_file = conf_str(c, "kafka.ssl_ca"),
                                  .certificate_file = conf_str(c, "kafka.ssl_certificate"),
                                  .key_file = conf_str(c, "kafka.ssl_key"),
                                  .key_password = conf_str(c, "kafka.ssl_key_password")};
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    static struct log_limit limit;
    struct log_ctx ctx = {"kafka", NULL, NULL};
    unsigned dropped;
    (void)rk;
    // A broker that is away is reported by who waits for it, once. Why it does not take us is told
    // nowhere else; neither text holds a secret.
    if (level <= 4 && (strstr(text, "uthentication") || strstr(text, "SSL")) &&
        log_allowed(&limit, SAY_AGAIN_MS, &dropped))
        log_warn(&ctx, "%s", text);
    log_debug(&ctx, "%d %s: %s", level, facility, text);
}

int kafka_err(struct err *e, rd_kafka_resp_err_t code, const char *doing)
{
    enum err_code c = ERR_INTERNAL;
    switch (code) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION: c = ERR_UNREACHABLE; break;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: c = ERR_BUSY; break;
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: c = ERR_STALE; break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: c = ERR_NOT_FOUND; break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: c = ERR_LIMIT; break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: c = ERR_DENIED; break;
    default: break;
    }
    return err_set(e, c, "Kafka: %s: %s", doing, rd_kafka_err2str(code));
}

int kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(e, ERR_CONFIG, "Kafka: %s: %.200s", name, text); // never the value
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_options *o, struct err *e)
{
    char max[24];
    snprintf(max, sizeof max, "%u", o->message_max ? o->message_max : KAFKA_MESSAGE_MAX);
    const char *pairs[][2] = {
        {"bootstrap.servers", o->brokers},
        {"client.id", o->client_id ? o->client_id : "ficus"},
        {"message.max.bytes", max},
        {"security.protocol", o->security_protocol},
        {"sasl.mechanism", o->sasl_mechanism},
        {"sasl.username", o->sasl_username},
        {"sasl.password", o->sasl_password},
        {"ssl.ca.location", o->ca_file},
        {"ssl.certificate.location", o->certificate_file},
        {"ssl.key.location", o->key_file},
        {"ssl.key.password", o->key_password},
        {"socket.nagle.disable", "true"},
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "1000"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (pairs[i][1] && *pairs[i][1] && kafka_conf_set(conf, pairs[i][0], pairs[i][1], e))
            return -1;
    return 0;
}

rd_kafka_conf_t *kafka_conf(const struct kafka_options *o, struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) {
        err_memory(e);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (set_all(conf, o, e)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

// murmur2 with Kafka's seed, as org.apache.kafka.common.utils.Utils.murmur2 computes it
// (Austin Appleby's MurmurHash2, public domain algorithm); partition = positive(hash) % n.
int32_t kafka_partition_of(struct str key, int32_t partitions)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = (const unsigned char *)key.data;
    uint32_t h = 0x9747b28cu ^ (uint32_t)key.len;
    size_t left = key.len;
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                     (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (left == 3)
        h ^= (uint32_t)p[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (left >= 1)
        h = (h ^ p[0]) * m;
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return partitions > 0 ? (int32_t)((h & 0x7fffffff) % (uint32_t)partitions) : 0;
}
