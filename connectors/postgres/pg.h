// SPDX-License-Identifier: Apache-2.0
// One blocking libpq connection, for sync threads and the command line (never on a loop;
// the loop's is pg_pool.h). Text format; parameters always bound; statements prepared once
// and kept by their text.
#ifndef FICUS_CONNECTORS_PG_H
#define FICUS_CONNECTORS_PG_H

#include "base/buf.h"
#include "connectors/rows.h"

struct pg_conn;
struct pg_notice {
    char channel[64];
    char payload[2048];
};

// `application` names the connection in pg_stat_activity. Session: UTC, ISO dates,
// client_encoding UTF8, standard_conforming_strings on. conninfo is never logged.
int pg_open(const char *conninfo, const char *application, struct pg_conn **out,
            struct err *e) FICUS_MUST_CHECK;
void pg_close(struct pg_conn *c);
bool pg_alive(const struct pg_conn *c);
int pg_socket(const struct pg_conn *c);

int pg_query(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
             struct arena *a, struct rows *out, struct err *e) FICUS_MUST_CHECK;
// The columns that a SELECT gives. It is executed: ask for no rows.
int pg_describe(struct pg_conn *c, struct str sql, struct arena *a, struct column_info **out,
                size_t *n, struct err *e) FICUS_MUST_CHECK;
int pg_exec(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
            long long *changed, struct err *e) FICUS_MUST_CHECK;
// printf-free convenience: exec with C string parameters (NULL entry: SQL NULL).
int pg_execz(struct pg_conn *c, const char *sql, const char *const *params, size_t nparams,
             long long *changed, struct err *e) FICUS_MUST_CHECK;
// Streams rows in single-row mode (flat memory).
int pg_each(struct pg_conn *c, struct str sql, const struct value *params, size_t nparams,
            rows_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;
int pg_script(struct pg_conn *c, struct str sql, struct err *e) FICUS_MUST_CHECK; // no params

int pg_begin(struct pg_conn *c, struct err *e) FICUS_MUST_CHECK;
int pg_commit(struct pg_conn *c, struct err *e) FICUS_MUST_CHECK; // ERR_UNKNOWN_OUTCOME too
void pg_rollback(struct pg_conn *c);
int pg_savepoint(struct pg_conn *c, const char *name, struct err *e) FICUS_MUST_CHECK;
int pg_rollback_to(struct pg_conn *c, const char *name, struct err *e) FICUS_MUST_CHECK;

// COPY .. FROM STDIN in text format: begin with the statement, feed rows, end.
int pg_copy_begin(struct pg_conn *c, struct str sql, struct err *e) FICUS_MUST_CHECK;
int pg_copy_row(struct pg_conn *c, const struct value *cells, size_t ncols,
                struct err *e) FICUS_MUST_CHECK; // buffered; escapes; VALUE_NULL -> \N
int pg_copy_end(struct pg_conn *c, long long *rows, struct err *e) FICUS_MUST_CHECK;

// Streams the rows of a COPY .. TO STDOUT in text format (it takes no parameters): the cheapest
// way to read many. Cells are valid during the call of `each` only.
int pg_copy_each(struct pg_conn *c, struct str sql, rows_each_fn *each, void *ctx,
                 struct err *e) FICUS_MUST_CHECK;

// Waits for a NOTIFY up to `ms`. 1 got one, 0 none, -1 error.
int pg_wait_notice(struct pg_conn *c, unsigned ms, struct pg_notice *out,
                   struct err *e) FICUS_MUST_CHECK;

// A one-dimensional array literal '{...}' of texts, for unnest($1::text[]).
void pg_array_literal(struct buf *out, const struct value *items, size_t n, size_t stride);

// Fills `e` from SQLSTATE and message; shared with pg_pool.c. Returns -1.
int pg_err(struct err *e, const char *sqlstate, const char *message);

#endif
