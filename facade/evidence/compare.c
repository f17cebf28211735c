// SPDX-License-Identifier: Apache-2.0
// Field-by-field comparison of canonical results. Rows of a list that asked for an order are
// compared as they come. Without one, and for related rows, the order is the store's own affair
// (collations differ): rows are matched by key.
#include "facade/evidence/compare.h"

#include "migrations/type.h"

#include <stdlib.h>

struct compare {
    struct mismatch *out;
    unsigned n;
    struct arena *arena;
};

static void differ(struct compare *c, const struct field *f, struct str key, struct value legacy,
                   struct value new_)
{
    if (c->n < MISMATCHES_MAX)
        c->out[c->n] = (struct mismatch){f, key, legacy, new_, NULL};
    c->n++;
}

static void differ_whole(struct compare *c, const char *what, struct str key, struct value legacy,
                         struct value new_)
{
    if (c->n < MISMATCHES_MAX)
        c->out[c->n] = (struct mismatch){NULL, key, legacy, new_, what};
    c->n++;
}

static struct str key_of(const struct operation *op, const struct field *const *fields, size_t n,
                         const struct record *r)
{
    for (size_t i = 0; i < n; i++)
        if (fields[i] == op->entity->keys[0])
            return value_str(r->values[i]);
    return op->query.key ? value_str(op->query.key[0]) : STR("");
}

static bool record_same(size_t n, const struct record *a, const struct record *b)
{
    for (size_t i = 0; i < n; i++)
        if (!value_eq(a->values[i], b->values[i]))
            return false;
    return true;
}

// As multisets: every row has a partner of its own on the other side.
static bool sets_same(const struct expansion *x, const struct record_set *a,
                      const struct record_set *b, struct arena *arena)
{
    size_t an = a ? a->n : 0, bn = b ? b->n : 0;
    bool *taken = arena_array(arena, bn + 1, sizeof *taken);
    if (an != bn || !taken)
        return false;
    for (size_t i = 0; i < an; i++) {
        size_t k = 0;
        while (k < bn && (taken[k] || !record_same(x->nfields, &a->rows[i], &b->rows[k])))
            k++;
        if (k == bn)
            return false;
        taken[k] = true;
    }
    return true;
}

static void compare_record(struct compare *c, const struct operation *op, const struct record *l,
                           const struct record *n)
{
    const struct query *q = &op->query;
    struct str key = key_of(op, q->fields, q->nfields, l);
    for (size_t i = 0; i < q->nfields; i++)
        if (!value_eq(l->values[i], n->values[i]))
            differ(c, q->fields[i], key, l->values[i], n->values[i]);
    for (size_t i = 0; i < op->nexpansions; i++)
        if (!sets_same(&op->expansions[i], l->related ? &l->related[i] : NULL,
                       n->related ? &n->related[i] : NULL, c->arena))
            differ_whole(c, "related", key, value_set(str_of(op->expansions[i].relationship->name)),
                         value_set(STR("related rows differ")));
}

bool mismatch_is_policy(const struct mismatch *m)
{
    struct err e = {0};
    struct value v = m->legacy;
    return m->field && v.state == VALUE_FOREIGN && type_policy(m->field, &v, &e) > 0 &&
           value_eq(v, m->new_);
}

// Position of the key among the fields; -1 when it was not asked for.
static long key_position(const struct operation *op)
{
    for (size_t i = 0; op->entity->nkeys == 1 && i < op->query.nfields; i++)
        if (op->query.fields[i] == op->entity->keys[0])
            return (long)i;
    return -1;
}

struct keyed {
    struct str key;
    size_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int c = n ? memcmp(x->key.data, y->key.data, n) : 0;
    return c ? c : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static struct keyed *sorted(const struct record_set *s, size_t key, struct arena *a)
{
    struct keyed *list = arena_array(a, s->n + 1, sizeof *list);
    for (size_t i = 0; list && i < s->n; i++)
        list[i] = (struct keyed){value_str(s->rows[i].values[key]), i};
    if (list)
        qsort(list, s->n, sizeof *list, by_key);
    return list;
}

// The same rows by their keys, wherever they stand.
static bool same_keys(const struct keyed *l, const struct keyed *n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!str_eq(l[i].key, n[i].key))
            return false;
    return true;
}

static void compare_in_order(struct compare *c, const struct operation *op,
                             const struct record_set *l, const struct record_set *n)
{
    for (size_t i = 0; i < l->n; i++)
        compare_record(c, op, &l->rows[i], &n->rows[i]);
}

static void compare_rows(struct compare *c, const struct operation *op, const struct record_set *l,
                         const struct record_set *n)
{
    long key = op->kind == OPERATION_LIST ? key_position(op) : -1;
    struct keyed *ls = key < 0 ? NULL : sorted(l, (size_t)key, c->arena);
    struct keyed *ns = ls ? sorted(n, (size_t)key, c->arena) : NULL;
    bool moved = false;
    if (!ns || !same_keys(ls, ns, l->n)) {
        compare_in_order(c, op, l, n);
        return;
    }
    for (size_t i = 0; i < l->n; i++) {
        moved |= ls[i].at != ns[i].at;
        compare_record(c, op, &l->rows[ls[i].at], &n->rows[ns[i].at]);
    }
    if (moved && op->query.norder)
        differ_whole(c, "order", STR("(order)"), value_set(STR("its order")),
                     value_set(STR("another order")));
}

static struct value number(struct compare *c, long long n)
{
    return value_set(arena_printf(c->arena, "%lld", n));
}

unsigned result_compare(const struct operation *op, const struct result *l, const struct result *n,
                        struct arena *a, struct mismatch *out)
{
    struct compare c = {.out = out, .arena = a};
    if (l->status != n->status) {
        differ_whole(&c, "status", STR(""), value_set(str_of(result_status_name(l->status))),
                     value_set(str_of(result_status_name(n->status))));
        return c.n;
    }
    if (l->total != n->total && (op->kind == OPERATION_COUNT || op->want_total))
        differ_whole(&c, "total", STR("(total)"), number(&c, l->total), number(&c, n->total));
    if (l->records.n != n->records.n) {
        differ_whole(&c, "rows", STR("(rows)"), number(&c, (long long)l->records.n),
                     number(&c, (long long)n->records.n));
        return c.n;
    }
    compare_rows(&c, op, &l->records, &n->records);
    return c.n;
}

// ---------------------------------------------------------------- kinds

static struct str without_end(struct str s, char c)
{
    while (s.len && s.data[s.len - 1] == c)
        s.len--;
    return s;
}

// "1.50" and "1.5", "3.0" and "3".
static bool same_number(struct str a, struct str b)
{
    bool point_a = a.len && memchr(a.data, '.', a.len),
         point_b = b.len && memchr(b.data, '.', b.len);
    if (point_a)
        a = without_end(without_end(a, '0'), '.');
    if (point_b)
        b = without_end(without_end(b, '0'), '.');
    return (point_a || point_b) && str_eq(a, b);
}

// Seconds of the day of "YYYY-MM-DD HH:MM:SS..", with the day; -1.
static long long seconds_of(struct str s)
{
    static const struct {
        size_t at, n;
        long long unit;
    } parts[] = {{8, 2, 86400}, {11, 2, 3600}, {14, 2, 60}, {17, 2, 1}};
    long long total = 0, v;
    for (size_t i = 0; i < 4; i++) {
        if (s.len < parts[i].at + parts[i].n ||
            !str_to_int(str_n(s.data + parts[i].at, parts[i].n), 0, 60, &v))
            return -1;
        total += v * parts[i].unit;
    }
    return total;
}

// The same moment in two zones: a whole number of quarters of an hour apart, at most 14 hours.
static bool other_zone(const struct mismatch *m)
{
    long long a = seconds_of(value_str(m->legacy)), b = seconds_of(value_str(m->new_));
    long long apart = a > b ? a - b : b - a;
    return m->field->type == TYPE_TIMESTAMP && a >= 0 && b >= 0 && apart > 0 &&
           apart <= 14LL * 3600 && apart % 900 == 0;
}

const char *mismatch_kind(const struct mismatch *m)
{
    struct str l = value_str(m->legacy), n = value_str(m->new_);
    if (!m->field)
        return m->whole ? m->whole : "value";
    if (m->legacy.state == VALUE_ABSENT || m->new_.state == VALUE_ABSENT)
        return "absent";
    if (m->legacy.state == VALUE_NULL || m->new_.state == VALUE_NULL)
        return "null";
    if (mismatch_is_policy(m))
        return "policy";
    if (str_eq(without_end(l, ' '), without_end(n, ' ')))
        return "padding";
    if (same_number(l, n))
        return "scale";
    if (other_zone(m))
        return "zone";
    return str_eq_nocase(l, n) ? "case" : "value";
}
