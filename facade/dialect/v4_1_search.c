// SPDX-License-Identifier: Apache-2.0
// search_by_module of the v4_1 dialect: a text at the beginning of any of a module's searched
// fields, module by module. Owns the state of the call. Thread: the loop of the mount.
//
//   module -> .. -> module -> reply
//
// dialects.v4_1 of a map: "search": the fields, "list": what is shown when the client names no
// fields. A module without "search" is left out, as one that the legacy's search leaves out.
// A composed name of two parts is searched as a whole too, when the text has a blank.
#include "facade/dialect/v4_1_int.h"

#define CHOICES_MAX 64 // conditions joined by OR
#define MODULES_MAX 64

struct v4_1_search {
    struct str text, pattern;
    struct str owner; // assigned user; len 0: any
    long long offset, limit;
    const struct v4_1_module *modules[MODULES_MAX];
    size_t n, next, shown;
    struct v4_1_columns columns; // of the module at work
};

struct choices {
    struct arena *arena;
    struct filter *list[CHOICES_MAX];
    size_t n;
    bool failed;
};

struct filter *v4_1_compare(struct arena *a, const struct field *f, enum text_match op,
                            struct str text)
{
    struct filter *out = arena_alloc(a, sizeof(*out));
    struct value *v = arena_alloc(a, sizeof(*v));

    if (!out || !v)
        return NULL;
    *v = value_set(text);
    *out = (struct filter){.kind = FILTER_COMPARE, .field = f, .op = op, .values = v, .nvalues = 1};
    return out;
}

struct filter *v4_1_join(struct arena *a, enum filter_kind kind, struct filter *const *children,
                         size_t n)
{
    struct filter *out = arena_alloc(a, sizeof(*out));
    struct filter **copy = arena_array(a, n + 1, sizeof(struct filter *));

    if (!out || !copy)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (!children[i])
            return NULL;
        copy[i] = children[i];
    }
    *out = (struct filter){.kind = kind, .children = copy, .nchildren = n};
    return out;
}

static void choose(struct choices *c, struct filter *f)
{
    c->failed |= !f;
    if (f && c->n < CHOICES_MAX)
        c->list[c->n++] = f;
}

// A number is searched by its value, and only by what is a number.
static void choose_field(struct choices *c, const struct v4_1_search *s, const struct field *f)
{
    struct value v;
    struct err e;

    if (f->secret)
        return;
    if (f->type == TYPE_TEXT || f->type == TYPE_ID)
        choose(c, v4_1_compare(c->arena, f, MATCH_LIKE, s->pattern));
    else if (type_parse(f, s->text, c->arena, &v, &e) == 0 && v.state == VALUE_SET)
        choose(c, v4_1_compare(c->arena, f, MATCH_EQ, value_str(v)));
}

// "Anna B" is Anna and B..., at whichever blank the name is parted.
static void choose_whole(struct choices *c, const struct v4_1_search *s, const struct field *first,
                         const struct field *last)
{
    for (size_t i = 1; i < s->pattern.len && c->n + 1 < CHOICES_MAX; i++) {
        if (s->pattern.data[i] != ' ')
            continue;
        struct filter *both[] = {
            v4_1_compare(c->arena, first, MATCH_LIKE, str_n(s->pattern.data, i)),
            v4_1_compare(c->arena, last, MATCH_LIKE,
                         str_n(s->pattern.data + i + 1, s->pattern.len - i - 1))};
        choose(c, v4_1_join(c->arena, FILTER_AND, both, 2));
    }
}

static const struct filter *search_filter(struct v4_1_call *c, const struct v4_1_module *m)
{
    const struct v4_1_search *s = c->search;
    struct choices choices = {.arena = c->arena};
    size_t i;
    json_t *name;

    json_array_foreach(json_object_get(m->hint, "search"), i, name)
    {
        const struct field *f = json_is_string(name)
                                    ? entity_field(m->entity, str_of(json_string_value(name)))
                                    : NULL;
        if (f)
            choose_field(&choices, s, f);
    }
    if (m->nparts == 2) {
        choose_whole(&choices, s, m->parts[0], m->parts[1]);
        choose_whole(&choices, s, m->parts[1], m->parts[0]);
    }
    if (choices.failed)
        return NULL;
    struct filter *any = v4_1_join(c->arena, FILTER_OR, choices.list, choices.n);
    if (s->owner.len == 0 || !m->entity->owner)
        return any;
    struct filter *both[] = {any, v4_1_compare(c->arena, m->entity->owner, MATCH_EQ, s->owner)};
    return v4_1_join(c->arena, FILTER_AND, both, 2);
}

static int search_next(struct v4_1_call *c);

// What is NULL or unknown is not there, unlike in the records of a link.
static void add_found(struct buf *out, const struct v4_1_columns *cols, const struct record *r)
{
    size_t n = 0;

    for (size_t i = 0; i < cols->n; i++) {
        const struct v4_1_column *col = &cols->list[i];
        if (col->nat == 0 || (col->field && r->values[col->at[0]].state == VALUE_NULL))
            continue;
        buf_addc(out, n++ == 0 ? '{' : ',');
        v4_1_add_column(out, cols, col, r);
    }
    buf_addz(out, n == 0 ? "[]" : "}");
}

static int found(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search;
    const struct result *res = &c->dispatch->result;
    struct buf *out = &c->body;

    if (res->status == RESULT_DENIED)
        return search_next(c); // a closed module is left out
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    buf_addz(out, s->shown++ > 0 ? ",{\"name\":" : "{\"name\":");
    buf_addjson_php(out, str_of(s->columns.module->name));
    buf_addz(out, ",\"records\":[");
    for (size_t i = 0; i < res->records.n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_found(out, &s->columns, &res->records.rows[i]);
    }
    buf_addz(out, "]}");
    return search_next(c);
}

static int search_next(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search;
    const json_t *select = c->args[6];
    struct err e;

    if (s->next == s->n) {
        buf_addz(&c->body, "]}");
        return v4_1_reply(c);
    }
    const struct v4_1_module *m = s->modules[s->next++];
    if (!json_is_array(select) || json_array_size(select) == 0)
        select = json_object_get(m->hint, "list");
    struct operation *op = v4_1_operation(c, OPERATION_LIST, m->entity);
    if (!op || v4_1_columns_of_link(m, select, c->arena, &s->columns, &e) < 0)
        return v4_1_reply_memory(c);
    op->query.fields = s->columns.fields;
    op->query.nfields = s->columns.nfields;
    op->query.filter = search_filter(c, m);
    if (!op->query.filter)
        return v4_1_reply_memory(c);
    op->query.offset = s->offset > 0 ? s->offset : 0;
    op->query.limit = s->limit;
    return v4_1_run(c, op, found);
}

// The legacy asks for one row more than it was told, to know whether there are more, and
// returns it.
static int take_page(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search;
    long long max = 0;

    if (v4_1_number(c->args[3], &s->offset) < 0 || v4_1_number(c->args[4], &max) < 0)
        return -1;
    if (max < -1 || max > V4_1_PAGE_MAX)
        s->limit = V4_1_PAGE_MAX;
    else
        s->limit = (max == -1 ? V4_1_PAGE : max) + 1;
    return 0;
}

// In the order of the modules' names, each once.
static int take_modules(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search;
    bool wanted[MODULES_MAX] = {false};
    size_t i;
    json_t *v;

    if (!json_is_array(c->args[2]) || c->mount->nmodules > MODULES_MAX)
        return -1;
    json_array_foreach(c->args[2], i, v)
    {
        const struct v4_1_module *m = json_is_string(v)
                                          ? v4_1_module(c->mount, str_n(json_string_value(v),
                                                                        json_string_length(v)))
                                          : NULL;
        if (!m || m == c->mount->users.module)
            return -1;
        wanted[m - c->mount->modules] = json_array_size(json_object_get(m->hint, "search")) > 0;
    }
    for (i = 0; i < c->mount->nmodules; i++)
        if (wanted[i])
            s->modules[s->n++] = &c->mount->modules[i];
    return 0;
}

// The text as a pattern: % and _ of the client's are wildcards, as in the legacy.
static int take_pattern(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search;
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < s->text.len; i++) {
        if (s->text.data[i] == '\\')
            buf_addc(&b, '\\');
        buf_addc(&b, s->text.data[i]);
    }
    if (s->text.data[s->text.len - 1] != '%')
        buf_addc(&b, '%');
    s->pattern = b.failed ? (struct str){0} : arena_str(c->arena, buf_str(&b));
    buf_free(&b);
    return s->pattern.data ? 0 : -1;
}

int v4_1_search_by_module(struct v4_1_call *c)
{
    struct v4_1_search *s = c->search = arena_alloc(c->arena, sizeof(*s));

    if (!s)
        return v4_1_reply_memory(c);
    if (v4_1_empty(c->args[1]))
        return v4_1_reply_text(c, "{\"entry_list\":[]}");
    if (!v4_1_text(c->args[1], c->arena, &s->text) || !v4_1_text(c->args[5], c->arena, &s->owner) ||
        s->text.len > V4_1_SEARCH_MAX || memchr(s->text.data, 0, s->text.len) || take_page(c) < 0 ||
        take_modules(c) < 0)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    s->text = str_trim(s->text);
    if (s->text.len == 0)
        return v4_1_reply_text(c, "{\"entry_list\":[]}");
    if (take_pattern(c) < 0)
        return v4_1_reply_memory(c);
    buf_addz(&c->body, "{\"entry_list\":[");
    return search_next(c);
}
