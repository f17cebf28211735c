// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 wire grammar (RFC 9110, 9112) shared by the server and the client: header
// blocks, framing, chunked coding. Pure functions over caller memory; they allocate nothing.
// Strict on purpose: what two parsers could read in two ways is refused, never guessed.
// Thread: any.
#ifndef FICUS_CONNECTORS_HTTP_WIRE_H
#define FICUS_CONNECTORS_HTTP_WIRE_H

#include "base/err.h"

#include <stdint.h>

#define WIRE_HEADERS_MAX 100 // fields in one message

struct http_header {
    struct str name, value; // value without surrounding blanks
};

// Value of the first field of that name (any case), .data NULL when there is none.
struct str wire_find(const struct http_header *headers, size_t n, const char *name);
// True when a comma-separated field (all lines of that name) holds the token.
bool wire_has_token(const struct http_header *headers, size_t n, const char *name,
                    const char *token);

// RFC 9110 token: at least one tchar and nothing else.
bool wire_is_token(struct str s);
// Field value without CR, LF, NUL or other control characters (HTAB allowed).
bool wire_is_value(struct str s);

#endif
