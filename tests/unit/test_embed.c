// SPDX-License-Identifier: Apache-2.0
// The table that scripts/embed.py generates: order, sizes and look-ups.
#include "base/embed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void finds_every_listed_file(void **state)
{
    size_t count = 0;
    const struct embedded_file *list = embed_list(&count);

    (void)state;
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(embed_find(list[i].name), &list[i]);
        assert_int_equal(list[i].data[list[i].size], 0);
        if (i > 0)
            assert_true(strcmp(list[i - 1].name, list[i].name) < 0);
    }
}

static void holds_the_bytes_of_the_file(void **state)
{
    size_t count = 0;
    const struct embedded_file *list = embed_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        FILE *f = fopen(list[i].name, "rb");
        assert_non_null(f);
        for (size_t n = 0; n < list[i].size; n++)
            assert_int_equal(fgetc(f), list[i].data[n]);
        assert_int_equal(fgetc(f), EOF);
        fclose(f);
    }
}

static void knows_no_other_name(void **state)
{
    (void)state;
    assert_null(embed_find(""));
    assert_null(embed_find("migrations/sql/control"));
    assert_null(embed_find("zzz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_listed_file),
        cmocka_unit_test(holds_the_bytes_of_the_file),
        cmocka_unit_test(knows_no_other_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
