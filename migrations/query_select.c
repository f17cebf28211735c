// SPDX-License-Identifier: Apache-2.0
// A canonical read -> SELECT: columns, related rows, filter, order and page. Looked-up fields
// are scalar subqueries with a definite order, so duplicates in dirty data never multiply
// rows. Thread: any.
#include "migrations/query_int.h"

// Parts of the statement; parameters are numbered in this order.
struct parts {
    struct buf from;  // join that finds related rows
    struct buf first; // the parent's key, as first column
    struct buf where;
};

static void parts_free(struct parts *p)
{
    buf_free(&p->from);
    buf_free(&p->first);
    buf_free(&p->where);
}

static void and_where(struct parts *p)
{
    buf_addz(&p->where, p->where.len > 0 ? " AND " : " WHERE ");
}

// "col IN (?, ?)" or "col = ?" with keys of `f`.
static int add_keys(struct query_build *b, struct buf *out, const char *alias, const char *column,
                    const struct field *f, const struct value *keys, size_t n, struct err *e)
{
    query_alias(b, out, alias, column);
    buf_addz(out, n == 1 ? " = " : " IN (");
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        if (query_param_field(b, out, f, keys[i], e) < 0)
            return -1;
    }
    buf_addz(out, n == 0 ? "NULL)" : n > 1 ? ")" : "");
    return 0;
}

// Through a link table: distinct pairs, so that duplicate link rows give one row each.
static int related_link(struct query_build *b, struct parts *p, const struct related *r,
                        struct err *e)
{
    const struct relationship *rel = r->relationship;
    const char *near = rel->near->place[b->side].column, *far = rel->far->place[b->side].column;
    struct buf *out = r->by_parent ? &p->from : &p->where;
    if (r->by_parent) {
        buf_addz(out, " JOIN (SELECT DISTINCT r.");
        query_name(b, out, near);
        buf_addz(out, " AS near_key, r.");
        query_name(b, out, far);
        buf_addz(out, " AS far_key FROM ");
        buf_addz(&p->first, "r.near_key");
    } else {
        and_where(p);
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
        buf_addz(out, " IN (SELECT r.");
        query_name(b, out, far);
        buf_addz(out, " FROM ");
    }
    query_table(b, out, rel->through->sides[b->side].root, "r");
    buf_addz(out, " WHERE ");
    if (add_keys(b, out, "r", near, rel->near, r->parent_key, r->nparent_key, e) < 0)
        return -1;
    struct buf live = BUF_INIT;
    if (query_deleted(b, &live, rel->through, "r", DELETED_NO)) {
        buf_addz(out, " AND ");
        buf_addstr(out, buf_str(&live));
    }
    buf_free(&live);
    buf_addc(out, ')');
    if (r->by_parent) {
        buf_addz(out, " AS r ON r.far_key = ");
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
    }
    return 0;
}

// The foreign key (or polymorphic id) is the related row's own.
static int related_many(struct query_build *b, struct parts *p, const struct related *r,
                        struct err *e)
{
    const struct relationship *rel = r->relationship;
    const struct field *fk = rel->kind == RELATION_PARENT ? rel->parent_id : rel->foreign_key;
    and_where(p);
    if (rel->kind == RELATION_PARENT) {
        query_alias(b, &p->where, QUERY_ROOT, rel->parent_type->place[b->side].column);
        buf_addz(&p->where, " = ");
        query_param(b, &p->where, value_set(rel->parent_value), COLUMN_TEXT);
        buf_addz(&p->where, " AND ");
    }
    if (add_keys(b, &p->where, QUERY_ROOT, fk->place[b->side].column, fk, r->parent_key,
                 r->nparent_key, e) < 0)
        return -1;
    if (r->by_parent)
        query_alias(b, &p->first, QUERY_ROOT, fk->place[b->side].column);
    return 0;
}

// The foreign key is the parent row's.
static int related_one(struct query_build *b, struct parts *p, const struct related *r,
                       struct err *e)
{
    const struct relationship *rel = r->relationship;
    const struct side_map *m = &rel->source->sides[b->side];
    const struct field *fk = rel->kind == RELATION_PARENT ? rel->parent_id : rel->foreign_key;
    struct buf *out = r->by_parent ? &p->from : &p->where;
    if (r->by_parent) {
        buf_addz(out, " JOIN ");
        query_table(b, out, m->root, "p");
        buf_addz(out, " ON ");
        query_alias(b, out, "p", fk->place[b->side].column);
        buf_addz(out, " = ");
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
        buf_addz(out, " AND ");
        query_alias(b, &p->first, "p", m->key_columns[0]);
    } else {
        and_where(p);
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[0]);
        buf_addz(out, " IN (SELECT p.");
        query_name(b, out, fk->place[b->side].column);
        buf_addz(out, " FROM ");
        query_table(b, out, m->root, "p");
        buf_addz(out, " WHERE ");
    }
    if (rel->kind == RELATION_PARENT) {
        query_alias(b, out, "p", rel->parent_type->place[b->side].column);
        buf_addz(out, " = ");
        query_param(b, out, value_set(rel->parent_value), COLUMN_TEXT);
        buf_addz(out, " AND ");
    }
    if (add_keys(b, out, "p", m->key_columns[0], rel->source->keys[0], r->parent_key,
                 r->nparent_key, e) < 0)
        return -1;
    buf_addz(out, r->by_parent ? "" : ")");
    return 0;
}

static int add_related(struct query_build *b, struct parts *p, const struct related *r,
                       struct err *e)
{
    if (!r->by_parent && r->nparent_key != 1)
        return err_set(e, ERR_INTERNAL, "related rows want one parent key");
    if (r->relationship->kind == RELATION_LINK)
        return related_link(b, p, r, e);
    return r->relationship->to_one ? related_one(b, p, r, e) : related_many(b, p, r, e);
}

// key > bound (or <=) in key order, for keys of any number of columns:
// k1 > a OR (k1 = a AND (k2 > b OR ..)).
static int add_bound(struct query_build *b, struct buf *out, size_t i, const struct value *key,
                     const char *op, struct err *e)
{
    const char *column = query_side(b)->key_columns[i];
    bool last = i + 1 == b->en->nkeys;
    buf_addc(out, '(');
    query_alias(b, out, QUERY_ROOT, column);
    buf_printf(out, " %.*s ", last ? 2 : 1, op);
    if (query_param_field(b, out, b->en->keys[i], key[i], e) < 0)
        return -1;
    if (!last) {
        buf_addz(out, " OR (");
        query_alias(b, out, QUERY_ROOT, column);
        buf_addz(out, " = ");
        if (query_param_field(b, out, b->en->keys[i], key[i], e) < 0)
            return -1;
        buf_addz(out, " AND ");
        if (add_bound(b, out, i + 1, key, op, e) < 0)
            return -1;
        buf_addc(out, ')');
    }
    buf_addc(out, ')');
    return 0;
}

static int add_where(struct query_build *b, struct parts *p, const struct query *q, struct err *e)
{
    unsigned nodes = 0;
    struct buf live = BUF_INIT;
    if (q->key) {
        and_where(p);
        if (query_key(b, &p->where, QUERY_ROOT, q->key, e) < 0)
            return -1;
    }
    if (q->keys) {
        if (q->entity->nkeys != 1)
            return err_set(e, ERR_UNSUPPORTED, "many keys of %zu parts", q->entity->nkeys);
        and_where(p);
        if (add_keys(b, &p->where, QUERY_ROOT, query_side(b)->key_columns[0], q->entity->keys[0],
                     q->keys, q->nkeys, e) < 0)
            return -1;
    }
    if (q->after_key) {
        and_where(p);
        if (add_bound(b, &p->where, 0, q->after_key, "> ", e) < 0)
            return -1;
    }
    if (q->up_to_key) {
        and_where(p);
        if (add_bound(b, &p->where, 0, q->up_to_key, "<=", e) < 0)
            return -1;
    }
    if (query_deleted(b, &live, q->entity, QUERY_ROOT, q->deleted)) {
        and_where(p);
        buf_addstr(&p->where, buf_str(&live));
    }
    buf_free(&live);
    if (q->filter) {
        and_where(p);
        return query_filter(b, &p->where, q->filter, 0, &nodes, e);
    }
    return 0;
}

static void add_order(struct query_build *b, struct buf *out, const struct query *q,
                      const struct buf *parent)
{
    buf_addz(out, " ORDER BY ");
    if (parent->len > 0) {
        buf_addstr(out, buf_str(parent));
        buf_addz(out, ", ");
    }
    for (size_t i = 0; i < q->norder; i++) {
        struct buf column = BUF_INIT;
        query_field(b, &column, q->order[i].field);
        if (!column.failed && column.data)
            b->d->order_text(out, column.data,
                             q->order[i].field->type == TYPE_TEXT && q->order[i].field->nocase,
                             q->order[i].desc);
        out->failed = out->failed || column.failed;
        buf_free(&column);
        buf_addz(out, ", ");
    }
    for (size_t i = 0; i < q->entity->nkeys; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[i]);
    }
}

static void add_columns(struct query_build *b, struct buf *out, const struct field *const *fields,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        query_read_field(b, out, fields[i]);
    }
}

static int check_side(const struct query *q, enum side side, struct err *e)
{
    if (!q->entity->sides[side].root)
        return err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side", q->entity->name,
                       side_name(side));
    return 0;
}

int query_select(const struct query *q, enum side side, const struct dbms *d, struct arena *a,
                 struct sql *out, struct err *e)
{
    struct query_build b = {.en = q->entity, .side = side, .d = d, .a = a};
    struct parts p = {0};
    struct buf text = BUF_INIT, columns = BUF_INIT, order = BUF_INIT;
    if (check_side(q, side, e) < 0)
        return -1;
    add_columns(&b, &columns, q->fields, q->nfields);
    int rc = (q->related && add_related(&b, &p, q->related, e) < 0) ? -1 : add_where(&b, &p, q, e);
    add_order(&b, &order, q, &p.first);
    buf_addz(&text, "SELECT ");
    buf_addstr(&text, buf_str(&p.first));
    buf_addz(&text, p.first.len > 0 && q->nfields > 0 ? ", " : "");
    buf_addstr(&text, buf_str(&columns));
    buf_addz(&text, p.first.len + columns.len == 0 ? "1" : "");
    if (q->row_mark && d->row_mark)
        buf_printf(&text, ", %s.%s", QUERY_ROOT, d->row_mark);
    buf_addz(&text, " FROM ");
    query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
    if (q->lock && d->lock_hint)
        buf_addz(&text, d->lock_hint);
    query_joins(&b, &text);
    buf_addstr(&text, buf_str(&p.from));
    buf_addstr(&text, buf_str(&p.where));
    if (q->lock)
        buf_addz(&text, d->lock_row);
    if (!q->key)
        buf_addstr(&text, buf_str(&order));
    d->page(&text, q->key ? -1 : q->limit, q->key ? 0 : q->offset);
    text.failed = text.failed || columns.failed || order.failed || p.from.failed ||
                  p.where.failed || p.first.failed;
    if (rc == 0)
        rc = query_finish(&b, &text, out, e);
    buf_free(&text);
    buf_free(&columns);
    buf_free(&order);
    parts_free(&p);
    return rc;
}

int query_count(const struct query *q, enum side side, const struct dbms *d, struct arena *a,
                struct sql *out, struct err *e)
{
    struct query_build b = {.en = q->entity, .side = side, .d = d, .a = a};
    struct parts p = {0};
    struct buf text = BUF_INIT;
    if (check_side(q, side, e) < 0)
        return -1;
    int rc = (q->related && add_related(&b, &p, q->related, e) < 0) ? -1 : add_where(&b, &p, q, e);
    buf_addz(&text, "SELECT COUNT(*) FROM ");
    query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
    query_joins(&b, &text);
    buf_addstr(&text, buf_str(&p.from));
    buf_addstr(&text, buf_str(&p.where));
    text.failed = text.failed || p.from.failed || p.where.failed;
    if (rc == 0)
        rc = query_finish(&b, &text, out, e);
    buf_free(&text);
    parts_free(&p);
    return rc;
}

int query_assert(const struct entity *en, const struct value *key, struct str mark, enum side side,
                 const struct dbms *d, struct arena *a, struct sql *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    if (!d->row_mark)
        return err_set(e, ERR_UNSUPPORTED, "%s does not mark its rows", d->name);
    buf_addz(&text, "SELECT 1 / (SELECT count(*) FROM (SELECT 1 FROM ");
    query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
    buf_addz(&text, " WHERE ");
    int rc = query_key(&b, &text, QUERY_ROOT, key, e);
    buf_printf(&text, " AND %s.%s = ", QUERY_ROOT, d->row_mark);
    query_param(&b, &text, value_set(mark), COLUMN_TEXT);
    buf_printf(&text, "%s) AS x)", d->lock_row);
    if (rc == 0)
        rc = query_finish(&b, &text, out, e);
    buf_free(&text);
    return rc;
}
