// SPDX-License-Identifier: Apache-2.0
// What set_entries of the v4_1 dialect does to a record before it is saved, where the map says
// so: a parent named by its name is found or made, and a record that is there already stands
// for the new one. Owns the state of that; saving goes on in v4_1_write.c.
// Thread: the loop of the mount.
//
// "merge": {"parent": {"entity": E, "id": F, "name": F, "field": NAME, "owner": OWNER},
//           "same": [F, ..], "update": false}
//   id and name are fields of the record, field and owner of the parent. `same`: all of them
//   equal to the byte, and the parent's name where one is given. `update`: the row that is
//   there takes what is written, instead of standing for it.
//
//   parent -> (make) -> twin -> then
#include "facade/dialect/v4_1_int.h"

#define TWINS_MAX 50 // rows that are equal but for case, accents or blanks

struct v4_1_merge {
    struct v4_1_record *record;
    const json_t *rule;
    v4_1_step_fn *then;
    const struct entity *parent;
    const struct field *id, *name;           // of the record
    const struct field *parent_name, *owner; // of the parent; owner may be NULL
    const struct field *read[6];             // of a twin: key, parent's name, same fields
    const struct field *same[4];
    size_t nsame;
};

static const struct field *named(const struct entity *en, const json_t *j)
{
    return en && json_is_string(j) ? entity_field(en, str_of(json_string_value(j))) : NULL;
}

static struct str given(const struct v4_1_merge *m, const struct field *f)
{
    struct value v = f ? m->record->values[f->index] : (struct value){0};

    return v.state == VALUE_SET ? value_str(v) : (struct str){"", 0};
}

static int go_on(struct v4_1_call *c)
{
    c->step = c->merge->then;
    return c->step(c);
}

// ---- a twin

static bool is_twin(const struct v4_1_merge *m, const struct record *row)
{
    struct str parent = given(m, m->name);

    if (parent.len > 0 && !str_eq(value_str(row->values[1]), parent))
        return false;
    for (size_t i = 0; i < m->nsame; i++)
        if (!str_eq(value_str(row->values[2 + i]), str_trim(given(m, m->same[i]))))
            return false;
    return true;
}

static int twins_read(struct v4_1_call *c)
{
    struct v4_1_merge *m = c->merge;
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    for (size_t i = 0; i < res->records.n; i++)
        if (is_twin(m, &res->records.rows[i])) {
            m->record->twin = !json_is_true(json_object_get(m->rule, "update"));
            m->record->id = value_str(res->records.rows[i].values[0]);
            break;
        }
    return go_on(c);
}

static int read_twins(struct v4_1_call *c)
{
    struct v4_1_merge *m = c->merge;
    struct operation *op = v4_1_operation(c, OPERATION_LIST, c->module->entity);
    struct filter *all = arena_alloc(c->arena, sizeof(*all));
    struct filter **parts = arena_array(c->arena, 4, sizeof(*parts));

    if (!op || !all || !parts)
        return v4_1_reply_memory(c);
    bool wanted = m->record->id.len == 0 && m->nsame > 0;
    for (size_t i = 0; i < m->nsame && wanted; i++) {
        struct str text = str_trim(given(m, m->same[i]));
        wanted = text.len > 0;
        if (wanted && !(parts[i] = v4_1_compare(c->arena, m->same[i], MATCH_EQ, text)))
            return v4_1_reply_memory(c);
    }
    if (!wanted)
        return go_on(c);
    *all = (struct filter){.kind = FILTER_AND, .children = parts, .nchildren = m->nsame};
    op->query.fields = m->read;
    op->query.nfields = 2 + m->nsame;
    op->query.filter = all;
    op->query.limit = TWINS_MAX;
    op->access = ACCESS_FACADE; // what is written to the twin is checked
    return v4_1_run(c, op, twins_read);
}

// ---- the parent

static int parent_made(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;
    const struct value *key = res->key ? res->key : c->dispatch->operation->write.key;

    if (res->status == RESULT_DENIED)
        return read_twins(c); // the record goes without a parent, as the legacy's
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    c->merge->record->values[c->merge->id->index] = *key;
    return read_twins(c);
}

static int make_parent(struct v4_1_call *c)
{
    struct v4_1_merge *m = c->merge;
    struct operation *op = v4_1_operation(c, OPERATION_CREATE, m->parent);
    struct value *values = arena_array(c->arena, m->parent->nfields + 1, sizeof(*values));
    struct err e;

    if (!op || !values)
        return v4_1_reply_memory(c);
    if (given(m, m->name).len == 0)
        return read_twins(c);
    values[m->parent_name->index] = value_set(given(m, m->name));
    if (m->owner)
        values[m->owner->index] = value_set(c->principal.user_id);
    op->write.kind = WRITE_CREATE;
    op->write.values = values;
    if (operation_prepare(op, &e) < 0)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    return v4_1_run(c, op, parent_made);
}

static int parent_read(struct v4_1_call *c)
{
    struct v4_1_merge *m = c->merge;
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return v4_1_reply_result(c, res);
    if (res->status == RESULT_NOT_FOUND || res->records.n == 0)
        return make_parent(c);
    m->record->values[m->id->index] = res->records.rows[0].values[0];
    return read_twins(c);
}

static int read_parent(struct v4_1_call *c)
{
    struct v4_1_merge *m = c->merge;
    bool by_id = given(m, m->id).len > 0;
    struct operation *op = v4_1_operation(c, by_id ? OPERATION_GET : OPERATION_LIST, m->parent);

    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = m->parent->keys;
    op->query.nfields = m->parent->nkeys;
    op->access = ACCESS_FACADE;
    if (by_id) {
        op->query.key = &m->record->values[m->id->index];
    } else {
        op->query.limit = 1;
        op->query.filter = v4_1_compare(c->arena, m->parent_name, MATCH_EQ, given(m, m->name));
        if (!op->query.filter)
            return v4_1_reply_memory(c);
    }
    return v4_1_run(c, op, parent_read);
}

// What the rule names; a name that is no field switches its part off.
static void take_rule(struct v4_1_call *c, struct v4_1_merge *m)
{
    const struct entity *en = c->module->entity;
    const json_t *parent = json_object_get(m->rule, "parent");
    const json_t *same = json_object_get(m->rule, "same");
    const char *name = json_string_value(json_object_get(parent, "entity"));
    size_t i;
    json_t *v;

    m->parent = name ? entity_find(c->mount->env.entities, str_of(name)) : NULL;
    m->id = named(en, json_object_get(parent, "id"));
    m->name = named(en, json_object_get(parent, "name"));
    m->parent_name = named(m->parent, json_object_get(parent, "field"));
    m->owner = named(m->parent, json_object_get(parent, "owner"));
    json_array_foreach(same, i, v)
    {
        const struct field *f = named(en, v);
        if (f && m->nsame < sizeof(m->same) / sizeof(m->same[0]))
            m->same[m->nsame++] = f;
    }
    m->read[0] = en->keys[0];
    m->read[1] = m->name ? m->name : en->keys[0];
    for (i = 0; i < m->nsame; i++)
        m->read[2 + i] = m->same[i];
}

int v4_1_merge(struct v4_1_call *c, struct v4_1_record *r, v4_1_step_fn *then)
{
    struct v4_1_merge *m = c->merge = arena_alloc(c->arena, sizeof(*m));

    if (!m)
        return v4_1_reply_memory(c);
    m->record = r;
    m->then = then;
    m->rule = json_object_get(c->module->hint, "merge");
    if (!m->rule)
        return go_on(c);
    take_rule(c, m);
    bool parent = m->parent && m->id && m->name && m->parent_name;
    if (parent && (given(m, m->id).len > 0 || given(m, m->name).len > 0))
        return read_parent(c);
    return read_twins(c);
}
