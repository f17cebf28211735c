// SPDX-License-Identifier: Apache-2.0
// Field-by-field comparison of canonical results. Rows are compared in the order given; sets
// of related rows, whose order no client relies on, are compared as sets.
#include "facade/compare.h"

#include "migrations/type.h"

struct compare {
    struct mismatch *out;
    unsigned n;
    struct arena *arena;
};

static void differ(struct compare *c, const struct field *f, struct str key, struct value legacy,
                   struct value new_)
{
    if (c->n < MISMATCHES_MAX)
        c->out[c->n] = (struct mismatch){f, key, legacy, new_};
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
            differ(c, NULL, key, value_set(str_of(op->expansions[i].relationship->name)),
                   value_set(STR("related rows differ")));
}

bool mismatch_is_policy(const struct mismatch *m)
{
    struct err e = {0};
    struct value v = m->legacy;
    return m->field && v.state == VALUE_FOREIGN && type_policy(m->field, &v, &e) > 0 &&
           value_eq(v, m->new_);
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
        differ(&c, NULL, STR(""), value_set(str_of(result_status_name(l->status))),
               value_set(str_of(result_status_name(n->status))));
        return c.n;
    }
    if (l->total != n->total && (op->kind == OPERATION_COUNT || op->want_total))
        differ(&c, NULL, STR("(total)"), number(&c, l->total), number(&c, n->total));
    if (l->records.n != n->records.n) {
        differ(&c, NULL, STR("(rows)"), number(&c, (long long)l->records.n),
               number(&c, (long long)n->records.n));
        return c.n;
    }
    for (size_t i = 0; i < l->records.n; i++)
        compare_record(&c, op, &l->records.rows[i], &n->records.rows[i]);
    return c.n;
}
