// SPDX-License-Identifier: Apache-2.0
// Folding by two small tables: letters of Latin-1 and of Latin Extended-A, '.' where a letter is
// its own (AE, O with a stroke). Owns nothing. Thread: any.
#include "base/fold.h"

// U+00C0 to U+00FF, in lower case.
static const char latin_1[] = "aaaaaa.ceeeeiiii.nooooo..uuuuy.saaaaaa.ceeeeiiii.nooooo..uuuuy.y";
// U+0100 to U+017F.
static const char latin_a[] = "aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiiii..jjkk.llllll."
                              "...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzzs";

_Static_assert(sizeof latin_1 == 0x40 + 1, "one letter each from U+00C0 to U+00FF");
_Static_assert(sizeof latin_a == 0x80 + 1, "one letter each from U+0100 to U+017F");

static uint32_t lower(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) ||
        (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 0x20;
    if (c >= 0x400 && c <= 0x40F)
        return c + 0x50;
    if (c >= 0x13F && c <= 0x142)
        return (c + 1) & ~1u;
    return c >= 0x100 && c <= 0x17F ? c | 1 : c; // those without a base letter stand in pairs
}

static uint32_t fold(uint32_t c)
{
    char base = c >= 0xC0 && c <= 0xFF     ? latin_1[c - 0xC0]
                : c >= 0x100 && c <= 0x17F ? latin_a[c - 0x100]
                                           : '.';
    return base == '.' ? lower(c) : (uint32_t)(unsigned char)base;
}

static struct str without_blanks(struct str s)
{
    while (s.len > 0 && s.data[s.len - 1] == ' ')
        s.len--;
    return s;
}

// The code points used here take at most two bytes when folded; others are copied as they are.
static void add_code(struct buf *out, uint32_t c, struct str as_is)
{
    if (c < 0x80) {
        buf_addc(out, (char)c);
    } else if (c < 0x800) {
        buf_addc(out, (char)(0xC0 | (c >> 6)));
        buf_addc(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_addstr(out, as_is);
    }
}

void fold_add(struct buf *out, struct str s)
{
    s = without_blanks(s);
    while (s.len > 0) {
        uint32_t c = 0;
        size_t n = str_utf8_next(s, &c);
        if (n == 0)
            buf_addc(out, s.data[0]);
        else
            add_code(out, fold(c), str_n(s.data, n));
        n = n ? n : 1;
        s = str_n(s.data + n, s.len - n);
    }
}

bool fold_eq(struct str a, struct str b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    fold_add(&x, a);
    fold_add(&y, b);
    bool same = !x.failed && !y.failed && str_eq(buf_str(&x), buf_str(&y));
    buf_free(&x);
    buf_free(&y);
    return same;
}

void fold_pattern(struct buf *out, struct str s)
{
    s = without_blanks(s);
    while (s.len > 0) {
        uint32_t c = 0;
        size_t n = str_utf8_next(s, &c);
        bool literal = n == 1 && ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == '@');
        buf_addc(out, literal ? (char)c : '_');
        n = n ? n : 1;
        s = str_n(s.data + n, s.len - n);
    }
}
