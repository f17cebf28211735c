// SPDX-License-Identifier: Apache-2.0
// Compares the columns of an entity's tables with its map. Owns what it saw first of every
// table; no connection. Lookups are left out: their SQL is the map author's own.
#include "cdc/capture/drift.h"

#include <stdlib.h>

struct column {
    struct str name, type;
};

struct seen {
    struct column *columns;
    size_t n;
    bool known;
};

struct drift {
    const struct sync *s;
    enum side side;
    const struct dbms *dbms;
    drift_query_fn *query;
    void *ctx;
    bool tell;
    struct arena *arena;
    struct seen **tables; // by entity: the root, then the extensions
};

int drift_create(const struct sync *s, enum side side, drift_query_fn *query, void *ctx, bool tell,
                 struct drift **out, struct err *e)
{
    struct drift *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d)
        return err_memory(e);
    *d = (struct drift){.s = s,
                        .side = side,
                        .dbms = side == SIDE_NEW ? &dbms_postgres : s->dbms,
                        .query = query,
                        .ctx = ctx,
                        .tell = tell,
                        .arena = arena_create(0)};
    d->tables = d->arena ? arena_array(d->arena, s->nentities + 1, sizeof *d->tables) : NULL;
    for (size_t i = 0; d->tables && i < s->nentities; i++) {
        size_t n = 1 + s->entities[i]->sides[side].nextensions;
        d->tables[i] = arena_array(d->arena, n, sizeof **d->tables);
        if (!d->tables[i])
            d->tables = NULL;
    }
    if (!d->tables) {
        drift_destroy(d);
        return err_memory(e);
    }
    *out = d;
    return 0;
}

void drift_destroy(struct drift *d)
{
    if (!d)
        return;
    arena_destroy(d->arena);
    free(d);
}

static const char *table_name(const struct side_map *m, size_t at)
{
    return at == 0 ? m->root : m->extensions[at - 1].table;
}

static const struct field *field_of(const struct entity *en, enum side side, size_t at,
                                    struct str column)
{
    enum place_kind kind = at == 0 ? PLACE_ROOT : PLACE_EXTENSION;
    for (size_t i = 0; i < en->nfields; i++) {
        const struct place *p = &en->fields[i].place[side];
        if (p->kind == kind && p->column && str_eqz(column, p->column) &&
            (at == 0 || p->index == at - 1))
            return &en->fields[i];
    }
    return NULL;
}

static const struct column *find(const struct seen *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->columns[i].name, name))
            return &t->columns[i];
    return NULL;
}

// A column that links tables or marks deletion is the map's too, without being a field.
static bool is_plumbing(const struct side_map *m, size_t at, struct str column)
{
    if (at > 0 && str_eqz(column, m->extensions[at - 1].key_column))
        return true;
    return at == 0 && m->deleted_column && str_eqz(column, m->deleted_column);
}

static int read_table(struct drift *d, const char *name, struct arena *a, struct seen *out,
                      struct err *e)
{
    struct rows rows;
    struct value p = value_set(str_of(name));
    if (d->query(d->ctx, str_of(d->dbms->columns_sql), &p, 1, a, &rows, e))
        return -1;
    out->known = true;
    out->n = rows.nrows;
    out->columns = arena_array(a, rows.nrows + 1, sizeof *out->columns);
    if (!out->columns)
        return err_memory(e);
    for (size_t i = 0; i < rows.nrows; i++) {
        const struct value *c = rows_at(&rows, i, 0);
        out->columns[i] = (struct column){arena_str(a, value_str(c[0])),
                                          arena_str(a, value_str(c[1]))};
        if (!out->columns[i].name.data || !out->columns[i].type.data)
            return err_memory(e);
    }
    return 0;
}

// Synced columns of the map that are gone, with what came in their place.
static void say_gone(const struct drift *d, size_t entity, size_t at, const struct seen *now,
                     struct buf *why)
{
    const struct entity *en = d->s->entities[entity];
    const char *table = table_name(&en->sides[d->side], at);
    const struct seen *first = &d->tables[entity][at];
    if (now->n == 0) {
        buf_printf(why, "%stable %s is gone", why->len ? "; " : "", table);
        return;
    }
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        const struct place *p = &f->place[d->side];
        if ((!f->synced && !f->key) || !p->column ||
            field_of(en, d->side, at, str_of(p->column)) != f || find(now, str_of(p->column)))
            continue;
        buf_printf(why, "%s%s.%s (field %s) is gone: take the field out of the map",
                   why->len ? "; " : "", table, p->column, f->name);
        for (size_t k = 0; k < now->n; k++) {
            struct str name = now->columns[k].name;
            if (!field_of(en, d->side, at, name) && !find(first, name))
                buf_printf(why, ", or set its \"%s\" column to \"%.*s\" if that is its new name",
                           side_name(d->side), (int)name.len, name.data);
        }
    }
}

static void say_retyped(const struct drift *d, size_t entity, size_t at, const struct seen *now,
                        struct buf *why)
{
    const struct entity *en = d->s->entities[entity];
    for (size_t i = 0; i < now->n; i++) {
        const struct column *c = &now->columns[i], *was = find(&d->tables[entity][at], c->name);
        const struct field *f = field_of(en, d->side, at, c->name);
        if (was && f && f->synced && !str_eq(was->type, c->type))
            buf_printf(why,
                       "%s%s.%.*s was %.*s and is %.*s now: see that the type of field %s in the"
                       " map still fits",
                       why->len ? "; " : "", table_name(&en->sides[d->side], at), (int)c->name.len,
                       c->name.data, (int)was->type.len, was->type.data, (int)c->type.len,
                       c->type.data, f->name);
    }
}

static void say_new(const struct drift *d, size_t entity, size_t at, const struct seen *now)
{
    const struct entity *en = d->s->entities[entity];
    const struct side_map *m = &en->sides[d->side];
    struct log_ctx ctx = {"drift", en->name, NULL};
    for (size_t i = 0; i < now->n; i++) {
        struct str name = now->columns[i].name;
        if (!find(&d->tables[entity][at], name) && !field_of(en, d->side, at, name) &&
            !is_plumbing(m, at, name))
            log_warn(&ctx,
                     "%s (%s store) has column %.*s, which the map does not know: not carried",
                     table_name(m, at), side_name(d->side), (int)name.len, name.data);
    }
}

// `first` holds every column of `now` with its type: nothing is to be remembered anew.
static bool same(const struct seen *first, const struct seen *now)
{
    bool all = first->known && first->n == now->n;
    for (size_t i = 0; all && i < now->n; i++) {
        const struct column *c = find(first, now->columns[i].name);
        all = c && str_eq(c->type, now->columns[i].type);
    }
    return all;
}

int drift_look(struct drift *d, size_t entity, struct buf *why, struct err *e)
{
    const struct side_map *m = &d->s->entities[entity]->sides[d->side];
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    buf_reset(why);
    for (size_t at = 0; result == 0 && m->root && at < 1 + m->nextensions; at++) {
        struct seen now = {0}, *first = &d->tables[entity][at];
        if ((result = read_table(d, table_name(m, at), a, &now, e)))
            break;
        say_gone(d, entity, at, &now, why);
        say_retyped(d, entity, at, &now, why);
        if (d->tell)
            say_new(d, entity, at, &now);
        if (!same(first, &now))
            result = read_table(d, table_name(m, at), d->arena, first, e);
    }
    arena_destroy(a);
    return result ? -1 : buf_check(why, e);
}
