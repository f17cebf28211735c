// SPDX-License-Identifier: Apache-2.0
// First pass over keys that changed since the entity's last clean run: all that may differ now,
// if every change is in a changelog or a topic. What neither saw (a write with triggers off) only
// a full run or the sweep finds; the report says which kind of run it was.
#include "cdc/keymap.h"
#include "cdc/reconcile/reconcile_events.h"

#include <stdlib.h>

#define BATCH 50000 // keys told apart at a time
#define BLOCK 500

struct changed {
    struct pass *p;
    struct keymap seen;
    struct str *keys;
    size_t n;
};

static int compare(struct changed *c, size_t at, size_t n, struct err *e)
{
    struct pass *p = c->p;
    arena_reset(p->chunk);
    struct reader_row *l = arena_array(p->chunk, n, sizeof *l);
    struct reader_row *w = arena_array(p->chunk, n, sizeof *w);
    if (!l || !w)
        return err_memory(e);
    if (reader_keys(&p->side[SIDE_LEGACY], c->keys + at, n, p->chunk, l, e) ||
        reader_keys(&p->side[SIDE_NEW], c->keys + at, n, p->chunk, w, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        p->report->rows_legacy += l[i].values != NULL;
        p->report->rows_new += w[i].values != NULL;
        if ((!rows_agree(p, l[i].values, w[i].values) || l[i].copies > 1 || w[i].copies > 1) &&
            pool_candidate(&p->pool, c->keys[at + i], e))
            return -1;
    }
    return 0;
}

static int flush(struct changed *c, struct err *e)
{
    for (size_t at = 0; at < c->n; at += BLOCK)
        if (compare(c, at, c->n - at < BLOCK ? c->n - at : BLOCK, e))
            return -1;
    c->n = 0;
    keymap_reset(&c->seen);
    return 0;
}

static int on_key(void *ctx, struct str key, struct err *e)
{
    struct changed *c = ctx;
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

int changed_pass(struct pass *p, struct err *e)
{
    struct changed c = {.p = p, .keys = calloc(BATCH, sizeof *c.keys)};
    int result = -1;
    if (!c.keys || keymap_init(&c.seen, true, e))
        err_memory(e);
    else if (events_keys_since(p, p->clean_from, on_key, &c, e) == 0)
        result = flush(&c, e);
    keymap_free(&c.seen);
    free(c.keys);
    return result;
}
