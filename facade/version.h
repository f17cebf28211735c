// SPDX-License-Identifier: Apache-2.0
// The version of a record: a hash of its canonical values, the same whichever store holds them.
// Entity tags are made of it, and a conditional write compares it in the store's transaction.
#ifndef FICUS_FACADE_VERSION_H
#define FICUS_FACADE_VERSION_H

#include "facade/operation.h"

#define VERSION_LEN 32 // hex digits

// The fields that a version covers: all that are not secret, in the map's order. Memory of `a`;
// NULL when there is none left.
const struct field *const *version_fields(const struct entity *en, struct arena *a, size_t *n);
// Of a row that holds at least those fields, in any order. False when one is missing.
bool version_of(const struct entity *en, const struct field *const *fields, size_t nfields,
                const struct value *values, char out[VERSION_LEN + 1]) FICUS_MUST_CHECK;
// True when the operation does not ask for a version, or asks for this one.
bool version_matches(const struct operation *op, const char *version);

#endif
