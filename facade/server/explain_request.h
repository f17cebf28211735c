// SPDX-License-Identifier: Apache-2.0
// What would become of a real request, given as a curl command line or as raw HTTP: mount,
// dialect, method, module, entity, route, side and why. Nothing is sent. Blocking only as far as
// memory goes; any thread.
#ifndef FICUS_FACADE_EXPLAIN_REQUEST_H
#define FICUS_FACADE_EXPLAIN_REQUEST_H

#include "facade/http/http.h"
#include "routes/route.h"

#define EXPLAIN_INPUT_MAX (1u << 20)

// Fill `out` (its arena is set by the caller; slices point there or into `text`).
// ERR_INVALID says what is not understood. A curl command's @files are refused.
int explain_parse_curl(struct str text, struct http_request *out, struct err *e) FICUS_MUST_CHECK;
int explain_parse_raw(struct str text, struct http_request *out, struct err *e) FICUS_MUST_CHECK;
// Either, told apart by the first word.
int explain_parse(struct str text, struct http_request *out, struct err *e) FICUS_MUST_CHECK;

// The answer as JSON, with "path", "mount", "dialect", .. as far as it goes, and "why" in words.
json_t *explain_request(const struct route_table *t, const struct http_request *r);

#endif
