// SPDX-License-Identifier: Apache-2.0
// What folds alike, what does not, and patterns that miss nothing of it.
#include "base/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

static void test_what_folds_alike(void **state)
{
    static const char *const alike[][2] = {
        {"émile", "EMILE"}, {"ÉMILE ", "emile"}, {"Zoë", "zoe"},     {"ÅÇÑÖÝß", "acnoys"},
        {"Ÿÿ", "yy"},       {"Čapek", "capek"},  {"ŁÓDŹ", "łodz"},   {"İı", "ii"},
        {"ØÆÞ", "øæþ"},     {"Ŋĳœ", "ŋĲŒ"},      {"ИВАН", "иван"},   {"ЁЖ", "ёж"},
        {"ΑΩ", "αω"},       {"日本", "日本"},    {"ĀāžſŽ", "aazsz"}, {"", "  "},
    };
    static const char *const other[][2] = {
        {"emile", "emilie"}, {"ø", "o"}, {"ł", "l"}, {"a b", "ab"}, {" a", "a"}, {"日", "本"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++)
        if (!fold_eq(str_of(alike[i][0]), str_of(alike[i][1])))
            fail_msg("%s and %s", alike[i][0], alike[i][1]);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (fold_eq(str_of(other[i][0]), str_of(other[i][1])))
            fail_msg("%s is not %s", other[i][0], other[i][1]);
    assert_true(fold_eq(STR("a\xff"), STR("A\xff"))); // no UTF-8
}

static void test_a_pattern_has_a_place_for_each_letter(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;
    fold_pattern(&b, STR("Émile_2.x%\\@a-b "));
    assert_string_equal(buf_str(&b).data, "______2.___@_-_");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_folds_alike),
        cmocka_unit_test(test_a_pattern_has_a_place_for_each_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
