// SPDX-License-Identifier: Apache-2.0
// A bump allocator over a chain of blocks. The newest block serves; one is kept over a reset, so
// that a recycled arena costs no malloc. Thread: one owner at a time.
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#define ALIGN       16u
#define FIRST_BLOCK (8u << 10)
#define BLOCK_MAX   (1u << 20)

struct block {
    struct block *older;
    size_t size; // usable bytes after the header
    size_t used;
    size_t pad; // keeps the data aligned to 16
};

_Static_assert(sizeof(struct block) % ALIGN == 0, "block data must be aligned");

struct arena {
    struct block *newest;
    size_t limit;
    size_t used; // bytes handed out, with alignment
    size_t keep; // the largest block that outlives a reset
};

struct arena *arena_create(size_t limit)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (a) {
        a->limit = limit ? limit : (size_t)1 << 30;
        a->keep = FIRST_BLOCK;
    }
    return a;
}

void arena_keep(struct arena *a, size_t bytes)
{
    a->keep = bytes;
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    while (a->newest) {
        struct block *b = a->newest;
        a->newest = b->older;
        free(b);
    }
    free(a);
}

void arena_reset(struct arena *a)
{
    struct block *kept = NULL;

    while (a->newest) {
        struct block *b = a->newest;
        a->newest = b->older;
        // Made for one big request, it is not worth keeping.
        bool better = b->size <= a->keep && (!kept || b->size > kept->size);
        free(better ? kept : b);
        if (better)
            kept = b;
    }
    if (kept) {
        kept->older = NULL;
        kept->used = 0;
    }
    a->newest = kept;
    a->used = 0;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

static struct block *grow(struct arena *a, size_t need)
{
    size_t size = FIRST_BLOCK;

    if (a->newest)
        size = a->newest->size >= BLOCK_MAX / 2 ? BLOCK_MAX : a->newest->size * 2;
    if (size < need)
        size = need;
    struct block *b = malloc(sizeof(*b) + size);
    if (!b)
        return NULL;
    b->older = a->newest;
    b->size = size;
    b->used = 0;
    b->pad = 0;
    a->newest = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > a->limit || a->limit - size < ALIGN)
        return NULL;
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (need > a->limit - a->used)
        return NULL;
    struct block *b = a->newest;
    if (!b || need > b->size - b->used) {
        b = grow(a, need);
        if (!b)
            return NULL;
    }
    void *p = (char *)(b + 1) + b->used;
    b->used += need;
    a->used += need;
    return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(a, total);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_strz(a, s);

    return str_n(p, p ? s.len : 0);
}

char *arena_strz(struct arena *a, struct str s)
{
    if (s.len == SIZE_MAX)
        return NULL;
    char *p = arena_alloc(a, s.len + 1);
    if (p && s.len > 0)
        memcpy(p, s.data, s.len);
    return p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    char small[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0)
        return str_n(NULL, 0);
    if ((size_t)n < sizeof(small))
        return arena_str(a, str_n(small, (size_t)n));
    char *p = arena_alloc(a, (size_t)n + 1);
    if (!p)
        return str_n(NULL, 0);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_n(p, (size_t)n);
}
