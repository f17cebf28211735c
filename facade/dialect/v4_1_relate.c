// SPDX-License-Identifier: Apache-2.0
// get_relationships and set_relationship of the v4_1 dialect.
// Owns the state of the call. Thread: the loop of the mount.
//
//   get_relationships  parent -> list -> reply        (no parent: 1001)
//   set_relationship   parent -> targets -> link      by a link table
//                                        -> row -> .. -> row   by a column of the rows
// Ids that do not exist are not linked, and the reply says "created" all the same, as the
// legacy's does.
#include "facade/dialect/v4_1_int.h"

struct v4_1_relate {
    const struct v4_1_module *module;
    const struct relationship *relationship;
    const struct v4_1_module *target;
    struct value *parent;
    struct v4_1_columns columns;
    struct v4_1_links links;
    bool defaults;      // no fields were asked for
    bool with_id;       // the key was
    struct query query; // of the related rows
    // set_relationship
    bool remove;
    struct value *far;
    size_t nfar, next;
    struct value *extra; // by field index of the link's entity
};

static int fail(struct v4_1_call *c, const struct err *e)
{
    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

// Reads the parent's key; `next` decides what its absence means.
static int read_parent(struct v4_1_call *c, bool before_write, v4_1_step_fn *next)
{
    struct v4_1_relate *r = c->relate;
    const struct entity *en = r->module->entity;
    struct operation *op = v4_1_operation(c, OPERATION_GET, en);

    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = en->keys;
    op->query.nfields = en->nkeys;
    op->query.key = r->parent;
    op->before_write = before_write;
    return v4_1_run(c, op, next);
}

// True when `j` can be the key of a row; *out is the key.
static bool to_key(struct v4_1_call *c, const struct entity *en, const json_t *j, struct value *out)
{
    struct str text, lower;
    struct err e;

    if (en->nkeys != 1 || !v4_1_text(j, c->arena, &text))
        return false;
    if (v4_1_guid_lower(text, c->arena, &lower))
        text = lower;
    return type_parse(en->keys[0], text, c->arena, out, &e) == 0 && out->state == VALUE_SET &&
           out->len > 0;
}

static int start(struct v4_1_call *c, const struct v4_1_module *m, const json_t *id,
                 const json_t *link, struct err *e)
{
    struct v4_1_relate *r = arena_alloc(c->arena, sizeof(*r));
    struct str name;

    c->relate = r;
    if (!r || !(r->parent = arena_alloc(c->arena, sizeof(*r->parent))))
        return err_memory(e);
    r->module = m;
    if (!to_key(c, m->entity, id, r->parent))
        r->parent = NULL;
    if (!v4_1_text(link, c->arena, &name))
        return 0;
    r->relationship = entity_relationship(m->entity, name);
    r->target = r->relationship ? v4_1_module_of(c->mount, r->relationship->target) : NULL;
    return 0;
}

// ---- get_relationships

static void add_default(struct buf *out, const struct v4_1_module *m, const struct field *f)
{
    v4_1_add_pair(out, str_of(f->name));
    v4_1_add_value(out, m, f, f->fallback);
    buf_addc(out, '}');
}

// What a record shows that nothing was read of: the fields that have a default.
static void add_defaults(struct buf *out, const struct v4_1_module *m)
{
    size_t n = 0;

    buf_addz(out, "{\"id\":null,\"module_name\":");
    buf_addjson_php(out, str_of(m->name));
    buf_addz(out, ",\"name_value_list\":");
    for (size_t i = 0; i < m->entity->nfields; i++) {
        const struct field *f = &m->entity->fields[i];
        if (f->fallback.state != VALUE_SET)
            continue;
        buf_addc(out, n++ == 0 ? '{' : ',');
        add_default(out, m, f);
    }
    buf_addz(out, n == 0 ? "[]}" : "}}");
}

static void add_related(struct buf *out, const struct v4_1_relate *r, const struct record *row)
{
    if (r->defaults) {
        add_defaults(out, r->target);
        return;
    }
    size_t from = out->len;
    v4_1_add_entry(out, &r->columns, row);
    if (r->with_id || out->failed)
        return;
    // The id was not asked for, so it is null.
    struct buf id = BUF_INIT;
    buf_addjson_php(&id, value_str(row->values[0]));
    size_t head = sizeof("{\"id\":") - 1, tail = from + head + id.len;
    if (id.failed || id.len < 4) {
        out->failed |= id.failed;
    } else {
        memcpy(out->data + from + head, "null", 4);
        memmove(out->data + from + head + 4, out->data + tail, out->len - tail + 1);
        out->len -= id.len - 4;
    }
    buf_free(&id);
}

static int related_done(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;
    struct buf *out = &c->body;

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    buf_addz(out, "{\"entry_list\":[");
    for (size_t i = 0; i < res->records.n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_related(out, r, &res->records.rows[i]);
    }
    buf_addz(out, "],\"relationship_list\":[");
    for (size_t i = 0; i < res->records.n && r->links.n > 0; i++) {
        if (i > 0)
            buf_addc(out, ',');
        v4_1_add_links(out, &r->links, &res->records.rows[i], false);
    }
    buf_addz(out, "]}");
    return v4_1_reply(c);
}

static int parent_read(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_NOT_FOUND || (res->status == RESULT_OK && res->records.n == 0))
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    *r->parent = res->records.rows[0].values[0];
    if (!r->target)
        return v4_1_reply_text(c, "{\"entry_list\":[],\"relationship_list\":[]}");
    struct operation *op = v4_1_operation(c, OPERATION_LIST, r->target->entity);
    struct related *related = arena_alloc(c->arena, sizeof(*related));
    if (!op || !related)
        return v4_1_reply_memory(c);
    *related = (struct related){.relationship = r->relationship,
                                .parent = r->module->entity,
                                .parent_key = r->parent,
                                .nparent_key = 1};
    op->query = r->query;
    op->query.related = related;
    op->expansions = r->links.expansions;
    op->nexpansions = r->links.nexpansions;
    return v4_1_run(c, op, related_done);
}

static bool names_id(const struct entity *en, const json_t *select)
{
    size_t i;
    json_t *v;

    json_array_foreach(select, i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), en->keys[0]->name) == 0)
            return true;
    }
    return false;
}

static int prepare_related(struct v4_1_call *c, struct err *e)
{
    struct v4_1_relate *r = c->relate;
    const json_t *select = c->args[5];
    long long offset = 0, limit = 0;

    r->defaults = !json_is_array(select) || json_array_size(select) == 0;
    r->with_id = names_id(r->target->entity, select);
    if (v4_1_number(c->args[9], &offset) < 0 || v4_1_number(c->args[10], &limit) < 0)
        return err_set(e, ERR_INVALID, "offset or limit is no number");
    if (v4_1_columns_of_entry(r->target, select, c->arena, &r->columns, e) < 0 ||
        v4_1_links_of(c->mount, r->target, c->args[6], c->arena, &r->links, e) < 0)
        return -1;
    r->query = (struct query){.entity = r->target->entity,
                              .fields = r->columns.fields,
                              .nfields = r->defaults ? r->target->entity->nkeys
                                                     : r->columns.nfields,
                              .offset = offset > 0 ? offset : 0,
                              .limit = limit > 0 ? limit : -1};
    r->query.deleted = v4_1_wants_deleted(c->args[7]) ? DELETED_ANY : DELETED_NO;
    return 0;
}

int v4_1_get_relationships(struct v4_1_call *c)
{
    struct err e;

    if (start(c, c->module, c->args[2], c->args[3], &e) < 0)
        return fail(c, &e);
    if (!c->relate->parent)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (c->relate->target) {
        if (prepare_related(c, &e) < 0)
            return fail(c, &e);
        if (v4_1_read_page(c, c->relate->target, c->args[4], c->args[8], &c->relate->query) ==
            V4_1_REPLIED)
            return V4_1_REPLIED;
    }
    return read_parent(c, false, parent_read);
}

// ---- set_relationship

static int reply_counts(struct v4_1_call *c, bool ok)
{
    bool remove = !v4_1_empty(c->args[6]);

    buf_reset(&c->body);
    buf_printf(&c->body, "{\"created\":%d,\"failed\":%d,\"deleted\":%d}", ok && !remove, !ok,
               ok && remove);
    return v4_1_reply(c);
}

static int linked(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_OK || res->status == RESULT_NOT_FOUND)
        return reply_counts(c, true);
    if (res->status == RESULT_DENIED || res->status == RESULT_INVALID)
        return reply_counts(c, false);
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
        return reply_counts(c, true);
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
    if (operation_prepare(op, &e) < 0)
        return fail(c, &e);
    return v4_1_run(c, op, row_done);
}

static int targets_read(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    r->nfar = res->records.n;
    for (size_t i = 0; i < r->nfar; i++)
        r->far[i] = res->records.rows[i].values[0];
    if (r->nfar == 0)
        return reply_counts(c, true);
    return r->relationship->kind == RELATION_LINK ? link_rows(c) : next_row(c);
}

static int set_parent_read(struct v4_1_call *c)
{
    struct v4_1_relate *r = c->relate;
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_DENIED)
        return reply_counts(c, false);
    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return v4_1_reply_result(c, res);
    if (res->status == RESULT_NOT_FOUND || res->records.n == 0 || r->nfar == 0)
        return reply_counts(c, true);
    *r->parent = res->records.rows[0].values[0];
    struct operation *op = v4_1_operation(c, OPERATION_LIST, r->target->entity);
    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = r->target->entity->keys;
    op->query.nfields = r->target->entity->nkeys;
    op->query.keys = r->far;
    op->query.nkeys = r->nfar;
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
    if (json_is_string(ids) && to_key(c, r->target->entity, ids, &r->far[0]))
        r->nfar = 1;
    json_array_foreach(ids, i, v)
    {
        struct value *key = &r->far[r->nfar];
        if (!to_key(c, r->target->entity, v, key))
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

int v4_1_set_relationship(struct v4_1_call *c)
{
    struct str name;
    struct err e;
    const struct v4_1_module *m = v4_1_text(c->args[1], c->arena, &name)
                                      ? v4_1_module(c->mount, name)
                                      : NULL;

    if (!m)
        return reply_counts(c, false);
    if (start(c, m, c->args[2], c->args[3], &e) < 0)
        return fail(c, &e);
    if (!c->relate->target || !may_relate(c))
        return reply_counts(c, false);
    c->relate->remove = !v4_1_empty(c->args[6]);
    if (take_far(c, c->args[4], &e) < 0 || take_extra(c, c->args[5], &e) < 0)
        return fail(c, &e);
    if (!c->relate->parent)
        return reply_counts(c, true);
    return read_parent(c, true, set_parent_read);
}
