// SPDX-License-Identifier: Apache-2.0
// Comparison of two canonical results: NULL is not the empty text, order of rows counts where one was asked for, order
// of related rows does not, and each difference names its record and field.
#include "facade/evidence/compare.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entity_set *maps;
static struct arena *arena;
static struct mismatch found[MISMATCHES_MAX];
static const struct field *fields[2], *far[1];
static struct expansion expansion;
static struct operation op;

static int set_up(void **state)
{
    (void)state;
    maps = fixture_maps();
    arena = arena_create(0);
    const struct entity *account = entity_find(maps, STR("account"));
    const struct entity *contact = entity_find(maps, STR("contact"));
    fields[0] = account->keys[0];
    fields[1] = entity_field(account, STR("name"));
    far[0] = contact->keys[0];
    expansion = (struct expansion){.relationship = entity_relationship(account, STR("contacts")),
                                   .fields = far,
                                   .nfields = 1,
                                   .limit = -1};
    op = (struct operation){
        .kind = OPERATION_LIST, .entity = account, .query = {.fields = fields, .nfields = 2}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_destroy(maps);
    arena_destroy(arena);
    return 0;
}

static struct value text(const char *z)
{
    return z ? value_set(str_of(z)) : value_null();
}

// Rows of id and name, NULL-ended; a name of "(null)" is NULL.
static struct result rows(const char *const *cells)
{
    struct result r = {.status = RESULT_OK, .total = -1};
    r.records.rows = arena_array(arena, 8, sizeof(struct record));
    for (; cells[2 * r.records.n]; r.records.n++) {
        const char *name = cells[2 * r.records.n + 1];
        struct value *v = arena_array(arena, 2, sizeof *v);
        v[0] = text(cells[2 * r.records.n]);
        v[1] = text(strcmp(name, "(null)") == 0 ? NULL : name);
        r.records.rows[r.records.n].values = v;
    }
    return r;
}

#define ROWS(...) rows((const char *const[]){__VA_ARGS__, NULL})

static unsigned differ(struct result a, struct result b)
{
    memset(found, 0, sizeof found);
    return result_compare(&op, &a, &b, arena, found);
}

static void test_fields(void **state)
{
    (void)state;
    assert_int_equal(differ(ROWS("1", "a", "2", "(null)"), ROWS("1", "a", "2", "(null)")), 0);
    assert_int_equal(differ(ROWS("1", "a", "2", ""), ROWS("1", "b", "2", "(null)")), 2);
    assert_ptr_equal(found[1].field, fields[1]);
    assert_true(str_eqz(found[1].key, "2"));
    assert_int_equal(found[1].legacy.state, VALUE_SET);
    assert_int_equal(found[1].new_.state, VALUE_NULL);
    assert_int_equal(differ(ROWS("1", "a "), ROWS("1", "a")), 1);
    // Without an order asked for, rows are matched by key.
    assert_int_equal(differ(ROWS("1", "a", "2", "b"), ROWS("2", "b", "1", "a")), 0);
    assert_int_equal(differ(ROWS("1", "a", "2", "b"), ROWS("2", "x", "1", "a")), 1);
    assert_true(str_eqz(found[0].key, "2"));
    struct order order = {fields[1], false};
    op.query.order = &order;
    op.query.norder = 1;
    assert_int_equal(differ(ROWS("1", "a", "2", "b"), ROWS("2", "b", "1", "a")), 1);
    assert_string_equal(mismatch_kind(&found[0]), "order");
    op.query.norder = 0;
    assert_true(differ(ROWS("1", "a", "2", "b"), ROWS("3", "b", "1", "a")) > 0);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *legacy, *new_, *kind;
    } rows[] = {{"a", NULL, "null"},   {"a  ", "a", "padding"}, {"1.50", "1.5", "scale"},
                {"3.0", "3", "scale"}, {"30", "3", "value"},    {"ABC", "abc", "case"},
                {"a", "b", "value"},   {"", "  ", "padding"}};
    struct mismatch m = {.field = fields[1]};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        m.legacy = text(rows[i].legacy);
        m.new_ = text(rows[i].new_);
        assert_string_equal(mismatch_kind(&m), rows[i].kind);
    }
    m.new_ = (struct value){.state = VALUE_ABSENT};
    assert_string_equal(mismatch_kind(&m), "absent");
    const struct entity *account = entity_find(maps, STR("account"));
    m.field = entity_field(account, STR("date_entered"));
    assert_non_null(m.field);
    m.legacy = text("2024-05-01 10:00:00");
    m.new_ = text("2024-05-01 12:00:00");
    assert_string_equal(mismatch_kind(&m), "zone");
    m.new_ = text("2024-05-01 12:00:01");
    assert_string_equal(mismatch_kind(&m), "value");
}

static void test_a_foreign_value_differs_from_what_became_of_it(void **state)
{
    (void)state;
    struct result a = ROWS("1", "x"), b = ROWS("1", "x");
    struct value *v = arena_array(arena, 2, sizeof *v);
    v[0] = text("1");
    v[1] = (struct value){.data = "x", .len = 1, .state = VALUE_FOREIGN, .problem = PROBLEM_NUL};
    a.records.rows[0].values = v;
    assert_int_equal(differ(a, b), 1);
}

static void test_the_whole(void **state)
{
    (void)state;
    struct result none = {.status = RESULT_NOT_FOUND, .total = -1};
    assert_int_equal(differ(none, none), 0);
    assert_int_equal(differ(none, ROWS("1", "a")), 1);
    assert_null(found[0].field);
    assert_int_equal(differ(ROWS("1", "a"), ROWS("1", "a", "2", "b")), 1);
    struct result a = ROWS("1", "a"), b = ROWS("1", "a");
    op.want_total = true;
    a.total = 7;
    b.total = 8;
    assert_int_equal(differ(a, b), 1);
    assert_true(str_eq(value_str(found[0].legacy), STR("7")));
    op.want_total = false;
    assert_int_equal(differ(a, b), 0);
}

static void test_more_than_are_kept_are_counted(void **state)
{
    (void)state;
    struct record *many = arena_array(arena, 40, sizeof *many);
    struct record *other = arena_array(arena, 40, sizeof *other);
    for (int i = 0; i < 40; i++) {
        many[i] = ROWS("1", "a").records.rows[0];
        other[i] = ROWS("1", "b").records.rows[0];
    }
    struct result a = {.records = {many, 40}}, b = {.records = {other, 40}};
    assert_int_equal(differ(a, b), 40);
}

static struct record_set people(const char *a, const char *b)
{
    struct record *r = arena_array(arena, 2, sizeof *r);
    struct value *v = arena_array(arena, 2, sizeof *v);
    v[0] = text(a);
    v[1] = text(b);
    r[0].values = &v[0];
    r[1].values = &v[1];
    return (struct record_set){r, b ? 2 : 1};
}

static void test_related_rows_are_a_set(void **state)
{
    (void)state;
    struct result a = ROWS("1", "x"), b = ROWS("1", "x");
    struct record_set ab = people("a", "b"), ba = people("b", "a"), ac = people("a", "c"),
                      one = people("a", NULL), twice = people("a", "a");
    op.expansions = &expansion;
    op.nexpansions = 1;
    a.records.rows[0].related = &ab;
    b.records.rows[0].related = &ba;
    assert_int_equal(differ(a, b), 0);
    b.records.rows[0].related = &ac;
    assert_int_equal(differ(a, b), 1);
    assert_true(str_eqz(value_str(found[0].legacy), "contacts"));
    b.records.rows[0].related = &one;
    assert_int_equal(differ(a, b), 1);
    b.records.rows[0].related = &twice; // each of ours has one there, but not the other way round
    assert_int_equal(differ(b, a), 1);
    op.expansions = NULL;
    op.nexpansions = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_a_foreign_value_differs_from_what_became_of_it),
        cmocka_unit_test(test_the_whole),
        cmocka_unit_test(test_more_than_are_kept_are_counted),
        cmocka_unit_test(test_related_rows_are_a_set)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
