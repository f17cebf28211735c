// SPDX-License-Identifier: Apache-2.0
// "also" of a map's legacy side: the rows that a create, an update, a delete or the change of
// single fields leaves behind besides. Read once the fields are known. Thread: the loader's.
#include "migrations/map_int.h"
#include "migrations/query.h"

static void add_field(struct map_job *j, const char *name, const json_t *type, const char *at,
                      struct change_rows *out, struct change_field *list)
{
    const struct field *f = entity_field(j->en, str_of(name));
    if (!f)
        problems_add(j->p, j->doc, at, "no field \"%s\"", name);
    else if (!json_is_string(type))
        problems_add(j->p, j->doc, at, "must be a string: what :data_type says of this field");
    else if (f->key)
        problems_add(j->p, j->doc, at, "is the key, which no update changes");
    else if (f->secret)
        problems_add(j->p, j->doc, at, "is secret, so its values are not copied");
    else if (f->read_only || f->place[SIDE_LEGACY].kind == PLACE_NONE)
        problems_add(j->p, j->doc, at, "is never written on the legacy side");
    else
        list[out->nfields++] = (struct change_field){f, json_string_value(type)};
}

static void add_change(struct map_job *j, const json_t *one, const char *at,
                       struct change_rows *out)
{
    static const char *const known[] = {"fields", "sql", "comment", NULL};
    static const char *const more[] = {"field", "data_type", "before", "after", NULL};
    if (!json_is_object(one)) {
        problems_add(j->p, j->doc, at, "must be an object with \"fields\" and \"sql\"");
        return;
    }
    json_only_keys(j->doc, one, at, known, j->p);
    const json_t *fields = map_object(j, one, at, "fields");
    struct change_field *list = map_array(j, json_object_size(fields), sizeof(*list));
    const char *name;
    json_t *type;
    if (!list)
        return;
    if (json_object_size(fields) == 0)
        problems_add(j->p, j->doc, at, "wants \"fields\": {field: what :data_type says of it}");
    out->fields = list;
    json_object_foreach((json_t *)fields, name, type)
        add_field(j, name, type, map_at(j, map_at(j, at, "fields"), name), out, list);
    if (json_get_str(j->doc, one, at, "sql", NULL, &out->sql, j->p) < 0)
        return;
    if (!*out->sql)
        problems_add(j->p, j->doc, map_at(j, at, "sql"), "must be a string that is not empty");
    map_check_statement(j, out->sql, false, more, map_at(j, at, "sql"));
}

void map_also(struct map_job *j, const json_t *root)
{
    static const char *const known[] = {"create",      "update",  "delete",
                                        "each_change", "comment", NULL};
    struct also *a = &j->en->sides[SIDE_LEGACY].also;
    const json_t *side = json_object_get(root, "legacy");
    const json_t *v = json_is_object(side) ? map_object(j, side, "/legacy", "also") : NULL;
    const char *at = "/legacy/also";
    if (!v)
        return;
    json_only_keys(j->doc, v, at, known, j->p);
    if (j->en->link || j->en->read_only)
        problems_add(j->p, j->doc, at, "%s, so nothing would run this",
                     j->en->link ? "rows of a link table are written by relations only"
                                 : "clients cannot write this entity");
    for (int kind = WRITE_CREATE; kind <= WRITE_DELETE; kind++) {
        a->after[kind].sql = map_strings(j, v, at, known[kind], &a->after[kind].n);
        map_check_statements(j, a->after[kind].sql, a->after[kind].n, kind != WRITE_DELETE,
                             map_at(j, at, known[kind]));
    }
    const json_t *list = map_list(j, v, at, "each_change");
    struct change_rows *changes = map_array(j, json_array_size(list), sizeof(*changes));
    a->changes = changes;
    for (size_t i = 0; changes && i < json_array_size(list); i++)
        add_change(j, json_array_get(list, i), map_at_index(j, map_at(j, at, "each_change"), i),
                   &changes[a->nchanges++]);
}
