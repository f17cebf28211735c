// SPDX-License-Identifier: Apache-2.0
// The hand-over between the snapshot thread and a capture thread. Owns the window's key set and
// one chunk's state; borrows the chunk, whose owner waits for it. States of the chunk:
//   none -> ready (handed) -> emitted (produced) -> done (acknowledged) | failed -> none
// All fields are under `lock`, but for `open`, which is read without it on the hot path.
#include "cdc/capture/publish.h"

#include "base/clock.h"
#include "cdc/keymap.h"

#include <stdlib.h>

enum chunk_state { CHUNK_NONE, CHUNK_READY, CHUNK_EMITTED, CHUNK_DONE, CHUNK_FAILED };

struct desk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool leads;
    atomic_bool open; // keys are being noted
    bool spoiled;     // the chunk must be read again: a key could not be noted, or desk_spoil
    size_t entity;
    struct keymap seen;
    enum chunk_state state;
    const struct chunk *chunk;
    uint64_t ticket; // of the last message of the emitted chunk
};

struct desk *desk_create(struct err *e)
{
    struct desk *d = calloc(1, sizeof *d);
    pthread_condattr_t attr;
    if (!d || keymap_init(&d->seen, true, e)) {
        free(d);
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &attr);
    pthread_condattr_destroy(&attr);
    return d;
}

void desk_destroy(struct desk *d)
{
    if (!d)
        return;
    keymap_free(&d->seen);
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static void set_state_locked(struct desk *d, enum chunk_state state)
{
    d->state = state;
    pthread_cond_broadcast(&d->changed);
}

void desk_lead(struct desk *d, bool leads)
{
    pthread_mutex_lock(&d->lock);
    d->leads = leads;
    if (!leads) {
        atomic_store(&d->open, false);
        if (d->state == CHUNK_READY || d->state == CHUNK_EMITTED)
            set_state_locked(d, CHUNK_FAILED);
    }
    pthread_mutex_unlock(&d->lock);
}

bool desk_leads(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    bool leads = d->leads;
    pthread_mutex_unlock(&d->lock);
    return leads;
}

int desk_window(struct desk *d, size_t entity, struct err *e)
{
    int result = 0;
    pthread_mutex_lock(&d->lock);
    keymap_reset(&d->seen);
    d->entity = entity;
    d->spoiled = false;
    if (d->leads)
        atomic_store(&d->open, true);
    else
        result = err_set(e, ERR_STALE, "capture does not run in this process now");
    pthread_mutex_unlock(&d->lock);
    return result;
}

void desk_note(struct desk *d, size_t entity, struct str key)
{
    struct keymap_slot *slot;
    bool added;
    if (!atomic_load(&d->open))
        return;
    pthread_mutex_lock(&d->lock);
    if (d->entity == entity && keymap_add(&d->seen, 0, key, 0, &slot, &added, NULL))
        d->spoiled = true;
    pthread_mutex_unlock(&d->lock);
}

void desk_spoil(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    d->spoiled = true;
    pthread_mutex_unlock(&d->lock);
}

bool desk_busy(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    bool busy = atomic_load(&d->open) || d->state == CHUNK_READY || d->state == CHUNK_EMITTED;
    pthread_mutex_unlock(&d->lock);
    return busy;
}

static void wait_a_while(struct desk *d)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&d->changed, &d->lock, &until);
}

int desk_hand(struct desk *d, struct sync *s, const struct chunk *c, struct err *e)
{
    pthread_mutex_lock(&d->lock);
    d->chunk = c;
    set_state_locked(d, d->leads ? CHUNK_READY : CHUNK_FAILED);
    while ((d->state == CHUNK_READY || d->state == CHUNK_EMITTED) && !sync_stopping(s))
        wait_a_while(d);
    bool done = d->state == CHUNK_DONE;
    d->state = CHUNK_NONE;
    d->chunk = NULL;
    atomic_store(&d->open, false);
    pthread_mutex_unlock(&d->lock);
    return done ? 0 : err_set(e, ERR_STALE, "capture stopped before the chunk was acknowledged");
}

static int emit_row(struct publisher *p, const struct chunk *c, const struct reader_row *row,
                    struct value *values, struct err *e)
{
    const struct entity *en = p->sync->entities[c->entity];
    struct change change = {.entity = en,
                            .from = p->side,
                            .op = CHANGE_READ,
                            .key = row->key,
                            .after = values,
                            .commit_us = clock_wall_us()};
    for (size_t i = 0; i < c->nfields; i++)
        values[c->fields[i]->index] = row->values[i];
    return publish_change(p, c->entity, &change, e);
}

// The lock is held: the snapshot thread waits for this anyway.
static int emit_locked(struct desk *d, struct publisher *p, struct err *e)
{
    const struct chunk *c = d->chunk;
    struct value *values = calloc(p->sync->entities[c->entity]->nfields, sizeof *values);
    int result = values ? 0 : err_memory(e);
    for (size_t i = 0; i < c->n && result == 0; i++)
        if (!keymap_find(&d->seen, 0, c->rows[i].key))
            result = emit_row(p, c, &c->rows[i], values, e);
    free(values);
    atomic_store(&d->open, false);
    d->ticket = p->ticket;
    return result;
}

int desk_serve(struct desk *d, struct publisher *p, uint64_t reached, struct err *e)
{
    int result = 0;
    pthread_mutex_lock(&d->lock);
    if (d->state == CHUNK_READY && d->spoiled) {
        set_state_locked(d, CHUNK_FAILED);
    } else if (d->state == CHUNK_READY && d->chunk->after <= reached) {
        result = emit_locked(d, p, e);
        set_state_locked(d, result ? CHUNK_FAILED : CHUNK_EMITTED);
    }
    if (d->state == CHUNK_EMITTED && kafka_producer_confirmed(p->producer) >= d->ticket)
        set_state_locked(d, CHUNK_DONE);
    pthread_mutex_unlock(&d->lock);
    return result;
}
