// SPDX-License-Identifier: Apache-2.0
// Shared by the type files only: one reader a canonical type.
#ifndef FICUS_MIGRATIONS_TYPE_INT_H
#define FICUS_MIGRATIONS_TYPE_INT_H

#include "migrations/type.h"

// Each reads `in` into *out: VALUE_SET in canonical form (borrowing `in` where it is canonical
// already, else from the arena) or VALUE_FOREIGN. -1: no memory.
int type_text(const struct field *f, struct str in, struct value *out);
int type_id(const struct field *f, struct str in, struct value *out);
int type_bytes(const struct field *f, struct str in, struct arena *a, struct value *out,
               struct err *e) FICUS_MUST_CHECK;
int type_integer(const struct field *f, struct str in, struct arena *a, struct value *out,
                 struct err *e) FICUS_MUST_CHECK;
int type_decimal(const struct field *f, struct str in, struct arena *a, struct value *out,
                 struct err *e) FICUS_MUST_CHECK;
// A decimal that its store keeps as a binary double: the nearest decimal at the field's scale.
int type_decimal_of_double(const struct field *f, struct str in, struct arena *a, struct value *out,
                           struct err *e) FICUS_MUST_CHECK;
int type_float(struct str in, struct arena *a, struct value *out, struct err *e) FICUS_MUST_CHECK;
int type_boolean(struct str in, struct value *out);
int type_date(struct str in, struct value *out);
int type_time(const struct field *f, struct str in, struct arena *a, struct value *out,
              struct err *e) FICUS_MUST_CHECK;
int type_timestamp(const struct field *f, struct str in, struct arena *a, struct value *out,
                   struct err *e) FICUS_MUST_CHECK;
int type_json(struct str in, struct arena *a, struct value *out, struct err *e) FICUS_MUST_CHECK;

// *out = VALUE_FOREIGN of `in`. Always 0.
static inline int type_foreign(struct str in, enum value_problem p, struct value *out)
{
    *out = value_set(in);
    out->state = VALUE_FOREIGN;
    out->problem = (uint8_t)p;
    return 0;
}

static inline int type_set(struct str canonical, struct value *out)
{
    *out = value_set(canonical);
    return 0;
}

#endif
