// SPDX-License-Identifier: Apache-2.0
// get_upcoming_activities, get_last_viewed and get_modified_relationships of the v4_1 dialect.
// Owns the state of the call. Thread: the loop of the mount.
//
//   get_upcoming_activities  module -> .. -> module -> reply
//
// dialects.v4_1.upcoming of a map: {"date": F, "where": F, "is": TEXT}. A row is upcoming when
// its date is to come, it is assigned to the user and `where` has that text (no "is": is set).
// What the others answer from is in no map: the tracker, and link tables of users. The
// application answers them where the mount has it; else they check their arguments as the legacy
// does and then say that it is not supported, which a client can tell from "nothing changed".
#include "base/clock.h"
#include "facade/dialect/v4_1_int.h"

#include <stdio.h>
#include <stdlib.h>

#define UPCOMING_MAX 10 // rows of the reply, and read of each module

struct activity {
    const struct v4_1_module *module;
    const struct record *row;
    const struct v4_1_columns *columns;
    char due[20]; // to sort by: a date counts as its midnight
};

struct v4_1_upcoming {
    char now[20];
    size_t next; // module
    struct v4_1_columns *columns;
    struct activity list[UPCOMING_MAX + 1];
    size_t n;
};

// ---- get_upcoming_activities

// Keeps the earliest; one of the same moment stays behind those that came before it.
static void insert(struct v4_1_upcoming *u, const struct activity *a)
{
    size_t at = u->n;

    while (at > 0 && strcmp(u->list[at - 1].due, a->due) > 0)
        at--;
    memmove(&u->list[at + 1], &u->list[at], (u->n - at) * sizeof(u->list[0]));
    u->list[at] = *a;
    if (u->n < UPCOMING_MAX)
        u->n++;
}

static int reply_upcoming(struct v4_1_call *c)
{
    const struct v4_1_upcoming *u = c->upcoming;
    struct buf *out = &c->body;
    struct buf scratch = BUF_INIT;

    buf_addc(out, '[');
    for (size_t i = 0; i < u->n; i++) {
        const struct activity *a = &u->list[i];
        buf_addz(out, i > 0 ? ",{\"id\":" : "{\"id\":");
        v4_1_add_encoded(out, value_str(a->row->values[0]), &scratch);
        buf_addz(out, ",\"module\":");
        buf_addjson_php(out, str_of(a->module->name));
        buf_addz(out, ",\"date_due\":");
        v4_1_add_column_value(out, a->columns, &a->columns->list[0], a->row);
        buf_addz(out, ",\"summary\":");
        v4_1_add_column_value(out, a->columns, &a->columns->list[1], a->row);
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
    buf_free(&scratch);
    return v4_1_reply(c);
}

static int next_module(struct v4_1_call *c);

static int upcoming_read(struct v4_1_call *c)
{
    struct v4_1_upcoming *u = c->upcoming;
    const struct result *res = &c->dispatch->result;

    if (res->status == RESULT_DENIED)
        return next_module(c); // a closed module is left out
    if (res->status != RESULT_OK)
        return v4_1_reply_result(c, res);
    for (size_t i = 0; i < res->records.n && i < UPCOMING_MAX; i++) {
        const struct record *row = &res->records.rows[i];
        struct str due = value_str(row->values[u->columns->list[0].at[0]]);
        struct activity a = {u->columns->module, row, u->columns, "0000-00-00 00:00:00"};
        memcpy(a.due, due.data, due.len < 19 ? due.len : 19);
        insert(u, &a);
    }
    return next_module(c);
}

static const struct field *named(const struct v4_1_module *m, const json_t *name)
{
    return json_is_string(name) ? entity_field(m->entity, str_of(json_string_value(name))) : NULL;
}

static struct filter *is_set(struct arena *a, const struct field *f)
{
    struct filter *out = arena_alloc(a, sizeof(*out));

    if (out)
        *out = (struct filter){.kind = FILTER_IS_NULL, .field = f, .negated = true};
    return out;
}

static const struct filter *upcoming_filter(struct v4_1_call *c, const struct v4_1_module *m,
                                            const struct field *date, const json_t *hint)
{
    const struct field *where = named(m, json_object_get(hint, "where"));
    const json_t *is = json_object_get(hint, "is");
    struct str now = str_n(c->upcoming->now, date->type == TYPE_DATE ? 10 : 19);
    struct filter *all[3] = {
        v4_1_compare(c->arena, date, MATCH_GT, now),
        v4_1_compare(c->arena, m->entity->owner, MATCH_EQ, c->principal.user_id)};

    if (where && json_is_string(is))
        all[2] = v4_1_compare(c->arena, where, MATCH_EQ, str_of(json_string_value(is)));
    else if (where)
        all[2] = is_set(c->arena, where);
    return v4_1_join(c->arena, FILTER_AND, all, where ? 3 : 2);
}

static int read_module(struct v4_1_call *c, const struct v4_1_module *m, const struct field *date,
                       const json_t *hint)
{
    struct v4_1_upcoming *u = c->upcoming;
    struct operation *op = v4_1_operation(c, OPERATION_LIST, m->entity);
    struct order *order = arena_alloc(c->arena, sizeof(*order));
    const struct str names[] = {str_of(date->name), STR("name")};
    struct err e;

    u->columns = arena_alloc(c->arena, sizeof(*u->columns));
    if (!op || !order || !u->columns ||
        v4_1_columns_named(m, names, 2, c->arena, u->columns, &e) < 0)
        return v4_1_reply_memory(c);
    *order = (struct order){.field = date};
    op->query.fields = u->columns->fields;
    op->query.nfields = u->columns->nfields;
    op->query.filter = upcoming_filter(c, m, date, hint);
    op->query.order = order;
    op->query.norder = 1;
    op->query.limit = UPCOMING_MAX;
    return op->query.filter ? v4_1_run(c, op, upcoming_read) : v4_1_reply_memory(c);
}

static int next_module(struct v4_1_call *c)
{
    struct v4_1_upcoming *u = c->upcoming;

    while (u->next < c->mount->nmodules) {
        const struct v4_1_module *m = &c->mount->modules[u->next++];
        const json_t *hint = json_object_get(m->hint, "upcoming");
        const struct field *date = named(m, json_object_get(hint, "date"));
        if (date && m->entity->owner)
            return read_module(c, m, date, hint);
    }
    return reply_upcoming(c);
}

int v4_1_get_upcoming_activities(struct v4_1_call *c)
{
    c->upcoming = arena_alloc(c->arena, sizeof(*c->upcoming));
    if (!c->upcoming)
        return v4_1_reply_memory(c);
    clock_utc_seconds(clock_wall_ms(), c->upcoming->now);
    return next_module(c);
}

// ---- what no map has

// Modules that there are not are left out; without any there is nothing to say.
int v4_1_get_last_viewed(struct v4_1_call *c)
{
    struct pass *p = v4_1_application(c);
    size_t i;
    json_t *v;

    if (p)
        return v4_1_through(c, p);

    json_array_foreach(c->args[1], i, v)
    {
        struct str name;
        if (v4_1_text(v, c->arena, &name) && (str_eqz(name, "Home") || v4_1_module(c->mount, name)))
            return v4_1_reply_fault(c, V4_1_UNSUPPORTED);
    }
    return v4_1_reply_text(c, "[]");
}

static int reply_no_relationships(struct v4_1_call *c, const char *error)
{
    char *fields = c->args[9] ? json_dumps(c->args[9], JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    buf_addz(&c->body, "{\"result_count\":0,\"next_offset\":0,\"field_list\":");
    buf_addz(&c->body, fields ? fields : "[]");
    buf_printf(&c->body, ",\"entry_list\":[],\"error\":%s}", error);
    free(fields);
    return v4_1_reply(c);
}

static int missing_date(struct v4_1_call *c, const char *name)
{
    char error[256];

    (void)snprintf(error, sizeof(error),
                   "{\"number\":\"-1\",\"name\":\"An Undefined Error - invalid_call_error, missing "
                   "%s occurred\",\"description\":\"There is no error definition for "
                   "invalid_call_error, missing %s\"}",
                   name, name);
    return reply_no_relationships(c, error);
}

int v4_1_get_modified_relationships(struct v4_1_call *c)
{
    struct pass *p = v4_1_application(c);
    struct str related;

    if (p)
        return v4_1_through(c, p);
    if (v4_1_empty(c->args[3]))
        return missing_date(c, "from_date");
    if (v4_1_empty(c->args[4]))
        return missing_date(c, "to_date");
    if (!v4_1_text(c->args[2], c->arena, &related) || !v4_1_module(c->mount, related))
        return reply_no_relationships(
            c, "{\"number\":20,\"name\":\"Module Does Not Exist\",\"description\":\"This module is "
               "not available on this server\"}");
    return reply_no_relationships(
        c, "{\"number\":31,\"name\":\"Relationship Not Supported\",\"description\":\"This module "
           "does not support this relationship\"}");
}
