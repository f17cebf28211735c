// SPDX-License-Identifier: Apache-2.0
// The fields of a request as the matcher asks for them (routes/match.h): header, query, form,
// JSON, and a dialect's call. Each is parsed when it is first asked for, into the request's arena.
// Thread: the loop of the request.
#ifndef FICUS_FACADE_REQUEST_FIELDS_H
#define FICUS_FACADE_REQUEST_FIELDS_H

#include "facade/http/form.h"
#include "routes/match.h"

struct request_fields {
    const struct http_request *r;
    struct str call_method, call_module; // what a dialect decoded; .data NULL: nothing
    struct form query, form;
    json_t *json; // owned
    bool has_query, has_form, has_json;
};

// `whole`: the body is there (or there is none). `q` borrows `f` and `r`.
void request_fields_of(struct request_fields *f, const struct http_request *r, bool whole,
                       struct match_request *q);
void request_fields_free(struct request_fields *f);

#endif
