// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a sticky failure: append freely, check once.
#ifndef FICUS_BASE_BUF_H
#define FICUS_BASE_BUF_H

#include "base/err.h"

#include <stdint.h>

struct buf {
    char *data; // NUL-terminated whenever not NULL
    size_t len;
    size_t size;
    size_t limit; // most bytes that it may hold; 0: 1 GiB
    bool failed;  // memory or limit; sticky until buf_reset
};

#define BUF_INIT \
    {            \
        0        \
    }

void buf_reset(struct buf *b); // keeps the memory
void buf_free(struct buf *b);  // frees and zeroes
int buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_addstr(struct buf *b, struct str s);
void buf_addz(struct buf *b, const char *z);
void buf_addc(struct buf *b, char c);
void buf_addint(struct buf *b, long long n);
void buf_printf(struct buf *b, const char *fmt, ...) FICUS_PRINTF(2, 3);
// JSON string with quotes. Escapes control characters, '"' and '\\' only;
// invalid UTF-8 becomes U+FFFD (callers that must not change values check first).
void buf_addjson(struct buf *b, struct str s);
// The same, as PHP's json_encode does by default: non-ASCII as \uXXXX, '/' as \/.
void buf_addjson_php(struct buf *b, struct str s);
void buf_addurl(struct buf *b, struct str s); // RFC 3986 percent-encoding, strict
void buf_consume(struct buf *b, size_t n);    // drops n bytes from the front
struct str buf_str(const struct buf *b);
// 0, or -1 with ERR_LIMIT/ERR_MEMORY when an append failed.
int buf_check(const struct buf *b, struct err *e) FICUS_MUST_CHECK;

#endif
