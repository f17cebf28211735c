// SPDX-License-Identifier: Apache-2.0
// JSON definitions: refusals with file and line, pointers, getters, unknown keys.
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct problems problems;

static int forget(void **state)
{
    (void)state;
    problems_free(&problems);
    return 0;
}

static void expect_problem(const char *text)
{
    const char *all = problems.text.data ? problems.text.data : "";

    if (!strstr(all, text))
        fail_msg("\"%s\" is not in \"%s\"", text, all);
}

static void refuses_bad_texts(void **state)
{
    static const struct {
        struct str text;
        const char *problem;
    } rows[] = {
        {STR("{"), "f.json:1: "},
        {STR("{\n\"a\": 1,\n\"a\": 2}"), "f.json:3: duplicate"},
        {STR("{} x"), "f.json:1: end of file expected"},
        {STR("{\"a\":\xff}"), "f.json: not valid UTF-8"},
        {STR(""), "f.json:1: "},
        {STR("[1,\n2,\n]"), "f.json:3: "},
        {STR("{\"a\": 99999999999999999999}"), "f.json:1: "},
    };
    struct json_doc doc;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        problems_free(&problems);
        assert_int_equal(json_doc_parse(&doc, "f.json", rows[i].text, &problems), -1);
        assert_int_equal(problems.count, 1);
        assert_null(doc.root);
        assert_null(doc.text);
        expect_problem(rows[i].problem);
    }
}

static void limits_depth(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 8];
    struct json_doc doc;
    size_t n = JSON_DEPTH_MAX;

    (void)state;
    memset(text, '[', n);
    memset(text + n, ']', n);
    assert_int_equal(json_doc_parse(&doc, "f", str_n(text, 2 * n), &problems), 0);
    json_doc_free(&doc);
    n++;
    memset(text, '[', n);
    memset(text + n, ']', n);
    assert_int_equal(json_doc_parse(&doc, "f", str_n(text, 2 * n), &problems), -1);
    expect_problem("nested deeper than 64");
    // Brackets in strings are no nesting.
    problems_free(&problems);
    memset(text, '[', sizeof(text));
    text[0] = '"';
    text[1] = '\\';
    text[2] = '"';
    text[sizeof(text) - 1] = '"';
    char whole[sizeof(text) + 2] = "[";
    memcpy(whole + 1, text, sizeof(text));
    whole[sizeof(whole) - 1] = ']';
    assert_int_equal(json_doc_parse(&doc, "f", str_n(whole, sizeof(whole)), &problems), 0);
    json_doc_free(&doc);
}

static void reports_a_missing_file(void **state)
{
    struct json_doc doc;

    (void)state;
    assert_int_equal(json_doc_load(&doc, "/nonexistent/f.json", &problems), -1);
    expect_problem("/nonexistent/f.json: cannot be opened: No such file");
    json_doc_free(&doc);
}

#define TEXT                                                         \
    "\n{\n  \"a\": {\"b\": [1, \"]}\\\"\", {\n    \"c\": true}]},\n" \
    "  \"x/y\": {\n    \"m~n\": 1},\n  \"\\u0065\": 2,\n  \"last\":\n    null\n}\n"

static void finds_lines(void **state)
{
    static const struct {
        const char *pointer;
        unsigned line;
    } rows[] = {
        {"", 2},         {"/a", 3},     {"/a/b", 3},       {"/a/b/1", 3},   {"/a/b/2", 3},
        {"/a/b/2/c", 4}, {"/x~1y", 5},  {"/x~1y/m~0n", 6}, {"/e", 7},       {"/last", 9},
        {"/none", 0},    {"/a/b/3", 0}, {"/a/b/x", 0},     {"/a/b/0/x", 0}, {"/last/x", 0},
    };
    struct json_doc doc;

    (void)state;
    assert_int_equal(json_doc_parse(&doc, "f", STR(TEXT), &problems), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (json_doc_line(&doc, rows[i].pointer) != rows[i].line)
            fail_msg("%s is on line %u", rows[i].pointer, json_doc_line(&doc, rows[i].pointer));
    json_doc_free(&doc);
}

static void getters(void **state)
{
    struct json_doc doc;
    const char *s = NULL;
    long long n = 0;
    const long long nine = 9;
    bool b = false;

    (void)state;
    assert_int_equal(
        json_doc_parse(&doc, "f", STR("{\"s\":\"t\",\n\"n\":5,\n\"b\":true}"), &problems), 0);
    assert_int_equal(json_get_str(&doc, doc.root, "", "s", NULL, &s, &problems), 0);
    assert_string_equal(s, "t");
    assert_int_equal(json_get_str(&doc, doc.root, "", "none", "d", &s, &problems), 0);
    assert_string_equal(s, "d");
    assert_int_equal(json_get_int(&doc, doc.root, "", "n", 0, 5, NULL, &n, &problems), 0);
    assert_int_equal(n, 5);
    assert_int_equal(json_get_int(&doc, doc.root, "", "none", 0, 5, &nine, &n, &problems), 0);
    assert_int_equal(n, 9);
    assert_int_equal(json_get_bool(&doc, doc.root, "", "b", false, &b, &problems), 0);
    assert_true(b);
    assert_int_equal(problems.count, 0);
    assert_int_equal(json_get_str(&doc, doc.root, "", "n", NULL, &s, &problems), -1);
    assert_int_equal(json_get_str(&doc, doc.root, "", "none", NULL, &s, &problems), -1);
    assert_int_equal(json_get_int(&doc, doc.root, "", "n", 0, 4, NULL, &n, &problems), -1);
    assert_int_equal(json_get_int(&doc, doc.root, "", "s", 0, 4, NULL, &n, &problems), -1);
    assert_int_equal(json_get_bool(&doc, doc.root, "", "s", false, &b, &problems), -1);
    assert_int_equal(problems.count, 5);
    expect_problem("f:2: /n: must be a string, is an integer\n");
    expect_problem("f:1: (document): needs \"none\" (a string)\n");
    expect_problem("f:2: /n: is 5, must be from 0 to 4\n");
    expect_problem("f:1: /s: must be true or false, is a string\n");
    json_doc_free(&doc);
}

static void names_unknown_keys(void **state)
{
    static const char *const known[] = {"listen", "loops", NULL};
    struct json_doc doc;

    (void)state;
    assert_int_equal(
        json_doc_parse(&doc, "f", STR("{\"listen\":1,\n\"lopps\":2,\n\"a/b\":3}"), &problems), 0);
    json_only_keys(&doc, doc.root, "", known, &problems);
    assert_int_equal(problems.count, 2);
    expect_problem("f:2: /lopps: is not known; did you mean \"loops\"?\n");
    expect_problem("f:3: /a~1b: is not known\n");
    json_doc_free(&doc);
}

static void counts_beyond_its_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        problems_addz(&problems, "f", "mistake %d", i);
    assert_int_equal(problems.count, 1000);
    expect_problem("f: mistake 99\n");
    assert_null(strstr(problems.text.data, "mistake 100"));
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, forget)
    const struct CMUnitTest tests[] = {
        T(refuses_bad_texts), T(limits_depth),       T(reports_a_missing_file),  T(finds_lines),
        T(getters),           T(names_unknown_keys), T(counts_beyond_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
