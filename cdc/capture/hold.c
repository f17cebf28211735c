// SPDX-License-Identifier: Apache-2.0
// Held entities and their keys. Owns the keys that are not in the control store yet.
#include "cdc/capture/hold.h"

#include "connectors/postgres/pg.h"

#include <stdlib.h>

#define BUFFERED_MAX 10000

int hold_open(struct hold *h, struct sync *s, enum side side, struct pg_conn *pg, struct err *e)
{
    struct rows rows;
    struct arena *a = arena_create(0);
    *h = (struct hold){.s = s, .side = side, .pg = pg};
    h->on = calloc(s->nentities + 1, sizeof *h->on);
    int result = a && h->on && keymap_init(&h->keys, true, e) == 0 ? 0 : err_memory(e);
    if (result == 0)
        result = pg_query(pg, STR("SELECT DISTINCT stream FROM ficus.held"), NULL, 0, a, &rows, e);
    for (size_t r = 0; result == 0 && r < rows.nrows; r++)
        for (size_t i = 0; i < s->nentities; i++)
            if (str_eqz(value_str(*rows_at(&rows, r, 0)), s->streams[side][i].stream))
                h->on[i] = true;
    arena_destroy(a);
    return result;
}

void hold_close(struct hold *h)
{
    if (!h->s)
        return;
    keymap_free(&h->keys);
    free(h->on);
}

void hold_stop(struct hold *h, size_t entity, const char *reason)
{
    h->on[entity] = true;
    sync_stop_stream(h->s, h->side, entity, reason);
}

int hold_add(struct hold *h, size_t entity, struct str key, struct err *e)
{
    struct keymap_slot *slot;
    bool added;
    if (keymap_add(&h->keys, (uint32_t)entity, key, 0, &slot, &added, e))
        return -1;
    return h->keys.count < BUFFERED_MAX ? 0 : hold_flush(h, e);
}

// All buffered keys of one entity as one array literal.
static int flush_entity(struct hold *h, size_t entity, struct value *keys, struct err *e)
{
    size_t n = 0;
    struct buf list = BUF_INIT;
    for (size_t i = 0; i < h->keys.size; i++) {
        const struct keymap_slot *slot = &h->keys.slots[i];
        if (slot->used && slot->tag == entity)
            keys[n++] = value_set(str_n(slot->data, slot->len));
    }
    if (n == 0)
        return 0;
    pg_array_literal(&list, keys, n, 1);
    struct value p[] = {value_set(str_of(h->s->streams[h->side][entity].stream)),
                        value_set(buf_str(&list))};
    int result = buf_check(&list, e);
    if (result == 0)
        result = pg_exec(h->pg,
                         STR("INSERT INTO ficus.held (stream, k) SELECT $1, k FROM"
                             " unnest($2::text[]) AS k ON CONFLICT DO NOTHING"),
                         p, 2, NULL, e);
    buf_free(&list);
    return result;
}

int hold_flush(struct hold *h, struct err *e)
{
    if (h->keys.count == 0)
        return 0;
    struct value *keys = calloc(h->keys.count, sizeof *keys);
    int result = keys ? 0 : err_memory(e);
    for (size_t i = 0; result == 0 && i < h->s->nentities; i++)
        if (h->on[i])
            result = flush_entity(h, i, keys, e);
    free(keys);
    if (result == 0)
        keymap_reset(&h->keys);
    return result;
}

long hold_resumed(const struct hold *h)
{
    for (size_t i = 0; i < h->s->nentities; i++)
        if (h->on[i] && !atomic_load(&h->s->streams[h->side][i].paused))
            return (long)i;
    return -1;
}

int hold_page(struct hold *h, size_t entity, struct arena *a, struct str *keys, size_t *n,
              struct err *e)
{
    struct rows rows;
    struct value p = value_set(str_of(h->s->streams[h->side][entity].stream));
    if (hold_flush(h, e) ||
        pg_query(h->pg, STR("SELECT k FROM ficus.held WHERE stream = $1 ORDER BY k LIMIT 256"), &p,
                 1, a, &rows, e))
        return -1;
    for (*n = 0; *n < rows.nrows && *n < HOLD_PAGE; (*n)++) {
        keys[*n] = arena_str(a, value_str(*rows_at(&rows, *n, 0)));
        if (!keys[*n].data)
            return err_memory(e);
    }
    if (*n == 0)
        h->on[entity] = false;
    return 0;
}

int hold_drop(struct hold *h, size_t entity, const struct str *keys, size_t n, struct err *e)
{
    struct buf list = BUF_INIT;
    struct value *v = calloc(n + 1, sizeof *v);
    if (!v)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        v[i] = value_set(keys[i]);
    pg_array_literal(&list, v, n, 1);
    struct value p[] = {value_set(str_of(h->s->streams[h->side][entity].stream)),
                        value_set(buf_str(&list))};
    int result = buf_check(&list, e);
    if (result == 0)
        result = pg_exec(h->pg,
                         STR("DELETE FROM ficus.held WHERE stream = $1 AND k = ANY($2::text[])"), p,
                         2, NULL, e);
    buf_free(&list);
    free(v);
    return result;
}
