// SPDX-License-Identifier: Apache-2.0
// Form decoding as PHP does it, and path segments as RFC 3986 has them.
#include "facade/http/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

static void expect(const struct form *f, const char *name, const char *value)
{
    struct str got = form_get(f, name);

    if (!str_eqz(got, value))
        fail_msg("%s is \"%.*s\", not \"%s\"", name, (int)got.len, got.data, value);
}

static void decodes_urlencoded(void **state)
{
    struct form f;
    struct err e;

    (void)state;
    assert_int_equal(
        form_parse_urlencoded(STR("a=1&b=x+y%20z&c=%C3%A9&d&=lost&e=100%&f=%zz&g=1=2&a=last&h="),
                              arena, &f, &e),
        0);
    expect(&f, "a", "last");
    expect(&f, "b", "x y z");
    expect(&f, "c", "\xc3\xa9");
    expect(&f, "d", "");
    expect(&f, "e", "100%");
    expect(&f, "f", "%zz");
    expect(&f, "g", "1=2");
    expect(&f, "h", "");
    assert_null(form_get(&f, "lost").data);
    assert_int_equal(f.n, 9);
    assert_int_equal(form_parse_urlencoded(STR(""), arena, &f, &e), 0);
    assert_int_equal(f.n, 0);
}

static void limits_fields(void **state)
{
    static char text[2 * (FORM_FIELDS_MAX + 1)];
    struct form f;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "a&", 2);
    assert_int_equal(form_parse_urlencoded(str_n(text, 2 * FORM_FIELDS_MAX - 1), arena, &f, &e), 0);
    assert_int_equal(f.n, FORM_FIELDS_MAX);
    assert_int_equal(form_parse_urlencoded(str_n(text, sizeof(text) - 1), arena, &f, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
}

#define BOUNDARY "multipart/form-data; charset=utf-8; boundary=\"x y\""

static void decodes_multipart(void **state)
{
    struct str body = STR("--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
                          "--x y\r\nContent-Disposition: form-data; name=\"f\\\"q\"; "
                          "filename=\"C:\\dir\\n.txt\"\r\nContent-Type: text/plain\r\n\r\n"
                          "two\r\n--x z\r\n\0\r\n--x y\r\n"
                          "content-disposition: FORM-DATA; name=e\r\n\r\n\r\n--x y--\r\n");
    struct form f;
    struct err e;

    (void)state;
    assert_int_equal(form_parse_multipart(body, STR(BOUNDARY), arena, &f, &e), 0);
    assert_int_equal(f.n, 3);
    expect(&f, "a", "one");
    assert_true(str_eq(form_get(&f, "f\"q"), STR("two\r\n--x z\r\n\0")));
    assert_true(str_eqz(f.fields[1].filename, "C:\\dir\\n.txt"));
    assert_true(str_eqz(f.fields[1].content_type, "text/plain"));
    assert_null(f.fields[0].filename.data);
    expect(&f, "e", "");
}

static void refuses_bad_multipart(void **state)
{
#define PART "Content-Disposition: form-data; name=a\r\n\r\nv"
    static const struct str bad[] = {
        STR(""),
        STR("--x y"),
        STR("--x y\r\n"),
        STR("--x y\r\n" PART),
        STR("--x y\r\n" PART "\r\n--x y"),
        STR("--x y\r\nv\r\n--x y--"),
        STR("--x y\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x y--"),
        STR("--x y\r\nContent-Disposition: attachment; name=a\r\n\r\nv\r\n--x y--"),
        STR("--x y\r\nContent-Disposition: form-data; name=\"a\r\n\r\nv\r\n--x y--"),
        STR("--x yz\r\n" PART "\r\n--x yz--"),
        STR("--x y\n" PART "\r\n--x y--"),
        STR("--x y\r\nContent-Disposition : form-data; name=a\r\n\r\nv\r\n--x y--"),
    };
    struct form f;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (form_parse_multipart(bad[i], STR(BOUNDARY), arena, &f, &e) != -1)
            fail_msg("took number %zu", i);
        assert_int_equal(e.code, ERR_INVALID);
    }
    assert_int_equal(form_parse_multipart(STR("--\r\n"), STR("multipart/form-data"), arena, &f, &e),
                     -1);
    assert_int_equal(
        form_parse_multipart(STR("--\r\n"), STR("multipart/form-data; boundary="), arena, &f, &e),
        -1);
}

static void body_wins_over_query(void **state)
{
    struct http_header type = {STR("Content-Type"),
                               STR("application/x-www-form-urlencoded; charset=UTF-8")};
    struct http_request r = {.query = STR("a=query&b=2"),
                             .body = STR("a=body"),
                             .headers = &type,
                             .nheaders = 1,
                             .arena = arena};
    struct form f;
    struct err e;

    (void)state;
    assert_int_equal(form_parse_request(&r, &f, &e), 0);
    expect(&f, "a", "body");
    expect(&f, "b", "2");
    r.nheaders = 0;
    assert_int_equal(form_parse_request(&r, &f, &e), 0);
    expect(&f, "a", "query");
}

static void names_are_those_of_php(void **state)
{
    static const char *const cases[][2] = {
        {"method=a&+method=b", "b"},
        {"method=a&%20%20method=b", "b"},
        {"method=a&method%00x=b", "b"},
        {"method=a&method[]=b", ""},
        {"method=a&method[x=b", "a"},
        {"method[x][y]=b&method=a", "a"},
        {"method=a&Method=b", "a"},
        {"method=a&method+=b", "a"},
        {"method=a&[method]=b", "a"},
        {"methods=a", NULL},
        {"metho=a", NULL},
        {"method=a&%00method=b&+=c", "a"},
    };
    struct form f;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(form_parse_urlencoded(str_of(cases[i][0]), arena, &f, &e), 0);
        struct str got = form_get_php(&f, "method");
        if (cases[i][1] ? !got.data || !str_eqz(got, cases[i][1]) : got.data != NULL)
            fail_msg("%s: \"%.*s\"", cases[i][0], (int)got.len, got.data ? got.data : "-");
    }
    assert_int_equal(
        form_parse_urlencoded(STR("rest_data=a&rest.data=b&rest[data=c"), arena, &f, &e), 0);
    assert_true(str_eqz(form_get_php(&f, "rest_data"), "c"));
}

static void decodes_segments_strictly(void **state)
{
    struct str out;
    struct err e;

    (void)state;
    assert_int_equal(form_decode_segment(STR("a%20b+c%2F"), arena, &out, &e), 0);
    assert_true(str_eqz(out, "a b+c/"));
    assert_int_equal(form_decode_segment(STR("a%2"), arena, &out, &e), -1);
    assert_int_equal(form_decode_segment(STR("a%zz"), arena, &out, &e), -1);
    assert_int_equal(form_decode_segment(STR("a%00"), arena, &out, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_php),
        cmocka_unit_test(decodes_urlencoded),
        cmocka_unit_test(limits_fields),
        cmocka_unit_test(decodes_multipart),
        cmocka_unit_test(refuses_bad_multipart),
        cmocka_unit_test(body_wins_over_query),
        cmocka_unit_test(decodes_segments_strictly),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
