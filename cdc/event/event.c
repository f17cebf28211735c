// SPDX-License-Identifier: Apache-2.0
// Writes changes as Debezium envelopes and control messages' keys. Owns the names of streams and
// topics; reading is event_decode.c. No state; Thread: any. Hot path of capture: one pass, no
// allocation but the growth of the caller's buffers.
//
// Value: {"before":B,"after":A,"source":{..},"op":"u","ts_ms":N}; B and A hold the synced fields.
// A delete's "before" holds the key fields only, since the changelog keeps keys, not images.
#include "cdc/event/event.h"

#include "base/clock.h"
#include "migrations/type.h"

#include <stdio.h>

#define FIELDS_MAX 512
#define KEYS_MAX   16

#ifndef FICUS_VERSION
#define FICUS_VERSION "0"
#endif

void stream_name(const struct entity *en, enum side from, char *out, size_t size)
{
    snprintf(out, size, "%s.%s", side_name(from), en->name);
}

void topic_name(const char *prefix, const struct entity *en, enum side from, char *out, size_t size)
{
    snprintf(out, size, "%s.%s.%s", prefix, side_name(from), en->name);
}

static void add_name(struct buf *out, const char *name, bool first)
{
    buf_addc(out, first ? '{' : ',');
    buf_addc(out, '"');
    buf_addz(out, name);
    buf_add(out, "\":", 2);
}

int event_key_json(const struct entity *en, struct str key, struct buf *out, struct err *e)
{
    struct value parts[KEYS_MAX];
    if (en->nkeys > KEYS_MAX)
        return err_set(e, ERR_LIMIT, "entity %s has more than %d key fields", en->name, KEYS_MAX);
    if (entity_key_split(en, key, parts, e))
        return -1;
    for (size_t i = 0; i < en->nkeys; i++) {
        add_name(out, en->keys[i]->name, i == 0);
        type_to_json(en->keys[i], parts[i], out);
    }
    buf_addc(out, '}');
    return buf_check(out, e);
}

void event_marker_key(const struct entity *en, struct buf *out)
{
    for (size_t i = 0; i < en->nkeys; i++) {
        add_name(out, en->keys[i]->name, i == 0);
        buf_addz(out, "\"ficus-marker\"");
    }
    buf_addc(out, '}');
}

// What the field's policy does not replace goes as raw text and is named in `foreign`.
static void add_field(const struct field *f, struct value v, bool typed, struct buf *out,
                      struct buf *foreign)
{
    if (v.state == VALUE_FOREIGN) {
        struct err ignored;
        enum value_problem problem = (enum value_problem)v.problem;
        if (type_policy(f, &v, &ignored) < 0)
            buf_printf(foreign, "%s%s:%s", foreign->len ? ";" : "", f->name,
                       value_problem_name(problem));
    }
    if (typed && v.state == VALUE_SET && event_as_text(f))
        buf_addjson(out, value_str(v));
    else
        type_to_json(f, v, out);
}

static void add_image(const struct change *c, const struct value *image, bool typed,
                      struct buf *out, struct buf *foreign)
{
    const struct field *fields[FIELDS_MAX];
    size_t n = entity_synced(c->entity, fields, FIELDS_MAX);
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        struct value v = image[fields[i]->index];
        if (v.state == VALUE_ABSENT)
            continue;
        add_name(out, fields[i]->name, first);
        add_field(fields[i], v, typed, out, foreign);
        first = false;
    }
    buf_addz(out, first ? "{}" : "}");
}

static void add_source(const struct change *c, const char *prefix, struct buf *out)
{
    buf_addz(out,
             ",\"source\":{\"version\":\"" FICUS_VERSION "\",\"connector\":\"ficus\",\"name\":");
    buf_addjson(out, str_of(prefix));
    buf_addz(out, ",\"ts_ms\":");
    buf_addint(out, (long long)(c->commit_us / 1000));
    buf_addz(out, ",\"ts_us\":");
    buf_addint(out, (long long)c->commit_us);
    buf_addz(out,
             c->op == CHANGE_READ ? ",\"snapshot\":\"incremental\"" : ",\"snapshot\":\"false\"");
    buf_addz(out, ",\"db\":\"");
    buf_addz(out, side_name(c->from));
    buf_addz(out, "\",\"table\":\"");
    buf_addz(out, c->entity->name);
    buf_addz(out, "\",\"seq\":");
    buf_addint(out, c->seq);
    buf_addc(out, '}');
}

int event_encode(const struct change *c, const char *prefix, struct buf *key, struct buf *value,
                 struct buf *foreign, const struct event_schema *schema, struct err *e)
{
    if (event_key_json(c->entity, c->key, key, e))
        return -1;
    if (schema)
        buf_addstr(value, buf_str(&schema->value));
    buf_addz(value, "{\"before\":");
    if (c->before)
        add_image(c, c->before, schema != NULL, value, foreign);
    else if (c->op == CHANGE_DELETE)
        buf_addstr(value, buf_str(key));
    else
        buf_addz(value, "null");
    buf_addz(value, ",\"after\":");
    if (c->op == CHANGE_DELETE || !c->after)
        buf_addz(value, "null");
    else
        add_image(c, c->after, schema != NULL, value, foreign);
    add_source(c, prefix, value);
    buf_addz(value, ",\"op\":\"");
    buf_addc(value, (char)c->op);
    buf_addz(value, "\",\"ts_ms\":");
    buf_addint(value, (long long)clock_wall_ms());
    buf_addz(value, schema ? "}}" : "}");
    return buf_check(value, e) || buf_check(foreign, e) ? -1 : 0;
}
