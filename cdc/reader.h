// SPDX-License-Identifier: Apache-2.0
// Reads aggregates of one entity from one side as canonical rows, by key range or by keys,
// with the policies applied that a value meets when it crosses: what reconcile compares is
// what sync would have written. One thread; connections are borrowed.
#ifndef FICUS_CDC_READER_H
#define FICUS_CDC_READER_H

#include "connectors/odbc/odbc.h"
#include "connectors/postgres/pg.h"
#include "migrations/query.h"

#define READER_FIELDS_MAX 512

struct reader {
    const struct entity *entity;
    enum side side;
    struct odbc_conn *odbc;                        // side legacy
    struct pg_conn *pg;                            // side new
    const struct field *fields[READER_FIELDS_MAX]; // synced fields, keys first
    size_t nfields;
    bool versions; // reader_keys also tells each row's version (side new)
};

struct reader_row {
    struct str key;             // key text
    const struct value *values; // parallel to reader.fields; NULL: no such row. A value that a
                                // policy replaced keeps its problem.
    unsigned copies;            // of reader_keys: rows of this very key
    struct str version;         // of reader_keys, when asked for
    bool near_miss;             // of reader_keys: the store took another key for equal
};

int reader_init(struct reader *r, const struct entity *en, enum side side, struct odbc_conn *odbc,
                struct pg_conn *pg, struct err *e) FICUS_MUST_CHECK;
const struct dbms *reader_dbms(const struct reader *r);
// Streams the raw rows of a statement of this side; cells are valid during the call only.
int reader_each(struct reader *r, struct str sql, const struct value *params, size_t n,
                rows_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;
// Raw cells, in the order of `fields`, to one canonical row; memory of the arena or the cells'.
int reader_canonical(const struct reader *r, const struct value *cells, struct arena *a,
                     struct reader_row *out, struct err *e) FICUS_MUST_CHECK;
// Up to q->limit rows of a slice, in the side's key order. Memory of the arena.
int reader_slice(struct reader *r, const struct scan_query *q, struct arena *a,
                 struct reader_row **rows, size_t *n, struct err *e) FICUS_MUST_CHECK;
// The rows of these keys, in the order of `keys`; values NULL where there is none.
int reader_keys(struct reader *r, const struct str *keys, size_t n, struct arena *a,
                struct reader_row *rows, struct err *e) FICUS_MUST_CHECK;

#endif
