// SPDX-License-Identifier: Apache-2.0
// Parsers of the rest dialect without a server: the filter grammar, members of JSON text, the
// version of a record and which order has cursors.
#include "facade/dialect/rest.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entity_set *maps;
static struct arena *arena;

static int set_up(void **state)
{
    (void)state;
    maps = fixture_maps();
    arena = arena_create(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_destroy(maps);
    arena_destroy(arena);
    return 0;
}

static const struct entity *contact(void)
{
    return entity_find(maps, STR("contact"));
}

static struct filter *parse(const char *text)
{
    struct filter *f = NULL;
    struct err e = {0};
    return rest_filter(arena, contact(), str_of(text), &f, &e) ? NULL : f;
}

static void test_and_binds_closer_than_or(void **state)
{
    (void)state;
    struct filter *f = parse("last_name eq 'a' or last_name eq 'b' and not last_name like 'c%'");
    assert_non_null(f);
    assert_int_equal(f->kind, FILTER_OR);
    assert_int_equal(f->nchildren, 2);
    assert_int_equal(f->children[1]->kind, FILTER_AND);
    assert_int_equal(f->children[1]->children[1]->kind, FILTER_NOT);
    f = parse("(last_name eq 'a' or last_name eq 'b') and last_name ne 'it''s'");
    assert_int_equal(f->kind, FILTER_AND);
    assert_true(str_eqz(value_str(f->children[1]->values[0]), "it's"));
    f = parse("last_name not in ('x','y')");
    assert_true(f->negated);
    assert_int_equal(f->nvalues, 2);
}

static void test_words_are_whole_words(void **state)
{
    (void)state;
    assert_null(parse("last_name eq 'a' orlast_name eq 'b'"));
    assert_null(parse("last_name eq'a'or"));
    assert_null(parse("last_name isnull"));
    assert_null(parse("notlast_name eq 'a'"));
    assert_null(parse("user_hash eq 'x'"));
    assert_null(parse("last_name eq 'a')"));
    assert_null(parse("last_name eq -"));
    assert_non_null(parse("  last_name   eq   'a'  "));
}

static void test_members_of_json_text(void **state)
{
    (void)state;
    struct str t = STR(" { \"a\\\"\": [1, {\"b\": 5}], \"b\" : 12.30 , \"c\":\"}\\\\\" }");
    assert_true(str_eqz(rest_json_member(t, "b"), "12.30"));
    assert_true(str_eqz(rest_json_member(t, "c"), "\"}\\\\\""));
    assert_null(rest_json_member(t, "d").data);
    assert_null(rest_json_member(STR("{}"), "b").data);
    struct str list = STR("[ {\"a\":[1,2]} ,\"x]\", 3]");
    assert_true(str_eqz(rest_json_element(list, 0), "{\"a\":[1,2]}"));
    assert_true(str_eqz(rest_json_element(list, 1), "\"x]\""));
    assert_true(str_eqz(rest_json_element(list, 2), "3"));
    assert_null(rest_json_element(list, 3).data);
    assert_null(rest_json_element(STR("[]"), 0).data);
}

// NULL, '' and neighbouring texts all make different versions; the order of fields does not.
static void test_versions(void **state)
{
    const struct entity *en = contact();
    size_t n;
    const struct field *const *fields = version_fields(en, arena, &n);
    struct value *v = arena_array(arena, n, sizeof *v), *w = arena_array(arena, n, sizeof *w);
    const struct field **turned = arena_array(arena, n, sizeof *turned);
    char a[33], b[33];
    (void)state;
    for (size_t i = 0; i < n; i++)
        v[i] = value_null();
    assert_true(version_of(en, fields, n, v, a));
    v[2] = value_set(STR(""));
    assert_true(version_of(en, fields, n, v, b));
    assert_string_not_equal(a, b);
    v[2] = value_set(STR("ab"));
    v[3] = value_set(STR("c"));
    assert_true(version_of(en, fields, n, v, a));
    v[2] = value_set(STR("a"));
    v[3] = value_set(STR("bc"));
    assert_true(version_of(en, fields, n, v, b));
    assert_string_not_equal(a, b);
    for (size_t i = 0; i < n; i++) {
        turned[n - 1 - i] = fields[i];
        w[n - 1 - i] = v[i];
    }
    assert_true(version_of(en, turned, n, w, a));
    assert_string_equal(a, b);
    assert_false(version_of(en, fields, n - 1, v, a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and_binds_closer_than_or),
        cmocka_unit_test(test_words_are_whole_words),
        cmocka_unit_test(test_members_of_json_text),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
