// SPDX-License-Identifier: Apache-2.0
// The relationships of a map, resolved against all entities of the set. Thread: the loader's.
#include "migrations/map_int.h"

struct relation_job {
    struct map_job *j;
    const json_t *json;
    const char *at;
};

static const struct entity *entity_named(struct relation_job *r, const char *key)
{
    const char *name;
    if (json_get_str(r->j->doc, r->json, r->at, key, NULL, &name, r->j->p) < 0)
        return NULL;
    const struct entity *en = entity_find(r->j->set, str_of(name));
    if (!en)
        problems_add(r->j->p, r->j->doc, map_at(r->j, r->at, key), "no entity \"%s\"", name);
    return en;
}

// A field that a relationship compares in SQL: a column of the root on every side that has one.
static const struct field *field_named(struct relation_job *r, const struct entity *en,
                                       const char *key)
{
    const char *name;
    if (!en || json_get_str(r->j->doc, r->json, r->at, key, NULL, &name, r->j->p) < 0)
        return NULL;
    const struct field *f = entity_field(en, str_of(name));
    const char *at = map_at(r->j, r->at, key);
    if (!f) {
        problems_add(r->j->p, r->j->doc, at, "no field \"%s\" in %s", name, en->name);
        return NULL;
    }
    for (int s = 0; s < 2; s++)
        if (!en->sides[s].service_url && f->place[s].kind != PLACE_ROOT)
            problems_add(r->j->p, r->j->doc, at, "%s.%s is no column of the %s root table",
                         en->name, name, side_name((enum side)s));
    return f;
}

static void only(struct relation_job *r, const char *const *known)
{
    json_only_keys(r->j->doc, r->json, r->at, known, r->j->p);
}

static void take_foreign_key(struct relation_job *r, struct relationship *out)
{
    static const char *const known[] = {"kind",     "target",  "to_one", "field",
                                        "dialects", "comment", NULL};
    only(r, known);
    out->kind = RELATION_FOREIGN_KEY;
    out->foreign_key = field_named(r, out->to_one ? out->source : out->target, "field");
}

static void take_link(struct relation_job *r, struct relationship *out)
{
    static const char *const known[] = {"kind", "target",   "to_one",  "through", "near",
                                        "far",  "dialects", "comment", NULL};
    only(r, known);
    out->kind = RELATION_LINK;
    out->through = entity_named(r, "through");
    out->near = field_named(r, out->through, "near");
    out->far = field_named(r, out->through, "far");
    if (out->through && out->through->nkeys != 1)
        problems_add(r->j->p, r->j->doc, r->at, "%s must have a key of one field",
                     out->through->name);
}

static void take_parent(struct relation_job *r, struct relationship *out)
{
    static const char *const known[] = {"kind",  "target",   "to_one",  "type", "id",
                                        "value", "dialects", "comment", NULL};
    const struct entity *holder = out->to_one ? out->source : out->target;
    const char *value;
    only(r, known);
    out->kind = RELATION_PARENT;
    out->parent_type = field_named(r, holder, "type");
    out->parent_id = field_named(r, holder, "id");
    if (json_get_str(r->j->doc, r->json, r->at, "value", NULL, &value, r->j->p) == 0)
        out->parent_value = str_of(value);
}

static void take_one(struct relation_job *r, struct relationship *out)
{
    const char *kind;
    out->source = r->j->en;
    if (!json_is_object(r->json)) {
        problems_add(r->j->p, r->j->doc, r->at, "must be an object");
        return;
    }
    out->target = entity_named(r, "target");
    out->dialects = map_object(r->j, r->json, r->at, "dialects");
    (void)json_get_bool(r->j->doc, r->json, r->at, "to_one", false, &out->to_one, r->j->p);
    if (json_get_str(r->j->doc, r->json, r->at, "kind", NULL, &kind, r->j->p) < 0)
        return;
    if (strcmp(kind, "foreign_key") == 0)
        take_foreign_key(r, out);
    else if (strcmp(kind, "link") == 0)
        take_link(r, out);
    else if (strcmp(kind, "parent") == 0)
        take_parent(r, out);
    else
        problems_add(r->j->p, r->j->doc, map_at(r->j, r->at, "kind"),
                     "must be foreign_key, link or parent");
    if (r->j->en->nkeys != 1 || (out->target && out->target->nkeys != 1))
        problems_add(r->j->p, r->j->doc, r->at, "both entities must have a key of one field");
}

void map_relationships(struct map_job *j, const json_t *root)
{
    const json_t *all = map_object(j, root, "", "relationships");
    struct relationship *list = map_array(j, json_object_size(all), sizeof(*list));
    const char *name;
    json_t *v;
    if (!list)
        return;
    j->en->relationships = list;
    json_object_foreach((json_t *)all, name, v)
    {
        struct relation_job r = {j, v, map_at(j, "/relationships", name)};
        struct relationship *one = &list[j->en->nrelationships++];
        one->name = name;
        if (entity_field(j->en, str_of(name)))
            problems_add(j->p, j->doc, r.at, "has the name of a field");
        take_one(&r, one);
    }
}
