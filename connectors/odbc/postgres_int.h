// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's SQL text that serves it as the new store (postgres.c, through libpq) and as a
// legacy (postgres_legacy.c, postgres_triggers.c, through ODBC) alike. Private to these files.
#ifndef FICUS_CONNECTORS_POSTGRES_INT_H
#define FICUS_CONNECTORS_POSTGRES_INT_H

#include "connectors/odbc/dbms_int.h"

void postgres_quote(struct buf *out, struct str identifier);
void postgres_page(struct buf *out, long long limit, long long offset);
void postgres_match_text(struct buf *out, const char *column_sql, enum text_match op,
                         const char *param_sql, bool nocase);
void postgres_order_text(struct buf *out, const char *column_sql, bool nocase, bool desc);
void postgres_join_key(struct buf *out, const char *const *columns_sql, size_t n);
void postgres_column_type(struct buf *out, enum column_kind kind, unsigned a, unsigned b);
void postgres_set_marks(struct buf *out, const struct dbms_marks *m);
void postgres_row_hash(struct buf *out, const char *const *columns, const enum column_kind *kinds,
                       size_t n);
enum err_code postgres_classify(const char *sqlstate, int native, const char *message);

// Of a legacy: triggers and the function that seals.
void postgres_trigger_ddl(struct buf *out, const struct dbms_trigger *t);
void postgres_trigger_drop(struct buf *out, const struct dbms_trigger *t);
extern const char postgres_fence_lock[];

#define POSTGRES_CLEAR_MARKS                                                            \
    "SELECT set_config('ficus.origin', '', true), set_config('ficus.epoch', '', true)," \
    " set_config('ficus.write_id', '', true)"
#define POSTGRES_SESSION_ID "SELECT pg_backend_pid()"
#define POSTGRES_HOLDERS                                                                           \
    "SELECT pid, concat('session ', pid, ' ', usename, '@', coalesce(host(client_addr), 'local')," \
    " nullif(concat(' (', application_name, ')'), ' ()'), ', ', state, ' for ',"                   \
    " extract(epoch FROM now() - state_change)::int, ' s, transaction since ',"                    \
    " to_char(xact_start, 'HH24:MI:SS')) FROM pg_stat_activity"                                    \
    " WHERE pid = ANY(pg_blocking_pids(%lld::int))"
#define POSTGRES_INDEXES(table)                                                               \
    "SELECT i.indexrelid::regclass::text, i.indisunique::int, a.attname, a.attnotnull::int"   \
    " FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(att, n)"               \
    " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.att"                    \
    " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam"                \
    " WHERE i.indrelid = to_regclass(" table "::text) AND i.indpred IS NULL AND i.indisvalid" \
    " AND m.amname = 'btree' AND k.n <= i.indnkeyatts ORDER BY 1, k.n"
// pg_settings shows the path to members of pg_read_all_settings only.
#define POSTGRES_DISK                                                                    \
    "SELECT setting, CASE WHEN coalesce(inet_server_addr() = inet_client_addr(), true) " \
    "THEN '' END FROM pg_settings WHERE name = 'data_directory'"
#define POSTGRES_END_SESSION "SELECT pg_terminate_backend(%lld)"

#endif
