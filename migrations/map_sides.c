// SPDX-License-Identifier: Apache-2.0
// One side of a map: root table, extensions, looked-up paths with their write statements, or a
// service's URL. Nothing of fields. Thread: the loader's.
#include "migrations/map_int.h"

#include <stdio.h>

static void add_extensions(struct map_job *j, const json_t *side, const char *at,
                           struct side_map *m)
{
    static const char *const known[] = {"table", "key", "comment", NULL};
    const json_t *list = map_list(j, side, at, "extensions");
    size_t n = json_array_size(list);
    struct extension *ext = map_array(j, n, sizeof(*ext));
    if (!ext || !list)
        return;
    m->extensions = ext;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *here = map_at_index(j, map_at(j, at, "extensions"), i);
        const char *table, *key;
        json_only_keys(j->doc, one, here, known, j->p);
        if (json_get_str(j->doc, one, here, "table", NULL, &table, j->p) < 0 ||
            json_get_str(j->doc, one, here, "key", NULL, &key, j->p) < 0)
            continue;
        ext[m->nextensions++] = (struct extension){table, key};
    }
}

// "root.id", "0.email_address_id": a column of the root or of an earlier step.
static bool take_ref(struct map_job *j, const char *text, size_t steps_before, const char *at,
                     int *step, const char **column)
{
    const char *dot = strchr(text, '.');
    long long n = -1;
    if (!dot || !dot[1])
        goto bad;
    if (strncmp(text, "root.", 5) != 0 &&
        !str_to_int(str_n(text, (size_t)(dot - text)), 0, MAP_STEPS_MAX, &n))
        goto bad;
    if (n >= (long long)steps_before)
        goto bad;
    *step = (int)n;
    *column = dot + 1;
    return true;
bad:
    problems_add(j->p, j->doc, at,
                 "\"%s\" must be \"root.COLUMN\" or \"N.COLUMN\" with N a step before this one",
                 text);
    return false;
}

static void add_on(struct map_job *j, const json_t *step, const char *at, size_t before,
                   struct lookup_step *out)
{
    const json_t *on = map_object(j, step, at, "on");
    size_t n = json_object_size(on);
    struct lookup_on *list = map_array(j, n, sizeof(*list));
    if (!list)
        return;
    if (n == 0)
        problems_add(j->p, j->doc, at, "wants \"on\": {column: \"root.COLUMN\"}");
    const char *column;
    json_t *v;
    json_object_foreach((json_t *)on, column, v)
    {
        struct lookup_on *o = &list[out->non];
        const char *here = map_at(j, map_at(j, at, "on"), column);
        if (!json_is_string(v))
            problems_add(j->p, j->doc, here, "must be a string");
        else if (take_ref(j, json_string_value(v), before, here, &o->ref_step, &o->ref_column)) {
            o->column = column;
            out->non++;
        }
    }
    out->on = list;
}

// A literal as SQL text, ready for its side (booleans differ).
static const char *literal_sql(struct map_job *j, const json_t *v, enum side side, const char *at)
{
    struct buf b = BUF_INIT;
    switch (json_typeof(v)) {
    case JSON_STRING:
        buf_addc(&b, '\'');
        for (const char *z = json_string_value(v); *z; z++) {
            if (*z == '\'')
                buf_addc(&b, '\'');
            buf_addc(&b, *z);
        }
        buf_addc(&b, '\'');
        break;
    case JSON_INTEGER: buf_addint(&b, json_integer_value(v)); break;
    case JSON_TRUE:
    case JSON_FALSE:
        if (side == SIDE_LEGACY)
            buf_addc(&b, json_is_true(v) ? '1' : '0');
        else
            buf_addz(&b, json_is_true(v) ? "true" : "false");
        break;
    default: problems_add(j->p, j->doc, at, "must be a string, an integer or a boolean");
    }
    const char *sql = b.len > 0 ? arena_strz(j->set->arena, buf_str(&b)) : NULL;
    buf_free(&b);
    return sql;
}

static void add_where(struct map_job *j, const json_t *step, const char *at, enum side side,
                      struct lookup_step *out)
{
    const json_t *where = map_object(j, step, at, "where");
    struct lookup_where *list = map_array(j, json_object_size(where), sizeof(*list));
    const char *column;
    json_t *v;
    if (!list)
        return;
    json_object_foreach((json_t *)where, column, v)
    {
        const char *sql = literal_sql(j, v, side, map_at(j, map_at(j, at, "where"), column));
        if (sql)
            list[out->nwhere++] = (struct lookup_where){column, str_of(sql)};
    }
    out->where = list;
}

static void add_lookup(struct map_job *j, const char *name, const json_t *one, const char *at,
                       enum side side, struct lookup *out)
{
    static const char *const known[] = {"path", "order", "write", "comment", NULL};
    static const char *const step_known[] = {"table", "on", "where", "comment", NULL};
    out->name = name;
    json_only_keys(j->doc, one, at, known, j->p);
    const json_t *path = map_list(j, one, at, "path");
    size_t n = json_array_size(path);
    struct lookup_step *steps = map_array(j, n, sizeof(*steps));
    if (!steps)
        return;
    if (n == 0 || n > MAP_STEPS_MAX)
        problems_add(j->p, j->doc, at, "wants a \"path\" of 1 to %d tables", MAP_STEPS_MAX);
    for (size_t i = 0; i < n && i < MAP_STEPS_MAX; i++) {
        const json_t *step = json_array_get(path, i);
        const char *here = map_at_index(j, map_at(j, at, "path"), i);
        json_only_keys(j->doc, step, here, step_known, j->p);
        (void)json_get_str(j->doc, step, here, "table", NULL, &steps[i].table, j->p);
        add_on(j, step, here, i, &steps[i]);
        add_where(j, step, here, side, &steps[i]);
        out->nsteps = i + 1;
    }
    out->steps = steps;
    const char *order;
    int order_step = -1;
    if (json_get_str(j->doc, one, at, "order", NULL, &order, j->p) == 0 &&
        take_ref(j, order, out->nsteps, map_at(j, at, "order"), &order_step, &out->order_column)) {
        if (order_step < 0)
            problems_add(j->p, j->doc, map_at(j, at, "order"), "must name a step, not the root");
        out->order_step = order_step < 0 ? 0 : (unsigned)order_step;
    }
    out->writes = map_strings(j, one, at, "write", &out->nwrites);
}

static void add_lookups(struct map_job *j, const json_t *side_json, const char *at, enum side side,
                        struct side_map *m)
{
    const json_t *all = map_object(j, side_json, at, "lookups");
    struct lookup *list = map_array(j, json_object_size(all), sizeof(*list));
    const char *name;
    json_t *one;
    if (!list)
        return;
    m->lookups = list;
    json_object_foreach((json_t *)all, name, one) add_lookup(
        j, name, one, map_at(j, map_at(j, at, "lookups"), name), side, &list[m->nlookups++]);
}

void map_side(struct map_job *j, const json_t *root, enum side side)
{
    static const char *const known[] = {"root",    "extensions", "lookups", "on_delete",
                                        "service", "comment",    NULL};
    static const char *const legacy_known[] = {"root",      "extensions", "lookups",
                                               "on_delete", "also",       "capture",
                                               "comment",   "service",    NULL};
    struct side_map *m = &j->en->sides[side];
    const json_t *v = map_object(j, root, "", side_name(side));
    const char *at = side == SIDE_LEGACY ? "/legacy" : "/new";
    const char *service = "";
    if (!v) {
        if (!json_object_get(root, side_name(side)))
            problems_add(j->p, j->doc, "", "wants \"%s\": {\"root\": \"table\"}", side_name(side));
        return;
    }
    json_only_keys(j->doc, v, at, side == SIDE_LEGACY ? legacy_known : known, j->p);
    (void)json_get_str(j->doc, v, at, "service", "", &service, j->p);
    if (*service) {
        if (side == SIDE_LEGACY)
            problems_add(j->p, j->doc, "/legacy/service", "only the new side can be a service");
        if (json_object_get(v, "root"))
            problems_add(j->p, j->doc, at, "has a \"root\" table and a \"service\"; keep one");
        m->service_url = service;
        return;
    }
    (void)json_get_str(j->doc, v, at, "root", NULL, &m->root, j->p);
    add_extensions(j, v, at, m);
    add_lookups(j, v, at, side, m);
    m->on_delete = map_strings(j, v, at, "on_delete", &m->non_delete);
    if (side == SIDE_LEGACY)
        map_capture(j, v, at);
}
