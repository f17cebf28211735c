// SPDX-License-Identifier: Apache-2.0
// One text for equal values, whichever database wrote them. Where the two columns' types differ,
// both are read as the more general of them. What does not look like its type stays as it is, and
// then equals only the same bytes. Thread: any.
#include "cdc/reconcile/diff_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool numeric(enum column_kind k)
{
    return k == COLUMN_INTEGER || k == COLUMN_DECIMAL || k == COLUMN_FLOAT;
}

static bool temporal(enum column_kind k)
{
    return k == COLUMN_DATE || k == COLUMN_TIMESTAMP;
}

// As which type both are compared.
static enum column_kind common(const struct pair *p)
{
    enum column_kind a = p->kind[0], b = p->kind[1];
    if (a == b)
        return a;
    if (a == COLUMN_BOOLEAN || b == COLUMN_BOOLEAN)
        return COLUMN_BOOLEAN;
    if (a == COLUMN_JSON || b == COLUMN_JSON)
        return COLUMN_JSON;
    if (numeric(a) && numeric(b))
        return a == COLUMN_FLOAT || b == COLUMN_FLOAT ? COLUMN_FLOAT : COLUMN_DECIMAL;
    if (temporal(a) && temporal(b))
        return COLUMN_TIMESTAMP;
    // A database without such a type keeps it as text.
    if (a == COLUMN_TEXT)
        return b == COLUMN_INTEGER ? COLUMN_DECIMAL : b;
    if (b == COLUMN_TEXT)
        return a == COLUMN_INTEGER ? COLUMN_DECIMAL : a;
    return COLUMN_TEXT;
}

static struct str as_boolean(struct str in)
{
    if (str_eqz(in, "t") || str_eqz(in, "true") || (in.len == 1 && in.data[0] == 1))
        return STR("1");
    if (str_eqz(in, "f") || str_eqz(in, "false") || (in.len == 1 && in.data[0] == 0))
        return STR("0");
    return in;
}

// [-]digits[.digits] without zeros that say nothing.
static struct str as_decimal(struct str in, struct arena *a)
{
    bool minus = in.len > 0 && in.data[0] == '-';
    size_t at = minus || (in.len > 0 && in.data[0] == '+'), dot = in.len, end = in.len;
    for (size_t i = at; i < in.len; i++) {
        if (in.data[i] == '.' && dot == in.len)
            dot = i;
        else if (in.data[i] < '0' || in.data[i] > '9')
            return in;
    }
    if (in.len == at)
        return in;
    while (dot < in.len && end > dot && (in.data[end - 1] == '0' || in.data[end - 1] == '.'))
        if (in.data[--end] == '.')
            break;
    while (at < dot && at < end && in.data[at] == '0' && at + 1 < dot)
        at++;
    struct str digits = str_n(in.data + at, end > at ? end - at : 0);
    if (digits.len == 0 || str_eqz(digits, "0"))
        return STR("0");
    return minus ? arena_printf(a, "-%.*s", (int)digits.len, digits.data) : digits;
}

static struct str as_double(struct str in, struct arena *a)
{
    char text[512], *end;
    if (str_copy(text, sizeof text, in) || !text[0])
        return in;
    errno = 0;
    double d = strtod(text, &end);
    return *end || errno == ERANGE ? in : arena_printf(a, "%.17g", d == 0 ? 0.0 : d);
}

// "YYYY-MM-DD[ T]HH:MM:SS[.f][+00|Z]"; a date is its midnight.
static struct str as_timestamp(struct str in, struct arena *a)
{
    if (in.len < 10)
        return in;
    if (in.len == 10)
        return arena_printf(a, "%.*s 00:00:00", 10, in.data);
    if (in.len < 19)
        return in;
    size_t len = in.len;
    if (in.data[len - 1] == 'Z')
        len--;
    else if (len > 19 && memcmp(in.data + len - 3, "+00", 3) == 0)
        len -= 3;
    if (len > 19 && in.data[19] == '.')
        while (in.data[len - 1] == '0' || in.data[len - 1] == '.')
            if (in.data[--len] == '.')
                break;
    return arena_printf(a, "%.*s %.*s", 10, in.data, (int)len - 11, in.data + 11);
}

static struct str as_time(struct str in)
{
    if (in.len > 8 && in.data[8] == '.')
        while (in.data[in.len - 1] == '0' || in.data[in.len - 1] == '.')
            if (in.data[--in.len] == '.')
                break;
    return in;
}

static struct str as_bytes(struct str in, struct arena *a)
{
    if (in.len >= 2 && in.data[0] == '\\' && in.data[1] == 'x')
        in = str_n(in.data + 2, in.len - 2);
    char *lower = arena_alloc(a, in.len + 1);
    for (size_t i = 0; lower && i < in.len; i++)
        lower[i] = in.data[i] >= 'A' && in.data[i] <= 'F' ? (char)(in.data[i] + 32) : in.data[i];
    return str_n(lower, in.len);
}

static struct str as_json(struct str in, struct arena *a)
{
    json_t *j = json_loadb(in.data, in.len, JSON_DECODE_ANY, NULL);
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    struct str out = text ? arena_str(a, str_of(text)) : in;
    free(text);
    json_decref(j);
    return out;
}

static struct str as_text(struct str in, bool padded)
{
    while (padded && in.len > 0 && in.data[in.len - 1] == ' ')
        in.len--;
    return in;
}

static struct str comparable(const struct pair *p, struct str in, struct arena *a)
{
    switch (common(p)) {
    case COLUMN_BOOLEAN: return as_boolean(in);
    case COLUMN_INTEGER:
    case COLUMN_DECIMAL: return as_decimal(in, a);
    case COLUMN_FLOAT: return as_double(in, a);
    case COLUMN_DATE:
    case COLUMN_TIMESTAMP: return as_timestamp(in, a);
    case COLUMN_TIME: return as_time(in);
    case COLUMN_BYTES: return as_bytes(in, a);
    case COLUMN_JSON: return as_json(in, a);
    default: return as_text(in, p->padded);
    }
}

int diff_row(const struct pair *pairs, size_t n, const struct value *cells, struct arena *a,
             struct value *out, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = cells[i];
        if (cells[i].state != VALUE_SET)
            continue;
        out[i] = value_set(comparable(&pairs[i], value_str(cells[i]), a));
        if (!out[i].data && out[i].len > 0)
            return err_memory(e);
    }
    return 0;
}
