// SPDX-License-Identifier: Apache-2.0
// One cell of a Debezium event -> the text that the legacy store's driver gives for it.
//
//   column      JSON                                  schema name (io.debezium.time.* unless said)
//   decimal     base64 of big-endian two's complement org.apache.kafka.connect.data.Decimal
//               {"scale":n,"value":base64}            io.debezium.data.VariableScaleDecimal
//               text; number                          - (modes string, double)
//   date        days since 1970; text                 Date, connect's Date; IsoDate
//   timestamp   ms, us, ns since 1970; text           Timestamp, MicroTimestamp, NanoTimestamp,
//                                                     connect's Timestamp; ZonedTimestamp, IsoTimestamp
//   time        ms, us, ns, may be negative; text     Time, MicroTime, NanoTime, connect's Time;
//                                                     ZonedTime, IsoTime
//   bytes       base64, base64url or hex
// Owns nothing. Thread: any.
#include "cdc/event/debezium.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MAX 64 // of an unscaled decimal: some 154 digits

static int unfit(const struct field *f, const char *what, struct err *e)
{
    return err_set(e, ERR_INVALID, "field %s: not %s as Debezium writes it", f->name, what);
}

static int give(struct value *raw, struct arena *a, struct str text, struct err *e)
{
    struct str copy = arena_str(a, text);
    if (!copy.data)
        return err_memory(e);
    *raw = value_set(copy);
    return 0;
}

// ---------------------------------------------------------------- base64

static int digit64(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

// Bytes of a base64 text, -1 when it is none. `out` takes 3/4 of s.len.
static long decode64(struct str s, bool url, unsigned char *out)
{
    uint32_t bits = 0;
    long n = 0;
    int have = 0;
    while (s.len > 0 && s.data[s.len - 1] == '=')
        s.len--;
    if (s.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < s.len; i++) {
        int d = digit64(s.data[i], url);
        if (d < 0)
            return -1;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    return n;
}

static int take_bytes(const struct field *f, enum debezium_binary mode, struct str s,
                      struct arena *a, struct value *raw, struct err *e)
{
    static const char hex[] = "0123456789abcdef";
    if (mode == DEBEZIUM_HEX)
        return give(raw, a, s, e);
    unsigned char *bytes = arena_alloc(a, s.len + 1);
    char *text = arena_alloc(a, s.len * 2 + 1);
    if (!bytes || !text)
        return err_memory(e);
    long n = decode64(s, mode == DEBEZIUM_BASE64_URL, bytes);
    if (n < 0)
        return unfit(f, "bytes", e);
    for (long i = 0; i < n; i++) {
        text[2 * i] = hex[bytes[i] >> 4];
        text[2 * i + 1] = hex[bytes[i] & 15];
    }
    *raw = value_set(str_n(text, (size_t)n * 2));
    return 0;
}

// ---------------------------------------------------------------- decimals

// Big-endian two's complement -> decimal digits with `scale` of them after the point.
static int take_unscaled(const struct field *f, struct str text, long long scale, struct arena *a,
                         struct value *raw, struct err *e)
{
    unsigned char b[BYTES_MAX + 3];
    char digits[BYTES_MAX * 3 + 8], out[BYTES_MAX * 3 + 300];
    size_t nd = 0, at = 0;
    if (text.len > BYTES_MAX / 3 * 4 || scale < -100 || scale > 200)
        return unfit(f, "a decimal of bounded size", e);
    long n = decode64(text, false, b);
    if (n <= 0)
        return unfit(f, "a decimal", e);
    bool negative = b[0] & 0x80;
    unsigned carry = 1;
    for (long i = n - 1; negative && i >= 0; i--) { // its absolute value
        unsigned v = (unsigned)(unsigned char)~b[i] + carry;
        b[i] = (unsigned char)v;
        carry = v >> 8;
    }
    for (bool any = true; any;) { // least digit first, by long division
        unsigned rest = 0;
        any = false;
        for (long i = 0; i < n; i++) {
            unsigned v = rest << 8 | b[i];
            b[i] = (unsigned char)(v / 10);
            rest = v % 10;
            any |= b[i] != 0;
        }
        digits[nd++] = (char)('0' + rest);
    }
    while (scale > 0 && nd <= (size_t)scale)
        digits[nd++] = '0';
    if (negative)
        out[at++] = '-';
    for (size_t i = nd; i-- > 0;) {
        out[at++] = digits[i];
        if (scale > 0 && i == (size_t)scale)
            out[at++] = '.';
    }
    for (long long i = scale; i < 0; i++)
        out[at++] = '0';
    return give(raw, a, str_n(out, at), e);
}

static int take_variable_scale(const struct field *f, const json_t *cell, struct arena *a,
                               struct value *raw, struct err *e)
{
    const json_t *scale = json_object_get(cell, "scale"), *value = json_object_get(cell, "value");
    if (!json_is_integer(scale) || !json_is_string(value))
        return unfit(f, "a decimal", e);
    return take_unscaled(f, str_n(json_string_value(value), json_string_length(value)),
                         json_integer_value(scale), a, raw, e);
}

// A double: the decimal of the field's scale that is nearest; everywhere else its own digits.
static int take_real(const struct field *f, double d, struct arena *a, struct value *raw,
                     struct err *e)
{
    char text[400];
    if (f->type == TYPE_DECIMAL && fabs(d) < 1e60)
        snprintf(text, sizeof text, "%.*f", (int)(f->scale < 30 ? f->scale : 30), d);
    else
        snprintf(text, sizeof text, "%.17g", d);
    return give(raw, a, str_of(text), e);
}

static int take_integer(const struct field *f, long long n, struct arena *a, struct value *raw,
                        struct err *e)
{
    char text[24];
    // bigint.unsigned.handling.mode=long writes the same 64 bits with a sign.
    if (f->type == TYPE_INTEGER && !f->is_signed && f->bits == 64 && n < 0)
        snprintf(text, sizeof text, "%" PRIu64, (uint64_t)n);
    else
        snprintf(text, sizeof text, "%lld", n);
    return give(raw, a, str_of(text), e);
}

// ---------------------------------------------------------------- dates and times

// Proleptic Gregorian date of a day number from 1970-01-01 (H. Hinnant, "chrono-Compatible
// Low-Level Date Algorithms").
static int date_text(long long days, char out[40])
{
    if (days < -719162 || days > 2932896) // 0001-01-01 .. 9999-12-31
        return -1;
    long long z = days + 719468, era = z / 146097, doe = z - era * 146097;
    long long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    long long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    long long day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    snprintf(out, 40, "%04d-%02d-%02d", (int)(yoe + era * 400 + (month <= 2)), (int)month,
             (int)day);
    return 0;
}

// Units of a second: 3, 6 or 9 digits.
static unsigned unit_digits(const struct field *f, const struct capture_source *modes,
                            const char *connector, const char *schema_name)
{
    if (strstr(schema_name, "Micro"))
        return 6;
    if (strstr(schema_name, "Nano"))
        return 9;
    if (schema_name[0])
        return 3;
    bool mysql = strcmp(connector, "mysql") == 0 || strcmp(connector, "mariadb") == 0;
    switch (modes->time) {
    case DEBEZIUM_CONNECT: return 3;
    case DEBEZIUM_MICROSECONDS: return 6;
    case DEBEZIUM_NANOSECONDS: return 9;
    case DEBEZIUM_ADAPTIVE:
    case DEBEZIUM_ISOSTRING: break;
    }
    if (f->place[SIDE_LEGACY].storage == COLUMN_TIME && mysql)
        return 6;
    return f->precision <= 3 ? 3 : f->precision <= 6 ? 6 : 9;
}

static long long power10(unsigned n)
{
    long long p = 1;
    while (n-- > 0)
        p *= 10;
    return p;
}

static int take_instant(const struct field *f, long long n, unsigned digits, struct arena *a,
                        struct value *raw, struct err *e)
{
    char date[40], text[80];
    long long unit = power10(digits), seconds = n / unit, fraction = n % unit;
    if (fraction < 0) {
        fraction += unit;
        seconds--;
    }
    long long days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    if (date_text(days, date)) // beyond year 9999: PostgreSQL's infinity comes so
        return take_integer(f, n, a, raw, e);
    snprintf(text, sizeof text, "%s %02lld:%02lld:%02lld.%0*lld", date, rest / 3600, rest / 60 % 60,
             rest % 60, (int)digits, fraction);
    return give(raw, a, str_of(text), e);
}

static int take_clock(long long n, unsigned digits, struct arena *a, struct value *raw,
                      struct err *e)
{
    char text[64];
    bool negative = n < 0;
    unsigned long long v = negative ? 0ull - (unsigned long long)n : (unsigned long long)n;
    unsigned long long unit = (unsigned long long)power10(digits), s = v / unit;
    snprintf(text, sizeof text, "%s%02llu:%02llu:%02llu.%0*llu", negative ? "-" : "", s / 3600,
             s / 60 % 60, s % 60, (int)digits, v % unit);
    return give(raw, a, str_of(text), e);
}

static int take_day(long long n, const char *schema_name, struct arena *a, struct value *raw,
                    const struct field *f, struct err *e)
{
    char date[40];
    if (strstr(schema_name, "Timestamp")) // Oracle's DATE has a time of day
        n = n / 86400000 - (n % 86400000 < 0);
    return date_text(n, date) ? take_integer(f, n, a, raw, e) : give(raw, a, str_of(date), e);
}

// "2024-02-29Z", "12:34:56Z": what stands before the zone. Timestamps keep theirs, to be read
// as UTC.
static struct str without_zone(struct str s)
{
    if (s.len > 0 && s.data[s.len - 1] == 'Z')
        s.len--;
    return s;
}

// ---------------------------------------------------------------- a cell

static int take_number(const struct field *f, const struct capture_source *modes,
                       const char *connector, const char *name, long long n, struct arena *a,
                       struct value *raw, struct err *e)
{
    switch (f->place[SIDE_LEGACY].storage) {
    case COLUMN_DATE: return take_day(n, name, a, raw, f, e);
    case COLUMN_TIMESTAMP:
        if (strcmp(name, "io.debezium.time.Date") == 0)
            return take_day(n, "", a, raw, f, e);
        return take_instant(f, n, unit_digits(f, modes, connector, name), a, raw, e);
    case COLUMN_TIME: return take_clock(n, unit_digits(f, modes, connector, name), a, raw, e);
    default: return take_integer(f, n, a, raw, e);
    }
}

static int take_text(const struct field *f, const struct capture_source *modes,
                     const json_t *schema, const char *name, struct str s, struct arena *a,
                     struct value *raw, struct err *e)
{
    enum column_kind kind = f->place[SIDE_LEGACY].storage;
    const char *type = json_string_value(json_object_get(schema, "type"));
    bool bytes = type && strcmp(type, "bytes") == 0;
    bool number = kind == COLUMN_DECIMAL || kind == COLUMN_INTEGER || kind == COLUMN_FLOAT;
    if (strstr(name, "data.Decimal") ||
        (!type && kind == COLUMN_DECIMAL && modes->decimal == DEBEZIUM_PRECISE)) {
        const char *scale = json_string_value(
            json_object_get(json_object_get(schema, "parameters"), "scale"));
        long long n = f->scale;
        if (scale && !str_to_int(str_of(scale), -100, 200, &n))
            return unfit(f, "a decimal", e);
        return take_unscaled(f, s, n, a, raw, e);
    }
    if (kind == COLUMN_BYTES || (bytes && !number))
        return take_bytes(f, modes->binary, s, a, raw, e);
    return give(raw, a, kind == COLUMN_DATE || kind == COLUMN_TIME ? without_zone(s) : s, e);
}

int debezium_cell(const struct field *f, const struct capture_source *modes, const char *connector,
                  const json_t *schema, const json_t *cell, struct arena *a, struct value *raw,
                  struct err *e)
{
    const char *name = json_string_value(json_object_get(schema, "name"));
    name = name ? name : "";
    *raw = (struct value){0};
    if (!cell)
        return unfit(f, "there", e);
    switch (json_typeof(cell)) {
    case JSON_NULL: *raw = value_null(); return 0;
    case JSON_TRUE: return give(raw, a, STR("1"), e);
    case JSON_FALSE: return give(raw, a, STR("0"), e);
    case JSON_INTEGER:
        return take_number(f, modes, connector, name, json_integer_value(cell), a, raw, e);
    case JSON_REAL: return take_real(f, json_real_value(cell), a, raw, e);
    case JSON_STRING:
        return take_text(f, modes, schema, name,
                         str_n(json_string_value(cell), json_string_length(cell)), a, raw, e);
    case JSON_OBJECT: return take_variable_scale(f, cell, a, raw, e);
    case JSON_ARRAY: break;
    }
    return unfit(f, "a value", e);
}

// ---------------------------------------------------------------- losses

static const char *loss(const struct field *f, const struct capture_source *c)
{
    enum column_kind kind = f->place[SIDE_LEGACY].storage;
    if (kind == COLUMN_DECIMAL && c->decimal == DEBEZIUM_DOUBLE)
        return "decimal \"double\" rounds what has more than 15 digits; use precise or string";
    if (kind == COLUMN_TIMESTAMP && c->time == DEBEZIUM_CONNECT && f->precision > 3)
        return "time \"connect\" cuts to milliseconds; use adaptive or microseconds";
    if (kind == COLUMN_TIME && (c->time == DEBEZIUM_CONNECT || c->time == DEBEZIUM_ISOSTRING))
        return "a time below 0 or beyond 24 hours arrives as null; use adaptive";
    if ((kind == COLUMN_DATE || kind == COLUMN_TIMESTAMP) && f->policies[PROBLEM_ZERO_DATE].stated)
        return "a zero date arrives as null, or as 1970 where the column is NOT NULL";
    if (f->type == TYPE_INTEGER && f->is_signed && f->bits == 64)
        return "an unsigned 64-bit column would arrive with a sign; say \"signed\": false if it is one";
    return NULL;
}

void debezium_losses(const struct entity *en,
                     void (*each)(void *ctx, const struct field *f, const char *what), void *ctx)
{
    const struct capture_source *c = &en->sides[SIDE_LEGACY].capture;
    for (size_t i = 0; c->by == CAPTURE_DEBEZIUM && i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        const char *what = f->synced ? loss(f, c) : NULL;
        if (what)
            each(ctx, f, what);
    }
}
