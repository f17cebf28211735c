// SPDX-License-Identifier: Apache-2.0
// What a write leaves behind besides: which statements, with which values; and that neither a
// write as a repair does it nor apply knows of it.
#include "migrations/map.h"
#include "migrations/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

static const char map[] =
    "{\"entity\": \"thing\", \"key\": {\"fields\": [\"id\"]}, \"deleted\": \"gone\","
    " \"legacy\": {\"root\": \"things\", \"also\": {"
    "  \"create\": [\"INSERT INTO made VALUES (:uuid1, :key, :name, :actor)\"],"
    "  \"update\": [\"INSERT INTO touched VALUES (:key, :price)\"],"
    "  \"delete\": [\"INSERT INTO ended VALUES (:key, :now)\"],"
    "  \"each_change\": [{\"fields\": {\"price\": \"currency\", \"name\": \"varchar\", \"sure\": \"bool\","
    "                                \"state\": \"enum\", \"day\": \"date\", \"stamp\": \"datetime\"},"
    "    \"sql\": \"INSERT INTO audit VALUES (:key, :field, :data_type, :before, :after)\"},"
    "   {\"fields\": {\"name\": \"\"}, \"sql\": \"INSERT INTO names VALUES (:key, :after)\"}]}},"
    " \"new\": {\"root\": \"thing\"}, \"fields\": {\"id\": {\"type\": \"id\"},"
    " \"name\": {\"type\": \"text\"}, \"price\": {\"type\": \"decimal\", \"precision\": 12, \"scale\": 2},"
    " \"sure\": {\"type\": \"boolean\"}, \"day\": {\"type\": \"date\"}, \"other\": {\"type\": \"text\"},"
    " \"state\": {\"type\": \"text\", \"codes\": {\"A\": \"open\", \"B\": \"shut\"}},"
    " \"stamp\": {\"type\": \"timestamp\", \"auto\": \"now\"},"
    " \"gone\": {\"type\": \"boolean\"}}}";

struct fixture {
    struct entity_set *set;
    const struct entity *en;
    struct arena *a;
    struct value key, *values, *before;
    struct write w;
    struct buf told;
};

static int setup(void **state)
{
    static struct fixture f;
    struct str text = str_of(map);
    const char *name = "thing.json";
    struct problems p = {0};
    f = (struct fixture){.told = BUF_INIT};
    f.set = map_parse(&text, &name, 1, &p);
    if (!f.set)
        fail_msg("%s", p.text.data);
    f.en = entity_at(f.set, 0);
    f.a = arena_create(0);
    f.key = value_set(STR("k"));
    f.values = arena_array(f.a, f.en->nfields, sizeof(*f.values));
    f.before = arena_array(f.a, f.en->nfields, sizeof(*f.before));
    f.w = (struct write){.entity = f.en,
                         .kind = WRITE_UPDATE,
                         .key = &f.key,
                         .values = f.values,
                         .now = "2024-05-06 07:08:09",
                         .actor = STR("u1")};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_free(&f->told);
    arena_destroy(f->a);
    map_destroy(f->set);
    return 0;
}

static struct value *at(struct fixture *f, struct value *row, const char *field)
{
    return &row[entity_field(f->en, str_of(field))->index];
}

static void change(struct fixture *f, const char *field, struct value before, struct value after)
{
    *at(f, f->before, field) = before;
    *at(f, f->values, field) = after;
}

// "table(parameter,..) table(..)": ids as "#", NULL as "-".
static const char *told(struct fixture *f, const struct value *before, enum side side)
{
    struct write_statement *list;
    struct err e = {0};
    size_t n;
    if (query_also(&f->w, before, side, &dbms_sqlite, f->a, &list, &n, &e) < 0)
        fail_msg("%s", e.msg);
    f->told.len = 0;
    for (size_t i = 0; i < n; i++) {
        struct str text = list[i].sql.text;
        assert_int_equal(list[i].role, STATEMENT_LOOKUP);
        assert_true(str_starts(text, STR("INSERT INTO ")));
        const char *table = text.data + 12;
        buf_printf(&f->told, "%s%.*s(", i > 0 ? " " : "", (int)(strchr(table, ' ') - table), table);
        for (size_t k = 0; k < list[i].sql.nparams; k++) {
            struct value v = list[i].sql.params[k];
            bool id = v.state == VALUE_SET && v.len == 36;
            buf_printf(&f->told, "%s%.*s", k > 0 ? "," : "", id || v.data == NULL ? 1 : (int)v.len,
                       v.state == VALUE_NULL ? "-"
                       : id                  ? "#"
                       : v.len > 0           ? v.data
                                             : "");
        }
        buf_addc(&f->told, ')');
    }
    buf_addc(&f->told, '\0');
    return f->told.data;
}

static void each_kind_of_write_has_its_own(void **state)
{
    struct fixture *f = *state;
    *at(f, f->values, "name") = value_set(STR("n"));
    f->w.kind = WRITE_CREATE;
    assert_string_equal(told(f, NULL, SIDE_LEGACY), "made(#,k,n,u1)");
    f->w.actor = (struct str){0};
    assert_string_equal(told(f, NULL, SIDE_LEGACY), "made(#,k,n,-)");
    f->w.kind = WRITE_UPDATE;
    assert_string_equal(told(f, NULL, SIDE_LEGACY), "touched(k,-)");
    f->w.kind = WRITE_DELETE;
    f->w.values = NULL;
    assert_string_equal(told(f, NULL, SIDE_LEGACY), "ended(k,2024-05-06 07:08:09)");
    assert_string_equal(told(f, NULL, SIDE_NEW), "");
}

static void a_change_is_another_canonical_value(void **state)
{
    struct fixture *f = *state;
    struct value five = value_set(STR("5.00")), name = value_set(STR("n"));
    change(f, "price", five, five);
    change(f, "name", name, name);
    change(f, "stamp", value_set(STR("2024-05-06 07:08:09")), (struct value){0});
    change(f, "other", name, value_set(STR("not listed")));
    assert_string_equal(told(f, f->before, SIDE_LEGACY), "touched(k,5.00)");
    change(f, "price", five, value_null());
    change(f, "name", name, value_set(STR("N")));
    assert_string_equal(told(f, f->before, SIDE_LEGACY),
                        "touched(k,-) audit(k,price,currency,5.00,-) audit(k,name,varchar,n,N)"
                        " names(k,N)");
    // What is not given is not written, what is not known cannot have changed.
    change(f, "price", five, (struct value){0});
    change(f, "name", (struct value){0}, name);
    assert_string_equal(told(f, f->before, SIDE_LEGACY), "touched(k,-)");
    // Before and after are told of updates only.
    change(f, "name", value_null(), name);
    f->w.kind = WRITE_DELETE;
    assert_string_equal(told(f, f->before, SIDE_LEGACY), "ended(k,2024-05-06 07:08:09)");
}

static void values_are_told_as_the_legacy_holds_them(void **state)
{
    struct fixture *f = *state;
    struct value zero = {"0000-00-00", 10, VALUE_FOREIGN, PROBLEM_ZERO_DATE};
    change(f, "sure", value_set(STR("false")), value_set(STR("true")));
    change(f, "state", value_set(STR("open")), value_set(STR("shut")));
    change(f, "day", zero, value_set(STR("2024-02-29")));
    change(f, "stamp", value_null(), (struct value){0}); // filled in by the map
    assert_string_equal(told(f, f->before, SIDE_LEGACY),
                        "touched(k,-) audit(k,sure,bool,0,1) audit(k,state,enum,A,B)"
                        " audit(k,day,date,0000-00-00,2024-02-29)"
                        " audit(k,stamp,datetime,-,2024-05-06 07:08:09)");
}

static void only_what_may_change_is_read(void **state)
{
    struct fixture *f = *state;
    size_t n;
    const struct field *const *list = query_also_fields(&f->w, SIDE_LEGACY, f->a, &n);
    assert_int_equal(n, 1); // the one that the map fills in
    assert_string_equal(list[0]->name, "stamp");
    *at(f, f->values, "name") = value_null();
    *at(f, f->values, "other") = value_null();
    list = query_also_fields(&f->w, SIDE_LEGACY, f->a, &n);
    assert_int_equal(n, 2);
    assert_string_equal(list[0]->name, "name");
    (void)query_also_fields(&f->w, SIDE_NEW, f->a, &n);
    assert_int_equal(n, 0);
    f->w.kind = WRITE_CREATE;
    (void)query_also_fields(&f->w, SIDE_LEGACY, f->a, &n);
    assert_int_equal(n, 0);
}

static void repairs_and_apply_leave_nothing_else(void **state)
{
    struct fixture *f = *state;
    struct write_statement *list;
    struct apply_statement *applied;
    struct err e;
    size_t n;
    *at(f, f->values, "name") = value_set(STR("n"));
    for (int kind = WRITE_CREATE; kind <= WRITE_DELETE; kind++) {
        f->w.kind = (enum write_kind)kind;
        assert_int_equal(query_write(&f->w, SIDE_LEGACY, &dbms_sqlite, f->a, &list, &n, &e), 0);
        assert_int_equal(n, 1);
    }
    assert_int_equal(query_apply(f->en, SIDE_LEGACY, &dbms_sqlite, f->a, &applied, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(query_apply_delete(f->en, SIDE_LEGACY, &dbms_sqlite, f->a, &applied, &n, &e),
                     0);
    assert_int_equal(n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_of_write_has_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_is_another_canonical_value, setup, teardown),
        cmocka_unit_test_setup_teardown(values_are_told_as_the_legacy_holds_them, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_may_change_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(repairs_and_apply_leave_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
