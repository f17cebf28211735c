// SPDX-License-Identifier: Apache-2.0
// How long a walk rests: by arithmetic, with times given and none measured.
#include "cdc/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct pace pace_of(long long rows_per_s, unsigned share)
{
    struct pace p;
    atomic_init(&p.rows_per_s, rows_per_s);
    atomic_init(&p.share, share);
    return p;
}

// Rows that are walked in ten seconds, chunk by chunk, by a store that takes `us` a chunk of 1000.
static long long walked(const struct pace *pace, struct pacer *pacer, uint64_t us)
{
    long long rows = 0;
    for (uint64_t now = 0; now < 10000000; rows += 1000)
        now += us + pacer_rest_us(pacer, pace, 1000, us);
    return rows;
}

static void full_speed_never_rests(void **state)
{
    (void)state;
    struct pace none = pace_of(0, 100), zero = pace_of(0, 0);
    struct pacer p = {0};
    assert_int_equal(pacer_rest_us(&p, &none, 1000, 5000), 0);
    assert_int_equal(pacer_rest_us(&p, &none, 1000, 500000), 0);
    assert_int_equal(pacer_rest_us(&p, &zero, 1000, 500000), 0);
}

static void a_share_of_the_time_is_kept(void **state)
{
    (void)state;
    struct pace half = pace_of(0, 50), tenth = pace_of(0, 10);
    struct pacer p = {0};
    assert_int_equal(pacer_rest_us(&p, &half, 1000, 20000), 20000);
    assert_int_equal(pacer_rest_us(&p, &tenth, 1000, 20000), 180000);
}

static void a_bound_on_rows_holds_at_any_share(void **state)
{
    (void)state;
    struct pace rows = pace_of(10000, 100), both = pace_of(10000, 50);
    struct pacer p = {0};
    assert_int_equal(pacer_rest_us(&p, &rows, 1000, 20000), 80000);
    assert_int_equal(pacer_rest_us(&p, &rows, 1000, 200000), 0); // slower than its bound anyway
    assert_in_range(walked(&both, &p, 20000), 99000, 101000);
}

static void a_store_that_slows_down_is_asked_far_less(void **state)
{
    (void)state;
    struct pace half = pace_of(0, 50);
    struct pacer p = {0};
    long long quick = walked(&half, &p, 10000);
    long long slow = walked(&half, &p, 40000); // four times: by its own slowness a quarter
    assert_in_range(quick, 499000, 501000);
    assert_true(slow < quick / 8); // less than half of that quarter
    assert_true(slow > 0);
    assert_in_range(walked(&half, &p, 10000), 499000, 501000); // and back, once it answers again
    struct pacer q = {0};
    walked(&half, &q, 10000);
    assert_int_equal(pacer_rest_us(&q, &half, 1000, 1000000), 8000000);   // bounded in proportion
    assert_int_equal(pacer_rest_us(&q, &half, 1000, 60000000), 10000000); // and at all
}

static void few_rows_teach_nothing(void **state)
{
    (void)state;
    struct pace half = pace_of(0, 50);
    struct pacer p = {0};
    pacer_rest_us(&p, &half, 3, 1);
    assert_int_equal(pacer_rest_us(&p, &half, 1000, 20000), 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_speed_never_rests),
        cmocka_unit_test(a_share_of_the_time_is_kept),
        cmocka_unit_test(a_bound_on_rows_holds_at_any_share),
        cmocka_unit_test(a_store_that_slows_down_is_asked_far_less),
        cmocka_unit_test(few_rows_teach_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
