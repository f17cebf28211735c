// SPDX-License-Identifier: Apache-2.0
// The run: both sides read at once (a thread each) into one join,
// then what did not agree, by key. Threads: two readers; `lock` guards the join and counters.
#include "cdc/reconcile/diff.h"

#include "base/clock.h"
#include "cdc/keymap.h"
#include "cdc/reconcile/diff_int.h"

#include <stdio.h>
#include <stdlib.h>

#define WAITING_MAX 65536 // prints in memory; beyond: disk
#define SAMPLES     100
#define BLOCK       50
#define SHOWN_MAX   200

struct run {
    const struct diff_options *o;
    struct arena *a;
    struct source source[2];
    struct diff_columns on; // its JSON is owned
    struct pool pool;
    struct join join;
    pthread_mutex_t lock;
    bool stop;           // lock
    long long rows[2];   // lock
    long long null_keys; // lock
    struct err err;      // lock
    long long found[3];  // only in the first, only in the second, differ
    long long doubled, looked, unlooked;
    json_t *samples, *by_column; // owned
};

// ---------------------------------------------------------------- reading both

struct side_reader {
    struct run *r;
    int at;
    pthread_t thread;
    struct arena *row;
    struct buf flat;
};

static void flatten(struct buf *flat, struct value v)
{
    unsigned char head[5] = {v.state};
    memcpy(head + 1, &v.len, sizeof v.len);
    buf_add(flat, head, v.state == VALUE_SET ? sizeof head : 1);
    if (v.state == VALUE_SET)
        buf_add(flat, v.data, v.len);
}

static int on_row(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct side_reader *s = ctx;
    struct run *r = s->r;
    struct value row[DIFF_COLUMNS_MAX];
    struct print p = {0};
    arena_reset(s->row);
    if (ncols < r->on.n || diff_row(r->on.pairs, r->on.n, cells, s->row, row, e))
        return -1;
    buf_reset(&s->flat);
    for (size_t i = 0; i < r->on.n; i++) {
        flatten(&s->flat, row[i]);
        p.null_key |= i < r->on.nkey && row[i].state != VALUE_SET;
    }
    p.hash = XXH3_128bits(s->flat.data, s->flat.len);
    p.key = p.null_key ? STR("") : entity_key_text(row, r->on.nkey, s->row);
    if (buf_check(&s->flat, e) || !p.key.data)
        return err_memory(e);
    pthread_mutex_lock(&r->lock);
    r->rows[s->at]++;
    r->null_keys += p.null_key;
    int result = r->stop      ? err_set(e, ERR_CANCELLED, "stopped")
                 : p.null_key ? 0
                              : join_add(&r->join, s->at ? SIDE_NEW : SIDE_LEGACY, &p, e);
    pthread_mutex_unlock(&r->lock);
    return result;
}

static void *read_side(void *arg)
{
    struct side_reader *s = arg;
    struct run *r = s->r;
    struct err e = {0};
    struct str sql;
    struct arena *own = arena_create(0);
    int result = own && s->row ? source_select(&r->source[s->at], s->at, r->on.pairs, r->on.n,
                                               r->on.nkey, 0, own, &sql, &e)
                               : err_memory(&e);
    if (result == 0)
        result = source_each(&r->source[s->at], sql, NULL, 0, on_row, s, &e);
    if (result) {
        pthread_mutex_lock(&r->lock);
        if (!r->stop)
            r->err = e;
        r->stop = true;
        pthread_mutex_unlock(&r->lock);
    }
    arena_destroy(own);
    return NULL;
}

static int read_both(struct run *r, struct err *e)
{
    struct side_reader s[2] = {{.r = r, .at = 0}, {.r = r, .at = 1}};
    bool started = false;
    s[0].row = arena_create(0);
    s[1].row = arena_create(0);
    started = pthread_create(&s[0].thread, NULL, read_side, &s[0]) == 0;
    if (started)
        read_side(&s[1]);
    else
        r->stop = true;
    if (started)
        pthread_join(s[0].thread, NULL);
    for (int i = 0; i < 2; i++) {
        arena_destroy(s[i].row);
        buf_free(&s[i].flat);
    }
    if (!started)
        return err_set(e, ERR_MEMORY, "no thread to read with");
    if (r->stop) {
        *e = r->err;
        return -1;
    }
    return 0;
}

// ---------------------------------------------------------------- keys that stand twice

static int on_double(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct side_reader *s = ctx;
    struct value key[DIFF_KEYS_MAX];
    (void)ncols;
    arena_reset(s->row);
    if (diff_row(s->r->on.pairs, s->r->on.nkey, cells, s->row, key, e))
        return -1;
    for (size_t i = 0; i < s->r->on.nkey; i++)
        if (key[i].state != VALUE_SET)
            return 0; // counted as a NULL key
    struct str text = entity_key_text(key, s->r->on.nkey, s->row);
    return text.data ? pool_candidate(&s->r->pool, text, e) : err_memory(e);
}

// The join forgets what it has matched, so it sees a double or not as the two walks happen to
// meet. Where no index forbids doubles the database is asked for them.
static int find_doubles(struct run *r, int at, struct err *e)
{
    struct side_reader s = {.r = r, .at = at, .row = arena_create(0)};
    struct str sql, names[DIFF_KEYS_MAX];
    size_t n = 0, same = 0;
    int result = s.row ? source_key(&r->source[at], r->a, names, &n, e) : err_memory(e);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < r->on.nkey; k++)
            same += str_eq_nocase(names[i], r->on.pairs[k].name[at]);
    if (result == 0 && (n == 0 || same < n)) {
        result = source_doubles(&r->source[at], at, r->on.pairs, r->on.nkey, r->a, &sql, e);
        if (result == 0)
            result = source_each(&r->source[at], sql, NULL, 0, on_double, &s, e);
    }
    arena_destroy(s.row);
    return result ? err_prefix(e, at ? "second: keys that stand twice"
                                     : "first: keys that stand twice")
                  : 0;
}

// ---------------------------------------------------------------- what does not agree

struct found {
    struct str key;
    struct value *row; // NULL: none
    unsigned copies;
};
struct look {
    struct run *r;
    struct found *list;
    size_t n;
    struct arena *a;
};

static int on_found(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct look *l = ctx;
    struct run *r = l->r;
    struct value *row = arena_array(l->a, r->on.n, sizeof *row);
    struct value *copy = arena_array(l->a, r->on.n, sizeof *copy);
    (void)ncols;
    if (!row || !copy)
        return err_memory(e);
    for (size_t i = 0; i < r->on.n; i++) {
        copy[i] = cells[i];
        if (cells[i].state == VALUE_SET)
            copy[i] = value_set(arena_str(l->a, value_str(cells[i])));
    }
    if (diff_row(r->on.pairs, r->on.n, copy, l->a, row, e))
        return -1;
    struct str key = entity_key_text(row, r->on.nkey, l->a);
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->list[i].key, key)) {
            l->list[i].row = row;
            l->list[i].copies++;
        }
    return 0;
}

static int look_up(struct run *r, int at, const struct str *keys, size_t n, struct found *out,
                   struct arena *a, struct err *e)
{
    struct look l = {.r = r, .list = out, .n = n, .a = a};
    struct value params[BLOCK * DIFF_KEYS_MAX];
    struct str sql;
    size_t count = 0;
    for (size_t k = 0; k < n; k++) {
        struct str rest = keys[k];
        out[k] = (struct found){.key = keys[k]};
        for (size_t i = 0; i < r->on.nkey; i++) {
            const char *end = i + 1 < r->on.nkey ? memchr(rest.data, KEY_SEPARATOR, rest.len)
                                                 : NULL;
            size_t len = end ? (size_t)(end - rest.data) : rest.len;
            params[count++] = value_set(str_n(rest.data, len));
            rest = end ? str_n(end + 1, rest.len - len - 1) : str_n(rest.data + rest.len, 0);
        }
    }
    return source_select(&r->source[at], at, r->on.pairs, r->on.n, r->on.nkey, n, a, &sql, e) ||
                   source_each(&r->source[at], sql, params, count, on_found, &l, e)
               ? -1
               : 0;
}

static json_t *shown(struct value v)
{
    if (v.state != VALUE_SET)
        return json_null();
    struct str s = str_utf8_cut(value_str(v), SHOWN_MAX);
    json_t *j = json_stringn(s.data, s.len);
    return j ? j : json_string("(no UTF-8)");
}

static void count_column(struct run *r, const struct pair *p)
{
    char name[256];
    if (str_copy(name, sizeof name, p->name[0]))
        return;
    json_int_t n = json_integer_value(json_object_get(r->by_column, name));
    json_object_set_new(r->by_column, name, json_integer(n + 1));
}

// True when the rows agree by now, or always did.
static bool judge(struct run *r, const struct found *x, const struct found *y)
{
    json_t *fields = json_object();
    const char *kind = x->copies > 1 || y->copies > 1 ? "duplicate"
                       : !y->row                      ? "only_in_first"
                       : !x->row                      ? "only_in_second"
                                                      : "differs";
    bool doubled = x->copies > 1 || y->copies > 1;
    for (size_t i = 0; x->row && y->row && i < r->on.n; i++)
        if (!value_eq(x->row[i], y->row[i])) {
            char name[256];
            count_column(r, &r->on.pairs[i]);
            if (str_copy(name, sizeof name, r->on.pairs[i].name[0]) == 0)
                json_object_set_new(fields, name,
                                    json_pack("[o, o]", shown(x->row[i]), shown(y->row[i])));
        }
    bool agree = !doubled &&
                 ((!x->row && !y->row) || (x->row && y->row && json_object_size(fields) == 0));
    if (!agree) {
        r->doubled += doubled;
        r->found[doubled || (x->row && y->row) ? 2 : x->row ? 0 : 1]++;
        if (json_array_size(r->samples) < SAMPLES)
            json_array_append_new(r->samples,
                                  json_pack("{s:o, s:s, s:O}", "key", shown(value_set(x->key)),
                                            "kind", kind, "fields", fields));
    }
    json_decref(fields);
    return agree;
}

static int look_block(struct run *r, const struct str *keys, size_t n, struct arena *a,
                      struct err *e)
{
    struct found first[BLOCK], second[BLOCK];
    if (n == 0)
        return 0;
    if (look_up(r, 0, keys, n, first, a, e) || look_up(r, 1, keys, n, second, a, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        judge(r, &first[i], &second[i]);
    return 0;
}

static int look_all(struct run *r, struct err *e)
{
    struct keymap seen;
    struct str keys[BLOCK], key;
    struct arena *a = arena_create(0);
    size_t n = 0;
    int more = a ? keymap_init(&seen, true, e) : err_memory(e);
    if (more == 0)
        more = spool_rewind(&r->pool.candidates, e);
    while (more == 0 && (more = spool_next(&r->pool.candidates, &key, e)) == 1) {
        struct keymap_slot *slot;
        bool added;
        more = 0;
        if (r->o->limit > 0 && r->looked >= r->o->limit) {
            r->unlooked++;
            continue;
        }
        if (keymap_add(&seen, 0, key, 0, &slot, &added, e)) {
            more = -1;
            break;
        }
        if (!added)
            continue;
        r->looked++;
        keys[n++] = str_n(slot->data, slot->len);
        if (n == BLOCK) {
            more = look_block(r, keys, n, a, e);
            arena_reset(a);
            n = 0;
        }
    }
    if (more == 0)
        more = look_block(r, keys, n, a, e);
    if (a)
        keymap_free(&seen);
    arena_destroy(a);
    return more;
}

// ---------------------------------------------------------------- the run

static int compare(struct run *r, struct err *e)
{
    for (int at = 0; at < 2; at++)
        if (source_open(&r->source[at], &r->o->source[at], r->a, e))
            return err_prefix(e, at ? "second" : "first");
    if (diff_columns_find(&r->on, r->o, r->source, r->a, e) ||
        join_init(&r->join, &r->pool, WAITING_MAX, e))
        return -1;
    if (r->on.n == 0)
        return err_set(e, ERR_INVALID, "no column is common to both");
    return read_both(r, e) || join_flush(&r->join, e) || pool_finish(&r->pool, e) ||
                   find_doubles(r, 0, e) || find_doubles(r, 1, e) || look_all(r, e)
               ? -1
               : 0;
}

static json_t *result_json(const struct run *r, bool equal, uint64_t ms)
{
    json_t *key = json_array(), *columns = json_array();
    for (size_t i = 0; i < r->on.n; i++)
        json_array_append_new(
            i < r->on.nkey ? key : columns,
            json_stringn(r->on.pairs[i].name[0].data, r->on.pairs[i].name[0].len));
    long long all = r->found[0] + r->found[1] + r->found[2];
    json_t *j = json_pack(
        "{s:b, s:[I, I], s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "equal", (int)equal, "rows",
        (json_int_t)r->rows[0], (json_int_t)r->rows[1], "differences", (json_int_t)all,
        "only_in_first", (json_int_t)r->found[0], "only_in_second", (json_int_t)r->found[1],
        "changed", (json_int_t)(r->found[2] - r->doubled), "duplicates", (json_int_t)r->doubled,
        "null_keys", (json_int_t)r->null_keys, "beyond_limit", (json_int_t)r->unlooked);
    json_object_set_new(j, "ms", json_integer((json_int_t)ms));
    json_object_set_new(j, "key", key);
    json_object_set_new(j, "columns", columns);
    json_object_set(j, "columns_only_in_first", r->on.only[0]);
    json_object_set(j, "columns_only_in_second", r->on.only[1]);
    json_object_set(j, "by_column", r->by_column);
    json_object_set(j, "samples", r->samples);
    return j;
}

json_t *diff_run(const struct diff_options *o, bool *equal, struct err *e)
{
    uint64_t start = clock_mono_ms();
    struct run *r = calloc(1, sizeof *r);
    json_t *j = NULL;
    *equal = false;
    if (!r) {
        err_memory(e);
        return NULL;
    }
    r->o = o;
    r->a = arena_create(0);
    r->on.only[0] = json_array();
    r->on.only[1] = json_array();
    r->samples = json_array();
    r->by_column = json_object();
    pthread_mutex_init(&r->lock, NULL);
    if (!r->a)
        err_memory(e);
    else if (pool_init(&r->pool, e) == 0) {
        if (compare(r, e) == 0) {
            *equal = r->found[0] + r->found[1] + r->found[2] + r->unlooked + r->null_keys == 0 &&
                     json_array_size(r->on.only[0]) + json_array_size(r->on.only[1]) == 0;
            j = result_json(r, *equal, clock_mono_ms() - start);
        }
        join_free(&r->join);
        pool_free(&r->pool);
    }
    for (int at = 0; at < 2; at++) {
        source_close(&r->source[at]);
        json_decref(r->on.only[at]);
    }
    json_decref(r->samples);
    json_decref(r->by_column);
    pthread_mutex_destroy(&r->lock);
    arena_destroy(r->a);
    free(r);
    return j;
}
