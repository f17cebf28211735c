// SPDX-License-Identifier: Apache-2.0
// The end of a group's reverse stream. From then on the legacy is a sealed copy of that moment,
// and there is no way back: a rollback is refused (transfer_ask.c), the streams to the legacy
// stay paused. It shuts out a rollback that is asked for at the same time by locking the owner
// row, as that does. Thread: the caller's.
#include "cdc/event/event.h"
#include "cdc/transfer/transfer.h"

#include <stdio.h>

static int refused(const struct guard *g, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!g[i].passed)
            return err_set(e, ERR_DENIED, "%s: %s; %s", g[i].name, g[i].figure, g[i].mend);
    return 0;
}

static int end_streams(struct pg_conn *pg, const struct group *g, const char *who, struct err *e)
{
    for (size_t i = 0; i < g->nentities; i++) {
        char stream[160], reason[160];
        stream_name(g->entities[i], SIDE_NEW, stream, sizeof stream);
        snprintf(reason, sizeof reason, TRANSFER_COMPLETED "%.100s", who);
        const char *p[] = {stream, reason};
        if (pg_execz(pg,
                     "INSERT INTO ficus.stream_state (stream, paused, reason)"
                     " VALUES ($1, true, $2) ON CONFLICT (stream)"
                     " DO UPDATE SET paused = true, reason = excluded.reason",
                     p, 2, NULL, e))
            return -1;
    }
    return 0;
}

static int end_group(struct pg_conn *pg, const struct group *g, const char *who, const char *why,
                     struct err *e)
{
    long long changed = 0;
    const char *lock[] = {g->name}, *p[] = {g->name, who, why};
    if (pg_execz(pg, "SELECT 1 FROM ficus.owner WHERE grp = $1 FOR UPDATE", lock, 1, NULL, e) ||
        pg_execz(pg,
                 "UPDATE ficus.owner SET completed_at = now(), completed_by = $2,"
                 " completed_why = $3 WHERE grp = $1 AND owner = 'new' AND completed_at IS NULL"
                 " AND NOT EXISTS (SELECT FROM ficus.transfer WHERE grp = $1 AND outcome IS NULL)",
                 p, 3, &changed, e))
        return -1;
    if (changed != 1)
        return err_set(e, ERR_DENIED,
                       "group %s cannot be completed: the new side has to own it, no transfer may"
                       " be under way, and it can be completed but once (ficus status)",
                       g->name);
    return end_streams(pg, g, who, e);
}

int transfer_complete(struct control *c, const struct conf *conf, const struct route_table *t,
                      const struct transfer_request *r, struct guard *guards, size_t *n,
                      struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    *n = 0;
    if (!pg || transfer_guards(c, conf, t, r->group, SIDE_LEGACY, guards, n, e) ||
        (!r->force && refused(guards, *n, e)) || pg_begin(pg, e))
        return -1;
    if (end_group(pg, r->group, r->who, r->why, e)) {
        pg_rollback(pg);
        return -1;
    }
    return pg_commit(pg, e);
}
