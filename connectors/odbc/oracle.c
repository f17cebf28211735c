// SPDX-License-Identifier: Apache-2.0
// Oracle Database 12.2 or newer (names of more than 30 bytes). Rendered and syntax-checked, never run
// against a server; its triggers are oracle_triggers.c. Owns the SQL text that only Oracle wants; no
// connection, no state. Thread: any.
//
// There is no way to read its changelog, so `ficus sync` refuses: sequence numbers come in no order
// that commits keep (NOORDER, caches, one cache an instance), Oracle tells of no oldest open
// transaction to a plain session, and direct-path loads fire no trigger. Nor can a write be begun:
// there a transaction begins by itself, and only a driver out of autocommit keeps it open.
//
// A name without a capital letter stands for the one that Oracle makes of it unquoted. The empty
// text is NULL there: a field that tells them apart cannot be kept.
#include "connectors/odbc/oracle_int.h"

// Upper case where the map has no capital in it.
void oracle_quote(struct buf *out, struct str identifier)
{
    size_t start = out->len;
    bool capital = false;
    for (size_t i = 0; i < identifier.len; i++)
        capital |= identifier.data[i] >= 'A' && identifier.data[i] <= 'Z';
    dbms_quote_with(out, identifier, '"');
    for (size_t i = start; !capital && !out->failed && i < out->len; i++)
        if (out->data[i] >= 'a' && out->data[i] <= 'z')
            out->data[i] = (char)(out->data[i] - 'a' + 'A');
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

static void match_text(struct buf *out, const char *column_sql, enum text_match op,
                       const char *param_sql, bool nocase)
{
    buf_printf(out, nocase ? "UPPER(%s) %s UPPER(%s)" : "%s %s %s", column_sql, dbms_op(op),
               param_sql);
    if (op == MATCH_LIKE || op == MATCH_NOT_LIKE)
        buf_addz(out, " ESCAPE '\\'");
}

// NULL sorts first everywhere else.
static void order_text(struct buf *out, const char *column_sql, bool nocase, bool desc)
{
    buf_printf(out, nocase ? "UPPER(%s)%s" : "%s%s", column_sql,
               desc ? " DESC NULLS LAST" : " NULLS FIRST");
}

// TO_CHAR alone gives .5 for 0.5; the point of the form is a point in every territory.
#define NUMBER_FORM "FM9999999999999999999999999999990.999999999999999999999999999999"

// A DATE holds a time of day too, and has no fraction to format: hence the CAST.
static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    static const char *const forms[] = {
        [COLUMN_TEXT] = "%s",
        [COLUMN_INTEGER] = "TO_CHAR(%s, 'TM9')",
        [COLUMN_DECIMAL] = "RTRIM(TO_CHAR(%s, '" NUMBER_FORM "'), '.')",
        [COLUMN_FLOAT] = "TO_CHAR(%s)",
        [COLUMN_BOOLEAN] = "TO_CHAR(%s)",
        [COLUMN_DATE] = "TO_CHAR(%s, 'YYYY-MM-DD')",
        [COLUMN_TIME] = "%s",
        [COLUMN_TIMESTAMP] = "TO_CHAR(CAST(%s AS TIMESTAMP(6)), 'YYYY-MM-DD HH24:MI:SS.FF6')",
        [COLUMN_BYTES] = "LOWER(RAWTOHEX(%s))",
        [COLUMN_JSON] = "%s",
    };
    dbms_wrap(out, forms[kind], column_sql);
}

static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    static const char *const forms[] = {
        [COLUMN_TEXT] = "%s",
        [COLUMN_INTEGER] = "TO_NUMBER(%s)",
        [COLUMN_DECIMAL] = "TO_NUMBER(%s)",
        [COLUMN_FLOAT] = "TO_BINARY_DOUBLE(%s)",
        [COLUMN_BOOLEAN] = "TO_NUMBER(%s)",
        [COLUMN_DATE] = "TO_DATE(%s, 'YYYY-MM-DD')",
        [COLUMN_TIME] = "%s",
        [COLUMN_TIMESTAMP] = "TO_TIMESTAMP(%s, 'YYYY-MM-DD HH24:MI:SS.FF6')",
        [COLUMN_BYTES] = "HEXTORAW(%s)",
        [COLUMN_JSON] = "%s",
    };
    dbms_wrap(out, forms[kind], param_sql);
}

static void upsert(struct buf *out, const struct dbms_upsert *u)
{
    bool any = false;
    buf_addz(out, "MERGE INTO ");
    oracle_quote(out, str_of(u->table));
    buf_addz(out, " t USING (SELECT ");
    for (size_t i = 0; i < u->ncolumns; i++) {
        buf_addz(out, i > 0 ? ", " : "");
        write_param(out, "?", u->kinds[i]);
        dbms_columns(out, oracle_quote, &u->columns[i], 1, " AS ");
    }
    buf_addz(out, " FROM dual) s ON (");
    for (size_t i = 0; i < u->nkeys; i++) {
        dbms_columns(out, oracle_quote, &u->keys[i], 1, i > 0 ? " AND t." : "t.");
        dbms_columns(out, oracle_quote, &u->keys[i], 1, " = s.");
    }
    buf_addc(out, ')');
    for (size_t i = 0; i < u->ncolumns; i++) {
        if (dbms_is_key(u, i))
            continue;
        dbms_columns(out, oracle_quote, &u->columns[i], 1,
                     any ? ", t." : " WHEN MATCHED THEN UPDATE SET t.");
        dbms_columns(out, oracle_quote, &u->columns[i], 1, " = s.");
        any = true;
    }
    buf_addz(out, " WHEN NOT MATCHED THEN INSERT (");
    dbms_columns(out, oracle_quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") VALUES (");
    dbms_columns(out, oracle_quote, u->columns, u->ncolumns, "s.");
    buf_addc(out, ')');
}

static void join_key(struct buf *out, const char *const *columns_sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i > 0 ? " || CHR(31) || " : "", columns_sql[i]);
}

static void column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    switch (kind) {
    case COLUMN_TEXT:
        if (a > 0 && a <= 1000) // 4000 bytes
            buf_printf(out, "varchar2(%u char)", a);
        else
            buf_addz(out, "clob");
        break;
    case COLUMN_INTEGER: buf_addz(out, a > 32 ? "number(19)" : "number(10)"); break;
    case COLUMN_DECIMAL: buf_printf(out, "number(%u,%u)", a, b); break;
    case COLUMN_FLOAT: buf_addz(out, "binary_double"); break;
    case COLUMN_BOOLEAN: buf_addz(out, "number(1)"); break;
    case COLUMN_DATE: buf_addz(out, "date"); break;
    case COLUMN_TIME: buf_addz(out, "varchar2(16)"); break; // there is no type for it
    case COLUMN_TIMESTAMP: buf_printf(out, "timestamp(%u)", a); break;
    case COLUMN_BYTES: buf_addz(out, "blob"); break;
    case COLUMN_JSON: buf_addz(out, "clob"); break;
    }
}

// Runs a statement from a block that takes one error for done: there is no IF [NOT] EXISTS.
static void unless(struct buf *out, int error, const char *statement)
{
    buf_addz(out, "BEGIN\n  EXECUTE IMMEDIATE ");
    dbms_literal(out, statement);
    buf_printf(out, ";\nEXCEPTION WHEN OTHERS THEN\n  IF SQLCODE <> %d THEN RAISE; END IF;\nEND;",
               error);
}

#define NOW_US                                                                                    \
    "(ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400) * 1000000" \
    " + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, 'FF6')))"
#define AT "  at_us number(19) DEFAULT " NOW_US " NOT NULL"
#define ID "  id number(19) GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"

static const char *const objects[] = {
    "CREATE SEQUENCE ficus_changelog_seq NOCACHE ORDER",
    "CREATE TABLE ficus_changelog (\n"
    "  seq number(19) DEFAULT ficus_changelog_seq.NEXTVAL PRIMARY KEY,\n"
    "  entity varchar2(64) NOT NULL,\n"
    "  k varchar2(2048) NOT NULL,\n"
    "  write_id varchar2(36),\n" AT ")",
    "CREATE TABLE ficus_fence (\n"
    "  grp varchar2(64) PRIMARY KEY,\n"
    "  writable number(1) NOT NULL,\n"
    "  epoch number(19) NOT NULL,\n"
    "  opened number(19) DEFAULT 0 NOT NULL)",
    "CREATE TABLE ficus_position (\n"
    "  stream varchar2(128) NOT NULL,\n"
    "  part number(10) NOT NULL,\n"
    "  next number(19) NOT NULL,\n"
    "  epoch number(19) NOT NULL,\n"
    "  term number(19) DEFAULT 0 NOT NULL,\n"
    "  through number(19) DEFAULT 0 NOT NULL,\n"
    "  opened number(19) DEFAULT 0 NOT NULL,\n"
    "  last_print number(19) DEFAULT 0 NOT NULL,\n"
    "  PRIMARY KEY (stream, part))",
    "CREATE TABLE ficus_marker (\n"
    "  marker varchar2(128) NOT NULL,\n"
    "  stream varchar2(128) NOT NULL,\n"
    "  part number(10) NOT NULL,\n" AT ",\n"
    "  PRIMARY KEY (marker, stream, part))",
    "CREATE TABLE ficus_parked (\n" ID "  stream varchar2(128) NOT NULL,\n"
    "  part number(10) NOT NULL,\n"
    "  offset_no number(19) NOT NULL,\n"
    "  entity varchar2(64) NOT NULL,\n"
    "  k varchar2(2048) NOT NULL,\n"
    "  reason varchar2(64) NOT NULL,\n"
    "  detail clob NOT NULL,\n"
    "  sql_state varchar2(5),\n"
    "  before_image clob,\n"
    "  after_image clob,\n"
    "  opened number(19) DEFAULT 0 NOT NULL,\n"
    "  state varchar2(16) DEFAULT 'parked' NOT NULL,\n"
    "  why varchar2(2048),\n" AT ",\n"
    "  UNIQUE (stream, part, offset_no))",
    "CREATE INDEX ficus_parked_open ON ficus_parked (stream, state, k)",
    "CREATE TABLE ficus_rogue (\n" ID "  entity varchar2(64) NOT NULL,\n"
    "  grp varchar2(64) NOT NULL,\n"
    "  k varchar2(2048) NOT NULL,\n"
    "  op char(1) NOT NULL,\n" AT ")",
    "CREATE TABLE ficus_meta (\n"
    "  name varchar2(128) PRIMARY KEY,\n"
    "  value clob NOT NULL)",
};

static void objects_ddl(struct buf *out)
{
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        unless(out, -955, objects[i]); // the name is in use
        buf_addz(out, DBMS_NEXT);
    }
    buf_addz(out, oracle_session_package);
}

static void objects_drop(struct buf *out)
{
    static const char *const tables[] = {"changelog", "fence", "position", "marker",
                                         "parked",    "rogue", "meta"};
    char text[64] = "";
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        snprintf(text, sizeof text, "DROP TABLE ficus_%s", tables[i]);
        unless(out, -942, text);
        buf_addz(out, DBMS_NEXT);
    }
    unless(out, -2289, "DROP SEQUENCE ficus_changelog_seq");
    buf_addz(out, DBMS_NEXT);
    unless(out, -4043, "DROP PACKAGE ficus_session");
}

// `number` as in ORA-00001, with or without its sign.
static enum err_code by_number(int number)
{
    switch (number) {
    case 1: return ERR_CONFLICT;
    case 1400: // NULL into NOT NULL
    case 1407:
    case 2290: // CHECK
    case 2291: // parent not found
    case 2292: // child found
        return ERR_CONSTRAINT;
    case 1401:
    case 1438: // precision
    case 1722: // no number
    case 1830:
    case 1840:
    case 1841:
    case 1847:
    case 1858:
    case 1861:
    case 12899: return ERR_VALUE; // too large for the column
    case 54:                      // NOWAIT
    case 60:                      // deadlock
    case 8177:                    // cannot serialize
    case 30006:                   // WAIT ran out
    case 1653:                    // tablespace full
    case 1654: return ERR_BUSY;
    case 1013: return ERR_CANCELLED;
    case 1017:
    case 1031:
    case 28000: return ERR_DENIED;
    case 904:
    case 942:
    case 4043:
    case 4098: return ERR_SCHEMA; // an invalid trigger
    case 28:                      // killed
    case 1012:
    case 1033:
    case 1034:
    case 1089:
    case 3113:
    case 3114:
    case 3135:
    case 12170:
    case 12514:
    case 12541: return ERR_UNREACHABLE;
    default: return ERR_INTERNAL;
    }
}

static enum err_code classify(const char *sqlstate, int native, const char *message)
{
    if (dbms_contains(message, "ficus: fence"))
        return ERR_FENCED;
    enum err_code code = by_number(native < 0 ? -native : native);
    if (code != ERR_INTERNAL)
        return code;
    if (strncmp(sqlstate, "08", 2) == 0)
        return ERR_UNREACHABLE;
    if (strncmp(sqlstate, "22", 2) == 0)
        return ERR_VALUE;
    if (strncmp(sqlstate, "HYT", 3) == 0)
        return ERR_TIMEOUT;
    return strcmp(sqlstate, "HY008") == 0 ? ERR_CANCELLED : ERR_INTERNAL;
}

// Names as maps write them: in small letters where Oracle made them capitals.
#define MAP_NAME(column) \
    "CASE WHEN " column " = UPPER(" column ") THEN LOWER(" column ") ELSE " column " END"
#define IS_TABLE(column) column " IN (p.t, CASE WHEN p.t = LOWER(p.t) THEN UPPER(p.t) END)"

const struct dbms dbms_oracle = {
    .index = 5,
    .name = "oracle",
    .untested = "its SQL is rendered and syntax-checked, never run; no changelog, no writes",
    .session_sql = "ALTER SESSION SET TIME_ZONE = 'UTC'" DBMS_NEXT
                   "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'" DBMS_NEXT
                   "ALTER SESSION SET ISOLATION_LEVEL = READ COMMITTED",
    .text_type = "varchar2(4000)",
    .limit_head = " FETCH FIRST ",
    .limit_tail = " ROWS ONLY",
    .table_alias = " ",
    .lock_row = " FOR UPDATE",
    .true_sql = "1",
    .false_sql = "0",
    .max_params = 65535,
    .quote = oracle_quote,
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
    .trigger_ddl = oracle_trigger_ddl,
    .trigger_drop = oracle_trigger_drop,
    .trigger_ops = "iud",
    .trigger_names_sql = "SELECT LOWER(trigger_name), " MAP_NAME(
        "table_name") ", CASE status WHEN 'ENABLED' THEN 1 ELSE 0 END FROM user_triggers"
                      " WHERE trigger_name LIKE 'FICUS\\_%' ESCAPE '\\'",
    .trigger_drop_head = "DROP TRIGGER ",
    .trigger_drop_tail = "",
    .set_marks = oracle_set_marks,
    .clear_marks = "BEGIN ficus_session.origin := NULL; ficus_session.epoch := NULL;"
                   " ficus_session.write_id := NULL; END;",
    .fence_seal_sql = "UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < ?",
    .fence_open_sql = "UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ?"
                      " WHERE grp = ? AND epoch < ?",
    .fence_openings_sql = "SELECT grp, opened FROM ficus_fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable, epoch FROM ficus_fence WHERE grp = ?",
    .fence_hold_sql = "SELECT writable, opened FROM ficus_fence WHERE grp = ? FOR UPDATE",
    .fence_init_sql = "MERGE INTO ficus_fence t USING (SELECT ? AS grp, ? AS writable, ? AS epoch"
                      " FROM dual) s ON (t.grp = s.grp) WHEN NOT MATCHED THEN"
                      " INSERT (grp, writable, epoch) VALUES (s.grp, s.writable, s.epoch)",
    .columns_sql = "WITH p AS (SELECT ? AS t FROM dual) SELECT " MAP_NAME(
        "c.column_name") ", c.data_type || '(' || c.data_length || ',' || c.data_precision || ',' ||"
                         " c.data_scale || ')' FROM user_tab_columns c, p"
                         " WHERE " IS_TABLE("c.table_name") " ORDER BY c.column_id",
    .indexes_sql =
        "WITH p AS (SELECT ? AS t FROM dual) SELECT i.index_name,"
        " CASE i.uniqueness WHEN 'UNIQUE' THEN 1 ELSE 0 END, " MAP_NAME(
            "x.column_name") ", CASE c.nullable WHEN 'N' THEN 1 ELSE 0 END FROM p, user_indexes i"
                             " JOIN user_ind_columns x ON x.index_name = i.index_name"
                             " JOIN user_tab_columns c ON c.table_name = i.table_name"
                             " AND c.column_name = x.column_name"
                             " WHERE " IS_TABLE(
                                 "i.table_name") " AND i.index_type = 'NORMAL'"
                                                 " ORDER BY i.index_name, x.column_position",
    .now_us_sql = "SELECT " NOW_US " FROM dual",
    .classify = classify,
};
