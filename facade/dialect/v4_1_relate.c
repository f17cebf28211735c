// SPDX-License-Identifier: Apache-2.0
// get_relationships of the v4_1 dialect, and how a call over a relationship begins.
// Owns the state of the call; what writes relationships is in v4_1_link.c.
// Thread: the loop of the mount.
//
//   get_relationships  parent -> list -> reply        (no parent: 1001)
#include "facade/dialect/v4_1_relate_int.h"

static int fail(struct v4_1_call *c, const struct err *e)
{
    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

int v4_1_relate_parent(struct v4_1_call *c, bool before_write, v4_1_step_fn *next)
{
    struct v4_1_relate *r = c->relate;
    const struct entity *en = r->module->entity;
    struct operation *op = v4_1_operation(c, OPERATION_GET, en);

    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = r->made ? r->columns.fields : en->keys;
    op->query.nfields = r->made ? r->columns.nfields : en->nkeys;
    op->query.key = r->parent;
    op->before_write = before_write;
    return v4_1_run(c, op, next);
}

bool v4_1_relate_key(struct v4_1_call *c, const struct entity *en, const json_t *j,
                     struct value *out)
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

int v4_1_relate_start(struct v4_1_call *c, const struct v4_1_module *m, const json_t *id,
                      const json_t *link, struct err *e)
{
    struct v4_1_relate *r = arena_alloc(c->arena, sizeof(*r));
    struct str name;

    c->relate = r;
    if (!r || !(r->parent = arena_alloc(c->arena, sizeof(*r->parent))))
        return err_memory(e);
    r->module = m;
    if (!v4_1_relate_key(c, m->entity, id, r->parent))
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

// The one record of a link that is made of the parent.
static int reply_made(struct v4_1_call *c, const struct record *parent)
{
    struct v4_1_relate *r = c->relate;
    const char *module = json_string_value(json_object_get(r->made, "module"));
    struct buf *out = &c->body;

    buf_addz(out, "{\"entry_list\":[");
    if (v4_1_link_has(&r->link, parent)) {
        buf_addz(out,
                 r->with_id ? "{\"id\":\"\",\"module_name\":" : "{\"id\":null,\"module_name\":");
        buf_addjson_php(out, str_of(module ? module : ""));
        buf_addz(out, ",\"name_value_list\":");
        v4_1_add_made(out, &r->link, parent);
        buf_addc(out, '}');
    }
    buf_addz(out, "],\"relationship_list\":[]}");
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
    if (r->made)
        return reply_made(c, &res->records.rows[0]);
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
    op->access = ACCESS_LINKED;
    op->expansions = r->links.expansions;
    op->nexpansions = r->links.nexpansions;
    return v4_1_run(c, op, related_done);
}

static bool names_text(const json_t *select, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach(select, i, v)
    {
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
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
    r->with_id = names_text(select, r->target->entity->keys[0]->name);
    if (v4_1_number(c->args[9], &offset) < 0 || v4_1_number(c->args[10], &limit) < 0)
        return err_set(e, ERR_INVALID, "offset or limit is no number");
    if (v4_1_columns_of_entry(r->target, select, c->arena, &r->columns, e) < 0 ||
        v4_1_links_of(c->mount, &r->columns, c->args[6], c->arena, &r->links, e) < 0)
        return -1;
    r->query = (struct query){.entity = r->target->entity,
                              .fields = r->columns.fields,
                              .nfields = r->defaults && r->links.n == 0 ? r->target->entity->nkeys
                                                                        : r->columns.nfields,
                              .offset = offset > 0 ? offset : 0,
                              .limit = limit > 0 ? limit : -1};
    r->query.deleted = v4_1_wants_deleted(c->args[7]) ? DELETED_ANY : DELETED_NO;
    return 0;
}

static int prepare_made(struct v4_1_call *c, struct err *e)
{
    struct v4_1_relate *r = c->relate;
    json_t *none = json_pack("[s]", c->module->entity->keys[0]->name);
    struct str name;

    r->made = v4_1_text(c->args[3], c->arena, &name) ? v4_1_made_link(r->module, name) : NULL;
    r->with_id = names_text(c->args[5], "id");
    int rc = !none     ? err_memory(e)
             : r->made ? v4_1_columns_of_entry(r->module, none, c->arena, &r->columns, e)
                       : 0;
    json_decref(none);
    if (rc < 0 || !r->made)
        return rc;
    return v4_1_link_made(r->made, &r->columns, c->args[5], c->arena, &r->link, e);
}

int v4_1_get_relationships(struct v4_1_call *c)
{
    struct err e;

    if (v4_1_relate_start(c, c->module, c->args[2], c->args[3], &e) < 0)
        return fail(c, &e);
    if (!c->relate->parent)
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    if (!c->relate->target && prepare_made(c, &e) < 0)
        return fail(c, &e);
    if (c->relate->target) {
        if (prepare_related(c, &e) < 0)
            return fail(c, &e);
        if (v4_1_read_page(c, c->relate->target, c->args[4], c->args[8], &c->relate->query) ==
            V4_1_REPLIED)
            return V4_1_REPLIED;
    }
    return v4_1_relate_parent(c, false, parent_read);
}
