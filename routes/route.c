// SPDX-License-Identifier: Apache-2.0
// The route table as an immutable, reference-counted snapshot: definitions (shared) plus state
// (its own). Thread: any; a snapshot never changes after it is handed out.
#include "base/clock.h"
#include "base/log.h"
#include "routes/route_int.h"

#include <stdlib.h>
#include <xxhash.h>

#define NO_GROUP ((size_t)-1)

static const struct log_ctx log_ctx = {"routes", NULL, NULL};
static const char *const stage_names[] = {"legacy", "shadow", "canary", "new", "retired"};
static const char *const backend_names[] = {"odbc", "postgres", "http"};

const char *stage_name(enum stage s)
{
    return stage_names[s];
}

int stage_from(struct str name, enum stage *out)
{
    for (unsigned i = 0; i < sizeof stage_names / sizeof stage_names[0]; i++) {
        if (str_eqz(name, stage_names[i])) {
            *out = (enum stage)i;
            return 0;
        }
    }
    return -1;
}

bool stage_step_is_legal(enum stage from, enum stage to)
{
    return to < from || to == from + 1 || (to == from && to == STAGE_CANARY);
}

const char *backend_name(enum backend_kind k)
{
    return backend_names[k];
}

// ---------------------------------------------------------------- lifetime

struct route_table *route_table_alloc(struct definitions *def, size_t nroutes, size_t ngroups)
{
    struct route_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    atomic_init(&t->refs, 1);
    t->nroutes = nroutes;
    t->ngroups = ngroups;
    t->nentities = entity_count(def->set);
    t->routes = calloc(nroutes + 1, sizeof *t->routes);
    t->groups = calloc(ngroups + 1, sizeof *t->groups);
    t->by_entity = calloc(t->nentities + 1, sizeof *t->by_entity);
    t->def = def;
    atomic_fetch_add(&def->refs, 1);
    if (!t->routes || !t->groups || !t->by_entity) {
        route_table_unref(t);
        return NULL;
    }
    return t;
}

static size_t entity_position(const struct route_table *t, const struct entity *en)
{
    size_t low = 0, high = t->nentities;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(entity_at(t->def->set, mid)->name, en->name);
        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return t->nentities; // a spare entry that stays NULL
}

int route_table_index(struct route_table *t, const size_t *group_of_route)
{
    for (size_t i = 0; i < t->nroutes; i++) {
        struct route *r = &t->routes[i];
        r->index = (unsigned)i;
        r->group = group_of_route[i] == NO_GROUP ? NULL : &t->groups[group_of_route[i]];
        t->by_entity[entity_position(t, r->entity)] = r;
    }
    return t->by_entity[t->nentities] ? -1 : 0;
}

void route_table_ref(struct route_table *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

static void definitions_unref(struct definitions *def)
{
    if (atomic_fetch_sub(&def->refs, 1) != 1)
        return;
    json_decref(def->root);
    matcher_destroy(def->matcher);
    arena_destroy(def->arena);
    free(def);
}

void route_table_unref(struct route_table *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    definitions_unref(t->def);
    free(t->routes);
    free(t->groups);
    free(t->by_entity);
    free(t->ignored);
    free(t);
}

// ---------------------------------------------------------------- state

static void apply_route(struct route *r, const json_t *state)
{
    enum stage stage;
    const char *name = json_string_value(json_object_get(state, "stage"));
    json_int_t bp = json_integer_value(json_object_get(state, "canary_bp"));
    if (!name || stage_from(str_of(name), &stage)) {
        log_error(&log_ctx, "route %s: state without a known stage is ignored", r->name);
        return;
    }
    r->stage = stage;
    r->canary_bp = bp < 0 ? 0 : bp > 10000 ? 10000 : (unsigned)bp;
    r->since_us = json_integer_value(json_object_get(state, "since_us"));
}

static size_t count_rules(const json_t *routes)
{
    const char *name;
    json_t *state;
    size_t n = 0;
    json_object_foreach((json_t *)routes, name, state)
        n += json_array_size(json_object_get(state, "ignored"));
    return n;
}

static int apply_rules(struct route_table *t, const json_t *routes)
{
    t->ignored = calloc(count_rules(routes) + 1, sizeof *t->ignored);
    if (!t->ignored)
        return -1;
    for (size_t i = 0; i < t->nroutes; i++) {
        const struct route *r = &t->routes[i];
        size_t at;
        json_t *rule;
        json_array_foreach(json_object_get(json_object_get(routes, r->name), "ignored"), at, rule)
        {
            const char *name = json_string_value(json_object_get(rule, "field"));
            const struct field *f = name ? entity_field(r->entity, str_of(name)) : NULL;
            if (f)
                t->ignored[t->nignored++] = (struct ignore_rule){
                    r, f, json_is_true(json_object_get(rule, "any")),
                    (uint64_t)json_integer_value(json_object_get(rule, "expires_ms"))};
        }
    }
    return 0;
}

static void apply_group(struct group *g, const json_t *state)
{
    const char *owner = json_string_value(json_object_get(state, "owner"));
    const char *phase = json_string_value(json_object_get(state, "phase"));
    if (!owner || (strcmp(owner, "legacy") != 0 && strcmp(owner, "new") != 0)) {
        log_error(&log_ctx, "group %s: state without a known owner is ignored", g->name);
        return;
    }
    g->owner = strcmp(owner, "new") == 0 ? SIDE_NEW : SIDE_LEGACY;
    g->epoch = json_integer_value(json_object_get(state, "epoch"));
    g->holding = phase && strcmp(phase, "holding") == 0;
    g->hold_until_ms = (uint64_t)json_integer_value(json_object_get(state, "hold_until_ms"));
}

struct route_table *route_table_with_state(const struct route_table *t, const json_t *state,
                                           struct err *e)
{
    size_t *group_of_route = calloc(t->nroutes + 1, sizeof *group_of_route);
    struct route_table *n = route_table_alloc(t->def, t->nroutes, t->ngroups);
    if (!group_of_route || !n) {
        free(group_of_route);
        route_table_unref(n);
        err_memory(e);
        return NULL;
    }
    memcpy(n->routes, t->routes, t->nroutes * sizeof *t->routes);
    memcpy(n->groups, t->groups, t->ngroups * sizeof *t->groups);
    n->version = json_integer_value(json_object_get(state, "version"));
    n->load = json_integer_value(json_object_get(state, "load"));
    const json_t *routes = json_object_get(state, "routes");
    const json_t *groups = json_object_get(state, "groups");
    for (size_t i = 0; i < n->nroutes; i++) {
        const json_t *s = json_object_get(routes, n->routes[i].name);
        group_of_route[i] = t->routes[i].group ? t->routes[i].group->index : NO_GROUP;
        if (s)
            apply_route(&n->routes[i], s);
    }
    for (size_t i = 0; i < n->ngroups; i++) {
        const json_t *s = json_object_get(groups, n->groups[i].name);
        if (s)
            apply_group(&n->groups[i], s);
    }
    int failed = route_table_index(n, group_of_route) || apply_rules(n, routes);
    free(group_of_route);
    if (!failed)
        return n;
    err_set(e, ERR_INTERNAL, "a route's entity is not in the set, or no memory");
    route_table_unref(n);
    return NULL;
}

static json_t *rules_json(const struct route_table *t, const struct route *r)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < t->nignored; i++) {
        const struct ignore_rule *g = &t->ignored[i];
        if (g->route == r)
            json_array_append_new(rules,
                                  json_pack("{s:s, s:b, s:I}", "field", g->field->name, "any",
                                            g->any_value, "expires_ms", (json_int_t)g->expires_ms));
    }
    return rules;
}

json_t *route_table_state(const struct route_table *t)
{
    json_t *routes = json_object(), *groups = json_object();
    for (size_t i = 0; i < t->nroutes; i++) {
        const struct route *r = &t->routes[i];
        json_object_set_new(routes, r->name,
                            json_pack("{s:s, s:i, s:I, s:o}", "stage", stage_name(r->stage),
                                      "canary_bp", (int)r->canary_bp, "since_us",
                                      (json_int_t)r->since_us, "ignored", rules_json(t, r)));
    }
    for (size_t i = 0; i < t->ngroups; i++) {
        const struct group *g = &t->groups[i];
        json_object_set_new(groups, g->name,
                            json_pack("{s:s, s:I, s:s, s:I}", "owner", side_name(g->owner), "epoch",
                                      (json_int_t)g->epoch, "phase",
                                      g->holding ? "holding" : "open", "hold_until_ms",
                                      (json_int_t)g->hold_until_ms));
    }
    return json_pack("{s:I, s:I, s:o, s:o}", "version", (json_int_t)t->version, "load",
                     (json_int_t)t->load, "routes", routes, "groups", groups);
}

// ---------------------------------------------------------------- look-ups

const struct ignore_rule *route_ignores(const struct route_table *t, const struct route *r,
                                        const struct field *f)
{
    for (size_t i = 0; i < t->nignored; i++)
        if (t->ignored[i].route == r && t->ignored[i].field == f)
            return t->ignored[i].expires_ms > clock_wall_ms() ? &t->ignored[i] : NULL;
    return NULL;
}

long long route_table_version(const struct route_table *t)
{
    return t->version;
}

const struct route *route_find(const struct route_table *t, struct str name)
{
    for (size_t i = 0; i < t->nroutes; i++)
        if (str_eqz(name, t->routes[i].name))
            return &t->routes[i];
    return NULL;
}

const struct route *route_for(const struct route_table *t, const struct entity *en,
                              unsigned operation)
{
    const struct route *r = t->by_entity[entity_position(t, en)];
    return r && (r->operations & operation) == operation ? r : NULL;
}

const struct group *group_find(const struct route_table *t, struct str name)
{
    for (size_t i = 0; i < t->ngroups; i++)
        if (str_eqz(name, t->groups[i].name))
            return &t->groups[i];
    return NULL;
}

const struct group *group_of(const struct route_table *t, const struct entity *en)
{
    for (size_t i = 0; i < t->ngroups; i++)
        for (size_t k = 0; k < t->groups[i].nentities; k++)
            if (t->groups[i].entities[k] == en)
                return &t->groups[i];
    return NULL;
}

size_t route_count(const struct route_table *t)
{
    return t->nroutes;
}

const struct route *route_at(const struct route_table *t, size_t i)
{
    return &t->routes[i];
}

size_t group_count(const struct route_table *t)
{
    return t->ngroups;
}

const struct group *group_at(const struct route_table *t, size_t i)
{
    return &t->groups[i];
}

size_t mount_count(const struct route_table *t)
{
    return t->def->nmounts;
}

const struct mount *mount_at(const struct route_table *t, size_t i)
{
    return &t->def->mounts[i];
}

size_t upstream_count(const struct route_table *t)
{
    return t->def->nupstreams;
}

const struct upstream *upstream_at(const struct route_table *t, size_t i)
{
    return &t->def->upstreams[i];
}

const struct upstream *upstream_find(const struct route_table *t, struct str name)
{
    for (size_t i = 0; i < t->def->nupstreams; i++)
        if (str_eqz(name, t->def->upstreams[i].name))
            return &t->def->upstreams[i];
    return NULL;
}

const struct matcher *route_matcher(const struct route_table *t)
{
    return t->def->matcher;
}

const struct upstream *upstream_fallback(const struct route_table *t)
{
    return t->def->fallback;
}

const struct entity_set *route_entities(const struct route_table *t)
{
    return t->def->set;
}

const struct route_override *route_table_override(const struct route_table *t)
{
    return &t->def->override;
}

long long route_table_load_number(const struct route_table *t)
{
    return t->load;
}

// ---------------------------------------------------------------- canary

unsigned route_bucket(const struct route *r, struct str key)
{
    uint64_t seed = XXH3_64bits(r->name, strlen(r->name));
    uint64_t h = key.len ? XXH3_64bits_withSeed(key.data, key.len, seed) : seed;
    return (unsigned)(h % 10000);
}

const char *route_why_text(enum route_why w)
{
    static const char *const texts[] = {
        [WHY_STAGE] = "stage",
        [WHY_BUCKET] = "bucket of the key",
        [WHY_LISTS] = "the route decides its lists",
        [WHY_OWNER] = "the new side owns the group",
        [WHY_WRITE] = "a write goes to the owner",
        [WHY_BEFORE] = "a write follows from this read",
        [WHY_PENDING] = "a change has not arrived on the new side yet",
        [WHY_ASKED] = "the client asked for this side",
        [WHY_RETIRED] = "retired",
        [WHY_SERVICE] = "a service has one side",
    };
    return texts[w];
}

enum side route_choose_read(const struct route *r, struct str key, enum route_why *why)
{
    if (r->group && r->group->owner == SIDE_NEW) {
        *why = WHY_OWNER;
        return SIDE_NEW;
    }
    *why = r->stage == STAGE_RETIRED                  ? WHY_RETIRED
           : r->stage != STAGE_CANARY                 ? WHY_STAGE
           : key.len == 0 && r->lists != LISTS_BUCKET ? WHY_LISTS
                                                      : WHY_BUCKET;
    return route_read_side(r, key);
}

enum side route_read_side(const struct route *r, struct str key)
{
    switch (r->stage) {
    case STAGE_LEGACY:
    case STAGE_SHADOW: return SIDE_LEGACY;
    case STAGE_CANARY:
        if (key.len == 0 && r->lists != LISTS_BUCKET)
            return r->lists == LISTS_NEW ? SIDE_NEW : SIDE_LEGACY;
        return route_bucket(r, key) < r->canary_bp ? SIDE_NEW : SIDE_LEGACY;
    case STAGE_NEW:
    case STAGE_RETIRED: break;
    }
    return SIDE_NEW;
}
