// SPDX-License-Identifier: Apache-2.0
// Metrics: identity, histogram quantiles, the text exposition.
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void same_name_same_metric(void **state)
{
    struct metric *a = metrics_counter("t_one_total", "One.", "k=\"a\"");
    struct metric *b = metrics_counter("t_one_total", "One.", "k=\"b\"");

    (void)state;
    assert_ptr_equal(metrics_counter("t_one_total", "One.", "k=\"a\""), a);
    assert_ptr_not_equal(a, b);
    metric_add(a, 2);
    metric_add(a, 3);
    assert_int_equal(metric_value(a), 5);
    assert_int_equal(metric_value(b), 0);
}

static void quantiles_lie_in_their_bucket(void **state)
{
    struct metric *m = metrics_seconds("t_wait_seconds", "Waiting.", "");

    (void)state;
    assert_true(metric_quantile(m, 0.5) == 0);
    for (int i = 0; i < 90; i++)
        metric_observe_ns(m, 1500000); // (1 ms, 2 ms]
    for (int i = 0; i < 10; i++)
        metric_observe_ns(m, 30000000); // (20 ms, 50 ms]
    double p50 = metric_quantile(m, 0.5), p99 = metric_quantile(m, 0.99);
    assert_true(p50 > 0.001 && p50 <= 0.002);
    assert_true(p99 > 0.02 && p99 <= 0.05);
    metric_observe_ns(m, 3600000000000u);
    assert_true(metric_quantile(m, 1) == 60.0);
}

static void writes_the_exposition(void **state)
{
    struct buf b = BUF_INIT;
    struct metric *g = metrics_gauge("t_level", "Level.", "entity=\"account\"");
    struct metric *h = metrics_seconds("t_lag_seconds", "Lag.", "side=\"new\"");

    (void)state;
    metric_set(g, 1.5);
    metric_observe_ns(h, 50000);
    metric_observe_ns(h, 70000);
    metrics_write(&b);
    assert_non_null(strstr(b.data, "# HELP t_level Level.\n# TYPE t_level gauge\n"
                                   "t_level{entity=\"account\"} 1.5\n"));
    assert_non_null(strstr(b.data, "# TYPE t_lag_seconds histogram\n"
                                   "t_lag_seconds_bucket{side=\"new\",le=\"5e-05\"} 1\n"
                                   "t_lag_seconds_bucket{side=\"new\",le=\"0.0001\"} 2\n"));
    assert_non_null(strstr(b.data, "t_lag_seconds_bucket{side=\"new\",le=\"+Inf\"} 2\n"
                                   "t_lag_seconds_sum{side=\"new\"} 0.000120000\n"
                                   "t_lag_seconds_count{side=\"new\"} 2\n"));
    // Two sets of labels, one heading; sorted by name.
    metrics_counter("t_two_total", "Two.", "k=\"b\"");
    metrics_counter("t_two_total", "Two.", "k=\"a\"");
    buf_reset(&b);
    metrics_write(&b);
    const char *first = strstr(b.data, "# HELP t_two_total");
    assert_non_null(first);
    assert_null(strstr(first + 1, "# HELP t_two_total"));
    assert_true(strstr(b.data, "t_two_total{k=\"a\"} 0\nt_two_total{k=\"b\"} 0\n") > first);
    assert_true(strstr(b.data, "# HELP t_lag_seconds") < strstr(b.data, "# HELP t_level"));
    buf_free(&b);
}

static void no_metric_is_no_crash(void **state)
{
    (void)state; // memory was out when it was registered
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_observe_ns(NULL, 1);
    assert_int_equal(metric_value(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_name_same_metric),
        cmocka_unit_test(quantiles_lie_in_their_bucket),
        cmocka_unit_test(writes_the_exposition),
        cmocka_unit_test(no_metric_is_no_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
