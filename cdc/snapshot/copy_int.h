// SPDX-License-Identifier: Apache-2.0
// Shared by copy.c and copy_range.c only.
#ifndef FICUS_CDC_COPY_INT_H
#define FICUS_CDC_COPY_INT_H

#include "cdc/snapshot/copy.h"
#include "migrations/type.h"

struct copy;

// One range of keys and its thread's outcome.
struct copy_range {
    struct copy *copy;
    struct str n;                        // its number, as text
    struct value above, up_to, last_key; // canonical; last_key: key text; NULL: none
    pthread_t thread;
    int result;
    struct err err;
};

struct copy {
    struct sync *s;
    size_t entity;
    struct pg_conn *pg;
    struct odbc_conn *odbc;
    struct arena *arena;
    struct copy_range ranges[COPY_RANGES_MAX];
    size_t nranges;
    bool empty;         // the new table was when the copy began: rows go in by COPY
    char group[128];    // whose fence is asked; "" none
    long long left;     // rows that went through the stream
    atomic_bool failed; // a range did: the others stop
};

// To the end of the range, or until the process stops or another range fails. Thread: its own.
int copy_range_run(struct copy_range *r, struct err *e) FICUS_MUST_CHECK;

#endif
