// SPDX-License-Identifier: Apache-2.0
// Query strings and JSON bodies of the rest dialect as canonical operations.
#include "facade/dialect/rest.h"
#include "migrations/type.h"

static bool readable(const struct field *f)
{
    return !f->secret;
}

static int default_fields(struct rest_request *q, const struct entity *en,
                          const struct field *const **out, size_t *n, struct err *e)
{
    const struct field **list = arena_array(q->op.arena, en->nfields + 1, sizeof *list);
    if (!list)
        return err_memory(e);
    for (size_t i = 0; i < en->nfields; i++)
        if (readable(&en->fields[i]))
            list[(*n)++] = &en->fields[i];
    *out = list;
    return 0;
}

int rest_fields(struct rest_request *q, const struct entity *en, struct str list,
                const struct field *const **out, size_t *n, struct err *e)
{
    *n = 0;
    if (!list.data || !list.len)
        return default_fields(q, en, out, n, e);
    const struct field **fields = arena_array(q->op.arena, list.len + 1, sizeof *fields);
    if (!fields)
        return err_memory(e);
    while (list.len) {
        const char *comma = memchr(list.data, ',', list.len);
        struct str name = str_n(list.data, comma ? (size_t)(comma - list.data) : list.len);
        list = comma ? str_n(comma + 1, list.len - name.len - 1) : str_n(NULL, 0);
        const struct field *f = entity_field(en, name);
        if (!f || !readable(f))
            return err_set(e, ERR_INVALID, "%s has no field '%.*s'", en->name,
                           (int)(name.len < 64 ? name.len : 64), name.data);
        fields[(*n)++] = f;
    }
    *out = fields;
    return 0;
}

static int sort(struct rest_request *q, struct str list, struct err *e)
{
    struct order *order = arena_array(q->op.arena, list.len + 1, sizeof *order);
    size_t n = 0;
    if (!order)
        return err_memory(e);
    while (list.len) {
        const char *comma = memchr(list.data, ',', list.len);
        struct str name = str_n(list.data, comma ? (size_t)(comma - list.data) : list.len);
        list = comma ? str_n(comma + 1, list.len - name.len - 1) : str_n(NULL, 0);
        bool desc = name.len && name.data[0] == '-';
        if (desc)
            name = str_n(name.data + 1, name.len - 1);
        const struct field *f = entity_field(q->entity, name);
        if (!f || !readable(f))
            return err_set(e, ERR_INVALID, "sort: no field '%.*s'",
                           (int)(name.len < 64 ? name.len : 64), name.data);
        order[n++] = (struct order){f, desc};
    }
    q->op.query.order = order;
    q->op.query.norder = n;
    return 0;
}

static int expand(struct rest_request *q, struct str list, struct err *e)
{
    q->op.expansions = arena_array(q->op.arena, list.len + 1, sizeof *q->op.expansions);
    if (!q->op.expansions)
        return err_memory(e);
    while (list.len) {
        const char *comma = memchr(list.data, ',', list.len);
        struct str name = str_n(list.data, comma ? (size_t)(comma - list.data) : list.len);
        list = comma ? str_n(comma + 1, list.len - name.len - 1) : str_n(NULL, 0);
        struct expansion *x = &q->op.expansions[q->op.nexpansions++];
        x->limit = -1;
        x->relationship = entity_relationship(q->entity, name);
        if (!x->relationship)
            return err_set(e, ERR_INVALID, "expand: no relationship '%.*s'",
                           (int)(name.len < 64 ? name.len : 64), name.data);
        if (rest_fields(q, x->relationship->target, str_n(NULL, 0), &x->fields, &x->nfields, e))
            return -1;
    }
    return 0;
}

// "name" or "name[like]" -> field and comparison.
static int condition(struct rest_request *q, const struct form_field *p, struct filter *out,
                     struct err *e)
{
    static const struct {
        const char *word;
        enum text_match op;
    } words[] = {{"", MATCH_EQ},   {"ne", MATCH_NE}, {"lt", MATCH_LT},    {"le", MATCH_LE},
                 {"gt", MATCH_GT}, {"ge", MATCH_GE}, {"like", MATCH_LIKE}};
    const char *open = memchr(p->name.data, '[', p->name.len);
    struct str name = open ? str_n(p->name.data, (size_t)(open - p->name.data)) : p->name;
    struct str word = open ? str_n(open + 1, p->name.len - name.len - 1) : STR("");
    if (word.len && word.data[word.len - 1] == ']')
        word.len--;
    const struct field *f = entity_field(q->entity, name);
    if (!f || !readable(f))
        return err_set(e, ERR_INVALID, "%s has no field '%.*s'", q->entity->name,
                       (int)(name.len < 64 ? name.len : 64), name.data);
    struct value *v = arena_alloc(q->op.arena, sizeof *v);
    *out = (struct filter){.kind = FILTER_COMPARE, .field = f, .values = v, .nvalues = 1};
    if (!v)
        return err_memory(e);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!str_eqz(word, words[i].word))
            continue;
        out->op = words[i].op;
        if (out->op == MATCH_LIKE) {
            *v = value_set(p->value);
            return 0;
        }
        if (type_parse(f, p->value, q->op.arena, v, e))
            return -1;
        return v->state == VALUE_FOREIGN
                   ? err_set(e, ERR_INVALID, "'%s' takes no such value", f->name)
                   : 0;
    }
    return err_set(e, ERR_INVALID, "unknown comparison on '%s'", f->name);
}

static bool is_option(struct str name)
{
    static const char *const options[] = {"fields", "sort",   "limit",  "offset",
                                          "count",  "expand", "deleted"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (str_eqz(name, options[i]))
            return true;
    return false;
}

static int filters(struct rest_request *q, const struct form *form, struct err *e)
{
    struct filter *all = arena_alloc(q->op.arena, sizeof *all);
    struct filter *each = arena_array(q->op.arena, form->n + 1, sizeof *each);
    if (!all || !each || !(all->children = arena_array(q->op.arena, form->n + 1, sizeof(void *))))
        return err_memory(e);
    all->kind = FILTER_AND;
    for (size_t i = 0; i < form->n; i++) {
        if (is_option(form->fields[i].name))
            continue;
        if (all->nchildren == FILTER_NODES_MAX)
            return err_set(e, ERR_LIMIT, "too many conditions");
        if (condition(q, &form->fields[i], &each[i], e))
            return -1;
        all->children[all->nchildren++] = &each[i];
    }
    if (all->nchildren)
        q->op.query.filter = all;
    return 0;
}

static int page(struct rest_request *q, const struct form *form, struct err *e)
{
    struct query *query = &q->op.query;
    struct str limit = form_get(form, "limit"), offset = form_get(form, "offset");
    query->limit = q->op.kind == OPERATION_LIST ? REST_PAGE : -1;
    if (limit.data && !str_to_int(limit, 1, REST_PAGE_MAX, &query->limit))
        return err_set(e, ERR_INVALID, "limit is a number from 1 to %d", REST_PAGE_MAX);
    if (offset.data && !str_to_int(offset, 0, 1000000000, &query->offset))
        return err_set(e, ERR_INVALID, "offset is a number from 0");
    struct str deleted = form_get(form, "deleted");
    query->deleted = str_eqz(deleted, "any")    ? DELETED_ANY
                     : str_eqz(deleted, "only") ? DELETED_ONLY
                                                : DELETED_NO;
    q->op.want_total = str_eqz(form_get(form, "count"), "true");
    return 0;
}

int rest_query(struct rest_request *q, struct err *e)
{
    struct form form = {0};
    struct query *query = &q->op.query;
    if (q->http->query.data && form_parse_urlencoded(q->http->query, q->op.arena, &form, e))
        return -1;
    query->entity = q->entity;
    struct str order = form_get(&form, "sort"), expansions = form_get(&form, "expand");
    if (rest_fields(q, q->entity, form_get(&form, "fields"), &query->fields, &query->nfields, e) ||
        page(q, &form, e) || (order.data && sort(q, order, e)) ||
        (expansions.data && expand(q, expansions, e)))
        return -1;
    return q->op.kind == OPERATION_LIST ? filters(q, &form, e) : 0;
}

int rest_body(struct rest_request *q, struct err *e)
{
    const struct entity *en = q->entity;
    struct value *values = arena_array(q->op.arena, en->nfields + 1, sizeof *values);
    json_error_t je;
    const char *name;
    json_t *v;
    int result = 0;
    if (!values)
        return err_memory(e);
    json_t *j = json_loadb(q->http->body.data ? q->http->body.data : "", q->http->body.len,
                           JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(j)) {
        json_decref(j);
        return err_set(e, ERR_INVALID, "the body is a JSON object of fields");
    }
    json_object_foreach(j, name, v)
    {
        const struct field *f = entity_field(en, str_of(name));
        if (!f || f->secret)
            result = err_set(e, ERR_INVALID, "%s has no field '%.64s'", en->name, name);
        else if (f->read_only)
            result = err_set(e, ERR_INVALID, "field '%s' cannot be written", f->name);
        else
            result = type_from_json(f, v, q->op.arena, &values[f->index], e);
        if (result == 0 && values[f->index].state == VALUE_FOREIGN)
            result = err_set(e, ERR_INVALID, "field '%s': %s", f->name,
                             value_problem_name((enum value_problem)values[f->index].problem));
        if (result)
            break;
    }
    json_decref(j);
    q->op.write.values = values;
    return result;
}
