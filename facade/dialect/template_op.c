// SPDX-License-Identifier: Apache-2.0
// What was taken, as the endpoint's canonical operation. Texts are parsed by the types of their
// fields; a part of a filter whose take is absent is left out. Thread: any.
#include "facade/dialect/template.h"

#include "migrations/type.h"

static struct value operand(const struct template_operand *o, const struct value *takes)
{
    return o->take < 0 ? value_set(str_of(o->text)) : takes[o->take];
}

static int typed(const struct field *f, struct value v, struct arena *a, struct value *out,
                 struct err *e)
{
    *out = v;
    if (v.state != VALUE_SET)
        return 0;
    if (type_parse(f, value_str(v), a, out, e))
        return -1;
    return out->state != VALUE_FOREIGN
               ? 0
               : err_set(e, ERR_INVALID, "%s: no such value (%s)", f->name,
                         value_problem_name((enum value_problem)out->problem));
}

// ---------------------------------------------------------------- filters

// text with its % _ \ escaped, and % around it.
static int pattern(struct value v, bool anywhere, struct arena *a, struct value *out, struct err *e)
{
    char *text = arena_alloc(a, (size_t)v.len * 2 + 3);
    size_t n = 0;
    if (!text)
        return err_memory(e);
    if (anywhere)
        text[n++] = '%';
    for (uint32_t i = 0; i < v.len; i++) {
        if (v.data[i] == '%' || v.data[i] == '_' || v.data[i] == '\\')
            text[n++] = '\\';
        text[n++] = v.data[i];
    }
    text[n++] = '%';
    *out = value_set(str_n(text, n));
    return 0;
}

static int in_list(const struct field *f, struct value v, struct arena *a, struct filter *out,
                   struct err *e)
{
    struct str rest = value_str(v);
    size_t n = 1, i = 0;
    for (size_t k = 0; k < rest.len; k++)
        n += rest.data[k] == ',';
    struct value *values = arena_array(a, n, sizeof *values);
    if (n > 200)
        return err_set(e, ERR_INVALID, "%s: too many values", f->name);
    if (!values)
        return err_memory(e);
    for (; i < n; i++) {
        const char *comma = rest.len ? memchr(rest.data, ',', rest.len) : NULL;
        size_t len = comma ? (size_t)(comma - rest.data) : rest.len;
        if (typed(f, value_set(str_trim(str_n(rest.data, len))), a, &values[i], e))
            return -1;
        rest = comma ? str_n(comma + 1, rest.len - len - 1) : str_n(rest.data, 0);
    }
    out->kind = FILTER_IN;
    out->values = values;
    out->nvalues = n;
    return 0;
}

static int leaf(const struct template_filter *t, const struct value *takes, struct arena *a,
                struct filter **out, struct err *e)
{
    static const enum text_match ops[] = {MATCH_EQ, MATCH_NE, MATCH_LT,   MATCH_LE,
                                          MATCH_GT, MATCH_GE, MATCH_LIKE, MATCH_LIKE};
    struct value v = operand(&t->value, takes);
    bool null = t->match == TEMPLATE_IS_NULL || t->match == TEMPLATE_NOT_NULL;
    struct filter *f = arena_alloc(a, sizeof *f);
    struct value *value = arena_alloc(a, sizeof *value);
    *out = NULL;
    if (!f || !value)
        return err_memory(e);
    if (!null && v.state == VALUE_ABSENT)
        return 0;
    *out = f;
    f->field = t->field;
    if (null || v.state == VALUE_NULL) {
        f->kind = FILTER_IS_NULL;
        f->negated = t->match == TEMPLATE_NOT_NULL || t->match == TEMPLATE_NE;
        return 0;
    }
    if (t->match == TEMPLATE_IN)
        return in_list(t->field, v, a, f, e);
    f->kind = FILTER_COMPARE;
    f->op = ops[t->match];
    f->values = value;
    f->nvalues = 1;
    if (t->match == TEMPLATE_CONTAINS || t->match == TEMPLATE_STARTS)
        return pattern(v, t->match == TEMPLATE_CONTAINS, a, value, e);
    return typed(t->field, v, a, value, e);
}

static int filter(const struct template_filter *t, const struct value *takes, struct arena *a,
                  struct filter **out, struct err *e)
{
    static const enum filter_kind kinds[] = {FILTER_AND, FILTER_OR, FILTER_NOT};
    struct filter *f, *child;
    if (t->kind == TEMPLATE_LEAF)
        return leaf(t, takes, a, out, e);
    *out = NULL;
    f = arena_alloc(a, sizeof *f);
    if (!f || !(f->children = arena_array(a, t->nchildren + 1, sizeof(void *))))
        return err_memory(e);
    f->kind = kinds[t->kind];
    for (size_t i = 0; i < t->nchildren; i++) {
        if (filter(t->children[i], takes, a, &child, e))
            return -1;
        if (child)
            f->children[f->nchildren++] = child;
    }
    if (f->nchildren) // with nothing left to ask, it is left out itself
        *out = f;
    return 0;
}

// ---------------------------------------------------------------- the rest

static int number(const struct template_endpoint *en, int take, const struct value *takes,
                  long long min, long long max, long long *out, struct err *e)
{
    if (take < 0 || takes[take].state != VALUE_SET)
        return 0;
    if (str_to_int(value_str(takes[take]), min, 1000000000, out)) {
        if (*out > max)
            *out = max;
        return 0;
    }
    return err_set(e, ERR_INVALID, "%s: not a number from %lld", en->takes[take].name, min);
}

static int page(const struct template_endpoint *en, const struct value *takes, struct operation *op,
                struct err *e)
{
    const struct template_operation *t = &en->op;
    long long number_of_page = t->page_from;
    op->query.limit = t->limit;
    if (number(en, t->limit_take, takes, 1, t->limit_max, &op->query.limit, e) ||
        number(en, t->offset_take, takes, 0, 1000000000, &op->query.offset, e) ||
        number(en, t->page_take, takes, t->page_from, 1000000, &number_of_page, e))
        return -1;
    if (t->page_take >= 0)
        op->query.offset = (number_of_page - t->page_from) * op->query.limit;
    return 0;
}

static int key_of(const struct template_endpoint *en, int take, const struct field *f,
                  const struct value *takes, struct arena *a, struct value **out, struct err *e)
{
    struct value *key = arena_alloc(a, sizeof *key);
    if (!key)
        return err_memory(e);
    if (takes[take].state != VALUE_SET)
        return err_set(e, ERR_INVALID, "%s is missing", en->takes[take].name);
    *out = key;
    return typed(f, takes[take], a, key, e);
}

static int read_of(const struct template_endpoint *en, const struct value *takes,
                   struct operation *op, struct err *e)
{
    const struct template_operation *t = &en->op;
    struct filter *f = NULL;
    op->query.entity = t->entity;
    op->query.fields = t->fields;
    op->query.nfields = t->nfields;
    op->query.order = t->order;
    op->query.norder = t->norder;
    op->query.limit = -1;
    op->want_total = t->total;
    op->expansions = t->expand;
    op->nexpansions = t->nexpand;
    if (t->filter && filter(t->filter, takes, op->arena, &f, e))
        return -1;
    op->query.filter = f;
    return op->kind == OPERATION_LIST ? page(en, takes, op, e) : 0;
}

static int values_of(const struct template_endpoint *en, const struct value *takes,
                     struct operation *op, struct err *e)
{
    const struct template_operation *t = &en->op;
    struct value *values = arena_array(op->arena, t->entity->nfields + 1, sizeof *values);
    if (!values)
        return err_memory(e);
    op->write.values = values;
    op->write.live_only = true;
    for (size_t i = 0; i < t->nvalues; i++)
        if (typed(t->values[i].field, operand(&t->values[i].value, takes), op->arena,
                  &values[t->values[i].field->index], e))
            return -1;
    return 0;
}

static int relate_of(const struct template_endpoint *en, const struct value *takes,
                     struct value near, struct operation *op, struct err *e)
{
    const struct template_operation *t = &en->op;
    struct value *far;
    if (key_of(en, t->far, t->relationship->target->keys[0], takes, op->arena, &far, e))
        return -1;
    op->relate = (struct relate){
        .relationship = t->relationship, .near = near, .far = far, .nfar = 1, .remove = t->remove};
    return 0;
}

// Rows of a relationship of the record that the key names.
static int related_of(const struct template_operation *t, const struct value *key,
                      struct operation *op, struct err *e)
{
    struct related *r = arena_alloc(op->arena, sizeof *r);
    if (!r)
        return err_memory(e);
    *r = (struct related){.relationship = t->relationship,
                          .parent = t->relationship->source,
                          .parent_key = key,
                          .nparent_key = 1};
    op->query.related = r;
    return 0;
}

int template_operation(const struct template_endpoint *en, const struct value *takes,
                       struct operation *op, struct err *e)
{
    const struct template_operation *t = &en->op;
    const struct entity *keyed = t->relationship ? t->relationship->source : t->entity;
    struct value *key = NULL;
    op->kind = t->kind;
    op->entity = t->entity;
    if (t->key >= 0 && key_of(en, t->key, keyed->keys[0], takes, op->arena, &key, e))
        return -1;
    if (operation_is_read(t->kind)) {
        if (t->relationship)
            return related_of(t, key, op, e) ? -1 : read_of(en, takes, op, e);
        op->query.key = key;
        return read_of(en, takes, op, e);
    }
    op->write.key = key;
    if (t->kind == OPERATION_RELATE && t->relationship && key) // the loader asks for both
        return relate_of(en, takes, *key, op, e);
    return values_of(en, takes, op, e);
}
