// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 wire grammar (RFC 9110, 9112) shared by the server and the client: header
// blocks, framing, chunked coding. Pure functions over caller memory; they allocate nothing
// and copy nothing: every slice points into the input.
// Strict on purpose: what two parsers could read in two ways is refused, never guessed.
// Thread: any.
#ifndef FICUS_CONNECTORS_HTTP_WIRE_H
#define FICUS_CONNECTORS_HTTP_WIRE_H

#include "base/err.h"

#include <stdint.h>

#define WIRE_HEADERS_MAX    100  // fields in one message
#define WIRE_METHOD_MAX     32   // bytes
#define WIRE_CHUNK_LINE_MAX 1024 // bytes of a chunk's size line, extensions included
#define WIRE_TRAILER_MAX    8192 // bytes of all trailer fields together

struct http_header {
    struct str name, value; // value without surrounding blanks
};

// Why a message is refused: the status that a server answers with, and a literal text.
struct wire_fault {
    unsigned status;
    const char *why;
};

enum wire_framing {
    WIRE_NO_BODY,
    WIRE_LENGTH, // exactly `length` bytes follow
    WIRE_CHUNKED,
    WIRE_TO_CLOSE, // responses only
};

struct wire_head {
    // request
    struct str method;
    struct str target; // origin-form, or "*" for OPTIONS
    struct str host;   // .data NULL when there is none (HTTP/1.0)
    bool expect_continue;
    // response
    unsigned status;
    struct str reason; // may be empty
    // both
    bool http10;
    bool keep_alive; // what version and Connection say
    enum wire_framing framing;
    uint64_t length;             // WIRE_LENGTH
    struct http_header *headers; // the caller's array of WIRE_HEADERS_MAX
    size_t nheaders;
};

// Looks for the blank line that ends a header block. 1 with *head_len (blank line
// included), 0 when more is needed, -1 with a fault as soon as a line does not end in CRLF.
// *scanned (0 at first) keeps the place between calls on a growing buffer.
int wire_find_end(struct str data, size_t *scanned, size_t *head_len,
                  struct wire_fault *f) FICUS_MUST_CHECK;

// Parse a whole header block as found by wire_find_end. `headers` has WIRE_HEADERS_MAX
// entries. -1 with a fault; nothing in `out` may be used then.
int wire_parse_request(struct str head, struct http_header *headers, struct wire_head *out,
                       struct wire_fault *f) FICUS_MUST_CHECK;
// `head_request`: the reply to a HEAD, which has no body whatever its fields say.
int wire_parse_response(struct str head, bool head_request, struct http_header *headers,
                        struct wire_head *out, struct wire_fault *f) FICUS_MUST_CHECK;

// ---- chunked coding, incremental

enum wire_chunk_state {
    WIRE_CHUNK_SIZE,      // in the digits of a size
    WIRE_CHUNK_EXTENSION, // between ';' and CR
    WIRE_CHUNK_SIZE_LF,
    WIRE_CHUNK_DATA,
    WIRE_CHUNK_DATA_CR,
    WIRE_CHUNK_DATA_LF,
    WIRE_CHUNK_TRAILER, // at the start of a trailer line
    WIRE_CHUNK_FIELD,   // inside one
    WIRE_CHUNK_FIELD_LF,
    WIRE_CHUNK_LAST_LF,
    WIRE_CHUNK_DONE,
};

// Zero-initialised at the start of a body.
struct wire_chunks {
    enum wire_chunk_state state;
    uint64_t left;     // of the present chunk
    unsigned digits;   // of the present size
    unsigned line;     // bytes of the present line
    unsigned trailer;  // bytes of all trailer lines
    bool named;        // the present trailer line has its colon
    struct str fields; // bytes of whole trailer lines that the last call took; .data NULL: none
};

// Takes bytes from the front of `in` up to and including one run of body data. *used says
// how many were taken, *data is the run (may be empty). 1 when the body is complete, 0 when
// not yet (call again with the rest, or with more), -1 with a fault.
int wire_chunks_next(struct wire_chunks *c, struct str in, size_t *used, struct str *data,
                     struct wire_fault *f) FICUS_MUST_CHECK;

// ---- fields

// Value of the first field of that name (any case), .data NULL when there is none.
struct str wire_find(const struct http_header *headers, size_t n, const char *name);
// True when a comma-separated field (all lines of that name) holds the token, in any case.
bool wire_has_token(const struct http_header *headers, size_t n, const char *name,
                    const char *token);

// RFC 9110 token: at least one tchar and nothing else.
bool wire_is_token(struct str s);
// Field value without CR, LF, NUL or other control characters (HTAB allowed).
bool wire_is_value(struct str s);
// Origin-form: '/' and then visible ASCII without '#'.
bool wire_is_target(struct str s);

#endif
