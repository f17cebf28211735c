// SPDX-License-Identifier: Apache-2.0
// Templates of a map's own statements, for apply. Shared by the query files only.
#ifndef FICUS_MIGRATIONS_QUERY_NAMED_H
#define FICUS_MIGRATIONS_QUERY_NAMED_H

#include "migrations/query_int.h"

#define NAMED_PARAMS_MAX 64
#define NAMED_NOW        'n'
#define NAMED_ACTOR      'a'
#define NAMED_UUID       'u' // each place gets an id of its own

struct named_param {
    const struct field *field; // or
    char special;              // NAMED_*
};

// `params` holds NAMED_PARAMS_MAX.
int query_named_template(struct query_build *b, const char *sql, struct named_param *params,
                         size_t *nparams, struct sql *out, struct err *e) FICUS_MUST_CHECK;
// Raw value of a special parameter.
int query_named_value(const struct named_param *p, const char *now, struct arena *a,
                      struct value *raw, struct err *e) FICUS_MUST_CHECK;

#endif
