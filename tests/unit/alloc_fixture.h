// SPDX-License-Identifier: Apache-2.0
// Out of memory at every allocation, one run after the other: for programs that link with
// malloc, calloc and realloc wrapped (link.mk) and tell jansson of alloc_json.
#ifndef FICUS_TESTS_ALLOC_FIXTURE_H
#define FICUS_TESTS_ALLOC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static long left = -1; // allocations until one fails; -1: none fails
static bool once;      // only that one; else all behind it too
static bool failed;

static bool fails(void)
{
    if (left < 0)
        return false;
    if (left > 0) {
        left--;
        return false;
    }
    failed = true;
    if (once)
        left = -1;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

static inline void *alloc_json(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

// `run` says whether it did all of its work. Every early allocation fails once,
// later ones in growing steps. What ran to its end without a failure must have
// worked.
static void starve_by(bool (*run)(void))
{
    bool worked;
    long n = 0;

    do {
        left = n;
        failed = false;
        worked = run();
        left = -1;
        n += n < 300 ? 1 : n / 20;
    } while (failed);
    assert_true(worked);
    assert_true(n > 1);
}

static void starve(bool (*run)(void))
{
    once = false;
    starve_by(run);
    once = true;
    starve_by(run);
}

#endif
