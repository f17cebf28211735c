// SPDX-License-Identifier: Apache-2.0
// A canonical read and a canonical write of one entity, and the SQL made from them for a
// side and a DBMS. Client input is only ever a parameter.
#ifndef FICUS_MIGRATIONS_QUERY_H
#define FICUS_MIGRATIONS_QUERY_H

#include "migrations/entity.h"

#define FILTER_DEPTH_MAX 32
#define FILTER_NODES_MAX 512

enum filter_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_COMPARE,
    FILTER_IN,
    FILTER_BETWEEN,
    FILTER_IS_NULL,
    FILTER_LINKED, // a live row of another entity names this one and fulfils its own filter
};

struct filter {
    enum filter_kind kind;
    struct filter **children;
    size_t nchildren; // AND, OR (none of them: true, false), NOT 1, LINKED 1 (on `link`)
    const struct field *field;
    enum text_match op; // COMPARE
    const struct value *values;
    size_t nvalues; // canonical; COMPARE 1, BETWEEN 2, IN n.
                    // For LIKE: the pattern with % _ and '\' escape
    bool negated;   // NOT IN, NOT BETWEEN, IS NOT NULL
    // LINKED: rows of `link` whose `field` (a column of its root table, as are those of the
    // child) holds the key; one-part keys only.
    const struct entity *link;
};

enum deleted_mode { DELETED_NO, DELETED_ONLY, DELETED_ANY };

struct order {
    const struct field *field;
    bool desc;
};

// Rows of `relationship` of one parent row (for get_relationships and expansions).
struct related {
    const struct relationship *relationship;
    const struct entity *parent;
    const struct value *parent_key;
    size_t nparent_key; // one parent, or
    bool by_parent;     // many parents: nparent_key keys in parent_key; the first column of
                        // each result row is then the parent's key
};

struct query {
    const struct entity *entity;
    const struct field *const *fields;
    size_t nfields;
    const struct value *key; // one row by key; NULL otherwise
    const struct value *keys;
    size_t nkeys;                  // many rows by key (single-column keys)
    const struct filter *filter;   // NULL: all
    const struct related *related; // NULL
    enum deleted_mode deleted;
    const struct order *order;
    size_t norder;                 // the key is always appended as last order
    bool lock;                     // one row by key: its root row is locked for a write
    bool row_mark;                 // a last column more: the store's own mark of the root row's
                                   // present state (dbms->row_mark), for query_assert
    long long limit, offset;       // limit -1: none
    const struct value *after_key; // range scan: key > this, in key order
    const struct value *up_to_key; // and key <= this
};

// SQL text with its bound parameters (raw texts for that side). Memory of the arena.
struct sql {
    struct str text;
    struct value *params;
    size_t nparams;
};

int query_select(const struct query *q, enum side side, const struct dbms *d, struct arena *a,
                 struct sql *out, struct err *e) FICUS_MUST_CHECK;
int query_count(const struct query *q, enum side side, const struct dbms *d, struct arena *a,
                struct sql *out, struct err *e) FICUS_MUST_CHECK;

// A statement that locks the root row of that key and fails (division by zero) when the row has
// not this mark any more. For stores with a row mark.
int query_assert(const struct entity *en, const struct value *key, struct str mark, enum side side,
                 const struct dbms *d, struct arena *a, struct sql *out,
                 struct err *e) FICUS_MUST_CHECK;

enum write_kind { WRITE_CREATE, WRITE_UPDATE, WRITE_DELETE };
struct write {
    const struct entity *entity;
    enum write_kind kind;
    const struct value *key;    // nkeys parts, always present
    const struct value *values; // nfields entries by field index; ABSENT: untouched;
                                // may be NULL for a delete
    const char *now;            // "YYYY-MM-DD HH:MM:SS" UTC
    struct str actor;           // user id for AUTO_ACTOR; may be empty
    bool live_only;             // UPDATE, DELETE: a soft-deleted row counts as not found
};

// What a statement's row count means.
enum statement_role { STATEMENT_ROOT, STATEMENT_EXTENSION, STATEMENT_LOOKUP };
struct write_statement {
    struct sql sql;
    enum statement_role role;
};

// Statements of one write in order. Root UPDATE/DELETE that finds no row: not found.
// Read-only fields are left out. A field given in `values` beats its auto-fill.
int query_write(const struct write *w, enum side side, const struct dbms *d, struct arena *a,
                struct write_statement **out, size_t *n, struct err *e) FICUS_MUST_CHECK;
// What the map's "also" leaves behind after that write, for the facade to run behind it in the
// same transaction; nothing else runs it. `before`: the row as it was, canonical by field index,
// ABSENT where unknown; NULL: nothing is known, so no field counts as changed.
int query_also(const struct write *w, const struct value *before, enum side side,
               const struct dbms *d, struct arena *a, struct write_statement **out, size_t *n,
               struct err *e) FICUS_MUST_CHECK;
// The fields whose values before the write query_also wants to know; *n 0: none. Memory of `a`;
// NULL when there is none left.
const struct field *const *query_also_fields(const struct write *w, enum side side, struct arena *a,
                                             size_t *n);
// Adds or soft-deletes link rows through relationship->through, repeating changes nothing.
int query_relate(const struct relationship *r, struct value near, struct value far, bool remove,
                 const struct value *extra, const char *now, enum side side, const struct dbms *d,
                 struct arena *a, struct write_statement **out, size_t *n,
                 struct err *e) FICUS_MUST_CHECK;

// --- sync ---------------------------------------------------------------------------
// Fields that cross (synced, placed on both sides), keys first, in map order.
size_t entity_synced(const struct entity *en, const struct field **out, size_t max);

// Present state of aggregates by key: parameters are `nkeys` key values (single-column keys)
// or nkeys * parts. Columns: synced fields, then nothing. Rows come in any order.
int query_read_keys(const struct entity *en, enum side side, const struct dbms *d, size_t nkeys,
                    struct arena *a, struct str *out, struct err *e) FICUS_MUST_CHECK;
// The same with one more column, that changes with every write of the root or an extension.
// PostgreSQL's tables only.
int query_read_versions(const struct entity *en, enum side side, size_t nkeys, struct arena *a,
                        struct str *out, struct err *e) FICUS_MUST_CHECK;
// Capture by a column: key text and the column, from a value on (value, limit), or behind a row
// (value, value, key text, limit), in the order of (column, key text).
int query_column(const struct entity *en, const struct dbms *d, bool first, struct arena *a,
                 struct str *out, struct err *e) FICUS_MUST_CHECK;
// A slice of an entity in the side's own key order: same columns. Bounds are canonical. `above`
// and `up_to` cut by the first part of the key alone, so that a slice is one range of an index;
// `after` (all parts) is where the walk inside it goes on. `unordered`: no order, no limit.
struct scan_query {
    const struct entity *entity;
    const struct value *after, *above, *up_to; // NULL: none
    const struct filter *filter;               // NULL: all rows
    enum deleted_mode deleted;
    size_t limit;
    bool unordered;
};
int query_scan(const struct scan_query *q, enum side side, const struct dbms *d, struct arena *a,
               struct sql *out, struct err *e) FICUS_MUST_CHECK;
// The rows of the new side's heap pages first <= page < end (negative: to the table's end), as
// COPY .. TO STDOUT, columns as query_scan's. ERR_UNSUPPORTED where a row is not of one table.
int query_scan_pages(const struct entity *en, enum deleted_mode deleted, long long first,
                     long long end, struct arena *a, struct str *out,
                     struct err *e) FICUS_MUST_CHECK;
// The same of the rows written by transactions that had not ended when `oldest` (what
// pg_snapshot_xmin() gives, 64 bits) was the oldest of those: that a later snapshot sees and one of
// then does not, and perhaps a few more. Exact while fewer than 2^31 transactions begin meanwhile.
int query_scan_written(const struct entity *en, enum deleted_mode deleted,
                       unsigned long long oldest, struct arena *a, struct str *out,
                       struct err *e) FICUS_MUST_CHECK;
// One value of the first key part: the one that `skip` rows of the slice stand before.
int query_scan_split(const struct scan_query *q, enum side side, const struct dbms *d, size_t skip,
                     struct arena *a, struct sql *out, struct err *e) FICUS_MUST_CHECK;
// Rows of a slice, sum of their hashes: the same on every DBMS for the same canonical rows; other
// rows may give other sums for equal rows, never the same by mistake. A row that a store cannot
// hash (too long) makes the sums differ.
int query_checksum(const struct scan_query *q, enum side side, const struct dbms *d,
                   struct arena *a, struct sql *out, struct err *e) FICUS_MUST_CHECK;
// A synced field that both sides cannot write down alike, or NULL.
const struct field *query_checksum_unfit(const struct entity *en);
// UPDATE of the root's row that changes nothing: it locks the row, and the log tells of it.
int query_touch(const struct entity *en, enum side side, const struct dbms *d,
                const struct value *key, struct arena *a, struct sql *out,
                struct err *e) FICUS_MUST_CHECK;
// CREATE INDEX .. on the root for the key order, as text for people.
int query_key_index(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                    struct str *out, struct err *e) FICUS_MUST_CHECK;
// One number: rows of the root that no key tells apart, since it is NULL or not the only one.
// One scan of the key columns.
int query_bad_keys(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                   struct str *out, struct err *e) FICUS_MUST_CHECK;
// One upsert statement per table of the aggregate for arrays of rows (PostgreSQL: each
// parameter is a text[] of all rows; ODBC: bound arrays), then the statements of synced
// looked-up fields (row by row; repeating them changes nothing). `params` tells which synced
// field each parameter carries; NULL: a time or a new id, see query_apply_param.
struct apply_statement {
    struct str text;
    const struct field **params;
    size_t nparams;
    enum statement_role role;
    unsigned lookup;
    const char *special;
};
// Raw text to bind for parameter `i` and one row. `row`: canonical values by field index;
// `now`: "YYYY-MM-DD HH:MM:SS" UTC. ERR_VALUE when the value does not fit that side.
int query_apply_param(const struct apply_statement *st, size_t i, enum side side,
                      const struct value *row, const char *now, struct arena *a, struct value *raw,
                      struct err *e) FICUS_MUST_CHECK;
int query_apply(const struct entity *en, enum side side, const struct dbms *d, struct arena *a,
                struct apply_statement **out, size_t *n, struct err *e) FICUS_MUST_CHECK;
// Deletion of an aggregate by key (rows really removed on the other side).
int query_apply_delete(const struct entity *en, enum side side, const struct dbms *d,
                       struct arena *a, struct apply_statement **out, size_t *n,
                       struct err *e) FICUS_MUST_CHECK;

#endif
