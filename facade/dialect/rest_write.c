// SPDX-License-Identifier: Apache-2.0
// Creates, updates and replacements of the rest dialect.
//
//   POST   create with a given key or a made one          conflict: 409
//   PATCH  update of the fields that are named            not there: 404
//   PUT    update of all fields that may be written; what is not named becomes its default or
//          null. Where the record is not there: create with the key of the path, and should
//          another create have come first, once more the update.
//
// If-Match makes the update depend on the record's version, inside the store's transaction.
// `If-None-Match: *` makes a PUT a create.
#include "facade/dialect/rest.h"

static struct value *new_values(struct rest_request *q)
{
    return arena_array(q->op.arena, q->entity->nfields + 1, sizeof(struct value));
}

static int body_values(struct rest_request *q, bool patch, struct value **out, struct err *e)
{
    if (!(*out = new_values(q)))
        return err_memory(e);
    json_t *j = rest_body_json(q, patch, e);
    if (!j)
        return -1;
    int result = rest_body_values(q, j, q->http->body, *out, e);
    json_decref(j);
    return result;
}

static int no_match(struct rest_request *q, struct err *e)
{
    if (q->match.given || q->none_match.given)
        return rest_mistake(q, e, true, STR(q->match.given ? "If-Match" : "If-None-Match"),
                            "not for this request");
    return 0;
}

int rest_create(struct rest_request *q, struct err *e)
{
    struct value *values;
    q->op.kind = OPERATION_CREATE;
    if (no_match(q, e) || body_values(q, false, &values, e))
        return -1;
    q->op.write.values = values;
    for (size_t i = 0; i < q->entity->nkeys && q->entity->key_maker == KEY_GIVEN; i++)
        if (values[q->entity->keys[i]->index].state != VALUE_SET)
            return rest_mistake(q, e, false, STR(""), "the key '%s' is missing",
                                q->entity->keys[i]->name);
    return 0;
}

int rest_update(struct rest_request *q, struct err *e)
{
    struct value *values;
    q->op.kind = OPERATION_UPDATE;
    if (q->none_match.given)
        return rest_mistake(q, e, true, STR("If-None-Match"), "not for this request");
    if (body_values(q, true, &values, e) || rest_condition_write(q, e))
        return -1;
    q->op.write.values = values;
    return 0;
}

// What a replacement leaves alone: keys, what the facade fills in, the mark of a deleted record.
static bool replaced(const struct rest_request *q, const struct field *f)
{
    return !f->key && !f->read_only && !f->secret && f->auto_fill == AUTO_NONE && !f->sequence &&
           f != q->entity->deleted;
}

int rest_replace(struct rest_request *q, struct err *e)
{
    struct value *values;
    bool create = q->none_match.any;
    q->op.kind = OPERATION_UPDATE;
    q->replacing = true;
    if (q->none_match.given && !create)
        return rest_mistake(q, e, true, STR("If-None-Match"), "* is all that a PUT knows");
    if (body_values(q, false, &values, e) || rest_condition_write(q, e))
        return -1;
    for (size_t i = 0; i < q->entity->nfields; i++) {
        const struct field *f = &q->entity->fields[i];
        if (!replaced(q, f) || values[i].state != VALUE_ABSENT)
            continue;
        values[i] = f->fallback.state == VALUE_ABSENT ? value_null() : f->fallback;
    }
    q->op.write.values = values;
    if (create) {
        q->op.kind = OPERATION_CREATE;
        q->creating = true;
    }
    return 0;
}

void rest_after_replace(struct rest_request *q)
{
    enum result_status s = q->dispatch.result.status;
    if (s == RESULT_CONFLICT && q->none_match.any) {
        rest_problem(q, REST_PRECONDITION, "the record exists");
        return;
    }
    bool missing = !q->creating && s == RESULT_NOT_FOUND && !q->match.given;
    if ((missing || (q->creating && s == RESULT_CONFLICT)) && !q->retried) {
        q->retried = q->creating;
        q->creating = missing;
        q->op.kind = missing ? OPERATION_CREATE : OPERATION_UPDATE;
        q->op.write_id[0] = 0; // another write than the one that found nothing
        rest_run(q, rest_after_replace);
        return;
    }
    // Neither updated nor created: the key belongs to a deleted record.
    if (q->retried && s == RESULT_NOT_FOUND) {
        rest_problem(q, REST_CONFLICT, "the key belongs to a deleted record");
        return;
    }
    rest_reply_result(q);
}

static void after_look(struct rest_request *q)
{
    struct result *r = &q->dispatch.result;
    q->op.kind = OPERATION_CREATE;
    if (r->status == RESULT_NOT_FOUND)
        r->status = RESULT_CONFLICT;
    r->key = q->op.write.key;
    r->records.n = 0;
    rest_reply_result(q);
}

// A create that may be a repetition (its key comes from its Idempotency-Key): where the record is
// there, the first attempt did it.
void rest_after_create(struct rest_request *q)
{
    bool again = q->idempotency && idempotency_is_repeat(q->idempotency);
    if (q->dispatch.result.status != RESULT_CONFLICT || !again) {
        rest_reply_result(q);
        return;
    }
    q->op.kind = OPERATION_GET;
    q->op.before_write = true; // the owner knows
    q->op.query = (struct query){.entity = q->entity,
                                 .fields = q->entity->keys,
                                 .nfields = q->entity->nkeys,
                                 .key = q->op.write.key,
                                 .deleted = DELETED_ANY,
                                 .limit = -1};
    rest_run(q, after_look);
}
