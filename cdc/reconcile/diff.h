// SPDX-License-Identifier: Apache-2.0
// Compares two tables or queries of any two databases, without a map: PostgreSQL by libpq,
// everything else by ODBC. Both are read once, in whatever order they come, side by side; rows
// whose hashes differ, or that one side lacks, are read again by key and told field by field.
// Values are compared by type: 1.50 is 1.5, t is 1, a date is that midnight; text by its bytes.
#ifndef FICUS_CDC_DIFF_H
#define FICUS_CDC_DIFF_H

#include "base/arena.h"
#include "base/json.h"

struct diff_source {
    const char *dsn;  // libpq (postgresql://.., host=..) or ODBC (DRIVER=.., DSN=..)
    const char *what; // a table, or a SELECT
    const char *dbms; // of an ODBC source; NULL: by the driver's name
};
struct diff_options {
    struct diff_source source[2];
    const char *key;     // "a,b"; NULL: the primary key of the first table that has one
    const char *columns; // "a,b": compare only these; NULL: all that both have
    const char *map;     // "a=b,c=d": column a of the first is b of the second; NULL
    const char *ignore;  // "a,b": leave these out; NULL
    long long limit;     // differing keys that are looked at field by field
    void (*progress)(void *ctx, long long first, long long second); // NULL: none
    void *ctx;
};
// The result as JSON, owned. *equal: not one row differs, and both have the
// same columns or those to compare were named.
json_t *diff_run(const struct diff_options *o, bool *equal, struct err *e);

#endif
