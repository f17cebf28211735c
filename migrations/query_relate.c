// SPDX-License-Identifier: Apache-2.0
// Adding and removing a relation between two rows: link rows (an entity of their own), foreign
// keys and polymorphic parents. Repeating one changes nothing. Thread: any.
#include "base/clock.h"
#include "migrations/query_int.h"

struct relate_job {
    const struct relationship *r;
    struct value near, far;
    const struct value *extra; // by field index of r->through; NULL
    const char *now;
    struct query_build b; // entity: the one that is written
    struct write_list list;
};

static struct query_build fresh(const struct relate_job *j)
{
    struct query_build b = j->b;
    b.params = NULL;
    b.nparams = b.size = 0;
    return b;
}

static int finish(struct relate_job *j, struct query_build *b, struct buf *text, struct err *e)
{
    struct sql sql;
    if (query_finish(b, text, &sql, e) < 0)
        return -1;
    return write_list_add(&j->list, sql, STATEMENT_ROOT, e);
}

static int add_is(struct query_build *b, struct buf *out, const char *alias, const struct field *f,
                  struct value v, struct err *e)
{
    query_alias(b, out, alias, f->place[b->side].column);
    buf_addz(out, " = ");
    return query_param_field(b, out, f, v, e);
}

// ", date_modified = now" for each field of the written entity that is filled by the clock.
static int add_now(struct query_build *b, struct buf *out, const char *now, struct err *e)
{
    for (size_t i = 0; i < b->en->nfields; i++) {
        const struct field *f = &b->en->fields[i];
        if (f->auto_fill != AUTO_NOW || f->place[b->side].kind != PLACE_ROOT)
            continue;
        buf_addz(out, ", ");
        if (add_is(b, out, NULL, f, value_set(str_of(now)), e) < 0)
            return -1;
    }
    return 0;
}

// WHERE near = ? AND far = ? AND NOT deleted; `others`: far <> ?.
static int add_pair(struct relate_job *j, struct query_build *b, struct buf *out, const char *alias,
                    bool others, struct err *e)
{
    struct buf live = BUF_INIT;
    if (add_is(b, out, alias, j->r->near, j->near, e) < 0)
        return -1;
    buf_addz(out, " AND ");
    query_alias(b, out, alias, j->r->far->place[b->side].column);
    buf_addz(out, others ? " <> " : " = ");
    if (query_param_field(b, out, j->r->far, j->far, e) < 0)
        return -1;
    if (query_deleted(b, &live, b->en, alias, DELETED_NO)) {
        buf_addz(out, " AND ");
        buf_addstr(out, buf_str(&live));
    }
    buf_free(&live);
    return 0;
}

// Soft-deletes (or deletes) live link rows of the pair; `others`: of near with anyone else.
static int link_remove(struct relate_job *j, bool others, struct err *e)
{
    struct query_build b = fresh(j);
    const char *deleted = query_side(&b)->deleted_column;
    struct buf text = BUF_INIT;
    int rc = 0;
    buf_addz(&text, deleted ? "UPDATE " : "DELETE FROM ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    if (deleted) {
        buf_addz(&text, " SET ");
        query_name(&b, &text, deleted);
        buf_printf(&text, " = %s", b.d->true_sql);
        rc = add_now(&b, &text, j->now, e);
    }
    buf_addz(&text, " WHERE ");
    if (rc == 0)
        rc = add_pair(j, &b, &text, NULL, others, e);
    if (rc == 0)
        rc = finish(j, &b, &text, e);
    buf_free(&text);
    return rc;
}

// What a link row carries beside the pair, on the row that is there already.
static int link_update(struct relate_job *j, struct err *e)
{
    struct query_build b = fresh(j);
    struct buf text = BUF_INIT;
    size_t n = 0;
    int rc = 0;
    buf_addz(&text, "UPDATE ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    buf_addz(&text, " SET ");
    for (size_t i = 0; j->extra && i < b.en->nfields && rc == 0; i++) {
        const struct field *f = &b.en->fields[i];
        if (j->extra[i].state == VALUE_ABSENT || f->place[b.side].kind != PLACE_ROOT || f->key)
            continue;
        buf_addz(&text, n++ > 0 ? ", " : "");
        rc = add_is(&b, &text, NULL, f, j->extra[i], e);
    }
    if (rc == 0 && n > 0) {
        rc = add_now(&b, &text, j->now, e);
        buf_addz(&text, " WHERE ");
        if (rc == 0)
            rc = add_pair(j, &b, &text, NULL, false, e);
        if (rc == 0)
            rc = finish(j, &b, &text, e);
    }
    buf_free(&text);
    return rc;
}

// The value of a new link row's field; ABSENT: leave the column out.
static int link_value(struct relate_job *j, const struct field *f, struct value *out, struct err *e)
{
    char uuid[37];
    *out = j->extra ? j->extra[f->index] : (struct value){0};
    if (f == j->r->near) {
        *out = j->near;
    } else if (f == j->r->far) {
        *out = j->far;
    } else if (f->key) {
        uuid_make(uuid);
        *out = value_set(arena_str(j->b.a, str_n(uuid, 36)));
        return out->data ? 0 : err_memory(e);
    } else if (out->state == VALUE_ABSENT) {
        *out = f->auto_fill == AUTO_NOW || f->auto_fill == AUTO_NOW_ON_CREATE
                   ? value_set(str_of(j->now))
                   : f->fallback;
    }
    return 0;
}

// " FROM (SELECT 1) WHERE the pair has no live row AND the far row exists".
static int add_if_new(struct relate_job *j, struct query_build *b, struct buf *out, struct err *e)
{
    const struct entity *target = j->r->target;
    buf_addz(out, " FROM (SELECT 1 AS one) AS d WHERE NOT EXISTS (SELECT 1 FROM ");
    query_table(b, out, query_side(b)->root, "r");
    buf_addz(out, " WHERE ");
    if (add_pair(j, b, out, "r", false, e) < 0)
        return -1;
    buf_addz(out, ") AND EXISTS (SELECT 1 FROM ");
    query_table(b, out, target->sides[b->side].root, "f");
    buf_addz(out, " WHERE ");
    if (add_is(b, out, "f", target->keys[0], j->far, e) < 0)
        return -1;
    struct buf live = BUF_INIT;
    if (query_deleted(b, &live, target, "f", DELETED_NO)) {
        buf_addz(out, " AND ");
        buf_addstr(out, buf_str(&live));
    }
    buf_free(&live);
    buf_addc(out, ')');
    return 0;
}

static int link_insert(struct relate_job *j, struct err *e)
{
    struct query_build b = fresh(j);
    struct buf text = BUF_INIT, values = BUF_INIT;
    size_t n = 0;
    int rc = 0;
    buf_addz(&text, "INSERT INTO ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    buf_addz(&text, " (");
    for (size_t i = 0; i < b.en->nfields && rc == 0; i++) {
        const struct field *f = &b.en->fields[i];
        struct value v;
        rc = link_value(j, f, &v, e);
        if (rc < 0 || v.state == VALUE_ABSENT || f->place[b.side].kind != PLACE_ROOT)
            continue;
        buf_addz(&text, n > 0 ? ", " : "");
        query_name(&b, &text, f->place[b.side].column);
        buf_addz(&values, n++ > 0 ? ", " : "");
        rc = query_param_field(&b, &values, f, v, e);
    }
    buf_addz(&text, ") SELECT ");
    buf_addstr(&text, buf_str(&values));
    text.failed = text.failed || values.failed;
    if (rc == 0)
        rc = add_if_new(j, &b, &text, e);
    if (rc == 0)
        rc = finish(j, &b, &text, e);
    buf_free(&text);
    buf_free(&values);
    return rc;
}

static int relate_link(struct relate_job *j, bool remove, struct err *e)
{
    if (remove)
        return link_remove(j, false, e);
    if (j->r->to_one && link_remove(j, true, e) < 0)
        return -1;
    if (link_update(j, e) < 0)
        return -1;
    return link_insert(j, e);
}

// Sets or clears the foreign key (and parent type) of the row that holds it.
static int relate_key(struct relate_job *j, bool remove, struct err *e)
{
    const struct relationship *r = j->r;
    const struct field *fk = r->kind == RELATION_PARENT ? r->parent_id : r->foreign_key;
    struct value holder = r->to_one ? j->near : j->far, other = r->to_one ? j->far : j->near;
    struct query_build b = fresh(j);
    struct buf text = BUF_INIT;
    buf_addz(&text, "UPDATE ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    buf_addz(&text, " SET ");
    int rc = add_is(&b, &text, NULL, fk, remove ? value_null() : other, e);
    if (rc == 0 && r->kind == RELATION_PARENT) {
        buf_addz(&text, ", ");
        rc = add_is(&b, &text, NULL, r->parent_type,
                    remove ? value_null() : value_set(r->parent_value), e);
    }
    if (rc == 0)
        rc = add_now(&b, &text, j->now, e);
    buf_addz(&text, " WHERE ");
    if (rc == 0)
        rc = query_key(&b, &text, NULL, &holder, e);
    if (rc == 0 && remove) {
        buf_addz(&text, " AND ");
        rc = add_is(&b, &text, NULL, fk, other, e);
    }
    if (rc == 0 && remove && r->kind == RELATION_PARENT) {
        buf_addz(&text, " AND ");
        rc = add_is(&b, &text, NULL, r->parent_type, value_set(r->parent_value), e);
    }
    if (rc == 0)
        rc = finish(j, &b, &text, e);
    buf_free(&text);
    return rc;
}

int query_relate(const struct relationship *r, struct value near, struct value far, bool remove,
                 const struct value *extra, const char *now, enum side side, const struct dbms *d,
                 struct arena *a, struct write_statement **out, size_t *n, struct err *e)
{
    const struct entity *en = r->kind == RELATION_LINK ? r->through
                              : r->to_one              ? r->source
                                                       : r->target;
    struct relate_job j = {r,       near, far, extra, now, {.en = en, .side = side, .d = d, .a = a},
                           {.a = a}};
    if (!en->sides[side].root)
        return err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side", en->name,
                       side_name(side));
    int rc = r->kind == RELATION_LINK ? relate_link(&j, remove, e) : relate_key(&j, remove, e);
    *out = j.list.list;
    *n = j.list.n;
    return rc;
}
