// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context.
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static struct trace_random source;

static struct trace begin(const char *parent, const char *state)
{
    struct trace t;

    trace_begin(&t, &source, parent ? str_of(parent) : str_n(NULL, 0),
                state ? str_of(state) : str_n(NULL, 0));
    return t;
}

static bool is_id(const char *s, size_t len)
{
    bool zero = true;

    for (size_t i = 0; i < len; i++) {
        if (!strchr("0123456789abcdef", s[i]) || !s[i])
            return false;
        zero &= s[i] == '0';
    }
    return !zero && s[len] == '\0';
}

static void test_a_trace_is_continued(void **state)
{
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-03",
        "01-" TRACE "-" SPAN "-01",
        "cc-" TRACE "-" SPAN "-09-what-comes-later",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct trace t = begin(good[i], "a=1");
        char out[TRACE_PARENT_LEN + 1];
        assert_string_equal(t.trace_id, TRACE);
        assert_string_equal(t.parent_id, SPAN);
        assert_true(is_id(t.span_id, 16));
        assert_string_not_equal(t.span_id, SPAN);
        assert_int_equal(t.flags, 1);
        assert_true(str_eqz(t.state, "a=1"));
        trace_write_parent(&t, out);
        assert_int_equal(strlen(out), TRACE_PARENT_LEN);
        assert_memory_equal(out, "00-" TRACE "-", 36);
        assert_memory_equal(out + 36, t.span_id, 16);
        assert_string_equal(out + 52, "-01");
    }
    assert_int_equal(begin("00-" TRACE "-" SPAN "-02", NULL).flags, 0);
}

static void test_a_malformed_one_begins_anew(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-1",
        "00-" TRACE "-" SPAN "-01-more",
        "00-" TRACE "-" SPAN "-01 ",
        "01-" TRACE "-" SPAN "-01.more",
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-" SPAN "-0x",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-001",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct trace t = begin(bad[i], "a=1");
        if (strcmp(t.trace_id, TRACE) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(is_id(t.trace_id, 32));
        assert_string_equal(t.parent_id, "");
        assert_int_equal(t.flags, 0);
        assert_int_equal(t.state.len, 0); // belongs to the trace that was not understood
    }
}

static void test_identifiers_differ(void **state)
{
    struct trace before = begin(NULL, NULL);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct trace t = begin(NULL, NULL);
        assert_true(is_id(t.trace_id, 32) && is_id(t.span_id, 16));
        assert_string_not_equal(t.trace_id, before.trace_id);
        assert_string_not_equal(t.span_id, before.span_id);
        before = t;
    }
}

static void test_states(void **state)
{
    static const char *const good[] = {"a=1",
                                       "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
                                       "a=1, b=2 ,\tc=3",
                                       "tenant@vendor=x y",
                                       "a=1,,b=2",
                                       "0=!\"#~",
                                       "a_-*/=1"};
    static const char *const bad[] = {"A=1",   "a",       "a=",   "=1",     "a=1=2",
                                      "a b=1", "a@b@c=1", "_a=1", "a=\x7f", "a=\xc3\xa9"};
    char many[400] = "", *at = many;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!trace_state_is_valid(str_of(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_state_is_valid(str_of(bad[i])))
            fail_msg("taken: %s", bad[i]);
    for (unsigned i = 0; i < 32; i++)
        at += snprintf(at, 10, "%sk%u=1", i ? "," : "", i);
    assert_true(trace_state_is_valid(str_of(many)));
    snprintf(at, 10, ",z=1");
    assert_false(trace_state_is_valid(str_of(many)));
    char longer[TRACE_STATE_MAX + 2];
    memset(longer, 'a', sizeof(longer));
    longer[1] = '=';
    assert_false(trace_state_is_valid(str_n(longer, sizeof(longer))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_trace_is_continued),
        cmocka_unit_test(test_a_malformed_one_begins_anew),
        cmocka_unit_test(test_identifiers_differ),
        cmocka_unit_test(test_states),
    };

    trace_random_seed(&source);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
