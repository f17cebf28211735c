// SPDX-License-Identifier: Apache-2.0
// Why a heap that is read page by page, in many statements, is read whole. A row that is updated
// moves: to a page that was read before, say, so that no statement sees it. Where the legacy has its
// key too, the two do not cancel out and settling tells; a row that only the new side has would be
// passed over. But whoever moved it ended after the first statement's snapshot was taken, so its row
// has an xmin that is not older than that snapshot's oldest transaction. One more statement, under
// one snapshot, gives all such rows; their keys are read on both sides. This needs no stream: it
// also holds for writes that none of them carries.
//
// VACUUM FULL, CLUSTER and some ALTER TABLE move rows and keep their xmin, but give the table another
// file: then the entity is streamed instead.
#include "cdc/reconcile/reconcile_heap.h"

#include <inttypes.h>
#include <stdio.h>

// Of this moment, on the new side.
static int look(struct pass *p, struct heap_start *out, struct err *e)
{
    struct rows rows;
    struct value table = value_set(str_of(p->entity->sides[SIDE_NEW].root));
    long long oldest;
    arena_reset(p->chunk);
    if (pg_query(p->pg,
                 STR("SELECT pg_snapshot_xmin(pg_current_snapshot())::text,"
                     " pg_relation_filenode(to_regclass($1))"),
                 &table, 1, p->chunk, &rows, e))
        return err_prefix(e, "heap of %s", p->entity->sides[SIDE_NEW].root);
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &oldest) ||
        !str_to_int(value_str(rows.cells[1]), 0, INT64_MAX, &out->file))
        return err_set(e, ERR_SCHEMA, "%s has no heap any more", p->entity->sides[SIDE_NEW].root);
    out->oldest = (unsigned long long)oldest;
    return 0;
}

int heap_begin(struct pass *p, struct err *e)
{
    return look(p, &p->heap, e);
}

static int keep(void *ctx, const struct print *print, struct err *e)
{
    return print->null_key ? 0 : spool_add(ctx, print->key.data, print->key.len, e);
}

static int written_keys(struct pass *p, void *ctx, events_key_fn *each, void *each_ctx,
                        struct err *e)
{
    struct spool *keys = ctx;
    struct str key;
    int more;
    (void)p;
    while ((more = spool_next(keys, &key, e)) == 1)
        if (each(each_ctx, key, e))
            return -1;
    return more;
}

int heap_end(struct pass *p, struct err *e)
{
    struct heap_start now;
    struct spool keys;
    long long rows[2];
    if (look(p, &now, e))
        return -1;
    if (now.file != p->heap.file) {
        p->blind = "the new side's table was rewritten meanwhile";
        return 0;
    }
    spool_init(&keys, 1u << 20);
    int result = scan_written(&p->side[SIDE_NEW], p->slice.deleted, p->heap.oldest, keep, &keys, e);
    if (result == 0)
        result = spool_rewind(&keys, e) || recheck(p, written_keys, &keys, rows, e) ? -1 : 0;
    spool_free(&keys);
    return result;
}
