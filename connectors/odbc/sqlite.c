// SPDX-License-Identifier: Apache-2.0
// SQLite 3.35 or newer (upserts), reached through libsqliteodbc. Owns the SQL text that only
// SQLite wants; no connection, no state. Thread: any.
//
// One writer at a time makes two things simple: changelog order is commit order, and the marks
// of a session are a row of table ficus_session that is set and cleared inside the writing
// transaction (BEGIN IMMEDIATE), so that no other connection ever sees it.
#include "connectors/odbc/dbms_int.h"

static void quote(struct buf *out, struct str identifier)
{
    dbms_quote_with(out, identifier, '"');
}

static void page(struct buf *out, long long limit, long long offset)
{
    if (limit < 0 && offset <= 0)
        return;
    buf_printf(out, " LIMIT %lld", limit);
    if (offset > 0)
        buf_printf(out, " OFFSET %lld", offset);
}

// NOCASE folds ASCII letters only: the nearest that SQLite has to the collations of the
// servers. LIKE folds them whatever `nocase` says.
static void match_text(struct buf *out, const char *column_sql, enum text_match op,
                       const char *param_sql, bool nocase)
{
    buf_printf(out, "%s %s %s", column_sql, dbms_op(op), param_sql);
    if (op == MATCH_LIKE || op == MATCH_NOT_LIKE)
        buf_addz(out, " ESCAPE '\\'");
    else
        buf_addz(out, nocase ? " COLLATE NOCASE" : " COLLATE BINARY");
}

static void order_text(struct buf *out, const char *column_sql, bool nocase, bool desc)
{
    buf_printf(out, "%s%s%s", column_sql, nocase ? " COLLATE NOCASE" : "", desc ? " DESC" : "");
}

// A REAL is asked for with 20 digits (the driver would print 15; SQLite's own 17th is wrong near
// the ends of the range); `!` is SQLite's flag for more than 16.
static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    if (kind == COLUMN_FLOAT)
        buf_printf(out, "CASE typeof(%s) WHEN 'real' THEN printf('%%!.20g', %s) ELSE %s END",
                   column_sql, column_sql, column_sql);
    else if (kind == COLUMN_BYTES)
        buf_printf(out, "lower(hex(%s))", column_sql);
    else
        buf_addz(out, column_sql);
}

// The driver cuts text at a NUL. Such a value is given as C0 80, which no UTF-8 begins with, and its
// bytes in hex: whoever reads it sees that there was one (type.c).
static void read_text(struct buf *out, const char *column_sql)
{
    buf_printf(out,
               "CASE WHEN instr(CAST(%s AS BLOB), x'00') > 0 THEN CAST(x'C080' AS TEXT) ||"
               " hex(CAST(%s AS BLOB)) ELSE %s END",
               column_sql, column_sql, column_sql);
}

// Column affinity turns the bound text into numbers. There is no unhex() before SQLite 3.41, so
// bytes are bound as bytes.
static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    buf_printf(out, kind == COLUMN_BYTES ? "%s" DBMS_HEX_PARAM : "%s", param_sql);
}

static void upsert(struct buf *out, const struct dbms_upsert *u)
{
    buf_addz(out, "INSERT INTO ");
    quote(out, str_of(u->table));
    buf_addz(out, " (");
    dbms_columns(out, quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") VALUES (");
    for (size_t i = 0; i < u->ncolumns; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        write_param(out, "?", u->kinds[i]);
    }
    buf_addz(out, ") ON CONFLICT (");
    dbms_columns(out, quote, u->keys, u->nkeys, "");
    buf_addz(out, ") DO ");
    bool any = false;
    for (size_t i = 0; i < u->ncolumns; i++) {
        if (dbms_is_key(u, i))
            continue;
        buf_addz(out, any ? ", " : "UPDATE SET ");
        quote(out, str_of(u->columns[i]));
        buf_addz(out, " = excluded.");
        quote(out, str_of(u->columns[i]));
        any = true;
    }
    if (!any)
        buf_addz(out, "NOTHING");
}

static void join_key(struct buf *out, const char *const *columns_sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i > 0 ? " || char(31) || " : "", columns_sql[i]);
}

static void column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    switch (kind) {
    case COLUMN_TEXT:
        if (a > 0)
            buf_printf(out, "varchar(%u)", a);
        else
            buf_addz(out, "text");
        break;
    case COLUMN_INTEGER: buf_addz(out, a > 32 ? "bigint" : "int"); break;
    case COLUMN_DECIMAL: buf_printf(out, "decimal(%u,%u)", a, b); break;
    case COLUMN_FLOAT: buf_addz(out, "double"); break;
    case COLUMN_BOOLEAN: buf_addz(out, "tinyint(1)"); break;
    case COLUMN_DATE: buf_addz(out, "date"); break;
    case COLUMN_TIME: buf_addz(out, "time"); break;
    case COLUMN_TIMESTAMP: buf_addz(out, "datetime"); break;
    case COLUMN_BYTES: buf_addz(out, "blob"); break;
    case COLUMN_JSON: buf_addz(out, "text"); break;
    }
}

// Microseconds since 1970 out of the Julian day: exact to about 40 us.
#define NOW_US "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"

static void objects_ddl(struct buf *out)
{
    buf_addz(out,
             "CREATE TABLE IF NOT EXISTS ficus_changelog (\n"
             "  seq INTEGER PRIMARY KEY AUTOINCREMENT,\n"
             "  entity TEXT NOT NULL,\n"
             "  k TEXT NOT NULL,\n"
             "  write_id TEXT,\n"
             "  at_us INTEGER NOT NULL DEFAULT (" NOW_US "))" DBMS_NEXT
             "CREATE TABLE IF NOT EXISTS ficus_fence (\n"
             "  grp TEXT PRIMARY KEY,\n"
             "  writable INTEGER NOT NULL,\n"
             "  epoch INTEGER NOT NULL)" DBMS_NEXT "CREATE TABLE IF NOT EXISTS ficus_session (\n"
             "  one INTEGER PRIMARY KEY CHECK (one = 1),\n"
             "  origin TEXT,\n"
             "  epoch INTEGER,\n"
             "  write_id TEXT)" DBMS_NEXT "CREATE TABLE IF NOT EXISTS ficus_position (\n"
             "  stream TEXT NOT NULL,\n"
             "  part INTEGER NOT NULL,\n"
             "  next INTEGER NOT NULL,\n"
             "  epoch INTEGER NOT NULL,\n"
             "  term INTEGER NOT NULL DEFAULT 0,\n"
             "  through INTEGER NOT NULL DEFAULT 0,\n"
             "  PRIMARY KEY (stream, part))" DBMS_NEXT "CREATE TABLE IF NOT EXISTS ficus_marker (\n"
             "  marker TEXT NOT NULL,\n"
             "  stream TEXT NOT NULL,\n"
             "  part INTEGER NOT NULL,\n"
             "  at_us INTEGER NOT NULL DEFAULT (" NOW_US "),\n"
             "  PRIMARY KEY (marker, stream, part))" DBMS_NEXT
             "CREATE TABLE IF NOT EXISTS ficus_parked (\n"
             "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
             "  stream TEXT NOT NULL,\n"
             "  part INTEGER NOT NULL,\n"
             "  offset_no INTEGER NOT NULL,\n"
             "  entity TEXT NOT NULL,\n"
             "  k TEXT NOT NULL,\n"
             "  reason TEXT NOT NULL,\n"
             "  detail TEXT NOT NULL,\n"
             "  sql_state TEXT NOT NULL DEFAULT '',\n"
             "  before_image TEXT,\n"
             "  after_image TEXT,\n"
             "  state TEXT NOT NULL DEFAULT 'parked',\n"
             "  why TEXT NOT NULL DEFAULT '',\n"
             "  at_us INTEGER NOT NULL DEFAULT (" NOW_US "),\n"
             "  UNIQUE (stream, part, offset_no))" DBMS_NEXT
             "CREATE INDEX IF NOT EXISTS ficus_parked_open ON ficus_parked (stream, k)\n"
             "  WHERE state IN ('parked', 'retry')" DBMS_NEXT
             "CREATE TABLE IF NOT EXISTS ficus_rogue (\n"
             "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
             "  entity TEXT NOT NULL,\n"
             "  grp TEXT NOT NULL,\n"
             "  k TEXT NOT NULL,\n"
             "  op TEXT NOT NULL,\n"
             "  at_us INTEGER NOT NULL DEFAULT (" NOW_US "))" DBMS_NEXT
             "CREATE TABLE IF NOT EXISTS ficus_meta (\n"
             "  name TEXT PRIMARY KEY,\n"
             "  value TEXT NOT NULL)");
}

static void objects_drop(struct buf *out)
{
    static const char *const tables[] = {"changelog", "fence",  "session", "position",
                                         "marker",    "parked", "rogue",   "meta"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        buf_printf(out, "%sDROP TABLE IF EXISTS ficus_%s", i > 0 ? DBMS_NEXT : "", tables[i]);
}

#define SESSION_EPOCH "(SELECT epoch FROM ficus_session WHERE one = 1)"

// " AND (cond)": the row matters, as NEW, OLD or either.
static void add_when(struct buf *out, const struct dbms_trigger *t, char op, const char *join)
{
    if (t->key_is_select) {
        // A key list: it matters when it is not empty.
        buf_printf(out, "%sEXISTS (", join);
        if (op != 'i')
            dbms_add_row(out, t->key_expr, "OLD");
        if (op == 'u')
            buf_addz(out, " UNION ");
        if (op != 'd')
            dbms_add_row(out, t->key_expr, "NEW");
        buf_addz(out, ")");
    } else if (t->when_expr) {
        buf_printf(out, "%s(", join);
        if (op != 'i')
            dbms_add_row(out, t->when_expr, "OLD");
        if (op == 'u')
            buf_addz(out, " OR ");
        if (op != 'd')
            dbms_add_row(out, t->when_expr, "NEW");
        buf_addz(out, ")");
    }
}

static void add_fence(struct buf *out, const struct dbms_trigger *t, char op)
{
    struct buf closed = BUF_INIT;
    buf_addz(&closed, "NOT EXISTS (SELECT 1 FROM ficus_fence AS f WHERE f.grp = ");
    dbms_literal(&closed, t->group);
    buf_addz(&closed,
             " AND f.writable = 1 AND (" SESSION_EPOCH " IS NULL OR " SESSION_EPOCH " = f.epoch))");
    if (closed.failed)
        out->failed = true;
    const char *closed_sql = closed.failed ? "" : closed.data;
    struct buf message = BUF_INIT;
    buf_printf(&message, "ficus: fence: group %s is owned by the other side; write through Ficus",
               t->group);
    buf_addz(out, "  SELECT RAISE(ABORT, ");
    dbms_literal(out, message.failed ? "ficus: fence" : message.data);
    buf_free(&message);
    buf_printf(out, ")\n   WHERE %s", closed_sql);
    if (t->rogue_allowed)
        buf_addz(out, " AND " SESSION_EPOCH " IS NOT NULL");
    add_when(out, t, op, " AND ");
    buf_addz(out, ";\n");
    if (t->rogue_allowed) {
        buf_addz(out, "  INSERT INTO ficus_rogue (entity, grp, k, op) SELECT ");
        dbms_literal(out, t->entity);
        buf_addz(out, ", ");
        dbms_literal(out, t->group);
        buf_addz(out, ", q.k, ");
        buf_printf(out, "'%c' FROM (", op);
        if (t->key_is_select) {
            dbms_add_row(out, t->key_expr, op == 'd' ? "OLD" : "NEW");
        } else {
            buf_addz(out, "SELECT ");
            dbms_add_row(out, t->key_expr, op == 'd' ? "OLD" : "NEW");
            buf_addz(out, " AS k");
        }
        buf_printf(out, ") AS q WHERE q.k IS NOT NULL AND %s", closed_sql);
        add_when(out, t, op, " AND ");
        buf_addz(out, ";\n");
    }
    buf_free(&closed);
}

// One changelog row for the row `row`; for the OLD row of an update only where NEW does not
// log the same key already.
static void add_log(struct buf *out, const struct dbms_trigger *t, const char *row, bool old_too)
{
    buf_addz(out, "  INSERT INTO ficus_changelog (entity, k, write_id) SELECT ");
    dbms_literal(out, t->entity);
    buf_addz(out, ", ");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, ", (SELECT write_id FROM ficus_session WHERE one = 1) WHERE ");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, " IS NOT NULL");
    if (t->when_expr) {
        buf_addz(out, " AND ");
        dbms_add_row(out, t->when_expr, row);
    }
    if (old_too) {
        buf_addz(out, " AND (");
        dbms_add_row(out, t->key_expr, "OLD");
        buf_addz(out, " IS NOT ");
        dbms_add_row(out, t->key_expr, "NEW");
        if (t->when_expr) {
            buf_addz(out, " OR (");
            dbms_add_row(out, t->when_expr, "NEW");
            buf_addz(out, ") IS NOT 1");
        }
        buf_addz(out, ")");
    }
    buf_addz(out, ";\n");
}

static void add_log_select(struct buf *out, const struct dbms_trigger *t, char op)
{
    buf_addz(out, "  INSERT INTO ficus_changelog (entity, k, write_id) SELECT ");
    dbms_literal(out, t->entity);
    buf_addz(out, ", q.k, (SELECT write_id FROM ficus_session WHERE one = 1) FROM (");
    if (op != 'i')
        dbms_add_row(out, t->key_expr, "OLD");
    if (op == 'u')
        buf_addz(out, " UNION ");
    if (op != 'd')
        dbms_add_row(out, t->key_expr, "NEW");
    buf_addz(out, ") AS q WHERE q.k IS NOT NULL;\n");
}

static void trigger_one(struct buf *out, const struct dbms_trigger *t, char op)
{
    const char *event = op == 'i' ? "INSERT" : op == 'u' ? "UPDATE" : "DELETE";
    buf_addz(out, "CREATE TRIGGER ");
    dbms_trigger_name(out, t, op);
    buf_printf(out, " AFTER %s ON ", event);
    quote(out, str_of(t->table));
    buf_addz(out, "\nWHEN (SELECT origin FROM ficus_session WHERE one = 1) IS NULL\nBEGIN\n");
    if (t->group)
        add_fence(out, t, op);
    if (t->key_is_select) {
        add_log_select(out, t, op);
    } else {
        if (op != 'd')
            add_log(out, t, "NEW", false);
        if (op != 'i')
            add_log(out, t, "OLD", op == 'u');
    }
    buf_addz(out, "END");
}

static void trigger_drop(struct buf *out, const struct dbms_trigger *t)
{
    static const char ops[] = {'i', 'u', 'd'};
    for (size_t i = 0; i < sizeof(ops); i++) {
        buf_addz(out, i > 0 ? DBMS_NEXT : "");
        buf_addz(out, "DROP TRIGGER IF EXISTS ");
        dbms_trigger_name(out, t, ops[i]);
    }
}

static void trigger_ddl(struct buf *out, const struct dbms_trigger *t)
{
    static const char ops[] = {'i', 'u', 'd'};
    trigger_drop(out, t);
    for (size_t i = 0; i < sizeof(ops); i++) {
        buf_addz(out, DBMS_NEXT);
        trigger_one(out, t, ops[i]);
    }
}

static void set_marks(struct buf *out, const struct dbms_marks *m)
{
    buf_addz(out,
             "INSERT OR REPLACE INTO ficus_session (one, origin, epoch, write_id) VALUES (1, ");
    dbms_literal(out, m->origin);
    if (m->epoch >= 0)
        buf_printf(out, ", %lld, ", m->epoch);
    else
        buf_addz(out, ", NULL, ");
    dbms_literal(out, m->write_id);
    buf_addc(out, ')');
}

// The driver reports SQLite's primary or extended result code as native error.
static enum err_code classify(const char *sqlstate, int native, const char *message)
{
    if (dbms_contains(message, "ficus: fence"))
        return ERR_FENCED;
    if (dbms_contains(message, "UNIQUE constraint") ||
        dbms_contains(message, "PRIMARY KEY must be unique") || native == 1555 || native == 2067)
        return ERR_CONFLICT;
    if (dbms_contains(message, "no such table") || dbms_contains(message, "no such column") ||
        dbms_contains(message, "has no column named") || dbms_contains(message, "no such function"))
        return ERR_SCHEMA;
    switch (native & 0xff) {
    case 5: // SQLITE_BUSY
    case 6: return ERR_BUSY;
    case 9: return ERR_CANCELLED;
    case 7: return ERR_MEMORY;
    case 8: return ERR_DENIED;
    case 10: // IOERR
    case 11: // CORRUPT
    case 13: // FULL
    case 14: // CANTOPEN
    case 26: return ERR_UNREACHABLE;
    case 17: return ERR_SCHEMA;
    case 18: return ERR_LIMIT;
    case 19: return ERR_CONSTRAINT;
    case 20: return ERR_VALUE; // MISMATCH
    default: break;
    }
    if (dbms_contains(message, "constraint failed"))
        return ERR_CONSTRAINT;
    if (dbms_contains(message, "database is locked"))
        return ERR_BUSY;
    if (strncmp(sqlstate, "08", 2) == 0)
        return ERR_UNREACHABLE;
    if (strncmp(sqlstate, "22", 2) == 0)
        return ERR_VALUE;
    return ERR_INTERNAL;
}

const struct dbms dbms_sqlite = {
    .index = 0,
    .name = "sqlite",
    .begin_write = "BEGIN IMMEDIATE",
    .case_folds_like = true,
    .text_type = "TEXT",
    .lock_row = "",
    .true_sql = "1",
    .false_sql = "0",
    .max_params = 32766,
    .quote = quote,
    .page = page,
    .match_text = match_text,
    .order_text = order_text,
    .read_column = read_column,
    .read_text = read_text,
    .write_param = write_param,
    .upsert = upsert,
    .join_key = join_key,
    .column_type = column_type,
    .objects_ddl = objects_ddl,
    .objects_drop = objects_drop,
    .added_columns = dbms_added_columns,
    .trigger_ddl = trigger_ddl,
    .trigger_drop = trigger_drop,
    .trigger_ops = "iud",
    .trigger_drop_head = "DROP TRIGGER IF EXISTS ",
    .trigger_drop_tail = "",
    .trigger_names_sql = "SELECT name, tbl_name, 1 FROM sqlite_master WHERE type = 'trigger'"
                         " AND name LIKE 'ficus\\_%' ESCAPE '\\'",
    .ddl_in_transaction = true,
    .set_marks = set_marks,
    .clear_marks = "DELETE FROM ficus_session",
    .fence_seal_sql =
        "UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < CAST(? AS INTEGER)",
    .fence_open_sql = "UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ? WHERE grp = ?"
                      " AND epoch < CAST(? AS INTEGER)",
    .fence_openings_sql = "SELECT grp, opened FROM ficus_fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable, epoch FROM ficus_fence WHERE grp = ?",
    .fence_hold_sql = "SELECT writable, opened FROM ficus_fence WHERE grp = ?", // one writer
    .fence_init_sql = "INSERT INTO ficus_fence (grp, writable, epoch) VALUES (?, ?, ?)"
                      " ON CONFLICT (grp) DO NOTHING",
    .changelog_read_sql = "SELECT seq, entity, k, write_id, at_us FROM ficus_changelog"
                          " WHERE seq > CAST(? AS INTEGER) ORDER BY seq LIMIT CAST(? AS INTEGER)",
    .changelog_max_sql = "SELECT COALESCE(MAX(seq), 0) FROM ficus_changelog",
    .changelog_trim_sql = "DELETE FROM ficus_changelog WHERE seq <= CAST(? AS INTEGER)",
    .changelog_marker_sql = "INSERT INTO ficus_changelog (entity, k) VALUES ('', ?)",
    .disk_sql = "SELECT file, '' FROM pragma_database_list WHERE name = 'main'",
    .columns_sql = "SELECT name, type FROM pragma_table_info(?)",
    .indexes_sql =
        "WITH p(t) AS (SELECT ?) SELECT il.name, il.\"unique\", ii.name,"
        " (SELECT max(ti.\"notnull\") FROM pragma_table_info(p.t) AS ti"
        " WHERE ti.name = ii.name) FROM p, pragma_index_list(p.t) AS il,"
        " pragma_index_info(il.name) AS ii WHERE il.partial = 0"
        " UNION ALL SELECT 'rowid', 1, ti.name, 1 FROM p, pragma_table_info(p.t) AS ti"
        " WHERE ti.pk = 1 AND lower(ti.type) = 'integer'"
        " AND (SELECT count(*) FROM pragma_table_info(p.t) AS more WHERE more.pk > 0) = 1",
    .now_us_sql = "SELECT " NOW_US,
    .classify = classify,
};
