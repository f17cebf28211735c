// SPDX-License-Identifier: Apache-2.0
// Statements that walk a slice of an entity by its key (cdc/reconcile/scan.h). The order is the store's
// own, whatever its collation: who compares two sides may not count on the same order in both.
// Thread: any.
#include "migrations/query_int.h"

#include <stdio.h>

static int add_field_param(struct query_build *b, struct buf *out, size_t part,
                           const struct value *key, struct err *e)
{
    return query_param_field(b, out, b->en->keys[part], key[part], e);
}

static void add_column(struct query_build *b, struct buf *out, size_t part)
{
    query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[part]);
}

// k1 >= ? AND (k1 > ? OR (k2 > ? ..)): the form that an index of several columns serves.
static int add_after(struct query_build *b, struct buf *out, size_t i, const struct value *key,
                     struct err *e)
{
    bool last = i + 1 == b->en->nkeys;
    add_column(b, out, i);
    buf_addz(out, last ? " > " : " >= ");
    if (add_field_param(b, out, i, key, e))
        return -1;
    if (last)
        return 0;
    buf_addz(out, " AND (");
    add_column(b, out, i);
    buf_addz(out, " > ");
    if (add_field_param(b, out, i, key, e))
        return -1;
    buf_addz(out, " OR (");
    if (add_after(b, out, i + 1, key, e))
        return -1;
    buf_addz(out, "))");
    return 0;
}

static void and_where(struct buf *where)
{
    buf_addz(where, where->len > 0 ? " AND " : " WHERE ");
}

static int add_cut(struct query_build *b, struct buf *where, const char *op,
                   const struct value *bound, struct err *e)
{
    if (!bound)
        return 0;
    and_where(where);
    add_column(b, where, 0);
    buf_addz(where, op);
    return add_field_param(b, where, 0, bound, e);
}

int query_scan_where(struct query_build *b, struct buf *where, const struct scan_query *q,
                     struct err *e)
{
    unsigned nodes = 0;
    struct buf live = BUF_INIT;
    if (q->after) {
        and_where(where);
        if (add_after(b, where, 0, q->after, e))
            return -1;
    } else if (add_cut(b, where, " > ", q->above, e)) {
        return -1;
    }
    if (add_cut(b, where, " <= ", q->up_to, e))
        return -1;
    if (query_deleted(b, &live, q->entity, QUERY_ROOT, q->deleted)) {
        and_where(where);
        buf_addstr(where, buf_str(&live));
    }
    where->failed |= live.failed;
    buf_free(&live);
    if (!q->filter)
        return 0;
    and_where(where);
    return query_filter(b, where, q->filter, 0, &nodes, e);
}

static void add_order(struct query_build *b, struct buf *out)
{
    buf_addz(out, " ORDER BY ");
    for (size_t i = 0; i < b->en->nkeys; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        add_column(b, out, i);
    }
}

static void add_fields(struct query_build *b, struct buf *out)
{
    const struct field *fields[MAP_FIELDS_MAX];
    size_t n = entity_synced(b->en, fields, MAP_FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        query_cross_field(b, out, fields[i]);
    }
}

static int check_side(const struct entity *en, enum side side, struct err *e)
{
    return en->sides[side].root ? 0
                                : err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side",
                                          en->name, side_name(side));
}

// The order of text decides the order of parameters: columns have none, then WHERE, then the page.
static int finish(struct query_build *b, struct buf *text, struct buf *where,
                  const struct scan_query *q, long long limit, long long skip, struct sql *out,
                  struct err *e)
{
    buf_addz(text, " FROM ");
    query_table(b, text, query_side(b)->root, QUERY_ROOT);
    query_joins(b, text);
    buf_addstr(text, buf_str(where));
    if (!q->unordered) {
        add_order(b, text);
        b->d->page(text, limit, skip);
    }
    text->failed |= where->failed;
    return query_finish(b, text, out, e);
}

int query_scan(const struct scan_query *q, enum side side, const struct dbms *d, struct arena *a,
               struct sql *out, struct err *e)
{
    struct query_build b = {.en = q->entity, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT, where = BUF_INIT;
    int rc = check_side(q->entity, side, e);
    if (rc == 0)
        rc = query_scan_where(&b, &where, q, e);
    if (rc == 0) {
        buf_addz(&text, "SELECT ");
        add_fields(&b, &text);
        rc = finish(&b, &text, &where, q, (long long)q->limit, 0, out, e);
    }
    buf_free(&where);
    buf_free(&text);
    return rc;
}

static bool of_one_table(const struct query_build *b)
{
    const struct field *fields[MAP_FIELDS_MAX];
    size_t n = entity_synced(b->en, fields, MAP_FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        if (fields[i]->place[SIDE_NEW].kind == PLACE_LOOKUP)
            return false;
    return b->extensions == 0;
}

// COPY .. TO STDOUT of the new side's rows that `where` chooses.
static int copy_rows(const struct entity *en, enum deleted_mode deleted, struct str where,
                     struct arena *a, struct str *out, struct err *e)
{
    struct query_build b = {.en = en, .side = SIDE_NEW, .d = &dbms_postgres, .a = a};
    struct buf text = BUF_INIT, live = BUF_INIT;
    struct sql sql;
    int rc = check_side(en, SIDE_NEW, e);
    if (rc == 0) {
        buf_addz(&text, "COPY (SELECT ");
        add_fields(&b, &text);
        if (!of_one_table(&b))
            rc = err_set(e, ERR_UNSUPPORTED, "rows of %s are of several tables", en->name);
        buf_addz(&text, " FROM ");
        query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
        buf_addz(&text, " WHERE ");
        buf_addstr(&text, where);
        if (query_deleted(&b, &live, en, QUERY_ROOT, deleted)) {
            buf_addz(&text, " AND ");
            buf_addstr(&text, buf_str(&live));
        }
        buf_addz(&text, ") TO STDOUT");
        text.failed |= live.failed;
        if (rc == 0)
            rc = query_finish(&b, &text, &sql, e);
    }
    buf_free(&live);
    buf_free(&text);
    if (rc == 0)
        *out = sql.text;
    return rc;
}

int query_scan_pages(const struct entity *en, enum deleted_mode deleted, long long first,
                     long long end, struct arena *a, struct str *out, struct err *e)
{
    char where[128];
    int n = snprintf(where, sizeof where, QUERY_ROOT ".ctid >= '(%lld,0)'::tid", first);
    if (end >= 0)
        snprintf(where + n, sizeof where - (size_t)n, " AND " QUERY_ROOT ".ctid < '(%lld,0)'::tid",
                 end);
    return copy_rows(en, deleted, str_of(where), a, out, e);
}

int query_scan_written(const struct entity *en, enum deleted_mode deleted,
                       unsigned long long oldest, struct arena *a, struct str *out, struct err *e)
{
    char where[128];
    snprintf(where, sizeof where, "age(" QUERY_ROOT ".xmin) <= age('%llu'::xid8::xid)", oldest);
    return copy_rows(en, deleted, str_of(where), a, out, e);
}

int query_scan_split(const struct scan_query *q, enum side side, const struct dbms *d, size_t skip,
                     struct arena *a, struct sql *out, struct err *e)
{
    struct query_build b = {.en = q->entity, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT, where = BUF_INIT;
    int rc = check_side(q->entity, side, e);
    if (rc == 0)
        rc = query_scan_where(&b, &where, q, e);
    if (rc == 0) {
        buf_addz(&text, "SELECT ");
        query_read_field(&b, &text, q->entity->keys[0]);
        rc = finish(&b, &text, &where, q, 1, (long long)skip, out, e);
    }
    buf_free(&where);
    buf_free(&text);
    return rc;
}

int query_key_index(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                    struct str *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    struct sql sql;
    const struct side_map *m = &en->sides[side];
    int rc = check_side(en, side, e);
    if (rc == 0) {
        buf_addz(&text, "CREATE INDEX ");
        query_name(&b, &text, "ficus_key_order");
        buf_addz(&text, " ON ");
        query_table(&b, &text, m->root, NULL);
        buf_addz(&text, " (");
        for (size_t i = 0; i < en->nkeys; i++) {
            buf_addz(&text, i > 0 ? ", " : "");
            query_name(&b, &text, m->key_columns[i]);
        }
        buf_addc(&text, ')');
        rc = query_finish(&b, &text, &sql, e);
    }
    buf_free(&text);
    if (rc == 0)
        *out = sql.text;
    return rc;
}

int query_touch(const struct entity *en, enum side side, const struct dbms *d,
                const struct value *key, struct arena *a, struct sql *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    int rc = check_side(en, side, e);
    if (rc == 0) {
        const char *column = query_side(&b)->key_columns[0];
        buf_addz(&text, "UPDATE ");
        query_table(&b, &text, query_side(&b)->root, NULL);
        buf_addz(&text, " SET ");
        query_name(&b, &text, column);
        buf_addz(&text, " = ");
        query_name(&b, &text, column);
        buf_addz(&text, " WHERE ");
        rc = query_key(&b, &text, NULL, key, e);
    }
    if (rc == 0)
        rc = query_finish(&b, &text, out, e);
    buf_free(&text);
    return rc;
}
