// SPDX-License-Identifier: Apache-2.0
// The join finds what differs whatever the order and however much must wait; a spool gives back
// what it took, from memory and from disk.
#include "cdc/reconcile/join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct print print_of(unsigned key, unsigned row, char text[16])
{
    int n = snprintf(text, 16, "key-%u", key);
    return (struct print){.key = str_n(text, (size_t)n), .hash = XXH3_128bits(&row, sizeof row)};
}

static void add(struct join *j, enum side side, unsigned key, unsigned row)
{
    struct err e = {0};
    char text[16];
    struct print p = print_of(key, row, text);
    assert_int_equal(join_add(j, side, &p, &e), 0);
}

// Candidate keys as a sorted, comma separated text.
static long long candidates(struct pool *p, const char *one)
{
    struct err e = {0};
    struct str record;
    long long n = 0;
    assert_int_equal(spool_rewind(&p->candidates, &e), 0);
    while (spool_next(&p->candidates, &record, &e) == 1)
        n += !one || str_eqz(record, one);
    return n;
}

static unsigned shuffled(unsigned i, unsigned n)
{
    return (unsigned)((uint64_t)i * 7919 % n); // a permutation for n prime to 7919
}

static void finds(size_t max, bool same_order)
{
    enum { N = 20000 };
    struct pool p;
    struct join j;
    struct err e = {0};
    assert_int_equal(pool_init(&p, &e), 0);
    assert_int_equal(join_init(&j, &p, max, &e), 0);
    for (unsigned i = 0; i < N; i++) {
        unsigned k = same_order ? i : shuffled(i, N);
        if (i != 11)
            add(&j, SIDE_LEGACY, i, i);
        if (k != 12)
            add(&j, SIDE_NEW, k, k == 13 ? 0 : k);
    }
    assert_int_equal(join_flush(&j, &e), 0);
    assert_int_equal(pool_finish(&p, &e), 0);
    assert_int_equal(candidates(&p, NULL), 3);
    assert_int_equal(candidates(&p, "key-11"), 1);
    assert_int_equal(candidates(&p, "key-12"), 1);
    assert_int_equal(candidates(&p, "key-13"), 1);
    join_free(&j);
    pool_free(&p);
}

static void in_any_order_and_any_memory(void **state)
{
    (void)state;
    finds(100000, true);
    finds(100000, false);
    finds(64, true);
    finds(64, false);
}

// Two rows of one key: the second finds nobody, however it comes.
static void a_duplicate_is_a_candidate(void **state)
{
    struct pool p;
    struct join j;
    struct err e = {0};
    (void)state;
    assert_int_equal(pool_init(&p, &e), 0);
    assert_int_equal(join_init(&j, &p, 1000, &e), 0);
    add(&j, SIDE_LEGACY, 1, 1); // matched, then again
    add(&j, SIDE_NEW, 1, 1);
    add(&j, SIDE_LEGACY, 1, 1);
    add(&j, SIDE_LEGACY, 2, 1); // twice before the other
    add(&j, SIDE_LEGACY, 2, 2);
    add(&j, SIDE_NEW, 2, 1);
    assert_int_equal(join_flush(&j, &e), 0);
    assert_int_equal(pool_finish(&p, &e), 0);
    assert_int_equal(candidates(&p, "key-1"), 1);
    assert_int_equal(candidates(&p, "key-2"), 1);
    join_free(&j);
    pool_free(&p);
}

// Two rows that swapped their values: neither is hidden by the other.
static void a_swap_does_not_cancel_out(void **state)
{
    struct pool p;
    struct join j;
    struct err e = {0};
    (void)state;
    assert_int_equal(pool_init(&p, &e), 0);
    assert_int_equal(join_init(&j, &p, 1000, &e), 0);
    add(&j, SIDE_LEGACY, 1, 7);
    add(&j, SIDE_LEGACY, 2, 8);
    add(&j, SIDE_NEW, 1, 8);
    add(&j, SIDE_NEW, 2, 7);
    assert_int_equal(candidates(&p, NULL), 2);
    join_free(&j);
    pool_free(&p);
}

// What one process noted of its waiting prints serves the next.
static void waiting_prints_come_back(void **state)
{
    struct pool p, q;
    struct join j;
    struct spool kept;
    struct err e = {0};
    struct str record;
    (void)state;
    spool_init(&kept, 1000);
    assert_int_equal(pool_init(&p, &e), 0);
    assert_int_equal(pool_init(&q, &e), 0);
    assert_int_equal(join_init(&j, &p, 1000, &e), 0);
    j.kept = &kept;
    add(&j, SIDE_LEGACY, 1, 7);
    add(&j, SIDE_LEGACY, 2, 8);
    add(&j, SIDE_NEW, 2, 8);
    assert_int_equal(join_flush(&j, &e), 0);
    assert_int_equal(spool_rewind(&kept, &e), 0);
    while (spool_next(&kept, &record, &e) == 1)
        assert_int_equal(pool_put(&q, record, &e), 0);
    assert_int_equal(q.waiting, 1);
    assert_int_equal(pool_finish(&q, &e), 0);
    assert_int_equal(candidates(&q, "key-1"), 1);
    assert_int_equal(candidates(&q, NULL), 1);
    join_free(&j);
    pool_free(&p);
    pool_free(&q);
    spool_free(&kept);
}

static void spool_of(size_t memory, size_t records, size_t width)
{
    struct spool s;
    struct err e = {0};
    struct str got;
    char *text = test_malloc(width + 1);
    spool_init(&s, memory);
    for (size_t i = 0; i < records; i++) {
        memset(text, (int)('a' + i % 26), width);
        assert_int_equal(spool_add(&s, text, i % (width + 1), &e), 0);
    }
    assert_int_equal(spool_rewind(&s, &e), 0);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < records; i++) {
            assert_int_equal(spool_next(&s, &got, &e), 1);
            assert_int_equal(got.len, i % (width + 1));
            if (got.len)
                assert_int_equal(got.data[got.len - 1], 'a' + i % 26);
        }
        assert_int_equal(spool_next(&s, &got, &e), 0);
        assert_int_equal(spool_rewind(&s, &e), 0);
    }
    spool_free(&s);
    test_free(text);
}

static void a_spool_gives_back(void **state)
{
    (void)state;
    spool_of(1 << 20, 100, 10);
    spool_of(100, 5000, 40);
    spool_of(100, 30, 200000); // records longer than the window
    spool_of(100, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_order_and_any_memory), cmocka_unit_test(a_duplicate_is_a_candidate),
        cmocka_unit_test(a_swap_does_not_cancel_out),  cmocka_unit_test(waiting_prints_come_back),
        cmocka_unit_test(a_spool_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
