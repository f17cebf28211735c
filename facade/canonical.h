// SPDX-License-Identifier: Apache-2.0
// Operations and results as JSON without loss: every value is its canonical text (a JSON
// string), null, or {"raw", "problem"} for what its type cannot hold (VALUE_FOREIGN). What a facade sends to a service, so that the answer equals the one that
// the service's own store would give.
//   read  {"kind", "key"?, "keys"?, "fields": [..], "filter"?, "order"?: [["name", desc]..],
//          "limit", "offset", "deleted", "total", "related"?, "expand"?}
//   write {"kind", "key", "values"?: {field: text|null}, "now", "actor", "relationship"?,
//          "near"?, "far"?, "remove"?}
//   reply {"status", "rows"?: [[..]], "related"?: [[[..]]], "total"?, "key"?, "changed"?,
//          "detail"?}
#ifndef FICUS_FACADE_CANONICAL_H
#define FICUS_FACADE_CANONICAL_H

#include "facade/operation.h"

void canonical_write_operation(const struct operation *op, struct buf *out);
// `op` has its entity and arena; the rest is filled. ERR_INVALID names what is wrong.
int canonical_read_operation(const json_t *j, const struct entity_set *set, struct operation *op,
                             struct err *e) FICUS_MUST_CHECK;
void canonical_write_result(const struct operation *op, const struct result *r, struct buf *out);
int canonical_read_result(const struct operation *op, const json_t *j, struct result *out,
                          struct err *e) FICUS_MUST_CHECK;

#endif
