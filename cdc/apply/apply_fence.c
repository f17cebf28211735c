// SPDX-License-Identifier: Apache-2.0
// What a store does not take from the other side, so that nothing older comes over its own rows.
//
// Until a store is opened, everything that the other side accepted has arrived in it: the
// transfer's marker proves it. What comes later from before that opening is a direct write that
// the fence let through by configuration (recorded there as rogue), a parked event, or something
// sent again: a sync process that died repeats what it had not written down, and capture reads
// the present state of a legacy that may lag behind. So a store takes a change only if
//
//   it is not writable itself, and
//   it was never opened, or the change stands behind a marker of its source's opening (in its
//   partition) whose epoch is greater than the one that opened this store last.
//
// The first rule alone is not enough: a store that is being given back is sealed, not yet the
// other's follower, and may become the owner again by an abort (docs/protocol.md, model/).
// Owns nothing. Thread: the applier's.
#include "cdc/apply/apply_int.h"

#include "base/log.h"
#include "cdc/marker.h"
#include "routes/live.h"

static int read_group(struct applier *ap, const char *group, struct fence *f, struct err *e)
{
    struct rows rows;
    struct value v = value_set(str_of(group));
    const char *sql = ap->sink->dbms->fence_hold_sql;
    long long writable = 0;
    if (ap->sink->ops->query(ap->sink, str_of(sql), &v, 1, ap->arena, &rows, e))
        return err_prefix(e, "the fence of group %s", group);
    // No row: no transfer has ever been possible here.
    if (rows.nrows > 0 && (!str_to_int(value_str(rows.cells[0]), 0, 1, &writable) ||
                           !str_to_int(value_str(rows.cells[1]), 0, INT64_MAX, &f->opened)))
        return err_set(e, ERR_SCHEMA, "the fence of group %s cannot be read", group);
    f->writable = writable == 1;
    return 0;
}

int fence_read(struct applier *ap, size_t entity, struct fence *out, struct err *e)
{
    struct route_table *table = live_table(ap->s->live);
    const struct group *g = group_of(table, ap->s->entities[entity]);
    *out = (struct fence){.known = true};
    int result = g ? read_group(ap, g->name, out, e) : 0;
    route_table_unref(table);
    return result;
}

bool fence_refuses(const struct fence *f, long long opened)
{
    return f->writable || (f->opened > 0 && opened <= f->opened);
}

void fence_opened(struct applier *ap, struct part *p, struct str marker)
{
    long long epoch;
    struct str name;
    if (!marker_is_opened(marker, &epoch, &name) || epoch <= p->new_opened)
        return;
    struct route_table *table = live_table(ap->s->live);
    const struct group *g = group_of(table, ap->s->entities[p->entity]);
    if (g && str_eqz(name, g->name))
        p->new_opened = epoch;
    route_table_unref(table);
}

// Every entity of the group that the item's entity belongs to gets the same answer.
static int learn_group(struct applier *ap, const struct route_table *t, size_t entity,
                       struct err *e)
{
    const struct group *g = group_of(t, ap->s->entities[entity]);
    struct fence f = {.known = true};
    if (g && read_group(ap, g->name, &f, e))
        return -1;
    for (size_t i = 0; i < ap->s->nentities; i++)
        if (i == entity || (g && group_of(t, ap->s->entities[i]) == g))
            ap->fences[i] = f;
    return 0;
}

int fence_refuse(struct applier *ap, struct err *e)
{
    static struct log_limit limit;
    struct log_ctx ctx = {"apply", NULL, NULL};
    size_t refused = 0;
    unsigned dropped;
    memset(ap->fences, 0, ap->s->nentities * sizeof *ap->fences);
    struct route_table *t = live_table(ap->s->live);
    int result = 0;
    for (size_t i = 0; i < ap->nitems && result == 0; i++) {
        struct item *it = &ap->items[i];
        if (!ap->fences[it->entity].known)
            result = learn_group(ap, t, it->entity, e);
        it->refused = result == 0 && fence_refuses(&ap->fences[it->entity], it->opened);
        refused += it->refused;
    }
    route_table_unref(t);
    if (refused && log_allowed(&limit, 10000, &dropped))
        log_info(&ctx,
                 "%zu changes from %s not taken: the other side was opened since (%u more"
                 " such batches)",
                 refused, side_name(ap->from), dropped);
    return result;
}
