// SPDX-License-Identifier: Apache-2.0
// Text and numbers as the legacy prints and reads them: the encoding of a read, doubles as
// MariaDB and as PHP write them, amounts as clients type them, cuts at a column's length.
// Owns nothing; pure functions, any thread.
#include "facade/dialect/v4_1_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void v4_1_add_encoded(struct buf *out, struct str s, struct buf *scratch)
{
    static const bool encoded[256] = {['"'] = true, ['\''] = true, ['<'] = true, ['>'] = true};
    size_t start = 0, i = 0;

    while (i < s.len && !encoded[(unsigned char)s.data[i]])
        i++;
    buf_reset(scratch);
    for (; i < s.len; i++) {
        const char *to;
        switch (s.data[i]) {
        case '"': to = "&quot;"; break;
        case '\'': to = "&#039;"; break;
        case '<': to = "&lt;"; break;
        case '>': to = "&gt;"; break;
        default: continue;
        }
        buf_add(scratch, s.data + start, i - start);
        buf_addz(scratch, to);
        start = i + 1;
    }
    if (start == 0) {
        buf_addjson_php(out, s);
        return;
    }
    buf_add(scratch, s.data + start, s.len - start);
    out->failed |= scratch->failed;
    buf_addjson_php(out, buf_str(scratch));
}

// Shortest decimal digits that read back to the same double: 0.d1d2.. * 10^point.
static size_t digits_of(double x, char digits[20], int *point)
{
    char text[40];
    size_t n = 0;

    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, x);
        if (strtod(text, NULL) == x)
            break;
    }
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    *point = *p == 'e' ? (int)strtol(p + 1, NULL, 10) + 1 : 1;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static void add_plain(struct buf *out, const char *digits, size_t n, int point)
{
    if (point <= 0) {
        buf_addz(out, "0.");
        for (int i = point; i < 0; i++)
            buf_addc(out, '0');
        buf_add(out, digits, n);
        return;
    }
    for (int i = 0; i < point; i++)
        buf_addc(out, (size_t)i < n ? digits[i] : '0');
    if ((size_t)point < n) {
        buf_addc(out, '.');
        buf_add(out, digits + point, n - (size_t)point);
    }
}

// Handles what both print alike; false: `x` is finite and not zero.
static bool add_special(struct buf *out, double x)
{
    if (x == 0 || !isfinite(x)) {
        buf_addc(out, '0');
        return true;
    }
    return false;
}

// Plain up to 15 digits before the point and as many zeros after it, else 1.5e20, 1e-16.
void v4_1_add_double(struct buf *out, double x)
{
    char digits[20] = "";
    int point;

    if (add_special(out, x))
        return;
    if (x < 0)
        buf_addc(out, '-');
    size_t n = digits_of(fabs(x), digits, &point);
    if (point >= -14 && point <= 15) {
        add_plain(out, digits, n, point);
        return;
    }
    buf_addc(out, digits[0]);
    if (n > 1) {
        buf_addc(out, '.');
        buf_add(out, digits + 1, n - 1);
    }
    buf_printf(out, "e%d", point - 1);
}

// json_encode with serialize_precision -1: plain up to 17 digits, else 1.0e+25.
void v4_1_add_php_number(struct buf *out, double x)
{
    char digits[20] = "";
    int point;

    if (add_special(out, x))
        return;
    if (x < 0)
        buf_addc(out, '-');
    size_t n = digits_of(fabs(x), digits, &point);
    if (point >= -3 && point <= 17) {
        add_plain(out, digits, n, point);
        return;
    }
    buf_addc(out, digits[0]);
    buf_addc(out, '.');
    buf_add(out, n > 1 ? digits + 1 : "0", n > 1 ? n - 1 : 1);
    buf_printf(out, "e%c%d", point > 0 ? '+' : '-', abs(point - 1));
}

// [+-]d[.d+]E[[+-]d+], which the legacy rounds to a whole number before anything else.
static bool is_scientific(const char *z)
{
    if (*z == '+' || *z == '-')
        z++;
    if (*z < '0' || *z > '9')
        return false;
    z++;
    if (*z == '.') {
        size_t n = strspn(z + 1, "0123456789");
        if (n == 0)
            return false;
        z += n + 1;
    }
    if (*z != 'e' && *z != 'E')
        return false;
    z++;
    if (*z == '+' || *z == '-')
        z++;
    return z[strspn(z, "0123456789")] == '\0';
}

// Drops separators and the currency sign, then reads the number at the front.
double v4_1_read_number(struct str s)
{
    char z[128];
    size_t n = 0;

    for (size_t i = 0; i < s.len && n + 1 < sizeof(z); i++)
        if (s.data[i] != ',' && s.data[i] != '$' && s.data[i] != '\0')
            z[n++] = s.data[i];
    z[n] = '\0';
    const char *p = z + strspn(z, " \t\r\n\v");
    n = strlen(p);
    while (n > 0 && strchr(" \t\r\n\v", p[n - 1]))
        n--;
    z[(size_t)(p - z) + n] = '\0';
    if (is_scientific(p)) {
        double x = strtod(p, NULL);
        return isfinite(x) ? round(x) : 0;
    }
    size_t sign = *p == '+' || *p == '-', len = sign + strspn(p + sign, "0123456789.");
    z[(size_t)(p - z) + len] = '\0';
    return len > sign ? strtod(p, NULL) : 0;
}

bool v4_1_cut(struct str *s, unsigned max)
{
    size_t bytes = 0, chars = 0;

    if (max == 0 ? s->len <= 65535 : s->len <= max)
        return false;
    while (bytes < s->len) {
        uint32_t code;
        size_t n = str_utf8_next(str_n(s->data + bytes, s->len - bytes), &code);
        if (n == 0)
            n = 1;
        if (max == 0 ? bytes + n > 65535 : chars == max)
            break;
        bytes += n;
        chars++;
    }
    if (bytes == s->len)
        return false;
    s->len = bytes;
    return true;
}

bool v4_1_digits(struct str s, size_t *at, size_t min, size_t max, unsigned *out)
{
    size_t n = 0;

    *out = 0;
    for (; *at + n < s.len && s.data[*at + n] >= '0' && s.data[*at + n] <= '9'; n++) {
        if (n == max)
            return false;
        *out = *out * 10 + (unsigned)(s.data[*at + n] - '0');
    }
    *at += n;
    return n >= min;
}
