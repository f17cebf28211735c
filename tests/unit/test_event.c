// SPDX-License-Identifier: Apache-2.0
// Events out and back: every type, deletes, control messages, what may not cross, and messages
// that are not events at all.
#include "cdc/event/cloudevent.h"

#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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
    if (event_encode(c, "ficus", &w->key, &w->value, &w->foreign, NULL, &e))
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

// ---------------------------------------------------------------- with the schema part

static const char wide_text[] =
    "{\"entity\":\"wide\",\"plural\":\"wides\",\"title\":\"Wide\","
    "\"key\":{\"fields\":[\"id\"],\"make\":\"uuid\"},"
    "\"legacy\":{\"root\":\"wides\"%s},\"new\":{\"root\":\"crm.wide\"},"
    "\"fields\":{\"id\":{\"type\":\"id\"},\"small\":{\"type\":\"integer\",\"bits\":16},"
    "\"int\":{\"type\":\"integer\",\"bits\":32},"
    "\"huge\":{\"type\":\"integer\",\"bits\":64,\"signed\":false},"
    "\"price\":{\"type\":\"decimal\",\"precision\":10,\"scale\":2},"
    "\"ratio\":{\"type\":\"float\"},\"ok\":{\"type\":\"boolean\"},"
    "\"day\":{\"type\":\"date\"},\"made\":{\"type\":\"timestamp\"},"
    "\"more\":{\"type\":\"json\"},\"none\":{\"type\":\"text\",\"length\":10}}}";

static const char *const wide_row[][2] = {{"id", "k"},
                                          {"small", "-32768"},
                                          {"int", "2147483647"},
                                          {"huge", "18446744073709551615"},
                                          {"price", "12.50"},
                                          {"ratio", "0.1"},
                                          {"ok", "true"},
                                          {"day", "2024-02-29"},
                                          {"made", "2024-02-29 23:59:59"},
                                          {"more", "{\"a\":[1,null]}"}};

// `more`: members of the legacy side.
static struct entity_set *wide_set(const char *more)
{
    char text[2048];
    struct problems p = {0};
    const char *name = "wide.json";
    snprintf(text, sizeof text, wide_text, more);
    struct str s = str_of(text);
    struct entity_set *wide = map_parse(&s, &name, 1, &p);
    if (!wide)
        fail_msg("%s", p.text.data);
    problems_free(&p);
    return wide;
}

static void fill_wide(const struct entity *en, struct value *row)
{
    for (size_t i = 0; i < en->nfields; i++)
        row[i] = value_null();
    for (size_t i = 0; i < sizeof wide_row / sizeof wide_row[0]; i++)
        row[entity_field(en, str_of(wide_row[i][0]))->index] = value_set(str_of(wide_row[i][1]));
}

static const char *type_in(const json_t *schema, const char *field)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(schema, "fields"), i,
                       one) if (strcmp(json_string_value(json_object_get(one, "field")), field) ==
                                0) return json_string_value(json_object_get(one, "type"));
    return "none";
}

static void check_schema(const char *text)
{
    json_error_t je;
    json_t *root = json_loads(text, 0, &je);
    const json_t *schema = json_object_get(root, "schema"), *after = NULL, *one;
    size_t i;
    assert_non_null(root);
    json_array_foreach(json_object_get(schema, "fields"), i,
                       one) if (strcmp(json_string_value(json_object_get(one, "field")), "after") ==
                                0) after = one;
    const char *const want[][2] = {{"id", "string"},   {"small", "int16"},  {"int", "int32"},
                                   {"huge", "string"}, {"price", "string"}, {"ratio", "double"},
                                   {"ok", "boolean"},  {"day", "string"},   {"more", "string"}};
    for (i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_string_equal(type_in(after, want[i][0]), want[i][1]);
    const json_t *row = json_object_get(json_object_get(root, "payload"), "after");
    assert_true(json_is_string(json_object_get(row, "more")));
    assert_true(json_is_string(json_object_get(row, "huge")));
    assert_true(json_is_integer(json_object_get(row, "int")));
    json_decref(root);
}

// Encoded with its schema, decoded by a map whose legacy side has `more` members.
static void wide_round(const char *more)
{
    struct entity_set *ours = wide_set(""), *theirs = wide_set(more);
    const struct entity *en = entity_at(ours, 0);
    struct value row[16];
    struct buf key = BUF_INIT, value = BUF_INIT, foreign = BUF_INIT, sent = BUF_INIT;
    struct event_schema schema;
    struct arena *a = arena_create(0);
    struct event out;
    struct err e = {0};
    fill_wide(en, row);
    struct change c = {en, SIDE_LEGACY, CHANGE_UPDATE, STR("k"), row, NULL, 1234567, 42, 3};
    assert_int_equal(event_schema_make(&schema, en, "ficus.legacy.wide", &e), 0);
    assert_int_equal(event_encode(&c, "ficus", &key, &value, &foreign, &schema, &e), 0);
    assert_int_equal(event_wrap_key(&schema, buf_str(&key), &sent, &e), 0);
    assert_string_equal(key.data, "{\"id\":\"k\"}"); // what the partition is made of
    check_schema(value.data);
    struct kafka_message m = {
        .topic = "ficus.legacy.wide", .key = buf_str(&sent), .value = buf_str(&value)};
    if (event_decode(entity_at(theirs, 0), SIDE_LEGACY, &m, a, &out, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(out.kind, EVENT_CHANGE);
    assert_int_equal(out.foreign.len, 0);
    assert_true(str_eqz(out.change.key, "k"));
    for (size_t i = 0; i < en->nfields; i++)
        if (!value_eq(out.change.after[i], row[i]))
            fail_msg("%s: %.*s", en->fields[i].name, (int)out.change.after[i].len,
                     out.change.after[i].data);
    m.value = (struct str){0};
    assert_int_equal(event_decode(entity_at(theirs, 0), SIDE_LEGACY, &m, a, &out, &e), 0);
    assert_int_equal(out.kind, EVENT_TOMBSTONE);
    buf_free(&key), buf_free(&value), buf_free(&foreign), buf_free(&sent);
    event_schema_free(&schema);
    arena_destroy(a);
    map_destroy(ours), map_destroy(theirs);
}

static void a_row_comes_back_with_its_schema(void **state)
{
    (void)state;
    wide_round("");
}

static void a_row_with_its_schema_is_read_as_a_connectors(void **state)
{
    (void)state;
    wide_round(",\"capture\":{\"by\":\"debezium\",\"topic\":\"ficus.legacy.wide\"}");
}

static const char *header_of(const struct kafka_header *h, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(h[i].name, name) == 0)
            return h[i].value.data;
    return NULL;
}

static void a_cloud_event_says_what_and_when(void **state)
{
    struct cloudevent ce;
    struct kafka_header h[CLOUDEVENT_HEADERS];
    (void)state;
    struct change c = {
        .entity = thing, .from = SIDE_NEW, .op = CHANGE_DELETE, .commit_us = 1709251199000123};
    size_t n = cloudevent_headers(&ce, &c, "shop", "7", 99, h);
    assert_int_equal(n, CLOUDEVENT_HEADERS);
    assert_string_equal(header_of(h, n, "ce_specversion"), "1.0");
    assert_string_equal(header_of(h, n, "ce_id"), "new-7-99");
    assert_string_equal(header_of(h, n, "ce_source"), "/ficus/shop/new");
    assert_string_equal(header_of(h, n, "ce_type"), "ficus.thing.deleted");
    assert_string_equal(header_of(h, n, "ce_time"), "2024-02-29T23:59:59.000123Z");
    assert_string_equal(header_of(h, n, "content-type"), "application/json");
    c.commit_us = 0;
    assert_int_equal(cloudevent_headers(&ce, &c, "shop", "7", 99, h), CLOUDEVENT_HEADERS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back),
        cmocka_unit_test(a_delete_carries_its_key),
        cmocka_unit_test(a_row_comes_back_with_its_schema),
        cmocka_unit_test(a_row_with_its_schema_is_read_as_a_connectors),
        cmocka_unit_test(a_cloud_event_says_what_and_when),
        cmocka_unit_test(a_marker_is_a_control_message),
        cmocka_unit_test(what_may_not_cross_is_named),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(debezium_with_schema_is_read),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
