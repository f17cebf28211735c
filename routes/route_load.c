// SPDX-License-Identifier: Apache-2.0
// Loads route definitions. Every mistake is reported with file, line and pointer; a table with
// any mistake is no table.
//
//   {"groups": {"sales": {"entities": ["account", ..], "rogue": "refuse" | "report"}},
//    "routes": {"account": {"entity": "account", "operations": ["read", "write", "relate"],
//               "legacy": {"backend": "odbc"}, "new": {"backend": "http", "url": ".."}}},
//    "mounts": [{"dialect": "v4_1", "path": "/service/v4_1/rest.php", "options": {..}}],
//    "upstreams": {..}, "passthrough": "..", "match": [..]}   (upstream_load.c, match_load.c)
#include "routes/route_int.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_GROUP ((size_t)-1)
#define AT_MAX   320

struct load {
    struct json_doc doc;
    struct problems *p;
    const struct entity_set *set;
    struct definitions *def;
    struct route_table *t;
    size_t *group_of_route;
};

static const char *keep(struct load *l, const char *text)
{
    return arena_strz(l->def->arena, str_of(text));
}

const char *route_expand(struct definitions *def, const struct json_doc *doc, const char *at,
                         const char *text, struct problems *p)
{
    struct buf out = BUF_INIT;
    const char *from = text, *start;
    while ((start = strstr(from, "${env:")) != NULL) {
        const char *end = strchr(start, '}');
        char name[128];
        if (!end || str_copy(name, sizeof name, str_n(start + 6, (size_t)(end - start) - 6)))
            break;
        const char *value = getenv(name);
        if (!value)
            problems_add(p, doc, at, "environment variable %s is not set", name);
        buf_add(&out, from, (size_t)(start - from));
        buf_addz(&out, value ? value : "");
        from = end + 1;
    }
    buf_addz(&out, from);
    const char *kept = out.data ? arena_strz(def->arena, buf_str(&out)) : NULL;
    buf_free(&out);
    return kept;
}

static const char *expand(struct load *l, const char *at, const char *text)
{
    return route_expand(l->def, &l->doc, at, text, l->p);
}

// ---------------------------------------------------------------- groups

static bool in_group(const struct group *g, const struct entity *en)
{
    for (size_t i = 0; i < g->nentities; i++)
        if (g->entities[i] == en)
            return true;
    return false;
}

static void load_members(struct load *l, struct group *g, const json_t *list, const char *at)
{
    size_t n = json_array_size(list);
    g->entities = arena_array(l->def->arena, n + 1, sizeof *g->entities);
    if (n == 0 || !g->entities) {
        problems_add(l->p, &l->doc, at, "a group needs a list of entities");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char here[AT_MAX + 48];
        const char *name = json_string_value(json_array_get(list, i));
        const struct entity *en = name ? entity_find(l->set, str_of(name)) : NULL;
        snprintf(here, sizeof here, "%s/%zu", at, i);
        if (!en)
            problems_add(l->p, &l->doc, here, "no entity map '%s'", name ? name : "?");
        else if (in_group(g, en) || group_of(l->t, en))
            problems_add(l->p, &l->doc, here, "entity '%s' is in a group already", name);
        else
            g->entities[g->nentities++] = en;
    }
}

// What tells that a write has arrived stands behind it in the changelog that triggers keep.
static void load_writes(struct load *l, struct group *g, const char *writes, const char *at)
{
    g->dual = strcmp(writes, "dual") == 0;
    if (!g->dual && strcmp(writes, "owner") != 0)
        problems_add(l->p, &l->doc, at, "writes is 'owner' or 'dual'");
    for (size_t i = 0; i < g->nentities && g->dual; i++)
        if (!entity_has_changelog(g->entities[i]))
            problems_add(l->p, &l->doc, at,
                         "writes cannot be 'dual': entity '%s' has no changelog by triggers",
                         g->entities[i]->name);
}

static void load_groups(struct load *l, json_t *groups)
{
    static const char *const known[] = {"entities", "rogue", "approval", "writes", NULL};
    const char *name;
    json_t *def;
    json_object_foreach(groups, name, def)
    {
        char at[AT_MAX], list[AT_MAX + 16];
        const char *rogue, *approval, *writes;
        struct group *g = &l->t->groups[l->t->ngroups];
        snprintf(at, sizeof at, "/groups/%.200s", name);
        snprintf(list, sizeof list, "%s/entities", at);
        *g = (struct group){.name = keep(l, name), .index = (unsigned)l->t->ngroups};
        json_only_keys(&l->doc, def, at, known, l->p);
        load_members(l, g, json_object_get(def, "entities"), list);
        if (json_get_str(&l->doc, def, at, "rogue", "refuse", &rogue, l->p) == 0) {
            g->rogue_allowed = strcmp(rogue, "report") == 0;
            if (!g->rogue_allowed && strcmp(rogue, "refuse") != 0)
                problems_add(l->p, &l->doc, at, "rogue is 'refuse' or 'report'");
        }
        if (json_get_str(&l->doc, def, at, "approval", "one", &approval, l->p) == 0) {
            g->approval = strcmp(approval, "two") == 0;
            if (!g->approval && strcmp(approval, "one") != 0)
                problems_add(l->p, &l->doc, at, "approval is 'one' or 'two' (persons)");
        }
        if (json_get_str(&l->doc, def, at, "writes", "owner", &writes, l->p) == 0)
            load_writes(l, g, writes, at);
        l->t->ngroups++;
    }
}

// ---------------------------------------------------------------- routes

static void load_backend(struct load *l, struct route *r, enum side s, const json_t *def,
                         const char *at)
{
    static const char *const new_keys[] = {"backend", "url", NULL};
    static const char *const legacy_keys[] = {"backend", "application", "through", NULL};
    const char *kind, *url;
    if (!json_is_object(def)) {
        problems_add(l->p, &l->doc, at, "needs an object such as {\"backend\": \"%s\"}",
                     s == SIDE_LEGACY ? "odbc" : "postgres");
        return;
    }
    json_only_keys(&l->doc, def, at, s == SIDE_LEGACY ? legacy_keys : new_keys, l->p);
    if (json_get_str(&l->doc, def, at, "backend", NULL, &kind, l->p) ||
        json_get_str(&l->doc, def, at, "url", "", &url, l->p))
        return;
    if (strcmp(kind, "odbc") == 0 && s == SIDE_LEGACY)
        r->backend[s] = BACKEND_ODBC;
    else if (strcmp(kind, "postgres") == 0 && s == SIDE_NEW)
        r->backend[s] = BACKEND_POSTGRES;
    else if (strcmp(kind, "http") == 0 && s == SIDE_NEW)
        r->backend[s] = BACKEND_HTTP;
    else
        problems_add(l->p, &l->doc, at, "backend '%s' does not serve the %s side (%s)", kind,
                     side_name(s), s == SIDE_LEGACY ? "odbc" : "postgres or http");
    if ((r->backend[s] == BACKEND_HTTP) != (url[0] != 0))
        problems_add(l->p, &l->doc, at, "backend http needs a url, the others have none");
    else if (url[0])
        r->url[s] = expand(l, at, url);
}

static unsigned load_operations(struct load *l, const json_t *list, const char *at)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {{"read", ROUTE_READS}, {"write", ROUTE_WRITES}, {"relate", ROUTE_RELATES}};
    unsigned all = 0;
    if (!list)
        return ROUTE_ALL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        unsigned bit = 0;
        for (size_t k = 0; word && k < 3; k++)
            bit |= strcmp(word, words[k].word) == 0 ? words[k].bit : 0;
        if (!bit)
            problems_add(l->p, &l->doc, at, "operations are 'read', 'write' and 'relate'");
        all |= bit;
    }
    if (!all)
        problems_add(l->p, &l->doc, at, "a route without operations serves nothing");
    return all;
}

// What the legacy application itself answers, instead of its database.
static void load_application(struct load *l, struct route *r, const json_t *def, const char *at)
{
    const json_t *through = json_object_get(def, "through");
    const char *name;
    char here[AT_MAX + 48];
    if (json_get_str(&l->doc, def, at, "application", "", &name, l->p) || (!*name && !through))
        return;
    for (size_t i = 0; i < l->def->nupstreams; i++)
        if (strcmp(l->def->upstreams[i].name, name) == 0)
            r->application = &l->def->upstreams[i];
    if (!r->application || !json_is_array(through)) {
        problems_add(l->p, &l->doc, at,
                     "application is an upstream, and through the list of what it answers");
        return;
    }
    snprintf(here, sizeof here, "%s/through", at);
    r->through = load_operations(l, through, here);
}

// One of a few words; `*out` is its position.
static void load_word(struct load *l, const json_t *def, const char *at, const char *key,
                      const char *const *words, unsigned *out)
{
    const char *word;
    if (json_get_str(&l->doc, def, at, key, words[0], &word, l->p))
        return;
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(word, words[*out]) == 0)
            return;
    *out = 0;
    problems_add(l->p, &l->doc, at, "%s: '%s' is none of %s, %s%s%s", key, word, words[0], words[1],
                 words[2] ? ", " : "", words[2] ? words[2] : "");
}

static void load_choices(struct load *l, struct route *r, const json_t *def, const char *at)
{
    static const char *const lists[] = {"bucket", "legacy", "new", NULL};
    static const char *const retired[] = {"error", "gone", NULL};
    char part[AT_MAX + 16];
    unsigned n = 0;
    load_word(l, def, at, "lists", lists, &n);
    r->lists = (enum route_lists)n;
    load_word(l, def, at, "retired", retired, &n);
    r->retired_gone = n == 1;
    snprintf(part, sizeof part, "%s/ladder", at);
    ladder_load(&l->doc, json_object_get(def, "ladder"), part, &r->ladder, l->p);
}

static void load_route(struct load *l, const char *name, const json_t *def)
{
    static const char *const known[] = {"entity", "operations", "legacy",  "new",
                                        "lists",  "ladder",     "retired", NULL};
    char at[AT_MAX], part[AT_MAX + 16];
    const char *entity;
    struct route *r = &l->t->routes[l->t->nroutes];
    snprintf(at, sizeof at, "/routes/%.200s", name);
    json_only_keys(&l->doc, def, at, known, l->p);
    if (json_get_str(&l->doc, def, at, "entity", NULL, &entity, l->p))
        return;
    const struct entity *en = entity_find(l->set, str_of(entity));
    if (!en) {
        problems_add(l->p, &l->doc, at, "no entity map '%s'", entity);
        return;
    }
    for (size_t i = 0; i < l->t->nroutes; i++)
        if (l->t->routes[i].entity == en)
            problems_add(l->p, &l->doc, at, "entity '%s' has route '%s' already", entity,
                         l->t->routes[i].name);
    *r = (struct route){.name = keep(l, name), .entity = en};
    snprintf(part, sizeof part, "%s/operations", at);
    r->operations = load_operations(l, json_object_get(def, "operations"), part);
    snprintf(part, sizeof part, "%s/legacy", at);
    load_backend(l, r, SIDE_LEGACY, json_object_get(def, "legacy"), part);
    load_application(l, r, json_object_get(def, "legacy"), part);
    snprintf(part, sizeof part, "%s/new", at);
    load_backend(l, r, SIDE_NEW, json_object_get(def, "new"), part);
    load_choices(l, r, def, at);
    const struct group *g = group_of(l->t, en);
    l->group_of_route[l->t->nroutes++] = g ? g->index : NO_GROUP;
}

// ---------------------------------------------------------------- mounts

// Strings of a mount's options, however deep: a token comes from the environment.
static void expand_options(struct load *l, const char *at, json_t *v)
{
    const char *name;
    json_t *item;
    size_t i;
    if (json_is_string(v) && strstr(json_string_value(v), "${env:")) {
        const char *text = expand(l, at, json_string_value(v));
        if (!text || json_string_set(v, text))
            problems_add(l->p, &l->doc, at, "not text");
    }
    json_object_foreach(v, name, item) expand_options(l, at, item);
    json_array_foreach(v, i, item) expand_options(l, at, item);
}

static void load_mounts(struct load *l, const json_t *list)
{
    static const char *const known[] = {"dialect", "path", "options", NULL};
    for (size_t i = 0; i < json_array_size(list); i++) {
        char at[AT_MAX];
        const char *dialect, *path;
        const json_t *def = json_array_get(list, i);
        snprintf(at, sizeof at, "/mounts/%zu", i);
        json_only_keys(&l->doc, def, at, known, l->p);
        if (json_get_str(&l->doc, def, at, "dialect", NULL, &dialect, l->p) ||
            json_get_str(&l->doc, def, at, "path", NULL, &path, l->p))
            continue;
        if (path[0] != '/')
            problems_add(l->p, &l->doc, at, "a path starts with '/'");
        expand_options(l, at, json_object_get(def, "options"));
        l->def->mounts[l->def->nmounts++] = (struct mount){
            keep(l, dialect), keep(l, path), json_object_get(def, "options"), (unsigned)i};
    }
}

// {"header": "Ficus-Side", "users": ["1"]}
static void load_override(struct load *l, const json_t *def)
{
    static const char *const known[] = {"header", "users", NULL};
    struct route_override *o = &l->def->override;
    const json_t *users = json_object_get(def, "users");
    const char *header;
    if (!def)
        return;
    json_only_keys(&l->doc, def, "/override", known, l->p);
    if (json_get_str(&l->doc, def, "/override", "header", "Ficus-Side", &header, l->p))
        return;
    const char **list = arena_array(l->def->arena, json_array_size(users) + 1, sizeof *list);
    for (size_t i = 0; list && i < json_array_size(users); i++) {
        const char *user = json_string_value(json_array_get(users, i));
        if (user && *user)
            list[o->nusers++] = keep(l, user);
        else
            problems_add(l->p, &l->doc, "/override/users", "a user is the text of its id");
    }
    o->users = list;
    o->header = keep(l, header);
}

static int allocate(struct load *l)
{
    size_t routes = json_object_size(json_object_get(l->doc.root, "routes"));
    size_t groups = json_object_size(json_object_get(l->doc.root, "groups"));
    size_t mounts = json_array_size(json_object_get(l->doc.root, "mounts"));
    if (routes > ROUTES_MAX || groups > GROUPS_MAX || mounts > MOUNTS_MAX) {
        problems_add(l->p, &l->doc, "", "at most %d routes, %d groups and %d mounts", ROUTES_MAX,
                     GROUPS_MAX, MOUNTS_MAX);
        return -1;
    }
    l->def = calloc(1, sizeof *l->def);
    if (!l->def || !(l->def->arena = arena_create(0))) {
        free(l->def);
        return -1;
    }
    l->def->set = l->set;
    l->def->root = json_incref(l->doc.root);
    l->def->mounts = arena_array(l->def->arena, mounts + 1, sizeof *l->def->mounts);
    l->t = route_table_alloc(l->def, routes, groups);
    l->group_of_route = calloc(routes + 1, sizeof *l->group_of_route);
    if (!l->def->mounts || !l->t || !l->group_of_route)
        return -1;
    l->t->nroutes = l->t->ngroups = 0; // grow as they load
    return 0;
}

static struct route_table *load(struct load *l)
{
    static const char *const known[] = {"$schema",   "groups",      "routes", "mounts", "override",
                                        "upstreams", "passthrough", "match",  NULL};
    unsigned before = l->p->count;
    if (!json_is_object(l->doc.root)) {
        problems_add(l->p, &l->doc, "", "a route table is a JSON object");
        return NULL;
    }
    if (allocate(l)) {
        problems_addz(l->p, l->doc.file, "no memory for the route table");
        return l->t;
    }
    json_only_keys(&l->doc, l->doc.root, "", known, l->p);
    upstreams_load(l->def, &l->doc, l->p);
    load_groups(l, json_object_get(l->doc.root, "groups"));
    const char *name;
    json_t *def;
    json_object_foreach(json_object_get(l->doc.root, "routes"), name, def) load_route(l, name, def);
    load_mounts(l, json_object_get(l->doc.root, "mounts"));
    load_override(l, json_object_get(l->doc.root, "override"));
    match_load(l->def, &l->doc, l->p);
    if (l->p->count == before && route_table_index(l->t, l->group_of_route))
        problems_add(l->p, &l->doc, "/routes", "a route's entity is not in the set");
    return l->t;
}

static struct route_table *load_whole(struct load *l, unsigned before)
{
    struct route_table *t = load(l);
    free(l->group_of_route);
    json_doc_free(&l->doc);
    if (l->p->count > before) {
        route_table_unref(t);
        return NULL;
    }
    return t;
}

struct route_table *route_table_load(const char *file, const struct entity_set *set,
                                     struct problems *p)
{
    struct load l = {.p = p, .set = set};
    unsigned before = p->count;
    return json_doc_load(&l.doc, file, p) ? NULL : load_whole(&l, before);
}

struct route_table *route_table_parse(struct str text, const char *name,
                                      const struct entity_set *set, struct problems *p)
{
    struct load l = {.p = p, .set = set};
    unsigned before = p->count;
    return json_doc_parse(&l.doc, name, text, p) ? NULL : load_whole(&l, before);
}
