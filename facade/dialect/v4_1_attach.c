// SPDX-License-Identifier: Apache-2.0
// Files in the v4_1 dialect: attachments of notes, revisions of documents. The files themselves
// lie beside the legacy application and not in its database, so what needs one is answered as
// not supported; what can be said of the record alone is said. Owns no state.
// Thread: the loop of the mount.
//
// dialects.v4_1.attachment of a map: {"name": F, "id": F, "module": F}, the file's name and the
// parent that get_note_attachment shows.
#include "facade/dialect/v4_1_int.h"

struct v4_1_attach {
    const struct v4_1_module *module;
    struct v4_1_columns columns; // name, id, module
    struct value key;
};

// What only the legacy application itself knows: files, layouts, language packs.
int v4_1_not_supported(struct v4_1_call *c)
{
    struct pass *p = v4_1_application(c);
    const struct v4_1_module *m = c->attach ? c->attach->module : NULL;

    if (p && !((c->method->flags & V4_1_WRITES) && m && v4_1_owned_by_new(c, m->entity)))
        return v4_1_through(c, p);
    return v4_1_reply_fault(c, V4_1_UNSUPPORTED);
}

static const struct v4_1_module *attach_module(const struct dialect_mount *mount)
{
    for (size_t i = 0; i < mount->nmodules; i++)
        if (json_object_get(mount->modules[i].hint, "attachment"))
            return &mount->modules[i];
    return NULL;
}

static int reply_minus_one(struct v4_1_call *c)
{
    return v4_1_reply_text(c, "{\"id\":\"-1\"}");
}

// Reads the note whose id is `id`; `missing` when no note can be called that.
static int read_note(struct v4_1_call *c, const json_t *id, enum access_rule access,
                     v4_1_step_fn *next, v4_1_step_fn *missing)
{
    struct v4_1_attach *at = c->attach = arena_alloc(c->arena, sizeof(*at));
    struct str text, names[3];
    struct err e;

    if (!at)
        return v4_1_reply_memory(c);
    at->module = attach_module(c->mount);
    if (!at->module)
        return v4_1_not_supported(c);
    if (!v4_1_text(id, c->arena, &text) ||
        type_parse(at->module->entity->keys[0], text, c->arena, &at->key, &e) < 0 ||
        at->key.state != VALUE_SET || at->key.len == 0)
        return missing(c);
    const json_t *hint = json_object_get(at->module->hint, "attachment");
    static const char *const keys[] = {"name", "id", "module"};
    for (size_t i = 0; i < 3; i++) {
        const char *z = json_string_value(json_object_get(hint, keys[i]));
        names[i] = str_of(z ? z : "");
    }
    if (v4_1_columns_named(at->module, names, 3, c->arena, &at->columns, &e) < 0)
        return v4_1_reply_memory(c);
    struct operation *op = v4_1_operation(c, OPERATION_GET, at->module->entity);
    if (!op)
        return v4_1_reply_memory(c);
    op->query.fields = at->columns.fields;
    op->query.nfields = at->columns.nfields;
    op->query.key = &at->key;
    op->access = access;
    return v4_1_run(c, op, next);
}

// ---- get_note_attachment

static void add_attachment(struct v4_1_call *c, const struct record *row)
{
    static const char *const names[] = {"related_module_id", "related_module_name"};
    const struct v4_1_columns *cols = &c->attach->columns;
    struct buf *out = &c->body;
    struct str id;

    buf_addz(out, "{\"note_attachment\":{\"id\":");
    if (v4_1_text(c->args[1], c->arena, &id))
        buf_addjson_php(out, id);
    else
        buf_addz(out, "null");
    buf_addz(out, ",\"filename\":\"\",\"file\":\"\"");
    for (size_t i = 0; i < 2; i++) {
        buf_printf(out, ",\"%s\":", names[i]);
        if (row)
            v4_1_add_column_value(out, cols, &cols->list[1 + i], row);
        else
            buf_addz(out, "null");
    }
    buf_addz(out, "}}");
}

static int no_note(struct v4_1_call *c)
{
    add_attachment(c, NULL);
    return v4_1_reply(c);
}

static int note_read(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;
    const struct v4_1_column *name = &c->attach->columns.list[0];

    if (res->status == RESULT_NOT_FOUND || (res->status == RESULT_OK && res->records.n == 0))
        return no_note(c);
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    const struct record *row = &res->records.rows[0];
    if (name->nat == 0 || value_str(row->values[name->at[0]]).len > 0)
        return v4_1_not_supported(c); // there is a file
    add_attachment(c, row);
    return v4_1_reply(c);
}

int v4_1_get_note_attachment(struct v4_1_call *c)
{
    return read_note(c, c->args[1], ACCESS_BY_KIND, note_read, no_note);
}

// ---- set_note_attachment

static int may_replace(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    return res->status == RESULT_OK ? v4_1_not_supported(c) : v4_1_reply_result(c, res);
}

// Anyone may give a note a file, as in the legacy; the file of another's note is replaced by who
// may edit the note only.
static int note_to_write_read(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;
    const struct v4_1_column *name = &c->attach->columns.list[0];

    if (res->status == RESULT_NOT_FOUND || (res->status == RESULT_OK && res->records.n == 0))
        return reply_minus_one(c);
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    if (name->nat > 0 && value_str(res->records.rows[0].values[name->at[0]]).len > 0)
        return read_note(c, json_object_get(c->args[1], "id"), ACCESS_CHANGE, may_replace,
                         reply_minus_one);
    return v4_1_not_supported(c);
}

int v4_1_set_note_attachment(struct v4_1_call *c)
{
    const json_t *module = json_object_get(c->args[1], "related_module_name");
    struct str name;

    if (!v4_1_empty(module) && !v4_1_empty(json_object_get(c->args[1], "related_module_id")) &&
        (!v4_1_text(module, c->arena, &name) || !v4_1_module(c->mount, name)))
        return v4_1_reply_fault(c, V4_1_NO_MODULE);
    return read_note(c, json_object_get(c->args[1], "id"), ACCESS_FACADE, note_to_write_read,
                     reply_minus_one);
}
