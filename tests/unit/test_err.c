// SPDX-License-Identifier: Apache-2.0
// Errors as values: messages, retriability, exit statuses.
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sets_and_prefixes(void **state)
{
    struct err e;

    (void)state;
    memset(&e, 0xff, sizeof(e));
    assert_int_equal(err_set(&e, ERR_CONFLICT, "row %d", 7), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_string_equal(e.msg, "row 7");
    assert_string_equal(e.sqlstate, "");
    assert_int_equal(e.native, 0);
    assert_false(e.retriable);
    e.native = 19;
    assert_int_equal(err_prefix(&e, "saving %s", "account"), -1);
    assert_string_equal(e.msg, "saving account: row 7");
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_int_equal(e.native, 19);               // context loses nothing
    err_set(&e, ERR_INVALID, "again: %s", e.msg); // its own message as an argument
    assert_string_equal(e.msg, "again: saving account: row 7");
    err_set(&e, ERR_INVALID, "two\nlines\r");
    assert_string_equal(e.msg, "two lines ");
    err_clear(&e);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(e.msg, "");
    assert_int_equal(err_set(NULL, ERR_BUSY, "nobody asks"), -1);
    assert_int_equal(err_prefix(NULL, "nobody asks"), -1);
}

static void marks_what_it_cut(void **state)
{
    struct err e;

    (void)state;
    err_set(&e, ERR_INVALID, "%0600d", 1);
    assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
    assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
    err_prefix(&e, "context");
    assert_int_equal(strncmp(e.msg, "context: 000", 12), 0);
    assert_string_equal(e.msg + sizeof(e.msg) - 4, "...");
}

static void knows_what_may_be_tried_again(void **state)
{
    static const struct {
        enum err_code code;
        bool retriable;
        int status;
    } rows[] = {
        {ERR_NONE, false, 0},       {ERR_MEMORY, true, 5},    {ERR_INVALID, false, 5},
        {ERR_CONFIG, false, 3},     {ERR_BUSY, true, 1},      {ERR_TIMEOUT, true, 4},
        {ERR_UNREACHABLE, true, 4}, {ERR_DENIED, false, 1},   {ERR_FENCED, false, 1},
        {ERR_STALE, false, 1},      {ERR_CONFLICT, false, 1}, {ERR_UNKNOWN_OUTCOME, false, 5},
        {ERR_INTERNAL, false, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e;
        err_set(&e, rows[i].code, "x");
        assert_int_equal(e.retriable, rows[i].retriable);
        assert_int_equal(err_exit_status(&e), rows[i].status);
    }
    for (int c = ERR_NONE; c <= ERR_INTERNAL; c++)
        assert_string_not_equal(err_name((enum err_code)c), "unknown");
    assert_string_equal(err_name((enum err_code)999), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_and_prefixes),
        cmocka_unit_test(marks_what_it_cut),
        cmocka_unit_test(knows_what_may_be_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
