// SPDX-License-Identifier: Apache-2.0
// What a promotion and a rollback are judged by: Wilson's interval, coverage, arms; and the
// tokens of people.
#include "routes/ladder.h"
#include "routes/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct ladder limits = {.match_bp = 9900,
                                     .evidence_min = 200,
                                     .each_min = 5,
                                     .rollback = 1,
                                     .error_bp = 100,
                                     .mismatch_bp = 100,
                                     .latency_percent = 400,
                                     .rollback_min = 100};

// Values of the closed formula, computed elsewhere.
static void test_wilson(void **state)
{
    (void)state;
    assert_float_equal(ladder_lower(100, 100), 0.963006, 1e-5);
    assert_float_equal(ladder_upper(0, 100), 0.036994, 1e-5);
    assert_float_equal(ladder_lower(50, 100), 0.403832, 1e-5);
    assert_float_equal(ladder_upper(50, 100), 0.596168, 1e-5);
    assert_float_equal(ladder_lower(0, 100), 0, 1e-9);
    assert_float_equal(ladder_upper(100, 100), 1, 1e-9);
    assert_float_equal(ladder_lower(0, 0), 0, 0);
    assert_float_equal(ladder_upper(0, 0), 1, 0);
    for (uint64_t n = 1; n < 2000; n++)
        assert_true(ladder_lower(n, n) < ladder_lower(n + 1, n + 1));
}

static bool judge(const struct ladder_evidence *v, const char *says)
{
    struct buf out = BUF_INIT;
    bool enough = ladder_judge(&limits, v, &out);
    buf_addc(&out, 0);
    if (says && !strstr(out.data, says))
        fail_msg("'%s' is not in '%s'", says, out.data);
    buf_free(&out);
    return enough;
}

static void test_promotion(void **state)
{
    (void)state;
    struct ladder_evidence v = {.matched = 190, .ignored = 9, .stale = 1000};
    assert_false(judge(&v, "199 of 200"));
    v.matched = 380; // 389 of 389: 99.02 % sure
    assert_true(judge(&v, NULL));
    v.mismatched = 1;
    assert_false(judge(&v, "99.00 % is needed"));
    v.matched = 3800;
    assert_true(judge(&v, NULL));
    v.cover[v.ncover++] = (struct ladder_cover){LADDER_GET, LADDER_OK, 3000, 3000};
    v.cover[v.ncover++] = (struct ladder_cover){LADDER_LIST, LADDER_NOT_FOUND, 3, 3};
    assert_true(judge(&v, NULL)); // as often as clients used it
    v.cover[v.ncover++] = (struct ladder_cover){LADDER_COUNT, LADDER_OK, 900, 4};
    assert_false(judge(&v, "count answered ok: 4 of 5"));
    struct ladder none = limits;
    none.evidence_min = 0;
    struct buf out = BUF_INIT;
    assert_true(ladder_judge(&none, &v, &out));
    buf_free(&out);
}

static void test_what_a_route_asks_for_besides(void **state)
{
    (void)state;
    struct ladder l = limits;
    struct ladder_evidence v = {.matched = 5000};
    struct buf out = BUF_INIT;
    l.operations = LADDER_LIST;
    l.statuses = LADDER_NOT_FOUND;
    assert_false(ladder_judge(&l, &v, &out));
    buf_addc(&out, 0);
    assert_non_null(strstr(out.data, "operation list"));
    assert_non_null(strstr(out.data, "status not_found"));
    buf_reset(&out);
    v.cover[v.ncover++] = (struct ladder_cover){LADDER_LIST, LADDER_OK, 0, 5};
    v.cover[v.ncover++] = (struct ladder_cover){LADDER_GET, LADDER_NOT_FOUND, 0, 5};
    assert_true(ladder_judge(&l, &v, &out));
    buf_free(&out);
}

static void test_definitions(void **state)
{
    (void)state;
    struct problems p = {0};
    struct json_doc doc = {.file = "x"};
    struct ladder l;
    json_t *def = json_pack("{s:f, s:i, s:[s], s:b}", "match_percent", 99.95, "comparisons_min", 7,
                            "operations", "count", "rollback", 0);
    ladder_load(&doc, def, "/l", &l, &p);
    assert_int_equal(p.count, 0);
    assert_int_equal(l.match_bp, 9995);
    assert_int_equal(l.evidence_min, 7);
    assert_int_equal(l.operations, LADDER_COUNT);
    assert_int_equal(l.rollback, 0);
    assert_int_equal(l.each_min, LADDER_UNSET);
    json_decref(def);
    def = json_pack("{s:i, s:s, s:[s], s:i, s:i}", "match_percent", 101, "each_min", "x",
                    "statuses", "maybe", "rollback", 1, "nothing", 1);
    ladder_load(&doc, def, "/l", &l, &p);
    assert_int_equal(p.count, 5);
    json_decref(def);
    problems_free(&p);
}

static struct arm arm(uint64_t requests, uint64_t errors, uint64_t ns)
{
    struct arm a = {.requests = requests, .errors = errors};
    a.slots[arm_slot(ns)] = requests;
    return a;
}

static bool worse(struct arm old, struct arm new_, struct ladder_evidence v, const char *says)
{
    struct buf out = BUF_INIT;
    bool is = ladder_worse(&limits, &old, &new_, &v, &out);
    buf_addc(&out, 0);
    if (says && !strstr(out.data, says))
        fail_msg("'%s' is not in '%s'", says, out.data);
    buf_free(&out);
    return is;
}

static void test_rollback(void **state)
{
    (void)state;
    struct ladder_evidence well = {.matched = 1000};
    struct arm old = arm(1000, 0, 1000000);
    assert_false(worse(old, arm(1000, 0, 1000000), well, NULL));
    assert_false(worse(old, arm(99, 99, 1000000), well, NULL)); // too few to say
    assert_true(worse(old, arm(100, 50, 1000000), well, "errors: 50 of 100"));
    assert_false(worse(old, arm(100, 2, 1000000), well, NULL)); // not surely more than 1 %
    assert_false(worse(arm(1000, 500, 1000000), arm(1000, 480, 1000000), well, NULL)); // as usual
    assert_true(worse(old, arm(200, 0, 9000000), well, "latency"));
    assert_false(worse(old, arm(200, 0, 2500000), well, NULL));
    assert_false(worse(arm(50, 0, 1000000), arm(200, 0, 90000000), well, NULL)); // no baseline
    assert_true(worse(old, arm(0, 0, 1), (struct ladder_evidence){.matched = 90, .mismatched = 10},
                      "mismatches: 10 of 100"));
    assert_false(
        worse(old, arm(0, 0, 1), (struct ladder_evidence){.matched = 1000, .mismatched = 5}, NULL));
}

static void test_slots(void **state)
{
    (void)state;
    assert_int_equal(arm_slot(0), 0);
    assert_int_equal(arm_slot(63999), 0);
    assert_int_equal(arm_slot(64000), 1);
    assert_int_equal(arm_slot(UINT64_MAX), ARM_SLOTS - 1);
    struct arm a = {.slots = {90, 9, 1}};
    assert_float_equal(arm_quantile_ms(&a, 0.5), 0.064, 1e-9);
    assert_float_equal(arm_quantile_ms(&a, 0.99), 0.128, 1e-9);
    assert_float_equal(arm_quantile_ms(&(struct arm){.requests = 0}, 0.5), 0, 0);
}

static void test_people(void **state)
{
    (void)state;
    struct people p;
    struct err e = {0};
    // sha256 of "abc"
    assert_int_equal(
        people_parse("anna:approver:a:b, ben:viewer:sha256:"
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
                     &p, &e),
        0);
    assert_int_equal(p.n, 2);
    assert_string_equal(people_find(&p, STR("a:b"))->name, "anna");
    assert_int_equal(people_find(&p, STR("abc"))->role, ROLE_VIEWER);
    assert_null(people_find(&p, STR("")));
    assert_null(people_find(&p, STR("ABC")));
    static const char *const bad[] = {"anna",      "anna:approver", "anna:approver:",
                                      ":viewer:x", "anna:king:x",   "anna:viewer:sha256:12"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(people_parse(bad[i], &p, &e), -1);
        assert_int_equal(e.code, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_promotion),
        cmocka_unit_test(test_what_a_route_asks_for_besides),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
