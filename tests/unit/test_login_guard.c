// SPDX-License-Identifier: Apache-2.0
// Bounds on failed logins: who is locked out, for how long, and what many names cannot do.
#include "facade/session/login_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>

static struct sockaddr_storage address(int family, const char *text)
{
    struct sockaddr_storage s = {.ss_family = (sa_family_t)family};
    void *at = family == AF_INET ? (void *)&((struct sockaddr_in *)&s)->sin_addr
                                 : (void *)&((struct sockaddr_in6 *)&s)->sin6_addr;
    assert_int_equal(inet_pton(family, text, at), 1);
    return s;
}

static struct login_guard *guard(unsigned name_max, unsigned address_max)
{
    struct login_guard *g = login_guard_create(&(struct login_guard_options){
        .name_max = name_max, .address_max = address_max, .window_ms = 1000});
    assert_non_null(g);
    return g;
}

static void test_a_name_is_locked_for_the_window(void **state)
{
    struct login_guard *g = guard(3, 0);
    struct sockaddr_storage a = address(AF_INET, "192.0.2.1"), b = address(AF_INET, "192.0.2.2");
    struct login_who jim = login_who(STR("jim"), &a), again = login_who(STR("JIM  "), &b);
    (void)state;
    assert_int_equal(jim.name, again.name);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(login_guard_ask(g, jim, 5000 + i), LOGIN_MAY_TRY);
        login_guard_failed(g, i % 2 ? again : jim, 5000 + i);
    }
    assert_int_equal(login_guard_ask(g, again, 5999), LOGIN_LOCKED);
    assert_int_equal(login_guard_ask(g, login_who(STR("jane"), &a), 5999), LOGIN_MAY_TRY);
    assert_int_equal(login_guard_ask(g, jim, 6000), LOGIN_MAY_TRY);
    login_guard_destroy(g);
}

static void test_success_forgets(void **state)
{
    struct login_guard *g = guard(2, 0);
    struct login_who jim = login_who(STR("jim"), NULL);
    (void)state;
    login_guard_failed(g, jim, 1);
    login_guard_passed(g, jim);
    login_guard_failed(g, jim, 2);
    assert_int_equal(login_guard_ask(g, jim, 3), LOGIN_MAY_TRY);
    login_guard_failed(g, jim, 3);
    assert_int_equal(login_guard_ask(g, jim, 3), LOGIN_LOCKED);
    login_guard_destroy(g);
}

static void test_an_address_is_bounded_whatever_the_names(void **state)
{
    struct login_guard *g = guard(0, 10);
    struct sockaddr_storage a = address(AF_INET6, "2001:db8::1"),
                            same = address(AF_INET6, "2001:db8::ffff:1"),
                            other = address(AF_INET6, "2001:db8:0:1::1");
    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "user%d", i);
        assert_int_equal(login_guard_ask(g, login_who(str_of(name), &a), 1), LOGIN_MAY_TRY);
        login_guard_failed(g, login_who(str_of(name), &a), 1);
    }
    assert_int_equal(login_guard_ask(g, login_who(STR("x"), &same), 2), LOGIN_TOO_MANY);
    assert_int_equal(login_guard_ask(g, login_who(STR("x"), &other), 2), LOGIN_MAY_TRY);
    login_guard_destroy(g);
}

static void test_a_lock_outlives_a_flood_of_names(void **state)
{
    struct login_guard *g = guard(5, 0);
    struct login_who jim = login_who(STR("jim"), NULL);
    (void)state;
    for (int i = 0; i < 5; i++)
        login_guard_failed(g, jim, 10);
    for (int i = 0; i < 200000; i++) {
        char name[24];
        snprintf(name, sizeof name, "flood%d", i);
        login_guard_failed(g, login_who(str_of(name), NULL), 11);
    }
    assert_int_equal(login_guard_ask(g, jim, 12), LOGIN_LOCKED);
    login_guard_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_locked_for_the_window),
        cmocka_unit_test(test_success_forgets),
        cmocka_unit_test(test_an_address_is_bounded_whatever_the_names),
        cmocka_unit_test(test_a_lock_outlives_a_flood_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
