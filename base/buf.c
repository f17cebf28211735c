// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer and the text encodings that go into one: JSON (two flavours) and
// percent-encoding. Always leaves room for the closing NUL. Thread: its owner's.
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_LIMIT ((size_t)1 << 30)

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

int buf_reserve(struct buf *b, size_t more)
{
    size_t limit = b->limit ? b->limit : BUF_LIMIT;

    if (b->failed)
        return -1;
    if (b->len > limit || more > limit - b->len) {
        b->failed = true;
        return -1;
    }
    size_t need = b->len + more + 1;
    if (need <= b->size)
        return 0;
    size_t size = b->size ? b->size : 128;
    while (size < need)
        size *= 2;
    char *data = realloc(b->data, size);
    if (!data) {
        b->failed = true;
        return -1;
    }
    b->data = data;
    b->size = size;
    b->data[b->len] = '\0';
    return 0;
}

// Whether that much more and the NUL fit as it is: what nearly every append finds.
static inline bool fits(const struct buf *b, size_t more)
{
    return more < b->size - b->len && !b->failed && (b->limit == 0 || b->len + more <= b->limit);
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (!fits(b, len) && buf_reserve(b, len) != 0)
        return;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_addstr(struct buf *b, struct str s)
{
    buf_add(b, s.data, s.len);
}

void buf_addz(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_addc(struct buf *b, char c)
{
    if (!fits(b, 1) && buf_reserve(b, 1) != 0)
        return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_addint(struct buf *b, long long n)
{
    char text[24];
    size_t at = sizeof(text);
    unsigned long long u = n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n;

    do {
        text[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    if (n < 0)
        text[--at] = '-';
    buf_add(b, text + at, sizeof(text) - at);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if (buf_reserve(b, (size_t)n) != 0)
        return;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

static void add_u16(struct buf *b, unsigned code)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {
        '\\', 'u', hex[code >> 12 & 15], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};

    buf_add(b, text, sizeof(text));
}

// The two-character escape of a control character, quote or backslash; 0 when none.
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

static void add_code(struct buf *b, uint32_t code)
{
    if (code < 0x10000) {
        add_u16(b, code);
        return;
    }
    code -= 0x10000;
    add_u16(b, 0xd800 + (code >> 10));
    add_u16(b, 0xdc00 + (code & 0x3ff));
}

// Appends the escaped form of the character at the front of `s`; returns its length.
static size_t add_escaped(struct buf *b, struct str s, bool php)
{
    unsigned char c = (unsigned char)s.data[0];
    char brief = short_escape(c);
    uint32_t code = 0;

    if (brief) {
        buf_add(b, (char[2]){'\\', brief}, 2);
        return 1;
    }
    if (c == '/') {
        buf_add(b, "\\/", 2);
        return 1;
    }
    if (c < 0x20) {
        add_u16(b, c);
        return 1;
    }
    size_t n = str_utf8_next(s, &code);
    if (n == 0 && php)
        add_u16(b, 0xfffd);
    else if (n == 0)
        buf_add(b, "\xef\xbf\xbd", 3);
    else if (php)
        add_code(b, code);
    else
        buf_add(b, s.data, n);
    return n ? n : 1;
}

// Characters that do not go as they are: 1 in any JSON, 2 in PHP's.
static const unsigned char special[256] = {
    [0 ... 0x1f] = 3, ['"'] = 3, ['\\'] = 3, ['/'] = 2, [0x80 ... 0xff] = 3};

// Runs of plain characters are copied at once; the rest goes one by one.
static void add_json(struct buf *b, struct str s, bool php)
{
    unsigned char stop = php ? 2 : 1;
    size_t i = 0;

    buf_addc(b, '"');
    while (i < s.len) {
        size_t start = i;
        while (i < s.len && !(special[(unsigned char)s.data[i]] & stop))
            i++;
        buf_add(b, s.data + start, i - start);
        if (i < s.len)
            i += add_escaped(b, str_n(s.data + i, s.len - i), php);
    }
    buf_addc(b, '"');
}

void buf_addjson(struct buf *b, struct str s)
{
    add_json(b, s, false);
}

void buf_addjson_php(struct buf *b, struct str s)
{
    add_json(b, s, true);
}

static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void buf_addurl(struct buf *b, struct str s)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (unreserved(c))
            buf_addc(b, (char)c);
        else
            buf_add(b, (char[3]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
    } else {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
    if (b->data)
        b->data[b->len] = '\0';
}

struct str buf_str(const struct buf *b)
{
    return str_n(b->data, b->len);
}

int buf_check(const struct buf *b, struct err *e)
{
    if (!b->failed)
        return 0;
    size_t limit = b->limit ? b->limit : BUF_LIMIT;
    if (b->size >= limit || b->limit)
        return err_set(e, ERR_LIMIT, "text grew beyond its limit of %zu bytes", limit);
    return err_memory(e);
}
