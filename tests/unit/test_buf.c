// SPDX-License-Identifier: Apache-2.0
// The growing buffer: sticky failure, limits, JSON and URL encodings.
#include "base/buf.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(struct buf *b, const char *text)
{
    assert_false(b->failed);
    assert_string_equal(b->data, text);
    assert_int_equal(b->len, strlen(text));
    buf_reset(b);
}

static void appends(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_addz(&b, "a");
    buf_addstr(&b, STR("bc"));
    buf_addstr(&b, str_n(NULL, 0));
    buf_addc(&b, 'd');
    buf_printf(&b, "-%d-%s", 7, "x");
    expect(&b, "abcd-7-x");
    buf_addint(&b, 0);
    buf_addc(&b, ' ');
    buf_addint(&b, LLONG_MIN);
    buf_addc(&b, ' ');
    buf_addint(&b, LLONG_MAX);
    expect(&b, "0 -9223372036854775808 9223372036854775807");
    for (int i = 0; i < 10000; i++)
        buf_addz(&b, "0123456789");
    assert_int_equal(b.len, 100000);
    buf_consume(&b, 99995);
    assert_string_equal(b.data, "56789");
    buf_consume(&b, 99);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    buf_free(&b);
    assert_null(b.data);
}

static void failure_sticks(void **state)
{
    struct buf b = {.limit = 5};
    struct err e;

    (void)state;
    buf_addz(&b, "12345");
    assert_int_equal(buf_check(&b, &e), 0);
    buf_addc(&b, '6');
    assert_true(b.failed);
    assert_string_equal(b.data, "12345"); // what fitted is untouched
    buf_reset(&b);
    buf_addz(&b, "123456");
    buf_addz(&b, "1");
    assert_int_equal(b.len, 0); // nothing after the first failure
    assert_int_equal(buf_check(&b, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_reset(&b);
    buf_printf(&b, "%06d", 1);
    assert_true(b.failed);
    buf_reset(&b);
    assert_int_equal(buf_reserve(&b, 5), 0);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
    buf_free(&b);
}

static void writes_json(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_addjson(&b, STR("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xf0\x9f\x98\x80"));
    expect(&b, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\xf0\x9f\x98\x80\"");
    buf_addjson(&b, STR("\xff"
                        "a\xc3"));
    expect(&b, "\"\xef\xbf\xbd"
               "a\xef\xbf\xbd\"");
    buf_addjson(&b, str_n(NULL, 0));
    expect(&b, "\"\"");
    buf_addjson(&b, str_n("\0", 1));
    expect(&b, "\"\\u0000\"");
    buf_free(&b);
}

// What PHP 7.4's json_encode prints for the same strings.
static void writes_json_as_php(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_addjson_php(&b, STR("a/b\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\""));
    expect(&b, "\"a\\/b\\u00e9\\u20ac\\ud83d\\ude00\x7f\\\"\"");
    buf_addjson_php(&b, STR("\xff"));
    expect(&b, "\"\\ufffd\"");
    buf_free(&b);
}

static void writes_urls(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_addurl(&b, STR("aZ09-._~ /?&=+%\xc3\xa9"));
    expect(&b, "aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),     cmocka_unit_test(failure_sticks),
        cmocka_unit_test(writes_json), cmocka_unit_test(writes_json_as_php),
        cmocka_unit_test(writes_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
