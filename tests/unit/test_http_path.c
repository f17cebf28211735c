// SPDX-License-Identifier: Apache-2.0
#include "connectors/http/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void paths_have_one_normal_form(void **state)
{
    static const char *const cases[][2] = {
        {"/", "/"},
        {"*", "*"},
        {"/a/b", "/a/b"},
        {"/a/b/", "/a/b/"},
        {"//", "/"},
        {"//a///b//", "/a/b/"},
        {"/./a/./b/.", "/a/b/"},
        {"/x/../a", "/a"},
        {"/x/y/../../a", "/a"},
        {"/a/..", "/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../", "/a/"},
        {"/x/%2e%2E/a", "/a"},
        {"/%2E/a", "/a"},
        {"/%61%2Dz%5f%7E%39", "/a-z_~9"},
        {"/a%2Fb/%20/%C3%A4", "/a%2Fb/%20/%C3%A4"}, // no slash, no blank, no octet of UTF-8
        {"/a%2f..%2fb", "/a%2f..%2fb"},
        {"/%25%32%65", "/%252e"}, // decoded once
        {"/a%", "/a%"},
        {"/a%4", "/a%4"},
        {"/a%zz%4", "/a%zz%4"},
        {"/.well-known/x", "/.well-known/x"},
        {"/...", "/..."},
        {"/a/..b/.c", "/a/..b/.c"},
        {"//service/./v4_1//x/../rest.php", "/service/v4_1/rest.php"},
    };
    struct arena *a = arena_create(0);
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str out;
        assert_int_equal(http_path_normal(str_of(cases[i][0]), a, &out, &e), 0);
        if (!str_eqz(out, cases[i][1]))
            fail_msg("%s: %.*s", cases[i][0], (int)out.len, out.data);
    }
    arena_destroy(a);
}

static void paths_that_no_server_serves_are_refused(void **state)
{
    static const char *const cases[] = {"/..",           "/../a", "/a/../..", "/a/../../b", "/%2e.",
                                        "/.%2E/%2e%2e/", "//..",  "/./..",    "/a%00b",     "/%00"};
    struct arena *a = arena_create(0);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = {0};
        struct str out;
        if (http_path_normal(str_of(cases[i]), a, &out, &e) == 0 || e.code != ERR_INVALID)
            fail_msg("%s is taken", cases[i]);
    }
    arena_destroy(a);
}

static void what_is_below_a_mount(void **state)
{
    static const char *const cases[][3] = {
        {"/api", "/api", ""},
        {"/api", "/api/", "/"},
        {"/api/", "/api/a/b", "/a/b"},
        {"/api/v1", "/api/v1/a", "/a"},
        {"/a@b", "/a%40b/c", "/c"},
        {"/", "/a", "/a"},
        {"", "/a", "/a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str below = http_path_below(str_of(cases[i][1]), str_of(cases[i][0]));
        if (!str_eqz(below, cases[i][2]))
            fail_msg("%s under %s: %.*s", cases[i][1], cases[i][0], (int)below.len, below.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_one_normal_form),
        cmocka_unit_test(paths_that_no_server_serves_are_refused),
        cmocka_unit_test(what_is_below_a_mount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
