// SPDX-License-Identifier: Apache-2.0
// The text of a marker that tells of an opening: made, read back, and nothing else taken for it.
#include "cdc/marker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_opening_is_read_back(void **state)
{
    char text[MARKER_OPENED_MAX];
    long long epoch;
    struct str group;
    (void)state;
    marker_opened(text, 42, "crm-sales");
    assert_string_equal(text, "opened-42-crm-sales");
    assert_true(marker_is_opened(str_of(text), &epoch, &group));
    assert_int_equal(epoch, 42);
    assert_true(str_eqz(group, "crm-sales"));
}

static void other_markers_are_none(void **state)
{
    static const char *const others[] = {"",
                                         "opened-",
                                         "opened-x-crm",
                                         "opened-0-crm",
                                         "opened-7",
                                         "opened--7-crm",
                                         "transfer-7",
                                         "heartbeat",
                                         "opened-99999999999999999999-crm"};
    long long epoch;
    struct str group;
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(marker_is_opened(str_of(others[i]), &epoch, &group));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_opening_is_read_back),
                                       cmocka_unit_test(other_markers_are_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
