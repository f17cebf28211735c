// SPDX-License-Identifier: Apache-2.0
// Which columns are compared, and which of them tell rows apart: by name, --map, --columns,
// --ignore and --key. Owns nothing.
#include "cdc/reconcile/diff_int.h"

static bool listed(const char *list, struct str name)
{
    struct str rest = str_of(list ? list : "");
    while (rest.len > 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t n = comma ? (size_t)(comma - rest.data) : rest.len;
        if (str_eq_nocase(str_trim(str_n(rest.data, n)), name))
            return true;
        rest = str_n(rest.data + n + (comma != NULL), rest.len - n - (comma != NULL));
    }
    return false;
}

// The name in the second of a column of the first, by --map; itself without.
static struct str mapped(const char *map, struct str name)
{
    struct str rest = str_of(map ? map : "");
    while (rest.len > 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t n = comma ? (size_t)(comma - rest.data) : rest.len;
        const char *equal = memchr(rest.data, '=', n);
        if (equal && str_eq_nocase(str_trim(str_n(rest.data, (size_t)(equal - rest.data))), name))
            return str_trim(str_n(equal + 1, n - (size_t)(equal - rest.data) - 1));
        rest = str_n(rest.data + n + (comma != NULL), rest.len - n - (comma != NULL));
    }
    return name;
}

static const struct column_info *column_of(const struct source *s, struct str name)
{
    for (size_t i = 0; i < s->ncolumns; i++)
        if (str_eq_nocase(s->columns[i].name, name))
            return &s->columns[i];
    return NULL;
}

static bool wanted(const struct diff_options *o, struct str name)
{
    return (!o->columns || listed(o->columns, name)) && !listed(o->ignore, name);
}

static int add_pair(struct diff_columns *c, const struct column_info *x,
                    const struct column_info *y, struct err *e)
{
    if (c->n == DIFF_COLUMNS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d columns", DIFF_COLUMNS_MAX);
    c->pairs[c->n++] = (struct pair){
        .name = {x->name, y->name}, .kind = {x->kind, y->kind}, .padded = x->padded || y->padded};
    return 0;
}

static int pair_columns(struct diff_columns *c, const struct diff_options *o,
                        const struct source *source, struct err *e)
{
    bool used[4096] = {false};
    for (size_t i = 0; i < source[0].ncolumns; i++) {
        const struct column_info *x = &source[0].columns[i];
        const struct column_info *y = column_of(&source[1], mapped(o->map, x->name));
        if (y && (size_t)(y - source[1].columns) < sizeof used)
            used[y - source[1].columns] = true;
        if (!wanted(o, x->name))
            continue;
        if (!y)
            json_array_append_new(c->only[0], json_stringn(x->name.data, x->name.len));
        else if (add_pair(c, x, y, e))
            return -1;
    }
    for (size_t i = 0; i < source[1].ncolumns && i < sizeof used; i++)
        if (!used[i] && wanted(o, source[1].columns[i].name))
            json_array_append_new(c->only[1], json_stringn(source[1].columns[i].name.data,
                                                           source[1].columns[i].name.len));
    return 0;
}

// The pair with this column of side `at` becomes the next part of the key.
static int make_key(struct diff_columns *c, int at, struct str name, struct err *e)
{
    for (size_t i = c->nkey; i < c->n; i++)
        if (str_eq_nocase(c->pairs[i].name[at], name)) {
            struct pair p = c->pairs[i];
            memmove(&c->pairs[c->nkey + 1], &c->pairs[c->nkey], (i - c->nkey) * sizeof c->pairs[0]);
            p.key = true;
            c->pairs[c->nkey++] = p;
            return 0;
        }
    return err_set(e, ERR_INVALID, "key column %.*s is not among those that both have",
                   (int)name.len, name.data);
}

static int named_key(struct diff_columns *c, const char *key, struct err *e)
{
    struct str rest = str_of(key);
    while (rest.len > 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t n = comma ? (size_t)(comma - rest.data) : rest.len;
        if (c->nkey == DIFF_KEYS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d key columns", DIFF_KEYS_MAX);
        if (make_key(c, 0, str_trim(str_n(rest.data, n)), e))
            return -1;
        rest = str_n(rest.data + n + (comma != NULL), rest.len - n - (comma != NULL));
    }
    return 0;
}

static int find_key(struct diff_columns *c, const struct diff_options *o, struct source *source,
                    struct arena *a, struct err *e)
{
    struct str names[DIFF_KEYS_MAX];
    size_t n = 0;
    if (o->key)
        return named_key(c, o->key, e);
    for (int at = 0; at < 2 && c->nkey == 0; at++) {
        if (source_key(&source[at], a, names, &n, e))
            return -1;
        for (size_t i = 0; i < n; i++)
            if (make_key(c, at, names[i], e))
                return -1;
    }
    return c->nkey > 0 ? 0
                       : err_set(e, ERR_INVALID,
                                 "neither side has a primary or unique key that"
                                 " could tell its rows apart: name one with --key");
}

int diff_columns_find(struct diff_columns *c, const struct diff_options *o, struct source *source,
                      struct arena *a, struct err *e)
{
    return pair_columns(c, o, source, e) || find_key(c, o, source, a, e) ? -1 : 0;
}
