// SPDX-License-Identifier: Apache-2.0
// set_relationship and set_relationships of the v4_1 dialect: writing relationships.
// Owns the state of the call. Thread: the loop of the mount.
//
//   one of them   parent -> targets -> link              by a link table
//                                   -> row -> .. -> row  by a column of the rows
//   settle        the next of set_relationships, or the reply
// Ids that do not exist are not linked, and the reply says "created" all the same, as the
// legacy's does. What cannot be done at all counts as failed.
#include "facade/dialect/v4_1_relate_int.h"

// The calls that one set_relationships is made of.
struct v4_1_pairs {
    size_t n, next;
    size_t created, failed, deleted;
    bool remove; // stays on once a call has switched it on, until another says otherwise
};

static int fail(struct v4_1_call *c, const struct err *e)
{
    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

static int reply_counts(struct v4_1_call *c)
{
    const struct v4_1_pairs *p = c->pairs;

    buf_reset(&c->body);
    buf_printf(&c->body, "{\"created\":%zu,\"failed\":%zu,\"deleted\":%zu}", p->created, p->failed,
               p->deleted);
    return v4_1_reply(c);
}

static int next_pair(struct v4_1_call *c);

// Counts what has been done or refused; the loop that drives the call goes on, since many
// refusals in a row must not grow the stack.
static int settle(struct v4_1_call *c, bool ok)
{
    struct v4_1_pairs *p = c->pairs;

    if (!ok)
        p->failed++;
    else if (p->remove)
        p->deleted++;
    else
        p->created++;
    c->step = next_pair;
    c->ready = true;
    return V4_1_WAIT;
}

static int linked(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_OK || res->status == RESULT_NOT_FOUND)
        return settle(c, true);
    if (res->status == RESULT_DENIED || res->status == RESULT_INVALID)
        return settle(c, false);
    return v4_1_reply_result(c, res);
}

static int link_rows(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    struct operation *op = v4_1_operation(c, OPERATION_RELATE, r->module->entity);
    struct err e;

    if (!op)
        return v4_1_reply_memory(c);
    op->relate = (struct relate){.relationship = r->relationship,
                                 .near = *r->parent,
                                 .far = r->far,
                                 .nfar = r->nfar,
                                 .remove = r->remove,
                                 .extra = r->extra};
    op->access = ACCESS_LINKED;
    if (operation_prepare(op, &e) < 0)
        return fail(c, &e);
    return v4_1_run(c, op, linked);
}

static int next_row(struct v4_1_call *c);

static int row_done(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return linked(c);
    return next_row(c);
}

// The columns that make the relation: a foreign key, or a type and an id.
static void set_reference(const struct relationship *rel, struct value *values, struct value to,
                          bool remove)
{
    if (rel->kind == RELATION_FOREIGN_KEY) {
        values[rel->foreign_key->index] = remove ? value_null() : to;
        return;
    }
    values[rel->parent_id->index] = remove ? value_null() : to;
    if (!remove)
        values[rel->parent_type->index] = value_set(rel->parent_value);
}

// Updates one row: the parent when the column is its own, else the next of the targets.
static int next_row(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct relationship *rel = r->relationship;
    const struct entity *en = rel->to_one ? r->module->entity : r->target->entity;

    if (r->next == r->nfar)
        return settle(c, true);
    struct operation *op = v4_1_operation(c, OPERATION_UPDATE, en);
    struct value *values = arena_array(c->arena, en->nfields + 1, sizeof(*values));
    struct err e;
    if (!op || !values)
        return v4_1_reply_memory(c);
    struct value *far = &r->far[r->next++];
    set_reference(rel, values, rel->to_one ? *far : *r->parent, r->remove);
    op->write.kind = WRITE_UPDATE;
    op->write.key = rel->to_one ? r->parent : far;
    op->write.values = values;
    op->write.live_only = true;
    op->access = ACCESS_LINKED;
    if (operation_prepare(op, &e) < 0)
        return fail(c, &e);
    return v4_1_run(c, op, row_done);
}

static int targets_read(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_DENIED)
        return settle(c, false);
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    r->nfar = res->records.n;
    for (size_t i = 0; i < r->nfar; i++)
        r->far[i] = res->records.rows[i].values[0];
    if (r->nfar == 0)
        return settle(c, true);
    return r->relationship->kind == RELATION_LINK ? link_rows(c) : next_row(c);
}

static int set_parent_read(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_DENIED)
        return settle(c, false);
    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return v4_1_reply_result(c, res);
    if (res->status == RESULT_NOT_FOUND || res->records.n == 0 || r->nfar == 0)
        return settle(c, true);
    *r->parent = res->records.rows[0].values[0];
    struct operation *op = v4_1_operation(c, OPERATION_LIST, r->target->entity);
    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = r->target->entity->keys;
    op->query.nfields = r->target->entity->nkeys;
    op->query.keys = r->far;
    op->query.nkeys = r->nfar;
    op->access = ACCESS_LINKED;
    op->before_write = true;
    return v4_1_run(c, op, targets_read);
}

static int take_far(struct v4_1_call *c, const json_t *ids, struct err *e)
{
    struct v4_1_relate *r = c->relate;
    size_t i, n = json_is_array(ids) ? json_array_size(ids) : 1;
    json_t *v;

    if (n > V4_1_KEYS_MAX)
        return err_set(e, ERR_INVALID, "more than %d ids", V4_1_KEYS_MAX);
    r->far = arena_array(c->arena, n + 1, sizeof(*r->far));
    if (!r->far)
        return err_memory(e);
    if (json_is_string(ids) && v4_1_relate_key(c, r->target->entity, ids, &r->far[0]))
        r->nfar = 1;
    json_array_foreach(ids, i, v)
    {
        struct value *key = &r->far[r->nfar];
        if (!v4_1_relate_key(c, r->target->entity, v, key))
            continue;
        size_t same = 0;
        while (!value_eq(r->far[same], *key))
            same++;
        if (same == r->nfar) // twice in the list, once in the table
            r->nfar++;
    }
    return 0;
}

// Columns of the link row itself, such as a contact's role.
static int take_extra(struct v4_1_call *c, const json_t *list, struct err *e)
{
    struct v4_1_relate *r = c->relate;
    const struct entity *through = r->relationship->through;
    size_t i;
    json_t *v;

    if (!through || !json_is_array(list))
        return 0;
    json_array_foreach(list, i, v)
    {
        const json_t *name = json_object_get(v, "name");
        const struct field *f = json_is_string(name)
                                    ? entity_field(through, str_of(json_string_value(name)))
                                    : NULL;
        struct str text;
        if (!f || f->key || f->read_only || f->type != TYPE_TEXT || f == r->relationship->near ||
            f == r->relationship->far || !v4_1_text(json_object_get(v, "value"), c->arena, &text))
            continue;
        struct v4_1_text clean;
        if (!r->extra)
            r->extra = arena_array(c->arena, through->nfields + 1, sizeof(*r->extra));
        if (!r->extra || v4_1_clean(text, false, c->arena, &clean, e) < 0)
            return err_memory(e);
        (void)v4_1_cut(&clean.stored, f->length);
        r->extra[f->index] = value_set(clean.stored);
    }
    return 0;
}

// Which rows change decides who may do it: users' rows change by administrators' hands only.
static bool may_relate(const struct v4_1_call *c)
{
    const struct v4_1_relate *r = c->relate;
    const struct v4_1_module *users = c->mount->users.module;
    const struct v4_1_module *changed = r->relationship->to_one ? r->module : r->target;

    return changed != users || c->principal.is_admin;
}

static int relate(struct v4_1_call *c, const struct v4_1_module *m, const json_t *id,
                  const json_t *link, const json_t *ids, const json_t *extra)
{
    struct err e;

    if (v4_1_relate_start(c, m, id, link, &e) < 0)
        return fail(c, &e);
    if (!c->relate->target || !may_relate(c))
        return settle(c, false);
    c->relate->remove = c->pairs->remove;
    if (take_far(c, ids, &e) < 0 || take_extra(c, extra, &e) < 0)
        return fail(c, &e);
    if (!c->relate->parent)
        return settle(c, true);
    return v4_1_relate_parent(c, true, set_parent_read);
}

static const struct v4_1_module *module_named(struct v4_1_call *c, const json_t *name)
{
    struct str text;

    return v4_1_text(name, c->arena, &text) ? v4_1_module(c->mount, text) : NULL;
}

// set_relationships has a list where set_relationship has a value.
static const json_t *nth(const json_t *list, size_t i)
{
    return json_is_array(list) ? json_array_get(list, i) : NULL;
}

static int next_pair(struct v4_1_call *c)
{
    struct v4_1_pairs *p = c->pairs;
    bool many = strcmp(c->method->args[1], "module_names") == 0;

    if (p->next == p->n)
        return reply_counts(c);
    size_t i = p->next++;
    if (many && nth(c->args[6], i))
        p->remove = !v4_1_empty(nth(c->args[6], i));
    const json_t *name = many ? nth(c->args[1], i) : c->args[1];
    const struct v4_1_module *m = module_named(c, name);
    if (!m)
        return settle(c, false);
    if (many)
        return relate(c, m, nth(c->args[2], i), nth(c->args[3], i), nth(c->args[4], i),
                      nth(c->args[5], i));
    return relate(c, m, c->args[2], c->args[3], c->args[4], c->args[5]);
}

int v4_1_set_relationship(struct v4_1_call *c)
{
    c->pairs = arena_alloc(c->arena, sizeof(*c->pairs));
    if (!c->pairs)
        return v4_1_reply_memory(c);
    c->pairs->n = 1;
    c->pairs->remove = !v4_1_empty(c->args[6]);
    return next_pair(c);
}

int v4_1_set_relationships(struct v4_1_call *c)
{
    for (size_t i = 1; i <= 4; i++)
        if (!json_is_array(c->args[i]) || json_array_size(c->args[i]) == 0)
            return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (json_array_size(c->args[1]) > V4_1_KEYS_MAX)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    c->pairs = arena_alloc(c->arena, sizeof(*c->pairs));
    if (!c->pairs)
        return v4_1_reply_memory(c);
    c->pairs->n = json_array_size(c->args[1]);
    return next_pair(c);
}
