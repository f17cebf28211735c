// SPDX-License-Identifier: Apache-2.0
// Reads the changelog's tail. Usually it is empty or a few rows; when it is long, sync is far
// behind and the owner answers everything. Owns nothing.
#include "facade/backend/tail.h"

#include <stdio.h>

#define TAIL_MAX 1000 // rows that are looked through

static bool is_entity(const struct entity *en, struct str name)
{
    return en && str_eqz(name, en->name);
}

static bool is_of(const struct relationship *r, struct str name)
{
    return r && (is_entity(r->target, name) || is_entity(r->through, name));
}

// ASCII letters compare alike whatever their case: a collation may find the row by either.
static bool same_key(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)a.data[i], y = (unsigned char)b.data[i];
        if (x != y && ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z'))
            return false;
    }
    return true;
}

// `key`: of the one record that is asked for, empty for a list.
static bool matters(const struct operation *op, struct str key, struct str entity, struct str row)
{
    if (is_of(op->query.related ? op->query.related->relationship : NULL, entity))
        return true;
    for (size_t i = 0; i < op->nexpansions; i++)
        if (is_of(op->expansions[i].relationship, entity) ||
            filter_looks_at(op->expansions[i].filter, entity))
            return true;
    if (filter_looks_at(op->query.filter, entity))
        return true;
    return is_entity(op->entity, entity) && (key.len == 0 || same_key(key, row));
}

int tail_touches(struct odbc_conn *c, const struct operation *op, long long after, struct arena *a,
                 bool *touched, struct err *e)
{
    char from[24], limit[24];
    struct rows rows;
    struct str key = {0};
    snprintf(from, sizeof from, "%lld", after);
    snprintf(limit, sizeof limit, "%d", TAIL_MAX);
    struct value p[] = {value_set(str_of(from)), value_set(str_of(limit))};
    if (op->kind == OPERATION_GET && op->query.key) {
        key = entity_key_text(op->query.key, op->entity->nkeys, a);
        if (!key.data)
            return err_memory(e);
    }
    if (odbc_query(c, str_of(odbc_dbms(c)->changelog_read_sql), p, 2, a, TAIL_MAX, &rows, e))
        return err_prefix(e, "changelog");
    *touched = rows.nrows >= TAIL_MAX;
    for (size_t i = 0; i < rows.nrows && !*touched; i++) // seq, entity, key, ..
        *touched = matters(op, key, value_str(*rows_at(&rows, i, 1)),
                           value_str(*rows_at(&rows, i, 2)));
    return 0;
}
