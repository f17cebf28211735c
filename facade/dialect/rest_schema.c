// SPDX-License-Identifier: Apache-2.0
// Fields and entities as JSON Schema 2020-12. Thread: any.
#include "facade/dialect/rest_schema.h"

static const char *const digits_of[] = {
    [TYPE_DATE] = "\"format\":\"date\"",
    [TYPE_TIME] = "\"pattern\":\"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\\\.[0-9]+)?$\"",
    [TYPE_TIMESTAMP] = "\"format\":\"date-time\"",
    [TYPE_BYTES] = "\"pattern\":\"^([0-9a-fA-F]{2})*$\"",
};

static void put_codes(struct buf *out, const struct field *f, bool null)
{
    buf_addz(out, "{\"enum\":[");
    for (size_t i = 0; i < f->ncodes; i++) {
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice = twice || str_eq(f->codes[k].canonical, f->codes[i].canonical);
        if (twice)
            continue;
        buf_addz(out, i ? "," : "");
        buf_addjson(out, f->codes[i].canonical);
    }
    buf_addz(out, null ? ",null]}" : "]}");
}

static void put_integer(struct buf *out, const struct field *f, const char *null)
{
    unsigned bits = f->bits ? f->bits : 64;
    buf_printf(out, "{\"type\":[\"integer\"%s]", null);
    if (f->is_signed || bits == 64) {
        long long top = bits >= 64 ? INT64_MAX : (1ll << (bits - 1)) - 1;
        buf_printf(out, ",\"minimum\":%lld,\"maximum\":%lld}", f->is_signed ? -top - 1 : 0, top);
    } else {
        buf_printf(out, ",\"minimum\":0,\"maximum\":%lld}", (1ll << bits) - 1);
    }
}

// Text of digits, or a number that has no more of them.
static void put_decimal(struct buf *out, const struct field *f, const char *null)
{
    unsigned whole = f->precision > f->scale ? f->precision - f->scale : 0;
    buf_printf(out, "{\"type\":[\"string\",\"number\"%s],\"pattern\":\"^-?", null);
    if (whole)
        buf_printf(out, "[0-9]{1,%u}", whole);
    else
        buf_addz(out, "0");
    if (f->scale)
        buf_printf(out, "(\\\\.[0-9]{1,%u})?", f->scale);
    buf_addz(out, "$\",\"multipleOf\":");
    if (f->scale)
        buf_printf(out, "0.%0*d", (int)f->scale, 1);
    else
        buf_addz(out, "1");
    if (whole) {
        buf_addz(out, ",\"exclusiveMinimum\":-1");
        for (unsigned i = 0; i < whole; i++)
            buf_addc(out, '0');
        buf_addz(out, ",\"exclusiveMaximum\":1");
        for (unsigned i = 0; i < whole; i++)
            buf_addc(out, '0');
    }
    buf_addc(out, '}');
}

static void put_text(struct buf *out, const struct field *f, const char *null)
{
    buf_printf(out, "{\"type\":[\"string\"%s],\"pattern\":\"^[^\\\\u0000]*$\"", null);
    if (f->length)
        buf_printf(out, ",\"maxLength\":%u", f->length);
    buf_addc(out, '}');
}

// A record may hold what its type cannot (a zero date, a text of a number): as text, as stored.
static void put_answer(struct buf *out, const struct field *f)
{
    switch (f->type) {
    case TYPE_INTEGER: buf_addz(out, "{\"type\":[\"integer\",\"string\",\"null\"]}"); break;
    case TYPE_FLOAT: buf_addz(out, "{\"type\":[\"number\",\"string\",\"null\"]}"); break;
    case TYPE_BOOLEAN: buf_addz(out, "{\"type\":[\"boolean\",\"string\",\"null\"]}"); break;
    case TYPE_JSON: buf_addz(out, "{}"); break;
    case TYPE_DATE:
        buf_addz(out, "{\"type\":[\"string\",\"null\"],\"description\":\"YYYY-MM-DD\"}");
        break;
    case TYPE_TIMESTAMP:
        buf_addz(out, "{\"type\":[\"string\",\"null\"],\"description\":\"RFC 3339, UTC\"}");
        break;
    default: buf_addz(out, "{\"type\":[\"string\",\"null\"]}"); break;
    }
}

void rest_schema_field(struct buf *out, const struct field *f, enum rest_schema_use use)
{
    const char *null = use == REST_SCHEMA_BODY && !f->key ? ",\"null\"" : "";
    if (use == REST_SCHEMA_ANSWER) {
        put_answer(out, f);
        return;
    }
    if (f->ncodes) {
        put_codes(out, f, *null);
        return;
    }
    switch (f->type) {
    case TYPE_INTEGER: put_integer(out, f, null); break;
    case TYPE_DECIMAL: put_decimal(out, f, null); break;
    case TYPE_FLOAT: buf_printf(out, "{\"type\":[\"number\"%s]}", null); break;
    case TYPE_BOOLEAN: buf_printf(out, "{\"type\":[\"boolean\"%s]}", null); break;
    case TYPE_JSON: buf_addz(out, "{}"); break;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_BYTES:
        buf_printf(out, "{\"type\":[\"string\"%s],%s}", null, digits_of[f->type]);
        break;
    case TYPE_TEXT:
    case TYPE_ID: put_text(out, f, null); break;
    }
}

static void properties(struct buf *out, const struct entity *en, enum rest_schema_use use,
                       bool keys)
{
    bool first = true;
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        bool write = use == REST_SCHEMA_BODY;
        if (!rest_readable(f) || (write && (f->read_only || (f->key && !keys))))
            continue;
        buf_printf(out, "%s\"%s\":", first ? "" : ",", f->name);
        rest_schema_field(out, f, use);
        first = false;
    }
}

static void write_schema(struct buf *out, const struct entity *en, const char *form, bool keys)
{
    buf_printf(out, ",\"%s.%s\":{\"type\":\"object\",\"properties\":{", en->name, form);
    properties(out, en, REST_SCHEMA_BODY, keys);
    buf_addz(out, "},\"additionalProperties\":false");
    if (keys && en->key_maker == KEY_GIVEN) {
        buf_addz(out, ",\"required\":[");
        for (size_t i = 0; i < en->nkeys; i++)
            buf_printf(out, "%s\"%s\"", i ? "," : "", en->keys[i]->name);
        buf_addc(out, ']');
    }
    buf_addc(out, '}');
}

void rest_schema_entity(struct buf *out, const struct entity *en)
{
    buf_printf(out, ",\"%s\":{\"type\":\"object\",\"title\":", en->name);
    buf_addjson(out, str_of(en->title ? en->title : en->name));
    buf_addz(out, ",\"properties\":{");
    properties(out, en, REST_SCHEMA_ANSWER, true);
    for (size_t i = 0; i < en->nrelationships; i++)
        if (!entity_field(en, str_of(en->relationships[i].name)))
            buf_printf(out,
                       ",\"%s\":{\"type\":\"array\",\"items\":{\"$ref\":"
                       "\"#/components/schemas/%s\"}}",
                       en->relationships[i].name, en->relationships[i].target->name);
    buf_addz(out, ",\"_more\":{\"type\":\"array\",\"description\":\"Relations with more rows than"
                  " are shown\",\"items\":{\"type\":\"string\"}}},\"additionalProperties\":false}");
    buf_printf(out,
               ",\"%s.list\":{\"type\":\"object\",\"required\":[\"items\",\"offset\",\"limit\"],"
               "\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
               "\"#/components/schemas/%s\"}},\"offset\":{\"type\":\"integer\"},\"limit\":"
               "{\"type\":\"integer\"},\"total\":{\"type\":\"integer\"},\"next\":{\"type\":"
               "[\"string\",\"null\"]}},\"additionalProperties\":false}",
               en->name, en->name);
    write_schema(out, en, "new", true);
    write_schema(out, en, "change", false);
}
