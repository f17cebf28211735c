// SPDX-License-Identifier: Apache-2.0
// Named keys are read on both sides at a time; those whose rows are not equal become candidates.
// Who names them: --changed (what changelog and topics noted since the last clean run; what neither
// saw, a write with triggers off, only a full run or the sweep finds), and the end of a walk over a
// heap (what may have moved meanwhile).
#include "cdc/reconcile/reconcile_recheck.h"
#include "cdc/keymap.h"

#include <stdlib.h>

#define BATCH 50000 // keys told apart at a time
#define BLOCK 500

struct seen {
    XXH128_hash_t hash;
    unsigned copies;
};

struct recheck {
    struct pass *p;
    struct keymap seen;
    struct str *keys;
    size_t n;
    struct look {
        struct recheck *c;
        enum side side;
        struct arena *a;
        struct buf flat;
        struct seen *seen; // by key
        long long rows;
        struct err err;
        int result;
    } look[2]; // each used by one thread at a time
};

static int look_block(struct look *l, size_t at, size_t n, struct err *e)
{
    struct reader *r = &l->c->p->side[l->side];
    arena_reset(l->a);
    struct reader_row *rows = arena_array(l->a, n, sizeof *rows);
    if (!rows)
        return err_memory(e);
    if (reader_keys(r, l->c->keys + at, n, l->a, rows, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        l->seen[at + i] = (struct seen){scan_hash(r, rows[i].values, &l->flat), rows[i].copies};
        l->rows += rows[i].values != NULL;
    }
    return buf_check(&l->flat, e);
}

static void *look_side(void *arg)
{
    struct look *l = arg;
    l->result = 0;
    for (size_t at = 0; at < l->c->n && l->result == 0; at += BLOCK)
        l->result = look_block(l, at, l->c->n - at < BLOCK ? l->c->n - at : BLOCK, &l->err);
    return NULL;
}

// Both stores are asked at a time, each on its own connection.
static int look_both(struct recheck *c, struct err *e)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, look_side, &c->look[SIDE_LEGACY]) != 0)
        return err_set(e, ERR_MEMORY, "no thread to look at changed keys");
    look_side(&c->look[SIDE_NEW]);
    pthread_join(thread, NULL);
    for (int side = 0; side < 2; side++)
        if (c->look[side].result) {
            if (e)
                *e = c->look[side].err;
            return err_prefix(e, "%s side", side_name(side));
        }
    return 0;
}

static int flush(struct recheck *c, struct err *e)
{
    const struct seen *l = c->look[SIDE_LEGACY].seen, *w = c->look[SIDE_NEW].seen;
    if (c->n > 0 && look_both(c, e))
        return -1;
    for (size_t i = 0; i < c->n; i++)
        if ((!XXH128_isEqual(l[i].hash, w[i].hash) || l[i].copies > 1 || w[i].copies > 1) &&
            pool_candidate(&c->p->pool, c->keys[i], e))
            return -1;
    c->n = 0;
    keymap_reset(&c->seen);
    return 0;
}

static int on_key(void *ctx, struct str key, struct err *e)
{
    struct recheck *c = ctx;
    struct keymap_slot *slot;
    bool added;
    if (c->n == BATCH && flush(c, e))
        return -1;
    if (keymap_add(&c->seen, 0, key, 0, &slot, &added, e))
        return -1;
    if (added)
        c->keys[c->n++] = str_n(slot->data, slot->len);
    return 0;
}

static int prepare(struct recheck *c, struct err *e)
{
    c->keys = calloc(BATCH, sizeof *c->keys);
    if (!c->keys || keymap_init(&c->seen, true, e))
        return err_memory(e);
    for (int side = 0; side < 2; side++) {
        struct look *l = &c->look[side];
        *l = (struct look){.c = c, .side = side, .a = arena_create(0)};
        l->seen = calloc(BATCH, sizeof *l->seen);
        if (!l->a || !l->seen)
            return err_memory(e);
    }
    return 0;
}

int recheck(struct pass *p, recheck_source_fn *source, void *ctx, long long rows[2], struct err *e)
{
    struct recheck c = {.p = p};
    int result = prepare(&c, e);
    if (result == 0)
        result = source(p, ctx, on_key, &c, e) || flush(&c, e) ? -1 : 0;
    for (int side = 0; side < 2; side++) {
        arena_destroy(c.look[side].a);
        buf_free(&c.look[side].flat);
        free(c.look[side].seen);
        rows[side] = c.look[side].rows;
    }
    keymap_free(&c.seen);
    free(c.keys);
    return result;
}

static int changed_keys(struct pass *p, void *ctx, events_key_fn *each, void *each_ctx,
                        struct err *e)
{
    (void)ctx;
    return events_keys_since(p, p->clean_from, each, each_ctx, e);
}

int changed_pass(struct pass *p, struct err *e)
{
    long long rows[2];
    int result = recheck(p, changed_keys, NULL, rows, e);
    p->report->rows_legacy += rows[SIDE_LEGACY];
    p->report->rows_new += rows[SIDE_NEW];
    return result;
}
