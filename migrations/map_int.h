// SPDX-License-Identifier: Apache-2.0
// Shared by the map loader's files only.
#ifndef FICUS_MIGRATIONS_MAP_INT_H
#define FICUS_MIGRATIONS_MAP_INT_H

#include "migrations/map.h"

#define MAP_FIELDS_MAX 512
#define MAP_KEYS_MAX   8
#define MAP_NAME_MAX   40 // of an entity: trigger names are built from it
#define MAP_STEPS_MAX  8
#define MAP_MEMORY_MAX ((size_t)64 << 20)

struct entity_set {
    struct arena *arena;
    struct json_doc *docs; // kept: `dialects` objects are borrowed from them
    size_t ndocs;
    struct entity **list; // sorted by name
    size_t n;
    uint64_t hash;
};

// One entity on its way in.
struct map_job {
    struct entity_set *set;
    const struct json_doc *doc;
    struct entity *en;
    struct problems *p;
};

// "at/key" as a JSON pointer (key escaped). Arena memory; "" when that is out.
const char *map_at(struct map_job *j, const char *at, const char *key);
const char *map_at_index(struct map_job *j, const char *at, size_t i);
// Copies into the set's arena; adds a problem and returns NULL when memory is out.
const char *map_copy(struct map_job *j, const char *z);
void *map_array(struct map_job *j, size_t n, size_t size);
// Member `key` when it is an object/array; NULL when missing, and with a problem when it is
// something else.
const json_t *map_object(struct map_job *j, const json_t *in, const char *at, const char *key);
const json_t *map_list(struct map_job *j, const json_t *in, const char *at, const char *key);
// A list of strings, copied. NULL with *n 0 when missing or wrong.
const char *const *map_strings(struct map_job *j, const json_t *in, const char *at, const char *key,
                               size_t *n);
// [a-z][a-z0-9_]*, at most MAP_NAME_MAX or 63.
bool map_is_name(const char *z, size_t max);

void map_side(struct map_job *j, const json_t *root, enum side side);    // map_sides.c
void map_capture(struct map_job *j, const json_t *side, const char *at); // map_capture.c
void map_fields(struct map_job *j, const json_t *root);                  // map_fields.c
void map_relationships(struct map_job *j, const json_t *root);           // map_relations.c
void map_also(struct map_job *j, const json_t *root);                    // map_also.c
void map_check(struct map_job *j, const json_t *root);                   // map_check.c

// Named parameters of a map's statements: :key, :now, :actor, :uuid1 to :uuid4, those that `more`
// lists (ends with NULL; NULL: none), and with `fields` every field.
void map_check_statement(struct map_job *j, const char *sql, bool fields, const char *const *more,
                         const char *at);
void map_check_statements(struct map_job *j, const char *const *sql, size_t n, bool fields,
                          const char *at);

// Renders what every read asks for once and for all (query_build.c).
int query_prepare(struct entity *en, struct arena *a, struct err *e) FICUS_MUST_CHECK;

// The named parameters of a map's write statement. Calls `text` for plain SQL and `name` for
// each :name (without the colon), in order; quoted text and `::` are plain.
struct named_visitor {
    void (*text)(void *ctx, struct str sql);
    int (*name)(void *ctx, struct str name, struct err *e);
    void *ctx;
};
int named_sql_visit(const char *sql, const struct named_visitor *v, struct err *e) FICUS_MUST_CHECK;

#endif
