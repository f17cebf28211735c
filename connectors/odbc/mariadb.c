// SPDX-License-Identifier: Apache-2.0
// MariaDB 10.6 or newer (MySQL's dialect without its own additions). Owns the SQL text that
// only MariaDB wants; no connection, no state. Thread: any.
//
// Sessions run strict (nothing is cut in silence), in UTC, at READ COMMITTED (the changelog's
// gap probe relies on it) and without backslash escapes, so that one way to write a literal
// and a LIKE pattern holds for every DBMS. Triggers keep the mode they were made under.
#include "connectors/odbc/dbms_int.h"

static void quote(struct buf *out, struct str identifier)
{
    dbms_quote_with(out, identifier, '`');
}

static void page(struct buf *out, long long limit, long long offset)
{
    if (limit < 0 && offset <= 0)
        return;
    if (limit < 0)
        buf_addz(out, " LIMIT 18446744073709551615");
    else
        buf_printf(out, " LIMIT %lld", limit);
    if (offset > 0)
        buf_printf(out, " OFFSET %lld", offset);
}

// The column's own collation decides, as for the legacy application (case-insensitive ones
// fold accents and trailing blanks too); BINARY where case must count.
static void match_text(struct buf *out, const char *column_sql, enum text_match op,
                       const char *param_sql, bool nocase)
{
    buf_printf(out, "%s %s %s%s", column_sql, dbms_op(op), nocase ? "" : "BINARY ", param_sql);
    if (op == MATCH_LIKE || op == MATCH_NOT_LIKE)
        buf_addz(out, " ESCAPE '\\'");
}

static void order_text(struct buf *out, const char *column_sql, bool nocase, bool desc)
{
    (void)nocase; // the column's collation, so that its index serves
    buf_printf(out, "%s%s", column_sql, desc ? " DESC" : "");
}

// A double becomes its shortest exact text in the server (the driver would print 15 digits);
// bit(1) would come as a raw byte.
static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    switch (kind) {
    case COLUMN_FLOAT: buf_printf(out, "CONCAT(%s)", column_sql); break;
    case COLUMN_BOOLEAN: buf_printf(out, "%s + 0", column_sql); break;
    case COLUMN_BYTES: buf_printf(out, "LOWER(HEX(%s))", column_sql); break;
    default: buf_addz(out, column_sql); break;
    }
}

// A value that has no text ('!m') equals nothing elsewhere.
static void row_hash(struct buf *out, const char *const *columns, const enum column_kind *kinds,
                     size_t n)
{
    static const char *const texts[] = {
        [COLUMN_TEXT] = "CONVERT(%s USING utf8mb4)",
        [COLUMN_INTEGER] = "CAST(%s AS CHAR)",
        [COLUMN_DECIMAL] = "CAST(%s AS CHAR)",
        [COLUMN_FLOAT] = "CAST(%s AS CHAR)",
        [COLUMN_BOOLEAN] = "CAST(%s + 0 AS CHAR)",
        [COLUMN_DATE] = "CAST(%s AS CHAR)",
        [COLUMN_TIME] = "TIME_FORMAT(%s, '%H:%i:%s.%f')",
        [COLUMN_TIMESTAMP] = "DATE_FORMAT(%s, '%Y-%m-%d %H:%i:%s.%f')",
        [COLUMN_BYTES] = "LOWER(HEX(%s))",
        [COLUMN_JSON] = "CAST(%s AS CHAR)",
    };
    buf_addz(out, "CAST(CONV(LEFT(MD5(CONCAT(");
    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_INIT;
        dbms_wrap(&text, texts[kinds[i]], columns[i]);
        const char *x = text.data ? text.data : "";
        buf_addz(out, i > 0 ? ", " : "");
        if (dbms_hash_counts(kinds[i]))
            buf_printf(out, "IFNULL(CONCAT(LENGTH(%s), ':', %s)", x, x);
        else
            buf_printf(out, "CONCAT(IFNULL(%s", x);
        buf_printf(out, ", IF(%s IS NULL, '-', '!m'))", columns[i]);
        buf_addz(out, dbms_hash_counts(kinds[i]) ? "" : ", '|')");
        out->failed |= text.failed;
        buf_free(&text);
    }
    buf_addz(out, ")), 15), 16, 10) AS UNSIGNED)");
}

static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    buf_printf(out, kind == COLUMN_BYTES ? "UNHEX(%s)" : "%s", param_sql);
}

// ON DUPLICATE KEY UPDATE also fires on any other unique key and would then overwrite a row
// of another key: the first assignment makes that an error (NULL into the key column).
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
    buf_addz(out, ") ON DUPLICATE KEY UPDATE ");
    for (size_t i = 0; i < u->nkeys; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        quote(out, str_of(u->keys[i]));
        buf_addz(out, " = IF(");
        quote(out, str_of(u->keys[i]));
        buf_addz(out, " = VALUES(");
        quote(out, str_of(u->keys[i]));
        buf_addz(out, "), ");
        quote(out, str_of(u->keys[i]));
        buf_addz(out, ", NULL)");
    }
    for (size_t i = 0; i < u->ncolumns; i++) {
        if (dbms_is_key(u, i))
            continue;
        buf_addz(out, ", ");
        quote(out, str_of(u->columns[i]));
        buf_addz(out, " = VALUES(");
        quote(out, str_of(u->columns[i]));
        buf_addc(out, ')');
    }
}

static void join_key(struct buf *out, const char *const *columns_sql, size_t n)
{
    buf_addz(out, n > 1 ? "CONCAT(" : "");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i > 0 ? ", CHAR(31 USING utf8mb4), " : "", columns_sql[i]);
    buf_addz(out, n > 1 ? ")" : "");
}

static void column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    switch (kind) {
    case COLUMN_TEXT:
        if (a > 0 && a <= 16383)
            buf_printf(out, "varchar(%u)", a);
        else
            buf_addz(out, "longtext");
        break;
    case COLUMN_INTEGER: buf_addz(out, a > 32 ? "bigint" : "int"); break;
    case COLUMN_DECIMAL: buf_printf(out, "decimal(%u,%u)", a, b); break;
    case COLUMN_FLOAT: buf_addz(out, "double"); break;
    case COLUMN_BOOLEAN: buf_addz(out, "tinyint(1)"); break;
    case COLUMN_DATE: buf_addz(out, "date"); break;
    case COLUMN_TIME: buf_printf(out, "time(%u)", a); break;
    case COLUMN_TIMESTAMP: buf_printf(out, "datetime(%u)", a); break;
    case COLUMN_BYTES: buf_addz(out, "longblob"); break;
    case COLUMN_JSON: buf_addz(out, "longtext"); break;
    }
}

#define TABLE_END ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"

static void objects_ddl(struct buf *out)
{
    buf_addz(out, "CREATE TABLE IF NOT EXISTS ficus_changelog (\n"
                  "  seq bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
                  "  entity varchar(64) NOT NULL,\n"
                  "  k varchar(512) NOT NULL,\n"
                  "  write_id char(36),\n"
                  "  at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_fence (\n"
                  "  grp varchar(64) NOT NULL PRIMARY KEY,\n"
                  "  writable tinyint NOT NULL,\n"
                  "  epoch bigint NOT NULL\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_position (\n"
                  "  stream varchar(128) NOT NULL,\n"
                  "  part int NOT NULL,\n"
                  "  next bigint NOT NULL,\n"
                  "  epoch bigint NOT NULL,\n"
                  "  term bigint NOT NULL DEFAULT 0,\n"
                  "  through bigint NOT NULL DEFAULT 0,\n"
                  "  PRIMARY KEY (stream, part)\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_marker (\n"
                  "  marker varchar(128) NOT NULL,\n"
                  "  stream varchar(128) NOT NULL,\n"
                  "  part int NOT NULL,\n"
                  "  at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),\n"
                  "  PRIMARY KEY (marker, stream, part)\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_parked (\n"
                  "  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
                  "  stream varchar(128) NOT NULL,\n"
                  "  part int NOT NULL,\n"
                  "  offset_no bigint NOT NULL,\n"
                  "  entity varchar(64) NOT NULL,\n"
                  "  k varchar(512) NOT NULL,\n"
                  "  reason varchar(64) NOT NULL,\n"
                  "  detail text NOT NULL,\n"
                  "  sql_state varchar(5) NOT NULL DEFAULT '',\n"
                  "  before_image longtext,\n"
                  "  after_image longtext,\n"
                  "  state varchar(16) NOT NULL DEFAULT 'parked',\n"
                  "  why varchar(512) NOT NULL DEFAULT '',\n"
                  "  at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),\n"
                  "  UNIQUE KEY ficus_parked_event (stream, part, offset_no),\n"
                  "  KEY ficus_parked_open (stream, state, k)\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_rogue (\n"
                  "  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
                  "  entity varchar(64) NOT NULL,\n"
                  "  grp varchar(64) NOT NULL,\n"
                  "  k varchar(512) NOT NULL,\n"
                  "  op char(1) NOT NULL,\n"
                  "  at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)\n" TABLE_END DBMS_NEXT
                  "CREATE TABLE IF NOT EXISTS ficus_meta (\n"
                  "  name varchar(128) NOT NULL PRIMARY KEY,\n"
                  "  value text NOT NULL\n" TABLE_END);
}

static void objects_drop(struct buf *out)
{
    static const char *const tables[] = {"changelog", "fence", "position", "marker",
                                         "parked",    "rogue", "meta"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        buf_printf(out, "%sDROP TABLE IF EXISTS ficus_%s", i > 0 ? DBMS_NEXT : "", tables[i]);
}

// The fence: a locking read, held until the writer's commit, always of the newest version.
static void add_fence(struct buf *out, const struct dbms_trigger *t, const char *indent)
{
    buf_printf(out, "%sSELECT writable, epoch INTO ficus_w, ficus_x FROM ficus_fence WHERE grp = ",
               indent);
    dbms_literal(out, t->group);
    buf_addz(out, " LOCK IN SHARE MODE;\n");
    buf_printf(out, "%sIF ficus_w IS NULL OR ficus_w <> 1 OR @ficus_epoch <> ficus_x THEN\n",
               indent);
    if (t->rogue_allowed)
        buf_printf(out, "%s  IF @ficus_epoch IS NOT NULL THEN\n", indent);
    struct buf message = BUF_INIT; // MariaDB cuts MESSAGE_TEXT at 128 characters
    buf_printf(&message, "ficus: fence: group %.60s is owned by the other side", t->group);
    buf_printf(out, "%s    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = ", indent);
    dbms_literal(out, message.failed ? "ficus: fence" : message.data);
    buf_addz(out, ";\n");
    buf_free(&message);
    if (t->rogue_allowed)
        buf_printf(out, "%s  END IF;\n%s  SET ficus_r = 1;\n", indent, indent);
    buf_printf(out, "%sEND IF;\n", indent);
}

static void add_insert(struct buf *out, const struct dbms_trigger *t, const char *key, char op,
                       const char *indent)
{
    buf_printf(out, "%sINSERT INTO ficus_changelog (entity, k, write_id) VALUES (", indent);
    dbms_literal(out, t->entity);
    buf_printf(out, ", %s, @ficus_write_id);\n", key);
    if (!t->group || !t->rogue_allowed)
        return;
    buf_printf(out, "%sIF ficus_r = 1 THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES (",
               indent);
    dbms_literal(out, t->entity);
    buf_addz(out, ", ");
    dbms_literal(out, t->group);
    buf_printf(out, ", %s, '%c'); END IF;\n", key, op);
}

// Keys come from a SELECT: a locking one, so that a row linked by a transaction still in
// flight is waited for and logged. At READ COMMITTED a row that is linked afterwards can be
// read by capture before this change commits; reconciliation finds that.
static void add_each_key(struct buf *out, const struct dbms_trigger *t, const char *row, char op)
{
    buf_addz(out, "    FOR ficus_row IN (");
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, " LOCK IN SHARE MODE) DO\n      IF ficus_row.k IS NOT NULL THEN\n");
    if (t->group)
        add_fence(out, t, "        ");
    add_insert(out, t, "ficus_row.k", op, "        ");
    buf_addz(out, "      END IF;\n    END FOR;\n");
}

// "cond AND key IS NOT NULL" for one row alias.
static void add_matters(struct buf *out, const struct dbms_trigger *t, const char *row)
{
    if (t->when_expr) {
        buf_addc(out, '(');
        dbms_add_row(out, t->when_expr, row);
        buf_addz(out, ") AND ");
    }
    dbms_add_row(out, t->key_expr, row);
    buf_addz(out, " IS NOT NULL");
}

static void add_keys(struct buf *out, const struct dbms_trigger *t, char op)
{
    if (t->group) {
        if (t->when_expr) {
            buf_addz(out, "    IF ");
            if (op != 'i')
                dbms_add_row(out, t->when_expr, "OLD");
            if (op == 'u')
                buf_addz(out, " OR ");
            if (op != 'd')
                dbms_add_row(out, t->when_expr, "NEW");
            buf_addz(out, " THEN\n");
        }
        add_fence(out, t, t->when_expr ? "      " : "    ");
        if (t->when_expr)
            buf_addz(out, "    END IF;\n");
    }
    struct buf key = BUF_INIT;
    const char *rows[] = {"NEW", "OLD"};
    for (size_t i = 0; i < 2; i++) {
        if ((i == 0 && op == 'd') || (i == 1 && op == 'i'))
            continue;
        buf_reset(&key);
        dbms_add_row(&key, t->key_expr, rows[i]);
        buf_addz(out, "    IF ");
        add_matters(out, t, rows[i]);
        if (i == 1 && op == 'u') { // not what NEW has logged already
            buf_addz(out, " AND NOT (");
            dbms_add_row(out, t->key_expr, "OLD");
            buf_addz(out, " <=> ");
            dbms_add_row(out, t->key_expr, "NEW");
            if (t->when_expr) {
                buf_addz(out, " AND COALESCE((");
                dbms_add_row(out, t->when_expr, "NEW");
                buf_addz(out, "), 0)");
            }
            buf_addc(out, ')');
        }
        buf_addz(out, " THEN\n");
        add_insert(out, t, key.failed ? "NULL" : key.data, op, "      ");
        buf_addz(out, "    END IF;\n");
    }
    buf_free(&key);
}

static void trigger_one(struct buf *out, const struct dbms_trigger *t, char op)
{
    const char *event = op == 'i' ? "INSERT" : op == 'u' ? "UPDATE" : "DELETE";
    buf_addz(out, "CREATE OR REPLACE TRIGGER ");
    dbms_trigger_name(out, t, op);
    buf_printf(out, " AFTER %s ON ", event);
    quote(out, str_of(t->table));
    buf_addz(out, " FOR EACH ROW\nBEGIN\n");
    if (t->group)
        buf_addz(out, "  DECLARE ficus_w TINYINT DEFAULT NULL;\n"
                      "  DECLARE ficus_x BIGINT DEFAULT NULL;\n");
    if (t->group && t->rogue_allowed)
        buf_addz(out, "  DECLARE ficus_r TINYINT DEFAULT 0;\n");
    buf_addz(out, "  IF @ficus_origin IS NULL THEN\n");
    if (t->key_is_select) { // a key may be logged twice; capture reads it once
        if (op != 'd')
            add_each_key(out, t, "NEW", op);
        if (op != 'i')
            add_each_key(out, t, "OLD", op);
    } else {
        add_keys(out, t, op);
    }
    buf_addz(out, "  END IF;\nEND");
}

static void trigger_ddl(struct buf *out, const struct dbms_trigger *t)
{
    static const char ops[] = {'i', 'u', 'd'};
    for (size_t i = 0; i < sizeof(ops); i++) {
        buf_addz(out, i > 0 ? DBMS_NEXT : "");
        trigger_one(out, t, ops[i]);
    }
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

static void set_marks(struct buf *out, const struct dbms_marks *m)
{
    buf_addz(out, "SET @ficus_origin = ");
    dbms_literal(out, m->origin);
    if (m->epoch >= 0)
        buf_printf(out, ", @ficus_epoch = %lld", m->epoch);
    else
        buf_addz(out, ", @ficus_epoch = NULL");
    buf_addz(out, ", @ficus_write_id = ");
    dbms_literal(out, m->write_id);
}

static enum err_code by_sqlstate(const char *sqlstate)
{
    if (strncmp(sqlstate, "08", 2) == 0)
        return ERR_UNREACHABLE;
    if (strncmp(sqlstate, "22", 2) == 0)
        return ERR_VALUE;
    if (strncmp(sqlstate, "23", 2) == 0)
        return ERR_CONSTRAINT;
    if (strncmp(sqlstate, "28", 2) == 0)
        return ERR_DENIED;
    if (strncmp(sqlstate, "HYT", 3) == 0)
        return ERR_TIMEOUT;
    return strcmp(sqlstate, "HY018") == 0 ? ERR_CANCELLED : ERR_INTERNAL;
}

// By native number: the driver's SQLSTATE is HY000 for most of them.
static enum err_code classify(const char *sqlstate, int native, const char *message)
{
    if (dbms_contains(message, "ficus: fence"))
        return ERR_FENCED;
    switch (native) {
    case 1022: // ER_DUP_KEY
    case 1062: // ER_DUP_ENTRY
    case 1169:
    case 1586: return ERR_CONFLICT;
    case 1048: // ER_BAD_NULL_ERROR
    case 1216:
    case 1217:
    case 1364: // no default value
    case 1451:
    case 1452:
    case 4025: // CHECK
        return ERR_CONSTRAINT;
    case 1264: // out of range
    case 1265: // data truncated
    case 1292: // truncated wrong value
    case 1366: // incorrect value
    case 1406: // data too long
    case 1411:
    case 1690: return ERR_VALUE;
    case 1205: // lock wait timeout
    case 1213: // deadlock
    case 1020: // record has changed since last read
    case 1040: // too many connections
    case 1203:
    case 1226: return ERR_BUSY;
    case 1317: return ERR_CANCELLED;
    case 1969: return ERR_TIMEOUT; // max_statement_time
    case 1044:
    case 1045:
    case 1142:
    case 1143:
    case 1227:
    case 1290: return ERR_DENIED;
    case 1049: // unknown database
    case 1054: // unknown column
    case 1146: // no such table
    case 1305:
    case 2057: // the table changed under a prepared statement
    case 1615: return ERR_SCHEMA;
    case 1053: // server shutdown
    case 1077:
    case 1079:
    case 1927: // connection was killed
    case 2002:
    case 2003:
    case 2006:
    case 2013:
    case 2055: return ERR_UNREACHABLE;
    case 1021: // disk full
    case 1114: // table is full
        return ERR_BUSY;
    case 1390: return ERR_LIMIT; // too many placeholders
    default: return by_sqlstate(sqlstate);
    }
}

const struct dbms dbms_mariadb = {
    .index = 1,
    .name = "mariadb",
    .session_sql =
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO,"
        "NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', tx_isolation = 'READ-COMMITTED'",
    .begin_write = "START TRANSACTION",
    .case_folds_like = true,
    .text_type = "CHAR",
    .lock_row = " FOR UPDATE",
    .true_sql = "1",
    .false_sql = "0",
    .max_params = 65535,
    .quote = quote,
    .page = page,
    .match_text = match_text,
    .order_text = order_text,
    .read_column = read_column,
    .row_hash = row_hash,
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
    .trigger_names_sql =
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, 1 FROM information_schema.TRIGGERS"
        " WHERE TRIGGER_SCHEMA = DATABASE()"
        " AND TRIGGER_NAME LIKE 'ficus\\_%' ESCAPE '\\'",
    .set_marks = set_marks,
    .clear_marks = "SET @ficus_origin = NULL, @ficus_epoch = NULL, @ficus_write_id = NULL",
    .fence_seal_sql = "UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < ?",
    .fence_open_sql = "UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ?"
                      " WHERE grp = ? AND epoch < ?",
    .fence_openings_sql = "SELECT grp, opened FROM ficus_fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable, epoch FROM ficus_fence WHERE grp = ?",
    .fence_hold_sql = "SELECT writable, opened FROM ficus_fence WHERE grp = ? LOCK IN SHARE MODE",
    .lock_timeout_fmt = "SET SESSION innodb_lock_wait_timeout = %u",
    .session_id_sql = "SELECT connection_id()",
    .holders_fmt =
        "SELECT DISTINCT b.trx_mysql_thread_id, concat('session ', b.trx_mysql_thread_id, ' ',"
        " coalesce(p.user, '?'), '@', coalesce(p.host, '?'), ', ', lower(coalesce(p.command, '?')),"
        " ' for ', coalesce(p.time, 0), ' s, transaction since ', b.trx_started)"
        " FROM information_schema.innodb_lock_waits w"
        " JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id"
        " JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
        " LEFT JOIN information_schema.processlist p ON p.id = b.trx_mysql_thread_id"
        " WHERE r.trx_mysql_thread_id = %lld",
    .end_session_fmt = "KILL CONNECTION %lld",
    .fence_init_sql = "INSERT IGNORE INTO ficus_fence (grp, writable, epoch) VALUES (?, ?, ?)",
    .changelog_read_sql =
        "SELECT seq, entity, k, write_id, CAST(UNIX_TIMESTAMP(at) * 1000000 AS SIGNED)"
        " FROM ficus_changelog WHERE seq > ? ORDER BY seq LIMIT ?",
    .changelog_max_sql = "SELECT COALESCE(MAX(seq), 0) FROM ficus_changelog",
    .changelog_probe_sql =
        "SELECT seq FROM ficus_changelog WHERE seq = ? LOCK IN SHARE MODE NOWAIT",
    .changelog_trim_sql = "DELETE FROM ficus_changelog WHERE seq <= ?",
    .changelog_marker_sql = "INSERT INTO ficus_changelog (entity, k) VALUES ('', ?)",
    .disk_sql = "SELECT @@datadir, @@hostname",
    .columns_sql = "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
                   " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
    .indexes_sql = "SELECT s.INDEX_NAME, 1 - s.NON_UNIQUE, s.COLUMN_NAME, s.NULLABLE = ''"
                   " FROM information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = DATABASE()"
                   " AND s.TABLE_NAME = ? AND s.SUB_PART IS NULL AND s.INDEX_TYPE = 'BTREE'"
                   " ORDER BY s.INDEX_NAME, s.SEQ_IN_INDEX",
    .now_us_sql = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
    .classify = classify,
};
