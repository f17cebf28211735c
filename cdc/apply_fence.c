// SPDX-License-Identifier: Apache-2.0
// The owner's store takes no changes from the other side. Until a store is opened everything
// that the other side accepted has arrived in it (the transfer's marker proves it), so what
// comes later is either a direct write that the fence let through by configuration (recorded
// there as rogue) or something old: a sync process that died sends again what it had not
// written down, and capture reads the present state of a legacy that may lag behind. Writing
// either would put an older version over a newer one.
// Owns nothing. Thread: the applier's.
#include "cdc/apply_int.h"

#include "base/log.h"
#include "routes/live.h"

static int read_fence(struct applier *ap, const char *group, bool *writable, struct err *e)
{
    struct rows rows;
    struct value v = value_set(str_of(group));
    const char *sql = ap->sink->dbms->fence_hold_sql;
    long long w = 0;
    if (ap->sink->ops->query(ap->sink, str_of(sql), &v, 1, ap->arena, &rows, e))
        return err_prefix(e, "the fence of group %s", group);
    // No row: no transfer has ever been possible here.
    if (rows.nrows > 0 && !str_to_int(value_str(*rows_at(&rows, 0, 0)), 0, 1, &w))
        return err_set(e, ERR_SCHEMA, "the fence of group %s cannot be read", group);
    *writable = w == 1;
    return 0;
}

int fence_owned(struct applier *ap, size_t entity, bool *owned, struct err *e)
{
    struct route_table *table = live_table(ap->s->live);
    const struct group *g = group_of(table, ap->s->entities[entity]);
    int result = 0;
    *owned = false;
    if (g)
        result = read_fence(ap, g->name, owned, e);
    route_table_unref(table);
    return result;
}

// Every entity of the group that the item's entity belongs to gets the same answer.
static int learn_group(struct applier *ap, const struct route_table *t, size_t entity, bool *known,
                       struct err *e)
{
    const struct group *g = group_of(t, ap->s->entities[entity]);
    bool owned = false;
    if (g && read_fence(ap, g->name, &owned, e))
        return -1;
    for (size_t i = 0; i < ap->s->nentities; i++)
        if (i == entity || (g && group_of(t, ap->s->entities[i]) == g)) {
            ap->owned[i] = owned;
            known[i] = true;
        }
    return 0;
}

int fence_refuse(struct applier *ap, struct err *e)
{
    static struct log_limit limit;
    struct log_ctx ctx = {"apply", NULL, NULL};
    size_t refused = 0;
    unsigned dropped;
    bool *known = arena_array(ap->arena, ap->s->nentities + 1, sizeof *known);
    if (!known)
        return err_memory(e);
    memset(known, 0, ap->s->nentities * sizeof *known);
    struct route_table *t = live_table(ap->s->live);
    int result = 0;
    for (size_t i = 0; i < ap->nitems && result == 0; i++) {
        struct item *it = &ap->items[i];
        if (!known[it->entity])
            result = learn_group(ap, t, it->entity, known, e);
        it->refused = result == 0 && ap->owned[it->entity];
        refused += it->refused;
    }
    route_table_unref(t);
    if (refused && log_allowed(&limit, 10000, &dropped))
        log_info(&ctx,
                 "%zu changes from %s not taken: the other side owns their group (%u more"
                 " such batches)",
                 refused, side_name(ap->from), dropped);
    return result;
}
