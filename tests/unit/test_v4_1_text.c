// SPDX-License-Identifier: Apache-2.0
// Text and numbers of the v4_1 dialect: what a read shows, what a write stores and echoes.
#include "facade/dialect/v4_1_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

static void reads_are_encoded_by_four_replacements(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"O'Neil \"x\" <b> &", "\"O&#039;Neil &quot;x&quot; &lt;b&gt; &\""},
        {"a/b\n", "\"a\\/b\\n\""},
        {"S\xc3\xb6hne \xe6\x97\xa5", "\"S\\u00f6hne \\u65e5\""},
        {"\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\""},
        {"'", "\"&#039;\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = BUF_INIT, scratch = BUF_INIT;
        v4_1_add_encoded(&out, str_of(rows[i].in), &scratch);
        assert_string_equal(out.data, rows[i].out);
        buf_free(&out);
        buf_free(&scratch);
    }
}

static void doubles_print_as_in_both_languages(void **state)
{
    static const struct {
        double x;
        const char *mariadb, *php;
    } rows[] = {
        {0, "0", "0"},
        {1234.56, "1234.56", "1234.56"},
        {-5, "-5", "-5"},
        {1.23456, "1.23456", "1.23456"},
        {1e14, "100000000000000", "100000000000000"},
        {1e15, "1e15", "1000000000000000"},
        {123456789012345, "123456789012345", "123456789012345"},
        {1.5e20, "1.5e20", "1.5e+20"},
        {1e25, "1e25", "1.0e+25"},
        {0.001, "0.001", "0.001"},
        {1e-16, "1e-16", "1.0e-16"},
        {0.1, "0.1", "0.1"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf a = BUF_INIT, b = BUF_INIT;
        v4_1_add_double(&a, rows[i].x);
        v4_1_add_php_number(&b, rows[i].x);
        assert_string_equal(a.data, rows[i].mariadb);
        assert_string_equal(b.data, rows[i].php);
        buf_free(&a);
        buf_free(&b);
    }
}

static void amounts_are_read_as_far_as_they_go(void **state)
{
    static const struct {
        const char *in;
        double x;
    } rows[] = {
        {"1,234.56", 1234.56},
        {"1.234,56", 1.23456},
        {"$5", 5},
        {"abc", 0},
        {"", 0},
        {"1e15", 1e15},
        {" 12 ", 12},
        {"12abc", 12},
        {"-3.5", -3.5},
        {"1.2.3", 1.2},
        {"-", 0},
        {"+7", 7},
        {"1.5e3", 1500},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(v4_1_read_number(str_of(rows[i].in)) == rows[i].x);
}

static const struct {
    const char *in, *stored, *echo;
} texts[] = {
    {"O'Neil", "O'Neil", "O&#039;Neil"},
    {"say \"x\"", "say \"x\"", "say &quot;x&quot;"},
    {"S\xc3\xb6hne", "S\xc3\xb6hne", "S&ouml;hne"},
    {"5 \xe2\x82\xac", "5 \xe2\x82\xac", "5 &euro;"},
    {"a\xc2\xa0"
     "b",
     "a\xc2\xa0"
     "b",
     "a&nbsp;b"},
    {"\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac"},
    {"<b>x</b>", "<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"},
    {"a < b", "a < b", "a &amp;lt; b"},
    {"A & B", "A & B", "A &amp;amp; B"},
    {"A &amp; B", "A & B", "A &amp;amp; B"},
    {"&lt;b&gt;", "", ""},
    {"x<script>alert(1)</script>y", "xy", "xy"},
    {"x<SCRIPT src='a>b'>alert(1)", "x", "x"},
    {"<unknown>kept</unknown>", "kept", "kept"},
    {"<b>open", "<b>open</b>", "&lt;b&gt;open&lt;/b&gt;"},
    {"close</b>", "close", "close"},
    {"<b><i>x</b>", "<b><i>x</i></b>", "&lt;b&gt;&lt;i&gt;x&lt;/i&gt;&lt;/b&gt;"},
    {"<a href=\"http://x/\" onclick=\"e()\">l</a>", "<a href=\"http://x/\">l</a>",
     "&lt;a href=&quot;http://x/&quot;&gt;l&lt;/a&gt;"},
    {"<a href='javascript:e()'>l</a>", "<a>l</a>", "&lt;a&gt;l&lt;/a&gt;"},
    {"a<br>b", "a<br />b", "a&lt;br /&gt;b"},
    {"a\r\nb\tc\x01", "a\nb\tc", "a\nb\tc"},
    {"&#39;&#x41;&eacute;&nosuch;&", "'A\xc3\xa9&nosuch;&",
     "&#039;A&eacute;&amp;amp;nosuch;&amp;amp;"},
    {"1 <2 and 3> 2", "1 <2 and 3> 2", "1 &amp;lt;2 and 3&amp;gt; 2"},
    {"x <b it's <i>y</i>", "x <b>y</b>", "x &lt;b&gt;y&lt;/b&gt;"},
    {"bad \xff", "bad \xef\xbf\xbd", "bad \xef\xbf\xbd"},
    {"  x ", "  x ", "  x "},
};

static void written_text_is_cleaned_and_echoed(void **state)
{
    struct arena *a = arena_create(0);
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct v4_1_text t;
        assert_int_equal(v4_1_clean(str_of(texts[i].in), false, a, &t, &e), 0);
        assert_string_equal(t.stored.data, texts[i].stored);
        assert_string_equal(t.echo.data, texts[i].echo);
    }
    struct v4_1_text t;
    assert_int_equal(v4_1_clean(STR(" x "), true, a, &t, &e), 0);
    assert_string_equal(t.stored.data, "x");
    assert_int_equal(v4_1_clean(str_n("a\0b", 3), false, a, &t, &e), 0);
    assert_string_equal(t.stored.data, "ab");
    assert_int_equal(t.stored.len, 2);
    arena_destroy(a);
}

// What is made to be slow is not: no part is scanned more than a few times.
static void hostile_text_costs_its_length(void **state)
{
    static const char *const parts[] = {"<a", "</", "<b 'x", "&aa;", "<script></a", "<b>", "<"};
    struct arena *a = arena_create(0);
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct buf in = BUF_INIT;
        struct v4_1_text t;
        for (size_t n = 0; n < 100000; n++)
            buf_addz(&in, parts[i]);
        buf_addz(&in, ">");
        assert_int_equal(v4_1_clean(buf_str(&in), false, a, &t, &e), 0);
        assert_true(t.stored.len <= in.len + 1000);
        buf_free(&in);
    }
    arena_destroy(a);
}

static void cuts_count_characters(void **state)
{
    struct str s = STR("\xc3\xb6\xc3\xb6\xc3\xb6");
    char *big = malloc(70000);

    (void)state;
    assert_false(v4_1_cut(&s, 3));
    assert_int_equal(s.len, 6);
    assert_true(v4_1_cut(&s, 2));
    assert_int_equal(s.len, 4);
    assert_non_null(big);
    memset(big, 'x', 70000);
    memcpy(big + 65534, "\xc3\xb6", 2);
    s = str_n(big, 70000);
    assert_true(v4_1_cut(&s, 0));
    assert_int_equal(s.len, 65534);
    s = str_n(big, 65535 - 1);
    assert_false(v4_1_cut(&s, 0));
    free(big);
}

static void entities_are_found_both_ways(void **state)
{
    (void)state;
    assert_string_equal(v4_1_entity_name(0xA0), "nbsp");
    assert_string_equal(v4_1_entity_name(0x20AC), "euro");
    assert_string_equal(v4_1_entity_name(0x2666), "diams");
    assert_string_equal(v4_1_entity_name('"'), "quot");
    assert_null(v4_1_entity_name('a'));
    assert_int_equal(v4_1_entity_code(STR("AElig")), 0xC6);
    assert_int_equal(v4_1_entity_code(STR("zwnj")), 0x200C);
    assert_int_equal(v4_1_entity_code(STR("zwn")), 0);
    assert_int_equal(v4_1_entity_code(STR("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_encoded_by_four_replacements),
        cmocka_unit_test(doubles_print_as_in_both_languages),
        cmocka_unit_test(amounts_are_read_as_far_as_they_go),
        cmocka_unit_test(written_text_is_cleaned_and_echoed),
        cmocka_unit_test(hostile_text_costs_its_length),
        cmocka_unit_test(cuts_count_characters),
        cmocka_unit_test(entities_are_found_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
