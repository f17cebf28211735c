// SPDX-License-Identifier: Apache-2.0
// Fields of a query string, an urlencoded or a multipart body. Decoded as PHP does, since
// that is what legacy clients were written against: '+' is a blank, a '%' that is not
// followed by two digits stands for itself, the last field of a name wins. Thread: any.
#ifndef FICUS_FACADE_FORM_H
#define FICUS_FACADE_FORM_H

#include "facade/http/http.h"

#define FORM_FIELDS_MAX 1000 // as PHP's max_input_vars

struct form_field {
    struct str name, value;
    struct str filename;     // multipart files; .data NULL for ordinary fields
    struct str content_type; // multipart, when given
};

struct form {
    struct form_field *fields; // in order
    size_t n;
};

// Slices point into the arena or into the input. ERR_LIMIT past FORM_FIELDS_MAX.
int form_parse_urlencoded(struct str text, struct arena *a, struct form *out,
                          struct err *e) FICUS_MUST_CHECK;
// `content_type` is the whole field value, with its boundary. ERR_INVALID when malformed.
int form_parse_multipart(struct str body, struct str content_type, struct arena *a,
                         struct form *out, struct err *e) FICUS_MUST_CHECK;
// Query string and body of a request, body fields last (so that they win). Other content
// types contribute nothing.
int form_parse_request(const struct http_request *r, struct form *out,
                       struct err *e) FICUS_MUST_CHECK;

// Value of the last field of exactly that name; .data NULL when there is none.
struct str form_get(const struct form *f, const char *name);

// The same as PHP names its variables: " method", "method\0x" and "me.thod" hide none from it. An
// array is "".
struct str form_get_php(const struct form *f, const char *name);

// Media type of a Content-Type value equals `type` (any case), whatever its parameters.
bool form_media_is(struct str content_type, const char *type);

// A path segment, strictly: -1 (ERR_INVALID) on a malformed escape or an encoded NUL.
int form_decode_segment(struct str s, struct arena *a, struct str *out,
                        struct err *e) FICUS_MUST_CHECK;

#endif
