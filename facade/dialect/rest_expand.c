// SPDX-License-Identifier: Apache-2.0
// expand=contacts,contacts.opportunities: a tree of relations. The first level is read with the
// operation itself. Each node that has children is read by one more operation, on the node's
// entity, by the keys of the node's rows, with the children as its relations; so the number of
// operations is that of the nodes with children, however many rows there are.
//
//   REQUEST -> node with children -> its children with children -> .. -> answer
//
// Paths, depth, rows of one relation and rows of one operation are limited.
#include "facade/dialect/rest.h"

#include <stdlib.h>

struct nested {
    struct dispatch dispatch; // first
    struct operation op;
    struct rest_request *q;
    struct rest_expand *node;
};

// ---------------------------------------------------------------- the tree

static int all_fields(struct rest_request *q, struct rest_expand *x, struct err *e)
{
    const struct entity *en = x->relationship->target;
    const struct field **list = arena_array(q->op.arena, en->nfields + 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < en->nfields; i++) {
        if (!rest_readable(&en->fields[i]))
            continue;
        if (&en->fields[i] == en->keys[0])
            x->key_at = x->nfields;
        list[x->nfields++] = &en->fields[i];
    }
    x->fields = list;
    return 0;
}

static struct rest_expand *child(struct rest_request *q, struct rest_expand *parent,
                                 const struct entity *en, struct str name, struct err *e)
{
    struct rest_expand **last = &parent->children;
    for (; *last; last = &(*last)->next)
        if (str_eqz(name, (*last)->relationship->name))
            return *last;
    const struct relationship *r = entity_relationship(en, name);
    struct rest_expand *x = arena_alloc(q->op.arena, sizeof *x);
    if (!r) {
        rest_mistake(q, e, true, STR("expand"), "%s has no relationship '%.*s'", en->name,
                     (int)str_utf8_cut(name, 64).len, name.data ? name.data : "");
        return NULL;
    }
    if (!x) {
        err_memory(e);
        return NULL;
    }
    x->relationship = r;
    if (all_fields(q, x, e))
        return NULL;
    *last = x;
    parent->nchildren++;
    return x;
}

static int add_path(struct rest_request *q, struct str path, struct err *e)
{
    struct rest_expand *at = q->expand;
    const struct entity *en = q->entity;
    for (unsigned depth = 0; path.data; depth++) {
        const char *dot = path.len ? memchr(path.data, '.', path.len) : NULL;
        struct str name = str_n(path.data, dot ? (size_t)(dot - path.data) : path.len);
        path = dot ? str_n(dot + 1, path.len - name.len - 1) : str_n(NULL, 0);
        if (depth == REST_EXPAND_DEPTH)
            return rest_mistake(q, e, true, STR("expand"), "at most %d relations in a path",
                                REST_EXPAND_DEPTH);
        if (en->nkeys != 1)
            return rest_mistake(q, e, true, STR("expand"), "%s has no single key", en->name);
        if (!(at = child(q, at, en, name, e)))
            return -1;
        en = at->relationship->target;
    }
    return 0;
}

static int make_expansions(struct rest_request *q, struct rest_expand *x, struct err *e)
{
    size_t i = 0;
    if (!x->nchildren)
        return 0;
    if (!(x->expansions = arena_array(q->op.arena, x->nchildren, sizeof *x->expansions)))
        return err_memory(e);
    for (struct rest_expand *c = x->children; c; c = c->next) {
        x->expansions[i++] = (struct expansion){.relationship = c->relationship,
                                                .fields = c->fields,
                                                .nfields = c->nfields,
                                                .limit = REST_RELATED_MAX + 1};
        if (make_expansions(q, c, e))
            return -1;
    }
    return 0;
}

int rest_expand_parse(struct rest_request *q, struct str list, struct err *e)
{
    struct str path;
    size_t n = 0;
    if (!(q->expand = arena_alloc(q->op.arena, sizeof *q->expand)))
        return err_memory(e);
    while (rest_next_item(&list, &path)) {
        if (n++ == REST_EXPAND_MAX)
            return rest_mistake(q, e, true, STR("expand"), "at most %d paths", REST_EXPAND_MAX);
        if (add_path(q, path, e))
            return -1;
    }
    if (make_expansions(q, q->expand, e))
        return -1;
    q->op.expansions = q->expand->expansions;
    q->op.nexpansions = q->expand->nchildren;
    return 0;
}

// ---------------------------------------------------------------- reading

static int by_key(const void *a, const void *b)
{
    struct str x = value_str(((const struct record *)a)->values[0]);
    struct str y = value_str(((const struct record *)b)->values[0]);
    int c = memcmp(x.data ? x.data : "", y.data ? y.data : "", x.len < y.len ? x.len : y.len);
    return c ? c : (x.len > y.len) - (x.len < y.len);
}

static int value_order(const void *a, const void *b)
{
    struct record x = {.values = a}, y = {.values = b};
    return by_key(&x, &y);
}

// Keys of the rows of child number `k` of every record of a set; more than fit are counted only.
static size_t collect(const struct record_set *parents, size_t k, size_t key_at, struct value *keys,
                      size_t n, size_t max)
{
    for (size_t i = 0; i < parents->n; i++) {
        const struct record_set *s = parents->rows[i].related ? &parents->rows[i].related[k] : NULL;
        for (size_t r = 0; s && r < s->n && r < REST_RELATED_MAX; r++) {
            if (n < max)
                keys[n] = s->rows[r].values[key_at];
            n++;
        }
    }
    return n;
}

static size_t unique(struct value *keys, size_t n)
{
    size_t kept = 0;
    qsort(keys, n, sizeof *keys, value_order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !value_eq(keys[kept - 1], keys[i]))
            keys[kept++] = keys[i];
    return kept;
}

// The next node, in preorder, that has children and was not read.
static struct rest_expand *next_node(struct rest_expand *x, const struct record_set *rows,
                                     const struct record_set **parents, size_t *number)
{
    size_t k = 0;
    for (struct rest_expand *c = x->children; c; c = c->next, k++) {
        if (!c->nchildren)
            continue;
        if (!c->read) {
            *parents = rows;
            *number = k;
            return c;
        }
        struct rest_expand *deeper = next_node(c, &c->below, parents, number);
        if (deeper)
            return deeper;
    }
    return NULL;
}

static void go_on(struct rest_request *q);

static void on_nested(struct dispatch *d)
{
    struct nested *n = (struct nested *)d;
    struct rest_request *q = n->q;
    if (d->result.status != RESULT_OK) {
        q->dispatch.result = d->result;
        rest_problem_result(q);
        return;
    }
    n->node->below = d->result.records;
    if (n->node->below.n)
        qsort(n->node->below.rows, n->node->below.n, sizeof *n->node->below.rows, by_key);
    go_on(q);
}

static int start(struct rest_request *q, struct rest_expand *x, struct value *keys, size_t nkeys)
{
    struct nested *n = arena_alloc(q->op.arena, sizeof *n);
    const struct entity *en = x->relationship->target;
    if (!n)
        return -1;
    n->q = q;
    n->node = x;
    n->op = (struct operation){.kind = OPERATION_LIST,
                               .entity = en,
                               .principal = &q->principal,
                               .access = ACCESS_LINKED,
                               .query = {.entity = en,
                                         .fields = en->keys,
                                         .nfields = 1,
                                         .keys = keys,
                                         .nkeys = nkeys,
                                         .limit = -1},
                               .expansions = x->expansions,
                               .nexpansions = x->nchildren,
                               .epoch = -1,
                               .arena = q->op.arena,
                               .request_line = "rest expand"};
    n->dispatch.operation = &n->op;
    n->dispatch.done = on_nested;
    n->dispatch.deadline_ns = q->dispatch.deadline_ns;
    dispatch_run(q->mount->env.dispatcher, &n->dispatch);
    return 0;
}

static void go_on(struct rest_request *q)
{
    const struct record_set *parents = NULL;
    size_t number = 0;
    struct rest_expand *x = q->expand ? next_node(q->expand, &q->dispatch.result.records, &parents,
                                                  &number)
                                      : NULL;
    if (!x) {
        rest_reply_result(q);
        return;
    }
    x->read = true;
    struct value *keys = arena_array(q->op.arena, REST_NESTED_MAX, sizeof *keys);
    if (!keys) {
        rest_problem(q, REST_UNAVAILABLE, "");
        return;
    }
    size_t n = collect(parents, number, x->key_at, keys, 0, REST_NESTED_MAX);
    if (n > REST_NESTED_MAX) {
        rest_problem(q, REST_TOO_LARGE,
                     "more related rows than can be expanded further: ask for"
                     " fewer records");
        return;
    }
    n = unique(keys, n);
    if (n == 0)
        go_on(q); // as deep as there are nodes
    else if (start(q, x, keys, n))
        rest_problem(q, REST_UNAVAILABLE, "");
}

void rest_after_read(struct rest_request *q)
{
    if (q->dispatch.result.status == RESULT_OK)
        go_on(q);
    else
        rest_reply_result(q);
}

const struct record *rest_expand_below(const struct rest_expand *x, const struct record *row)
{
    struct record key = {.values = &row->values[x->key_at]};
    if (!x->below.n)
        return NULL;
    return bsearch(&key, x->below.rows, x->below.n, sizeof *x->below.rows, by_key);
}
