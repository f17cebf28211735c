// SPDX-License-Identifier: Apache-2.0
// What a rest client writes freely, by the first byte: a filter of the grammar, a bracketed
// condition, a cursor (sealed by us or not), a JSON body's members. What is accepted must hold
// fields that may be read and values that their types hold, within the limits.
#include "facade/dialect/rest.h"
#include "migrations/map.h"
#include "migrations/type.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct entity *entity(void)
{
    static const struct entity *en;
    static struct entity_set *set; // kept, for the leak checker to see
    struct problems p = {0};
    if (!en) {
        set = map_load("migrations/maps/suitecrm", &p);
        if (!set || !(en = entity_find(set, STR("opportunity"))))
            abort();
    }
    return en;
}

static unsigned walk(const struct filter *f, unsigned depth)
{
    unsigned nodes = 1;
    if (depth > FILTER_DEPTH_MAX)
        abort();
    for (size_t i = 0; i < f->nchildren; i++)
        nodes += walk(f->children[i], depth + 1);
    if (f->kind <= FILTER_NOT)
        return f->nchildren ? nodes : (abort(), 0u);
    if (!f->field || f->field->secret || f->nvalues > REST_IN_MAX)
        abort();
    for (size_t i = 0; i < f->nvalues; i++)
        if (f->values[i].state != VALUE_SET || !str_is_utf8(value_str(f->values[i])) ||
            (f->values[i].len && memchr(f->values[i].data, 0, f->values[i].len)))
            abort();
    return nodes;
}

static void conditions(struct str text, bool grammar, struct arena *a)
{
    const char *equals = text.len ? memchr(text.data, '=', text.len) : NULL;
    size_t n = equals ? (size_t)(equals - text.data) : text.len;
    struct str value = equals ? str_n(equals + 1, text.len - n - 1) : STR("");
    struct filter *f = NULL;
    struct err e = {0};
    int rc = grammar ? rest_filter(a, entity(), text, &f, &e)
                     : rest_condition(a, entity(), str_n(text.data, n), value, &f, &e);
    if (rc == 0 && walk(f, 0) > FILTER_NODES_MAX)
        abort();
}

// A cursor of ours must come back as it was; another one must be refused or be well-formed.
static void cursors(struct str text, struct arena *a)
{
    static struct dialect_mount mount = {.cursor_key = "0123456789abcdef0123456789abcdef"};
    const struct entity *en = entity();
    struct order order[] = {{entity_field(en, STR("name")), false},
                            {entity_field(en, STR("date_closed")), true}};
    const struct field *fields[] = {order[0].field, order[1].field, en->keys[0]};
    struct rest_request q = {.mount = &mount, .entity = en, .query_hash = 7};
    struct value values[REST_SORT_MAX + 16], out[REST_SORT_MAX + 16];
    struct record last = {.values = values};
    struct buf cursor = BUF_INIT;
    struct err e = {0};
    q.op.query = (struct query){.fields = fields, .nfields = 3, .order = order, .norder = 2};
    (void)!rest_cursor_decode(mount.cursor_key, 7, &q.op.query, en, text, a, out, &e);
    if (type_parse(order[0].field, str_n(text.data, text.len < 40 ? text.len : 40), a, &values[0],
                   &e) ||
        values[0].state != VALUE_SET)
        return;
    values[1] = value_null();
    values[2] = value_set(STR("key"));
    if (rest_cursor_put(&q, &last, &cursor, &e) ||
        rest_cursor_decode(mount.cursor_key, 7, &q.op.query, en, buf_str(&cursor), a, out, &e))
        abort();
    for (size_t i = 0; i < 3; i++)
        if (!value_eq(values[i], out[i]))
            abort();
    buf_free(&cursor);
}

static void bodies(struct str text, struct arena *a)
{
    const struct entity *en = entity();
    struct http_header type = {STR("Content-Type"), STR("application/json")};
    struct http_request http = {.headers = &type, .nheaders = 1, .body = text, .arena = a};
    struct rest_request q = {.http = &http, .entity = en};
    struct value *values = arena_array(a, en->nfields + 1, sizeof *values);
    struct err e = {0};
    q.op.arena = a;
    q.op.kind = OPERATION_CREATE;
    json_t *j = values ? rest_body_json(&q, false, &e) : NULL;
    if (j && rest_body_values(&q, j, text, values, &e) == 0)
        for (size_t i = 0; i < en->nfields; i++)
            if (values[i].state == VALUE_FOREIGN)
                abort();
    if (q.nerrors > REST_ERRORS_MAX)
        abort();
    for (size_t i = 0; i < 3; i++)
        (void)rest_json_element(text, i);
    (void)rest_json_member(text, "amount");
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(16u << 20);
    struct str text = str_n((const char *)data + 1, size ? size - 1 : 0);
    if (!a || size == 0) {
        arena_destroy(a);
        return 0;
    }
    switch (data[0] % 4) {
    case 0: conditions(text, true, a); break;
    case 1: conditions(text, false, a); break;
    case 2: cursors(text, a); break;
    default: bodies(text, a); break;
    }
    arena_destroy(a);
    return 0;
}
