// SPDX-License-Identifier: Apache-2.0
// One blocking ODBC connection. Belongs to one thread at a time; never used on a loop.
// Parameters are always bound; results come as raw text in UTF-8 (SQL_C_CHAR), bytes
// columns as lower-case hex. Statements are prepared once and kept by their text.
#ifndef FICUS_CONNECTORS_ODBC_H
#define FICUS_CONNECTORS_ODBC_H

#include "connectors/odbc/dbms.h"
#include "connectors/rows.h"

struct odbc_conn;

// `conninfo` is an ODBC connection string (SQLDriverConnect); it is copied, never logged.
// Runs dbms->session_sql and logs the driver manager's threading level once a process.
int odbc_open(const char *conninfo, const struct dbms *dbms, struct odbc_conn **out,
              struct err *e) FICUS_MUST_CHECK;
void odbc_close(struct odbc_conn *c); // NULL is fine; rolls back what is open
const struct dbms *odbc_dbms(const struct odbc_conn *c);
// False after an error that broke the connection; such a connection is only closed.
bool odbc_alive(const struct odbc_conn *c);

// All rows into the arena. ERR_LIMIT past `max_rows` (0: the arena's limit decides).
int odbc_query(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
               struct arena *a, size_t max_rows, struct rows *out, struct err *e) FICUS_MUST_CHECK;
// Streams rows by block fetch with flat memory (the driver's own buffers aside).
int odbc_each(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
              rows_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;
// The columns that a SELECT gives. It is executed: ask for no rows.
int odbc_describe(struct odbc_conn *c, struct str sql, struct arena *a, struct column_info **out,
                  size_t *n, struct err *e) FICUS_MUST_CHECK;
// `*changed` (may be NULL): rows found.
int odbc_exec(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
              long long *changed, struct err *e) FICUS_MUST_CHECK;
// One statement for many parameter rows (row-major nrows * nparams), by array binding
// where the driver has it. On failure `*failed_row` is the first row at fault or -1.
int odbc_exec_many(struct odbc_conn *c, struct str sql, const struct value *params, size_t nparams,
                   size_t nrows, long long *failed_row, struct err *e) FICUS_MUST_CHECK;
// Several statements without parameters (DDL), split by the caller.
int odbc_direct(struct odbc_conn *c, struct str sql, struct err *e) FICUS_MUST_CHECK;

// Transactions. begin runs dbms->begin_write or a plain read transaction.
int odbc_begin(struct odbc_conn *c, bool write, struct err *e) FICUS_MUST_CHECK;
// A broken connection during commit gives ERR_UNKNOWN_OUTCOME.
int odbc_commit(struct odbc_conn *c, struct err *e) FICUS_MUST_CHECK;
void odbc_rollback(struct odbc_conn *c);
bool odbc_in_transaction(const struct odbc_conn *c);

// Thread: any other than the connection's; may itself block (SQLCancel).
void odbc_cancel(struct odbc_conn *c);

#endif
