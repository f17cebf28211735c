// SPDX-License-Identifier: Apache-2.0
// Events as Debezium's connectors write them: every form that a value takes under their modes, with
// the schema part and without, keys that change, what cannot be read, and what is not an event.
#include "cdc/event/debezium.h"
#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAP(modes)                                                                                 \
    "{\"entity\":\"sample\",\"plural\":\"samples\",\"title\":\"Sample\","                          \
    "\"key\":{\"fields\":[\"id\"]},\"legacy\":{\"root\":\"sample\",\"capture\":{"                  \
    "\"by\":\"debezium\",\"topic\":\"smp.src.sample\"" modes "}},"                                 \
    "\"new\":{\"root\":\"crm.sample\"},\"fields\":{\"id\":{\"type\":\"id\"},"                      \
    "\"title\":{\"type\":\"text\",\"legacy\":\"name\"},"                                           \
    "\"amount\":{\"type\":\"decimal\",\"precision\":26,\"scale\":6},"                              \
    "\"price\":{\"type\":\"float\"},\"qty\":{\"type\":\"integer\",\"bits\":32},"                   \
    "\"big\":{\"type\":\"integer\",\"bits\":64,\"signed\":false},\"flag\":{\"type\":\"boolean\"}," \
    "\"day\":{\"type\":\"date\"},\"made\":{\"type\":\"timestamp\"},"                               \
    "\"made6\":{\"type\":\"timestamp\",\"precision\":6},\"clock\":{\"type\":\"time\"},"            \
    "\"notes\":{\"type\":\"text\"},\"doc\":{\"type\":\"json\"},\"raw\":{\"type\":\"bytes\"}}}"

struct fixture {
    struct entity_set *set;
    const struct entity *en;
    struct arena *a;
    struct event event;
    struct err e;
};

static struct fixture open_map(const char *text)
{
    struct problems p = {0};
    struct str t = str_of(text);
    const char *name = "sample.json";
    struct fixture f = {.set = map_parse(&t, &name, 1, &p), .a = arena_create(0)};
    if (!f.set)
        fail_msg("%s", p.text.data);
    problems_free(&p);
    f.en = entity_find(f.set, STR("sample"));
    return f;
}

static void close_map(struct fixture *f)
{
    arena_destroy(f->a);
    map_destroy(f->set);
}

static int decode(struct fixture *f, const char *key, const char *value)
{
    struct kafka_message m = {.key = str_of(key), .value = value ? str_of(value) : (struct str){0}};
    f->e = (struct err){0};
    return event_decode(f->en, SIDE_LEGACY, &m, f->a, &f->event, &f->e);
}

static void expect(struct fixture *f, const char *field, const char *want)
{
    struct value v = f->event.change.after[entity_field(f->en, str_of(field))->index];
    if (!want) {
        assert_int_equal(v.state, VALUE_NULL);
        return;
    }
    if (v.state != VALUE_SET || !str_eqz(value_str(v), want))
        fail_msg("%s is state %d '%.*s', not '%s'", field, v.state, (int)v.len, v.data, want);
}

#define KEY1 "{\"id\":\"k1\"}"
#define ROW(amount, qty, big, day, made, made6, clock, raw)                                     \
    "{\"id\":\"k1\",\"name\":\"Nord \\u65e5\",\"amount\":" amount ",\"price\":0.1,\"qty\":" qty \
    ",\"big\":" big ",\"flag\":1,\"day\":" day ",\"made\":" made ",\"made6\":" made6            \
    ",\"clock\":" clock ",\"notes\":null,\"doc\":\"{\\\"k\\\": [1, null]}\",\"raw\":" raw       \
    ",\"more\":7}"
#define ENVELOPE(op, before, after, connector)                                          \
    "{\"before\":" before ",\"after\":" after ",\"source\":{\"connector\":\"" connector \
    "\",\"ts_us\":1795426481000001,\"pos\":77},\"op\":\"" op "\",\"ts_ms\":1}"

static void expect_row(struct fixture *f)
{
    expect(f, "id", "k1");
    expect(f, "title", "Nord \xe6\x97\xa5");
    expect(f, "amount", "1234567.891000");
    expect(f, "price", "0.1");
    expect(f, "qty", "-7");
    expect(f, "big", "18446744073709551615");
    expect(f, "flag", "true");
    expect(f, "day", "2024-02-29");
    expect(f, "made", "2024-02-29 23:59:59");
    expect(f, "made6", "2024-02-29 23:59:59.123456");
    expect(f, "clock", "12:34:56");
    expect(f, "notes", NULL);
    expect(f, "doc", "{\"k\":[1,null]}");
    expect(f, "raw", "00ff10");
}

static void defaults(void **state)
{
    struct fixture f = open_map(MAP(""));
    (void)state;
    assert_int_equal(decode(&f, KEY1,
                            ENVELOPE("c", "null",
                                     ROW("\"AR9x+wg4\"", "-7", "-1", "19782", "1709251199000",
                                         "1709251199123456", "45296000000", "\"AP8Q\""),
                                     "mariadb")),
                     0);
    assert_int_equal(f.event.kind, EVENT_CHANGE);
    assert_int_equal(f.event.change.op, CHANGE_CREATE);
    assert_true(str_eqz(f.event.change.key, "k1"));
    assert_int_equal(f.event.change.commit_us, 1795426481000001);
    assert_int_equal(f.event.change.seq, 77);
    assert_int_equal(f.event.foreign.len, 0);
    expect_row(&f);
    close_map(&f);
}

static void text_and_milliseconds(void **state)
{
    struct fixture f = open_map(MAP(",\"decimal\":\"string\",\"time\":\"connect\","
                                    "\"binary\":\"hex\""));
    (void)state;
    assert_int_equal(decode(&f, KEY1,
                            ENVELOPE("u", "null",
                                     ROW("\"1234567.891000\"", "-7", "-1", "19782", "1709251199000",
                                         "1709251199123", "45296000", "\"00ff10\""),
                                     "mysql")),
                     0);
    expect(&f, "amount", "1234567.891000");
    expect(&f, "made6", "2024-02-29 23:59:59.123000"); // cut by the connector, see losses
    expect(&f, "clock", "12:34:56");
    expect(&f, "raw", "00ff10");
    close_map(&f);
}

static void iso_and_double(void **state)
{
    struct fixture f = open_map(MAP(",\"decimal\":\"double\",\"time\":\"isostring\","
                                    "\"binary\":\"base64-url-safe\""));
    (void)state;
    assert_int_equal(
        decode(
            &f, KEY1,
            ENVELOPE("r", "null",
                     ROW("1234567.891", "-7", "-1", "\"2024-02-29Z\"", "\"2024-02-29T23:59:59Z\"",
                         "\"2024-03-01T01:59:59.123456+02:00\"", "\"12:34:56Z\"", "\"AP8Q\""),
                     "postgresql")),
        0);
    assert_int_equal(f.event.change.op, CHANGE_READ);
    expect_row(&f);
    close_map(&f);
}

// SQL Server and Oracle: names in capitals, numbers of any scale, nanoseconds, true and false.
static void other_connectors(void **state)
{
    struct fixture f = open_map(MAP(",\"time\":\"nanoseconds\""));
    (void)state;
    assert_int_equal(
        decode(&f, "{\"ID\":\"k1\"}",
               "{\"before\":null,\"after\":{\"ID\":\"k1\",\"NAME\":\"N\",\"AMOUNT\":{\"scale\":3,"
               "\"value\":\"SZYC0w==\"},\"PRICE\":\"0.5\",\"QTY\":{\"scale\":0,\"value\":\"+Q==\"},"
               "\"BIG\":5,\"FLAG\":true,\"DAY\":19782,\"MADE\":-1,"
               "\"MADE6\":1709251199123456000,\"CLOCK\":45296000000000,\"NOTES\":\"\","
               "\"DOC\":null,\"RAW\":\"\"},\"source\":{\"connector\":\"oracle\",\"ts_ms\":5},"
               "\"op\":\"c\"}"),
        0);
    expect(&f, "amount", "1234567.891000");
    expect(&f, "qty", "-7");
    expect(&f, "big", "5");
    expect(&f, "flag", "true");
    expect(&f, "made6", "2024-02-29 23:59:59.123456");
    expect(&f, "clock", "12:34:56");
    expect(&f, "raw", "");
    close_map(&f);
}

// The schema part says what a number means, whatever the map believes.
static void schema_part(void **state)
{
    struct fixture f = open_map(MAP(",\"decimal\":\"string\",\"time\":\"connect\""));
    (void)state;
#define FIELD(type, name, more, field) \
    "{\"type\":\"" type "\",\"name\":\"" name "\"" more ",\"field\":\"" field "\"}"
    static const char value[] =
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"field\":\"before\"},"
        "{\"type\":\"struct\",\"field\":\"after\",\"fields\":[" FIELD("bytes", "org.apache.kafka.connect.data.Decimal", ",\"parameters\":{\"scale\":\"3\"}", "amount") "," FIELD(
            "int32", "io.debezium.time.Date", "",
            "day") "," FIELD("int64", "io.debezium.time.MicroTimestamp", "",
                             "made") "," FIELD("int64", "io.debezium.time.NanoTimestamp", "",
                                               "made6") "," FIELD("int64",
                                                                  "io.debezium.time.MicroTime", "",
                                                                  "clock") "]}]},\"payload\":" ENVELOPE("u",
                                                                                                        "null",
                                                                                                        ROW("\"SZYC0w==\"",
                                                                                                            "-7",
                                                                                                            "-1",
                                                                                                            "19782",
                                                                                                            "1709251199000000",
                                                                                                            "1709251199123456000",
                                                                                                            "45296000000",
                                                                                                            "\"AP8Q\""),
                                                                                                        "mariadb") "}";
    assert_int_equal(decode(&f, "{\"schema\":{\"type\":\"struct\"},\"payload\":" KEY1 "}", value),
                     0);
    expect_row(&f);
    close_map(&f);
}

static void removal_and_tombstone(void **state)
{
    struct fixture f = open_map(MAP(""));
    (void)state;
    assert_int_equal(decode(&f, KEY1, ENVELOPE("d", "{\"id\":\"k1\"}", "null", "mysql")), 0);
    assert_int_equal(f.event.change.op, CHANGE_DELETE);
    assert_int_equal(decode(&f, KEY1, NULL), 0);
    assert_int_equal(f.event.kind, EVENT_TOMBSTONE);
    close_map(&f);
}

// A TOAST value that did not change is not in the log: never NULL, never a placeholder.
static void unavailable_value(void **state)
{
    struct fixture f = open_map(MAP(""));
    (void)state;
#define ROW_NOTES(notes)                                                                      \
    "{\"id\":\"k1\",\"name\":null,\"amount\":null,\"price\":null,\"qty\":null,\"big\":null,"  \
    "\"flag\":null,\"day\":null,\"made\":null,\"made6\":null,\"clock\":null,\"notes\":" notes \
    ",\"doc\":null,\"raw\":null}"
    assert_int_equal(
        decode(&f, KEY1,
               ENVELOPE("u", "null", ROW_NOTES("\"" DEBEZIUM_UNAVAILABLE "\""), "postgresql")),
        0);
    assert_true(str_eqz(f.event.foreign, "notes:unavailable"));
    assert_int_equal(decode(&f, KEY1,
                            ENVELOPE("u", ROW_NOTES("\"long\""),
                                     ROW_NOTES("\"" DEBEZIUM_UNAVAILABLE "\""), "postgresql")),
                     0);
    assert_int_equal(f.event.foreign.len, 0);
    expect(&f, "notes", "long");
    // A key is never left out of a log; one that is cannot name a row.
#define ROW_ID(id)                                                                           \
    "{\"id\":" id ",\"name\":null,\"amount\":null,\"price\":null,\"qty\":null,\"big\":null," \
    "\"flag\":null,\"day\":null,\"made\":null,\"made6\":null,\"clock\":null,\"notes\":null," \
    "\"doc\":null,\"raw\":null}"
    assert_int_not_equal(
        decode(&f, KEY1,
               ENVELOPE("u", "null", ROW_ID("\"" DEBEZIUM_UNAVAILABLE "\""), "postgresql")),
        0);
    close_map(&f);
}

static void unfit_values(void **state)
{
    struct fixture f = open_map(MAP(""));
    (void)state;
    // -12:34:56, PostgreSQL's infinity, a decimal beyond the precision
    assert_int_equal(
        decode(&f, KEY1,
               ENVELOPE("c", "null",
                        ROW("\"f/////////////////////w==\"", "-7", "-1", "19782",
                            "9223372036825200000", "1709251199123456", "-45296000000", "\"AP8Q\""),
                        "mysql")),
        0);
    assert_non_null(strstr(f.event.foreign.data, "amount:overflow"));
    assert_non_null(strstr(f.event.foreign.data, "made:"));
    assert_non_null(strstr(f.event.foreign.data, "clock:"));
    close_map(&f);
}

static void not_events(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"op\":\"t\"}",
        "{\"op\":\"c\"}",
        "{\"op\":\"c\",\"after\":{}}",
        "{\"op\":\"c\",\"after\":7}",
        ENVELOPE("c", "null", "{\"id\":\"k2\"}", "mysql"),
        ENVELOPE("c", "null", ROW("\"A\"", "1", "1", "1", "1", "1", "1", "\"AP8Q\""), "mysql"),
        ENVELOPE("c", "null", ROW("\"AA==\"", "[]", "1", "1", "1", "1", "1", "\"AP8Q\""), "mysql"),
        ENVELOPE("c", "null",
                 ROW("{\"scale\":99999999,\"value\":\"AA==\"}", "1", "1", "1", "1", "1", "1",
                     "\"AP8Q\""),
                 "mysql"),
    };
    struct fixture f = open_map(MAP(""));
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (decode(&f, KEY1, bad[i]) == 0 || f.e.code != ERR_INVALID)
            fail_msg("taken for an event: %s", bad[i]);
    assert_int_equal(decode(&f, "{}", ENVELOPE("d", "null", "null", "mysql")), -1);
    assert_int_equal(decode(&f, "7", NULL), -1);
    close_map(&f);
}

static void count_loss(void *ctx, const struct field *f, const char *what)
{
    char *said = ctx;
    size_t len = strlen(said);
    assert_true(strlen(what) > 20);
    snprintf(said + len, 200 - len, "%s ", f->name);
}

static void losses_are_named(void **state)
{
    char said[200] = "";
    struct fixture f = open_map(MAP(",\"decimal\":\"double\",\"time\":\"connect\""));
    (void)state;
    debezium_losses(f.en, count_loss, said);
    assert_string_equal(said, "amount made6 clock ");
    close_map(&f);
    f = open_map(MAP(""));
    said[0] = '\0';
    debezium_losses(f.en, count_loss, said);
    assert_string_equal(said, "");
    close_map(&f);
}

static void expect_mistake(const char *text, const char *at, const char *what)
{
    struct problems p = {0};
    struct str t = str_of(text);
    const char *name = "sample.json";
    assert_null(map_parse(&t, &name, 1, &p));
    if (!strstr(p.text.data, at) || !strstr(p.text.data, what))
        fail_msg("%s", p.text.data);
    problems_free(&p);
}

// One topic carries one table: what lives elsewhere is a mistake in the map, named by its place.
static void mistakes_in_maps(void **state)
{
    (void)state;
    expect_mistake(MAP(",\"decimal\":\"exact\""), "/legacy/capture/decimal",
                   "precise string double");
    expect_mistake(
        "{\"entity\":\"sample\",\"plural\":\"samples\",\"title\":\"Sample\","
        "\"key\":{\"fields\":[\"id\"]},\"legacy\":{\"root\":\"sample\",\"extensions\":"
        "[{\"table\":\"sample_cstm\",\"key\":\"id_c\"}],\"capture\":{"
        "\"by\":\"debezium\",\"topic\":\"t\"}},\"new\":{\"root\":\"crm.sample\"},"
        "\"fields\":{\"id\":{\"type\":\"id\"},"
        "\"x\":{\"type\":\"text\",\"legacy\":{\"extension\":\"sample_cstm\",\"column\":\"x_c\"}}}}",
        "/fields/x", "outside the root table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),          cmocka_unit_test(text_and_milliseconds),
        cmocka_unit_test(iso_and_double),    cmocka_unit_test(other_connectors),
        cmocka_unit_test(schema_part),       cmocka_unit_test(removal_and_tombstone),
        cmocka_unit_test(unavailable_value), cmocka_unit_test(unfit_values),
        cmocka_unit_test(not_events),        cmocka_unit_test(losses_are_named),
        cmocka_unit_test(mistakes_in_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
