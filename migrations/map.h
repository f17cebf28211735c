// SPDX-License-Identifier: Apache-2.0
// Loads entity maps: JSON checked against migrations/entity-map.schema.json and then for
// meaning. Every mistake is reported with file, line, JSON pointer and what would mend it.
#ifndef FICUS_MIGRATIONS_MAP_H
#define FICUS_MIGRATIONS_MAP_H

#include "migrations/entity.h"

// All *.json of the folder; "" has none (a facade that only passes through). NULL when anything is wrong (see `p`).
struct entity_set *map_load(const char *folder, struct problems *p);
// The same from memory, for tests and fuzzing.
struct entity_set *map_parse(const struct str *texts, const char *const *names, size_t n,
                             struct problems *p);
void map_destroy(struct entity_set *s); // NULL is fine

#endif
