// SPDX-License-Identifier: Apache-2.0
// Shared by diff.c (the run), diff_columns.c (columns, the key), diff_source.c (connections, statements), diff_value.c (texts that
// are equal for equal values) only.
#ifndef FICUS_CDC_DIFF_INT_H
#define FICUS_CDC_DIFF_INT_H

#include "cdc/reconcile/diff.h"
#include "cdc/reconcile/join.h"
#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg.h"

#define DIFF_COLUMNS_MAX 512
#define DIFF_KEYS_MAX    16

// A column that both sides have. Keys come first.
struct pair {
    struct str name[2];
    enum column_kind kind[2];
    bool padded, key;
};

struct source {
    const char *what;
    bool query;
    const struct dbms *dbms;
    struct pg_conn *pg;
    struct odbc_conn *odbc;
    struct column_info *columns;
    size_t ncolumns;
};

int source_open(struct source *s, const struct diff_source *from, struct arena *a,
                struct err *e) FICUS_MUST_CHECK;
void source_close(struct source *s);
// Columns of the primary key, in order; none for a query or without one.
int source_key(struct source *s, struct arena *a, struct str *out, size_t *n,
               struct err *e) FICUS_MUST_CHECK;
// SELECT of the pairs' columns of side `at`; nkeys > 0: of so many keys, bound as parameters.
int source_select(const struct source *s, int at, const struct pair *pairs, size_t npairs,
                  size_t nkey, size_t nkeys, struct arena *a, struct str *out,
                  struct err *e) FICUS_MUST_CHECK;
// SELECT of the key columns of side `at`, of keys that stand there more than once.
int source_doubles(const struct source *s, int at, const struct pair *pairs, size_t nkey,
                   struct arena *a, struct str *out, struct err *e) FICUS_MUST_CHECK;
int source_each(struct source *s, struct str sql, const struct value *params, size_t n,
                rows_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;

struct diff_columns {
    struct pair pairs[DIFF_COLUMNS_MAX]; // the key's first
    size_t n, nkey;
    json_t *only[2]; // arrays, the caller's: names of columns that the other side lacks
};
// Of two open sources. ERR_INVALID when no key can be told.
int diff_columns_find(struct diff_columns *c, const struct diff_options *o, struct source *source,
                      struct arena *a, struct err *e) FICUS_MUST_CHECK;

// Raw cells of one row as comparable values, in the arena.
int diff_row(const struct pair *pairs, size_t n, const struct value *cells, struct arena *a,
             struct value *out, struct err *e) FICUS_MUST_CHECK;

#endif
