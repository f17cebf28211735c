// SPDX-License-Identifier: Apache-2.0
// PostgreSQL 15 or newer as the new store, reached through libpq ($1 placeholders, values in
// their text form). Owns the SQL text that only PostgreSQL wants; no connection, no state.
// Thread: any.
//
// Cells are read as PostgreSQL prints them in a UTC session (psql's and pgoutput's text):
// migrations/type.c understands that form, so no column is wrapped. Fence, positions and the
// rest of Ficus' objects are the control store's SQL; changes come from the log.
#include "connectors/odbc/postgres_int.h"

#include <stdio.h>

#define HASH_GROUP 30 // columns, of three arguments at most

void postgres_quote(struct buf *out, struct str identifier)
{
    dbms_quote_with(out, identifier, '"');
}

void postgres_page(struct buf *out, long long limit, long long offset)
{
    if (limit >= 0)
        buf_printf(out, " LIMIT %lld", limit);
    if (offset > 0)
        buf_printf(out, " OFFSET %lld", offset);
}

// lower() by the database's locale, compared byte by byte: one expression index, with
// COLLATE "C", serves equality, LIKE 'x%' and ORDER BY.
void postgres_match_text(struct buf *out, const char *column_sql, enum text_match op,
                         const char *param_sql, bool nocase)
{
    const char *fold = nocase ? "lower" : "";
    buf_printf(out, "%s(%s) COLLATE \"C\" %s %s(%s)", fold, column_sql, dbms_op(op), fold,
               param_sql);
    if (op == MATCH_LIKE || op == MATCH_NOT_LIKE)
        buf_addz(out, " ESCAPE '\\'");
}

// NULL sorts first, as in the legacy stores.
void postgres_order_text(struct buf *out, const char *column_sql, bool nocase, bool desc)
{
    if (nocase)
        buf_printf(out, "lower(%s) COLLATE \"C\"", column_sql);
    else
        buf_addz(out, column_sql);
    buf_addz(out, desc ? " DESC NULLS LAST" : " NULLS FIRST");
}

static void read_column(struct buf *out, const char *column_sql, enum column_kind kind)
{
    buf_printf(out, kind == COLUMN_BYTES ? "encode(%s, 'hex')" : "%s", column_sql);
}

// A value that has no text ('!p') equals nothing elsewhere.
void postgres_row_hash(struct buf *out, const char *const *columns, const enum column_kind *kinds,
                       size_t n)
{
    static const char *const texts[] = {
        [COLUMN_TEXT] = "%s::text",
        [COLUMN_INTEGER] = "%s::text",
        [COLUMN_DECIMAL] = "%s::text",
        [COLUMN_FLOAT] = "%s::text",
        [COLUMN_BOOLEAN] = "%s::int::text",
        [COLUMN_DATE] = "%s::text",
        [COLUMN_TIME] = "to_char(%s::interval, 'HH24:MI:SS.US')",
        [COLUMN_TIMESTAMP] = "to_char(%s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
        [COLUMN_BYTES] = "encode(%s, 'hex')",
        [COLUMN_JSON] = "%s::text",
    };
    // A function takes 100 arguments at most (FUNC_MAX_ARGS), so many of them go in groups.
    buf_addz(out, "('x' || left(md5(concat(concat(");
    for (size_t i = 0; i < n; i++) {
        struct buf text = BUF_INIT;
        dbms_wrap(&text, texts[kinds[i]], columns[i]);
        const char *x = text.data ? text.data : "";
        buf_addz(out, i == 0 ? "" : i % HASH_GROUP == 0 ? "), concat(" : ", ");
        if (dbms_hash_counts(kinds[i])) // concat() passes over NULL
            buf_printf(out, "octet_length(%s), CASE WHEN %s IS NULL THEN '-' ELSE ':' END, %s", x,
                       x, x);
        else
            buf_printf(out, "coalesce(%s, CASE WHEN %s IS NULL THEN '-' ELSE '!p' END), '|'", x,
                       columns[i]);
        out->failed |= text.failed;
        buf_free(&text);
    }
    buf_addz(out, "))), 15))::bit(60)::bigint");
}

static void write_param(struct buf *out, const char *param_sql, enum column_kind kind)
{
    static const char *const forms[] = {
        [COLUMN_TEXT] = "%s::text",
        [COLUMN_INTEGER] = "%s::bigint",
        [COLUMN_DECIMAL] = "%s::numeric",
        [COLUMN_FLOAT] = "%s::float8",
        [COLUMN_BOOLEAN] = "%s::boolean",
        [COLUMN_DATE] = "%s::date",
        [COLUMN_TIME] = "%s::time",
        [COLUMN_TIMESTAMP] = "(%s::timestamp AT TIME ZONE 'UTC')",
        [COLUMN_BYTES] = "decode(%s, 'hex')",
        [COLUMN_JSON] = "%s::jsonb",
    };
    const char *form = forms[kind], *at = strstr(form, "%s");
    buf_add(out, form, (size_t)(at - form));
    buf_addz(out, param_sql);
    buf_addz(out, at + 2);
}

// $n is a text[] of all rows; ON CONFLICT cannot touch a row twice, so the caller passes each
// key once (its newest state).
static void upsert(struct buf *out, const struct dbms_upsert *u)
{
    buf_addz(out, "INSERT INTO ");
    postgres_quote(out, str_of(u->table));
    buf_addz(out, " (");
    dbms_columns(out, postgres_quote, u->columns, u->ncolumns, "");
    buf_addz(out, ") SELECT ");
    for (size_t i = 0; i < u->ncolumns; i++) {
        char name[32];
        snprintf(name, sizeof(name), "u.c%zu", i + 1);
        buf_addz(out, i > 0 ? ", " : "");
        write_param(out, name, u->kinds[i]);
    }
    buf_addz(out, " FROM unnest(");
    for (size_t i = 0; i < u->ncolumns; i++)
        buf_printf(out, "%s$%zu::text[]", i > 0 ? ", " : "", i + 1);
    buf_addz(out, ") AS u(");
    for (size_t i = 0; i < u->ncolumns; i++)
        buf_printf(out, "%sc%zu", i > 0 ? ", " : "", i + 1);
    buf_addz(out, ") ON CONFLICT (");
    dbms_columns(out, postgres_quote, u->keys, u->nkeys, "");
    buf_addz(out, ") DO ");
    bool any = false;
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

void postgres_join_key(struct buf *out, const char *const *columns_sql, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s::text", i > 0 ? " || chr(31) || " : "", columns_sql[i]);
}

void postgres_column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b)
{
    switch (kind) {
    case COLUMN_TEXT: buf_addz(out, "text"); break; // lengths are checks, see ddl_new_table
    case COLUMN_INTEGER: buf_addz(out, a > 32 ? "bigint" : "integer"); break;
    case COLUMN_DECIMAL: buf_printf(out, "numeric(%u,%u)", a, b); break;
    case COLUMN_FLOAT: buf_addz(out, "double precision"); break;
    case COLUMN_BOOLEAN: buf_addz(out, "boolean"); break;
    case COLUMN_DATE: buf_addz(out, "date"); break;
    case COLUMN_TIME: buf_printf(out, "time(%u)", a); break;
    case COLUMN_TIMESTAMP: buf_printf(out, "timestamptz(%u)", a); break;
    case COLUMN_BYTES: buf_addz(out, "bytea"); break;
    case COLUMN_JSON: buf_addz(out, "jsonb"); break;
    }
}

// Local to the transaction: a pooled connection cannot keep them.
void postgres_set_marks(struct buf *out, const struct dbms_marks *m)
{
    buf_addz(out, "SELECT set_config('ficus.origin', ");
    dbms_literal(out, m->origin ? m->origin : "");
    buf_addz(out, ", true), set_config('ficus.epoch', ");
    if (m->epoch >= 0)
        buf_printf(out, "'%lld'", m->epoch);
    else
        buf_addz(out, "''");
    buf_addz(out, ", true), set_config('ficus.write_id', ");
    dbms_literal(out, m->write_id ? m->write_id : "");
    buf_addz(out, ", true)");
}

enum err_code postgres_classify(const char *sqlstate, int native, const char *message)
{
    (void)native;
    static const struct {
        const char *state;
        enum err_code code;
    } exact[] = {
        {"FC001", ERR_FENCED},      {"23505", ERR_CONFLICT},    {"23P01", ERR_CONFLICT},
        {"40001", ERR_BUSY},        {"40P01", ERR_BUSY},        {"55P03", ERR_BUSY},
        {"53300", ERR_BUSY},        {"57014", ERR_CANCELLED},   {"57P01", ERR_UNREACHABLE},
        {"57P02", ERR_UNREACHABLE}, {"57P03", ERR_UNREACHABLE}, {"57P05", ERR_UNREACHABLE},
        {"42P01", ERR_SCHEMA},      {"42703", ERR_SCHEMA},      {"42883", ERR_SCHEMA},
        {"42704", ERR_SCHEMA},      {"3F000", ERR_SCHEMA},      {"0A000", ERR_SCHEMA},
        {"42501", ERR_DENIED},      {"25006", ERR_DENIED},      {"21000", ERR_INVALID},
        {"26000", ERR_SCHEMA},      {"55006", ERR_BUSY}, // a replication slot in use
    };
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        if (strcmp(sqlstate, exact[i].state) == 0)
            return exact[i].code;
    static const struct {
        const char *prefix;
        enum err_code code;
    } classes[] = {
        {"08", ERR_UNREACHABLE}, {"22", ERR_VALUE}, {"23", ERR_CONSTRAINT},  {"28", ERR_DENIED},
        {"53", ERR_BUSY},        {"54", ERR_LIMIT}, {"58", ERR_UNREACHABLE},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strncmp(sqlstate, classes[i].prefix, 2) == 0)
            return classes[i].code;
    return dbms_contains(message, "ficus: fence") ? ERR_FENCED : ERR_INTERNAL;
}

const struct dbms dbms_postgres = {
    .index = 2,
    .name = "postgres",
    .dollar_placeholders = true,
    .begin_write = "BEGIN",
    .text_type = "text",
    .lock_row = " FOR UPDATE OF t",
    .row_mark = "xmin::text",
    .true_sql = "true",
    .false_sql = "false",
    .max_params = 65535,
    .quote = postgres_quote,
    .page = postgres_page,
    .match_text = postgres_match_text,
    .order_text = postgres_order_text,
    .read_column = read_column,
    .row_hash = postgres_row_hash,
    .write_param = write_param,
    .upsert = upsert,
    .join_key = postgres_join_key,
    .column_type = postgres_column_type,
    .set_marks = postgres_set_marks,
    .clear_marks = POSTGRES_CLEAR_MARKS,
    .fence_openings_sql = "SELECT grp, opened FROM ficus.fence WHERE opened > 0",
    .fence_read_sql = "SELECT writable::int, epoch FROM ficus.fence WHERE grp = $1",
    .fence_hold_sql = "SELECT writable::int, opened FROM ficus.fence WHERE grp = $1 FOR SHARE",
    .session_id_sql = POSTGRES_SESSION_ID,
    .holders_fmt = POSTGRES_HOLDERS,
    .end_session_fmt = POSTGRES_END_SESSION,
    .disk_sql = POSTGRES_DISK,
    .columns_sql = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                   " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
                   " ORDER BY attnum",
    .indexes_sql = POSTGRES_INDEXES("$1"),
    .now_us_sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    .classify = postgres_classify,
};
