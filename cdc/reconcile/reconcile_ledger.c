// SPDX-License-Identifier: Apache-2.0
// What the walks of a first pass have done: their ranges go on record, and with the sketch plan
// their rows into one sketch. A sketch is saved with the ranges whose rows it holds, all in one
// transaction, now and then: whoever takes over finds both or neither.
#include "cdc/reconcile/reconcile_ledger.h"
#include "base/clock.h"
#include "cdc/reconcile/reconcile_heap.h"

#include <stdlib.h>

#define SAVE_MS  1000
#define KEEP_MAX 20000 // waiting prints that a finished range may leave on record

int ledger_open(struct ledger *l, struct pass *p, struct err *e)
{
    *l = (struct ledger){.p = p, .lock = PTHREAD_MUTEX_INITIALIZER, .saved = clock_mono_ms()};
    if (p->report->plan != PLAN_SKETCH)
        return 0;
    bool found;
    if (sketch_init(&l->sum, pass_key_max(p->entity), e) || record_sketch(p, &l->sum, &found, e))
        return -1;
    return found ? 0 : heap_begin(p, e);
}

static void forget(struct ledger *l)
{
    for (size_t i = 0; i < l->ndone; i++)
        spool_free(&l->done[i].waiting);
    l->ndone = 0;
}

void ledger_close(struct ledger *l)
{
    forget(l);
    free(l->done);
    sketch_free(&l->sum);
}

static int append(struct ledger *l, struct range_done *one, struct err *e)
{
    if (l->ndone == l->room) {
        size_t room = l->room ? 2 * l->room : 16;
        struct range_done *more = realloc(l->done, room * sizeof *more);
        if (!more)
            return err_memory(e);
        l->done = more;
        l->room = room;
    }
    l->done[l->ndone++] = *one;
    spool_init(&one->waiting, 0);
    return 0;
}

int ledger_add(struct ledger *l, struct range_done *one, struct sketch *rows, struct pg_conn *pg,
               struct err *e)
{
    bool sketch = l->sum.cells != NULL;
    // Too many to keep: a process that takes over looks at the range again.
    if (!sketch && one->waiting.records > KEEP_MAX)
        return 0;
    pthread_mutex_lock(&l->lock);
    int result = append(l, one, e);
    if (result == 0 && sketch)
        sketch_take(&l->sum, rows);
    if (result == 0 && (!sketch || clock_mono_ms() - l->saved >= SAVE_MS)) {
        result = record_done(l->p, pg, l->done, l->ndone, sketch ? &l->sum : NULL, e);
        l->saved = clock_mono_ms();
        forget(l);
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

static int keep(void *ctx, struct str key, struct err *e)
{
    return spool_add(ctx, key.data, key.len, e);
}

int ledger_finish(struct ledger *l, struct err *e)
{
    struct spool keys;
    struct str key;
    int more;
    if (!l->sum.cells)
        return 0;
    // Keys of a sketch that holds too much may be no keys at all: all or none.
    spool_init(&keys, 1u << 20);
    int told = sketch_differences(&l->sum, keep, &keys, e);
    l->p->blind = told == 0 ? "more rows differ than a sketch can tell" : NULL;
    int result = told < 0 || (told == 1 && spool_rewind(&keys, e)) ? -1 : 0;
    while (result == 0 && told == 1 && (more = spool_next(&keys, &key, e)) != 0)
        result = more < 0 ? -1 : pool_candidate(&l->p->pool, key, e);
    spool_free(&keys);
    return result == 0 && told == 1 ? heap_end(l->p, e) : result;
}
