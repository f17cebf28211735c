// SPDX-License-Identifier: Apache-2.0
// What differs from one DBMS to the next, one file each: sqlite.c, mariadb.c, postgres_legacy.c
// for a legacy, sqlserver.c and oracle.c for one, never run; postgres.c ('$1' placeholders) with
// libpq for the new store. Pure text and tables: no connection in here.
#ifndef FICUS_CONNECTORS_DBMS_H
#define FICUS_CONNECTORS_DBMS_H

#include "base/buf.h"
#include "base/value.h"

// Types as SQL generation needs them; migrations/type.h maps canonical types onto these.
enum column_kind {
    COLUMN_TEXT,
    COLUMN_INTEGER,
    COLUMN_DECIMAL,
    COLUMN_FLOAT,
    COLUMN_BOOLEAN,
    COLUMN_DATE,
    COLUMN_TIME,
    COLUMN_TIMESTAMP,
    COLUMN_BYTES,
    COLUMN_JSON,
};

enum text_match {
    MATCH_EQ,
    MATCH_NE,
    MATCH_LT,
    MATCH_LE,
    MATCH_GT,
    MATCH_GE,
    MATCH_LIKE,
    MATCH_NOT_LIKE
};

// The session marks that triggers read (docs/concepts.md).
struct dbms_marks {
    const char *origin;   // stream name while applying; NULL: a first-hand write
    long long epoch;      // the writer's epoch; -1: a direct writer (none given)
    const char *write_id; // UUID of a facade's write; NULL
};

// A trigger set for one table of an aggregate. The root's key is found from the row.
struct dbms_trigger {
    const char *table;  // as the store names it
    const char *entity; // canonical name, goes into the changelog
    const char *group;  // route group: its fence is checked; NULL: no fence
    // SQL expression giving the changelog key from row alias %R (replaced by NEW/OLD), e.g.
    // `%R.id`, or a SELECT giving several keys: `SELECT bean_id FROM r WHERE id = %R.x`.
    const char *key_expr;
    bool key_is_select; // its one column is named k
    // Condition on row alias %R under which the row matters at all (no fence check and no
    // changelog row otherwise), e.g. `%R.bean_module = 'Contacts'`; NULL: always.
    const char *when_expr;
    bool rogue_allowed; // fence closed: let direct writers through, log as rogue
    unsigned ordinal;   // keeps trigger names unique when a table serves many entities
};

// INSERT that updates the row with the same key. Parameters in column order. dbms_postgres:
// each parameter is an array of all rows (text[]).
struct dbms_upsert {
    const char *table;
    const char *const *columns;
    const enum column_kind *kinds; // of the columns
    size_t ncolumns;
    const char *const *keys;
    size_t nkeys;
};

#define DBMS_MAX 8

// A column that came later than its table: `type` is understood everywhere.
struct dbms_added_column {
    const char *table, *name, *type;
};
extern const struct dbms_added_column dbms_added_columns[]; // of the changelog's objects

// Behind a placeholder: its text is hex, and is bound as the bytes that it stands for.
#define DBMS_HEX_PARAM "/*hex*/"

struct dbms {
    unsigned index;           // its own, below DBMS_MAX: for tables of prepared texts
    const char *name;         // "sqlite", "mariadb", "postgres", "sqlserver", "oracle"
    const char *untested;     // what was never tried on a server of it; NULL: it runs
    bool dollar_placeholders; // $1 instead of ?
    const char *session_sql;  // run on every new connection; NULL
    const char *begin_write;  // "BEGIN IMMEDIATE"; NULL: no transaction can be begun by a statement
    const char *begin_read;   // NULL: "BEGIN"
    // Before a savepoint's name. NULL: "SAVEPOINT", "ROLLBACK TO SAVEPOINT".
    const char *savepoint, *rollback_to;
    bool case_folds_like;             // LIKE ignores case by nature
    const char *text_type;            // CAST(.. AS this) gives text
    const char *true_sql, *false_sql; // literals of its boolean columns
    // For statements that a map brings itself: what HEX() is called here, NULL: so; what follows
    // a text parameter, NULL: nothing.
    const char *hex_function, *text_cast;
    const char *lock_row;  // at the end of a SELECT of alias t: locks its rows
    const char *lock_hint; // the same, right behind "FROM .. t"; NULL: none
    // Around the count of rows behind an ORDER BY. NULL: " LIMIT ", "".
    const char *limit_head, *limit_tail;
    const char *table_alias; // between a table and its alias; NULL: " AS "
    const char *row_mark;    // text that changes with every write of a row; NULL: none
    unsigned max_params;     // in one statement

    void (*quote)(struct buf *out, struct str identifier); // dotted names part by part
    void (*page)(struct buf *out, long long limit, long long offset);
    // Comparison of text as the legacy's collation does (case-insensitive when `nocase`).
    void (*match_text)(struct buf *out, const char *column_sql, enum text_match op,
                       const char *param_sql, bool nocase);
    void (*order_text)(struct buf *out, const char *column_sql, bool nocase, bool desc);
    // Reads a column as the text that migrations/type.c parses, e.g. MariaDB bit(1) + 0,
    // PostgreSQL to_char(ts at utc), bytes as hex.
    void (*read_column)(struct buf *out, const char *column_sql, enum column_kind kind);
    // The number that every DBMS which has this makes of equal rows: the top 60 bits of MD5 over
    // the rows' texts: "-" for NULL, else for text its bytes' count, ':' and the bytes, for what
    // cannot hold a '|' its text; this with a '|' behind either. `columns` are expressions, `kinds`
    // as stored. NULL: the store has no MD5.
    void (*row_hash)(struct buf *out, const char *const *columns, const enum column_kind *kinds,
                     size_t n);
    // The same for a text column where a value is about to cross: a value with a NUL inside, which the
    // driver would cut, begins with C0 80. NULL: the driver gives all of it.
    void (*read_text)(struct buf *out, const char *column_sql);
    // Wraps a text parameter for writing into a column of that kind: PostgreSQL $1::numeric.
    void (*write_param)(struct buf *out, const char *param_sql, enum column_kind kind);
    void (*upsert)(struct buf *out, const struct dbms_upsert *u);
    // Joins the columns of a composite key with 0x1f, as entity_key_text does.
    void (*join_key)(struct buf *out, const char *const *columns_sql, size_t n);
    void (*column_type)(struct buf *out, enum column_kind kind, unsigned a, unsigned b);

    // Ficus' own objects in a legacy store: changelog, fence, position, marker, parked,
    // rogue, meta (columns: the DBMS files; the same everywhere, but for at_us/at and types;
    // parked has `sql_state`, since sqlstate is a reserved word). Statements separated by "\n--\n". Idempotent (IF NOT EXISTS).
    // NULL, like everything about triggers, fence and changelog below, for dbms_postgres: a
    // PostgreSQL's changes are read from its log and its objects are the control store's SQL.
    void (*objects_ddl)(struct buf *out);
    void (*objects_drop)(struct buf *out);
    const struct dbms_added_column *added_columns; // to those objects, since; ends with NULLs
    // All triggers of one table for one entity; statements separated by "\n--\n".
    void (*trigger_ddl)(struct buf *out, const struct dbms_trigger *t);
    void (*trigger_drop)(struct buf *out, const struct dbms_trigger *t);
    const char *trigger_ops;       // the last letters of their names, "iud"
    const char *trigger_names_sql; // -> name, table, enabled (1 or 0) of Ficus' triggers
    const char *trigger_drop_head, *trigger_drop_tail; // around a quoted name
    bool ddl_in_transaction;                           // DDL can be rolled back
    // Statements that set and clear the marks. Only inside the writing transaction, cleared
    // before its commit: SQLite keeps them in a row that other connections would see, and a
    // pooled MariaDB session would carry them on.
    void (*set_marks)(struct buf *out, const struct dbms_marks *m); // "\n--\n" separated
    const char *clear_marks;

    // Fence. Seal: takes it exclusively, one parameter group: (epoch, group, epoch).
    const char *fence_seal_sql; // UPDATE .. SET writable=0, epoch=? WHERE grp=? AND epoch<?
    const char *fence_open_sql; // .. SET writable=1, epoch=?, opened=? WHERE grp=? AND epoch<?
    const char *fence_read_sql; // (grp) -> writable, epoch
    // (grp) -> writable, epoch that opened it last; held shared until the transaction ends: a
    // transfer waits for it.
    const char *fence_hold_sql;
    const char *fence_openings_sql; // -> grp, epoch that opened it last, of those that were
    // Bounds how long this session waits for a lock; one %u, seconds. NULL: the driver's own.
    const char *lock_timeout_fmt;
    // Who keeps a session waiting. Its own id in its store; (%lld: that id) -> id, description of
    // each session in its way; %lld: a session to end. NULL: the store cannot tell.
    const char *session_id_sql, *holders_fmt, *end_session_fmt;
    const char *fence_init_sql; // (grp, writable, epoch), does nothing when present

    // Changelog reading, see cdc/capture/changelog.h. (after_seq, limit) -> seq, entity, key,
    // write_id, at_us ordered by seq.
    const char *changelog_read_sql;
    const char *changelog_max_sql; // -> greatest seq visible, 0 when none
    // Probe of one missing seq: MariaDB's locking read NOWAIT. NULL: seq order is commit order.
    const char *changelog_probe_sql;
    // Snapshot difference, for a store whose seq order is not commit order and whose gaps cannot
    // be probed (cdc/capture/changelog_snapshot.c); NULL elsewhere. -> the present snapshot as text;
    // rows as changelog_read_sql, then xid: of transactions that ended since ({xids}, xid, seq,
    // limit), of newer ones (xid, seq, xmax, snapshot, limit), both from behind (xid, seq).
    const char *changelog_snapshot_sql, *changelog_late_sql, *changelog_diff_sql;
    // Two statements: the last number handed out; a transaction id handed out after it.
    const char *changelog_horizon_sql;
    const char *changelog_trim_sql; // (up_to_seq), or (below this xid)
    // -> what names this very store and its history (system, timeline). NULL: nothing does.
    const char *identity_sql;
    // -> a path on the file system that holds the store, and the machine's name, "" for one that this
    // session runs on, NULL for one that cannot be told; no row: the path may not be seen.
    // NULL: the store cannot tell.
    const char *disk_sql;
    const char *changelog_marker_sql; // (marker) inserts a row with entity '' and that key

    // (table, as the map names it) -> name and type of its columns, in order; none: no such table.
    const char *columns_sql;
    // (table) -> index, unique (1/0), column, column is never NULL (1/0): whole columns of
    // indexes over all rows, in the order of each index.
    const char *indexes_sql;
    // Store time in microseconds since 1970, as integer text; for latency figures only.
    const char *now_us_sql;
    // ERR_* of a driver's error. `message` only to tell apart what the code does not.
    enum err_code (*classify)(const char *sqlstate, int native, const char *message);
};

extern const struct dbms dbms_sqlite, dbms_mariadb, dbms_postgres_legacy; // legacies
extern const struct dbms dbms_sqlserver, dbms_oracle;                     // legacies, untested
extern const struct dbms dbms_postgres;                                   // the new store
const struct dbms *dbms_find(struct str name); // a legacy's; NULL when unknown
const struct dbms *dbms_at(unsigned index);    // NULL past the last
void dbms_warn_untested(const struct dbms *d); // into the log, where it is

// Calls `each` for every statement of a "\n--\n" separated text.
int dbms_each_statement(struct str text, int (*each)(void *ctx, struct str sql, struct err *e),
                        void *ctx, struct err *e) FICUS_MUST_CHECK;

#endif
