// SPDX-License-Identifier: Apache-2.0
// A transfer gives a group to a side (design.md "Ladder, fence, cutover"). States, each
// durable in ficus.transfer.step before its effect, so that any process may resume:
//
//   requested -> guards -> holding -> sealed -> drained -> opened -> flipped -> done
//        \________\___________\__________\_________\________\__> aborting -> aborted|refused
//
// epoch x is handed out at `guards` (a resumed attempt takes a new, greater one: an earlier
// coordinator then fails at its next fence). An abort is itself a transfer back to the owner
// and seals the other side even if it was never opened.
#ifndef FICUS_CDC_TRANSFER_H
#define FICUS_CDC_TRANSFER_H

#include "base/conf.h"
#include "routes/control.h"
#include "routes/live.h"

struct coordinator; // one thread in ficus sync

struct coordinator *coordinator_start(const struct conf *conf, struct live *live, struct err *e);
void coordinator_stop(struct coordinator *c);

struct guard {
    char name[32]; // lag, parked, reconcile, instances, roundtrip, stages, sync
    bool passed;
    char figure[128]; // "3 parked events"
    char mend[160];   // the command that mends it
};
#define TRANSFER_GUARDS_MAX 16

// Evaluates every guard for a transfer of `g` to `to`; used by --dry-run and step `guards`.
int transfer_guards(struct control *c, const struct conf *conf, const struct route_table *t,
                    const struct group *g, enum side to, struct guard *out, size_t *n,
                    struct err *e) FICUS_MUST_CHECK;
// Asks for a transfer; the coordinator does it. Returns its id, -1 on error (ERR_BUSY: one is
// under way).
long long transfer_request(struct control *c, const struct group *g, enum side to, const char *kind,
                           const char *who, const char *why, bool force, struct err *e);

#endif
