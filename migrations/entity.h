// SPDX-License-Identifier: Apache-2.0
// The entity map in memory: the only place where tables and columns are named. Immutable
// once loaded; shared by all threads. Loaded from JSON by map_load (map.h).
#ifndef FICUS_MIGRATIONS_ENTITY_H
#define FICUS_MIGRATIONS_ENTITY_H

#include "base/json.h"
#include "base/value.h"
#include "connectors/odbc/dbms.h"

enum side { SIDE_LEGACY = 0, SIDE_NEW = 1 };
const char *side_name(enum side s); // "legacy", "new"
static inline enum side side_other(enum side s)
{
    return s == SIDE_LEGACY ? SIDE_NEW : SIDE_LEGACY;
}

enum field_type {
    TYPE_TEXT,
    TYPE_INTEGER,
    TYPE_DECIMAL,
    TYPE_FLOAT,
    TYPE_BOOLEAN,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_TIMESTAMP,
    TYPE_ID,
    TYPE_BYTES,
    TYPE_JSON,
};

enum policy_action { POLICY_PARK = 0, POLICY_NULL, POLICY_SUBSTITUTE };
struct policy {
    enum policy_action action;
    bool stated;           // written in the map; otherwise `park` by default
    struct str substitute; // canonical text
};

// A value that the facade fills in by itself on a write.
enum field_auto { AUTO_NONE, AUTO_NOW, AUTO_NOW_ON_CREATE, AUTO_ACTOR, AUTO_ACTOR_ON_CREATE };

enum place_kind { PLACE_NONE, PLACE_ROOT, PLACE_EXTENSION, PLACE_LOOKUP };

// Where a field lives on one side.
struct place {
    enum place_kind kind;
    unsigned index;           // which extension or lookup of that side
    const char *column;       // LOOKUP: of the path's last step
    enum column_kind storage; // how the column stores it (a decimal kept as double: FLOAT;
                              // as varchar: TEXT); default by the field's type
};

struct code {
    struct str legacy, canonical;
};

struct field {
    const char *name;
    unsigned index; // position in entity->fields, the module's own order
    enum field_type type;
    unsigned length; // text, id, bytes: characters; 0: unbounded
    unsigned bits;   // integer
    bool is_signed;
    unsigned precision, scale; // decimal(p,s); time and timestamp: fraction digits in precision
    bool key, read_only, personal, secret, nocase;
    bool synced;          // false: derived (looked up on both sides), never in an event
    const char *sequence; // new side's sequence that generates it, NULL; the legacy's own
                          // auto-increment is the column's
    enum field_auto auto_fill;
    struct value fallback; // default on create; ABSENT: none
    struct policy policies[PROBLEM_COUNT];
    const struct code *codes; // translation of legacy codes; NULL
    size_t ncodes;
    struct place place[2];
    struct str read_sql[2][DBMS_MAX]; // by side and dbms->index: how a SELECT asks for it
    const json_t *dialects; // "dialects" object of the map, for dialect codecs; may be NULL
};

struct extension {
    const char *table, *key_column;
}; // row may be missing

// One step of a looked-up field's join path. `ref_step` -1: the root row.
struct lookup_on {
    const char *column;
    int ref_step;
    const char *ref_column;
};
struct lookup_where {
    const char *column;
    struct str sql; /* literal, ready for its side */
};
struct lookup_step {
    const char *table;
    const struct lookup_on *on;
    size_t non;
    const struct lookup_where *where;
    size_t nwhere;
};
struct lookup {
    const char *name;
    const struct lookup_step *steps;
    size_t nsteps;
    unsigned order_step; // "STEP.column" that makes "the one" definite
    const char *order_column;
    // Statements run in order when one of its fields is written. Named parameters:
    // :key, :now, :actor, :uuid1..:uuid4, and :<field> for any field of the write (NULL when
    // absent). Text comes from the map, values are always bound.
    const char *const *writes;
    size_t nwrites;
};

// Who tells of the legacy side's changes.
enum capture_by {
    CAPTURE_CHANGELOG, // our triggers; the only one that carries the fence, so that writes can move
    CAPTURE_DEBEZIUM,  // a Debezium connector's topic; single tables (cdc/event/debezium.h)
    CAPTURE_COLUMN,    // a timestamp or version column, polled; no triggers (cdc/capture/column.h)
};
// How a Debezium connector was told to write what JSON cannot say by itself; the names are those
// of its own options.
enum debezium_decimal { DEBEZIUM_PRECISE, DEBEZIUM_STRING, DEBEZIUM_DOUBLE };
enum debezium_time {
    DEBEZIUM_ADAPTIVE, // by the column's precision; times of MySQL and MariaDB always in us
    DEBEZIUM_CONNECT,  // milliseconds
    DEBEZIUM_ISOSTRING,
    DEBEZIUM_MICROSECONDS,
    DEBEZIUM_NANOSECONDS,
};
enum debezium_binary { DEBEZIUM_BASE64, DEBEZIUM_BASE64_URL, DEBEZIUM_HEX };
struct capture_source {
    enum capture_by by;
    const char *topic; // DEBEZIUM
    enum debezium_decimal decimal;
    enum debezium_time time;
    enum debezium_binary binary;
    const char *column; // COLUMN: of the root table
    bool version;       // it is an ever growing number, not a timestamp
    long long overlap;  // seconds, or numbers, that a commit may come late
};

// What a write of the facade leaves behind besides, in its own transaction: rows of an audit, of
// security groups. Never run for what sync applies or a repair writes. Named parameters as in
// lookup.writes; none of a field after a delete.
struct change_field {
    const struct field *field;
    const char *data_type; // :data_type
};
struct change_rows {
    const struct change_field *fields;
    size_t nfields;
    const char *sql; // once for each of the fields that an update changed; no :<field>, but
                     // :field, :data_type, :before and :after
};
struct also {
    struct {
        const char *const *sql;
        size_t n;
    } after[3]; // by enum write_kind (query.h)
    const struct change_rows *changes;
    size_t nchanges;
};

struct side_map {
    const char *root;               // table, "schema.table" allowed
    const char *const *key_columns; // as many as entity->nkeys
    const struct extension *extensions;
    size_t nextensions;
    const struct lookup *lookups;
    size_t nlookups;
    const char *deleted_column; // soft delete; NULL: rows are removed
    // Run after a delete, named parameters as in lookup.writes (:key, :now, :actor, :uuidN).
    const char *const *on_delete;
    size_t non_delete;
    const char *service_url;       // new side served by a service; NULL
    struct capture_source capture; // legacy side
    struct also also;              // legacy side
};

enum relation_kind { RELATION_FOREIGN_KEY, RELATION_LINK, RELATION_PARENT };

struct relationship {
    const char *name; // as clients call it
    enum relation_kind kind;
    bool to_one;                 // the foreign key is ours (many-to-one)
    const struct entity *source; // whose relationship this is
    const struct entity *target;
    const struct field *foreign_key; // of target, or of ours when to_one
    // LINK: rows of `through`, an entity of its own with these fields.
    const struct entity *through;
    const struct field *near, *far;
    // PARENT: target rows whose (type, id) point at us, or ours that point at target (to_one).
    const struct field *parent_type, *parent_id;
    struct str parent_value;
    const json_t *dialects;
};

enum key_maker { KEY_GIVEN, KEY_UUID };

struct entity {
    const char *name;   // canonical: account, contact
    const char *plural; // of the rest dialect: accounts
    const char *title;
    bool link;      // a link table: synced and reconciled, no module of its own
    bool read_only; // refused for writes by the facade
    struct field *fields;
    size_t nfields;
    const struct field **keys;
    size_t nkeys;
    enum key_maker key_maker;
    const struct field *owner, *owner_fallback; // who owns a record; NULL
    const struct field *deleted;                // boolean field of the soft delete; NULL
    struct side_map sides[2];
    struct relationship *relationships;
    size_t nrelationships;
    const json_t *dialects;
};

struct entity_set; // all maps of a folder

const struct entity *entity_find(const struct entity_set *s, struct str name);
const struct entity *entity_by_plural(const struct entity_set *s, struct str plural);
size_t entity_count(const struct entity_set *s);
const struct entity *entity_at(const struct entity_set *s, size_t i); // sorted by name
const struct field *entity_field(const struct entity *en, struct str name);
const struct relationship *entity_relationship(const struct entity *en, struct str name);
// Its changes are told by our own triggers, which also hold the fence: only then can the writes
// of its group move to the other side.
bool entity_has_changelog(const struct entity *en);
// FNV-1a over the definitions, for "same maps on every instance" checks.
uint64_t entity_set_hash(const struct entity_set *s);

// Key text: one part as it is; several joined by 0x1f (unit separator). Used in the
// changelog, topics' keys, parking and canary buckets.
#define KEY_SEPARATOR '\x1f'
struct str entity_key_text(const struct value *parts, size_t n, struct arena *a);
int entity_key_split(const struct entity *en, struct str text, struct value *parts,
                     struct err *e) FICUS_MUST_CHECK;

#endif
