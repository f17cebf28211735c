// SPDX-License-Identifier: Apache-2.0
// See odbc_slots.h. The list's lock is never held while a driver is called; a slot's lock is held
// during its cancel, and by its worker only for moments. A slot lives as long as its worker or
// a canceller holds it. Order of locks: list, slot.
#include "facade/backend/odbc_slots.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct odbc_slots {
    pthread_mutex_t lock;
    struct odbc_slot *first; // lock
};

struct odbc_slot {
    struct odbc_slots *slots;
    struct odbc_slot *next, **link; // slots->lock
    atomic_uint refs;
    pthread_mutex_t lock;
    struct odbc_conn *conn; // written by the worker under the lock
    atomic_ullong call;     // written by the worker under the lock; 0: none runs
};

struct odbc_slots *odbc_slots_create(struct err *e)
{
    struct odbc_slots *s = calloc(1, sizeof *s);

    if (s)
        pthread_mutex_init(&s->lock, NULL);
    else
        err_memory(e);
    return s;
}

void odbc_slots_destroy(struct odbc_slots *s)
{
    if (s)
        pthread_mutex_destroy(&s->lock);
    free(s);
}

static void unref(struct odbc_slot *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct odbc_slot *odbc_slot_open(struct odbc_slots *slots)
{
    struct odbc_slot *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->slots = slots;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&slots->lock);
    s->next = slots->first;
    s->link = &slots->first;
    if (s->next)
        s->next->link = &s->next;
    slots->first = s;
    pthread_mutex_unlock(&slots->lock);
    return s;
}

void odbc_slot_close(struct odbc_slot *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->slots->lock);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
    pthread_mutex_unlock(&s->slots->lock);
    odbc_slot_set_conn(s, NULL);
    unref(s);
}

struct odbc_conn *odbc_slot_conn(const struct odbc_slot *s)
{
    return s->conn;
}

void odbc_slot_set_conn(struct odbc_slot *s, struct odbc_conn *c)
{
    struct odbc_conn *old = s->conn;

    pthread_mutex_lock(&s->lock);
    s->conn = c;
    pthread_mutex_unlock(&s->lock);
    odbc_close(old);
}

static void set_call(struct odbc_slot *s, uint64_t call)
{
    pthread_mutex_lock(&s->lock);
    atomic_store_explicit(&s->call, call, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
}

void odbc_slot_begin(struct odbc_slot *s, uint64_t call)
{
    set_call(s, call);
}

void odbc_slot_end(struct odbc_slot *s)
{
    set_call(s, 0);
}

// The slot that runs the call, referenced, or NULL.
static struct odbc_slot *find(struct odbc_slots *slots, uint64_t call)
{
    struct odbc_slot *s;

    pthread_mutex_lock(&slots->lock);
    for (s = slots->first; s && atomic_load(&s->call) != call; s = s->next)
        ;
    if (s)
        atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&slots->lock);
    return s;
}

void odbc_slots_cancel(struct odbc_slots *slots, uint64_t call)
{
    struct odbc_slot *s = find(slots, call);

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    if (s->conn && atomic_load(&s->call) == call)
        odbc_cancel(s->conn);
    pthread_mutex_unlock(&s->lock);
    unref(s);
}
