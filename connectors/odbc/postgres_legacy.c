// SPDX-License-Identifier: Apache-2.0
// PostgreSQL (10 or newer) as the legacy store, through psqlodbc. Owns the SQL text that only
// PostgreSQL wants; its triggers are postgres_triggers.c. No connection, no state. Thread: any.
//
// Every column is read as the text that the server prints in a UTC session: psqlodbc itself
// would turn infinity into a date of the year 9999 and drop zones. Parameters are bound without
// a type, so that the server gives them the column's own: the same statement serves a boolean
// and a smallint, a timestamp with and without zone.
//
// Changes are read by snapshot difference (cdc/capture/changelog_snapshot.c). A changelog row carries the
// top-level transaction that wrote it; that column comes first, so that no number of the sequence
// is ever handed out before its transaction has an id. The sequence keeps no cache.
#include "connectors/odbc/dbms_int.h"
#include "connectors/odbc/postgres_int.h"

#include <stdio.h>

static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    buf_printf(out, kind == COLUMN_BYTES ? "encode(%s, 'hex')" : "%s::text", column_sql);
}

static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    buf_printf(out, kind == COLUMN_BYTES ? "decode(%s, 'hex')" : "%s", param_sql);
}

static void upsert(struct buf *out, const struct dbms_upsert *u)
{
    bool any = false;
    buf_addz(out, "INSERT INTO ");
    postgres_quote(out, str_of(u->table));
    buf_addz(out, " (");
    dbms_columns(out, postgres_quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") VALUES (");
    for (size_t i = 0; i < u->ncolumns; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        write_param(out, "?", u->kinds[i]);
    }
    buf_addz(out, ") ON CONFLICT (");
    dbms_columns(out, postgres_quote, u->keys, u->nkeys, "");
    buf_addz(out, ") DO ");
    for (size_t i = 0; i < u->ncolumns; i++) {
        if (dbms_is_key(u, i))
            continue;
        buf_addz(out, any ? ", " : "UPDATE SET ");
        postgres_quote(out, str_of(u->columns[i]));
        buf_addz(out, " = excluded.");
        postgres_quote(out, str_of(u->columns[i]));
        any = true;
    }
    if (!any)
        buf_addz(out, "NOTHING");
}

static void column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    if (kind == COLUMN_TEXT && a > 0)
        buf_printf(out, "varchar(%u)", a);
    else if (kind == COLUMN_TIMESTAMP)
        buf_printf(out, "timestamp(%u)", a);
    else
        postgres_column_type(out, kind, a, b);
}

#define AT "  at timestamptz NOT NULL DEFAULT clock_timestamp()"

static void objects_ddl(struct buf *out)
{
    buf_addz(
        out,
        "CREATE SEQUENCE IF NOT EXISTS ficus_changelog_seq CACHE 1" DBMS_NEXT
        "CREATE TABLE IF NOT EXISTS ficus_changelog (\n"
        "  xid bigint NOT NULL DEFAULT txid_current(),\n"
        "  seq bigint NOT NULL DEFAULT nextval('ficus_changelog_seq') PRIMARY KEY,\n"
        "  entity varchar(64) NOT NULL,\n"
        "  k varchar(512) NOT NULL,\n"
        "  write_id varchar(36),\n" AT ")" DBMS_NEXT
        "CREATE INDEX IF NOT EXISTS ficus_changelog_xid ON ficus_changelog (xid, seq)" DBMS_NEXT
        "CREATE TABLE IF NOT EXISTS ficus_fence (\n"
        "  grp varchar(64) NOT NULL PRIMARY KEY,\n"
        "  writable smallint NOT NULL,\n"
        "  epoch bigint NOT NULL)" DBMS_NEXT "CREATE TABLE IF NOT EXISTS ficus_position (\n"
        "  stream varchar(128) NOT NULL,\n"
        "  part int NOT NULL,\n"
        "  next bigint NOT NULL,\n"
        "  epoch bigint NOT NULL,\n"
        "  term bigint NOT NULL DEFAULT 0,\n"
        "  through bigint NOT NULL DEFAULT 0,\n"
        "  PRIMARY KEY (stream, part))" DBMS_NEXT);
    buf_addz(
        out,
        "CREATE TABLE IF NOT EXISTS ficus_marker (\n"
        "  marker varchar(128) NOT NULL,\n"
        "  stream varchar(128) NOT NULL,\n"
        "  part int NOT NULL,\n" AT ",\n"
        "  PRIMARY KEY (marker, stream, part))" DBMS_NEXT
        "CREATE TABLE IF NOT EXISTS ficus_parked (\n"
        "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
        "  stream varchar(128) NOT NULL,\n"
        "  part int NOT NULL,\n"
        "  offset_no bigint NOT NULL,\n"
        "  entity varchar(64) NOT NULL,\n"
        "  k varchar(512) NOT NULL,\n"
        "  reason varchar(64) NOT NULL,\n"
        "  detail text NOT NULL,\n"
        "  sql_state varchar(5) NOT NULL DEFAULT '',\n"
        "  before_image text,\n"
        "  after_image text,\n"
        "  state varchar(16) NOT NULL DEFAULT 'parked',\n"
        "  why varchar(512) NOT NULL DEFAULT '',\n" AT ",\n"
        "  UNIQUE (stream, part, offset_no))" DBMS_NEXT
        "CREATE INDEX IF NOT EXISTS ficus_parked_open ON ficus_parked (stream, state, k)" DBMS_NEXT
        "CREATE TABLE IF NOT EXISTS ficus_rogue (\n"
        "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
        "  entity varchar(64) NOT NULL,\n"
        "  grp varchar(64) NOT NULL,\n"
        "  k varchar(512) NOT NULL,\n"
        "  op char(1) NOT NULL,\n" AT ")" DBMS_NEXT "CREATE TABLE IF NOT EXISTS ficus_meta (\n"
        "  name varchar(128) NOT NULL PRIMARY KEY,\n"
        "  value text NOT NULL)" DBMS_NEXT);
    buf_addz(out, "CREATE OR REPLACE FUNCTION ficus_hex(t text) RETURNS text LANGUAGE sql IMMUTABLE"
                  " AS $ficus$ SELECT encode(convert_to(t, 'UTF8'), 'hex') $ficus$" DBMS_NEXT);
    buf_addz(out, postgres_fence_lock);
}

static void objects_drop(struct buf *out)
{
    static const char *const tables[] = {"changelog", "fence", "position", "marker",
                                         "parked",    "rogue", "meta"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        buf_printf(out, "DROP TABLE IF EXISTS ficus_%s" DBMS_NEXT, tables[i]);
    buf_addz(out, "DROP SEQUENCE IF EXISTS ficus_changelog_seq" DBMS_NEXT
                  "DROP FUNCTION IF EXISTS ficus_fence_lock(text), ficus_hex(text)");
}

// The driver reports a lost connection in its own words, mostly as HY000.
static enum err_code classify(const char *sqlstate, int native, const char *message)
{
    static const char *const lost[] = {"server closed the connection",
                                       "Could not send",
                                       "no connection to the server",
                                       "could not connect",
                                       "Connection refused",
                                       "terminating connection",
                                       "SSL SYSCALL error",
                                       "Communication link",
                                       "the database system is"};
    if (dbms_contains(message, "ficus: fence"))
        return ERR_FENCED;
    enum err_code code = postgres_classify(sqlstate, native, message);
    for (size_t i = 0; code == ERR_INTERNAL && i < sizeof(lost) / sizeof(lost[0]); i++)
        if (dbms_contains(message, lost[i]))
            return ERR_UNREACHABLE;
    if (code == ERR_INTERNAL && strcmp(sqlstate, "HY018") == 0)
        return ERR_CANCELLED;
    return code;
}

#define AT_US   "(extract(epoch FROM at) * 1000000)::bigint"
#define CHANGES "SELECT seq, entity, k, write_id, " AT_US ", xid FROM ficus_changelog"

const struct dbms dbms_postgres_legacy = {
    .index = 3,
    .name = "postgres",
    .session_sql = "SET TimeZone = 'UTC'" DBMS_NEXT "SET DateStyle = 'ISO, YMD'" DBMS_NEXT
                   "SET IntervalStyle = 'postgres'" DBMS_NEXT "SET extra_float_digits = 3" DBMS_NEXT
                   "SET standard_conforming_strings = on" DBMS_NEXT
                   "SET default_transaction_isolation = 'read committed'" DBMS_NEXT
                   "SET client_min_messages = 'warning'",
    .begin_write = "BEGIN",
    .text_type = "text",
    .true_sql = "'1'", // without a type: a smallint's as well as a boolean's
    .false_sql = "'0'",
    .hex_function = "ficus_hex",
    .text_cast = "::text",
    .lock_row = " FOR UPDATE OF t", // extensions may be missing rows, which no lock holds
    .max_params = 32767,
    .quote = postgres_quote,
    .page = postgres_page,
    .match_text = postgres_match_text,
    .order_text = postgres_order_text,
    .join_key = postgres_join_key,
    .set_marks = postgres_set_marks,
    .clear_marks = POSTGRES_CLEAR_MARKS,
    .session_id_sql = POSTGRES_SESSION_ID,
    .holders_fmt = POSTGRES_HOLDERS,
    .end_session_fmt = POSTGRES_END_SESSION,
    .read_column = read_column,
    .write_param = write_param,
    .upsert = upsert,
    .column_type = column_type,
    .objects_ddl = objects_ddl,
    .objects_drop = objects_drop,
    .added_columns = dbms_added_columns,
    .trigger_ddl = postgres_trigger_ddl,
    .trigger_drop = postgres_trigger_drop,
    .trigger_ops = "rt",
    .trigger_names_sql = "SELECT t.tgname, c.relname, CASE WHEN t.tgenabled IN ('A','O') THEN 1"
                         " ELSE 0 END FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                         " WHERE NOT t.tgisinternal AND t.tgname LIKE 'ficus\\_%' ESCAPE '\\'"
                         " AND t.tgname <> 'ficus_guard' AND pg_table_is_visible(c.oid)",
    .trigger_drop_head = "DROP FUNCTION IF EXISTS ", // its function's name is its own
    .trigger_drop_tail = "() CASCADE",
    .fence_seal_sql = "UPDATE ficus_fence SET writable = 0, epoch = ?"
                      " WHERE grp = ficus_fence_lock(?) AND epoch < ?",
    .fence_open_sql = "UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ?"
                      " WHERE grp = ficus_fence_lock(?) AND epoch < ?",
    .fence_openings_sql = "SELECT grp, opened FROM ficus_fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable, epoch FROM ficus_fence WHERE grp = ?",
    .fence_hold_sql = "SELECT writable, opened FROM ficus_fence WHERE grp = ? FOR SHARE",
    .fence_init_sql = "INSERT INTO ficus_fence (grp, writable, epoch) VALUES (?, ?, ?)"
                      " ON CONFLICT (grp) DO NOTHING",
    .lock_timeout_fmt = "SET lock_timeout = '%us'",
    .changelog_read_sql = "SELECT seq, entity, k, write_id, " AT_US
                          " FROM ficus_changelog WHERE seq > ? ORDER BY seq LIMIT ?",
    .changelog_max_sql = "SELECT coalesce(max(seq), 0) FROM ficus_changelog",
    .changelog_snapshot_sql = "SELECT txid_current_snapshot()::text",
    .changelog_late_sql = CHANGES " WHERE xid = ANY (?::bigint[]) AND (xid, seq) > (?::bigint,"
                                  " ?::bigint) ORDER BY xid, seq LIMIT ?",
    .changelog_diff_sql = CHANGES
    " WHERE (xid, seq) > (?::bigint, ?::bigint) AND xid < ?"
    " AND txid_visible_in_snapshot(xid, ?::txid_snapshot) ORDER BY xid, seq LIMIT ?",
    .changelog_horizon_sql = "SELECT last_value FROM ficus_changelog_seq" DBMS_NEXT
                             "SELECT txid_current()",
    .changelog_trim_sql = "DELETE FROM ficus_changelog WHERE xid < ?",
    .changelog_marker_sql = "INSERT INTO ficus_changelog (entity, k) VALUES ('', ?)",
    .identity_sql = "SELECT s.system_identifier || '/' || c.timeline_id"
                    " FROM pg_control_system() s, pg_control_checkpoint() c",
    .disk_sql = POSTGRES_DISK,
    .columns_sql = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                   " WHERE attrelid = to_regclass(?::text) AND attnum > 0 AND NOT attisdropped"
                   " ORDER BY attnum",
    .indexes_sql = POSTGRES_INDEXES("?"),
    .row_hash = postgres_row_hash,
    .now_us_sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    .classify = classify,
};
