// SPDX-License-Identifier: Apache-2.0
// SQL Server 2016 SP1 or newer. Rendered and syntax-checked, never run against a server. Owns the
// SQL text that only SQL Server wants; no connection, no state. Thread: any.
//
// The changelog is ordered by its rowversion. MIN_ACTIVE_ROWVERSION() is the least one that a
// transaction still open may hold, so everything below it is committed: each row is read once and
// in the order of its key's locks. It is read into a variable, before the statement that reads the
// rows takes its snapshot: with row versioning (READ_COMMITTED_SNAPSHOT) a commit between the two
// would otherwise be passed over. (@@DBTS counts numbers of open transactions as used.) The price: a
// transaction that stays open holds up what was written after its first row.
//
// Triggers fire once a statement, also on cascades and MERGE; not on TRUNCATE and not on bulk loads
// without FIRE_TRIGGERS: the sweep finds those. No table that they write has an IDENTITY column: the
// application's @@IDENTITY stays its own.
#include "connectors/odbc/dbms_int.h"

static void quote(struct buf *out, struct str identifier)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < identifier.len; i++) {
        char c = identifier.data[i];
        buf_addz(out, c == '.' ? "].[" : c == ']' ? "]]" : "");
        if (c != '.' && c != ']')
            buf_addc(out, c);
    }
    buf_addc(out, ']');
}

// N'text'
static void literal(struct buf *out, const char *z)
{
    buf_addz(out, z ? "N" : "");
    dbms_literal(out, z);
}

// Behind an ORDER BY, which every page has.
static void page(struct buf *out, long long limit, long long offset)
{
    if (limit < 0 && offset <= 0)
        return;
    buf_printf(out, " OFFSET %lld ROWS", offset > 0 ? offset : 0);
    if (limit >= 0)
        buf_printf(out, " FETCH NEXT %lld ROWS ONLY", limit);
}

#define BINARY "Latin1_General_100_BIN2"

// The column's own collation decides where case does not count. '[' begins a set in a pattern.
static void match_text(struct buf *out, const char *column_sql, enum text_match op,
                       const char *param_sql, bool nocase)
{
    bool like = op == MATCH_LIKE || op == MATCH_NOT_LIKE;
    buf_printf(out, like ? "%s %s REPLACE(%s, '[', '\\[')" : "%s %s %s", column_sql, dbms_op(op),
               param_sql);
    buf_addz(out, nocase ? "" : " COLLATE " BINARY);
    buf_addz(out, like ? " ESCAPE '\\'" : "");
}

static void order_text(struct buf *out, const char *column_sql, bool nocase, bool desc)
{
    (void)nocase; // the column's collation, so that its index serves
    buf_printf(out, "%s%s", column_sql, desc ? " DESC" : "");
}

// The driver would print .5 for 0.5, and 15 digits of a float; style 2 keeps the four digits of
// money, 3 is exact for a float, 121 is ISO with all digits, 23 its date.
static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    static const char *const forms[] = {
        [COLUMN_TEXT] = "%s",
        [COLUMN_INTEGER] = "%s",
        [COLUMN_DECIMAL] = "CONVERT(varchar(50), %s, 2)",
        [COLUMN_FLOAT] = "CONVERT(varchar(40), %s, 3)",
        [COLUMN_BOOLEAN] = "CONVERT(varchar(5), %s)",
        [COLUMN_DATE] = "CONVERT(varchar(10), %s, 23)",
        [COLUMN_TIME] = "CONVERT(varchar(16), %s, 121)",
        [COLUMN_TIMESTAMP] = "CONVERT(varchar(34), %s, 121)",
        [COLUMN_BYTES] = "LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), %s), 2))",
        [COLUMN_JSON] = "%s",
    };
    dbms_wrap(out, forms[kind], column_sql);
}

static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    dbms_wrap(out, kind == COLUMN_BYTES ? "CONVERT(varbinary(max), %s, 2)" : "%s", param_sql);
}

// HOLDLOCK: two sessions that merge the same new key must not both insert it.
static void upsert(struct buf *out, const struct dbms_upsert *u)
{
    bool any = false;
    buf_addz(out, "MERGE INTO ");
    quote(out, str_of(u->table));
    buf_addz(out, " WITH (HOLDLOCK) AS t USING (VALUES (");
    for (size_t i = 0; i < u->ncolumns; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        write_param(out, "?", u->kinds[i]);
    }
    buf_addz(out, ")) AS s (");
    dbms_columns(out, quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") ON ");
    for (size_t i = 0; i < u->nkeys; i++) {
        dbms_columns(out, quote, &u->keys[i], 1, i > 0 ? " AND t." : "t.");
        dbms_columns(out, quote, &u->keys[i], 1, " = s.");
    }
    for (size_t i = 0; i < u->ncolumns; i++) {
        if (dbms_is_key(u, i))
            continue;
        dbms_columns(out, quote, &u->columns[i], 1, any ? ", " : " WHEN MATCHED THEN UPDATE SET ");
        dbms_columns(out, quote, &u->columns[i], 1, " = s.");
        any = true;
    }
    buf_addz(out, " WHEN NOT MATCHED THEN INSERT (");
    dbms_columns(out, quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") VALUES (");
    dbms_columns(out, quote, u->columns, u->ncolumns, "s.");
    buf_addz(out, ");"); // MERGE demands its semicolon
}

static void join_key(struct buf *out, const char *const *columns_sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, n > 1 ? "%sCONVERT(nvarchar(512), %s)" : "%s%s",
                   i > 0 ? " + NCHAR(31) + " : "", columns_sql[i]);
}

static void column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    switch (kind) {
    case COLUMN_TEXT:
        if (a > 0 && a <= 4000)
            buf_printf(out, "nvarchar(%u)", a);
        else
            buf_addz(out, "nvarchar(max)");
        break;
    case COLUMN_INTEGER: buf_addz(out, a > 32 ? "bigint" : "int"); break;
    case COLUMN_DECIMAL: buf_printf(out, "decimal(%u,%u)", a, b); break;
    case COLUMN_FLOAT: buf_addz(out, "float(53)"); break;
    case COLUMN_BOOLEAN: buf_addz(out, "bit"); break;
    case COLUMN_DATE: buf_addz(out, "date"); break;
    case COLUMN_TIME: buf_printf(out, "time(%u)", a); break;
    case COLUMN_TIMESTAMP: buf_printf(out, "datetime2(%u)", a); break;
    case COLUMN_BYTES: buf_addz(out, "varbinary(max)"); break;
    case COLUMN_JSON: buf_addz(out, "nvarchar(max)"); break;
    }
}

#define NOW_US      "DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME())"
#define AT          "  at_us bigint NOT NULL DEFAULT " NOW_US
#define ID          "  id bigint NOT NULL DEFAULT NEXT VALUE FOR ficus_ids PRIMARY KEY,\n"
#define TEXT_OF(n)  "nvarchar(" #n ") COLLATE " BINARY
#define TABLE(name) "IF OBJECT_ID(N'" name "') IS NULL CREATE TABLE " name " (\n"

static void objects_ddl(struct buf *out)
{
    buf_addz(
        out,
        "IF OBJECT_ID(N'ficus_ids') IS NULL CREATE SEQUENCE ficus_ids AS bigint START WITH"
        " 1" DBMS_NEXT TABLE(
            "ficus_changelog") "  rv rowversion NOT NULL PRIMARY KEY,\n"
                               "  entity " TEXT_OF(
                                   64) " NOT NULL,\n"
                                       "  k " TEXT_OF(
                                           512) " NOT NULL,\n"
                                                "  write_id nvarchar(36),\n" AT
                                                ")" DBMS_NEXT TABLE("ficus_fence") "  grp " TEXT_OF(
                                                    64) " NOT NULL PRIMARY KEY,\n"
                                                        "  writable smallint NOT NULL,\n"
                                                        "  epoch bigint NOT NULL,\n"
                                                        "  opened bigint NOT NULL DEFAULT 0)" DBMS_NEXT
                                                            TABLE("ficus_position") "  stream " TEXT_OF(
                                                                128) " NOT NULL,\n"
                                                                     "  part int NOT NULL,\n"
                                                                     "  next bigint NOT NULL,\n"
                                                                     "  epoch bigint NOT NULL,\n"
                                                                     "  term bigint NOT NULL DEFAULT 0,\n"
                                                                     "  through bigint NOT NULL DEFAULT 0,\n"
                                                                     "  opened bigint NOT NULL DEFAULT 0,\n"
                                                                     "  last_print bigint NOT NULL DEFAULT 0,\n"
                                                                     "  PRIMARY KEY (stream, part))" DBMS_NEXT
                                                                         TABLE("ficus_marker") "  marker " TEXT_OF(
                                                                             128) " NOT NULL,\n"
                                                                                  "  stream " TEXT_OF(
                                                                                      128) " NOT NULL,\n"
                                                                                           "  part int NOT NULL,\n" AT
                                                                                           ",\n"
                                                                                           "  PRIMARY KEY (marker, stream, part))" DBMS_NEXT);
    buf_addz(
        out,
        TABLE("ficus_parked") ID "  stream " TEXT_OF(
            128) " NOT NULL,\n"
                 "  part int NOT NULL,\n"
                 "  offset_no bigint NOT NULL,\n"
                 "  entity " TEXT_OF(
                     64) " NOT NULL,\n"
                         "  k " TEXT_OF(
                             512) " NOT NULL,\n"
                                  "  reason nvarchar(64) NOT NULL,\n"
                                  "  detail nvarchar(max) NOT NULL,\n"
                                  "  sql_state nvarchar(5) NOT NULL DEFAULT '',\n"
                                  "  before_image nvarchar(max),\n"
                                  "  after_image nvarchar(max),\n"
                                  "  opened bigint NOT NULL DEFAULT 0,\n"
                                  "  state nvarchar(16) NOT NULL DEFAULT 'parked',\n"
                                  "  why nvarchar(512) NOT NULL DEFAULT '',\n" AT ",\n"
                                  "  UNIQUE (stream, part, offset_no),\n"
                                  "  INDEX ficus_parked_open (stream, state, k))" DBMS_NEXT TABLE(
                                      "ficus_rogue") ID
        "  entity " TEXT_OF(
            64) " NOT NULL,\n"
                "  grp " TEXT_OF(64) " NOT NULL,\n"
                                     "  k " TEXT_OF(
                                         512) " NOT NULL,\n"
                                              "  op nchar(1) NOT NULL,\n" AT
                                              ")" DBMS_NEXT TABLE("ficus_meta") "  name " TEXT_OF(
                                                  128) " NOT NULL PRIMARY KEY,\n"
                                                       "  value nvarchar(max) NOT NULL)");
}

static void objects_drop(struct buf *out)
{
    static const char *const tables[] = {"changelog", "fence", "position", "marker",
                                         "parked",    "rogue", "meta"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        buf_printf(out, "DROP TABLE IF EXISTS ficus_%s" DBMS_NEXT, tables[i]);
    buf_addz(out, "DROP SEQUENCE IF EXISTS ficus_ids");
}

// A locking read, shared and held until the writer's commit, whatever the isolation level.
static void add_fence(struct buf *out, const struct dbms_trigger *t)
{
    buf_addz(out, "  DECLARE @w smallint, @x bigint, @rogue bit = 0;\n"
                  "  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));\n"
                  "  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK)"
                  " WHERE grp = ");
    literal(out, t->group);
    buf_addz(out, ";\n  IF @w IS NULL OR @w <> 1 OR @mine <> @x\n  BEGIN\n");
    if (t->rogue_allowed)
        buf_addz(out, "    SET @rogue = 1;\n    IF @mine IS NOT NULL\n  ");
    struct buf message = BUF_INIT;
    buf_printf(&message, "ficus: fence: group %s is owned by the other side", t->group);
    buf_addz(out, "    THROW 51000, ");
    literal(out, message.failed ? "ficus: fence" : message.data);
    buf_addz(out, ", 1;\n  END;\n");
    buf_free(&message);
}

// The keys that the rows of one pseudo-table lead to.
static void add_keys(struct buf *out, const struct dbms_trigger *t, const char *rows)
{
    if (t->key_is_select) {
        buf_printf(out, "SELECT CONVERT(nvarchar(512), q.k) FROM %s AS r CROSS APPLY (", rows);
        dbms_add_row(out, t->key_expr, "r");
        buf_addz(out, ") AS q WHERE q.k IS NOT NULL");
        return;
    }
    buf_addz(out, "SELECT CONVERT(nvarchar(512), ");
    dbms_add_row(out, t->key_expr, "r");
    buf_printf(out, ") FROM %s AS r WHERE ", rows);
    if (t->when_expr) {
        buf_addc(out, '(');
        dbms_add_row(out, t->when_expr, "r");
        buf_addz(out, ") AND ");
    }
    dbms_add_row(out, t->key_expr, "r");
    buf_addz(out, " IS NOT NULL");
}

static void trigger_one(struct buf *out, const struct dbms_trigger *t, char op)
{
    const char *event = op == 'i' ? "INSERT" : op == 'u' ? "UPDATE" : "DELETE";
    buf_addz(out, "CREATE OR ALTER TRIGGER ");
    dbms_trigger_name(out, t, op);
    buf_addz(out, " ON ");
    quote(out, str_of(t->table));
    buf_printf(out, " AFTER %s AS\nBEGIN\n  SET NOCOUNT ON;\n", event);
    buf_addz(out, "  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;\n"
                  "  DECLARE @keys TABLE (k " TEXT_OF(512) " NOT NULL);\n"
                                                           "  INSERT INTO @keys (k) ");
    if (op != 'd')
        add_keys(out, t, "inserted");
    buf_addz(out, op == 'u' ? "\n    UNION " : "");
    if (op != 'i')
        add_keys(out, t, "deleted");
    buf_addz(out, ";\n  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;\n");
    if (t->group)
        add_fence(out, t);
    buf_addz(out, "  INSERT INTO ficus_changelog (entity, k, write_id)\n    SELECT DISTINCT ");
    literal(out, t->entity);
    buf_addz(out, ", k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;\n");
    if (t->group && t->rogue_allowed) {
        buf_addz(out, "  IF @rogue = 1\n    INSERT INTO ficus_rogue (entity, grp, k, op)\n"
                      "      SELECT DISTINCT ");
        literal(out, t->entity);
        buf_addz(out, ", ");
        literal(out, t->group);
        buf_printf(out, ", k, N'%c' FROM @keys;\n", op);
    }
    buf_addz(out, "END");
}

static void trigger_ddl(struct buf *out, const struct dbms_trigger *t)
{
    for (const char *op = "iud"; *op; op++) {
        buf_addz(out, *op == 'i' ? "" : DBMS_NEXT);
        trigger_one(out, t, *op);
    }
}

static void trigger_drop(struct buf *out, const struct dbms_trigger *t)
{
    for (const char *op = "iud"; *op; op++) {
        buf_addz(out, *op == 'i' ? "DROP TRIGGER IF EXISTS " : DBMS_NEXT "DROP TRIGGER IF EXISTS ");
        dbms_trigger_name(out, t, *op);
    }
}

#define SET_CONTEXT "EXEC sp_set_session_context @key = N'ficus."

static void set_marks(struct buf *out, const struct dbms_marks *m)
{
    buf_addz(out, SET_CONTEXT "origin', @value = ");
    literal(out, m->origin);
    buf_addz(out, DBMS_NEXT SET_CONTEXT "epoch', @value = ");
    if (m->epoch >= 0)
        buf_printf(out, "%lld", m->epoch);
    else
        buf_addz(out, "NULL");
    buf_addz(out, DBMS_NEXT SET_CONTEXT "write_id', @value = ");
    literal(out, m->write_id);
}

static enum err_code by_sqlstate(const char *sqlstate)
{
    static const struct {
        const char *head;
        enum err_code code;
    } rows[] = {{"08", ERR_UNREACHABLE}, {"22", ERR_VALUE},        {"23", ERR_CONSTRAINT},
                {"28", ERR_DENIED},      {"40001", ERR_BUSY},      {"42S", ERR_SCHEMA},
                {"HYT", ERR_TIMEOUT},    {"HY008", ERR_CANCELLED}, {"HY018", ERR_CANCELLED}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strncmp(sqlstate, rows[i].head, strlen(rows[i].head)) == 0)
            return rows[i].code;
    return ERR_INTERNAL;
}

static enum err_code classify(const char *sqlstate, int native, const char *message)
{
    if (dbms_contains(message, "ficus: fence"))
        return ERR_FENCED;
    switch (native) {
    case 2601: // unique index
    case 2627: // unique or primary key constraint
        return ERR_CONFLICT;
    case 515: // NULL into NOT NULL
    case 547: // foreign key or CHECK
        return ERR_CONSTRAINT;
    case 220: // overflow
    case 241: // conversion of a date
    case 242:
    case 245:
    case 2628: // would be truncated
    case 8114:
    case 8115:
    case 8152: return ERR_VALUE;
    case 1105: // filegroup full
    case 1204: // no locks left
    case 1205: // deadlock
    case 1222: // lock timeout
    case 3960: // update conflict under snapshot isolation
    case 9002: // log full
        return ERR_BUSY;
    case 207: // column
    case 208: // object
    case 2812: return ERR_SCHEMA;
    case 229:
    case 230:
    case 297:
    case 4060:
    case 18456: return ERR_DENIED;
    case 596:  // killed
    case 6005: // shutdown
    case 10054: return ERR_UNREACHABLE;
    case 8003: return ERR_LIMIT; // too many parameters
    default: return by_sqlstate(sqlstate);
    }
}

const struct dbms dbms_sqlserver = {
    .index = 4,
    .name = "sqlserver",
    .untested = "its SQL is rendered and syntax-checked, never run",
    .session_sql = "SET XACT_ABORT OFF" DBMS_NEXT "SET DATEFORMAT ymd" DBMS_NEXT
                   "SET ANSI_NULLS ON" DBMS_NEXT "SET QUOTED_IDENTIFIER ON" DBMS_NEXT
                   "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    .begin_write = "BEGIN TRANSACTION",
    .begin_read = "BEGIN TRANSACTION",
    .savepoint = "SAVE TRANSACTION",
    .rollback_to = "ROLLBACK TRANSACTION",
    .case_folds_like = true,
    .text_type = "nvarchar(4000)",
    .limit_head = " OFFSET 0 ROWS FETCH NEXT ",
    .limit_tail = " ROWS ONLY",
    .lock_row = "",
    .lock_hint = " WITH (UPDLOCK, HOLDLOCK)",
    .true_sql = "1",
    .false_sql = "0",
    .max_params = 2098,
    .quote = quote,
    .page = page,
    .match_text = match_text,
    .order_text = order_text,
    .read_column = read_column,
    .write_param = write_param,
    .upsert = upsert,
    .join_key = join_key,
    .column_type = column_type,
    .objects_ddl = objects_ddl,
    .objects_drop = objects_drop,
    .added_columns = dbms_no_columns,
    .trigger_ddl = trigger_ddl,
    .trigger_drop = trigger_drop,
    .trigger_ops = "iud",
    .trigger_drop_head = "DROP TRIGGER IF EXISTS ",
    .trigger_drop_tail = "",
    .trigger_names_sql = "SELECT name, OBJECT_NAME(parent_id), 1 - is_disabled FROM sys.triggers"
                         " WHERE name LIKE 'ficus\\_%' ESCAPE '\\'",
    .ddl_in_transaction = true,
    .set_marks = set_marks,
    .clear_marks = SET_CONTEXT "origin', @value = NULL" DBMS_NEXT SET_CONTEXT
                               "epoch', @value = NULL" DBMS_NEXT SET_CONTEXT
                               "write_id', @value = NULL",
    .fence_seal_sql = "UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < ?",
    .fence_open_sql = "UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ?"
                      " WHERE grp = ? AND epoch < ?",
    .fence_openings_sql = "SELECT grp, opened FROM ficus_fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable, epoch FROM ficus_fence WHERE grp = ?",
    .fence_hold_sql = "SELECT writable, opened FROM ficus_fence WITH (HOLDLOCK, ROWLOCK)"
                      " WHERE grp = ?",
    .fence_init_sql = "MERGE INTO ficus_fence WITH (HOLDLOCK) AS t USING (VALUES (?, ?, ?))"
                      " AS s (grp, writable, epoch) ON t.grp = s.grp WHEN NOT MATCHED THEN"
                      " INSERT (grp, writable, epoch) VALUES (s.grp, s.writable, s.epoch);",
    .lock_timeout_fmt = "SET LOCK_TIMEOUT %u000", // milliseconds
    .session_id_sql = "SELECT @@SPID",
    .holders_fmt =
        "SELECT DISTINCT s.session_id, CONCAT('session ', s.session_id, ' ', s.login_name, '@',"
        " COALESCE(s.host_name, '?'), ', ', s.status, ', last request ended ',"
        " CONVERT(varchar(19), s.last_request_end_time, 120)) FROM sys.dm_exec_requests AS r"
        " JOIN sys.dm_exec_sessions AS s ON s.session_id = r.blocking_session_id"
        " WHERE r.session_id = %lld",
    .end_session_fmt = "KILL %lld",
    .changelog_read_sql =
        "DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION();"
        " SELECT CAST(rv AS bigint), entity, k, write_id, at_us FROM ficus_changelog"
        " WHERE rv > CAST(CAST(? AS bigint) AS binary(8)) AND rv < @open"
        " ORDER BY rv OFFSET 0 ROWS FETCH NEXT CAST(? AS bigint) ROWS ONLY",
    .changelog_max_sql = "DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION();"
                         " SELECT COALESCE(CAST(MAX(rv) AS bigint), 0) FROM ficus_changelog"
                         " WHERE rv < @open",
    .changelog_trim_sql = "DELETE FROM ficus_changelog"
                          " WHERE rv <= CAST(CAST(? AS bigint) AS binary(8))",
    .changelog_marker_sql = "INSERT INTO ficus_changelog (entity, k) VALUES ('', ?)",
    .columns_sql = "SELECT c.name, CONCAT(TYPE_NAME(c.user_type_id), '(', c.max_length, ',',"
                   " c.precision, ',', c.scale, ')') FROM sys.columns AS c"
                   " WHERE c.object_id = OBJECT_ID(?) ORDER BY c.column_id",
    .indexes_sql = "SELECT i.name, i.is_unique, c.name, 1 - c.is_nullable FROM sys.indexes AS i"
                   " JOIN sys.index_columns AS x ON x.object_id = i.object_id"
                   " AND x.index_id = i.index_id AND x.is_included_column = 0"
                   " JOIN sys.columns AS c ON c.object_id = i.object_id"
                   " AND c.column_id = x.column_id WHERE i.object_id = OBJECT_ID(?)"
                   " AND i.has_filter = 0 AND i.is_disabled = 0 AND i.type IN (1, 2)"
                   " ORDER BY i.name, x.key_ordinal",
    .now_us_sql = "SELECT " NOW_US,
    .classify = classify,
};
