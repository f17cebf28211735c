// SPDX-License-Identifier: Apache-2.0
// JSON Schemas of entities for the OpenAPI description (rest_openapi.c).
#ifndef FICUS_FACADE_DIALECT_REST_SCHEMA_H
#define FICUS_FACADE_DIALECT_REST_SCHEMA_H

#include "facade/dialect/rest.h"

enum rest_schema_use {
    REST_SCHEMA_ANSWER, // what a record may hold: also values, as text, that its type cannot
    REST_SCHEMA_BODY,   // what a write takes
    REST_SCHEMA_QUERY,  // what a condition compares with
};

void rest_schema_field(struct buf *out, const struct field *f, enum rest_schema_use use);
// "NAME", "NAME.list", "NAME.new" and "NAME.change", each with a comma in front.
void rest_schema_entity(struct buf *out, const struct entity *en);

#endif
