// SPDX-License-Identifier: Apache-2.0
// set_entry and set_entries of the v4_1 dialect: one record after another is created, updated
// or deleted. Owns the state of the call; values are decoded in v4_1_value.c.
// Thread: the loop of the mount.
//
//   merge   set_entries of some modules: see v4_1_merge.c
//   save    no id, or new_with_id: create; else update. An update's row that is not there is
//           the legacy's phantom: the id is answered and nothing written (and it is counted).
//   erase   after it, when `deleted` was 1
//   record  the next of set_entries, or the reply
#include "base/log.h"
#include "facade/dialect/v4_1_int.h"

struct v4_1_write {
    struct v4_1_record record; // the one at work
    bool lowered;              // its id was tried in lower case
    const json_t *lists;       // set_entries; NULL for set_entry
    size_t next;
    size_t nids;
};

static int next_record(struct v4_1_call *c);

static int fail(struct v4_1_call *c, const struct err *e)
{
    if (e->code == ERR_MEMORY)
        return v4_1_reply_memory(c);
    return v4_1_reply_fault(c, V4_1_INVALID_DATA);
}

static int record_done(struct v4_1_call *c)
{
    struct v4_1_write *w = c->write;
    struct buf *out = &c->body;

    if (w->lists) {
        if (w->nids++ > 0)
            buf_addc(out, ',');
        buf_addjson_php(out, w->record.id);
        return next_record(c);
    }
    buf_addz(out, "{\"id\":");
    buf_addjson_php(out, w->record.id);
    if (v4_1_has(c, V4_1_HAS_ECHO)) {
        buf_addz(out, ",\"entry_list\":");
        v4_1_add_echo(out, &w->record);
    }
    buf_addc(out, '}');
    return v4_1_reply(c);
}

static struct operation *write_operation(struct v4_1_call *c, enum operation_kind kind)
{
    struct v4_1_record *r = &c->write->record;
    struct operation *op = v4_1_operation(c, kind, r->module->entity);

    if (!op)
        return NULL;
    op->write.kind = kind == OPERATION_CREATE   ? WRITE_CREATE
                     : kind == OPERATION_UPDATE ? WRITE_UPDATE
                                                : WRITE_DELETE;
    op->write.values = kind == OPERATION_DELETE ? NULL : r->values;
    op->write.live_only = kind != OPERATION_CREATE;
    if (r->id.len > 0) {
        struct value *key = arena_alloc(c->arena, sizeof(*key));
        if (!key)
            return NULL;
        *key = value_set(r->id);
        op->write.key = key;
    }
    return op;
}

static int run_write(struct v4_1_call *c, enum operation_kind kind, v4_1_step_fn *next)
{
    struct operation *op = write_operation(c, kind);
    struct err e;

    if (!op)
        return v4_1_reply_memory(c);
    if (operation_prepare(op, &e) < 0)
        return fail(c, &e);
    return v4_1_run(c, op, next);
}

// A row that may not be written is left out of set_entries without a word.
static int refused(struct v4_1_call *c, const struct result *res)
{
    if (c->write->lists && res->status == RESULT_DENIED)
        return next_record(c);
    return v4_1_reply_result(c, res);
}

static int erase_done(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK && res->status != RESULT_NOT_FOUND)
        return refused(c, res);
    return record_done(c);
}

static int erase(struct v4_1_call *c)
{
    if (!c->write->record.deleted)
        return record_done(c);
    return run_write(c, OPERATION_DELETE, erase_done);
}

static int phantom(struct v4_1_call *c)
{
    static _Thread_local struct log_limit limit;
    const struct v4_1_module *m = c->write->record.module;
    struct log_ctx ctx = {"v4_1", m->entity->name, ""};
    unsigned dropped = 0;

    if (m->phantoms)
        metric_add(m->phantoms, 1);
    if (log_allowed(&limit, 1000, &dropped))
        log_warn(&ctx,
                 "%s: an update of an id that does not exist was answered as done "
                 "(%u more held back)",
                 c->method->name, dropped);
    return record_done(c);
}

static int update_done(struct v4_1_call *c)
{
    struct v4_1_write *w = c->write;
    const struct result *res = &c->dispatch->result;
    struct str lower;

    if (res->status == RESULT_OK)
        return erase(c);
    if (res->status != RESULT_NOT_FOUND)
        return refused(c, res);
    if (!w->lowered && v4_1_guid_lower(w->record.id, c->arena, &lower)) {
        w->lowered = true;
        w->record.id = lower;
        return run_write(c, OPERATION_UPDATE, update_done);
    }
    return phantom(c);
}

static int create_done(struct v4_1_call *c)
{
    const struct result *res = &c->dispatch->result;

    if (res->status != RESULT_OK)
        return refused(c, res);
    const struct value *key = res->key ? res->key : c->dispatch->operation->write.key;
    if (key && key->state == VALUE_SET)
        c->write->record.id = value_str(*key);
    return erase(c);
}

// Nothing but `deleted` was given: there is no update before the delete.
static bool only_deletes(const struct v4_1_record *r)
{
    if (!r->deleted || r->id.len == 0 || r->new_with_id)
        return false;
    for (size_t i = 0; i < r->module->entity->nfields; i++)
        if (r->values[i].state != VALUE_ABSENT)
            return false;
    return true;
}

static int save_record(struct v4_1_call *c)
{
    struct v4_1_write *w = c->write;
    struct v4_1_record *r = &w->record;
    bool create = r->id.len == 0 || r->new_with_id;
    struct err e;

    if (r->twin) {
        r->values = arena_array(c->arena, r->module->entity->nfields + 1, sizeof(*r->values));
        return r->values ? run_write(c, OPERATION_UPDATE, update_done) : v4_1_reply_memory(c);
    }
    if (v4_1_record_finish(r, create, c->arena, &e) < 0)
        return fail(c, &e);
    if (only_deletes(r))
        return run_write(c, OPERATION_DELETE, erase_done);
    if (create)
        return run_write(c, OPERATION_CREATE, create_done);
    return run_write(c, OPERATION_UPDATE, update_done);
}

static int save(struct v4_1_call *c, const json_t *list)
{
    struct v4_1_write *w = c->write;
    struct err e;

    if (v4_1_record_decode(c->module, list, c->arena, &w->record, &e) < 0)
        return fail(c, &e);
    if (w->record.bad_id)
        return v4_1_reply_text(c, "null");
    w->lowered = false;
    if (!w->lists)
        return save_record(c);
    v4_1_record_codes(&w->record);
    return v4_1_merge(c, &w->record, save_record);
}

// Users are written by administrators only.
static bool may_write(const struct v4_1_call *c)
{
    return c->module != c->mount->users.module || c->principal.is_admin;
}

static bool is_list(const json_t *j)
{
    return json_is_array(j) || json_is_object(j);
}

int v4_1_set_entry(struct v4_1_call *c)
{
    if (!may_write(c))
        return v4_1_reply_fault(c, V4_1_DENIED);
    if (!is_list(c->args[2]))
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    c->write = arena_alloc(c->arena, sizeof(*c->write));
    return c->write ? save(c, c->args[2]) : v4_1_reply_memory(c);
}

// An object of lists counts as a list of its values.
static const json_t *list_at(const json_t *lists, size_t i)
{
    if (json_is_array(lists))
        return json_array_get(lists, i);
    void *iter = json_object_iter((json_t *)lists);
    while (iter && i-- > 0)
        iter = json_object_iter_next((json_t *)lists, iter);
    return json_object_iter_value(iter);
}

static int next_record(struct v4_1_call *c)
{
    struct v4_1_write *w = c->write;
    size_t n = json_is_array(w->lists) ? json_array_size(w->lists) : json_object_size(w->lists);

    while (w->next < n) {
        const json_t *list = list_at(w->lists, w->next++);
        if (is_list(list))
            return save(c, list);
    }
    buf_addz(&c->body, "]}");
    return v4_1_reply(c);
}

int v4_1_set_entries(struct v4_1_call *c)
{
    const json_t *lists = c->args[2];

    if (!may_write(c))
        return v4_1_reply_fault(c, V4_1_DENIED);
    if (!is_list(lists))
        return v4_1_reply_text(c, "{\"ids\":[]}");
    size_t n = json_is_array(lists) ? json_array_size(lists) : json_object_size(lists);
    if (n > V4_1_IDS_MAX || (json_is_object(lists) && n > 100))
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    c->write = arena_alloc(c->arena, sizeof(*c->write));
    if (!c->write)
        return v4_1_reply_memory(c);
    c->write->lists = lists;
    buf_addz(&c->body, "{\"ids\":[");
    return next_record(c);
}
