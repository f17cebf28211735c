// SPDX-License-Identifier: Apache-2.0
// Kafka's producer, consumer and topics against the broker named by FICUS_TEST_KAFKA.
#include "base/clock.h"
#include "connectors/kafka/kafka.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WAIT_MS 30000
#define PARTS   4

static struct kafka_options options;
static unsigned serial;

// A topic, a producer, and where each partition's sink stands.
struct fixture {
    char topic[2][64], group[64];
    struct kafka_producer *p;
    uint64_t ticket;
    int64_t next[2][PARTS];
};

// A consumer and what its callbacks saw.
struct reader {
    struct fixture *f;
    struct kafka_consumer *c;
    unsigned assigned, revoked;
    bool mine[2][PARTS];
    bool refuse;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    snprintf(f->topic[0], sizeof f->topic[0], "test-%d-%u-a", (int)getpid(), ++serial);
    snprintf(f->topic[1], sizeof f->topic[1], "test-%d-%u-b", (int)getpid(), serial);
    snprintf(f->group, sizeof f->group, "group-%d-%u", (int)getpid(), serial);
    struct kafka_topic t[] = {{f->topic[0], PARTS, 1, false}, {f->topic[1], PARTS, 1, false}};
    if (kafka_topics_ensure(&options, t, 2, &e) || kafka_producer_create(&options, &f->p, &e))
        fail_msg("%s", e.msg);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kafka_producer_destroy(f->p);
    free(f);
    return 0;
}

static void produce(struct fixture *f, int topic, int32_t partition, struct str key,
                    struct str value)
{
    struct err e = {0};
    if (kafka_produce(f->p, f->topic[topic], partition, key, value, NULL, 0, ++f->ticket, &e))
        fail_msg("%s", e.msg);
}

static void flush(struct fixture *f)
{
    struct err e = {0};
    if (kafka_producer_flush(f->p, WAIT_MS, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(kafka_producer_confirmed(f->p), f->ticket);
    assert_int_equal(kafka_producer_in_flight(f->p), 0);
}

static void produce_numbers(struct fixture *f, int topic, int32_t partition, int from, int to)
{
    char text[16];
    for (int i = from; i < to; i++) {
        snprintf(text, sizeof text, "%d", i);
        produce(f, topic, partition, STR("k"), str_of(text));
    }
}

static int topic_of(const struct fixture *f, const char *name)
{
    if (strcmp(name, f->topic[0]) == 0)
        return 0;
    assert_string_equal(name, f->topic[1]);
    return 1;
}

static int on_assign(void *ctx, struct kafka_assignment *parts, size_t n, struct err *e)
{
    struct reader *r = ctx;
    r->assigned++;
    for (size_t i = 0; i < n; i++) {
        int t = topic_of(r->f, parts[i].topic);
        parts[i].next = r->f->next[t][parts[i].partition];
        r->mine[t][parts[i].partition] = true;
    }
    return r->refuse ? err_set(e, ERR_UNREACHABLE, "the sink is away") : 0;
}

static void on_revoke(void *ctx, const struct kafka_assignment *parts, size_t n)
{
    struct reader *r = ctx;
    r->revoked++;
    for (size_t i = 0; i < n; i++)
        r->mine[topic_of(r->f, parts[i].topic)][parts[i].partition] = false;
}

static void reader_open(struct reader *r, struct fixture *f, size_t ntopics)
{
    struct err e = {0};
    const char *topics[] = {f->topic[0], f->topic[1]};
    r->f = f;
    struct kafka_consumer_options o = {.kafka = options,
                                       .group = f->group,
                                       .topics = topics,
                                       .ntopics = ntopics,
                                       .on_assign = on_assign,
                                       .on_revoke = on_revoke,
                                       .ctx = r};
    if (kafka_consumer_create(&o, &r->c, &e))
        fail_msg("%s", e.msg);
}

// Polls once; counts each message as applied: it must be the very next of its partition.
static long take(struct reader *r, struct kafka_message *m, size_t max, unsigned ms)
{
    struct err e = {0};
    long n = kafka_consumer_poll(r->c, ms, m, max, &e);
    if (n < 0)
        fail_msg("%s", e.msg);
    for (long i = 0; i < n; i++) {
        int t = topic_of(r->f, m[i].topic);
        assert_true(r->mine[t][m[i].partition]);
        assert_int_equal(m[i].offset, r->f->next[t][m[i].partition]);
        r->f->next[t][m[i].partition]++;
    }
    return n;
}

static void take_total(struct reader *r, long total)
{
    struct kafka_message m[64];
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (total > 0) {
        total -= take(r, m, 64, 100);
        assert_true(clock_mono_ms() < end);
    }
    assert_int_equal(total, 0);
    assert_int_equal(take(r, m, 64, 300), 0);
}

static enum err_code poll_fails(struct reader *r, char *text, size_t size)
{
    struct kafka_message m[8];
    struct err e = {0};
    uint64_t end = clock_mono_ms() + WAIT_MS;
    long n;
    while ((n = kafka_consumer_poll(r->c, 100, m, 8, &e)) == 0)
        assert_true(clock_mono_ms() < end);
    assert_int_equal(n, -1);
    snprintf(text, size, "%s", e.msg);
    return e.code;
}

static void messages_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    struct kafka_message m[8];
    struct err e = {0};
    struct kafka_header h[] = {{"a", STR("1")}, {"empty", STR("")}, {"a", STR("2")}};
    long got = 0;
    assert_int_equal(kafka_produce(f->p, f->topic[0], 2, STR("key"), STR("value"), h, 3, 1, &e), 0);
    assert_int_equal(
        kafka_produce(f->p, f->topic[0], 2, STR("key"), (struct str){0}, NULL, 0, 2, &e), 0);
    assert_int_equal(kafka_produce(f->p, f->topic[0], 2, STR("k\0y"), STR(""), NULL, 0, 3, &e), 0);
    f->ticket = 3;
    flush(f);
    reader_open(&r, f, 1);
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (got < 3 && clock_mono_ms() < end) {
        long n = take(&r, m, 1, 100);
        if (n == 0)
            continue;
        assert_int_equal(m[0].partition, 2);
        assert_true(m[0].timestamp_ms > 1600000000000);
        if (got == 0) {
            assert_true(str_eqz(m[0].key, "key") && str_eqz(m[0].value, "value"));
            assert_int_equal(m[0].nheaders, 3);
            assert_string_equal(m[0].headers[2].name, "a");
            assert_true(str_eqz(m[0].headers[2].value, "2"));
            assert_int_equal(m[0].headers[1].value.len, 0);
        } else if (got == 1) {
            assert_null(m[0].value.data); // a tombstone
        } else {
            assert_int_equal(m[0].key.len, 3);
            assert_non_null(m[0].value.data); // empty is not a tombstone
            assert_int_equal(m[0].value.len, 0);
        }
        got++;
    }
    assert_int_equal(got, 3);
    kafka_consumer_destroy(r.c);
}

static void a_key_has_one_partition(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    struct kafka_message m[64];
    char key[16];
    long got = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        produce(f, 0, -1, str_of(key), STR("v"));
    }
    flush(f);
    reader_open(&r, f, 1);
    while (got < 50) {
        long n = take(&r, m, 64, 1000);
        for (long i = 0; i < n; i++)
            assert_int_equal(m[i].partition, kafka_partition_of(m[i].key, PARTS));
        got += n;
    }
    kafka_consumer_destroy(r.c);
}

static void a_long_message_passes(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    size_t n = 20u << 20;
    char *big = malloc(n);
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < n; i += 8) { // does not compress
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(big + i, &x, 8);
    }
    produce(f, 0, 0, STR("k"), str_n(big, n));
    produce(f, 0, 0, STR("k"), STR("next"));
    flush(f);
    reader_open(&r, f, 1);
    take_total(&r, 2);
    kafka_consumer_destroy(r.c);
    free(big);
}

static void reading_begins_where_the_sink_stands(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    struct err e = {0};
    produce_numbers(f, 0, 1, 0, 100);
    flush(f);
    f->next[0][1] = 60;
    reader_open(&r, f, 1);
    take_total(&r, 40);
    f->next[0][1] = 95; // the sink's transaction failed
    assert_int_equal(kafka_consumer_seek(r.c, f->topic[0], 1, 95, &e), 0);
    take_total(&r, 5);
    // A paused partition is silent; the others are not.
    assert_int_equal(kafka_consumer_pause(r.c, f->topic[0], 1, true, &e), 0);
    produce_numbers(f, 0, 1, 0, 5);
    produce_numbers(f, 0, 2, 0, 5);
    flush(f);
    take_total(&r, 5);
    assert_int_equal(f->next[0][1], 100);
    f->next[0][1] = 90; // sought back while it is paused
    assert_int_equal(kafka_consumer_seek(r.c, f->topic[0], 1, 90, &e), 0);
    struct kafka_message m[8];
    assert_int_equal(take(&r, m, 8, 500), 0);
    assert_int_equal(kafka_consumer_pause(r.c, f->topic[0], 1, false, &e), 0);
    take_total(&r, 15);
    int64_t low, high;
    assert_int_equal(kafka_watermarks(r.c, f->topic[0], 1, &low, &high, 5000, &e), 0);
    assert_int_equal(low, 0);
    assert_int_equal(high, 105);
    kafka_consumer_destroy(r.c);
}

static void a_position_past_the_end_is_stale(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    char text[512];
    produce_numbers(f, 0, 3, 0, 10);
    flush(f);
    f->next[0][3] = 11; // the topic was made anew
    reader_open(&r, f, 1);
    assert_int_equal(poll_fails(&r, text, sizeof text), ERR_STALE);
    assert_non_null(strstr(text, f->topic[0]));
    kafka_consumer_destroy(r.c);
}

static void delete_before(const char *topic, int32_t partition, int64_t offset)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", options.brokers, text, sizeof text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    rd_kafka_DeleteRecords_t *del = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &del, 1, NULL, q);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(q, WAIT_MS);
    assert_non_null(ev);
    assert_int_equal(rd_kafka_event_error(ev), 0);
    rd_kafka_event_destroy(ev);
    rd_kafka_DeleteRecords_destroy(del);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

static void a_position_that_was_deleted_is_stale(void **state)
{
    struct fixture *f = *state;
    struct reader r = {0};
    char text[512];
    produce_numbers(f, 0, 3, 0, 10);
    flush(f);
    delete_before(f->topic[0], 3, 5);
    f->next[0][3] = 4;
    reader_open(&r, f, 1);
    assert_int_equal(poll_fails(&r, text, sizeof text), ERR_STALE);
    assert_non_null(strstr(text, f->topic[0]));
    kafka_consumer_destroy(r.c);
    f->next[0][3] = 5;
    reader_open(&r, f, 1);
    take_total(&r, 5);
    kafka_consumer_destroy(r.c);
}

static void an_assignment_can_be_refused(void **state)
{
    struct fixture *f = *state;
    struct reader r = {.refuse = true};
    char text[512];
    produce_numbers(f, 0, 0, 0, 10);
    flush(f);
    reader_open(&r, f, 1);
    assert_int_equal(poll_fails(&r, text, sizeof text), ERR_UNREACHABLE);
    assert_non_null(strstr(text, "the sink is away"));
    kafka_consumer_destroy(r.c);
    r.refuse = false;
    reader_open(&r, f, 1);
    take_total(&r, 10);
    kafka_consumer_destroy(r.c);
}

// `take` fails on a message that comes twice, is skipped, or belongs to the other member.
static void a_second_member_takes_over_its_share(void **state)
{
    struct fixture *f = *state;
    struct reader a = {0}, b = {0};
    struct kafka_message m[16];
    long total = 0, got = 0;
    reader_open(&a, f, 2);
    produce_numbers(f, 0, 0, 0, 10);
    flush(f);
    while ((got += take(&a, m, 16, 100)) < 10)
        ;
    reader_open(&b, f, 2);
    uint64_t end = clock_mono_ms() + WAIT_MS;
    for (int round = 0; b.assigned == 0 || a.assigned < 2 || a.revoked == 0; round++) {
        for (int t = 0; t < 2; t++)
            for (int p = 0; p < PARTS; p++) {
                produce(f, t, p, STR("k"), STR("v"));
                total++;
            }
        got += take(&a, m, 3, 20) + take(&b, m, 3, 20);
        assert_true(clock_mono_ms() < end);
    }
    flush(f);
    while (got < total + 10) {
        got += take(&a, m, 16, 50) + take(&b, m, 16, 50);
        assert_true(clock_mono_ms() < end);
    }
    assert_int_equal(take(&a, m, 16, 200) + take(&b, m, 16, 200), 0);
    for (int p = 0; p < PARTS; p++) { // equal partitions of both topics are together
        assert_true(a.mine[0][p] != b.mine[0][p]);
        assert_int_equal(a.mine[0][p], a.mine[1][p]);
    }
    kafka_consumer_destroy(a.c);
    while (!b.mine[0][0] || !b.mine[0][PARTS - 1]) {
        take(&b, m, 16, 50);
        assert_true(clock_mono_ms() < end);
    }
    kafka_consumer_destroy(b.c);
}

static void topics_are_created_and_checked(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct kafka_topic same = {f->topic[0], PARTS, 1, false}, other = {f->topic[0], 7, 1, false};
    assert_int_equal(kafka_topic_partitions(&options, f->topic[0], 5000, &e), PARTS);
    assert_int_equal(kafka_topics_ensure(&options, &same, 1, &e), 0);
    assert_int_equal(kafka_topics_ensure(&options, &other, 1, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_int_equal(kafka_topic_partitions(&options, "test-nosuch", 5000, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    struct kafka_topic bad = {"no blanks allowed", 1, 1, false};
    assert_int_equal(kafka_topics_ensure(&options, &bad, 1, &e), -1);
}

static void a_broker_that_is_away_is_unreachable(void **state)
{
    struct kafka_options away = options;
    struct err e = {0};
    (void)state;
    away.brokers = "127.0.0.1:1";
    uint64_t start = clock_mono_ms();
    assert_int_equal(kafka_topic_partitions(&away, "x", 500, &e), -1);
    assert_int_equal(e.code, ERR_UNREACHABLE);
    struct kafka_producer *p;
    assert_int_equal(kafka_producer_create(&away, &p, &e), 0);
    assert_int_equal(kafka_produce(p, "x", 0, STR("k"), STR("v"), NULL, 0, 1, &e), 0);
    assert_int_equal(kafka_producer_flush(p, 300, &e), -1);
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_int_equal(kafka_producer_confirmed(p), 0);
    kafka_producer_destroy(p);
    const char *topics[] = {"x"};
    struct reader r = {0};
    struct kafka_consumer_options o = {.kafka = away,
                                       .group = "g",
                                       .topics = topics,
                                       .ntopics = 1,
                                       .on_assign = on_assign,
                                       .on_revoke = on_revoke,
                                       .ctx = &r};
    assert_int_equal(kafka_consumer_create(&o, &r.c, &e), 0);
    kafka_consumer_destroy(r.c);
    assert_true(clock_mono_ms() - start < 10000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(messages_come_back_as_they_went),
        T(a_key_has_one_partition),
        T(a_long_message_passes),
        T(reading_begins_where_the_sink_stands),
        T(a_position_past_the_end_is_stale),
        T(a_position_that_was_deleted_is_stale),
        T(an_assignment_can_be_refused),
        T(a_second_member_takes_over_its_share),
        T(topics_are_created_and_checked),
        cmocka_unit_test(a_broker_that_is_away_is_unreachable),
    };
    options.brokers = getenv("FICUS_TEST_KAFKA");
    if (!options.brokers) {
        fputs("FICUS_TEST_KAFKA names no broker\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
