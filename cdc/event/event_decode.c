// SPDX-License-Identifier: Apache-2.0
// Reads messages back into events: our own and plain Debezium envelopes of the same fields, with
// or without the schema part; what a Debezium connector wrote by itself is debezium.c. Input is hostile by assumption: anything unexpected is an error
// that parks the message, never a crash. Memory is the arena's. Thread: any.
#include "cdc/event/debezium.h"

#include "migrations/type.h"

#include <string.h>

#define FIELDS_MAX 512
#define KEYS_MAX   16
#define LOAD_FLAGS (JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES)

static struct str header(const struct kafka_message *m, const char *name)
{
    for (size_t i = 0; i < m->nheaders; i++)
        if (strcmp(m->headers[i].name, name) == 0)
            return m->headers[i].value;
    return (struct str){0};
}

static long long header_number(const struct kafka_message *m, const char *name, long long fallback)
{
    long long n;
    struct str s = header(m, name);
    return s.len && str_to_int(s, 0, INT64_MAX, &n) ? n : fallback;
}

// {"schema":..,"payload":P} -> P, borrowed.
static json_t *unwrap(json_t *j)
{
    json_t *payload = json_object_get(j, "payload");
    return payload && json_object_get(j, "schema") ? payload : j;
}

static json_t *load(struct str text, const char *what, struct err *e)
{
    json_error_t je;
    json_t *j = text.len ? json_loadb(text.data, text.len, LOAD_FLAGS, &je) : NULL;
    if (!j)
        err_set(e, ERR_INVALID, "%s is not JSON: %s", what, text.len ? je.text : "empty");
    else if (!json_is_object(unwrap(j))) {
        json_decref(j);
        j = NULL;
        err_set(e, ERR_INVALID, "%s is not a JSON object", what);
    }
    return j;
}

static int key_parts(const struct entity *en, const json_t *object, struct arena *a,
                     struct str *out, struct err *e)
{
    struct value parts[KEYS_MAX];
    if (en->nkeys > KEYS_MAX)
        return err_set(e, ERR_LIMIT, "too many key fields");
    for (size_t i = 0; i < en->nkeys; i++) {
        const json_t *j = json_object_get(object, en->keys[i]->name);
        if (type_from_json(en->keys[i], j, a, &parts[i], e))
            return -1;
        if (!j || parts[i].state != VALUE_SET || parts[i].len == 0)
            return err_set(e, ERR_INVALID, "key field %s is missing or unfit", en->keys[i]->name);
        if (en->nkeys > 1 && memchr(parts[i].data, KEY_SEPARATOR, parts[i].len))
            return err_set(e, ERR_INVALID, "key field %s holds a separator", en->keys[i]->name);
    }
    *out = entity_key_text(parts, en->nkeys, a);
    return out->data ? 0 : err_memory(e);
}

static int read_key(const struct entity *en, const struct kafka_message *m, struct arena *a,
                    struct str *out, struct err *e)
{
    json_t *j = load(m->key, "the key", e);
    int result = j ? key_parts(en, unwrap(j), a, out, e) : -1;
    json_decref(j);
    return result;
}

// Notes "field:problem" in out->foreign, keeping what is there.
static int note_foreign(const struct field *f, struct value v, struct arena *a, struct event *out,
                        struct err *e)
{
    const char *problem = value_problem_name((enum value_problem)v.problem);
    out->foreign = arena_printf(a, "%.*s%s%s:%s", (int)out->foreign.len,
                                out->foreign.len ? out->foreign.data : "",
                                out->foreign.len ? ";" : "", f->name, problem);
    return out->foreign.data ? 0 : err_memory(e);
}

// Under a schema JSON is carried as text.
static int read_field(const struct field *f, const json_t *j, bool typed, struct arena *a,
                      struct value *v, struct err *e)
{
    json_error_t je;
    json_t *inner = NULL;
    if (typed && f->type == TYPE_JSON && json_is_string(j))
        inner = json_loadb(json_string_value(j), json_string_length(j),
                           LOAD_FLAGS | JSON_DECODE_ANY, &je);
    int result = type_from_json(f, inner ? inner : j, a, v, e);
    json_decref(inner);
    return result;
}

static int read_image(const struct entity *en, const json_t *image, bool typed, struct arena *a,
                      struct event *out, struct err *e)
{
    const struct field *fields[FIELDS_MAX];
    size_t n = entity_synced(en, fields, FIELDS_MAX);
    struct value *values = arena_array(a, en->nfields, sizeof *values);
    struct err ignored;
    if (!values)
        return err_memory(e);
    for (size_t i = 0; i < n; i++) {
        const struct field *f = fields[i];
        const json_t *j = json_object_get(image, f->name);
        struct value *v = &values[f->index];
        if (!j)
            return err_set(e, ERR_INVALID, "field %s is missing", f->name);
        if (read_field(f, j, typed, a, v, e))
            return -1;
        if (v->state == VALUE_FOREIGN && type_policy(f, v, &ignored) < 0 &&
            note_foreign(f, *v, a, out, e))
            return -1;
    }
    out->change.after = values;
    return 0;
}

static void read_source(const json_t *root, struct change *c)
{
    const json_t *source = json_object_get(root, "source");
    const json_t *us = json_object_get(source, "ts_us"), *ms = json_object_get(source, "ts_ms");
    const json_t *seq = json_object_get(source, "seq");
    if (json_is_integer(us) && json_integer_value(us) > 0)
        c->commit_us = (uint64_t)json_integer_value(us);
    else if (json_is_integer(ms) && json_integer_value(ms) > 0 &&
             json_integer_value(ms) < INT64_MAX / 1000)
        c->commit_us = (uint64_t)json_integer_value(ms) * 1000;
    if (json_is_integer(seq))
        c->seq = json_integer_value(seq);
}

static int read_value(const struct entity *en, json_t *root, bool typed, struct arena *a,
                      struct event *out, struct err *e)
{
    struct change *c = &out->change;
    const char *op = json_string_value(json_object_get(root, "op"));
    const json_t *after = json_object_get(root, "after");
    struct str key;
    if (!op || !op[0] || op[1] || !strchr("cudr", op[0]))
        return err_set(e, ERR_INVALID, "the envelope has no op of c, u, d, r");
    c->op = (enum change_op)op[0];
    read_source(root, c);
    if (c->op == CHANGE_DELETE)
        return 0;
    if (!json_is_object(after))
        return err_set(e, ERR_INVALID, "the envelope has no \"after\"");
    if (out->foreign.len) // the raw text may not even parse: kept as it came
        return 0;
    if (key_parts(en, after, a, &key, e) || read_image(en, after, typed, a, out, e))
        return -1;
    return str_eq(key, c->key) ? 0 : err_set(e, ERR_INVALID, "the key is not the row's key");
}

static bool of_debezium(const struct entity *en, enum side from)
{
    return from == SIDE_LEGACY && en->sides[SIDE_LEGACY].capture.by == CAPTURE_DEBEZIUM;
}

int event_decode_key(const struct entity *en, enum side from, const struct kafka_message *m,
                     struct arena *a, struct event *out, struct err *e)
{
    if (of_debezium(en, from))
        return debezium_decode(en, m, a, out, e); // its key may be in another shape than its row's
    *out = (struct event){.kind = EVENT_CHANGE, .through = -1};
    out->change = (struct change){.entity = en, .from = from};
    out->change.term = header_number(m, "ficus-term", 0);
    out->marker = header(m, "ficus-marker");
    if (out->marker.len && !m->value.data) {
        out->kind = EVENT_MARKER;
        out->through = header_number(m, "ficus-through", -1);
        return 0;
    }
    if (read_key(en, m, a, &out->change.key, e))
        return -1;
    if (!m->value.data)
        out->kind = EVENT_TOMBSTONE;
    return 0;
}

int event_decode(const struct entity *en, enum side from, const struct kafka_message *m,
                 struct arena *a, struct event *out, struct err *e)
{
    if (event_decode_key(en, from, m, a, out, e))
        return -1;
    if (of_debezium(en, from) || out->kind != EVENT_CHANGE)
        return 0;
    out->foreign = header(m, "ficus-foreign");
    json_t *root = load(m->value, "the value", e);
    int result = root ? read_value(en, unwrap(root), unwrap(root) != root, a, out, e) : -1;
    json_decref(root);
    return result;
}
