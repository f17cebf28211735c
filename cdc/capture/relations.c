// SPDX-License-Identifier: Apache-2.0
// Owns the list, made with the first table. Tables are few: they are looked for one by one.
#include "cdc/capture/relations.h"

#include "migrations/type.h"

#include <stdio.h>
#include <stdlib.h>

static const struct side_map *side_of(const struct relations *rs, long entity)
{
    return &rs->sync->entities[entity]->sides[SIDE_NEW];
}

// "schema.table" or "table" (then schema public) against what the stream says.
static bool is_table(const char *name, const struct pgoutput_relation *r)
{
    char full[140];
    snprintf(full, sizeof full, "%s.%s", r->schema, r->table);
    return strcmp(name, full) == 0 ||
           (strcmp(r->schema, "public") == 0 && strcmp(name, r->table) == 0);
}

// Which entity a table belongs to; *extension: its number, -1 for the root.
static long find_entity(const struct relations *rs, const struct pgoutput_relation *r,
                        long *extension)
{
    for (size_t i = 0; i < rs->sync->nentities; i++) {
        const struct side_map *m = side_of(rs, (long)i);
        *extension = -1;
        if (m->root && is_table(m->root, r))
            return (long)i;
        for (size_t k = 0; k < m->nextensions; k++)
            if (is_table(m->extensions[k].table, r)) {
                *extension = (long)k;
                return (long)i;
            }
    }
    return -1;
}

static void map_columns(const struct relations *rs, struct relation *rel,
                        const struct pgoutput_relation *r, long extension)
{
    const struct entity *en = rs->sync->entities[rel->entity];
    for (size_t i = 0; i < r->ncolumns; i++) {
        const char *name = r->columns[i].name;
        for (size_t f = 0; f < en->nfields && extension < 0; f++) {
            const struct place *p = &en->fields[f].place[SIDE_NEW];
            if (p->kind == PLACE_ROOT && p->column && strcmp(p->column, name) == 0)
                rel->fields[i] = &en->fields[f];
        }
        if (extension >= 0)
            rel->keys[i] = strcmp(side_of(rs, rel->entity)->extensions[extension].key_column,
                                  name) == 0;
    }
}

static bool lacks_columns(const struct relations *rs, const struct relation *rel)
{
    const struct entity *en = rs->sync->entities[rel->entity];
    for (size_t f = 0; f < en->nfields && !rel->extension; f++) {
        bool found = !en->fields[f].synced || en->fields[f].place[SIDE_NEW].kind != PLACE_ROOT;
        for (size_t i = 0; i < rel->ncolumns && !found; i++)
            found = rel->fields[i] == &en->fields[f];
        if (!found)
            return true;
    }
    return false;
}

static struct relation *place_of(struct relations *rs, uint32_t oid, struct err *e)
{
    if (!rs->list && !(rs->list = calloc(RELATIONS_MAX, sizeof *rs->list))) {
        err_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < rs->n; i++)
        if (rs->list[i].oid == oid)
            return &rs->list[i];
    if (rs->n < RELATIONS_MAX)
        return &rs->list[rs->n++];
    err_set(e, ERR_LIMIT, "more than %d tables in the stream", RELATIONS_MAX);
    return NULL;
}

const struct relation *relations_take(struct relations *rs, const struct pgoutput_relation *r,
                                      struct err *e)
{
    struct relation *rel = place_of(rs, r->oid, e);
    long extension = -1;
    if (!rel)
        return NULL;
    free(rel->fields);
    free(rel->keys);
    *rel = (struct relation){.oid = r->oid, .entity = -1, .ncolumns = r->ncolumns};
    rel->fields = calloc(r->ncolumns + 1, sizeof *rel->fields);
    rel->keys = calloc(r->ncolumns + 1, sizeof *rel->keys);
    if (!rel->fields || !rel->keys) {
        err_memory(e);
        return NULL;
    }
    rel->entity = find_entity(rs, r, &extension);
    rel->extension = extension >= 0;
    if (rel->entity < 0)
        return rel;
    map_columns(rs, rel, r, extension);
    rel->incomplete = lacks_columns(rs, rel);
    return rel;
}

const struct relation *relations_find(const struct relations *rs, uint32_t oid)
{
    for (size_t i = 0; i < rs->n; i++)
        if (rs->list[i].oid == oid)
            return &rs->list[i];
    return NULL;
}

void relations_close(struct relations *rs)
{
    for (size_t i = 0; i < rs->n; i++) {
        free(rs->list[i].fields);
        free(rs->list[i].keys);
    }
    free(rs->list);
    *rs = (struct relations){0};
}

int relation_values(const struct relation *rel, const struct pgoutput_tuple *t, struct arena *a,
                    struct value *values, bool *whole, struct err *e)
{
    *whole = true;
    for (size_t i = 0; i < t->n && i < rel->ncolumns; i++) {
        const struct field *f = rel->fields[i];
        if (!f)
            continue;
        if (t->cells[i].state == VALUE_ABSENT)
            *whole = *whole && !f->synced && !f->key;
        else if (type_read(f, SIDE_NEW, t->cells[i], a, &values[f->index], e))
            return -1;
    }
    return 0;
}
