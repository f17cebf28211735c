// SPDX-License-Identifier: Apache-2.0
// Deep copies of canonical reads, for work that outlives the request (shadow comparison).
#include "facade/operation.h"

static struct value clone_value(struct value v, struct arena *a, bool *bad)
{
    if (v.state == VALUE_SET || v.state == VALUE_FOREIGN) {
        v.data = arena_str(a, value_str(v)).data;
        *bad |= !v.data;
    }
    return v;
}

static const struct value *clone_values(const struct value *from, size_t n, struct arena *a,
                                        bool *bad)
{
    if (!from)
        return NULL;
    struct value *to = arena_array(a, n ? n : 1, sizeof *to);
    *bad |= !to;
    for (size_t i = 0; to && i < n; i++)
        to[i] = clone_value(from[i], a, bad);
    return to;
}

static void *clone_array(const void *from, size_t n, size_t size, struct arena *a, bool *bad)
{
    if (!from)
        return NULL;
    void *to = arena_array(a, n ? n : 1, size);
    *bad |= !to;
    if (to && n)
        memcpy(to, from, n * size);
    return to;
}

// Depth is bounded by whoever built the filter (FILTER_DEPTH_MAX).
struct filter *filter_clone(const struct filter *from, struct arena *a, bool *bad)
{
    if (!from)
        return NULL;
    struct filter *to = clone_array(from, 1, sizeof *from, a, bad);
    if (!to)
        return NULL;
    to->values = clone_values(from->values, from->nvalues, a, bad);
    to->children = clone_array(from->children, from->nchildren, sizeof *from->children, a, bad);
    for (size_t i = 0; to->children && i < from->nchildren; i++)
        to->children[i] = filter_clone(from->children[i], a, bad);
    return to;
}

static const struct related *clone_related(const struct related *from, struct arena *a, bool *bad)
{
    if (!from)
        return NULL;
    struct related *to = clone_array(from, 1, sizeof *from, a, bad);
    if (to)
        to->parent_key = clone_values(from->parent_key, from->nparent_key, a, bad);
    return to;
}

int operation_clone_read(const struct operation *op, struct arena *a, struct operation *out,
                         struct err *e)
{
    bool bad = false;
    const struct query *q = &op->query;
    *out = *op;
    out->arena = a;
    out->principal = NULL;
    if (op->request_line)
        out->request_line = arena_strz(a, str_of(op->request_line));
    out->query.fields = clone_array(q->fields, q->nfields, sizeof *q->fields, a, &bad);
    out->query.key = clone_values(q->key, op->entity->nkeys, a, &bad);
    out->query.keys = clone_values(q->keys, q->nkeys, a, &bad);
    out->query.filter = filter_clone(q->filter, a, &bad);
    out->query.related = clone_related(q->related, a, &bad);
    out->query.order = clone_array(q->order, q->norder, sizeof *q->order, a, &bad);
    out->query.after_key = clone_values(q->after_key, op->entity->nkeys, a, &bad);
    out->query.up_to_key = clone_values(q->up_to_key, op->entity->nkeys, a, &bad);
    out->expansions = clone_array(op->expansions, op->nexpansions, sizeof *op->expansions, a, &bad);
    for (size_t i = 0; out->expansions && i < op->nexpansions; i++) {
        out->expansions[i].fields = clone_array(op->expansions[i].fields, op->expansions[i].nfields,
                                                sizeof *op->expansions[i].fields, a, &bad);
        out->expansions[i].filter = filter_clone(op->expansions[i].filter, a, &bad);
    }
    return bad ? err_memory(e) : 0;
}

bool filter_looks_at(const struct filter *f, struct str entity)
{
    if (!f)
        return false;
    if (f->link && str_eqz(entity, f->link->name))
        return true;
    for (size_t i = 0; i < f->nchildren; i++)
        if (filter_looks_at(f->children[i], entity))
            return true;
    return false;
}
