// SPDX-License-Identifier: Apache-2.0
// Names of operations and results, and what every create needs before it can be routed.
#include "facade/operation.h"

#include "base/clock.h"

static const char *const operation_names[] = {"get",    "list",   "count", "create",
                                              "update", "delete", "relate"};
static const char *const status_names[] = {
    "ok",      "not_found", "conflict",    "invalid", "changed", "denied",      "fenced",
    "current", "busy",      "unavailable", "timeout", "retired", "unsupported", "error"};

const char *operation_name(enum operation_kind k)
{
    return operation_names[k];
}

const char *result_status_name(enum result_status s)
{
    return status_names[s];
}

unsigned operation_route_bit(enum operation_kind k)
{
    if (operation_is_read(k))
        return ROUTE_READS;
    return k == OPERATION_RELATE ? ROUTE_RELATES : ROUTE_WRITES;
}

static int make_key(struct operation *op, struct err *e)
{
    const struct entity *en = op->entity;
    struct value *key = arena_array(op->arena, en->nkeys, sizeof *key);
    char uuid[37];
    if (!key)
        return err_memory(e);
    for (size_t i = 0; i < en->nkeys; i++) {
        struct value given = op->write.values ? op->write.values[en->keys[i]->index]
                                              : (struct value){0};
        if (given.state == VALUE_SET && given.len > 0) {
            key[i] = given;
            continue;
        }
        if (en->key_maker != KEY_UUID)
            return err_set(e, ERR_INVALID, "%s needs its key '%s'", en->name, en->keys[i]->name);
        uuid_make(uuid);
        key[i] = value_set(arena_str(op->arena, str_of(uuid)));
        if (!key[i].data)
            return err_memory(e);
    }
    op->write.key = key;
    return 0;
}

int operation_prepare(struct operation *op, struct err *e)
{
    if (operation_is_read(op->kind))
        return 0;
    if (!op->write.now) {
        char *now = arena_alloc(op->arena, 20);
        if (!now)
            return err_memory(e);
        clock_utc_seconds(clock_wall_ms(), now);
        op->write.now = now;
    }
    op->write.entity = op->entity;
    op->write.kind = op->kind == OPERATION_CREATE   ? WRITE_CREATE
                     : op->kind == OPERATION_UPDATE ? WRITE_UPDATE
                                                    : WRITE_DELETE;
    if (op->principal && !op->write.actor.data)
        op->write.actor = op->principal->user_id;
    return op->kind == OPERATION_CREATE && !op->write.key ? make_key(op, e) : 0;
}
