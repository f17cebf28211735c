// SPDX-License-Identifier: Apache-2.0
// Records as the v4_1 dialect shows them: which columns, in which order, and the JSON of
// entries and of their links. Owns nothing; pure functions, any thread.
//
// dialects.v4_1.flags of a map: {NAME: {"after": F, "of": F, "label": TEXT}}, what the legacy
// shows as true or false and no column holds: whether `of` is set and neither 0 nor -1; without
// `of` it is false.
//
// A map without members is [] in PHP's JSON, so an empty name_value_list is an array.
#include "facade/dialect/v4_1_int.h"

#include <stdlib.h>

const json_t *v4_1_field_hint(const struct field *f)
{
    return f->dialects ? json_object_get(f->dialects, "v4_1") : NULL;
}

const char *v4_1_field_type(const struct field *f)
{
    const char *type = json_string_value(json_object_get(v4_1_field_hint(f), "type"));

    return type ? type : "";
}

// ---- columns

static size_t read_at(struct v4_1_columns *cols, const struct field *f)
{
    size_t i = 0;

    while (i < cols->nfields && cols->fields[i] != f)
        i++;
    if (i == cols->nfields)
        cols->fields[cols->nfields++] = f;
    return i;
}

static void add_field(struct v4_1_columns *cols, const struct field *f)
{
    struct v4_1_column *col = &cols->list[cols->n++];

    *col = (struct v4_1_column){
        .name = f->name,
        .name_len = strlen(f->name),
        .field = f,
        .pair = cols->module->pairs[f->index],
        .related = !f->secret && f->place[SIDE_LEGACY].kind == PLACE_LOOKUP &&
                   strcmp(v4_1_field_type(f), "relate") == 0,
    };
    if (!f->secret) {
        col->at[0] = read_at(cols, f);
        col->nat = 1;
    }
}

static void add_composed(struct v4_1_columns *cols)
{
    struct v4_1_column *col = &cols->list[cols->n++];

    *col = (struct v4_1_column){.name = "name", .name_len = 4};
    for (size_t i = 0; i < cols->module->nparts && i < sizeof(col->at) / sizeof(col->at[0]); i++)
        col->at[col->nat++] = read_at(cols, cols->module->parts[i]);
}

static void add_flag(struct v4_1_columns *cols, const char *name, const json_t *flag)
{
    struct v4_1_column *col = &cols->list[cols->n++];
    const char *of = json_string_value(json_object_get(flag, "of"));
    const struct field *f = of ? entity_field(cols->module->entity, str_of(of)) : NULL;

    *col = (struct v4_1_column){.name = name, .name_len = strlen(name), .flag = flag};
    if (f && !f->secret)
        col->at[col->nat++] = read_at(cols, f);
}

static bool names_text(const json_t *select, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach(select, i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
            return true;
    }
    return false;
}

// The flags whose place is behind `f`.
static void add_flags(struct v4_1_columns *cols, const struct field *f, const json_t *select,
                      bool all)
{
    const char *name;
    json_t *flag;

    json_object_foreach(json_object_get(cols->module->hint, "flags"), name, flag)
    {
        const char *after = json_string_value(json_object_get(flag, "after"));
        if (after && strcmp(after, f->name) == 0 && (all || names_text(select, name)))
            add_flag(cols, name, flag);
    }
}

static int columns_init(const struct v4_1_module *m, size_t nlist, struct arena *a,
                        struct v4_1_columns *out, struct err *e)
{
    const struct entity *en = m->entity;

    *out = (struct v4_1_columns){.module = m};
    out->list = arena_array(a, nlist + 1, sizeof(*out->list));
    out->fields = arena_array(a, en->nfields + 1, sizeof(*out->fields));
    if (!out->list || !out->fields)
        return err_memory(e);
    for (size_t i = 0; i < en->nkeys; i++)
        (void)read_at(out, en->keys[i]);
    return 0;
}

// Which of the entity's fields a list of names asks for; the last flag is the composed name.
static void mark(const struct v4_1_module *m, const json_t *select, bool *wanted)
{
    size_t i;
    json_t *v;
    const struct entity *en = m->entity;

    json_array_foreach(select, i, v)
    {
        const char *name = json_string_value(v);
        if (!name)
            continue;
        const struct field *f = entity_field(en, str_of(name));
        if (f)
            wanted[f->index] = true;
        else if (m->parts && strcmp(name, "name") == 0)
            wanted[en->nfields] = true;
    }
}

// A copy: links may come to read more fields.
static int copy_all(const struct v4_1_module *m, struct arena *a, struct v4_1_columns *out,
                    struct err *e)
{
    if (columns_init(m, m->all->n, a, out, e) < 0)
        return -1;
    memcpy(out->list, m->all->list, m->all->n * sizeof(*out->list));
    memcpy(out->fields, m->all->fields, m->all->nfields * sizeof(*out->fields));
    out->n = m->all->n;
    out->nfields = m->all->nfields;
    return 0;
}

int v4_1_columns_of_entry(const struct v4_1_module *m, const json_t *select, struct arena *a,
                          struct v4_1_columns *out, struct err *e)
{
    const struct entity *en = m->entity;
    bool all = !json_is_array(select) || json_array_size(select) == 0;

    if (all && m->all)
        return copy_all(m, a, out, e);
    size_t flags = json_object_size(json_object_get(m->hint, "flags"));
    bool *wanted = arena_array(a, en->nfields + 1, sizeof(*wanted));
    if (!wanted || columns_init(m, en->nfields + 1 + flags, a, out, e) < 0)
        return err_memory(e);
    if (!all)
        mark(m, select, wanted);
    for (size_t i = 0; i < en->nfields; i++) {
        if (all || wanted[i])
            add_field(out, &en->fields[i]);
        if (en->fields[i].key && m->parts && (all || wanted[en->nfields]))
            add_composed(out);
        add_flags(out, &en->fields[i], select, all);
    }
    return 0;
}

int v4_1_columns_prepare(struct v4_1_module *m, struct arena *a, struct err *e)
{
    const struct entity *en = m->entity;
    struct str *pairs = arena_array(a, en->nfields + 1, sizeof(*pairs));
    struct v4_1_columns *all = arena_alloc(a, sizeof(*all));
    struct buf text = BUF_INIT;
    int result = pairs && all ? 0 : err_memory(e);

    for (size_t i = 0; i < en->nfields && result == 0; i++) {
        buf_reset(&text);
        v4_1_add_pair(&text, str_of(en->fields[i].name));
        pairs[i] = arena_str(a, buf_str(&text));
        result = text.failed || !pairs[i].data ? err_memory(e) : 0;
    }
    buf_free(&text);
    m->pairs = pairs;
    if (result == 0)
        result = v4_1_columns_of_entry(m, NULL, a, all, e);
    if (result == 0)
        m->all = all;
    return result;
}

static void add_unknown(struct v4_1_columns *cols, struct str name, struct arena *a)
{
    const char *z = arena_strz(a, name);

    if (z)
        cols->list[cols->n++] = (struct v4_1_column){.name = z, .name_len = name.len};
}

static bool has_column(const struct v4_1_columns *cols, struct str name)
{
    for (size_t i = 0; i < cols->n; i++)
        if (str_eq(str_n(cols->list[i].name, cols->list[i].name_len), name))
            return true;
    return false;
}

static void add_named(struct v4_1_columns *cols, struct str name, struct arena *a)
{
    const struct v4_1_module *m = cols->module;
    const struct field *f = entity_field(m->entity, name);
    json_t *flags = json_object_get(m->hint, "flags");
    const char *known;
    json_t *flag;

    if (has_column(cols, name))
        return;
    json_object_foreach(flags, known, flag)
    {
        if (str_eqz(name, known)) {
            add_flag(cols, known, flag);
            return;
        }
    }
    if (f)
        add_field(cols, f);
    else if (m->parts && str_eqz(name, "name"))
        add_composed(cols);
    else
        add_unknown(cols, name, a);
}

int v4_1_columns_of_link(const struct v4_1_module *m, const json_t *select, struct arena *a,
                         struct v4_1_columns *out, struct err *e)
{
    size_t i, max = json_is_array(select) ? json_array_size(select) : 0;
    json_t *v;

    // Names beyond the fields that there are can only be unknown; a client needs no thousands.
    if (max > m->entity->nfields + 64)
        max = m->entity->nfields + 64;
    if (columns_init(m, max, a, out, e) < 0)
        return -1;
    json_array_foreach(select, i, v)
    {
        if (json_is_string(v) && out->n < max)
            add_named(out, str_n(json_string_value(v), json_string_length(v)), a);
    }
    return 0;
}

int v4_1_columns_named(const struct v4_1_module *m, const struct str *names, size_t n,
                       struct arena *a, struct v4_1_columns *out, struct err *e)
{
    if (columns_init(m, n, a, out, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        add_named(out, names[i], a);
    return 0;
}

// ---- links

const json_t *v4_1_made_link(const struct v4_1_module *m, struct str name)
{
    const json_t *links = json_object_get(m->hint, "links");

    return links && name.data ? json_object_getn(links, name.data, name.len) : NULL;
}

// A column of a made link: a field that the entry reads, or "".
static void add_made_column(struct v4_1_columns *cols, const json_t *fields, struct str name,
                            struct v4_1_columns *of, struct arena *a)
{
    const json_t *to = json_object_getn(fields, name.data, name.len);
    const struct field *f = json_is_string(to)
                                ? entity_field(of->module->entity, str_of(json_string_value(to)))
                                : NULL;

    if (has_column(cols, name))
        return;
    size_t before = cols->n;
    add_unknown(cols, name, a);
    if (!f || f->secret || cols->n == before)
        return;
    cols->list[before].field = f;
    cols->list[before].at[0] = read_at(of, f);
    cols->list[before].nat = 1;
}

int v4_1_link_made(const json_t *hint, struct v4_1_columns *of, const json_t *select,
                   struct arena *a, struct v4_1_link *out, struct err *e)
{
    const char *when = json_string_value(json_object_get(hint, "when"));
    const struct field *f = when ? entity_field(of->module->entity, str_of(when)) : NULL;
    size_t i, max = json_is_array(select) ? json_array_size(select) : 0;
    struct v4_1_module *m = arena_alloc(a, sizeof(*m));
    json_t *v;

    if (!f || f->secret)
        return 0;
    if (max > 64)
        max = 64;
    out->columns.list = arena_array(a, max + 1, sizeof(*out->columns.list));
    if (!m || !out->columns.list)
        return err_memory(e);
    *m = *of->module;
    m->email = NULL; // which reads raw in an entry only
    out->columns.module = m;
    out->made = true;
    out->when = read_at(of, f);
    json_array_foreach(select, i, v)
    {
        if (json_is_string(v) && out->columns.n < max)
            add_made_column(&out->columns, json_object_get(hint, "fields"),
                            str_n(json_string_value(v), json_string_length(v)), of, a);
    }
    return 0;
}

static int take_link(const struct dialect_mount *mount, struct v4_1_columns *of,
                     const json_t *wanted, struct arena *a, struct v4_1_links *out, struct err *e)
{
    const struct v4_1_module *m = of->module;
    const json_t *name = json_object_get(wanted, "name");
    struct v4_1_link *link = &out->list[out->n];

    if (!json_is_string(name))
        return 0;
    link->name = str_n(json_string_value(name), json_string_length(name));
    link->expansion = -1;
    out->n++;
    const struct relationship *rel = entity_relationship(m->entity, link->name);
    const struct v4_1_module *target = rel ? v4_1_module_of(mount, rel->target) : NULL;
    const json_t *made = target ? NULL : v4_1_made_link(m, link->name);
    if (made)
        return v4_1_link_made(made, of, json_object_get(wanted, "value"), a, link, e);
    if (!target)
        return 0;
    if (v4_1_columns_of_link(target, json_object_get(wanted, "value"), a, &link->columns, e) < 0)
        return -1;
    link->expansion = (int)out->nexpansions;
    out->expansions[out->nexpansions++] = (struct expansion){.relationship = rel,
                                                             .fields = link->columns.fields,
                                                             .nfields = link->columns.nfields,
                                                             .limit = -1};
    return 0;
}

int v4_1_links_of(const struct dialect_mount *mount, struct v4_1_columns *of, const json_t *wanted,
                  struct arena *a, struct v4_1_links *out, struct err *e)
{
    size_t i, n = json_is_array(wanted) ? json_array_size(wanted) : 0;
    json_t *v;

    *out = (struct v4_1_links){0};
    if (n == 0)
        return 0;
    if (n > 64)
        return err_set(e, ERR_LIMIT, "more than 64 links in one call");
    out->list = arena_array(a, n, sizeof(*out->list));
    out->expansions = arena_array(a, n, sizeof(*out->expansions));
    if (!out->list || !out->expansions)
        return err_memory(e);
    json_array_foreach(wanted, i, v)
    {
        if (take_link(mount, of, v, a, out, e) < 0)
            return -1;
    }
    return 0;
}

// ---- values

static bool is_double(const struct field *f)
{
    return f->type == TYPE_FLOAT ||
           (f->type == TYPE_DECIMAL && f->place[SIDE_LEGACY].storage == COLUMN_FLOAT);
}

static void add_text(struct buf *out, struct str s)
{
    struct buf scratch = BUF_INIT;

    v4_1_add_encoded(out, s, &scratch);
    buf_free(&scratch);
}

static void add_double_text(struct buf *out, struct value v)
{
    char z[400];

    if (str_copy(z, sizeof(z), value_str(v)) < 0) {
        buf_addjson_php(out, value_str(v));
        return;
    }
    buf_addc(out, '"');
    v4_1_add_double(out, strtod(z, NULL));
    buf_addc(out, '"');
}

void v4_1_add_value(struct buf *out, const struct v4_1_module *m, const struct field *f,
                    struct value v)
{
    if (v.state == VALUE_FOREIGN)
        add_text(out, value_str(v));
    else if (v.state != VALUE_SET || f->secret)
        buf_addz(out, "\"\"");
    else if (f == m->email)
        buf_addjson_php(out, value_str(v));
    else if (f->type == TYPE_BOOLEAN)
        buf_addz(out, str_eqz(value_str(v), "true") ? "\"1\"" : "\"0\"");
    else if (is_double(f))
        add_double_text(out, v);
    else if (f->type == TYPE_TIMESTAMP && v.len > 19)
        buf_addjson_php(out, str_n(v.data, 19));
    else
        add_text(out, value_str(v));
}

// The parts that are not blank, joined by a blank.
static void add_composed_value(struct buf *out, const struct v4_1_column *col,
                               const struct record *r)
{
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < col->nat; i++) {
        struct str part = str_trim(value_str(r->values[col->at[i]]));
        if (part.len > 0 && text.len > 0)
            buf_addc(&text, ' ');
        buf_addstr(&text, part);
    }
    out->failed |= text.failed;
    add_text(out, buf_str(&text));
    buf_free(&text);
}

static bool flag_is_on(const struct v4_1_column *col, const struct record *r)
{
    struct value v = col->nat > 0 ? r->values[col->at[0]] : value_null();

    return v.state == VALUE_SET && v.len > 0 && !str_eqz(value_str(v), "0") &&
           !str_eqz(value_str(v), "-1");
}

void v4_1_add_column_value(struct buf *out, const struct v4_1_columns *cols,
                           const struct v4_1_column *col, const struct record *r)
{
    if (col->flag)
        buf_addz(out, flag_is_on(col, r) ? "true" : "false");
    else if (col->nat == 0)
        buf_addz(out, "\"\"");
    else if (!col->field)
        add_composed_value(out, col, r);
    else
        v4_1_add_value(out, cols->module, col->field, r->values[col->at[0]]);
}

void v4_1_add_column(struct buf *out, const struct v4_1_columns *cols,
                     const struct v4_1_column *col, const struct record *r)
{
    if (col->pair.len > 0)
        buf_addstr(out, col->pair);
    else
        v4_1_add_pair(out, str_n(col->name, col->name_len));
    v4_1_add_column_value(out, cols, col, r);
    buf_addc(out, '}');
}

void v4_1_add_pair(struct buf *out, struct str name)
{
    buf_addjson_php(out, name);
    buf_addz(out, ":{\"name\":");
    buf_addjson_php(out, name);
    buf_addz(out, ",\"value\":");
}

// A field that comes by a join is not there at all when there is nothing to join.
static bool is_missing(const struct v4_1_column *col, const struct record *r)
{
    return col->related && r->values[col->at[0]].state == VALUE_NULL;
}

static void add_name_values(struct buf *out, const struct v4_1_columns *cols,
                            const struct record *r, bool entry)
{
    size_t n = 0;

    for (size_t i = 0; i < cols->n; i++) {
        if (entry && is_missing(&cols->list[i], r))
            continue;
        buf_addc(out, n++ == 0 ? '{' : ',');
        v4_1_add_column(out, cols, &cols->list[i], r);
    }
    buf_addz(out, n == 0 ? "[]" : "}");
}

void v4_1_add_entry(struct buf *out, const struct v4_1_columns *cols, const struct record *r)
{
    buf_addz(out, "{\"id\":");
    buf_addjson_php(out, value_str(r->values[0]));
    buf_addz(out, ",\"module_name\":");
    buf_addjson_php(out, str_of(cols->module->name));
    buf_addz(out, ",\"name_value_list\":");
    add_name_values(out, cols, r, true);
    buf_addc(out, '}');
}

void v4_1_add_missing(struct buf *out, const struct v4_1_module *m, struct str id)
{
    buf_addz(out, "{\"id\":");
    buf_addjson_php(out, id);
    buf_addz(out, ",\"module_name\":");
    buf_addjson_php(out, str_of(m->name));
    buf_addz(out, ",\"name_value_list\":[{\"name\":\"warning\",\"value\":\"Access to this object "
                  "is denied since it has been deleted or does not exist\"},"
                  "{\"name\":\"deleted\",\"value\":\"1\"}]}");
}

bool v4_1_link_has(const struct v4_1_link *link, const struct record *r)
{
    return link->made && r->values[link->when].state == VALUE_SET && r->values[link->when].len > 0;
}

void v4_1_add_made(struct buf *out, const struct v4_1_link *link, const struct record *r)
{
    add_name_values(out, &link->columns, r, false);
}

static void add_link_records(struct buf *out, const struct v4_1_link *link, const struct record *r,
                             bool wrapped)
{
    if (v4_1_link_has(link, r)) {
        buf_addz(out, wrapped ? "{\"link_value\":" : "");
        v4_1_add_made(out, link, r);
        buf_addz(out, wrapped ? "}" : "");
    }
    if (link->expansion < 0 || !r->related)
        return;
    const struct record_set *set = &r->related[link->expansion];
    for (size_t i = 0; i < set->n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        if (wrapped)
            buf_addz(out, "{\"link_value\":");
        add_name_values(out, &link->columns, &set->rows[i], false);
        if (wrapped)
            buf_addc(out, '}');
    }
}

void v4_1_add_links(struct buf *out, const struct v4_1_links *links, const struct record *r,
                    bool wrapped)
{
    if (wrapped)
        buf_addz(out, "{\"link_list\":");
    buf_addc(out, '[');
    for (size_t i = 0; i < links->n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        buf_addz(out, "{\"name\":");
        buf_addjson_php(out, links->list[i].name);
        buf_addz(out, ",\"records\":[");
        add_link_records(out, &links->list[i], r, wrapped);
        buf_addz(out, "]}");
    }
    buf_addc(out, ']');
    if (wrapped)
        buf_addc(out, '}');
}
