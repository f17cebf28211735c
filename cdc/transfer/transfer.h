// SPDX-License-Identifier: Apache-2.0
// A transfer gives a group to a side (docs/protocol.md, docs/concepts.md). States, each
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
    char name[32]; // sync, instances, stages, evidence, lag, parked, reconcile, headroom, ...
    bool passed;
    char figure[192]; // "3 parked events"
    char mend[160];   // the command that mends it
    double took_ms;   // roundtrip: the marker's way, once it came back; else 0
};
#define TRANSFER_GUARDS_MAX 16

// Evaluates every guard for a transfer of `g` to `to`; used by --dry-run and step `guards`.
int transfer_guards(struct control *c, const struct conf *conf, const struct route_table *t,
                    const struct group *g, enum side to, struct guard *out, size_t *n,
                    struct err *e) FICUS_MUST_CHECK;

json_t *transfer_guards_json(const struct guard *g, size_t n); // owned; for --json and receipts

struct transfer_request {
    const struct group *group;
    enum side to;
    const char *kind; // cutover, rollback
    const char *who, *why, *note;
    const char *at;   // a time as PostgreSQL reads it; NULL: now
    bool force;       // guards are recorded and do not refuse
    bool end_holders; // sessions that keep the fence from being sealed are ended
};
// Asks for a transfer; the coordinator does it, once its time has come and, in a group that
// needs two persons, once another one has approved. Returns its id, -1 on error (ERR_BUSY: one
// is under way; ERR_INVALID: the time; ERR_DENIED: there is no way back any more).
long long transfer_ask(struct control *c, const struct transfer_request *r, struct err *e);
// A second person's consent to the transfer that waits for it. Its id, -1 on error (ERR_DENIED: it
// is the same person; ERR_NOT_FOUND: none waits).
long long transfer_approve(struct control *c, const struct group *g, const char *who,
                           struct err *e);
// Asks to give a transfer up. Its id, 0: none is under way, -1: error.
long long transfer_abort(struct control *c, const struct group *g, struct err *e);

// Ends the reverse stream of `r->group` (of `r`: group, who, why and force count): the legacy is
// kept as it is, sealed, and a rollback is refused from then on. `guards`: those of a rollback,
// which prove that the legacy has everything; what refuses is ERR_DENIED unless forced.
int transfer_complete(struct control *c, const struct conf *conf, const struct route_table *t,
                      const struct transfer_request *r, struct guard *guards, size_t *n,
                      struct err *e) FICUS_MUST_CHECK;
// How the reason of a stream that was ended so begins (ficus.stream_state).
#define TRANSFER_COMPLETED "completed by "

#endif
