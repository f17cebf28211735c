// SPDX-License-Identifier: Apache-2.0
// Circuit breakers: when they open, who may try, when they close.
#include "facade/backend/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static const struct breaker_options options = {.percent = 50, .calls = 10, .open_ms = 1000};
static struct breaker b;
static uint64_t now;

static int setup(void **state)
{
    (void)state;
    now = 1000 * MS;
    breaker_init(&b, &options, "test");
    b.half_ns = now;
    return 0;
}

static bool call(enum breaker_outcome outcome)
{
    unsigned ticket;

    if (!breaker_admit(&b, now, &ticket))
        return false;
    breaker_record(&b, ticket, outcome, now);
    return true;
}

static void calls(unsigned n, enum breaker_outcome outcome)
{
    for (unsigned i = 0; i < n; i++)
        assert_true(call(outcome));
}

static void test_few_failures_open_nothing(void **state)
{
    (void)state;
    calls(9, BREAKER_FAILURE); // too few calls
    assert_int_equal(b.state, BREAKER_CLOSED);
    setup(NULL);
    calls(100, BREAKER_SUCCESS);
    calls(99, BREAKER_FAILURE); // too small a share
    assert_int_equal(b.state, BREAKER_CLOSED);
    calls(1, BREAKER_FAILURE);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void test_old_failures_fade(void **state)
{
    (void)state;
    calls(9, BREAKER_FAILURE);
    now += 11000 * MS;
    calls(9, BREAKER_FAILURE);
    assert_int_equal(b.state, BREAKER_CLOSED);
    now += 5000 * MS; // one half window: those count still
    calls(1, BREAKER_FAILURE);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void open_it(void)
{
    calls(10, BREAKER_FAILURE);
    assert_int_equal(b.state, BREAKER_OPEN);
}

static void test_open_refuses_then_a_few_try(void **state)
{
    unsigned tickets[3], more;

    (void)state;
    open_it();
    assert_false(call(BREAKER_SUCCESS));
    now += 999 * MS;
    assert_false(call(BREAKER_SUCCESS));
    now += 1 * MS;
    for (unsigned i = 0; i < 3; i++)
        assert_true(breaker_admit(&b, now, &tickets[i]));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(breaker_admit(&b, now, &more)); // no more at a time
    breaker_record(&b, tickets[0], BREAKER_SUCCESS, now);
    breaker_record(&b, tickets[1], BREAKER_NEUTRAL, now); // says nothing, makes room
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_true(call(BREAKER_SUCCESS));
    breaker_record(&b, tickets[2], BREAKER_SUCCESS, now);
    assert_int_equal(b.state, BREAKER_CLOSED);
    calls(9, BREAKER_FAILURE); // nothing of before is held against it
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_one_failure_opens_it_again(void **state)
{
    unsigned first, second;

    (void)state;
    open_it();
    now += 1000 * MS;
    assert_true(breaker_admit(&b, now, &first) && breaker_admit(&b, now, &second));
    breaker_record(&b, first, BREAKER_FAILURE, now);
    assert_int_equal(b.state, BREAKER_OPEN);
    breaker_record(&b, second, BREAKER_SUCCESS, now); // of a state that is over
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(call(BREAKER_SUCCESS));
    now += 1000 * MS;
    calls(3, BREAKER_SUCCESS);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_late_answers_are_stale(void **state)
{
    unsigned ticket;

    (void)state;
    assert_true(breaker_admit(&b, now, &ticket));
    open_it();
    now += 1000 * MS;
    calls(2, BREAKER_SUCCESS);
    breaker_record(&b, ticket, BREAKER_FAILURE, now); // asked before it opened
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    calls(1, BREAKER_SUCCESS);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

static void test_one_that_never_opens(void **state)
{
    const struct breaker_options never = {.percent = 0, .calls = 1, .open_ms = 1};

    (void)state;
    breaker_init(&b, &never, "test");
    calls(1000, BREAKER_FAILURE);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_few_failures_open_nothing, setup),
        cmocka_unit_test_setup(test_old_failures_fade, setup),
        cmocka_unit_test_setup(test_open_refuses_then_a_few_try, setup),
        cmocka_unit_test_setup(test_one_failure_opens_it_again, setup),
        cmocka_unit_test_setup(test_late_answers_are_stale, setup),
        cmocka_unit_test_setup(test_one_that_never_opens, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
