// SPDX-License-Identifier: Apache-2.0
// The schema part of our events, as Kafka Connect's JsonConverter writes and wants it
// (schemas.enable=true): {"schema":S,"payload":P}. S depends on the entity alone, so its text is
// made once. Owns the texts. Thread: any.
#include "cdc/event/event.h"

#include <stdio.h>

#define FIELDS_MAX 512

bool event_as_text(const struct field *f)
{
    return f->type == TYPE_JSON || (f->type == TYPE_INTEGER && f->bits == 64 && !f->is_signed);
}

static const char *type_of(const struct field *f)
{
    if (event_as_text(f))
        return "string";
    switch (f->type) {
    case TYPE_INTEGER: {
        unsigned bits = f->bits + (f->is_signed ? 0 : 1); // the next larger one holds it
        return bits <= 16 ? "int16" : bits <= 32 ? "int32" : "int64";
    }
    case TYPE_FLOAT: return "double";
    case TYPE_BOOLEAN: return "boolean";
    default: return "string";
    }
}

static void add_one(struct buf *out, const char *type, bool optional, const char *name,
                    const char *semantic)
{
    buf_printf(out, "{\"type\":\"%s\",\"optional\":%s", type, optional ? "true" : "false");
    if (semantic)
        buf_printf(out, ",\"name\":\"%s\",\"version\":1", semantic);
    buf_printf(out, ",\"field\":\"%s\"}", name);
}

static void add_field(struct buf *out, const struct field *f)
{
    add_one(out, type_of(f), !f->key, f->name,
            f->type == TYPE_JSON ? "io.debezium.data.Json" : NULL);
}

static void add_row(struct buf *out, const struct entity *en, const char *topic, const char *field)
{
    const struct field *fields[FIELDS_MAX];
    size_t n = entity_synced(en, fields, FIELDS_MAX);
    buf_addz(out, "{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        add_field(out, fields[i]);
    }
    buf_printf(out, "],\"optional\":true,\"name\":\"%s.Value\",\"field\":\"%s\"}", topic, field);
}

static void add_source(struct buf *out)
{
    static const char *const texts[] = {"version", "connector", "name", "snapshot", "db", "table"};
    static const char *const numbers[] = {"ts_ms", "ts_us", "seq"};
    buf_addz(out, "{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        add_one(out, "string", false, texts[i], NULL);
        buf_addc(out, ',');
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (i)
            buf_addc(out, ',');
        add_one(out, "int64", false, numbers[i], NULL);
    }
    buf_addz(out, "],\"optional\":false,\"name\":\"io.ficus.Source\",\"version\":1,"
                  "\"field\":\"source\"}");
}

int event_schema_make(struct event_schema *s, const struct entity *en, const char *topic,
                      struct err *e)
{
    *s = (struct event_schema){.key = BUF_INIT, .value = BUF_INIT};
    buf_addz(&s->key, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; i < en->nkeys; i++) {
        if (i)
            buf_addc(&s->key, ',');
        add_field(&s->key, en->keys[i]);
    }
    buf_printf(&s->key, "],\"optional\":false,\"name\":\"%s.Key\"},\"payload\":", topic);
    buf_addz(&s->value, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    add_row(&s->value, en, topic, "before");
    buf_addc(&s->value, ',');
    add_row(&s->value, en, topic, "after");
    buf_addc(&s->value, ',');
    add_source(&s->value);
    buf_addc(&s->value, ',');
    add_one(&s->value, "string", false, "op", NULL);
    buf_addc(&s->value, ',');
    add_one(&s->value, "int64", true, "ts_ms", NULL);
    buf_printf(&s->value,
               "],\"optional\":false,\"name\":\"%s.Envelope\",\"version\":1},\"payload\":", topic);
    return buf_check(&s->key, e) || buf_check(&s->value, e) ? -1 : 0;
}

void event_schema_free(struct event_schema *s)
{
    buf_free(&s->key);
    buf_free(&s->value);
}

int event_wrap_key(const struct event_schema *s, struct str key, struct buf *out, struct err *e)
{
    buf_addstr(out, buf_str(&s->key));
    buf_addstr(out, key);
    buf_addc(out, '}');
    return buf_check(out, e);
}
