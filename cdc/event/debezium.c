// SPDX-License-Identifier: Apache-2.0
// A Debezium message of one table -> an event of the entity whose root table it is. Input is
// hostile by assumption. Owns nothing; memory is the arena's. Thread: any.
//
// Ops: c, r, u carry "after"; d only needs the key; t (TRUNCATE) and anything else is an error that
// parks the message in sight, since rows of the other side would stay. A change of key comes as d,
// tombstone, c: three events, nothing to do for it.
#include "cdc/event/debezium.h"

#include "migrations/type.h"

#include <string.h>
#include <strings.h>

#define KEYS_MAX   16
#define LOAD_FLAGS (JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES)

// A JSON document with or without its schema part.
struct wrapped {
    json_t *root; // owned
    const json_t *payload, *schema;
};

static int load(struct str text, const char *what, struct wrapped *out, struct err *e)
{
    json_error_t je;
    *out = (struct wrapped){.root = text.len ? json_loadb(text.data, text.len, LOAD_FLAGS, &je)
                                             : NULL};
    if (!out->root)
        return err_set(e, ERR_INVALID, "%s is not JSON: %s", what, text.len ? je.text : "empty");
    out->payload = json_object_get(out->root, "payload");
    out->schema = json_object_get(out->root, "schema");
    if (!out->payload || !out->schema)
        *out = (struct wrapped){.root = out->root, .payload = out->root};
    return json_is_object(out->payload) ? 0 : err_set(e, ERR_INVALID, "%s is no JSON object", what);
}

// Member by column name in any case; the very name first.
static const json_t *member(const json_t *object, const char *column)
{
    json_t *v = json_object_get(object, column);
    const char *name;
    json_t *each;
    if (v)
        return v;
    json_object_foreach((json_t *)object, name,
                        each) if (strcasecmp(name, column) == 0) return each;
    return NULL;
}

// The schema of a struct's field, by name in any case.
static const json_t *field_schema(const json_t *schema, const char *column)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(schema, "fields"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "field"));
        if (name && strcasecmp(name, column) == 0)
            return one;
    }
    return NULL;
}

struct reading {
    const struct entity *en;
    const struct capture_source *modes;
    const char *connector;
    const json_t *row, *before; // before: may be NULL
    const json_t *schema;       // of the row's struct, or NULL
    struct arena *a;
    struct event *out;
};

static bool unavailable(const json_t *cell)
{
    // The text, or base64 of it where the column is binary.
    const char *s = json_string_value(cell);
    return s && (strcmp(s, DEBEZIUM_UNAVAILABLE) == 0 ||
                 strcmp(s, "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==") == 0);
}

static int note(struct reading *r, const struct field *f, const char *problem, struct err *e)
{
    struct event *out = r->out;
    out->foreign = arena_printf(r->a, "%.*s%s%s:%s", (int)out->foreign.len,
                                out->foreign.len ? out->foreign.data : "",
                                out->foreign.len ? ";" : "", f->name, problem);
    return out->foreign.data ? 0 : err_memory(e);
}

static int read_field(struct reading *r, const struct field *f, struct value *v, struct err *e)
{
    const char *column = f->place[SIDE_LEGACY].column;
    const json_t *cell = member(r->row, column);
    if (!cell && f->key) // a parked event is replayed under its key as we name it
        cell = json_object_get(r->row, f->name);
    struct value raw;
    struct err ignored;
    if (!cell)
        return err_set(e, ERR_INVALID, "column %s (field %s) is missing", column, f->name);
    if (unavailable(cell)) {
        cell = r->before ? member(r->before, column) : NULL;
        if (!cell || unavailable(cell)) // PostgreSQL: REPLICA IDENTITY FULL carries it
            return note(r, f, "unavailable", e);
    }
    if (debezium_cell(f, r->modes, r->connector, field_schema(r->schema, column), cell, r->a, &raw,
                      e) ||
        type_read(f, SIDE_LEGACY, raw, r->a, v, e))
        return -1;
    if (v->state == VALUE_FOREIGN && type_policy(f, v, &ignored) < 0)
        return note(r, f, value_problem_name((enum value_problem)v->problem), e);
    return 0;
}

static int read_key(struct reading *r, struct str *key, struct err *e)
{
    struct value parts[KEYS_MAX] = {0}; // absent, where a cell is only noted
    if (r->en->nkeys > KEYS_MAX)
        return err_set(e, ERR_LIMIT, "too many key fields");
    for (size_t i = 0; i < r->en->nkeys; i++) {
        const struct field *f = r->en->keys[i];
        if (read_field(r, f, &parts[i], e))
            return -1;
        if (parts[i].state != VALUE_SET || parts[i].len == 0)
            return err_set(e, ERR_INVALID, "key field %s is missing or unfit", f->name);
        if (r->en->nkeys > 1 && memchr(parts[i].data, KEY_SEPARATOR, parts[i].len))
            return err_set(e, ERR_INVALID, "key field %s holds a separator", f->name);
    }
    *key = entity_key_text(parts, r->en->nkeys, r->a);
    return key->data ? 0 : err_memory(e);
}

static int read_row(struct reading *r, struct err *e)
{
    struct value *values = arena_array(r->a, r->en->nfields, sizeof *values);
    struct str key;
    if (!values)
        return err_memory(e);
    if (read_key(r, &key, e))
        return -1;
    for (size_t i = 0; i < r->en->nfields; i++)
        if (r->en->fields[i].synced && read_field(r, &r->en->fields[i], &values[i], e))
            return -1;
    r->out->change.after = values;
    return str_eq(key, r->out->change.key)
               ? 0
               : err_set(e, ERR_INVALID, "the key is not the row's key");
}

static void read_source(const json_t *source, struct change *c)
{
    const json_t *us = json_object_get(source, "ts_us"), *ms = json_object_get(source, "ts_ms");
    const json_t *at = json_object_get(source, "lsn"), *pos = json_object_get(source, "pos");
    long long n = json_is_integer(us) ? json_integer_value(us) : 0;
    if (n <= 0 && json_is_integer(ms) && json_integer_value(ms) < INT64_MAX / 1000)
        n = json_integer_value(ms) * 1000;
    c->commit_us = n > 0 ? (uint64_t)n : 0;
    c->seq = json_is_integer(at) ? json_integer_value(at) : json_integer_value(pos);
}

static int read_value(struct reading *r, const struct wrapped *w, struct err *e)
{
    struct change *c = &r->out->change;
    const json_t *source = json_object_get(w->payload, "source");
    const char *op = json_string_value(json_object_get(w->payload, "op"));
    const char *connector = json_string_value(json_object_get(source, "connector"));
    if (op && strcmp(op, "t") == 0)
        return err_set(e, ERR_INVALID,
                       "the table was truncated; reconcile, mend, and drop this event");
    if (!op || !op[0] || op[1] || !strchr("cudr", op[0]))
        return err_set(e, ERR_INVALID, "the envelope has no op of c, u, d, r");
    c->op = (enum change_op)op[0];
    read_source(source, c);
    if (c->op == CHANGE_DELETE)
        return 0;
    r->connector = connector ? connector : "";
    r->row = json_object_get(w->payload, "after");
    r->before = json_object_get(w->payload, "before");
    r->schema = field_schema(w->schema, "after");
    if (!json_is_object(r->row))
        return err_set(e, ERR_INVALID, "the envelope has no \"after\"");
    return read_row(r, e);
}

int debezium_decode(const struct entity *en, const struct kafka_message *m, struct arena *a,
                    struct event *out, struct err *e)
{
    struct wrapped key = {0}, value = {0};
    struct reading r = {
        .en = en, .modes = &en->sides[SIDE_LEGACY].capture, .connector = "", .a = a, .out = out};
    *out = (struct event){.kind = EVENT_CHANGE, .through = -1};
    out->change = (struct change){.entity = en, .from = SIDE_LEGACY};
    int result = load(m->key, "the key", &key, e);
    if (result == 0) {
        r.row = key.payload;
        r.schema = key.schema;
        result = read_key(&r, &out->change.key, e);
    }
    if (result == 0 && !m->value.data) {
        out->kind = EVENT_TOMBSTONE;
    } else if (result == 0 && (result = load(m->value, "the value", &value, e)) == 0) {
        result = read_value(&r, &value, e);
    }
    json_decref(key.root);
    json_decref(value.root);
    return result;
}
