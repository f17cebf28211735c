// SPDX-License-Identifier: Apache-2.0
// Shared by route.c (model, look-ups, state) and route_load.c (definitions) only.
#ifndef FICUS_ROUTES_ROUTE_INT_H
#define FICUS_ROUTES_ROUTE_INT_H

#include "routes/match.h"
#include "routes/route.h"

#include <stdatomic.h>

#define ROUTES_MAX 16384
#define GROUPS_MAX 1024
#define MOUNTS_MAX 64

// What the file says: shared by every snapshot made from it.
struct definitions {
    atomic_uint refs;
    const struct entity_set *set;
    struct arena *arena; // names, urls, entity lists
    json_t *root;        // mounts borrow their options from it
    struct mount *mounts;
    size_t nmounts;
    struct route_override override;
    struct upstream *upstreams;
    size_t nupstreams;
    const struct upstream *fallback; // of what nothing describes; NULL: it is refused
    struct matcher *matcher;         // owned; its rules are the arena's
};

struct route_table {
    atomic_uint refs;
    struct definitions *def;
    long long version, load;
    struct route *routes;
    size_t nroutes;
    struct group *groups;
    size_t ngroups;
    const struct route **by_entity; // the route of each entity, by its position in the set
    size_t nentities;
    struct ignore_rule *ignored; // few: looked through only when a comparison found something
    size_t nignored;
};

// upstream_load.c: "upstreams" and "passthrough" of the file.
void upstreams_load(struct definitions *def, const struct json_doc *doc, struct problems *p);
// match_load.c: "match" of the file, and a rule for each mount. After mounts and upstreams.
void match_load(struct definitions *def, const struct json_doc *doc, struct problems *p);
// route_load.c: "${env:NAME}" anywhere in the text becomes the variable's value. Of the arena;
// NULL: no memory.
const char *route_expand(struct definitions *def, const struct json_doc *doc, const char *at,
                         const char *text, struct problems *p);

// Points routes at this table's groups and fills by_entity. -1 on no memory.
int route_table_index(struct route_table *t, const size_t *group_of_route);
struct route_table *route_table_alloc(struct definitions *def, size_t nroutes, size_t ngroups);

#endif
