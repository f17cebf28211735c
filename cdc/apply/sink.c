// SPDX-License-Identifier: Apache-2.0
// What both sinks share: plans of statements by entity, parameters of rows, and what an error
// says about the row. Owns the plans' memory.
#include "cdc/apply/sink.h"

#include <stdlib.h>

int sink_init(struct sink *k, struct sync *s, enum side side, const struct dbms *d, struct err *e)
{
    k->sync = s;
    k->side = side;
    k->dbms = d;
    k->plan_arena = arena_create(0);
    k->plans = calloc(s->nentities, sizeof *k->plans);
    if (!k->plan_arena || !k->plans)
        return err_memory(e);
    for (size_t i = 0; i < s->nentities; i++) {
        struct sink_plan *p = &k->plans[i];
        if (query_apply(s->entities[i], side, d, k->plan_arena, &p->upsert, &p->nupsert, e) ||
            query_apply_delete(s->entities[i], side, d, k->plan_arena, &p->remove, &p->nremove, e))
            return -1;
    }
    return 0;
}

void sink_close(struct sink *k)
{
    if (!k)
        return;
    arena_destroy(k->plan_arena);
    free(k->plans);
    k->ops->close(k);
}

int sink_apply(struct sink *k, size_t entity, bool remove, const struct value *const *rows,
               size_t n, const char *now, struct arena *a, struct err *e)
{
    const struct sink_plan *p = &k->plans[entity];
    const struct apply_statement *list = remove ? p->remove : p->upsert;
    size_t nlist = remove ? p->nremove : p->nupsert;
    for (size_t i = 0; i < nlist; i++) {
        struct value *params = arena_array(a, n * list[i].nparams + 1, sizeof *params);
        if (!params)
            return err_memory(e);
        for (size_t r = 0; r < n; r++)
            for (size_t c = 0; c < list[i].nparams; c++)
                if (query_apply_param(&list[i], c, k->side, rows[r], now, a,
                                      &params[r * list[i].nparams + c], e))
                    return -1;
        if (k->ops->many(k, &list[i], params, n, e))
            return -1;
    }
    return 0;
}

int sink_exec(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
              long long *changed, struct err *e)
{
    return k->ops->exec(k, str_of(k->ops->sql[st]), params, n, changed, e);
}

int sink_once(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
              size_t nkeys, struct err *e)
{
    struct value all[16];
    for (size_t i = 0; i < n; i++)
        all[i] = params[i];
    for (size_t i = 0; i < nkeys && k->ops->repeat_keys; i++)
        all[n + i] = params[i];
    return sink_exec(k, st, all, n + (k->ops->repeat_keys ? nkeys : 0), NULL, e);
}

int sink_query(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
               struct arena *a, struct rows *out, struct err *e)
{
    return k->ops->query(k, str_of(k->ops->sql[st]), params, n, a, out, e);
}

enum verdict sink_verdict(const struct sink *k, const struct err *e)
{
    if (!k->ops->alive(k))
        return VERDICT_RETRY;
    switch (e->code) {
    case ERR_CONFLICT:
    case ERR_CONSTRAINT:
    case ERR_VALUE:
    case ERR_INVALID: return VERDICT_ROW;
    case ERR_SCHEMA:
    case ERR_DENIED:
    case ERR_UNSUPPORTED: return VERDICT_SCHEMA;
    // A store's own refusal that has no class of ours (a trigger's exception, say).
    case ERR_INTERNAL: return e->sqlstate[0] ? VERDICT_ROW : VERDICT_RETRY;
    default: return VERDICT_RETRY;
    }
}

static bool is_foreign_key(const struct err *e)
{
    return strcmp(e->sqlstate, "23503") == 0 || e->native == 1452 || e->native == 1451 ||
           e->native == 1216 || e->native == 1217 || strstr(e->msg, "FOREIGN KEY constraint");
}

const char *sink_reason(const struct err *e)
{
    if (is_foreign_key(e))
        return "waits";
    switch (e->code) {
    case ERR_CONFLICT: return "conflict";
    case ERR_CONSTRAINT: return "constraint";
    case ERR_VALUE: return "type";
    case ERR_INVALID: return "malformed";
    default: return "refused";
    }
}
