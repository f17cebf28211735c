// SPDX-License-Identifier: Apache-2.0
// The arena: alignment, zeroing, limits, recycling.
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void gives_zeroed_aligned_memory(void **state)
{
    struct arena *a = arena_create(0);

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t size = 0; size < 5000; size += 37) {
            unsigned char *p = arena_alloc(a, size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xff, size);
        }
        assert_true(arena_used(a) > 300000);
        arena_reset(a); // the second round meets dirty memory
        assert_int_equal(arena_used(a), 0);
    }
    arena_destroy(a);
    arena_destroy(NULL);
}

static void keeps_its_limit(void **state)
{
    struct arena *a = arena_create(1000);
    volatile size_t huge = SIZE_MAX; // not for the compiler to see

    (void)state;
    assert_non_null(arena_alloc(a, 500));
    assert_null(arena_alloc(a, 600));
    assert_non_null(arena_alloc(a, 400)); // a refusal breaks nothing
    assert_null(arena_alloc(a, huge));
    assert_null(arena_alloc(a, huge - 8));
    assert_null(arena_array(a, huge / 2, 3));
    assert_null(arena_array(a, 1000, 1000));
    assert_null(arena_str(a, str_n("x", huge)).data);
    arena_reset(a);
    assert_non_null(arena_alloc(a, 900));
    arena_destroy(a);
}

static void takes_large_pieces(void **state)
{
    struct arena *a = arena_create(0);

    (void)state;
    char *big = arena_alloc(a, 3u << 20);
    assert_non_null(big);
    memset(big, 1, 3u << 20);
    assert_non_null(arena_alloc(a, 10));
    arena_reset(a);
    assert_non_null(arena_alloc(a, 10));
    arena_destroy(a);
}

static void copies_text(void **state)
{
    struct arena *a = arena_create(0);

    (void)state;
    struct str s = arena_str(a, STR("a\0b"));
    assert_true(str_eq(s, STR("a\0b")));
    assert_int_equal(s.data[3], 0);
    assert_non_null(arena_str(a, str_n(NULL, 0)).data);
    assert_string_equal(arena_strz(a, STR("xyz")), "xyz");
    assert_true(str_eqz(arena_printf(a, "%s-%d", "n", 5), "n-5"));
    struct str longer = arena_printf(a, "%0300d", 7);
    assert_int_equal(longer.len, 300);
    assert_int_equal(longer.data[299], '7');
    assert_int_equal(longer.data[300], 0);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory),
        cmocka_unit_test(keeps_its_limit),
        cmocka_unit_test(takes_large_pieces),
        cmocka_unit_test(copies_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
