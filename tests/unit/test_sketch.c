// SPDX-License-Identifier: Apache-2.0
// A sketch forgets what both sides have, in any order, and gives the keys of the rest, or says
// that it cannot.
#include "cdc/reconcile/sketch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct found {
    unsigned n;
    char keys[8][40];
};

static void add(struct sketch *s, enum side side, unsigned key, unsigned row)
{
    char text[64];
    unsigned both[2] = {key, row};
    int n = snprintf(text, sizeof text, "key-%u", key);
    struct print p = {.key = str_n(text, (size_t)n), .hash = XXH3_128bits(both, sizeof both)};
    assert_true(sketch_fits(s, p.key));
    sketch_add(s, side, &p);
}

static int on_key(void *ctx, struct str key, struct err *e)
{
    struct found *f = ctx;
    (void)e;
    if (f->n < 8)
        assert_int_equal(str_copy(f->keys[f->n], sizeof f->keys[0], key), 0);
    f->n++;
    return 0;
}

static unsigned times(const struct found *f, const char *key)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->n && i < 8; i++)
        n += strcmp(f->keys[i], key) == 0;
    return n;
}

static void make(struct sketch *s, size_t key_max)
{
    struct err e = {0};
    assert_int_equal(sketch_init(s, key_max, &e), 0);
}

static void tells_what_differs(void **state)
{
    enum { N = 200000 };
    struct sketch s;
    struct found f = {0};
    struct err e = {0};
    (void)state;
    make(&s, 36);
    for (unsigned i = 0; i < N; i++) {
        unsigned k = (unsigned)((uint64_t)i * 7919 % N);
        if (i != 11)
            add(&s, SIDE_LEGACY, i, i);
        if (k != 12)
            add(&s, SIDE_NEW, k, k == 13 ? 0 : k);
    }
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 1);
    assert_int_equal(f.n, 4);
    assert_int_equal(times(&f, "key-11"), 1);
    assert_int_equal(times(&f, "key-12"), 1);
    assert_int_equal(times(&f, "key-13"), 2);
    f.n = 0;
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 1); // it is empty now
    assert_int_equal(f.n, 0);
    sketch_free(&s);
}

// Rows that one side gave twice are told, or the sketch says that it cannot tell: never equal.
static void twice_is_not_none(void **state)
{
    struct sketch s;
    struct found f = {0};
    struct err e = {0};
    (void)state;
    make(&s, 36);
    add(&s, SIDE_LEGACY, 1, 1);
    add(&s, SIDE_NEW, 1, 1);
    add(&s, SIDE_NEW, 1, 1);
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 1);
    assert_int_equal(times(&f, "key-1"), 1);
    f.n = 0;
    add(&s, SIDE_NEW, 2, 2);
    add(&s, SIDE_NEW, 2, 2);
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 0);
    assert_int_equal(f.n, 0);
    sketch_free(&s);
}

static void a_swap_does_not_cancel_out(void **state)
{
    struct sketch s;
    struct found f = {0};
    struct err e = {0};
    (void)state;
    make(&s, 36);
    add(&s, SIDE_LEGACY, 1, 10);
    add(&s, SIDE_LEGACY, 2, 20);
    add(&s, SIDE_NEW, 1, 20);
    add(&s, SIDE_NEW, 2, 10);
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 1);
    assert_int_equal(f.n, 4);
    sketch_free(&s);
}

static void says_when_it_holds_too_much(void **state)
{
    struct sketch s;
    struct found f = {0};
    struct err e = {0};
    (void)state;
    make(&s, 20);
    for (unsigned i = 0; i < 4500; i++)
        add(&s, SIDE_LEGACY, i, i);
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 1);
    assert_int_equal(f.n, 4500);
    for (unsigned i = 0; i < 9000; i++)
        add(&s, SIDE_LEGACY, i, i);
    assert_int_equal(sketch_differences(&s, on_key, &f, &e), 0);
    sketch_free(&s);
}

static void sums_and_saves(void **state)
{
    struct sketch a, b, c;
    struct found f = {0};
    struct err e = {0};
    (void)state;
    make(&a, 100); // keys of several parts
    make(&b, 100);
    make(&c, 100);
    for (unsigned i = 0; i < 1000; i++)
        add(&a, SIDE_LEGACY, i, i);
    for (unsigned i = 0; i < 1000; i++)
        if (i != 500)
            add(&b, SIDE_NEW, i, i);
    sketch_take(&a, &b);
    assert_int_equal(sketch_load(&c, sketch_bytes(&a), &e), 0);
    assert_int_equal(sketch_load(&c, str_n("x", 1), &e), -1);
    assert_int_equal(sketch_differences(&c, on_key, &f, &e), 1);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.keys[0], "key-500");
    assert_int_equal(sketch_differences(&b, on_key, &f, &e), 1); // it was emptied
    assert_int_equal(f.n, 1);
    assert_true(sketch_fits(&a, str_n(NULL, 100)) && !sketch_fits(&a, str_n(NULL, 128)));
    sketch_free(&a);
    sketch_free(&b);
    sketch_free(&c);
    assert_int_equal(sketch_init(&c, SKETCH_KEY_MAX + 1, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_differs),
        cmocka_unit_test(twice_is_not_none),
        cmocka_unit_test(a_swap_does_not_cancel_out),
        cmocka_unit_test(says_when_it_holds_too_much),
        cmocka_unit_test(sums_and_saves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
