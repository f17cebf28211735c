// SPDX-License-Identifier: Apache-2.0
// Capture of a side runs in one process at a time: a session-level advisory lock in the control
// store elects it, and a term, raised with every election, makes an older one's messages and
// positions count for nothing. The new store's is raised by chance, and again while events go out:
// a term that a restored store never drew tells of it (cdc/capture/history.h). One thread.
#ifndef FICUS_CDC_LEADER_H
#define FICUS_CDC_LEADER_H

#include "connectors/postgres/pg.h"
#include "migrations/entity.h"

#define TERM_ANEW (1LL << 50) // a capture that begins anew jumps its term by so much

struct leader {
    struct pg_conn *pg;
    enum side side;
    long long term;
    char published[64], identity[160], stopped[400]; // as found when elected
    uint64_t saved_ns, raised_ns;
};

// 1: elected (the connection is kept), 0: someone else leads, -1: error.
int leader_try(struct leader *l, struct pg_conn *pg, enum side side, const char *holder,
               struct err *e);
// Stores the positions. ERR_STALE: a later term took over.
int leader_save(struct leader *l, const char *captured, const char *published,
                struct err *e) FICUS_MUST_CHECK;
// Draws another term. ERR_STALE as above.
int leader_raise(struct leader *l, struct err *e) FICUS_MUST_CHECK;
int leader_identity(struct leader *l, const char *identity, struct err *e) FICUS_MUST_CHECK;
// Records why capture cannot go on; it stays stopped until a new snapshot is asked for.
int leader_stop(struct leader *l, const char *reason, struct err *e) FICUS_MUST_CHECK;

#endif
