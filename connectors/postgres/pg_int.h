// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder only: pg.c (statements, transactions), pg_copy.c (COPY
// FROM, notices, arrays), pg_copy_out.c (COPY TO), pg_connect.c (what every connection asks for), the pool, the stream.
#ifndef FICUS_CONNECTORS_PG_INT_H
#define FICUS_CONNECTORS_PG_INT_H

#include "connectors/postgres/pg.h"

#include <libpq-fe.h>

struct statement;

struct pg_conn {
    PGconn *pq;
    struct statement *statements; // by SQL text
    unsigned long long serial;    // of statement names, never used twice
    bool broken;
    struct buf copy; // rows of a COPY that are not sent yet
};

// Arguments of PQconnectdbParams and PQconnectStartParams; point into the caller's texts.
struct pg_params {
    const char *keys[16], *values[16];
    size_t n;
    struct buf options;
};

// `more` (NULL: none) are further session settings, `-c name=value`. ERR_CONFIG when the
// connection string cannot be parsed. pg_params_free after connecting.
int pg_params_fill(struct pg_params *p, const char *conninfo, const char *application,
                   const char *more, struct err *e);
void pg_params_add(struct pg_params *p, const char *key, const char *value); // three more at most
void pg_params_free(struct pg_params *p);
// One row of a result; borrowed from it without an arena. -1: the arena is full.
int pg_copy_cells(const PGresult *r, int row, struct value *cells, struct arena *a);

// The connection's own error, its first line. Returns -1.
int pg_unreachable(struct err *e, const PGconn *pq);
int pg_conn_err(struct pg_conn *c, struct err *e);                      // returns -1
int pg_result_err(struct pg_conn *c, const PGresult *r, struct err *e); // returns -1

#endif
