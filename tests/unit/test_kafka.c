// SPDX-License-Identifier: Apache-2.0
// The partitioner against Kafka's own values, and the producer against a broker that errs:
// librdkafka's mock cluster, which answers what it is told to.
#include "base/clock.h"
#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

#define WAIT_MS 30000
#define PRODUCE 0 // Kafka's number of the Produce request

struct fixture {
    rd_kafka_t *rk; // hosts the cluster
    rd_kafka_t *looker;
    rd_kafka_mock_cluster_t *cluster;
    struct kafka_options o;
    struct kafka_producer *p;
};

static rd_kafka_t *client(const char *brokers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, NULL);
    if (brokers)
        assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text),
                         RD_KAFKA_CONF_OK);
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
}

static int setup(void **state)
{
    struct err e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    f->rk = client(NULL);
    assert_non_null(f->rk);
    f->cluster = rd_kafka_mock_cluster_new(f->rk, 1);
    assert_non_null(f->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "t", 2, 1), 0);
    f->o.brokers = rd_kafka_mock_cluster_bootstraps(f->cluster);
    f->looker = client(f->o.brokers);
    assert_non_null(f->looker);
    assert_int_equal(kafka_producer_create(&f->o, &f->p, &e), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kafka_producer_destroy(f->p);
    rd_kafka_destroy(f->looker);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
    free(f);
    return 0;
}

static void produce(struct fixture *f, uint64_t from, uint64_t to)
{
    struct err e = {0};
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(
            kafka_produce(f->p, "t", (int32_t)(i % 2), STR("k"), STR("v"), NULL, 0, i, &e), 0);
}

static int64_t written(struct fixture *f)
{
    int64_t low, high, sum = 0;
    for (int32_t p = 0; p < 2; p++) {
        assert_int_equal(rd_kafka_query_watermark_offsets(f->looker, "t", p, &low, &high, WAIT_MS),
                         0);
        sum += high;
    }
    return sum;
}

// The values of org.apache.kafka.common.utils.UtilsTest.
static void keys_go_where_kafkas_own_clients_send_them(void **state)
{
    static const struct {
        const char *key;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(kafka_partition_of(str_of(known[i].key), INT32_MAX),
                         ((uint32_t)known[i].hash & 0x7fffffff) % INT32_MAX);
    assert_int_equal(kafka_partition_of(STR("any"), 1), 0);
}

static void errors_in_passing_are_tried_again(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    rd_kafka_mock_push_request_errors(
        f->cluster, PRODUCE, 5, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    produce(f, 1, 101);
    if (kafka_producer_flush(f->p, WAIT_MS, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(kafka_producer_confirmed(f->p), 100);
    assert_int_equal(written(f), 100);
}

static void nothing_is_confirmed_while_the_broker_is_away(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    produce(f, 1, 11);
    assert_int_equal(kafka_producer_flush(f->p, WAIT_MS, &e), 0);
    rd_kafka_mock_broker_set_down(f->cluster, 1);
    produce(f, 11, 21);
    assert_int_equal(kafka_producer_flush(f->p, 300, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_int_equal(kafka_producer_confirmed(f->p), 10);
    assert_int_equal(kafka_producer_in_flight(f->p), 10);
    rd_kafka_mock_broker_set_up(f->cluster, 1);
    if (kafka_producer_flush(f->p, WAIT_MS, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(kafka_producer_confirmed(f->p), 20);
    assert_int_equal(written(f), 20);
}

static void a_final_failure_is_told_and_not_skipped(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    produce(f, 1, 3);
    assert_int_equal(kafka_producer_flush(f->p, WAIT_MS, &e), 0);
    rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(kafka_produce(f->p, "t", 0, STR("k"), STR("v"), NULL, 0, 3, &e), 0);
    assert_int_equal(kafka_producer_flush(f->p, WAIT_MS, &e), -1);
    assert_int_equal(e.code, ERR_DENIED);
    assert_int_equal(kafka_producer_confirmed(f->p), 2);
    assert_int_equal(kafka_producer_poll(f->p, 0, &e), -1); // and again, until it is destroyed
    assert_int_equal(kafka_producer_confirmed(f->p), 2);
}

static void too_long_a_message_is_a_limit(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    size_t n = 33u << 20;
    char *big = calloc(1, n);
    assert_int_equal(kafka_produce(f->p, "t", 0, STR("k"), str_n(big, n), NULL, 0, 1, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(kafka_producer_in_flight(f->p), 0);
    free(big);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_go_where_kafkas_own_clients_send_them),
        T(errors_in_passing_are_tried_again),
        T(nothing_is_confirmed_while_the_broker_is_away),
        T(a_final_failure_is_told_and_not_skipped),
        T(too_long_a_message_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
