// SPDX-License-Identifier: Apache-2.0
// Open addressing with linear probing; no removal. Owns its slots and, by choice, the keys.
#include "cdc/keymap.h"

#include <stdlib.h>
#include <xxhash.h>

#define FIRST_SIZE 256

int keymap_init(struct keymap *m, bool own, struct err *e)
{
    *m = (struct keymap){.own = own ? arena_create(0) : NULL};
    return own && !m->own ? err_memory(e) : 0;
}

void keymap_free(struct keymap *m)
{
    free(m->slots);
    arena_destroy(m->own);
    *m = (struct keymap){0};
}

void keymap_reset(struct keymap *m)
{
    if (m->count)
        memset(m->slots, 0, m->size * sizeof *m->slots);
    m->count = 0;
    if (m->own)
        arena_reset(m->own);
}

// The slot that holds the key, or the free one where it would go.
static struct keymap_slot *seek(const struct keymap *m, uint64_t hash, uint32_t tag, struct str key)
{
    for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        struct keymap_slot *s = &m->slots[i];
        if (!s->used)
            return s;
        if (s->hash == hash && s->tag == tag && s->len == key.len &&
            (key.len == 0 || memcmp(s->data, key.data, key.len) == 0))
            return s;
    }
}

static int grow(struct keymap *m, struct err *e)
{
    struct keymap old = *m;
    size_t size = m->size ? m->size * 2 : FIRST_SIZE;
    struct keymap_slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        return err_memory(e);
    m->slots = slots;
    m->size = size;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].used)
            *seek(m, old.slots[i].hash, old.slots[i].tag,
                  str_n(old.slots[i].data, old.slots[i].len)) = old.slots[i];
    free(old.slots);
    return 0;
}

int keymap_add(struct keymap *m, uint32_t tag, struct str key, uint32_t value,
               struct keymap_slot **slot, bool *added, struct err *e)
{
    uint64_t hash = XXH3_64bits_withSeed(key.data, key.len, tag);
    if ((m->count + 1) * 2 > m->size && grow(m, e))
        return -1;
    struct keymap_slot *s = seek(m, hash, tag, key);
    *added = !s->used;
    *slot = s;
    if (s->used)
        return 0;
    struct str kept = m->own ? arena_str(m->own, key) : key;
    if (!kept.data && key.len)
        return err_memory(e);
    *s = (struct keymap_slot){hash, kept.data, (uint32_t)kept.len, tag, value, 1};
    m->count++;
    return 0;
}

struct keymap_slot *keymap_find(const struct keymap *m, uint32_t tag, struct str key)
{
    if (!m->count)
        return NULL;
    struct keymap_slot *s = seek(m, XXH3_64bits_withSeed(key.data, key.len, tag), tag, key);
    return s->used ? s : NULL;
}
