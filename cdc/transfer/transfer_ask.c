// SPDX-License-Identifier: Apache-2.0
// What people ask of the coordinator: a transfer, consent to it, its end. Rows of ficus.transfer;
// nothing is done here. Thread: the caller's.
#include "cdc/transfer/transfer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

// One query of text parameters (NULL: SQL NULL) in an arena of the caller's.
static int ask(struct control *c, const char *sql, const char *const *params, size_t n,
               struct arena **a, struct rows *rows, struct err *e)
{
    struct value v[16];
    struct pg_conn *pg = control_pg(c, e);
    *a = NULL;
    if (!pg)
        return -1;
    if (!(*a = arena_create(0)))
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        v[i] = params[i] ? value_set(str_of(params[i])) : value_null();
    return pg_query(pg, str_of(sql), v, n, *a, rows, e);
}

static int refuse_way_back(struct control *c, const struct group *g, struct err *e)
{
    struct arena *a;
    struct rows rows = {0};
    const char *p[] = {g->name};
    int result = ask(c,
                     "SELECT completed_by, to_char(completed_at AT TIME ZONE 'UTC',"
                     " 'YYYY-MM-DD HH24:MI:SS') FROM ficus.owner WHERE grp = $1"
                     " AND completed_at IS NOT NULL",
                     p, 1, &a, &rows, e);
    if (result == 0 && rows.nrows > 0)
        result = err_set(e, ERR_DENIED,
                         "group %s was completed by %.*s at %.*s UTC: the legacy follows no more,"
                         " so there is no way back without loss",
                         g->name, (int)rows.cells[0].len, rows.cells[0].data,
                         (int)rows.cells[1].len, rows.cells[1].data);
    arena_destroy(a);
    return result;
}

static char *options_text(const struct transfer_request *r)
{
    json_t *o = json_object();
    if (r->force)
        json_object_set_new(o, "force", json_true());
    if (r->end_holders)
        json_object_set_new(o, "end_holders", json_true());
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static int insert(struct control *c, const struct transfer_request *r, long long *id, struct err *e)
{
    struct arena *a;
    struct rows rows;
    char *options = options_text(r);
    const char *p[] = {r->group->name, side_name(r->to), r->kind,
                       r->who,         r->why,           options,
                       r->at,          r->note,          r->group->approval ? "true" : "false"};
    int result = options
                     ? ask(c,
                           "WITH o AS (SELECT completed_at FROM ficus.owner WHERE grp = $1"
                           " FOR SHARE) INSERT INTO ficus.transfer (grp, target, kind, who, why,"
                           " options, not_before, note, needs_approval) SELECT $1, $2, $3, $4,"
                           " $5, $6::jsonb, $7::timestamptz, $8, $9::boolean FROM o"
                           " WHERE $2 = 'new' OR completed_at IS NULL RETURNING id",
                           p, 9, &a, &rows, e)
                     : err_memory(e);
    if (result == 0 && rows.nrows == 0)
        result = err_set(e, ERR_DENIED,
                         "group %s is not in the control store (ficus migrate up), or was completed"
                         " just now",
                         r->group->name);
    else if (result == 0 && !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, id))
        result = err_set(e, ERR_INTERNAL, "the transfer got no id");
    if (options)
        arena_destroy(a);
    free(options);
    return result;
}

long long transfer_ask(struct control *c, const struct transfer_request *r, struct err *e)
{
    long long id = -1;
    if (r->to == SIDE_LEGACY && refuse_way_back(c, r->group, e))
        return -1;
    if (insert(c, r, &id, e) == 0)
        return id;
    if (e->code == ERR_CONFLICT)
        err_set(e, ERR_BUSY,
                "a transfer of group %s is under way; ficus status shows it,"
                " ficus cutover %s --abort ends it",
                r->group->name, r->group->name);
    else if (strncmp(e->sqlstate, "22", 2) == 0 && r->at) // a data exception: only the time can be
        err_set(e, ERR_INVALID, "'%s' is no time; write it as 2026-11-30T03:00:00+01:00", r->at);
    return -1;
}

long long transfer_approve(struct control *c, const struct group *g, const char *who, struct err *e)
{
    struct arena *a, *b = NULL;
    struct rows rows = {0}, waiting = {0};
    const char *p[] = {g->name, who};
    long long id = -1;
    int result = ask(c,
                     "UPDATE ficus.transfer SET approved_by = $2, approved_at = now()"
                     " WHERE grp = $1 AND outcome IS NULL AND needs_approval"
                     " AND approved_by IS NULL AND who <> $2 RETURNING id",
                     p, 2, &a, &rows, e);
    if (result == 0 && rows.nrows == 0) {
        result = ask(c,
                     "SELECT who FROM ficus.transfer WHERE grp = $1 AND outcome IS NULL"
                     " AND needs_approval AND approved_by IS NULL",
                     p, 1, &b, &waiting, e);
        if (result == 0 && waiting.nrows > 0)
            result = err_set(e, ERR_DENIED,
                             "you asked for this transfer yourself (%s); someone else has to"
                             " approve it",
                             who);
        else if (result == 0)
            result = err_set(e, ERR_NOT_FOUND, "no transfer of group %s waits for approval",
                             g->name);
    } else if (result == 0 && !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &id)) {
        result = err_set(e, ERR_INTERNAL, "the transfer has no id");
    }
    arena_destroy(a);
    arena_destroy(b);
    return result ? -1 : id;
}

long long transfer_abort(struct control *c, const struct group *g, struct err *e)
{
    struct arena *a;
    struct rows rows = {0};
    const char *p[] = {g->name};
    long long id = 0;
    int result = ask(c,
                     "UPDATE ficus.transfer SET options = options || '{\"abort\":true}'"
                     " WHERE grp = $1 AND outcome IS NULL RETURNING id",
                     p, 1, &a, &rows, e);
    if (result == 0 && rows.nrows > 0 && !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &id))
        result = err_set(e, ERR_INTERNAL, "the transfer has no id");
    arena_destroy(a);
    return result ? -1 : id;
}
