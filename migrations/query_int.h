// SPDX-License-Identifier: Apache-2.0
// Shared by the query files only: a growing statement with its parameters.
#ifndef FICUS_MIGRATIONS_QUERY_INT_H
#define FICUS_MIGRATIONS_QUERY_INT_H

#include "migrations/map_int.h"
#include "migrations/query.h"
#include "migrations/type.h"

// The root row's alias is t, an extension's x<n>; inside a looked-up field's subquery l<n>.
#define QUERY_ROOT           "t"
#define QUERY_EXTENSIONS_MAX 32

struct query_build {
    const struct entity *en;
    enum side side;
    const struct dbms *d;
    struct arena *a;
    struct value *params; // raw; NULL data only for VALUE_NULL
    size_t nparams, size;
    unsigned extensions; // bit set: which extension tables are wanted
    bool failed;         // no memory
};

static inline const struct side_map *query_side(const struct query_build *b)
{
    return &b->en->sides[b->side];
}

// Appends "?" or "$n" as a column of that kind wants it, and notes the raw value.
void query_param(struct query_build *b, struct buf *out, struct value raw, enum column_kind kind);
// The same with a canonical value of a field.
int query_param_field(struct query_build *b, struct buf *out, const struct field *f,
                      struct value canonical, struct err *e) FICUS_MUST_CHECK;
void query_name(const struct query_build *b, struct buf *out, const char *name); // quoted
void query_table(const struct query_build *b, struct buf *out, const char *table,
                 const char *alias);
// alias.column
void query_alias(const struct query_build *b, struct buf *out, const char *alias,
                 const char *column);
// SQL of a field's value with the root at alias t. Fields of no place: NULL.
void query_field(struct query_build *b, struct buf *out, const struct field *f);
// The same as its store is asked for it (dbms->read_column).
void query_read_field(struct query_build *b, struct buf *out, const struct field *f);
// The same for a value that is to cross (dbms.h, read_text).
void query_cross_field(struct query_build *b, struct buf *out, const struct field *f);
// The inside of a looked-up field's path: "table AS l0 JOIN .. WHERE ..". `root` is the
// alias (or %R for triggers) that "root." means; NULL leaves conditions on the root out.
void query_path(const struct query_build *b, struct buf *out, const struct lookup *l,
                const char *root);
// Which column of the path's first step equals the root's key; NULL when none does.
const char *query_path_key(const struct entity *en, enum side side, const struct lookup *l);
// "t.k1 = p1 AND t.k2 = p2"; alias NULL: bare columns.
int query_key(struct query_build *b, struct buf *out, const char *alias, const struct value *key,
              struct err *e) FICUS_MUST_CHECK;
// "t.deleted = false"; nothing (and false) without a soft delete or for DELETED_ANY.
bool query_deleted(const struct query_build *b, struct buf *out, const struct entity *en,
                   const char *alias, enum deleted_mode mode);
int query_filter(struct query_build *b, struct buf *out, const struct filter *f, unsigned depth,
                 unsigned *nodes, struct err *e) FICUS_MUST_CHECK;
// " WHERE .." of a slice; nothing for all rows.
int query_scan_where(struct query_build *b, struct buf *where, const struct scan_query *q,
                     struct err *e) FICUS_MUST_CHECK;
// LEFT JOINs of the extensions that were used.
void query_joins(const struct query_build *b, struct buf *out);
// Copies text and parameters out; frees `text`.
int query_finish(struct query_build *b, struct buf *text, struct sql *out,
                 struct err *e) FICUS_MUST_CHECK;

// A growing list of write statements.
struct write_list {
    struct write_statement *list;
    size_t n, size;
    struct arena *a;
};
int write_list_add(struct write_list *l, struct sql sql, enum statement_role role,
                   struct err *e) FICUS_MUST_CHECK;

// What :field, :data_type, :before and :after stand for: one field that an update changed, with
// the legacy's raw texts.
struct named_change {
    const struct change_field *field;
    struct value before, after;
};
// A map's own statement with its named parameters bound for one write. `change`: NULL, or a
// statement of "each_change".
int query_named(struct query_build *b, const char *sql, const struct write *w,
                const struct named_change *change, struct sql *out, struct err *e) FICUS_MUST_CHECK;
// What a write puts into a field: its value, else what the map fills in; ABSENT: nothing.
struct value query_write_value(const struct write *w, const struct field *f);

#endif
