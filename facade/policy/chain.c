// SPDX-License-Identifier: Apache-2.0
// See chain.h. Owns nothing. Thread: the loop's.
#include "facade/policy/chain.h"

struct operation *chain_operation(struct chain *c, enum operation_kind kind,
                                  const struct entity *en, const struct field *const *fields,
                                  size_t nfields, const struct filter *filter)
{
    struct operation *op = arena_alloc(c->arena, sizeof *op);
    const struct field **list = arena_array(c->arena, nfields + 1, sizeof *list);
    if (!op || !list)
        return NULL;
    for (size_t i = 0; i < nfields; i++)
        list[i] = fields[i];
    op->kind = kind;
    op->entity = op->query.entity = op->write.entity = en;
    op->access = ACCESS_FACADE;
    op->arena = c->arena;
    op->request_line = "access control";
    op->query.fields = list;
    op->query.nfields = nfields;
    op->query.filter = filter;
    op->query.limit = -1;
    op->before_write = c->before_write;
    return op;
}

static void on_done(struct dispatch *d)
{
    struct chain *c = d->owner;
    c->result = &d->result;
    c->next(c);
}

void chain_run(struct chain *c, struct operation *op, chain_step_fn *next)
{
    static const struct result no_memory = {.status = RESULT_ERROR, .total = -1};
    struct dispatch *d = op ? arena_alloc(c->arena, sizeof *d) : NULL;
    c->op = op;
    c->next = next;
    if (!d) {
        c->result = &no_memory;
        next(c);
        return;
    }
    d->operation = op;
    d->deadline_ns = c->deadline_ns;
    d->done = on_done;
    d->owner = c;
    dispatch_run(c->dispatcher, d);
}

bool chain_failed(const struct chain *c)
{
    return c->result->status != RESULT_OK && c->result->status != RESULT_NOT_FOUND;
}

struct value *chain_column(const struct chain *c, size_t at, size_t *n)
{
    const struct record_set *set = &c->result->records;
    struct value *out = arena_array(c->arena, set->n + 1, sizeof *out);
    *n = 0;
    for (size_t i = 0; out && i < set->n; i++)
        if (set->rows[i].values[at].state == VALUE_SET && set->rows[i].values[at].len > 0)
            out[(*n)++] = set->rows[i].values[at];
    return out;
}

// ---------------------------------------------------------------- filters

struct filter *filter_in(struct arena *a, const struct field *f, const struct value *v, size_t n)
{
    struct filter *out = arena_alloc(a, sizeof *out);
    if (out)
        *out = (struct filter){.kind = FILTER_IN, .field = f, .values = v, .nvalues = n};
    return out;
}

struct filter *filter_is(struct arena *a, const struct field *f, struct str text)
{
    struct filter *out = arena_alloc(a, sizeof *out);
    struct value *v = arena_alloc(a, sizeof *v);
    if (!out || !v)
        return NULL;
    *v = value_set(text);
    *out = (struct filter){
        .kind = FILTER_COMPARE, .field = f, .op = MATCH_EQ, .values = v, .nvalues = 1};
    return out;
}

struct filter *filter_null(struct arena *a, const struct field *f)
{
    struct filter *out = arena_alloc(a, sizeof *out);
    if (out)
        *out = (struct filter){.kind = FILTER_IS_NULL, .field = f};
    return out;
}

struct filter *filter_join(struct arena *a, enum filter_kind kind, struct filter *x,
                           struct filter *y)
{
    struct filter *out = arena_alloc(a, sizeof *out);
    struct filter **two = arena_array(a, 2, sizeof *two);
    if (!out || !two || !x || !y)
        return NULL;
    two[0] = x;
    two[1] = y;
    *out = (struct filter){.kind = kind, .children = two, .nchildren = 2};
    return out;
}

struct filter *filter_never(struct arena *a)
{
    struct filter *out = arena_alloc(a, sizeof *out);
    if (out)
        *out = (struct filter){.kind = FILTER_OR};
    return out;
}
