// SPDX-License-Identifier: Apache-2.0
// A bump allocator: everything that one request, batch or loaded file needs lives
// and dies together. Not thread-safe; one owner at a time, hand-over allowed.
#ifndef FICUS_BASE_ARENA_H
#define FICUS_BASE_ARENA_H

#include "base/err.h"

struct arena;

// `limit` is the most bytes that may be handed out (0: 1 GiB). NULL on no memory.
struct arena *arena_create(size_t limit);
void arena_destroy(struct arena *a); // NULL is fine
// Keeps one block, the largest that arena_keep allows (8 KiB unless told): an arena that is used
// again and again comes to need no malloc.
void arena_reset(struct arena *a);
void arena_keep(struct arena *a, size_t bytes);
size_t arena_used(const struct arena *a);

// NULL when the limit is reached or memory is out. Zeroed, aligned to 16.
void *arena_alloc(struct arena *a, size_t size) __attribute__((alloc_size(2)));
void *arena_array(struct arena *a, size_t count, size_t size); // overflow-checked
// Copies, adding a NUL after the data; .data is NULL on failure only.
struct str arena_str(struct arena *a, struct str s);
char *arena_strz(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) FICUS_PRINTF(2, 3);

#endif
