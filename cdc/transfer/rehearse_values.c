// SPDX-License-Identifier: Apache-2.0
// The awkward values of a test record. Each fits its field by the map, so a store that changes it,
// or a stream that does, is at fault. Owns nothing.
#include "cdc/transfer/rehearse_int.h"

#include <stdio.h>

static const char text[] = "Zo\xc3\xab's \"test\" \\ % _ ; -- \xe6\x97\xa5\xe6\x9c\xac "
                           "\xf0\x9f\x98\x80\t/* ? $1 */ &amp; <b>";
static const char other[] = "\xe2\x80\x9cupdated\xe2\x80\x9d \xc3\x9f \\' 0";

// The first `max` characters (0: all), without a blank at the end, which char(n) would lose.
static struct str cut(const char *s, unsigned max)
{
    size_t n = 0, end = 0;
    for (unsigned chars = 0; s[n] && (max == 0 || chars < max); chars++) {
        n++;
        while (((unsigned char)s[n] & 0xc0) == 0x80)
            n++;
        if (s[n - 1] != ' ' && s[n - 1] != '\t')
            end = n;
    }
    return str_n(s, end);
}

static struct str decimal(const struct field *f, char digit, unsigned digits_max, struct arena *a)
{
    unsigned whole = f->precision > f->scale ? f->precision - f->scale : 0;
    if (f->place[SIDE_LEGACY].storage == COLUMN_FLOAT || f->place[SIDE_NEW].storage == COLUMN_FLOAT)
        digits_max = DOUBLE_DIGITS;
    if (whole + f->scale > digits_max)
        whole = f->scale < digits_max ? digits_max - f->scale : 0;
    char digits[80];
    memset(digits, digit, sizeof digits);
    if (whole > 60 || f->scale > 60)
        return STR("0");
    if (f->scale == 0)
        return arena_printf(a, "-%.*s", whole ? (int)whole : 1, whole ? digits : "0");
    return arena_printf(a, "-%.*s.%.*s", whole ? (int)whole : 1, whole ? digits : "0",
                        (int)f->scale, digits);
}

static struct str integer(const struct field *f, bool second, struct arena *a)
{
    unsigned bits = f->bits ? f->bits : 32;
    uint64_t max = bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
    if (f->is_signed)
        return second ? arena_printf(a, "-%llu", (unsigned long long)(max >> 1))
                      : arena_printf(a, "%llu", (unsigned long long)(max >> 1));
    return arena_printf(a, "%llu", (unsigned long long)(second ? max - 1 : max));
}

static struct str with_fraction(const char *base, const struct field *f, struct arena *a)
{
    return f->precision == 0 || f->precision > 6
               ? str_of(base)
               : arena_printf(a, "%s.%.*s", base, (int)f->precision, "987654");
}

static struct str value_of(const struct field *f, bool second, unsigned digits_max, struct arena *a)
{
    switch (f->type) {
    case TYPE_TEXT:
        if (f->ncodes)
            return f->codes[second && f->ncodes > 1 ? 1 : 0].canonical;
        return cut(second ? other : text, f->length);
    case TYPE_INTEGER: return integer(f, second, a);
    case TYPE_DECIMAL: return decimal(f, second ? '1' : '9', digits_max, a);
    case TYPE_FLOAT: return second ? STR("-0.375") : STR("1048576.5");
    case TYPE_BOOLEAN: return second ? STR("false") : STR("true");
    case TYPE_DATE: return second ? STR("1970-01-01") : STR("2024-02-29");
    case TYPE_TIME: return with_fraction(second ? "00:00:00" : "23:59:59", f, a);
    case TYPE_TIMESTAMP: // inside the hour that a summer time skips or repeats in most places
        return with_fraction(second ? "2024-10-27 01:30:00" : "2024-03-31 02:30:00", f, a);
    case TYPE_BYTES: return second ? STR("ff") : STR("00ff27");
    case TYPE_JSON: return second ? STR("[]") : STR("{\"a\":\"\xc3\xa9\",\"b\":[1,2]}");
    case TYPE_ID: break;
    }
    return (struct str){NULL, 0};
}

// References are left out, since what they would point at does not exist; so is what is generated,
// filled in, or looked up elsewhere.
static bool is_set(const struct entity *en, const struct field *f, enum side side)
{
    enum place_kind kind = f->place[side].kind;
    return !f->key && f->synced && !f->read_only && f != en->deleted && !f->sequence &&
           f->auto_fill == AUTO_NONE && f->type != TYPE_ID &&
           (kind == PLACE_ROOT || kind == PLACE_EXTENSION);
}

struct value *rehearse_values(const struct entity *en, enum side side, bool second,
                              unsigned digits_max, struct arena *a)
{
    struct value *v = arena_array(a, en->nfields, sizeof *v);
    for (size_t i = 0; v && i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        if (f == en->keys[0]) {
            v[i] = value_set(STR(REHEARSE_KEY));
        } else if (is_set(en, f, side)) {
            struct str s = value_of(f, second, digits_max, a);
            if (s.data)
                v[i] = value_set(s);
        } else if (!second && f->fallback.state == VALUE_SET && !f->sequence) {
            v[i] = f->fallback;
        }
    }
    return v;
}

bool rehearse_can(const struct entity *en, char why[128])
{
    const struct field *key = en->keys[0];
    if (en->nkeys != 1 || (key->type != TYPE_TEXT && key->type != TYPE_ID) ||
        (key->length > 0 && key->length < sizeof REHEARSE_KEY - 1))
        snprintf(why, 128, "its key takes no text of %zu characters", sizeof REHEARSE_KEY - 1);
    else if (!entity_has_changelog(en))
        snprintf(why, 128, "its changes are told by others than our triggers");
    else
        return true;
    return false;
}
