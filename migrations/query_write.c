// SPDX-License-Identifier: Apache-2.0
// A canonical write -> statements for one side: the root row, extension rows, the map's own
// statements for looked-up fields; soft deletes with the rows that hang on them. Thread: any.
#include "base/clock.h"
#include "migrations/query_int.h"

struct write_job {
    const struct write *w;
    struct query_build b; // template; each statement starts from a fresh copy
    struct write_list list;
};

static struct query_build fresh(const struct write_job *j)
{
    struct query_build b = j->b;
    b.params = NULL;
    b.nparams = b.size = 0;
    return b;
}

static int add_statement(struct write_job *j, struct query_build *b, struct buf *text,
                         enum statement_role role, struct err *e)
{
    struct sql sql;
    if (query_finish(b, text, &sql, e) < 0)
        return -1;
    return write_list_add(&j->list, sql, role, e);
}

struct value query_write_value(const struct write *w, const struct field *f)
{
    struct value v = w->values ? w->values[f->index] : (struct value){0};
    bool create = w->kind == WRITE_CREATE;
    if (f->key)
        return v;
    if (f->read_only || w->kind == WRITE_DELETE)
        v = (struct value){0};
    if (v.state != VALUE_ABSENT)
        return v;
    switch (f->auto_fill) {
    case AUTO_NOW: return value_set(str_of(w->now));
    case AUTO_NOW_ON_CREATE:
        if (create)
            return value_set(str_of(w->now));
        break;
    case AUTO_ACTOR:
    case AUTO_ACTOR_ON_CREATE:
        if ((create || f->auto_fill == AUTO_ACTOR) && w->actor.len > 0)
            return value_set(w->actor);
        break;
    case AUTO_NONE: break;
    }
    return create ? f->fallback : v;
}

static bool is_here(const struct field *f, enum side side, enum place_kind kind, unsigned index)
{
    return f->place[side].kind == kind && (kind == PLACE_ROOT || f->place[side].index == index);
}

// "a = ?, b = ?" of the fields at a place; *n counts them.
static int add_set(const struct write_job *j, struct query_build *b, struct buf *out,
                   enum place_kind kind, unsigned index, size_t *n, struct err *e)
{
    const struct entity *en = j->w->entity;
    *n = 0;
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        struct value v = query_write_value(j->w, f);
        if (f->key || !is_here(f, b->side, kind, index) || v.state == VALUE_ABSENT)
            continue;
        buf_addz(out, (*n)++ > 0 ? ", " : "");
        query_name(b, out, f->place[b->side].column);
        buf_addz(out, " = ");
        if (query_param_field(b, out, f, v, e) < 0)
            return -1;
    }
    return 0;
}

static int add_insert(struct write_job *j, struct err *e)
{
    struct query_build b = fresh(j);
    const struct entity *en = j->w->entity;
    struct buf text = BUF_INIT, values = BUF_INIT;
    size_t n = 0;
    int rc = 0;
    buf_addz(&text, "INSERT INTO ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    buf_addz(&text, " (");
    for (size_t i = 0; i < en->nfields && rc == 0; i++) {
        const struct field *f = &en->fields[i];
        struct value v = query_write_value(j->w, f);
        if (f->key)
            for (size_t k = 0; k < en->nkeys; k++)
                if (en->keys[k] == f)
                    v = j->w->key[k];
        if (f->place[b.side].kind != PLACE_ROOT || v.state == VALUE_ABSENT)
            continue;
        buf_addz(&text, n > 0 ? ", " : "");
        query_name(&b, &text, f->place[b.side].column);
        buf_addz(&values, n++ > 0 ? ", " : "");
        rc = query_param_field(&b, &values, f, v, e);
    }
    buf_addz(&text, ") VALUES (");
    buf_addstr(&text, buf_str(&values));
    buf_addc(&text, ')');
    text.failed = text.failed || values.failed;
    if (rc == 0)
        rc = add_statement(j, &b, &text, STATEMENT_ROOT, e);
    buf_free(&text);
    buf_free(&values);
    return rc;
}

static void add_live(const struct write_job *j, struct query_build *b, struct buf *out)
{
    struct buf test = BUF_INIT;
    if (j->w->live_only && query_side(b)->deleted_column &&
        query_deleted(b, &test, j->w->entity, NULL, DELETED_NO)) {
        buf_addz(out, " AND ");
        buf_addstr(out, buf_str(&test));
    }
    out->failed = out->failed || test.failed;
    buf_free(&test);
}

// Always there, even when only extension fields change: it tells whether the row exists, and
// fires the root's trigger.
static int add_update(struct write_job *j, struct err *e)
{
    struct query_build b = fresh(j);
    struct buf text = BUF_INIT;
    size_t n;
    buf_addz(&text, "UPDATE ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    buf_addz(&text, " SET ");
    int rc = add_set(j, &b, &text, PLACE_ROOT, 0, &n, e);
    if (rc == 0 && n == 0) {
        query_name(&b, &text, query_side(&b)->key_columns[0]);
        buf_addz(&text, " = ");
        query_name(&b, &text, query_side(&b)->key_columns[0]);
    }
    buf_addz(&text, " WHERE ");
    if (rc == 0)
        rc = query_key(&b, &text, NULL, j->w->key, e);
    if (rc == 0)
        add_live(j, &b, &text);
    if (rc == 0)
        rc = add_statement(j, &b, &text, STATEMENT_ROOT, e);
    buf_free(&text);
    return rc;
}

// UPDATE of the extension row, then an INSERT where it is missing.
static int add_extension(struct write_job *j, unsigned index, struct err *e)
{
    struct query_build b = fresh(j);
    const struct extension *x = &query_side(&b)->extensions[index];
    const struct entity *en = j->w->entity;
    struct buf text = BUF_INIT, names = BUF_INIT;
    size_t n;
    buf_addz(&text, "UPDATE ");
    query_table(&b, &text, x->table, NULL);
    buf_addz(&text, " SET ");
    int rc = add_set(j, &b, &text, PLACE_EXTENSION, index, &n, e);
    if (rc < 0 || n == 0)
        goto out;
    buf_addz(&text, " WHERE ");
    query_name(&b, &text, x->key_column);
    buf_addz(&text, " = ");
    rc = query_param_field(&b, &text, en->keys[0], j->w->key[0], e);
    if (rc == 0)
        rc = add_statement(j, &b, &text, STATEMENT_EXTENSION, e);
    if (rc < 0)
        goto out;
    b = fresh(j);
    buf_free(&text);
    query_name(&b, &names, x->key_column);
    buf_addz(&text, ") SELECT ");
    rc = query_param_field(&b, &text, en->keys[0], j->w->key[0], e);
    for (size_t i = 0; i < en->nfields && rc == 0; i++) {
        const struct field *f = &en->fields[i];
        struct value v = query_write_value(j->w, f);
        if (!is_here(f, b.side, PLACE_EXTENSION, index) || v.state == VALUE_ABSENT)
            continue;
        buf_addz(&names, ", ");
        query_name(&b, &names, f->place[b.side].column);
        buf_addz(&text, ", ");
        rc = query_param_field(&b, &text, f, v, e);
    }
    if (rc < 0)
        goto out;
    struct buf insert = BUF_INIT;
    buf_addz(&insert, "INSERT INTO ");
    query_table(&b, &insert, x->table, NULL);
    buf_addz(&insert, " (");
    buf_addstr(&insert, buf_str(&names));
    buf_addstr(&insert, buf_str(&text));
    buf_addz(&insert, " FROM (SELECT 1 AS one) AS d WHERE NOT EXISTS (SELECT 1 FROM ");
    query_table(&b, &insert, x->table, "x");
    buf_addz(&insert, " WHERE ");
    query_alias(&b, &insert, "x", x->key_column);
    buf_addz(&insert, " = ");
    rc = query_param_field(&b, &insert, en->keys[0], j->w->key[0], e);
    buf_addc(&insert, ')');
    insert.failed = insert.failed || names.failed || text.failed;
    if (rc == 0)
        rc = add_statement(j, &b, &insert, STATEMENT_EXTENSION, e);
    buf_free(&insert);
out:
    buf_free(&text);
    buf_free(&names);
    return rc;
}

static int add_named(struct write_job *j, const char *const *sql, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct query_build b = fresh(j);
        struct sql one;
        if (query_named(&b, sql[i], j->w, NULL, &one, e) < 0 ||
            write_list_add(&j->list, one, STATEMENT_LOOKUP, e) < 0)
            return -1;
    }
    return 0;
}

// Statements of each lookup of which a field is written.
static int add_lookups(struct write_job *j, struct err *e)
{
    const struct side_map *m = query_side(&j->b);
    for (unsigned l = 0; l < m->nlookups; l++) {
        bool touched = false;
        for (size_t i = 0; i < j->w->entity->nfields && !touched; i++) {
            const struct field *f = &j->w->entity->fields[i];
            touched = is_here(f, j->b.side, PLACE_LOOKUP, l) &&
                      query_write_value(j->w, f).state != VALUE_ABSENT;
        }
        if (touched && add_named(j, m->lookups[l].writes, m->lookups[l].nwrites, e) < 0)
            return -1;
    }
    return 0;
}

// "UPDATE table SET deleted = true, <now fields> WHERE "
static int add_soft_delete(struct query_build *b, struct buf *out, const struct entity *en,
                           const char *now, struct err *e)
{
    buf_addz(out, "UPDATE ");
    query_table(b, out, en->sides[b->side].root, NULL);
    buf_addz(out, " SET ");
    query_name(b, out, en->sides[b->side].deleted_column);
    buf_printf(out, " = %s", b->d->true_sql);
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        if (f->auto_fill != AUTO_NOW || f->place[b->side].kind != PLACE_ROOT)
            continue;
        buf_addz(out, ", ");
        query_name(b, out, f->place[b->side].column);
        buf_addz(out, " = ");
        if (query_param_field(b, out, f, value_set(str_of(now)), e) < 0)
            return -1;
    }
    buf_addz(out, " WHERE ");
    return 0;
}

// Live link rows of the deleted one go with it.
static int add_link_deletes(struct write_job *j, struct err *e)
{
    const struct entity *en = j->w->entity;
    for (size_t i = 0; i < en->nrelationships; i++) {
        const struct relationship *r = &en->relationships[i];
        struct query_build b = fresh(j);
        if (r->kind != RELATION_LINK || !r->through->sides[b.side].deleted_column)
            continue;
        struct buf text = BUF_INIT;
        int rc = add_soft_delete(&b, &text, r->through, j->w->now, e);
        if (rc == 0) {
            query_name(&b, &text, r->near->place[b.side].column);
            buf_addz(&text, " = ");
            rc = query_param_field(&b, &text, r->near, j->w->key[0], e);
        }
        buf_addz(&text, " AND ");
        (void)query_deleted(&b, &text, r->through, NULL, DELETED_NO);
        if (rc == 0)
            rc = add_statement(j, &b, &text, STATEMENT_LOOKUP, e);
        buf_free(&text);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int add_delete(struct write_job *j, struct err *e)
{
    struct query_build b = fresh(j);
    const struct side_map *m = query_side(&b);
    struct buf text = BUF_INIT;
    int rc = 0;
    if (m->deleted_column) {
        size_t n;
        buf_addz(&text, "UPDATE ");
        query_table(&b, &text, m->root, NULL);
        buf_addz(&text, " SET ");
        query_name(&b, &text, m->deleted_column);
        buf_printf(&text, " = %s, ", b.d->true_sql);
        rc = add_set(j, &b, &text, PLACE_ROOT, 0, &n, e);
        if (n == 0 && text.len >= 2)
            text.len -= 2;
        buf_addz(&text, " WHERE ");
    } else {
        buf_addz(&text, "DELETE FROM ");
        query_table(&b, &text, m->root, NULL);
        buf_addz(&text, " WHERE ");
    }
    if (rc == 0)
        rc = query_key(&b, &text, NULL, j->w->key, e);
    if (rc == 0)
        add_live(j, &b, &text);
    if (rc == 0)
        rc = add_statement(j, &b, &text, STATEMENT_ROOT, e);
    buf_free(&text);
    for (size_t i = 0; rc == 0 && !m->deleted_column && i < m->nextensions; i++) {
        b = fresh(j);
        buf_addz(&text, "DELETE FROM ");
        query_table(&b, &text, m->extensions[i].table, NULL);
        buf_addz(&text, " WHERE ");
        query_name(&b, &text, m->extensions[i].key_column);
        buf_addz(&text, " = ");
        rc = query_param_field(&b, &text, j->w->entity->keys[0], j->w->key[0], e);
        if (rc == 0)
            rc = add_statement(j, &b, &text, STATEMENT_EXTENSION, e);
        buf_free(&text);
    }
    if (rc == 0)
        rc = add_link_deletes(j, e);
    return rc < 0 ? -1 : add_named(j, m->on_delete, m->non_delete, e);
}

int query_write(const struct write *w, enum side side, const struct dbms *d, struct arena *a,
                struct write_statement **out, size_t *n, struct err *e)
{
    struct write_job j = {
        .w = w, .b = {.en = w->entity, .side = side, .d = d, .a = a}, .list = {.a = a}};
    const struct side_map *m = &w->entity->sides[side];
    int rc;
    if (!m->root)
        return err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side", w->entity->name,
                       side_name(side));
    if (w->kind == WRITE_DELETE) {
        rc = add_delete(&j, e);
    } else {
        rc = w->kind == WRITE_CREATE ? add_insert(&j, e) : add_update(&j, e);
        for (unsigned i = 0; rc == 0 && i < m->nextensions; i++)
            rc = add_extension(&j, i, e);
        if (rc == 0)
            rc = add_lookups(&j, e);
    }
    *out = j.list.list;
    *n = j.list.n;
    return rc;
}
