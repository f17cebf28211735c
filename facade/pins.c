// SPDX-License-Identifier: Apache-2.0
// The table of keys that were written a moment ago. One mutex: the table is empty most of the
// time and a look-up is a hash probe. `latest` per entity answers the common case without it.
#include "facade/pins.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uthash.h>
#include <xxhash.h>

#define PINS_MAX 65536

struct pin {
    uint64_t id; // hash of entity and key
    long long through;
    UT_hash_handle hh;
};

struct pins {
    const struct entity_set *set;
    struct live *live;
    size_t nentities;
    _Atomic long long *latest; // greatest number noted, by entity position
    pthread_mutex_t lock;
    struct pin *table;          // under lock
    _Atomic long long overflow; // greatest number that found no room
};

struct pins *pins_create(const struct entity_set *set, struct live *live, struct err *e)
{
    struct pins *p = calloc(1, sizeof *p);
    if (!p || !(p->latest = calloc(entity_count(set) + 1, sizeof *p->latest))) {
        free(p);
        err_memory(e);
        return NULL;
    }
    p->set = set;
    p->live = live;
    p->nentities = entity_count(set);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pins_destroy(struct pins *p)
{
    struct pin *pin, *next;
    if (!p)
        return;
    HASH_ITER(hh, p->table, pin, next)
    {
        HASH_DEL(p->table, pin);
        free(pin);
    }
    pthread_mutex_destroy(&p->lock);
    free(p->latest);
    free(p);
}

static size_t position(const struct pins *p, const struct entity *en)
{
    for (size_t i = 0; i < p->nentities; i++)
        if (entity_at(p->set, i) == en)
            return i;
    return p->nentities;
}

static uint64_t pin_id(const struct entity *en, const struct value *key)
{
    uint64_t h = XXH3_64bits(en->name, strlen(en->name));
    for (size_t i = 0; i < en->nkeys; i++)
        h = XXH3_64bits_withSeed(key[i].data, key[i].len, h);
    return h;
}

// `fn` for each entity that a read looks at; some more than once.
typedef void looked_at_fn(const struct entity *en, void *ctx);

static void each_link(const struct filter *f, looked_at_fn *fn, void *ctx)
{
    if (f && f->link)
        fn(f->link, ctx);
    for (size_t i = 0; f && i < f->nchildren; i++)
        each_link(f->children[i], fn, ctx);
}

static void each_side(const struct relationship *r, looked_at_fn *fn, void *ctx)
{
    fn(r->target, ctx);
    if (r->through)
        fn(r->through, ctx);
}

static void each_looked_at(const struct operation *op, looked_at_fn *fn, void *ctx)
{
    fn(op->entity, ctx);
    each_link(op->query.filter, fn, ctx);
    if (op->query.related)
        each_side(op->query.related->relationship, fn, ctx);
    for (size_t i = 0; i < op->nexpansions; i++) {
        each_side(op->expansions[i].relationship, fn, ctx);
        each_link(op->expansions[i].filter, fn, ctx);
    }
}

struct bound {
    struct pins *pins;
    long long n;
};

static void least_through(const struct entity *en, void *ctx)
{
    struct bound *b = ctx;
    long long n = live_through(b->pins->live, en);
    b->n = n < b->n ? n : b->n;
}

// One transaction may have written several tables of the group, hence all its streams.
long long pins_arrived(struct pins *p, const struct route *r, const struct operation *op)
{
    struct bound least = {p, INT64_MAX};
    live_want_through(p->live, true);
    for (size_t i = 0; r->group && i < r->group->nentities; i++)
        least_through(r->group->entities[i], &least);
    if (!r->group)
        each_looked_at(op, least_through, &least);
    return least.n;
}

// Under lock. The table is swept when it is full: what has arrived is forgotten.
static void note_key(struct pins *p, const struct entity *en, const struct value *key,
                     long long through)
{
    uint64_t id = pin_id(en, key);
    struct pin *pin;
    HASH_FIND(hh, p->table, &id, sizeof id, pin);
    if (pin) {
        pin->through = through > pin->through ? through : pin->through;
        return;
    }
    if (HASH_COUNT(p->table) >= PINS_MAX || !(pin = malloc(sizeof *pin))) {
        if (through > atomic_load(&p->overflow))
            atomic_store(&p->overflow, through);
        return;
    }
    *pin = (struct pin){.id = id, .through = through};
    HASH_ADD(hh, p->table, id, sizeof id, pin);
}

static void note_entity(struct pins *p, const struct entity *en, long long through)
{
    _Atomic long long *latest = &p->latest[position(p, en)];
    long long seen = atomic_load(latest);
    while (through > seen && !atomic_compare_exchange_weak(latest, &seen, through))
        ;
}

void pins_note(struct pins *p, const struct operation *op, long long through)
{
    if (through <= 0)
        return;
    live_want_through(p->live, true);
    note_entity(p, op->entity, through);
    pthread_mutex_lock(&p->lock);
    if (op->write.key)
        note_key(p, op->entity, op->write.key, through);
    if (op->kind == OPERATION_RELATE) {
        const struct relationship *r = op->relate.relationship;
        note_entity(p, r->target, through);
        if (r->through)
            note_entity(p, r->through, through);
        note_key(p, op->entity, &op->relate.near, through);
        for (size_t i = 0; i < op->relate.nfar; i++)
            note_key(p, r->target, &op->relate.far[i], through);
    }
    pthread_mutex_unlock(&p->lock);
}

static void greatest_latest(const struct entity *en, void *ctx)
{
    struct bound *b = ctx;
    long long n = atomic_load(&b->pins->latest[position(b->pins, en)]);
    b->n = n > b->n ? n : b->n;
}

static void forget_arrived(struct pins *p, long long through)
{
    struct pin *pin, *next;
    HASH_ITER(hh, p->table, pin, next)
    {
        if (pin->through <= through) {
            HASH_DEL(p->table, pin);
            free(pin);
        }
    }
}

static bool key_held(struct pins *p, const struct operation *op, long long through)
{
    uint64_t id = pin_id(op->entity, op->query.key);
    struct pin *pin;
    pthread_mutex_lock(&p->lock);
    HASH_FIND(hh, p->table, &id, sizeof id, pin);
    bool held = pin && pin->through > through;
    if (HASH_COUNT(p->table) > PINS_MAX / 2)
        forget_arrived(p, through);
    pthread_mutex_unlock(&p->lock);
    return held || atomic_load(&p->overflow) > through;
}

bool pins_hold(struct pins *p, const struct route *r, const struct operation *op)
{
    struct bound wanted = {p, 0};
    each_looked_at(op, greatest_latest, &wanted);
    if (wanted.n == 0)
        return false;
    long long through = pins_arrived(p, r, op);
    if (wanted.n <= through)
        return false;
    bool one = op->kind == OPERATION_GET && op->query.key && op->nexpansions == 0;
    return one ? key_held(p, op, through) : true;
}
