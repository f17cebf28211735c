// SPDX-License-Identifier: Apache-2.0
// Byte slices: comparison, numbers, UTF-8. Owns no memory. Thread: any.
#include "base/str.h"

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_n(s.data, prefix.len), prefix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool str_to_int(struct str s, long long min, long long max, long long *out)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    size_t i = negative ? 1 : 0;
    long long n = 0;

    if (i == s.len)
        return false;
    // Accumulates downwards: the most negative number has no positive twin.
    for (; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.data[i] - '0', &n))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0LL, n, &n))
        return false;
    if (n < min || n > max)
        return false;
    *out = n;
    return true;
}

// Length of the well-formed sequence at p (1..4), 0 when there is none.
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n > left)
        return 0;
    // The second byte alone excludes overlong forms, surrogates and what is past U+10FFFF.
    unsigned char lo = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char hi = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t str_utf8_next(struct str s, uint32_t *code)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t n = s.len > 0 ? utf8_sequence(p, s.len) : 0;

    if (n == 0)
        return 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    *code = c;
    return n;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0;

    while (i < s.len) {
        size_t n = utf8_sequence(p + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

struct str str_utf8_cut(struct str s, size_t max)
{
    size_t n = s.len < max ? s.len : max;
    while (n > 0 && n < s.len && ((unsigned char)s.data[n] & 0xc0) == 0x80)
        n--;
    return str_n(s.data, n);
}

int str_copy(char *dst, size_t size, struct str s)
{
    if (size == 0)
        return -1;
    if (s.len >= size) {
        dst[0] = '\0';
        return -1;
    }
    if (s.len > 0)
        memcpy(dst, s.data, s.len);
    dst[s.len] = '\0';
    return 0;
}
