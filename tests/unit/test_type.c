// SPDX-License-Identifier: Apache-2.0
// The type contract: what each store prints -> canonical -> what each store takes.
#include "migrations/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(0);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

struct expect {
    const char *raw, *want;
    enum value_problem problem;
};

static struct value read_raw(const struct field *f, enum side side, struct str raw)
{
    struct value v;
    struct err e = {0};
    if (type_read(f, side, value_set(raw), arena, &v, &e) < 0)
        fail_msg("%s", e.msg);
    return v;
}

// Each raw text reads as `want` or is foreign with the problem, keeping its raw text.
static void check(const struct field *f, const struct expect *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct value v = read_raw(f, SIDE_LEGACY, str_of(x[i].raw));
        if (x[i].problem == PROBLEM_NONE) {
            if (v.state != VALUE_SET || !str_eqz(value_str(v), x[i].want))
                fail_msg("%s '%s': %.*s (state %d, problem %s)", field_type_name(f->type), x[i].raw,
                         (int)v.len, v.data, v.state,
                         value_problem_name((enum value_problem)v.problem));
            // Canonical text is a fixed point.
            struct value again = read_raw(f, SIDE_NEW, value_str(v));
            assert_true(value_eq(v, again));
        } else if (v.state != VALUE_FOREIGN || v.problem != x[i].problem ||
                   !str_eqz(value_str(v), x[i].raw)) {
            fail_msg("%s '%s': state %d problem %s, not %s", field_type_name(f->type), x[i].raw,
                     v.state, value_problem_name((enum value_problem)v.problem),
                     value_problem_name(x[i].problem));
        }
    }
}
#define CHECK(f, ...)                                      \
    do {                                                   \
        static const struct expect list[] = {__VA_ARGS__}; \
        check(f, list, sizeof(list) / sizeof(list[0]));    \
    } while (0)

static void integers(void **state)
{
    (void)state;
    struct field f = {.name = "n", .type = TYPE_INTEGER, .bits = 32, .is_signed = true};
    CHECK(&f, {"0", "0", 0}, {"-0", "0", 0}, {"007", "7", 0}, {"+5", "5", 0}, {"-0012", "-12", 0},
          {"2147483647", "2147483647", 0}, {"-2147483648", "-2147483648", 0},
          {"2147483648", NULL, PROBLEM_OVERFLOW}, {"-2147483649", NULL, PROBLEM_OVERFLOW},
          {"", NULL, PROBLEM_EMPTY}, {"1.0", NULL, PROBLEM_NOT_A_NUMBER},
          {"abc", NULL, PROBLEM_NOT_A_NUMBER}, {"-", NULL, PROBLEM_NOT_A_NUMBER},
          {" 1", NULL, PROBLEM_NOT_A_NUMBER});
    f.bits = 64;
    CHECK(&f, {"-9223372036854775808", "-9223372036854775808", 0},
          {"9223372036854775808", NULL, PROBLEM_OVERFLOW});
    f.is_signed = false;
    CHECK(&f, {"18446744073709551615", "18446744073709551615", 0},
          {"18446744073709551616", NULL, PROBLEM_OVERFLOW}, {"-1", NULL, PROBLEM_OVERFLOW});
    f.bits = 8;
    CHECK(&f, {"255", "255", 0}, {"256", NULL, PROBLEM_OVERFLOW});
}

static void decimals_are_exact(void **state)
{
    (void)state;
    struct field f = {.name = "d", .type = TYPE_DECIMAL, .precision = 26, .scale = 6};
    CHECK(&f, {"1234.560000", "1234.560000", 0}, {"1234.56", "1234.560000", 0},
          {"-0", "0.000000", 0}, {"-0.000000", "0.000000", 0}, {".5", "0.500000", 0},
          {"5.", "5.000000", 0}, {"00012.5", "12.500000", 0}, {"+1", "1.000000", 0},
          {"1e3", "1000.000000", 0}, {"1.5E-3", "0.001500", 0}, {"-12e-1", "-1.200000", 0},
          {"12345678901234567890.123456", "12345678901234567890.123456", 0},
          {"123456789012345678901", NULL, PROBLEM_OVERFLOW}, {"0.1234567", NULL, PROBLEM_OVERFLOW},
          {"0.1234560", "0.123456", 0}, {"1e-7", NULL, PROBLEM_OVERFLOW},
          {"NaN", NULL, PROBLEM_NOT_A_NUMBER}, {"Infinity", NULL, PROBLEM_NOT_A_NUMBER},
          {"1,000.50", NULL, PROBLEM_NOT_A_NUMBER}, {"1e", NULL, PROBLEM_NOT_A_NUMBER},
          {"1e999999999", NULL, PROBLEM_NOT_A_NUMBER}, {".", NULL, PROBLEM_NOT_A_NUMBER},
          {"", NULL, PROBLEM_EMPTY}, {"0e400", "0.000000", 0});
    f.precision = 5;
    f.scale = 0;
    CHECK(&f, {"12345", "12345", 0}, {"-7", "-7", 0}, {"7.0", "7", 0},
          {"123456", NULL, PROBLEM_OVERFLOW}, {"0.5", NULL, PROBLEM_OVERFLOW}, {"5.", "5", 0});
    f.precision = f.scale = 3;
    CHECK(&f, {"0.125", "0.125", 0}, {".5", "0.500", 0}, {"1", NULL, PROBLEM_OVERFLOW},
          {"-.25", "-0.250", 0});
}

static void a_decimal_kept_as_double_is_the_nearest_one(void **state)
{
    (void)state;
    struct value v, raw;
    struct err e = {0};
    struct field f = {.name = "d", .type = TYPE_DECIMAL, .precision = 26, .scale = 6};
    f.place[SIDE_LEGACY].storage = COLUMN_FLOAT;
    f.place[SIDE_NEW].storage = COLUMN_DECIMAL;
    CHECK(&f, {"1234.5599999999999", "1234.560000", 0}, {"0.30000000000000004", "0.300000", 0},
          {"33.333333333333336", "33.333333", 0}, {"1e+15", "1000000000000000.000000", 0},
          {"-0.0", "0.000000", 0}, {"inf", NULL, PROBLEM_NOT_A_NUMBER},
          {"1e300", NULL, PROBLEM_OVERFLOW});
    v = value_set(STR("1234.560000"));
    assert_int_equal(type_write(&f, SIDE_LEGACY, v, arena, &raw, &e), 0);
    v = value_set(STR("12345678901234567890.123456"));
    assert_int_equal(type_write(&f, SIDE_LEGACY, v, arena, &raw, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(type_write(&f, SIDE_NEW, v, arena, &raw, &e), 0);
}

static void floats_come_back_as_the_same_double(void **state)
{
    (void)state;
    struct field f = {.name = "x", .type = TYPE_FLOAT};
    CHECK(&f, {"0.1", "0.1", 0}, {"0.10000000000000001", "0.1", 0}, {"1e+22", "1e+22", 0},
          {"10", "10", 0}, {"10.0", "10", 0}, {"0.30000000000000004", "0.30000000000000004", 0},
          {"4.9406564584124654e-324", "4.94065645841247e-324", 0});
}

static void booleans(void **state)
{
    (void)state;
    struct field f = {.name = "b", .type = TYPE_BOOLEAN};
    CHECK(&f, {"1", "true", 0}, {"0", "false", 0}, {"t", "true", 0}, {"f", "false", 0},
          {"true", "true", 0}, {"\x01", "true", 0}, {"2", NULL, PROBLEM_OVERFLOW},
          {"yes", NULL, PROBLEM_NOT_A_NUMBER}, {"", NULL, PROBLEM_EMPTY});
    struct value raw;
    struct err e = {0};
    assert_int_equal(type_write(&f, SIDE_LEGACY, value_set(STR("true")), arena, &raw, &e), 0);
    assert_true(str_eqz(value_str(raw), "1"));
}

static void dates_and_times(void **state)
{
    (void)state;
    struct field d = {.name = "d", .type = TYPE_DATE};
    CHECK(&d, {"2024-02-29", "2024-02-29", 0}, {"0000-00-00", NULL, PROBLEM_ZERO_DATE},
          {"2023-02-29", NULL, PROBLEM_BAD_DATE}, {"2024-02-00", NULL, PROBLEM_BAD_DATE},
          {"1900-02-29", NULL, PROBLEM_BAD_DATE}, {"2000-02-29", "2000-02-29", 0},
          {"1970-2-8", NULL, PROBLEM_BAD_DATE}, {"infinity", NULL, PROBLEM_BAD_DATE},
          {"2024-01-01 00:00:00", NULL, PROBLEM_BAD_DATE},
          {"0044-03-15 BC", NULL, PROBLEM_BAD_DATE}, {"", NULL, PROBLEM_EMPTY});
    struct field t = {.name = "t", .type = TYPE_TIME};
    CHECK(&t, {"23:59:59", "23:59:59", 0}, {"23:59:59.000", "23:59:59", 0},
          {"838:59:59", NULL, PROBLEM_BAD_DATE}, {"-12:34:56", NULL, PROBLEM_BAD_DATE},
          {"24:00:00", NULL, PROBLEM_BAD_DATE}, {"12:34:56.5", NULL, PROBLEM_OVERFLOW});
    struct field s = {.name = "s", .type = TYPE_TIMESTAMP};
    CHECK(&s, {"2024-05-06 07:08:09", "2024-05-06 07:08:09", 0},
          {"2024-05-06 07:08:09+00", "2024-05-06 07:08:09", 0},
          {"2024-05-06T07:08:09Z", "2024-05-06 07:08:09", 0},
          {"2024-05-06 07:08:09.000000", "2024-05-06 07:08:09", 0},
          {"2024-01-01 00:30:00+02", "2023-12-31 22:30:00", 0},
          {"2024-02-28 23:30:00-05:30", "2024-02-29 05:00:00", 0},
          {"2024-12-31 23:00:00-0130", "2025-01-01 00:30:00", 0},
          {"2024-05-06 07:08:09.5", NULL, PROBLEM_OVERFLOW},
          {"0000-00-00 00:00:00", NULL, PROBLEM_ZERO_DATE}, {"2024-05-06", NULL, PROBLEM_BAD_DATE},
          {"2024-05-06 24:00:00", NULL, PROBLEM_BAD_DATE},
          {"2024-05-06 07:08:09 PST", NULL, PROBLEM_BAD_DATE},
          {"0001-01-01 00:00:00+15", NULL, PROBLEM_OVERFLOW}, {"infinity", NULL, PROBLEM_BAD_DATE});
    s.precision = 6;
    CHECK(&s, {"2024-05-06 07:08:09", "2024-05-06 07:08:09.000000", 0},
          {"2024-05-06 07:08:09.5+00", "2024-05-06 07:08:09.500000", 0},
          {"2024-05-06 07:08:09.123456+00", "2024-05-06 07:08:09.123456", 0},
          {"2024-05-06 07:08:09.1234567", NULL, PROBLEM_OVERFLOW});
}

static void text_ids_and_bytes(void **state)
{
    (void)state;
    struct field f = {.name = "t", .type = TYPE_TEXT, .length = 4};
    CHECK(&f, {"", "", 0}, {"abcd", "abcd", 0}, {"äöüß", "äöüß", 0},
          {"abcde", NULL, PROBLEM_TOO_LONG}, {" a ", " a ", 0},
          {"\xff\xfe", NULL, PROBLEM_BAD_UTF8}, {"\xed\xa0\x80", NULL, PROBLEM_BAD_UTF8});
    struct value v = read_raw(&f, SIDE_LEGACY, str_n("a\0b", 3));
    assert_int_equal(v.problem, PROBLEM_NUL);
    f.length = 0;
    // The fast path looks at eight bytes at a time: the odd byte in every place.
    for (size_t at = 0; at < 20; at++) {
        char text[21] = "abcdefghijklmnopqrst";
        text[at] = '\0';
        assert_int_equal(read_raw(&f, SIDE_LEGACY, str_n(text, 20)).problem, PROBLEM_NUL);
        text[at] = (char)0x80;
        assert_int_equal(read_raw(&f, SIDE_LEGACY, str_n(text, 20)).problem, PROBLEM_BAD_UTF8);
        text[at] = '\x7f';
        v = read_raw(&f, SIDE_LEGACY, str_n(text, 20));
        assert_int_equal(v.state, VALUE_SET);
        assert_ptr_equal(v.data, text); // borrowed
    }
    f.policies[PROBLEM_EMPTY] = (struct policy){POLICY_NULL, true, {0}};
    CHECK(&f, {"", NULL, PROBLEM_EMPTY});
    struct field id = {.name = "i", .type = TYPE_ID, .length = 36};
    CHECK(&id, {"a1   ", "a1", 0}, {"seed_jim_id", "seed_jim_id", 0}, {"", "", 0});
    struct field b = {.name = "b", .type = TYPE_BYTES, .length = 2};
    CHECK(&b, {"\\xDEad", "dead", 0}, {"", "", 0}, {"abc", NULL, PROBLEM_NOT_A_NUMBER},
          {"aabbcc", NULL, PROBLEM_TOO_LONG}, {"zz", NULL, PROBLEM_NOT_A_NUMBER});
    struct field j = {.name = "j", .type = TYPE_JSON};
    CHECK(&j, {"{\"b\": 1, \"a\": [true, null]}", "{\"a\":[true,null],\"b\":1}", 0}, {"3", "3", 0},
          {"{", NULL, PROBLEM_BAD_JSON});
}

static void codes_translate_both_ways(void **state)
{
    (void)state;
    static const struct code codes[] = {{{"Y", 1}, {"true", 4}}, {{"N", 1}, {"false", 5}}};
    struct field f = {.name = "c", .type = TYPE_BOOLEAN, .codes = codes, .ncodes = 2};
    struct value v = read_raw(&f, SIDE_LEGACY, STR("Y")), raw;
    struct err e = {0};
    assert_true(str_eqz(value_str(v), "true"));
    assert_int_equal(type_write(&f, SIDE_LEGACY, v, arena, &raw, &e), 0);
    assert_true(str_eqz(value_str(raw), "Y"));
    assert_int_equal(type_write(&f, SIDE_NEW, v, arena, &raw, &e), 0);
    assert_true(str_eqz(value_str(raw), "true"));
    assert_int_equal(read_raw(&f, SIDE_LEGACY, STR("maybe")).problem, PROBLEM_BAD_ENUM);
    assert_true(str_eqz(value_str(read_raw(&f, SIDE_NEW, STR("f"))), "false"));
}

static void policies_replace_or_park(void **state)
{
    (void)state;
    struct field f = {.name = "d", .type = TYPE_DATE};
    struct err e = {0};
    struct value v = read_raw(&f, SIDE_LEGACY, STR("0000-00-00"));
    assert_int_equal(type_policy(&f, &v, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    f.policies[PROBLEM_ZERO_DATE].action = POLICY_NULL;
    assert_int_equal(type_policy(&f, &v, &e), 1);
    assert_int_equal(v.state, VALUE_NULL);
    assert_int_equal(type_policy(&f, &v, &e), 0);
    f.policies[PROBLEM_BAD_DATE] = (struct policy){POLICY_SUBSTITUTE, true, STR("1900-01-01")};
    v = read_raw(&f, SIDE_LEGACY, STR("2024-02-30"));
    assert_int_equal(type_policy(&f, &v, &e), 1);
    assert_true(str_eqz(value_str(v), "1900-01-01"));
}

static void a_foreign_value_is_never_written(void **state)
{
    (void)state;
    struct field f = {.name = "t", .type = TYPE_TEXT, .length = 3};
    struct value v = read_raw(&f, SIDE_LEGACY, STR("four")), raw;
    struct err e = {0};
    assert_int_equal(type_write(&f, SIDE_NEW, v, arena, &raw, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(type_write(&f, SIDE_NEW, value_set(STR("four")), arena, &raw, &e), -1);
    assert_int_equal(type_write(&f, SIDE_NEW, value_null(), arena, &raw, &e), 0);
    assert_int_equal(raw.state, VALUE_NULL);
}

static void json_goes_and_comes(void **state)
{
    (void)state;
    static const struct {
        struct field f;
        const char *canonical, *json;
    } rows[] = {
        {{.name = "a", .type = TYPE_TEXT}, "say \"hi\"\n", "\"say \\\"hi\\\"\\n\""},
        {{.name = "b", .type = TYPE_INTEGER, .bits = 64, .is_signed = true}, "-42", "-42"},
        {{.name = "c", .type = TYPE_INTEGER, .bits = 64},
         "18446744073709551615",
         "\"18446744073709551615\""},
        {{.name = "d", .type = TYPE_DECIMAL, .precision = 26, .scale = 6},
         "1.100000",
         "\"1.100000\""},
        {{.name = "e", .type = TYPE_BOOLEAN}, "true", "true"},
        {{.name = "f", .type = TYPE_FLOAT}, "0.1", "0.1"},
        {{.name = "g", .type = TYPE_DATE}, "2024-02-29", "\"2024-02-29\""},
        {{.name = "h", .type = TYPE_JSON}, "{\"a\":1}", "{\"a\":1}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = BUF_INIT;
        struct value v;
        struct err e = {0};
        type_to_json(&rows[i].f, value_set(str_of(rows[i].canonical)), &b);
        assert_string_equal(b.data, rows[i].json);
        json_t *j = json_loads(b.data, JSON_DECODE_ANY, NULL);
        assert_non_null(j);
        assert_int_equal(type_from_json(&rows[i].f, j, arena, &v, &e), 0);
        json_decref(j);
        assert_true(str_eqz(value_str(v), rows[i].canonical));
        buf_free(&b);
    }
    struct field n = {.name = "n", .type = TYPE_INTEGER, .bits = 32, .is_signed = true};
    struct value v;
    struct err e = {0};
    json_t *j = json_null();
    assert_int_equal(type_from_json(&n, j, arena, &v, &e), 0);
    assert_int_equal(v.state, VALUE_NULL);
    j = json_real(1.5);
    assert_int_equal(type_from_json(&n, j, arena, &v, &e), 0);
    assert_int_equal(v.state, VALUE_FOREIGN);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(a_decimal_kept_as_double_is_the_nearest_one),
        cmocka_unit_test(floats_come_back_as_the_same_double),
        cmocka_unit_test(booleans),
        cmocka_unit_test(dates_and_times),
        cmocka_unit_test(text_ids_and_bytes),
        cmocka_unit_test(codes_translate_both_ways),
        cmocka_unit_test(policies_replace_or_park),
        cmocka_unit_test(a_foreign_value_is_never_written),
        cmocka_unit_test(json_goes_and_comes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
