// SPDX-License-Identifier: Apache-2.0
// Canonical integers, decimals and floats: text to text, exact. Decimals never pass through a
// double unless their store keeps them in one. Owns nothing; locale "C" is assumed (nothing in
// Ficus calls setlocale). Thread: any.
#include "migrations/type_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_MAX 400 // characters of a number's text; more is no number

static bool digits_only(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9')
            return false;
    return n > 0;
}

// Whether a digit string (no leading zeros) is at most `max`.
static bool digits_within(const char *p, size_t n, const char *max)
{
    size_t m = strlen(max);
    return n < m || (n == m && memcmp(p, max, n) <= 0);
}

static bool integer_fits(const struct field *f, bool negative, const char *p, size_t n)
{
    static const struct {
        unsigned bits;
        const char *up, *down, *whole;
    } ranges[] = {
        {8, "127", "128", "255"},
        {16, "32767", "32768", "65535"},
        {24, "8388607", "8388608", "16777215"},
        {32, "2147483647", "2147483648", "4294967295"},
        {64, "9223372036854775807", "9223372036854775808", "18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].bits != f->bits)
            continue;
        if (!f->is_signed)
            return !negative && digits_within(p, n, ranges[i].whole);
        return digits_within(p, n, negative ? ranges[i].down : ranges[i].up);
    }
    return false;
}

int type_integer(const struct field *f, struct str in, struct arena *a, struct value *out,
                 struct err *e)
{
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    bool negative = in.data[0] == '-', sign = negative || in.data[0] == '+';
    const char *p = in.data + sign;
    size_t n = in.len - sign;
    if (!digits_only(p, n))
        return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    while (n > 1 && *p == '0') {
        p++;
        n--;
    }
    if (n == 1 && *p == '0')
        return type_set(STR("0"), out);
    if (!integer_fits(f, negative, p, n))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    if (!negative)
        return type_set(str_n(p, n), out);
    if (p == in.data + 1)
        return type_set(in, out);
    char *copy = arena_alloc(a, n + 2);
    if (!copy)
        return err_memory(e);
    copy[0] = '-';
    memcpy(copy + 1, p, n);
    return type_set(str_n(copy, n + 1), out);
}

// A number's text taken apart: [-+]digits[.digits][e[-+]digits].
struct number {
    bool negative;
    const char *whole, *fraction;
    size_t nwhole, nfraction;
    long exponent;
};

static bool take_exponent(const char *p, size_t n, long *out)
{
    long long v;
    if (n > 0 && *p == '+') {
        p++;
        n--;
    }
    if (!str_to_int(str_n(p, n), -NUMBER_MAX, NUMBER_MAX, &v))
        return false;
    *out = (long)v;
    return true;
}

static bool take_apart(struct str in, struct number *out)
{
    *out = (struct number){0};
    if (in.len == 0 || in.len > NUMBER_MAX)
        return false;
    const char *p = in.data, *end = in.data + in.len;
    if (*p == '-' || *p == '+')
        out->negative = *p++ == '-';
    out->whole = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    out->nwhole = (size_t)(p - out->whole);
    if (p < end && *p == '.') {
        out->fraction = ++p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        out->nfraction = (size_t)(p - out->fraction);
    }
    if (out->nwhole + out->nfraction == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E'))
        return take_exponent(p + 1, (size_t)(end - p - 1), &out->exponent);
    return p == end;
}

// The digit at decimal position `at` (0: units, -1: tenths), '0' outside of the text.
static char digit_at(const struct number *n, long at)
{
    long i = (long)n->nwhole - 1 - (at - n->exponent);
    if (i < 0 || i >= (long)(n->nwhole + n->nfraction))
        return '0';
    return i < (long)n->nwhole ? n->whole[i] : n->fraction[i - (long)n->nwhole];
}

static bool decimal_is_canonical(const struct field *f, const struct number *n, struct str in)
{
    if (n->exponent != 0 || n->nwhole == 0 || n->nfraction != f->scale || in.data[0] == '+' ||
        (n->nwhole > 1 && n->whole[0] == '0') || n->nwhole > f->precision - f->scale)
        return false;
    if ((f->scale == 0) != (n->fraction == NULL))
        return false;
    if (!n->negative)
        return true;
    for (size_t i = 0; i < in.len; i++)
        if (in.data[i] >= '1' && in.data[i] <= '9')
            return true;
    return false; // -0
}

int type_decimal(const struct field *f, struct str in, struct arena *a, struct value *out,
                 struct err *e)
{
    struct number n;
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    if (!take_apart(in, &n))
        return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    if (decimal_is_canonical(f, &n, in))
        return type_set(in, out);
    long top = (long)n.nwhole - 1 + n.exponent, bottom = n.exponent - (long)n.nfraction;
    long whole = (long)f->precision - (long)f->scale;
    for (long at = top; at >= bottom; at--)
        if ((at >= whole || at < -(long)f->scale) && digit_at(&n, at) != '0')
            return type_foreign(in, PROBLEM_OVERFLOW, out);
    char *text = arena_alloc(a, f->precision + 4u);
    if (!text)
        return err_memory(e);
    size_t len = 0;
    bool zero = true;
    text[len++] = '-';
    long at = whole > 0 ? whole - 1 : 0;
    while (at > 0 && digit_at(&n, at) == '0')
        at--;
    for (; at >= -(long)f->scale; at--) {
        if (at == -1)
            text[len++] = '.';
        text[len] = digit_at(&n, at);
        zero = zero && text[len] == '0';
        len++;
    }
    bool sign = n.negative && !zero;
    return type_set(str_n(text + !sign, len - !sign), out);
}

// Whole text as a double; false when it is none or not finite.
static bool take_double(struct str in, double *out)
{
    char z[NUMBER_MAX + 1], *end;
    struct number n;
    if (!take_apart(in, &n) || str_copy(z, sizeof(z), in) < 0)
        return false;
    *out = strtod(z, &end);
    return *end == '\0';
}

int type_decimal_of_double(const struct field *f, struct str in, struct arena *a, struct value *out,
                           struct err *e)
{
    double x;
    char text[NUMBER_MAX + 1];
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    if (!take_double(in, &x))
        return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    if (!isfinite(x))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    int n = snprintf(text, sizeof(text), "%.*f", (int)f->scale, x);
    if (n < 0 || (size_t)n >= sizeof(text))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    struct value v;
    if (type_decimal(f, str_n(text, (size_t)n), a, &v, e) < 0)
        return -1;
    if (v.state == VALUE_FOREIGN)
        return type_foreign(in, (enum value_problem)v.problem, out);
    if (v.data >= text && v.data < text + sizeof(text)) {
        struct str copy = arena_str(a, value_str(v));
        if (!copy.data)
            return err_memory(e);
        return type_set(copy, out);
    }
    *out = v;
    return 0;
}

int type_float(struct str in, struct arena *a, struct value *out, struct err *e)
{
    double x;
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    if (!take_double(in, &x))
        return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    if (!isfinite(x))
        return type_foreign(in, PROBLEM_OVERFLOW, out);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    struct str t = str_of(text);
    if (str_eq(t, in))
        return type_set(in, out);
    t = arena_str(a, t);
    if (!t.data)
        return err_memory(e);
    return type_set(t, out);
}
