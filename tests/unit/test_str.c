// SPDX-License-Identifier: Apache-2.0
// Slices: comparison, numbers, UTF-8, copying.
#include "base/str.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void compares(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq(str_n(NULL, 0), STR("")));
    assert_true(str_eqz(str_n(NULL, 0), ""));
    assert_true(str_eq_nocase(STR("Content-LENGTH"), STR("content-length")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    assert_false(str_eq_nocase(STR("\xc3\x89"), STR("\xc3\xa9"))); // not beyond ASCII
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
}

static void trims(void **state)
{
    (void)state;
    assert_true(str_eqz(str_trim(STR(" \t\r\n a b \n")), "a b"));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_int_equal(str_trim(str_n(NULL, 0)).len, 0);
}

static void reads_numbers(void **state)
{
    static const struct {
        const char *text;
        long long min, max;
        bool ok;
        long long n;
    } rows[] = {
        {"0", 0, 9, true, 0},
        {"007", 0, 9, true, 7},
        {"-5", -9, 9, true, -5},
        {"10", 0, 9, false, 0},
        {"-1", 0, 9, false, 0},
        {"9223372036854775807", LLONG_MIN, LLONG_MAX, true, LLONG_MAX},
        {"9223372036854775808", LLONG_MIN, LLONG_MAX, false, 0},
        {"-9223372036854775808", LLONG_MIN, LLONG_MAX, true, LLONG_MIN},
        {"-9223372036854775809", LLONG_MIN, LLONG_MAX, false, 0},
        {"99999999999999999999999", LLONG_MIN, LLONG_MAX, false, 0},
        {"", 0, 9, false, 0},
        {"-", -9, 9, false, 0},
        {"+1", 0, 9, false, 0},
        {" 1", 0, 9, false, 0},
        {"1 ", 0, 9, false, 0},
        {"1a", 0, 99, false, 0},
        {"0x1", 0, 99, false, 0},
        {"--1", -9, 9, false, 0},
        {"1.0", 0, 9, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        long long n = 0;
        bool ok = str_to_int(str_of(rows[i].text), rows[i].min, rows[i].max, &n);
        if (ok != rows[i].ok || n != rows[i].n)
            fail_msg("\"%s\": %d, %lld", rows[i].text, ok, n);
    }
    long long n = 42;
    assert_false(str_to_int(STR("1\0"), 0, 9, &n));
    assert_int_equal(n, 42);
}

static void knows_utf8(void **state)
{
    static const struct str good[] = {
        STR(""),
        STR("abc"),
        STR("\xc2\x80"),
        STR("\xdf\xbf"),
        STR("\xe0\xa0\x80"),
        STR("\xed\x9f\xbf"),
        STR("\xee\x80\x80"),
        STR("\xef\xbf\xbf"),
        STR("\xf0\x90\x80\x80"),
        STR("\xf4\x8f\xbf\xbf"),
        STR("a\0b"),
    };
    static const struct str bad[] = {
        STR("\x80"),
        STR("\xc0\x80"),
        STR("\xc1\xbf"),
        STR("\xc2"),
        STR("\xc2\x41"),
        STR("\xe0\x9f\xbf"),
        STR("\xed\xa0\x80"),
        STR("\xed\xbf\xbf"),
        STR("\xe2\x82"),
        STR("\xf0\x8f\xbf\xbf"),
        STR("\xf4\x90\x80\x80"),
        STR("\xf5\x80\x80\x80"),
        STR("\xf0\x9f\x98"),
        STR("\xff"),
        STR("a\xf0\x9f\x98"
            "b"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!str_is_utf8(good[i]))
            fail_msg("good %zu refused", i);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (str_is_utf8(bad[i]))
            fail_msg("bad %zu taken", i);
    uint32_t code = 0;
    assert_int_equal(str_utf8_next(STR("\xf0\x9f\x98\x80x"), &code), 4);
    assert_int_equal(code, 0x1f600);
    assert_int_equal(str_utf8_next(STR("\xe2\x82\xac"), &code), 3);
    assert_int_equal(code, 0x20ac);
    assert_int_equal(str_utf8_next(STR(""), &code), 0);
}

static void copies_or_says_no(void **state)
{
    char to[4] = "zzz";

    (void)state;
    assert_int_equal(str_copy(to, sizeof(to), STR("abc")), 0);
    assert_string_equal(to, "abc");
    assert_int_equal(str_copy(to, sizeof(to), STR("abcd")), -1);
    assert_string_equal(to, "");
    assert_int_equal(str_copy(to, sizeof(to), str_n(NULL, 0)), 0);
    assert_int_equal(str_copy(to, 0, STR("")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),          cmocka_unit_test(trims),
        cmocka_unit_test(reads_numbers),     cmocka_unit_test(knows_utf8),
        cmocka_unit_test(copies_or_says_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
