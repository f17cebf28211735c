// SPDX-License-Identifier: Apache-2.0
// Canonical rows of one side. Owns no connection and keeps no state between calls.
#include "cdc/reader.h"

#include "migrations/type.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS_A_STATEMENT 500

int reader_init(struct reader *r, const struct entity *en, enum side side, struct odbc_conn *odbc,
                struct pg_conn *pg, struct err *e)
{
    *r = (struct reader){.entity = en, .side = side, .odbc = odbc, .pg = pg};
    r->nfields = entity_synced(en, r->fields, READER_FIELDS_MAX);
    return r->nfields > 0 ? 0 : err_set(e, ERR_CONFIG, "entity %s has no synced field", en->name);
}

const struct dbms *reader_dbms(const struct reader *r)
{
    return r->side == SIDE_NEW ? &dbms_postgres : odbc_dbms(r->odbc);
}

static int run(struct reader *r, struct str sql, const struct value *params, size_t n,
               struct arena *a, struct rows *rows, struct err *e)
{
    return r->side == SIDE_NEW ? pg_query(r->pg, sql, params, n, a, rows, e)
                               : odbc_query(r->odbc, sql, params, n, a, 0, rows, e);
}

int reader_each(struct reader *r, struct str sql, const struct value *params, size_t n,
                rows_each_fn *each, void *ctx, struct err *e)
{
    return r->side == SIDE_NEW ? pg_each(r->pg, sql, params, n, each, ctx, e)
                               : odbc_each(r->odbc, sql, params, n, each, ctx, e);
}

// Keeps the problem of what a policy replaced.
static void replace_by_policy(const struct field *f, struct value *v)
{
    struct err ignored = {0};
    uint8_t problem = v->problem;
    if (type_policy(f, v, &ignored) > 0)
        v->problem = problem;
}

// Raw cells -> canonical, policies applied as for a crossing value. What must be parked stays
// VALUE_FOREIGN: it equals nothing on the other side.
int reader_canonical(const struct reader *r, const struct value *cells, struct arena *a,
                     struct reader_row *out, struct err *e)
{
    const struct entity *en = r->entity;
    struct value parts[16];
    struct value *v = arena_array(a, r->nfields, sizeof *v);
    if (!v || en->nkeys > 16)
        return err_memory(e);
    for (size_t i = 0; i < r->nfields; i++) {
        if (type_read(r->fields[i], r->side, cells[i], a, &v[i], e))
            return -1;
        if (v[i].state == VALUE_FOREIGN)
            replace_by_policy(r->fields[i], &v[i]);
    }
    for (size_t i = 0; i < en->nkeys; i++)
        parts[i] = v[i];
    out->key = entity_key_text(parts, en->nkeys, a);
    out->values = v;
    return out->key.data ? 0 : err_memory(e);
}

// Key text -> bound raw parts of this side.
static int key_params(const struct reader *r, struct str key, struct arena *a, struct value *params,
                      struct err *e)
{
    if (entity_key_split(r->entity, key, params, e))
        return -1;
    for (size_t i = 0; i < r->entity->nkeys; i++)
        if (type_write(r->entity->keys[i], r->side, params[i], a, &params[i], e))
            return -1;
    return 0;
}

int reader_slice(struct reader *r, const struct scan_query *q, struct arena *a,
                 struct reader_row **out, size_t *n, struct err *e)
{
    struct sql sql;
    struct rows rows;
    if (query_scan(q, r->side, reader_dbms(r), a, &sql, e) ||
        run(r, sql.text, sql.params, sql.nparams, a, &rows, e))
        return -1;
    *out = arena_array(a, rows.nrows ? rows.nrows : 1, sizeof **out);
    *n = rows.nrows;
    if (!*out)
        return err_memory(e);
    for (size_t i = 0; i < rows.nrows; i++)
        if (reader_canonical(r, rows_at(&rows, i, 0), a, &(*out)[i], e))
            return -1;
    return 0;
}

static int by_key(const void *x, const void *y)
{
    const struct reader_row *a = x, *b = y;
    size_t n = a->key.len < b->key.len ? a->key.len : b->key.len;
    int c = n ? memcmp(a->key.data, b->key.data, n) : 0;
    return c ? c : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

static int take_found(struct reader *r, const struct rows *rows, size_t i, struct arena *a,
                      struct reader_row *out, struct err *e)
{
    if (r->versions)
        out->version = value_str(*rows_at(rows, i, r->nfields));
    return reader_canonical(r, rows_at(rows, i, 0), a, out, e);
}

static void count_copies(const struct reader_row *found, size_t n, const struct reader_row *hit,
                         struct reader_row *out)
{
    out->copies = hit ? 1 : 0;
    for (const struct reader_row *x = hit; x && x > found && by_key(x - 1, hit) == 0; x--)
        out->copies++;
    for (const struct reader_row *x = hit; x && x + 1 < found + n && by_key(x + 1, hit) == 0; x++)
        out->copies++;
}

// ASCII letters in either case and trailing blanks: what collations commonly take for equal.
static bool nearly(struct str a, struct str b)
{
    while (a.len > 0 && a.data[a.len - 1] == ' ')
        a.len--;
    while (b.len > 0 && b.data[b.len - 1] == ' ')
        b.len--;
    return str_eq_nocase(a, b);
}

// A row that nobody asked for by this very key came because the store took its key for equal.
static void note_near_misses(const struct reader_row *found, size_t nfound, struct reader_row *out,
                             size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; !out[i].values && !out[i].near_miss && k < nfound; k++)
            out[i].near_miss = nearly(found[k].key, out[i].key);
}

static int keys_block(struct reader *r, const struct str *keys, size_t n, struct arena *a,
                      struct reader_row *out, struct err *e)
{
    size_t nkeys = r->entity->nkeys;
    struct value *params = arena_array(a, n * nkeys, sizeof *params);
    struct reader_row *found;
    struct rows rows;
    struct str sql;
    if (!params)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        if (key_params(r, keys[i], a, params + i * nkeys, e))
            return -1;
    if ((r->versions ? query_read_versions(r->entity, r->side, n, a, &sql, e)
                     : query_read_keys(r->entity, r->side, reader_dbms(r), n, a, &sql, e)) ||
        run(r, sql, params, n * nkeys, a, &rows, e))
        return -1;
    found = arena_array(a, rows.nrows ? rows.nrows : 1, sizeof *found);
    if (!found)
        return err_memory(e);
    for (size_t i = 0; i < rows.nrows; i++)
        if (take_found(r, &rows, i, a, &found[i], e))
            return -1;
    qsort(found, rows.nrows, sizeof *found, by_key);
    for (size_t i = 0; i < n; i++) {
        struct reader_row want = {.key = keys[i]};
        const struct reader_row *hit = bsearch(&want, found, rows.nrows, sizeof want, by_key);
        out[i] = hit ? *hit : want;
        count_copies(found, rows.nrows, hit, &out[i]);
    }
    note_near_misses(found, rows.nrows, out, n);
    return 0;
}

int reader_keys(struct reader *r, const struct str *keys, size_t n, struct arena *a,
                struct reader_row *rows, struct err *e)
{
    for (size_t i = 0; i < n; i += KEYS_A_STATEMENT) {
        size_t some = n - i < KEYS_A_STATEMENT ? n - i : KEYS_A_STATEMENT;
        if (keys_block(r, keys + i, some, a, rows + i, e))
            return -1;
    }
    return 0;
}
