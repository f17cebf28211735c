// SPDX-License-Identifier: Apache-2.0
// Statements of the sync engine: reading aggregates by key and by key range, applying and
// deleting them in blocks. Reads use the very same column expressions as the facade's. Key
// order is each store's own: ranges of the two sides do not line up row by row. Thread: any.
#include "migrations/query_named.h"

#include <stdio.h>

size_t entity_synced(const struct entity *en, const struct field **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < en->nkeys; i++, n++)
        if (n < max)
            out[n] = en->keys[i];
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        if (f->key || !f->synced)
            continue;
        if (n < max)
            out[n] = f;
        n++;
    }
    return n;
}

static void add_version(struct query_build *b, struct buf *out)
{
    buf_addz(out, ", concat(" QUERY_ROOT ".xmin");
    for (unsigned i = 0; i < QUERY_EXTENSIONS_MAX; i++)
        if (b->extensions & 1u << i)
            buf_printf(out, ", ' ', x%u.xmin", i);
    buf_addc(out, ')');
}

static int add_select(struct query_build *b, bool version, struct buf *out, struct err *e)
{
    const struct field *fields[MAP_FIELDS_MAX];
    size_t n = entity_synced(b->en, fields, MAP_FIELDS_MAX);
    if (!query_side(b)->root)
        return err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side", b->en->name,
                       side_name(b->side));
    buf_addz(out, "SELECT ");
    for (size_t i = 0; i < n; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        query_cross_field(b, out, fields[i]);
    }
    if (version)
        add_version(b, out);
    buf_addz(out, " FROM ");
    query_table(b, out, query_side(b)->root, QUERY_ROOT);
    query_joins(b, out);
    return 0;
}

static void add_key_param(struct query_build *b, struct buf *out, size_t i)
{
    query_param(b, out, value_null(), field_column_kind(b->en->keys[i], b->side));
}

static int read_keys(const struct entity *en, enum side side, const struct dbms *d, size_t nkeys,
                     bool version, struct arena *a, struct str *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    struct sql sql;
    int rc = add_select(&b, version, &text, e);
    buf_addz(&text, " WHERE ");
    if (en->nkeys == 1) {
        query_alias(&b, &text, QUERY_ROOT, query_side(&b)->key_columns[0]);
        buf_addz(&text, " IN (");
    }
    for (size_t k = 0; k < nkeys && rc == 0; k++) {
        if (en->nkeys == 1) {
            buf_addz(&text, k > 0 ? ", " : "");
            add_key_param(&b, &text, 0);
            continue;
        }
        buf_addz(&text, k > 0 ? " OR (" : "(");
        for (size_t i = 0; i < en->nkeys; i++) {
            buf_addz(&text, i > 0 ? " AND " : "");
            query_alias(&b, &text, QUERY_ROOT, query_side(&b)->key_columns[i]);
            buf_addz(&text, " = ");
            add_key_param(&b, &text, i);
        }
        buf_addc(&text, ')');
    }
    buf_addz(&text, en->nkeys == 1 ? ")" : "");
    if (rc == 0)
        rc = query_finish(&b, &text, &sql, e);
    buf_free(&text);
    if (rc == 0)
        *out = sql.text;
    return rc;
}

int query_read_keys(const struct entity *en, enum side side, const struct dbms *d, size_t nkeys,
                    struct arena *a, struct str *out, struct err *e)
{
    return read_keys(en, side, d, nkeys, false, a, out, e);
}

int query_read_versions(const struct entity *en, enum side side, size_t nkeys, struct arena *a,
                        struct str *out, struct err *e)
{
    return read_keys(en, side, &dbms_postgres, nkeys, true, a, out, e);
}

static void add_key_list(struct query_build *b, struct buf *out, const char *after,
                         const char *between)
{
    for (size_t i = 0; i < b->en->nkeys; i++) {
        buf_addz(out, i > 0 ? between : "");
        query_alias(b, out, QUERY_ROOT, query_side(b)->key_columns[i]);
        buf_addz(out, after);
    }
}

int query_bad_keys(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                   struct str *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    struct sql sql;
    buf_addz(&text, "SELECT COUNT(*) - (SELECT COUNT(*) FROM (SELECT DISTINCT ");
    add_key_list(&b, &text, "", ", ");
    buf_addz(&text, " FROM ");
    query_table(&b, &text, query_side(&b)->root, QUERY_ROOT);
    buf_addz(&text, " WHERE ");
    add_key_list(&b, &text, " IS NOT NULL", " AND ");
    buf_addz(&text, ") AS told) FROM ");
    query_table(&b, &text, query_side(&b)->root, NULL);
    int rc = query_finish(&b, &text, &sql, e);
    buf_free(&text);
    if (rc == 0)
        *out = sql.text;
    return rc;
}

// ---- apply

struct apply_list {
    struct apply_statement *list;
    size_t n, max;
};

static struct apply_statement *next(struct apply_list *l)
{
    return &l->list[l->n++]; // sized for the worst case by its maker
}

// One upsert of the fields at a place; `key_column`: of that table.
static int apply_table(const struct entity *en, enum side side, const struct dbms *d,
                       struct arena *a, enum place_kind kind, unsigned index,
                       struct apply_statement *out, struct err *e)
{
    const struct side_map *m = &en->sides[side];
    const struct field *synced[MAP_FIELDS_MAX];
    const char *columns[MAP_FIELDS_MAX + MAP_KEYS_MAX], *keys[MAP_KEYS_MAX];
    enum column_kind kinds[MAP_FIELDS_MAX + MAP_KEYS_MAX];
    size_t total = entity_synced(en, synced, MAP_FIELDS_MAX), n = 0;
    struct buf text = BUF_INIT;
    out->params = arena_array(a, total, sizeof(*out->params));
    if (!out->params)
        return err_memory(e);
    for (size_t i = 0; i < total; i++) {
        const struct field *f = synced[i];
        const struct place *p = &f->place[side];
        bool key_of_extension = kind == PLACE_EXTENSION && i == 0;
        if (!key_of_extension && (p->kind != kind || (kind != PLACE_ROOT && p->index != index)))
            continue;
        columns[n] = key_of_extension ? m->extensions[index].key_column : p->column;
        kinds[n] = p->storage;
        out->params[n++] = f;
    }
    for (size_t i = 0; i < en->nkeys; i++)
        keys[i] = kind == PLACE_EXTENSION ? m->extensions[index].key_column : m->key_columns[i];
    struct dbms_upsert u = {kind == PLACE_EXTENSION ? m->extensions[index].table : m->root,
                            columns,
                            kinds,
                            n,
                            keys,
                            en->nkeys};
    d->upsert(&text, &u);
    out->nparams = n;
    out->role = kind == PLACE_EXTENSION ? STATEMENT_EXTENSION : STATEMENT_ROOT;
    int rc = buf_check(&text, e);
    if (rc == 0) {
        out->text = arena_str(a, buf_str(&text));
        rc = out->text.data ? 0 : err_memory(e);
    }
    buf_free(&text);
    return rc;
}

static int apply_named(const struct entity *en, enum side side, const struct dbms *d,
                       struct arena *a, const char *sql, unsigned lookup,
                       struct apply_statement *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct named_param params[NAMED_PARAMS_MAX];
    struct sql one;
    size_t n;
    if (query_named_template(&b, sql, params, &n, &one, e) < 0)
        return -1;
    char *special = arena_alloc(a, n + 1);
    out->params = arena_array(a, n + 1, sizeof(*out->params));
    if (!special || !out->params)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        out->params[i] = params[i].field;
        special[i] = params[i].special;
    }
    out->special = special;
    out->text = one.text;
    out->nparams = n;
    out->role = STATEMENT_LOOKUP;
    out->lookup = lookup;
    return 0;
}

static bool lookup_is_synced(const struct entity *en, enum side side, unsigned index)
{
    for (size_t i = 0; i < en->nfields; i++)
        if (en->fields[i].synced && en->fields[i].place[side].kind == PLACE_LOOKUP &&
            en->fields[i].place[side].index == index)
            return true;
    return false;
}

static bool extension_is_synced(const struct entity *en, enum side side, unsigned index)
{
    for (size_t i = 0; i < en->nfields; i++)
        if (en->fields[i].synced && en->fields[i].place[side].kind == PLACE_EXTENSION &&
            en->fields[i].place[side].index == index)
            return true;
    return false;
}

static int make_list(const struct entity *en, enum side side, struct arena *a, struct apply_list *l,
                     struct err *e)
{
    const struct side_map *m = &en->sides[side];
    if (!m->root)
        return err_set(e, ERR_UNSUPPORTED, "%s has no table on the %s side", en->name,
                       side_name(side));
    l->max = 1 + m->nextensions + m->non_delete;
    for (size_t i = 0; i < m->nlookups; i++)
        l->max += m->lookups[i].nwrites;
    l->list = arena_array(a, l->max, sizeof(*l->list));
    return l->list ? 0 : err_memory(e);
}

int query_apply(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                struct apply_statement **out, size_t *n, struct err *e)
{
    const struct side_map *m = &en->sides[side];
    struct apply_list l = {0};
    if (make_list(en, side, a, &l, e) < 0 ||
        apply_table(en, side, d, a, PLACE_ROOT, 0, next(&l), e) < 0)
        return -1;
    for (unsigned i = 0; i < m->nextensions; i++)
        if (extension_is_synced(en, side, i) &&
            apply_table(en, side, d, a, PLACE_EXTENSION, i, next(&l), e) < 0)
            return -1;
    for (unsigned i = 0; i < m->nlookups; i++)
        for (size_t k = 0; lookup_is_synced(en, side, i) && k < m->lookups[i].nwrites; k++)
            if (apply_named(en, side, d, a, m->lookups[i].writes[k], i, next(&l), e) < 0)
                return -1;
    *out = l.list;
    *n = l.n;
    return 0;
}

// DELETE by key: PostgreSQL takes arrays of all rows, the others one row's key.
static int delete_table(const struct entity *en, enum side side, const struct dbms *d,
                        struct arena *a, const char *table, const char *const *columns,
                        enum statement_role role, struct apply_statement *out, struct err *e)
{
    struct query_build b = {.en = en, .side = side, .d = d, .a = a};
    struct buf text = BUF_INIT;
    struct sql sql;
    buf_addz(&text, "DELETE FROM ");
    query_table(&b, &text, table, NULL);
    if (d->dollar_placeholders) {
        buf_addz(&text, " AS t USING unnest(");
        for (size_t i = 0; i < en->nkeys; i++)
            buf_printf(&text, "%s$%zu::text[]", i > 0 ? ", " : "", i + 1);
        buf_addz(&text, ") AS u(");
        for (size_t i = 0; i < en->nkeys; i++)
            buf_printf(&text, "%sc%zu", i > 0 ? ", " : "", i + 1);
        buf_addc(&text, ')');
    }
    buf_addz(&text, " WHERE ");
    out->params = arena_array(a, en->nkeys, sizeof(*out->params));
    if (!out->params) {
        buf_free(&text);
        return err_memory(e);
    }
    for (size_t i = 0; i < en->nkeys; i++) {
        char name[32];
        buf_addz(&text, i > 0 ? " AND " : "");
        query_alias(&b, &text, d->dollar_placeholders ? QUERY_ROOT : NULL, columns[i]);
        buf_addz(&text, " = ");
        if (d->dollar_placeholders) {
            snprintf(name, sizeof(name), "u.c%zu", i + 1);
            d->write_param(&text, name, field_column_kind(en->keys[i], side));
        } else {
            add_key_param(&b, &text, i);
        }
        out->params[i] = en->keys[i];
    }
    out->nparams = en->nkeys;
    out->role = role;
    int rc = query_finish(&b, &text, &sql, e);
    if (rc == 0)
        out->text = sql.text;
    return rc;
}

int query_apply_delete(const struct entity *en, enum side side, const struct dbms *d,
                       struct arena *a, struct apply_statement **out, size_t *n, struct err *e)
{
    const struct side_map *m = &en->sides[side];
    struct apply_list l = {0};
    if (make_list(en, side, a, &l, e) < 0)
        return -1;
    for (size_t i = 0; i < m->nextensions; i++)
        if (delete_table(en, side, d, a, m->extensions[i].table, &m->extensions[i].key_column,
                         STATEMENT_EXTENSION, next(&l), e) < 0)
            return -1;
    if (delete_table(en, side, d, a, m->root, m->key_columns, STATEMENT_ROOT, next(&l), e) < 0)
        return -1;
    for (size_t i = 0; i < m->non_delete; i++)
        if (apply_named(en, side, d, a, m->on_delete[i], 0, next(&l), e) < 0)
            return -1;
    *out = l.list;
    *n = l.n;
    return 0;
}

int query_apply_param(const struct apply_statement *st, size_t i, enum side side,
                      const struct value *row, const char *now, struct arena *a, struct value *raw,
                      struct err *e)
{
    const struct field *f = st->params[i];
    if (f) {
        struct value v = row[f->index];
        if (v.state == VALUE_ABSENT)
            v = value_null();
        return type_write(f, side, v, a, raw, e);
    }
    struct named_param p = {.special = st->special ? st->special[i] : 0};
    return query_named_value(&p, now, a, raw, e);
}
