// SPDX-License-Identifier: Apache-2.0
// Shared by the DBMS files only: small pieces of SQL text that several of them write alike.
#ifndef FICUS_CONNECTORS_DBMS_INT_H
#define FICUS_CONNECTORS_DBMS_INT_H

#include "connectors/odbc/dbms.h"

// Between statements of a text with several.
#define DBMS_NEXT "\n--\n"

// Quotes each part of a dotted name with `q`, doubling it inside.
void dbms_quote_with(struct buf *out, struct str identifier, char q);
// 'text' with quotes doubled; z NULL: NULL. Backslashes are plain characters (MariaDB:
// session_sql sets NO_BACKSLASH_ESCAPES).
void dbms_literal(struct buf *out, const char *z);
// Appends `expr` with every %R replaced by `row` (NEW, OLD).
void dbms_add_row(struct buf *out, const char *expr, const char *row);
// "a, b, c", each quoted by `quote` after `prefix`.
void dbms_columns(struct buf *out, void (*quote)(struct buf *, struct str),
                  const char *const *names, size_t n, const char *prefix);
// `form` with its first "%s" replaced by `inner`; other percent signs are text.
void dbms_wrap(struct buf *out, const char *form, const char *inner);
bool dbms_hash_counts(enum column_kind kind); // row_hash writes its bytes' count in front
extern const struct dbms_added_column dbms_no_columns[]; // of a DBMS whose tables were made whole
bool dbms_is_key(const struct dbms_upsert *u, size_t column);
const char *dbms_op(enum text_match op); // "=", "<>", ... "LIKE", "NOT LIKE"
// Trigger name: ficus_<entity>_<ordinal>_<op letter>.
void dbms_trigger_name(struct buf *out, const struct dbms_trigger *t, char op);
bool dbms_contains(const char *message, const char *part); // NULL message: false

#endif
