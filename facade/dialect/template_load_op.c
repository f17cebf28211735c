// SPDX-License-Identifier: Apache-2.0
// The "operation" of an endpoint: what is asked of which entity. All names are bound here.
#include "facade/dialect/template_load_int.h"

#include "migrations/type.h"

static void problem(struct template_load *l, const char *at, const char *what)
{
    problems_add(l->p, &l->doc, at, "%s", what);
}

static const struct field *field_named(struct template_load *l, const struct entity *en,
                                       const char *name, const char *at)
{
    const struct field *f = name ? entity_field(en, str_of(name)) : NULL;
    if (f && !f->secret)
        return f;
    problems_add(l->p, &l->doc, at, "%s has no field '%s'", en->name, name ? name : "?");
    return NULL;
}

// ---------------------------------------------------------------- operands

// "NAME": what was taken; {"const": "text"}: always that.
static bool operand(struct template_load *l, const struct template_endpoint *en, const json_t *j,
                    const char *at, const struct field *f, struct template_operand *out)
{
    const char *text = json_string_value(json_object_get(j, "const"));
    struct value v;
    struct err e;
    *out = (struct template_operand){.take = -1};
    if (json_is_string(j)) {
        out->take = template_take_named(l, en, json_string_value(j), at);
        return out->take >= 0;
    }
    if (!text || json_object_size(j) != 1) {
        problem(l, at, "is the name of a take, or {\"const\": \"text\"}");
        return false;
    }
    out->text = template_keep(l, text);
    if (f && (type_parse(f, str_of(text), l->a, &v, &e) || v.state != VALUE_SET)) {
        problems_add(l->p, &l->doc, at, "field '%s' cannot hold '%.60s'", f->name, text);
        return false;
    }
    return true;
}

// ---------------------------------------------------------------- filters

static struct template_filter *filter(struct template_load *l, const struct template_endpoint *en,
                                      const json_t *j, const char *at, unsigned depth);

static void children(struct template_load *l, const struct template_endpoint *en,
                     struct template_filter *f, const json_t *list, const char *at, unsigned depth)
{
    size_t n = json_is_array(list) ? json_array_size(list) : 1;
    f->children = arena_array(l->a, n + 1, sizeof(void *));
    if (!f->children || n == 0 || n > 64) {
        problem(l, at, "needs 1 to 64 parts");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char here[AT_MAX];
        template_at_index(here, at, i);
        struct template_filter *c = filter(l, en,
                                           json_is_array(list) ? json_array_get(list, i) : list,
                                           json_is_array(list) ? here : at, depth + 1);
        if (c)
            f->children[f->nchildren++] = c;
    }
}

static void leaf(struct template_load *l, const struct template_endpoint *en,
                 struct template_filter *f, const json_t *j, const char *at)
{
    static const char *const known[] = {"field", "op", "value", NULL};
    static const char *const ops[] = {"eq",       "ne",     "lt", "le",      "gt",       "ge",
                                      "contains", "starts", "in", "is_null", "not_null", NULL};
    char here[AT_MAX];
    json_only_keys(&l->doc, j, at, known, l->p);
    f->kind = TEMPLATE_LEAF;
    f->field = field_named(l, en->op.entity, json_string_value(json_object_get(j, "field")), at);
    int op = template_word(l, j, at, "op", ops, 0);
    f->match = op < 0 ? TEMPLATE_EQ : (enum template_match)op;
    template_at(here, at, "value");
    if (f->match == TEMPLATE_IS_NULL || f->match == TEMPLATE_NOT_NULL) {
        if (json_object_get(j, "value"))
            problem(l, here, "is_null and not_null take no value");
        return;
    }
    bool typed = f->match < TEMPLATE_CONTAINS;
    if (f->field && f->field->type == TYPE_JSON)
        problem(l, at, "a field of JSON can only be compared with null");
    (void)operand(l, en, json_object_get(j, "value"), here, typed ? f->field : NULL, &f->value);
}

static struct template_filter *filter(struct template_load *l, const struct template_endpoint *en,
                                      const json_t *j, const char *at, unsigned depth)
{
    static const char *const groups[] = {"and", "or", "not"};
    struct template_filter *f = arena_alloc(l->a, sizeof *f);
    if (!f || !json_is_object(j) || depth > TEMPLATE_DEPTH_MAX) {
        problem(l, at, "a filter is an object, at most 8 levels deep");
        return NULL;
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *list = json_object_get(j, groups[i]);
        char here[AT_MAX];
        if (!list)
            continue;
        template_at(here, at, groups[i]);
        f->kind = (enum template_filter_kind)i;
        if (json_object_size(j) != 1)
            problem(l, at, "and, or and not stand alone in their object");
        if (i == 2 ? !json_is_object(list) : !json_is_array(list))
            problem(l, here, i == 2 ? "is one condition" : "is a list");
        else
            children(l, en, f, list, here, depth);
        return f;
    }
    leaf(l, en, f, j, at);
    return f;
}

// ---------------------------------------------------------------- fields, order, page

static void load_fields(struct template_load *l, struct template_operation *op, const json_t *list,
                        const char *at)
{
    const struct entity *en = op->entity;
    const struct field **fields = arena_array(l->a, en->nfields + 1, sizeof *fields);
    if (!fields)
        return;
    for (size_t i = 0; !list && i < en->nfields; i++)
        if (!en->fields[i].secret)
            fields[op->nfields++] = &en->fields[i];
    for (size_t i = 0; i < json_array_size(list) && op->nfields < en->nfields; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const struct field *f = field_named(l, en, name, at);
        if (f)
            fields[op->nfields++] = f;
    }
    if (list && !json_is_array(list))
        problem(l, at, "is a list of fields");
    op->fields = fields;
}

static void load_order(struct template_load *l, struct template_operation *op, const json_t *list,
                       const char *at)
{
    size_t n = json_array_size(list);
    op->order = arena_array(l->a, n + 1, sizeof *op->order);
    if (list && (!json_is_array(list) || n > 8))
        problem(l, at, "is a list of up to 8 fields, '-' in front for descending");
    for (size_t i = 0; op->order && i < n && i < 8; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        bool desc = name && name[0] == '-';
        const struct field *f = field_named(l, op->entity, desc ? name + 1 : name, at);
        if (f)
            op->order[op->norder++] = (struct order){f, desc};
    }
}

static void load_expand(struct template_load *l, struct template_operation *op, const json_t *list,
                        const char *at)
{
    size_t n = json_array_size(list);
    op->expand = arena_array(l->a, n + 1, sizeof *op->expand);
    if (list && (!json_is_array(list) || n > 8))
        problem(l, at, "is a list of up to 8 relationships");
    for (size_t i = 0; op->expand && i < n && i < 8; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const struct relationship *r = name ? entity_relationship(op->entity, str_of(name)) : NULL;
        const struct field **fields;
        size_t count = 0;
        if (!r || !(fields = arena_array(l->a, r->target->nfields + 1, sizeof *fields))) {
            problems_add(l->p, &l->doc, at, "%s has no relationship '%s'", op->entity->name,
                         name ? name : "?");
            continue;
        }
        for (size_t k = 0; k < r->target->nfields; k++)
            if (!r->target->fields[k].secret)
                fields[count++] = &r->target->fields[k];
        op->expand[op->nexpand++] = (struct expansion){
            .relationship = r, .fields = fields, .nfields = count, .limit = TEMPLATE_PAGE_MAX};
    }
}

// {"take": NAME, "default": n, "max": n, "from": n}; a number alone is the default.
static void load_number(struct template_load *l, const struct template_endpoint *en,
                        const json_t *j, const char *at, int *take, long long *def, long long *max,
                        long long *from)
{
    static const char *const known[] = {"take", "default", "max", "from", NULL};
    const long long none = -1;
    long long n = -1;
    *take = -1;
    if (!j)
        return;
    if (json_is_integer(j)) {
        n = json_integer_value(j);
        if (!def || n < 1 || n > TEMPLATE_PAGE_MAX)
            problem(l, at, "is a number from 1 to 1000, or an object with a take");
        else
            *def = n;
        return;
    }
    json_only_keys(&l->doc, j, at, known, l->p);
    const char *name = json_string_value(json_object_get(j, "take"));
    if (name)
        *take = template_take_named(l, en, name, at);
    else
        problem(l, at, "names a take");
    if (json_get_int(&l->doc, j, at, "default", 1, TEMPLATE_PAGE_MAX, &none, &n, l->p) == 0 &&
        n > 0 && def)
        *def = n;
    if (json_get_int(&l->doc, j, at, "max", 1, TEMPLATE_PAGE_MAX, &none, &n, l->p) == 0 && n > 0 &&
        max)
        *max = n;
    if (json_get_int(&l->doc, j, at, "from", 0, 1, &none, &n, l->p) == 0 && n >= 0 && from)
        *from = n;
}

static void load_page(struct template_load *l, struct template_endpoint *en, const json_t *def,
                      const char *at)
{
    struct template_operation *op = &en->op;
    char here[AT_MAX];
    op->limit = 50;
    op->limit_max = TEMPLATE_PAGE_MAX;
    op->page_from = 1;
    template_at(here, at, "limit");
    load_number(l, en, json_object_get(def, "limit"), here, &op->limit_take, &op->limit,
                &op->limit_max, NULL);
    template_at(here, at, "offset");
    load_number(l, en, json_object_get(def, "offset"), here, &op->offset_take, NULL, NULL, NULL);
    template_at(here, at, "page");
    load_number(l, en, json_object_get(def, "page"), here, &op->page_take, NULL, NULL,
                &op->page_from);
    if (op->page_take >= 0 && op->offset_take >= 0)
        problem(l, at, "page and offset exclude each other");
}

// ---------------------------------------------------------------- writes

static void load_values(struct template_load *l, struct template_endpoint *en, const json_t *def,
                        const char *at)
{
    struct template_operation *op = &en->op;
    struct template_value *list = arena_array(l->a, json_object_size(def) + 1, sizeof *list);
    const char *name;
    json_t *j;
    op->values = list;
    if (!json_is_object(def) || json_object_size(def) == 0) {
        problem(l, at, "is an object of fields and what goes into them");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)def, name, j)
    {
        char here[AT_MAX];
        template_at(here, at, name);
        const struct field *f = field_named(l, op->entity, name, here);
        if (f && (f->read_only || (f->key && op->kind == OPERATION_UPDATE)))
            problems_add(l->p, &l->doc, here, "field '%s' cannot be written", f->name);
        else if (f && list && operand(l, en, j, here, f, &list[op->nvalues].value))
            list[op->nvalues++].field = f;
    }
}

// A relationship turns the entity into its target for reads: the key is the near record's.
static void load_relationship(struct template_load *l, struct template_endpoint *en,
                              const json_t *def, const char *at)
{
    struct template_operation *op = &en->op;
    const char *name;
    char here[AT_MAX];
    template_at(here, at, "relationship");
    if (!json_object_get(def, "relationship"))
        return;
    if (json_get_str(&l->doc, def, at, "relationship", NULL, &name, l->p))
        return;
    op->relationship = entity_relationship(op->entity, str_of(name));
    if (!op->relationship)
        problems_add(l->p, &l->doc, here, "%s has no relationship '%s'", op->entity->name, name);
    else if (op->kind != OPERATION_RELATE && op->kind != OPERATION_LIST &&
             op->kind != OPERATION_COUNT)
        problem(l, here, "goes with list, count and relate");
    else if (op->kind != OPERATION_RELATE)
        op->entity = op->relationship->target;
}

// ---------------------------------------------------------------- the whole

static void check_needs(struct template_load *l, const struct template_operation *op,
                        const json_t *def, const char *at)
{
    bool keyed = op->kind == OPERATION_GET || op->kind == OPERATION_UPDATE ||
                 op->kind == OPERATION_DELETE || op->kind == OPERATION_RELATE || op->relationship;
    bool valued = op->kind == OPERATION_CREATE || op->kind == OPERATION_UPDATE;
    if (keyed && op->key < 0)
        problem(l, at, "needs a key: {\"key\": \"NAME of a take\"}");
    if (!keyed && op->key >= 0)
        problem(l, at, "takes no key");
    if (op->kind == OPERATION_RELATE && (!op->relationship || op->far < 0))
        problem(l, at, "relate needs a relationship and far");
    if (valued != (json_object_get(def, "values") != NULL))
        problem(l, at, valued ? "needs values" : "takes no values");
    if (op->kind != OPERATION_LIST && op->kind != OPERATION_COUNT && op->filter)
        problem(l, at, "a filter goes with list and count");
    if (op->kind == OPERATION_CREATE && op->entity->key_maker == KEY_GIVEN) {
        bool given = false;
        for (size_t i = 0; i < op->nvalues; i++)
            given = given || op->values[i].field->key;
        if (!given)
            problem(l, at, "this entity makes no keys: values must hold it");
    }
    if (!operation_is_read(op->kind) && op->entity->read_only)
        problem(l, at, "this entity is read-only");
}

static int take_of(struct template_load *l, const struct template_endpoint *en, const json_t *def,
                   const char *key, const char *at)
{
    const char *name = json_string_value(json_object_get(def, key));
    char here[AT_MAX];
    template_at(here, at, key);
    if (!json_object_get(def, key))
        return -1;
    return template_take_named(l, en, name ? name : "?", here);
}

void template_load_operation(struct template_load *l, struct template_endpoint *en,
                             const json_t *def, const char *at)
{
    static const char *const known[] = {"kind",    "entity", "key",          "fields", "filter",
                                        "order",   "limit",  "offset",       "page",   "total",
                                        "expand",  "values", "relationship", "far",    "remove",
                                        "comment", NULL};
    static const char *const kinds[] = {"get",    "list",   "count",  "create",
                                        "update", "delete", "relate", NULL};
    struct template_operation *op = &en->op;
    const char *entity;
    char here[AT_MAX];
    if (!json_is_object(def)) {
        problem(l, at, "an operation is an object with kind and entity");
        return;
    }
    json_only_keys(&l->doc, def, at, known, l->p);
    int kind = template_word(l, def, at, "kind", kinds, -1);
    if (kind < 0 || json_get_str(&l->doc, def, at, "entity", NULL, &entity, l->p))
        return;
    op->kind = (enum operation_kind)kind;
    if (!(op->entity = entity_find(l->t->set, str_of(entity))) || op->entity->nkeys != 1) {
        template_at(here, at, "entity");
        problems_add(l->p, &l->doc, here, "no entity map '%s' with a single key", entity);
        op->entity = NULL;
        return;
    }
    op->key = take_of(l, en, def, "key", at);
    op->far = take_of(l, en, def, "far", at);
    load_relationship(l, en, def, at);
    template_at(here, at, "fields");
    load_fields(l, op, json_object_get(def, "fields"), here);
    template_at(here, at, "order");
    load_order(l, op, json_object_get(def, "order"), here);
    template_at(here, at, "expand");
    load_expand(l, op, json_object_get(def, "expand"), here);
    load_page(l, en, def, at);
    template_at(here, at, "filter");
    if (json_object_get(def, "filter"))
        op->filter = filter(l, en, json_object_get(def, "filter"), here, 0);
    template_at(here, at, "values");
    if (json_object_get(def, "values"))
        load_values(l, en, json_object_get(def, "values"), here);
    (void)json_get_bool(&l->doc, def, at, "remove", false, &op->remove, l->p);
    (void)json_get_bool(&l->doc, def, at, "total", false, &op->total, l->p);
    check_needs(l, op, def, at);
}
