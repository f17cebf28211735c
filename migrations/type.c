// SPDX-License-Identifier: Apache-2.0
// The type contract's front: names, and reading, writing and parsing by a field's type. Owns
// text, id, boolean and bytes; numbers, times and JSON have files of their own. Hot path of
// sync and facade: a value that is canonical already is borrowed, never copied. Thread: any.
#include "migrations/type_int.h"

static const char *const type_names[] = {
    [TYPE_TEXT] = "text",   [TYPE_INTEGER] = "integer",     [TYPE_DECIMAL] = "decimal",
    [TYPE_FLOAT] = "float", [TYPE_BOOLEAN] = "boolean",     [TYPE_DATE] = "date",
    [TYPE_TIME] = "time",   [TYPE_TIMESTAMP] = "timestamp", [TYPE_ID] = "id",
    [TYPE_BYTES] = "bytes", [TYPE_JSON] = "json",
};

const char *field_type_name(enum field_type t)
{
    return type_names[t];
}

int field_type_from(struct str name, enum field_type *out)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
        if (str_eqz(name, type_names[i])) {
            *out = (enum field_type)i;
            return 0;
        }
    return -1;
}

enum column_kind field_column_kind(const struct field *f, enum side side)
{
    return f->place[side].storage;
}

// Eight bytes at a time: true when every byte is ASCII and none is NUL.
static bool is_plain(struct str s)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t w;
        memcpy(&w, s.data + i, 8);
        if ((w | ((w - ones) & ~w)) & highs)
            return false;
    }
    for (; i < s.len; i++)
        if ((signed char)s.data[i] <= 0) // NUL or above 0x7f
            return false;
    return true;
}

static size_t utf8_count(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80;
    return n;
}

int type_text(const struct field *f, struct str in, struct value *out)
{
    if (!is_plain(in)) {
        if (memchr(in.data, 0, in.len))
            return type_foreign(in, PROBLEM_NUL, out);
        if (in.len >= 2 && memcmp(in.data, "\xc0\x80", 2) == 0) // dbms.h, read_text
            return type_foreign(str_n(in.data + 2, in.len - 2), PROBLEM_NUL, out);
        if (!str_is_utf8(in))
            return type_foreign(in, PROBLEM_BAD_UTF8, out);
    }
    if (f->length > 0 && in.len > f->length && utf8_count(in) > f->length)
        return type_foreign(in, PROBLEM_TOO_LONG, out);
    if (in.len == 0 && f->policies[PROBLEM_EMPTY].stated)
        return type_foreign(in, PROBLEM_EMPTY, out);
    return type_set(in, out);
}

int type_id(const struct field *f, struct str in, struct value *out)
{
    while (in.len > 0 && in.data[in.len - 1] == ' ')
        in.len--;
    return type_text(f, in, out);
}

int type_boolean(struct str in, struct value *out)
{
    if (in.len == 0)
        return type_foreign(in, PROBLEM_EMPTY, out);
    if (in.len == 1) {
        switch (in.data[0]) {
        case '1':
        case 't':
        case 1: // bit(1)
            return type_set(STR("true"), out);
        case '0':
        case 'f':
        case 0: return type_set(STR("false"), out);
        default: break;
        }
    }
    if (str_eqz(in, "true") || str_eqz(in, "false"))
        return type_set(in, out);
    long long n;
    bool number = str_to_int(in, -0x7fffffffffffffffLL, 0x7fffffffffffffffLL, &n);
    return type_foreign(in, number ? PROBLEM_OVERFLOW : PROBLEM_NOT_A_NUMBER, out);
}

int type_bytes(const struct field *f, struct str in, struct arena *a, struct value *out,
               struct err *e)
{
    struct str hex = in;
    if (hex.len >= 2 && hex.data[0] == '\\' && hex.data[1] == 'x')
        hex = str_n(hex.data + 2, hex.len - 2);
    bool lower = true;
    for (size_t i = 0; i < hex.len; i++) {
        char c = hex.data[i];
        if (c >= 'A' && c <= 'F')
            lower = false;
        else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    }
    if (hex.len % 2 != 0)
        return type_foreign(in, PROBLEM_NOT_A_NUMBER, out);
    if (f->length > 0 && hex.len / 2 > f->length)
        return type_foreign(in, PROBLEM_TOO_LONG, out);
    if (lower)
        return type_set(hex, out);
    char *copy = arena_alloc(a, hex.len + 1);
    if (!copy)
        return err_memory(e);
    for (size_t i = 0; i < hex.len; i++)
        copy[i] = hex.data[i] >= 'A' && hex.data[i] <= 'F' ? (char)(hex.data[i] + 32) : hex.data[i];
    return type_set(str_n(copy, hex.len), out);
}

static int parse(const struct field *f, struct str in, bool from_double, struct arena *a,
                 struct value *out, struct err *e)
{
    switch (f->type) {
    case TYPE_TEXT: return type_text(f, in, out);
    case TYPE_ID: return type_id(f, in, out);
    case TYPE_INTEGER: return type_integer(f, in, a, out, e);
    case TYPE_DECIMAL:
        return from_double ? type_decimal_of_double(f, in, a, out, e)
                           : type_decimal(f, in, a, out, e);
    case TYPE_FLOAT: return type_float(in, a, out, e);
    case TYPE_BOOLEAN: return type_boolean(in, out);
    case TYPE_DATE: return type_date(in, out);
    case TYPE_TIME: return type_time(f, in, a, out, e);
    case TYPE_TIMESTAMP: return type_timestamp(f, in, a, out, e);
    case TYPE_BYTES: return type_bytes(f, in, a, out, e);
    case TYPE_JSON: return type_json(in, a, out, e);
    }
    return err_set(e, ERR_INTERNAL, "field %s has no type", f->name);
}

int type_read(const struct field *f, enum side from, struct value raw, struct arena *a,
              struct value *out, struct err *e)
{
    if (raw.state != VALUE_SET) {
        *out = raw;
        return 0;
    }
    struct str in = value_str(raw);
    if (f->ncodes > 0 && from == SIDE_LEGACY) {
        for (size_t i = 0; i < f->ncodes; i++)
            if (str_eq(in, f->codes[i].legacy))
                return type_set(f->codes[i].canonical, out);
        return type_foreign(in, PROBLEM_BAD_ENUM, out);
    }
    return parse(f, in, f->place[from].storage == COLUMN_FLOAT, a, out, e);
}

int type_parse(const struct field *f, struct str text, struct arena *a, struct value *out,
               struct err *e)
{
    if (parse(f, text, false, a, out, e) < 0)
        return -1;
    if (out->state != VALUE_SET || f->ncodes == 0)
        return 0;
    for (size_t i = 0; i < f->ncodes; i++)
        if (str_eq(value_str(*out), f->codes[i].canonical))
            return 0;
    return type_foreign(text, PROBLEM_BAD_ENUM, out);
}

// A double that holds the decimal: rounding it to the scale gives the decimal back.
static int write_double(const struct field *f, struct value canonical, struct arena *a,
                        struct value *raw, struct err *e)
{
    struct value back;
    if (type_decimal_of_double(f, value_str(canonical), a, &back, e) < 0)
        return -1;
    if (!value_eq(back, canonical))
        return err_set(e, ERR_VALUE, "field %s: a double cannot hold all %u digits of the decimal",
                       f->name, canonical.len);
    *raw = canonical;
    return 0;
}

int type_write(const struct field *f, enum side to, struct value canonical, struct arena *a,
               struct value *raw, struct err *e)
{
    if (canonical.state == VALUE_NULL) {
        *raw = canonical;
        return 0;
    }
    if (canonical.state != VALUE_SET)
        return err_set(e, canonical.state == VALUE_FOREIGN ? ERR_VALUE : ERR_INTERNAL,
                       "field %s: %s", f->name,
                       canonical.state == VALUE_FOREIGN
                           ? value_problem_name((enum value_problem)canonical.problem)
                           : "no value to write");
    struct str text = value_str(canonical);
    if ((f->type == TYPE_TEXT || f->type == TYPE_ID) && f->length > 0 && text.len > f->length &&
        utf8_count(text) > f->length)
        return err_set(e, ERR_VALUE, "field %s: longer than %u characters", f->name, f->length);
    *raw = canonical;
    if (to == SIDE_LEGACY && f->ncodes > 0) {
        for (size_t i = 0; i < f->ncodes; i++)
            if (str_eq(text, f->codes[i].canonical)) {
                *raw = value_set(f->codes[i].legacy);
                return 0;
            }
        return err_set(e, ERR_VALUE, "field %s: no legacy code for its value", f->name);
    }
    if (f->type == TYPE_BOOLEAN && to == SIDE_LEGACY)
        *raw = value_set(str_eqz(text, "true") ? STR("1") : STR("0"));
    else if (f->type == TYPE_DECIMAL && f->place[to].storage == COLUMN_FLOAT)
        return write_double(f, canonical, a, raw, e);
    return 0;
}

int type_policy(const struct field *f, struct value *v, struct err *e)
{
    if (v->state != VALUE_FOREIGN)
        return 0;
    const struct policy *p = &f->policies[v->problem];
    switch (p->action) {
    case POLICY_NULL: *v = value_null(); return 1;
    case POLICY_SUBSTITUTE: *v = value_set(p->substitute); return 1;
    case POLICY_PARK: break;
    }
    return err_set(e, ERR_VALUE, "field %s: %s (%u bytes)", f->name,
                   value_problem_name((enum value_problem)v->problem), v->len);
}
