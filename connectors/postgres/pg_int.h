// SPDX-License-Identifier: Apache-2.0
// Shared by pg.c (statements, transactions) and pg_copy.c (COPY, notices, arrays) only.
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
    struct buf copy;              // rows of a COPY that are not sent yet
};

int pg_conn_err(struct pg_conn *c, struct err *e);                       // returns -1
int pg_result_err(struct pg_conn *c, const PGresult *r, struct err *e);  // returns -1

#endif
