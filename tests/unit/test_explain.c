// SPDX-License-Identifier: Apache-2.0
// Requests that people paste: curl command lines and raw HTTP.
#include "facade/server/explain_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct http_request r;
static struct err e;

static int set_up(void **state)
{
    (void)state;
    r = (struct http_request){.arena = arena_create(0)};
    err_clear(&e);
    return r.arena ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(r.arena);
    return 0;
}

static void parse(const char *text)
{
    if (explain_parse(str_of(text), &r, &e))
        fail_msg("%s: %s", text, e.msg);
}

#define assert_str(s, z) assert_true(str_eqz(s, z))

static void test_curl(void **state)
{
    (void)state;
    parse("curl -s -X PATCH 'http://crm.example:8080/api/accounts/a1?x=1' \\\n"
          "  -H 'Authorization: Bearer \"t\"' -H \"X-A: b\\\"c\" -d '{\"name\": \"it'\\''s\"}'");
    assert_str(r.method, "PATCH");
    assert_str(r.host, "crm.example:8080");
    assert_str(r.path, "/api/accounts/a1");
    assert_str(r.query, "x=1");
    assert_int_equal(r.nheaders, 3);
    assert_str(r.headers[0].value, "Bearer \"t\"");
    assert_str(r.headers[1].value, "b\"c");
    assert_str(r.body, "{\"name\": \"it's\"}");
}

static void test_curl_forms(void **state)
{
    (void)state;
    parse("curl http://h/rest.php --data method=get_entry --data-urlencode 'rest_data=[\"a b\"]'");
    assert_str(r.method, "POST");
    assert_str(r.body, "method=get_entry&rest_data=%5B%22a%20b%22%5D");
    assert_str(r.headers[0].value, "application/x-www-form-urlencoded");
    tear_down(NULL);
    set_up(NULL);
    parse("curl -G -dq=1 -o out.txt h/p?a=b");
    assert_str(r.method, "GET");
    assert_str(r.path, "/p");
    assert_str(r.target, "/p?a=b&q=1");
    assert_int_equal(r.body.len, 0);
}

static void test_raw(void **state)
{
    (void)state;
    parse("POST /rest.php HTTP/1.1\r\nHost: crm\r\nContent-Length: 3\r\n\r\na=b");
    assert_str(r.method, "POST");
    assert_str(r.host, "crm");
    assert_str(r.body, "a=b");
    tear_down(NULL);
    set_up(NULL);
    parse("GET http://other/x?y HTTP/1.1\n\n");
    assert_str(r.host, "other");
    assert_str(r.path, "/x");
    assert_str(r.query, "y");
}

static void test_what_is_not_understood(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "nonsense",
        "curl -s",
        "curl 'http://h/",
        "curl http://h/ -d @secrets.txt",
        "curl http://h/ -F a=b",
        "curl http://h/ -H nocolon",
        "GET / HTTP/1.1\nno header\n\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tear_down(NULL);
        set_up(NULL);
        if (explain_parse(str_of(bad[i]), &r, &e) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_curl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_curl_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_raw, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_understood, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
