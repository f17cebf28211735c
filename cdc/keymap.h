// SPDX-License-Identifier: Apache-2.0
// A hash table from (small tag, key text) to a number: coalescing of a batch, keys parked,
// keys seen since a snapshot chunk began. Keys are borrowed unless `own` was asked for.
// One thread.
#ifndef FICUS_CDC_KEYMAP_H
#define FICUS_CDC_KEYMAP_H

#include "base/arena.h"

struct keymap_slot {
    uint64_t hash;
    const char *data;
    uint32_t len, tag, value, used;
};

struct keymap {
    struct keymap_slot *slots;
    size_t size, count; // size: power of two, 0 before the first add
    struct arena *own;  // keys are copied here; NULL: borrowed
};

int keymap_init(struct keymap *m, bool own, struct err *e) FICUS_MUST_CHECK;
void keymap_free(struct keymap *m);
void keymap_reset(struct keymap *m);
// The slot of the key, made with `value` when it was not there (*added).
int keymap_add(struct keymap *m, uint32_t tag, struct str key, uint32_t value,
               struct keymap_slot **slot, bool *added, struct err *e) FICUS_MUST_CHECK;
struct keymap_slot *keymap_find(const struct keymap *m, uint32_t tag, struct str key); // or NULL

#endif
