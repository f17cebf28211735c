// SPDX-License-Identifier: Apache-2.0
// The map loader: the shipped maps load; each kind of mistake is reported with its place, and
// all mistakes of a set at once.
#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

static const char head[] =
    "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"], \"make\": \"uuid\"},\n"
    " \"legacy\": {\"root\": \"things\"}, \"new\": {\"root\": \"crm.thing\"},\n"
    " \"fields\": {\"id\": {\"type\": \"id\"}";

static struct entity_set *parse(const char *text, struct problems *p)
{
    struct str s = str_of(text);
    const char *name = "thing.json";
    *p = (struct problems){0};
    return map_parse(&s, &name, 1, p);
}

static void shipped_maps_load(void **state)
{
    (void)state;
    struct problems p = {0};
    struct entity_set *s = map_load("migrations/maps/suitecrm", &p);
    if (!s)
        fail_msg("%s", p.text.data);
    assert_int_equal(entity_count(s), 20);
    const struct entity *en = entity_find(s, STR("contact"));
    assert_non_null(en);
    assert_ptr_equal(entity_by_plural(s, STR("contacts")), en);
    assert_null(entity_find(s, STR("contac")));
    assert_null(entity_find(s, STR("contactx")));
    assert_null(entity_field(en, str_n("id\0", 3)));
    const struct field *f = entity_field(en, STR("email1"));
    assert_int_equal(f->place[SIDE_LEGACY].kind, PLACE_LOOKUP);
    assert_string_equal(f->place[SIDE_NEW].column, "email");
    assert_true(f->personal);
    assert_true(f->synced);
    assert_false(entity_field(en, STR("account_id"))->synced);
    assert_string_equal(en->owner->name, "assigned_user_id");
    assert_string_equal(en->sides[SIDE_NEW].deleted_column, "deleted");
    const struct relationship *r = entity_relationship(en, STR("opportunities"));
    assert_int_equal(r->kind, RELATION_LINK);
    assert_string_equal(r->through->name, "opportunity_contact");
    assert_string_equal(r->near->name, "contact_id");
    assert_true(entity_find(s, STR("account_contact"))->link);
    assert_true(entity_field(entity_find(s, STR("user")), STR("user_hash"))->secret);
    struct entity_set *again = map_load("migrations/maps/suitecrm", &p);
    assert_true(entity_set_hash(s) == entity_set_hash(again));
    map_destroy(again);
    map_destroy(s);
    problems_free(&p);
}

static void defaults_are_what_the_schema_says(void **state)
{
    (void)state;
    struct problems p;
    char text[1024];
    snprintf(
        text, sizeof(text),
        "%s, \"note\": {\"type\": \"text\"}, \"n\": {\"type\": \"integer\", \"default\": -1}}}",
        head);
    struct entity_set *s = parse(text, &p);
    if (!s)
        fail_msg("%s", p.text.data);
    const struct entity *en = entity_at(s, 0);
    assert_string_equal(en->plural, "thing");
    assert_int_equal(en->key_maker, KEY_UUID);
    assert_int_equal(en->fields[0].length, 36);
    assert_true(en->fields[0].key);
    assert_true(en->fields[1].nocase);
    assert_string_equal(en->fields[1].place[SIDE_NEW].column, "note");
    assert_int_equal(en->fields[1].policies[PROBLEM_NUL].action, POLICY_PARK);
    assert_int_equal(en->fields[2].bits, 32);
    assert_true(en->fields[2].is_signed);
    assert_true(str_eqz(value_str(en->fields[2].fallback), "-1"));
    map_destroy(s);
    problems_free(&p);
}

// A map with one thing wrong, and what its report must contain.
struct mistake {
    const char *fields, *rest, *want;
};

static const struct mistake mistakes[] = {
    {"\"x\": {\"type\": \"strin\"}", "", "/fields/x/type: unknown type"},
    {"\"x\": {\"type\": \"text\", \"lenght\": 3}", "", "/fields/x"},
    {"\"X\": {\"type\": \"text\"}", "", "/fields/X: must be a lower-case name"},
    {"\"x\": {\"type\": \"decimal\", \"precision\": 3}", "", "scale"},
    {"\"x\": {\"type\": \"decimal\", \"precision\": 3, \"scale\": 4}", "", "must not exceed"},
    {"\"x\": {\"type\": \"integer\", \"bits\": 12}", "", "must be 8, 16"},
    {"\"x\": {\"type\": \"text\", \"legacy\": null}", "", "lives on one side only"},
    {"\"x\": {\"type\": \"text\", \"legacy\": {\"extension\": \"nope\"}}", "",
     "no extension table"},
    {"\"x\": {\"type\": \"text\", \"legacy\": {\"lookup\": \"nope\"}}", "", "no lookup"},
    {"\"x\": {\"type\": \"text\", \"legacy\": \"id\"}", "", "also that of field \"id\""},
    {"\"x\": {\"type\": \"date\", \"legacy\": {\"storage\": \"float\"}}", "",
     "cannot be stored as float"},
    {"\"x\": {\"type\": \"date\", \"policy\": {\"zero\": \"null\"}}", "", "unknown problem"},
    {"\"x\": {\"type\": \"date\", \"policy\": {\"bad_date\": \"drop\"}}", "", "must be \"park\""},
    {"\"x\": {\"type\": \"date\", \"policy\": {\"bad_date\": {\"substitute\": \"1.1.1900\"}}}", "",
     "no canonical date"},
    {"\"x\": {\"type\": \"boolean\", \"codes\": {\"Y\": \"yes\"}}", "", "no canonical boolean"},
    {"\"x\": {\"type\": \"text\", \"codes\": {\"a\": \"b\", \"c\": \"b\"}}", "", "no way back"},
    {"\"x\": {\"type\": \"text\", \"auto\": \"now\"}", "", "is for timestamps"},
    {"\"x\": {\"type\": \"date\", \"default\": \"soon\"}", "", "/fields/x/default: is no date"},
    {"\"x\": {\"type\": \"text\"}", "\"deleted\": \"gone\"", "no field \"gone\""},
    {"\"x\": {\"type\": \"text\"}", "\"deleted\": \"x\"", "must be a boolean field"},
    {"\"x\": {\"type\": \"text\"}", "\"owner\": {\"field\": \"y\"}", "no field \"y\""},
    {"\"x\": {\"type\": \"text\"}",
     "\"relationships\": {\"r\": {\"kind\": \"link\", \"target\": \"other\"}}",
     "no entity \"other\""},
    {"\"x\": {\"type\": \"text\"}",
     "\"relationships\": {\"r\": {\"kind\": \"foreign_key\", \"target\": \"thing\", \"field\": \"z\"}}",
     "no field \"z\""},
    {"\"x\": {\"type\": \"text\"}",
     "\"relationships\": {\"x\": {\"kind\": \"own\", \"target\": \"thing\"}}",
     "has the name of a field"},
    {"\"x\": {\"type\": \"text\"}", "\"relationship\": {}", "relationship"},
};

static void each_mistake_is_reported_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const struct mistake *m = &mistakes[i];
        struct problems p;
        char text[2048];
        snprintf(text, sizeof(text), "%s, %s}%s%s}", head, m->fields, *m->rest ? ", " : "",
                 m->rest);
        struct entity_set *s = parse(text, &p);
        if (s || !p.text.data || !strstr(p.text.data, m->want) ||
            strncmp(p.text.data, "thing.json:", 11) != 0)
            fail_msg("%s %s: %s", m->fields, m->rest, p.text.data ? p.text.data : "accepted");
        problems_free(&p);
    }
}

static void lookups_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *lookup, *field, *want;
    } bad[] = {
        {"\"path\": [], \"order\": \"0.id\"", "", "wants a \"path\""},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"1.b\"}}], \"order\": \"0.id\"", "",
         "a step before this one"},
        {"\"path\": [{\"table\": \"t\", \"on\": {}}], \"order\": \"0.id\"", "", "wants \"on\""},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"root.id\"}}], \"order\": \"root.id\"", "",
         "must name a step"},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"root.id\"}}], \"order\": \"0.id\"", "",
         "without \"write\""},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"root.id\"}}], \"order\": \"0.id\", \"write\": "
         "[\"UPDATE t SET a = :keys\"]",
         "", "unknown parameter :keys"},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"root.id\"}}], \"order\": \"0.id\", \"write\": "
         "[\"UPDATE t SET a = 'b\"]",
         "", "quote is not closed"},
        {"\"path\": [{\"table\": \"t\", \"on\": {\"a\": \"root.id\"}, \"where\": {\"c\": null}}], \"order\": \"0.id\"",
         "", "must be a string, an integer"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct problems p;
        char text[2048];
        snprintf(
            text, sizeof(text),
            "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"]}, \"legacy\": {\"root\": \"things\", "
            "\"lookups\": {\"l\": {%s}}}, \"new\": {\"root\": \"thing\"}, \"fields\": {\"id\": {\"type\": \"id\"}, "
            "\"x\": {\"type\": \"text\", \"legacy\": {\"lookup\": \"l\"}}}}",
            bad[i].lookup);
        struct entity_set *s = parse(text, &p);
        if (s || !strstr(p.text.data, bad[i].want))
            fail_msg("%s: %s", bad[i].lookup, p.text.data ? p.text.data : "accepted");
        problems_free(&p);
    }
}

static void what_a_write_leaves_behind_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *also, *more, *want;
    } bad[] = {
        {"\"creates\": []", "", "/legacy/also/creates"},
        {"\"create\": \"INSERT\"", "", "/legacy/also/create"},
        {"\"create\": [\"\"]", "", "/legacy/also/create/0: must be a string that is not empty"},
        {"\"update\": [\"UPDATE t SET a = :y\"]", "",
         "/legacy/also/update/0: unknown parameter :y"},
        {"\"delete\": [\"UPDATE t SET a = :x\"]", "",
         "/legacy/also/delete/0: unknown parameter :x; :key, :now, :actor, :uuid1 to :uuid4\n"},
        {"\"create\": [\"INSERT INTO t VALUES (:before)\"]", "", "unknown parameter :before"},
        {"\"create\": [\"INSERT INTO t VALUES ('a)\"]", "", "quote is not closed"},
        {"\"each_change\": {}", "", "/legacy/also/each_change"},
        {"\"each_change\": [3]", "", "/legacy/also/each_change/0: must be an object"},
        {"\"each_change\": [{\"sql\": \"S\"}]", "", "each_change/0: wants \"fields\""},
        {"\"each_change\": [{\"fields\": {\"x\": \"\"}}]", "", "/legacy/also/each_change/0"},
        {"\"each_change\": [{\"fields\": {\"x\": \"\"}, \"sql\": \"\"}]", "",
         "each_change/0/sql: must be a string that is not empty"},
        {"\"each_change\": [{\"fields\": {\"x\": \"\"}, \"sql\": \"S :x\"}]", "",
         "each_change/0/sql: unknown parameter :x; :key, :now, :actor, :uuid1 to :uuid4, :field,"
         " :data_type, :before, :after"},
        {"\"each_change\": [{\"fields\": {\"x\": \"\"}, \"sql\": \"S\", \"table\": \"t\"}]", "",
         "each_change/0/table"},
        {"\"each_change\": [{\"fields\": {\"y\": \"\"}, \"sql\": \"S\"}]", "",
         "each_change/0/fields/y: no field \"y\""},
        {"\"each_change\": [{\"fields\": {\"x\": 1}, \"sql\": \"S\"}]", "",
         "each_change/0/fields/x: must be a string"},
        {"\"each_change\": [{\"fields\": {\"id\": \"\"}, \"sql\": \"S\"}]", "", "is the key"},
        {"\"each_change\": [{\"fields\": {\"s\": \"\"}, \"sql\": \"S\"}]", "", "is secret"},
        {"\"each_change\": [{\"fields\": {\"r\": \"\"}, \"sql\": \"S\"}]", "", "is never written"},
        {"\"each_change\": [{\"fields\": {\"n\": \"\"}, \"sql\": \"S\"}]", "", "is never written"},
        {"\"create\": [\"S :x\"]", "\"read_only\": true,", "clients cannot write this entity"},
        {"\"create\": [\"S :x\"]", "\"link\": true,", "are written by relations only"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct problems p;
        char text[2048];
        snprintf(
            text, sizeof(text),
            "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"]}, %s \"legacy\": {\"root\": "
            "\"things\", \"also\": {%s}}, \"new\": {\"root\": \"thing\"}, \"fields\": {\"id\": "
            "{\"type\": \"id\"}, \"x\": {\"type\": \"text\"}, \"s\": {\"type\": \"text\", \"secret\": "
            "true}, \"r\": {\"type\": \"text\", \"read_only\": true}, \"n\": {\"type\": \"text\", "
            "\"legacy\": null, \"sync\": false}}}",
            bad[i].more, bad[i].also);
        struct entity_set *s = parse(text, &p);
        if (s || !strstr(p.text.data, bad[i].want) || p.count != 1)
            fail_msg("%s: %s", bad[i].also, p.text.data ? p.text.data : "accepted");
        problems_free(&p);
    }
    struct problems p;
    assert_null(
        parse("{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"]}, \"legacy\": {\"root\": "
              "\"things\"}, \"new\": {\"root\": \"thing\", \"also\": {}}, \"fields\": {\"id\": "
              "{\"type\": \"id\"}}}",
              &p));
    assert_non_null(strstr(p.text.data, "/new/also"));
    problems_free(&p);
}

static void all_mistakes_come_at_once(void **state)
{
    (void)state;
    struct problems p = {0};
    struct str texts[2] = {STR("{\"entity\": \"a\"}"),
                           STR("{\"entity\": \"b\", \"keys\": 1, \"legacy\": 3,}")};
    const char *names[2] = {"a.json", "b.json"};
    assert_null(map_parse(texts, names, 2, &p));
    assert_non_null(strstr(p.text.data, "a.json:1: /key"));
    assert_non_null(strstr(p.text.data, "a.json:1: /fields"));
    assert_non_null(strstr(p.text.data, "b.json:1"));
    problems_free(&p);
    struct str twice[2];
    char text[512];
    snprintf(text, sizeof(text), "%s}}", head);
    twice[0] = twice[1] = str_of(text);
    p = (struct problems){0};
    assert_null(map_parse(twice, names, 2, &p));
    assert_non_null(strstr(p.text.data, "two maps describe this entity"));
    problems_free(&p);
    p = (struct problems){0};
    assert_null(map_load("migrations/no-such-folder", &p));
    assert_int_equal(p.count, 1);
    problems_free(&p);
}

static void a_service_needs_no_table(void **state)
{
    (void)state;
    struct problems p;
    struct entity_set *s = parse(
        "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"]}, \"legacy\": {\"root\": "
        "\"things\"}, \"new\": {\"service\": \"http://127.0.0.1:1/\"}, \"fields\": "
        "{\"id\": {\"type\": \"id\"}, \"n\": {\"type\": \"text\"}}}",
        &p);
    if (!s)
        fail_msg("%s", p.text.data);
    assert_null(entity_at(s, 0)->sides[SIDE_NEW].root);
    assert_string_equal(entity_at(s, 0)->sides[SIDE_NEW].service_url, "http://127.0.0.1:1/");
    map_destroy(s);
    problems_free(&p);
}

static void keys_are_joined_and_split(void **state)
{
    (void)state;
    struct problems p;
    struct err e = {0};
    struct arena *a = arena_create(0);
    struct entity_set *s = parse(
        "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\", \"n\"]}, \"legacy\": {\"root\": "
        "\"things\"}, \"new\": {\"root\": \"thing\"}, \"fields\": "
        "{\"id\": {\"type\": \"id\"}, \"n\": {\"type\": \"integer\"}}}",
        &p);
    if (!s)
        fail_msg("%s", p.text.data);
    const struct entity *en = entity_at(s, 0);
    struct value parts[2] = {value_set(STR("a-b")), value_set(STR("7"))}, back[2];
    struct str k = entity_key_text(parts, 2, a);
    assert_true(str_eqz(k, "a-b\x1f"
                           "7"));
    assert_int_equal(entity_key_split(en, k, back, &e), 0);
    assert_true(value_eq(parts[0], back[0]) && value_eq(parts[1], back[1]));
    assert_int_equal(entity_key_split(en, STR("a"), back, &e), -1);
    assert_int_equal(entity_key_split(en,
                                      STR("a\x1f"
                                          "b\x1f"
                                          "c"),
                                      back, &e),
                     -1);
    assert_int_equal(entity_key_split(en, STR(""), back, &e), -1);
    map_destroy(s);
    arena_destroy(a);
    problems_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_maps_load),
        cmocka_unit_test(defaults_are_what_the_schema_says),
        cmocka_unit_test(each_mistake_is_reported_with_its_place),
        cmocka_unit_test(lookups_are_checked),
        cmocka_unit_test(what_a_write_leaves_behind_is_checked),
        cmocka_unit_test(all_mistakes_come_at_once),
        cmocka_unit_test(a_service_needs_no_table),
        cmocka_unit_test(keys_are_joined_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
