// SPDX-License-Identifier: Apache-2.0
// The queue of held requests. Owns nothing: dispatches are the dialects', linked by fields of
// theirs. Thread: the loop's.
#include "facade/held.h"

#include <xxhash.h>

void held_init(struct held *h, struct held_budget *budget)
{
    *h = (struct held){.budget = budget};
    h->last = &h->first;
}

// What the write is about; 0: a row without a key yet, which nobody else can know.
static uint64_t key_of(const struct dispatch *d)
{
    const struct operation *op = d->operation;
    if (!op->write.key || op->kind == OPERATION_CREATE)
        return 0;
    struct str key = entity_key_text(op->write.key, op->entity->nkeys, op->arena);
    uint64_t hash = XXH3_64bits_withSeed(key.data ? key.data : "", key.len,
                                         XXH3_64bits(op->entity->name, strlen(op->entity->name)));
    return hash ? hash : 1;
}

static void link_in(struct held *h, struct dispatch *d)
{
    struct dispatch **at = h->last;
    if (d->attempts > 0) // it was under way when those that are here already came
        for (at = &h->first; *at && (*at)->started_ns <= d->started_ns;)
            at = &(*at)->next_held;
    d->next_held = *at;
    *at = d;
    if (!d->next_held)
        h->last = &d->next_held;
}

bool held_add(struct held *h, struct dispatch *d)
{
    struct held_budget *b = h->budget;
    size_t bytes = sizeof *d + arena_used(d->operation->arena);
    if (atomic_fetch_add(&b->count, 1) >= b->count_max) {
        atomic_fetch_sub(&b->count, 1);
        return false;
    }
    if (atomic_fetch_add(&b->bytes, bytes) + bytes > b->bytes_max) {
        atomic_fetch_sub(&b->bytes, bytes);
        atomic_fetch_sub(&b->count, 1);
        return false;
    }
    d->held_bytes = bytes;
    link_in(h, d);
    atomic_fetch_add(&h->count, 1);
    return true;
}

struct dispatch *held_take(struct held *h)
{
    struct dispatch *all = h->first;
    for (struct dispatch *d = all; d; d = d->next_held) {
        atomic_fetch_sub(&h->budget->bytes, d->held_bytes);
        atomic_fetch_sub(&h->budget->count, 1);
    }
    h->first = NULL;
    h->last = &h->first;
    atomic_store(&h->count, 0);
    return all;
}

void held_keep(struct held *h, struct dispatch *d)
{
    d->next_held = NULL;
    *h->last = d;
    h->last = &d->next_held;
    atomic_fetch_add(&h->budget->bytes, d->held_bytes);
    atomic_fetch_add(&h->budget->count, 1);
    atomic_fetch_add(&h->count, 1);
}

unsigned held_count(const struct held *h)
{
    return atomic_load(&h->count);
}

bool held_has_room(const struct held *h)
{
    const struct held_budget *b = h->budget;
    return atomic_load(&b->count) < b->count_max / 2 && atomic_load(&b->bytes) < b->bytes_max / 2;
}

bool held_follows(struct held *h, struct dispatch *d, bool was_held)
{
    if (!h->released && !was_held)
        return false;
    uint64_t key = key_of(d);
    if (!key)
        return false;
    for (struct dispatch *r = h->released; r; r = r->next_released) {
        if (r->key_hash != key || r == d)
            continue;
        struct dispatch **at = &r->followers;
        while (*at)
            at = &(*at)->next_held;
        d->next_held = NULL;
        *at = d;
        return true;
    }
    if (was_held && !d->key_hash) {
        d->key_hash = key;
        d->next_released = h->released;
        h->released = d;
    }
    return false;
}

struct dispatch *held_unrelease(struct held *h, struct dispatch *d)
{
    struct dispatch *behind = d->followers, **at = &h->released;
    if (!d->key_hash)
        return NULL;
    while (*at && *at != d)
        at = &(*at)->next_released;
    if (*at)
        *at = d->next_released;
    d->key_hash = 0;
    d->followers = NULL;
    return behind;
}

struct dispatch *held_ended(struct held *h, struct dispatch *d)
{
    uint64_t key = d->key_hash;
    struct dispatch *next = held_unrelease(h, d);
    if (next) { // it leads from here on
        next->key_hash = key;
        next->followers = next->next_held;
        next->next_held = NULL;
        next->next_released = h->released;
        h->released = next;
    }
    return next;
}

struct dispatch *held_take_followers(struct held *h)
{
    struct dispatch *all = NULL, **last = &all;
    for (struct dispatch *r = h->released; r; r = r->next_released) {
        *last = r->followers;
        r->followers = NULL;
        while (*last)
            last = &(*last)->next_held;
    }
    return all;
}
