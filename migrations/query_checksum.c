// SPDX-License-Identifier: Apache-2.0
// The statement that makes one number of a slice, equal on either side for equal rows. Only for
// fields whose text is the same on every DBMS (limits: docs/reconciliation.md). Where two stores
// write equal values differently (decimals of another scale, padded keys) the sums differ and the
// rows are walked: that costs time, and never hides a difference. Each hash is written once: stores
// pull a subselect up and would compute it for every mention. Thread: any.
#include "migrations/query_int.h"

#include <stdlib.h>

static bool fits(const struct field *f)
{
    enum column_kind a = f->place[SIDE_LEGACY].storage, b = f->place[SIDE_NEW].storage;
    if (f->ncodes > 0 || a != b || a == COLUMN_FLOAT || a == COLUMN_JSON)
        return false;
    return f->type != TYPE_FLOAT && f->type != TYPE_JSON && field_column_kind(f, SIDE_NEW) == b;
}

const struct field *query_checksum_unfit(const struct entity *en)
{
    const struct field *fields[MAP_FIELDS_MAX];
    size_t n = entity_synced(en, fields, MAP_FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!fits(fields[i]))
            return fields[i];
    return NULL;
}

static int add_hash(struct query_build *b, struct buf *out, struct err *e)
{
    const struct field *fields[MAP_FIELDS_MAX];
    const char *columns[MAP_FIELDS_MAX];
    enum column_kind kinds[MAP_FIELDS_MAX];
    size_t n = entity_synced(b->en, fields, MAP_FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct buf column = BUF_INIT;
        query_field(b, &column, fields[i]);
        struct str kept = column.failed ? (struct str){0} : arena_str(b->a, buf_str(&column));
        buf_free(&column);
        if (!kept.data)
            return err_memory(e);
        columns[i] = kept.data;
        kinds[i] = fields[i]->place[b->side].storage;
    }
    b->d->row_hash(out, columns, kinds, n);
    return 0;
}

int query_checksum(const struct scan_query *q, enum side side, const struct dbms *d,
                   struct arena *a, struct sql *out, struct err *e)
{
    struct query_build b = {.en = q->entity, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT, where = BUF_INIT;
    int rc = d->row_hash && q->entity->sides[side].root
                 ? query_scan_where(&b, &where, q, e)
                 : err_set(e, ERR_UNSUPPORTED, "%s makes no checksums of %s", d->name,
                           q->entity->name);
    if (rc == 0) {
        // A row without a hash counts for a number that it has on this side only.
        buf_addz(&text, "SELECT COUNT(*), COALESCE(SUM(COALESCE(");
        rc = add_hash(&b, &text, e);
        buf_printf(&text, ", %s)), 0) FROM ",
                   side == SIDE_LEGACY ? "4611686018427387904" : "6917529027641081856");
        query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
        query_joins(&b, &text);
        buf_addstr(&text, buf_str(&where));
        text.failed |= where.failed;
    }
    if (rc == 0)
        rc = query_finish(&b, &text, out, e);
    buf_free(&where);
    buf_free(&text);
    return rc;
}
