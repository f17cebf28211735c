// SPDX-License-Identifier: Apache-2.0
// Pieces that every generated statement is made of: names, parameters, a field's value
// wherever it lives. Parameters are only ever bound; names come from the map. Thread: any.
#include "migrations/query_int.h"

#include <stdio.h>

static bool note_param(struct query_build *b, struct value raw)
{
    if (b->nparams == b->size) {
        size_t size = b->size > 0 ? b->size * 2 : 16;
        struct value *more = arena_array(b->a, size, sizeof(*more));
        if (!more) {
            b->failed = true;
            return false;
        }
        if (b->nparams > 0)
            memcpy(more, b->params, b->nparams * sizeof(*more));
        b->params = more;
        b->size = size;
    }
    b->params[b->nparams++] = raw;
    return true;
}

void query_param(struct query_build *b, struct buf *out, struct value raw, enum column_kind kind)
{
    char name[32] = "?";
    if (!note_param(b, raw))
        return;
    if (b->d->dollar_placeholders)
        snprintf(name, sizeof(name), "$%zu", b->nparams);
    b->d->write_param(out, name, kind);
}

int query_param_field(struct query_build *b, struct buf *out, const struct field *f,
                      struct value canonical, struct err *e)
{
    struct value raw;
    if (type_write(f, b->side, canonical, b->a, &raw, e) < 0)
        return -1;
    query_param(b, out, raw, field_column_kind(f, b->side));
    return 0;
}

void query_name(const struct query_build *b, struct buf *out, const char *name)
{
    b->d->quote(out, str_of(name));
}

void query_table(const struct query_build *b, struct buf *out, const char *table, const char *alias)
{
    query_name(b, out, table);
    if (alias)
        buf_printf(out, "%s%s", b->d->table_alias ? b->d->table_alias : " AS ", alias);
}

void query_alias(const struct query_build *b, struct buf *out, const char *alias,
                 const char *column)
{
    if (alias) {
        buf_addz(out, alias);
        buf_addc(out, '.');
    }
    b->d->quote(out, str_of(column));
}

static void add_step(const struct query_build *b, struct buf *out, const struct lookup *l, size_t i,
                     const char *root, bool *any)
{
    const struct lookup_step *s = &l->steps[i];
    char alias[32], other[32];
    snprintf(alias, sizeof(alias), "l%zu", i);
    for (size_t k = 0; k < s->non; k++) {
        if (s->on[k].ref_step < 0 && !root)
            continue;
        buf_addz(out, *any ? " AND " : "");
        query_alias(b, out, alias, s->on[k].column);
        buf_addz(out, " = ");
        snprintf(other, sizeof(other), "l%d", s->on[k].ref_step);
        query_alias(b, out, s->on[k].ref_step < 0 ? root : other, s->on[k].ref_column);
        *any = true;
    }
    for (size_t k = 0; k < s->nwhere; k++) {
        buf_addz(out, *any ? " AND " : "");
        query_alias(b, out, alias, s->where[k].column);
        buf_addz(out, " = ");
        buf_addstr(out, s->where[k].sql);
        *any = true;
    }
}

void query_path(const struct query_build *b, struct buf *out, const struct lookup *l,
                const char *root)
{
    char alias[32];
    bool any;
    for (size_t i = 0; i < l->nsteps; i++) {
        snprintf(alias, sizeof(alias), "l%zu", i);
        buf_addz(out, i > 0 ? " JOIN " : "");
        query_table(b, out, l->steps[i].table, alias);
        if (i == 0)
            continue;
        struct buf on = BUF_INIT;
        any = false;
        add_step(b, &on, l, i, root, &any);
        buf_addz(out, " ON ");
        buf_addstr(out, any ? buf_str(&on) : STR("1 = 1"));
        buf_free(&on);
    }
    struct buf where = BUF_INIT;
    any = false;
    add_step(b, &where, l, 0, root, &any);
    if (any) {
        buf_addz(out, " WHERE ");
        buf_addstr(out, buf_str(&where));
    }
    buf_free(&where);
}

const char *query_path_key(const struct entity *en, enum side side, const struct lookup *l)
{
    if (en->nkeys != 1 || l->nsteps == 0)
        return NULL;
    const struct lookup_step *s = &l->steps[0];
    for (size_t k = 0; k < s->non; k++)
        if (s->on[k].ref_step < 0 && s->non == 1 &&
            strcmp(s->on[k].ref_column, en->sides[side].key_columns[0]) == 0)
            return s->on[k].column;
    return NULL;
}

void query_field(struct query_build *b, struct buf *out, const struct field *f)
{
    const struct place *p = &f->place[b->side];
    char alias[32];
    switch (p->kind) {
    case PLACE_NONE: buf_addz(out, "NULL"); return;
    case PLACE_ROOT: query_alias(b, out, QUERY_ROOT, p->column); return;
    case PLACE_EXTENSION:
        b->extensions |= 1u << (p->index % QUERY_EXTENSIONS_MAX);
        snprintf(alias, sizeof(alias), "x%u", p->index);
        query_alias(b, out, alias, p->column);
        return;
    case PLACE_LOOKUP: break;
    }
    const struct lookup *l = &query_side(b)->lookups[p->index];
    snprintf(alias, sizeof(alias), "l%zu", l->nsteps - 1);
    buf_addz(out, "(SELECT ");
    query_alias(b, out, alias, p->column);
    buf_addz(out, " FROM ");
    query_path(b, out, l, QUERY_ROOT);
    buf_addz(out, " ORDER BY ");
    snprintf(alias, sizeof(alias), "l%u", l->order_step);
    query_alias(b, out, alias, l->order_column);
    buf_printf(out, "%s1%s)", b->d->limit_head ? b->d->limit_head : " LIMIT ",
               b->d->limit_tail ? b->d->limit_tail : "");
}

static void render(struct query_build *b, struct buf *out, const struct field *f)
{
    struct buf column = BUF_INIT;
    query_field(b, &column, f);
    if (!column.failed && column.data)
        b->d->read_column(out, column.data, field_column_kind(f, b->side));
    out->failed = out->failed || column.failed;
    buf_free(&column);
}

void query_read_field(struct query_build *b, struct buf *out, const struct field *f)
{
    struct str made = f->read_sql[b->side][b->d->index];
    const struct place *p = &f->place[b->side];
    if (!made.data) {
        render(b, out, f);
        return;
    }
    if (p->kind == PLACE_EXTENSION)
        b->extensions |= 1u << (p->index % QUERY_EXTENSIONS_MAX);
    buf_addstr(out, made);
}

void query_cross_field(struct query_build *b, struct buf *out, const struct field *f)
{
    enum column_kind kind = field_column_kind(f, b->side);
    struct buf column = BUF_INIT;
    if (!b->d->read_text || (kind != COLUMN_TEXT && kind != COLUMN_JSON) ||
        f->place[b->side].kind == PLACE_LOOKUP) {
        query_read_field(b, out, f);
        return;
    }
    query_field(b, &column, f);
    if (!column.failed && column.data)
        b->d->read_text(out, column.data);
    out->failed = out->failed || column.failed;
    buf_free(&column);
}

int query_prepare(struct entity *en, struct arena *a, struct err *e)
{
    for (int side = 0; side < 2; side++) {
        for (unsigned i = 0; dbms_at(i); i++) {
            struct query_build b = {.en = en, .side = (enum side)side, .d = dbms_at(i), .a = a};
            for (size_t k = 0; k < en->nfields; k++) {
                struct buf text = BUF_INIT;
                render(&b, &text, &en->fields[k]);
                int rc = buf_check(&text, e);
                struct str made = rc == 0 ? arena_str(a, buf_str(&text)) : (struct str){0};
                buf_free(&text);
                if (!made.data)
                    return rc < 0 ? -1 : err_memory(e);
                en->fields[k].read_sql[side][i] = made;
            }
        }
    }
    return 0;
}

int query_key(struct query_build *b, struct buf *out, const char *alias, const struct value *key,
              struct err *e)
{
    for (size_t i = 0; i < b->en->nkeys; i++) {
        buf_addz(out, i > 0 ? " AND " : "");
        query_alias(b, out, alias, query_side(b)->key_columns[i]);
        buf_addz(out, " = ");
        if (query_param_field(b, out, b->en->keys[i], key[i], e) < 0)
            return -1;
    }
    return 0;
}

bool query_deleted(const struct query_build *b, struct buf *out, const struct entity *en,
                   const char *alias, enum deleted_mode mode)
{
    const char *column = en->sides[b->side].deleted_column;
    if (!column || mode == DELETED_ANY)
        return false;
    query_alias(b, out, alias, column);
    buf_printf(out, " = %s", mode == DELETED_ONLY ? b->d->true_sql : b->d->false_sql);
    return true;
}

void query_joins(const struct query_build *b, struct buf *out)
{
    const struct side_map *m = query_side(b);
    for (size_t i = 0; i < m->nextensions; i++) {
        char alias[32];
        if (!(b->extensions & (1u << i)))
            continue;
        snprintf(alias, sizeof(alias), "x%zu", i);
        buf_addz(out, " LEFT JOIN ");
        query_table(b, out, m->extensions[i].table, alias);
        buf_addz(out, " ON ");
        query_alias(b, out, alias, m->extensions[i].key_column);
        buf_addz(out, " = ");
        query_alias(b, out, QUERY_ROOT, m->key_columns[0]);
    }
}

int query_finish(struct query_build *b, struct buf *text, struct sql *out, struct err *e)
{
    int rc = buf_check(text, e);
    if (rc == 0) {
        out->text = arena_str(b->a, buf_str(text));
        out->params = b->params;
        out->nparams = b->nparams;
        if (!out->text.data || b->failed)
            rc = err_memory(e);
        else if (out->nparams > b->d->max_params)
            rc = err_set(e, ERR_LIMIT, "%zu parameters; %s takes %u", out->nparams, b->d->name,
                         b->d->max_params);
    }
    buf_free(text);
    return rc;
}

int write_list_add(struct write_list *l, struct sql sql, enum statement_role role, struct err *e)
{
    if (l->n == l->size) {
        size_t size = l->size > 0 ? l->size * 2 : 8;
        struct write_statement *more = arena_array(l->a, size, sizeof(*more));
        if (!more)
            return err_memory(e);
        if (l->n > 0)
            memcpy(more, l->list, l->n * sizeof(*more));
        l->list = more;
        l->size = size;
    }
    l->list[l->n++] = (struct write_statement){sql, role};
    return 0;
}
