// SPDX-License-Identifier: Apache-2.0
// Events out and back: every type, deletes, control messages, what may not cross, and messages
// that are not events at all.
#include "cdc/event/event.h"

#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char map_text[] =
    "{\"entity\":\"thing\",\"plural\":\"things\",\"title\":\"Thing\","
    "\"key\":{\"fields\":[\"id\"],\"make\":\"uuid\"},"
    "\"legacy\":{\"root\":\"things\"},\"new\":{\"root\":\"crm.thing\"},"
    "\"fields\":{\"id\":{\"type\":\"id\"},\"name\":{\"type\":\"text\",\"length\":10},"
    "\"n\":{\"type\":\"integer\",\"bits\":64},"
    "\"price\":{\"type\":\"decimal\",\"precision\":10,\"scale\":2},"
    "\"ok\":{\"type\":\"boolean\"},"
    "\"day\":{\"type\":\"date\",\"policy\":{\"zero_date\":\"null\"}}}}";

static struct entity_set *set;
static const struct entity *thing;

static int load(void **state)
{
    struct problems p = {0};
    struct str text = STR(map_text);
    const char *name = "thing.json";
    (void)state;
    set = map_parse(&text, &name, 1, &p);
    if (!set)
        fail_msg("%s", p.text.data);
    thing = entity_find(set, STR("thing"));
    problems_free(&p);
    return thing ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    map_destroy(set);
    return 0;
}

struct wire {
    struct buf key, value, foreign;
    struct arena *a;
};

static void field(struct value *row, const char *name, const char *text)
{
    row[entity_field(thing, str_of(name))->index] = text ? value_set(str_of(text)) : value_null();
}

static void fill(struct value *row)
{
    field(row, "id", "k\"1");
    field(row, "name", "Soci\xc3\xa9t\xc3\xa9");
    field(row, "n", "-9223372036854775808");
    field(row, "price", "12.50");
    field(row, "ok", "true");
    field(row, "day", NULL);
}

static void encode(struct wire *w, const struct change *c)
{
    struct err e = {0};
    *w = (struct wire){.a = arena_create(0)};
    if (event_encode(c, "ficus", &w->key, &w->value, &w->foreign, &e))
        fail_msg("%s", e.msg);
}

static void wire_free(struct wire *w)
{
    buf_free(&w->key);
    buf_free(&w->value);
    buf_free(&w->foreign);
    arena_destroy(w->a);
}

static void a_row_comes_back(void **state)
{
    struct value row[16] = {0};
    struct wire w;
    struct event out;
    struct err e = {0};
    (void)state;
    fill(row);
    struct change c = {thing, SIDE_LEGACY, CHANGE_UPDATE, STR("k\"1"), row, NULL, 1234567, 42, 3};
    encode(&w, &c);
    assert_string_equal(w.key.data, "{\"id\":\"k\\\"1\"}");
    struct kafka_header h[] = {{"ficus-term", STR("3")}};
    struct kafka_message m = {
        .key = buf_str(&w.key), .value = buf_str(&w.value), .headers = h, .nheaders = 1};
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, w.a, &out, &e), 0);
    assert_int_equal(out.kind, EVENT_CHANGE);
    assert_int_equal(out.change.op, CHANGE_UPDATE);
    assert_int_equal(out.change.seq, 42);
    assert_int_equal(out.change.term, 3);
    assert_int_equal(out.change.commit_us, 1234567);
    assert_true(str_eqz(out.change.key, "k\"1"));
    assert_int_equal(out.foreign.len, 0);
    for (size_t i = 0; i < thing->nfields; i++)
        assert_true(value_eq(out.change.after[i], row[i]));
    wire_free(&w);
}

static void a_delete_carries_its_key(void **state)
{
    struct wire w;
    struct event out;
    struct err e = {0};
    (void)state;
    struct change c = {.entity = thing, .op = CHANGE_DELETE, .key = STR("x"), .seq = 1};
    encode(&w, &c);
    assert_non_null(strstr(w.value.data, "\"before\":{\"id\":\"x\"},\"after\":null"));
    struct kafka_message m = {.key = buf_str(&w.key), .value = buf_str(&w.value)};
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, w.a, &out, &e), 0);
    assert_int_equal(out.change.op, CHANGE_DELETE);
    m.value = (struct str){0};
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, w.a, &out, &e), 0);
    assert_int_equal(out.kind, EVENT_TOMBSTONE);
    wire_free(&w);
}

static void a_marker_is_a_control_message(void **state)
{
    struct buf key = BUF_INIT;
    struct event out;
    struct err e = {0};
    struct arena *a = arena_create(0);
    (void)state;
    event_marker_key(thing, &key);
    struct kafka_header h[] = {{"ficus-marker", STR("m-1")}, {"ficus-through", STR("99")}};
    struct kafka_message m = {.key = buf_str(&key), .headers = h, .nheaders = 2};
    assert_int_equal(event_decode(thing, SIDE_NEW, &m, a, &out, &e), 0);
    assert_int_equal(out.kind, EVENT_MARKER);
    assert_true(str_eqz(out.marker, "m-1"));
    assert_int_equal(out.through, 99);
    buf_free(&key);
    arena_destroy(a);
}

static void what_may_not_cross_is_named(void **state)
{
    struct value row[16] = {0};
    struct wire w;
    struct event out;
    struct err e = {0};
    (void)state;
    fill(row);
    size_t name = entity_field(thing, STR("name"))->index;
    size_t day = entity_field(thing, STR("day"))->index;
    row[name] = (struct value){"a\0b", 3, VALUE_FOREIGN, PROBLEM_NUL};
    row[day] = (struct value){"0000-00-00", 10, VALUE_FOREIGN, PROBLEM_ZERO_DATE};
    struct change c = {thing, SIDE_LEGACY, CHANGE_READ, STR("k\"1"), row, NULL, 0, 0, 0};
    encode(&w, &c);
    assert_string_equal(w.foreign.data, "name:nul"); // the date has a policy
    assert_non_null(strstr(w.value.data, "\"day\":null"));
    struct kafka_header h[] = {{"ficus-foreign", buf_str(&w.foreign)}};
    struct kafka_message m = {
        .key = buf_str(&w.key), .value = buf_str(&w.value), .headers = h, .nheaders = 1};
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, w.a, &out, &e), 0);
    assert_true(str_eqz(out.foreign, "name:nul"));
    // Without our header the same value is found unfit by its own look.
    m.nheaders = 0;
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, w.a, &out, &e), 0);
    assert_true(str_eqz(out.foreign, "name:nul"));
    wire_free(&w);
}

static void garbage_is_refused(void **state)
{
    static const struct {
        const char *key, *value;
    } bad[] = {
        {"", "{}"},
        {"[]", "{\"op\":\"c\"}"},
        {"{\"id\":1}", "{\"op\":\"c\",\"after\":{\"id\":2}}"},
        {"{\"id\":null}", "{\"op\":\"c\",\"after\":{\"id\":null}}"},
        {"{\"id\":\"a\"}", "nonsense"},
        {"{\"id\":\"a\"}", "{\"op\":\"x\",\"after\":{}}"},
        {"{\"id\":\"a\"}", "{\"op\":\"cc\",\"after\":{}}"},
        {"{\"id\":\"a\"}", "{\"op\":\"c\",\"after\":[]}"},
        {"{\"id\":\"a\"}", "{\"op\":\"c\",\"after\":{\"id\":\"a\"}}"},
        {"{\"id\":\"a\"}", "{\"op\":\"c\",\"op\":\"d\"}"},
    };
    struct arena *a = arena_create(0);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct event out;
        struct err e = {0};
        struct kafka_message m = {.key = str_of(bad[i].key), .value = str_of(bad[i].value)};
        assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, a, &out, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
    }
    arena_destroy(a);
}

static void debezium_with_schema_is_read(void **state)
{
    static const char value[] =
        "{\"schema\":{},\"payload\":{\"op\":\"c\",\"ts_ms\":1,\"source\":{\"ts_ms\":5},"
        "\"after\":{\"id\":\"a\",\"name\":\"n\",\"n\":7,\"price\":\"1.5\",\"ok\":false,"
        "\"day\":\"2024-02-29\"}}}";
    struct arena *a = arena_create(0);
    struct event out;
    struct err e = {0};
    (void)state;
    struct kafka_message m = {.key = STR("{\"schema\":{},\"payload\":{\"id\":\"a\"}}"),
                              .value = STR(value)};
    assert_int_equal(event_decode(thing, SIDE_LEGACY, &m, a, &out, &e), 0);
    assert_int_equal(out.change.commit_us, 5000);
    assert_true(
        str_eqz(value_str(out.change.after[entity_field(thing, STR("price"))->index]), "1.50"));
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back),
        cmocka_unit_test(a_delete_carries_its_key),
        cmocka_unit_test(a_marker_is_a_control_message),
        cmocka_unit_test(what_may_not_cross_is_named),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(debezium_with_schema_is_read),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
