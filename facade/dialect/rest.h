// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the rest dialect: rest.c (paths, methods), rest_query.c (query
// string and JSON bodies -> operations) and rest_reply.c (results -> JSON).
//
//   GET    /{plural}?field=..&field[like]=..&sort=-name,id&fields=a,b&limit=&offset=&count=true
//   GET    /{plural}/{id}?fields=..&expand=contacts
//   POST   /{plural}            PATCH, DELETE /{plural}/{id}
//   GET    /{plural}/{id}/{relationship}
//   PUT, DELETE /{plural}/{id}/{relationship}/{far id}
//   POST   /{plural}/_canonical           lossless operations between Ficus processes
// Errors are application/problem+json (RFC 9457).
#ifndef FICUS_FACADE_DIALECT_REST_H
#define FICUS_FACADE_DIALECT_REST_H

#include "facade/dialect.h"
#include "facade/http/form.h"

#define REST_PAGE     50
#define REST_PAGE_MAX 1000

struct rest_request {
    struct dispatch dispatch; // first
    struct dialect_mount *mount;
    struct http_request *http;
    struct operation op;
    struct principal principal;
    const struct entity *entity;
    bool canonical; // asked by another Ficus process
    unsigned created_status;
};

int rest_fields(struct rest_request *q, const struct entity *en, struct str list,
                const struct field *const **out, size_t *n, struct err *e) FICUS_MUST_CHECK;
int rest_query(struct rest_request *q, struct err *e) FICUS_MUST_CHECK; // list and get options
int rest_body(struct rest_request *q, struct err *e) FICUS_MUST_CHECK;  // values of a write
void rest_reply_result(struct rest_request *q);
// Of a 405, `detail` is the list of methods.
void rest_reply_problem(struct http_request *http, unsigned status, const char *detail);

#endif
