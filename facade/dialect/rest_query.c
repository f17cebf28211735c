// SPDX-License-Identifier: Apache-2.0
// Query strings of the rest dialect as canonical reads: fields, sorting, page. Conditions are in
// rest_filter.c, cursors in rest_cursor.c, expansion in rest_expand.c.
#include "facade/dialect/rest.h"

#include <xxhash.h>

bool rest_readable(const struct field *f)
{
    return f && !f->secret;
}

bool rest_next_item(struct str *list, struct str *item)
{
    if (!list->data)
        return false;
    const char *comma = list->len ? memchr(list->data, ',', list->len) : NULL;
    *item = str_n(list->data, comma ? (size_t)(comma - list->data) : list->len);
    *list = comma ? str_n(comma + 1, list->len - item->len - 1) : str_n(NULL, 0);
    return true;
}

static bool among(const struct field *const *list, size_t n, const struct field *f)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == f)
            return true;
    return false;
}

static int fields(struct rest_request *q, struct str list, struct err *e)
{
    struct query *query = &q->op.query;
    // Room for what a cursor needs beside them.
    const struct field **out = arena_array(q->op.arena, q->entity->nfields + REST_SORT_MAX + 16,
                                           sizeof *out);
    struct str name;
    int result = 0;
    if (!out)
        return err_memory(e);
    query->fields = out;
    for (size_t i = 0; !list.data && i < q->entity->nfields; i++)
        if (rest_readable(&q->entity->fields[i]))
            out[query->nfields++] = &q->entity->fields[i];
    q->weak = list.data != NULL;
    while (rest_next_item(&list, &name)) {
        const struct field *f = entity_field(q->entity, name);
        if (!rest_readable(f))
            result = rest_mistake(q, e, true, STR("fields"), "%s has no field '%.*s'",
                                  q->entity->name, (int)str_utf8_cut(name, 64).len, name.data);
        else if (!among(out, query->nfields, f))
            out[query->nfields++] = f;
    }
    q->nshown = query->nfields;
    return result;
}

static int sort(struct rest_request *q, struct str list, struct err *e)
{
    struct order *order = arena_array(q->op.arena, REST_SORT_MAX, sizeof *order);
    struct str name;
    size_t n = 0;
    if (!order)
        return err_memory(e);
    while (rest_next_item(&list, &name)) {
        bool desc = name.len && name.data[0] == '-';
        if (desc)
            name = str_n(name.data + 1, name.len - 1);
        const struct field *f = entity_field(q->entity, name);
        if (!rest_readable(f) || f->type == TYPE_JSON)
            return rest_mistake(q, e, true, STR("sort"), "%s cannot be sorted by '%.*s'",
                                q->entity->name, (int)str_utf8_cut(name, 64).len, name.data);
        bool twice = false;
        for (size_t i = 0; i < n; i++)
            twice = twice || order[i].field == f;
        if (twice) // orders nothing any more
            continue;
        if (n == REST_SORT_MAX)
            return rest_mistake(q, e, true, STR("sort"), "at most %d fields", REST_SORT_MAX);
        order[n++] = (struct order){f, desc};
    }
    q->op.query.order = order;
    q->op.query.norder = n;
    return 0;
}

// Which options a kind of read knows; everything else in a list's query is a condition.
bool rest_is_option(struct str name, bool list)
{
    static const char *const item[] = {"fields", "expand", "deleted"};
    static const char *const more[] = {"sort", "limit", "offset", "count", "cursor", "filter"};
    for (size_t i = 0; i < sizeof item / sizeof item[0]; i++)
        if (str_eqz(name, item[i]))
            return true;
    for (size_t i = 0; list && i < sizeof more / sizeof more[0]; i++)
        if (str_eqz(name, more[i]))
            return true;
    return false;
}

static int check_names(struct rest_request *q, const struct form *form, bool list, struct err *e)
{
    int result = 0;
    for (size_t i = 0; i < form->n; i++) {
        const struct form_field *f = &form->fields[i];
        if (!str_is_utf8(f->name) || !str_is_utf8(f->value))
            return rest_mistake(q, e, true, STR("query"), "the query is not UTF-8");
        if (!rest_is_option(f->name, list) && !list)
            result = rest_mistake(q, e, true, f->name, "no such parameter here");
        for (size_t k = 0; k < i && rest_is_option(f->name, list); k++)
            if (str_eq(form->fields[k].name, f->name))
                result = rest_mistake(q, e, true, f->name, "given twice");
    }
    return result;
}

static int conditions(struct rest_request *q, const struct form *form, struct err *e)
{
    struct filter *all = arena_alloc(q->op.arena, sizeof *all), *one;
    int result = 0;
    if (!all || !(all->children = arena_array(q->op.arena, form->n + 1, sizeof(void *))))
        return err_memory(e);
    all->kind = FILTER_AND;
    for (size_t i = 0; i < form->n; i++) {
        struct str name = form->fields[i].name, value = form->fields[i].value;
        bool grammar = str_eqz(name, "filter");
        struct err why = {0};
        if (rest_is_option(name, true) && !grammar)
            continue;
        if (grammar ? rest_filter(q->op.arena, q->entity, value, &one, &why)
                    : rest_condition(q->op.arena, q->entity, name, value, &one, &why)) {
            if (why.code == ERR_MEMORY)
                return err_memory(e);
            result = rest_mistake(q, e, true, name, "%s", why.msg);
        } else {
            all->children[all->nchildren++] = one;
        }
    }
    if (all->nchildren)
        q->op.query.filter = all;
    return result;
}

static int number(struct rest_request *q, const struct form *form, const char *name, long long min,
                  long long max, long long *out, struct err *e)
{
    struct str text = form_get(form, name);
    if (!text.data || str_to_int(text, min, max, out))
        return 0;
    return rest_mistake(q, e, true, str_of(name), "a number from %lld to %lld", min, max);
}

// 0: absent, else 1 + the word's index; -1 with `e`.
static int word(struct rest_request *q, const struct form *form, const char *name,
                const char *const *words, size_t n, struct err *e)
{
    struct str text = form_get(form, name);
    struct buf known = BUF_INIT;
    if (!text.data)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (str_eqz(text, words[i]))
            return (int)i + 1;
    for (size_t i = 0; i < n; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    int result = rest_mistake(q, e, true, str_of(name), "one of %s", known.data ? known.data : "");
    buf_free(&known);
    return result;
}

static int page(struct rest_request *q, const struct form *form, bool list, struct err *e)
{
    static const char *const deleted[] = {"no", "only", "any"}, *const truth[] = {"true", "false"};
    struct query *query = &q->op.query;
    query->limit = list ? REST_PAGE : -1;
    int gone = word(q, form, "deleted", deleted, 3, e), count = 0;
    if (gone > 0)
        query->deleted = (enum deleted_mode)(gone - 1);
    if (gone < 0 || !list)
        return gone < 0 ? -1 : 0;
    if (number(q, form, "limit", 1, REST_PAGE_MAX, &query->limit, e) ||
        number(q, form, "offset", 0, 1000000000, &query->offset, e) ||
        (count = word(q, form, "count", truth, 2, e)) < 0)
        return -1;
    q->op.want_total = count == 1;
    if (form_get(form, "cursor").data && form_get(form, "offset").data)
        return rest_mistake(q, e, true, STR("offset"), "a cursor and an offset exclude each other");
    return 0;
}

// A cursor belongs to one resource with its conditions and its order.
static void hash_query(struct rest_request *q, const struct form *form)
{
    static const char *const free_to_change[] = {"limit", "cursor", "fields", "expand", "count"};
    XXH64_hash_t h = XXH3_64bits(q->http->path.data, q->http->path.len);
    for (size_t i = 0; i < form->n; i++) {
        const struct form_field *f = &form->fields[i];
        bool skip = false;
        for (size_t k = 0; k < sizeof free_to_change / sizeof free_to_change[0]; k++)
            skip = skip || str_eqz(f->name, free_to_change[k]);
        if (skip)
            continue;
        h = XXH3_64bits_withSeed(f->name.data, f->name.len, h + 1);
        h = XXH3_64bits_withSeed(f->value.data, f->value.len, h + 2);
    }
    q->query_hash = h;
}

// The fields that the next cursor is made of are read too.
static void add_hidden(struct rest_request *q)
{
    struct query *query = &q->op.query;
    const struct field **list = (const struct field **)(uintptr_t)query->fields;
    for (size_t i = 0; i < query->norder; i++)
        if (!among(list, query->nfields, query->order[i].field))
            list[query->nfields++] = query->order[i].field;
    for (size_t i = 0; i < q->entity->nkeys; i++)
        if (!among(list, query->nfields, q->entity->keys[i]))
            list[query->nfields++] = q->entity->keys[i];
}

int rest_query(struct rest_request *q, struct err *e)
{
    struct form form = {0};
    bool list = q->op.kind == OPERATION_LIST;
    if (q->http->query.data && form_parse_urlencoded(q->http->query, q->op.arena, &form, e))
        return -1;
    q->op.query.entity = q->entity;
    if (check_names(q, &form, list, e))
        return -1;
    struct str order = form_get(&form, "sort"), expand = form_get(&form, "expand");
    struct str cursor = form_get(&form, "cursor");
    int bad = fields(q, form_get(&form, "fields"), e);
    bad |= page(q, &form, list, e);
    bad |= order.data && list && sort(q, order, e);
    bad |= expand.data && rest_expand_parse(q, expand, e);
    bad |= list && conditions(q, &form, e);
    if (bad)
        return -1;
    q->op.want_version = !list && !q->weak && !q->expand;
    q->weak = !q->op.want_version;
    if (!list)
        return 0;
    hash_query(q, &form);
    q->can_seek = rest_cursor_can(&q->op.query) && q->op.query.offset == 0;
    if (q->can_seek)
        add_hidden(q);
    return cursor.data ? rest_cursor_take(q, cursor, e) : 0;
}
