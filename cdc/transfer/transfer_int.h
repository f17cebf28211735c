// SPDX-License-Identifier: Apache-2.0
// Shared by transfer.c (the coordinator), transfer_steps.c and transfer_guards.c only.
#ifndef FICUS_CDC_TRANSFER_INT_H
#define FICUS_CDC_TRANSFER_INT_H

#include "cdc/transfer/transfer.h"
#include "connectors/odbc/odbc.h"

// How young a heartbeat makes an instance count as alive.
#define TRANSFER_ALIVE "interval '5 seconds'"

// One attempt to finish one row of ficus.transfer. Lives on the coordinator's stack.
struct attempt {
    const struct conf *conf;
    struct control *control;
    const struct route_table *table;
    const struct group *group;
    struct odbc_conn *legacy; // opened on first use, closed by attempt_close
    const char *coordinator;  // instance id
    long long id;             // ficus.transfer.id
    long long epoch;          // of this attempt
    enum side target;         // who shall own the group
    // What earlier attempts have recorded; final, as none of them records anything any more.
    bool touched;      // one began to hold the group
    bool maybe_opened; // one, or this, recorded that it would open `target`
    bool aborting;     // one has begun to give the group back
    bool seal_failed;  // and certainly: nothing was committed
    bool abort_asked;
    bool end_holders;        // sessions that hold a fence are ended
    long long ended_holders; // so many were
    uint64_t hold_started_ns, flipped_ns, beat_ns;
};

// Takes a new epoch and makes this process the one whose steps count; learns what was recorded
// before. ERR_STALE: the row was finished or taken by a later attempt.
int attempt_begin(struct attempt *t, struct err *e) FICUS_MUST_CHECK;
// Records a step durably before its effect. ERR_STALE when a later attempt took over.
int attempt_step(struct attempt *t, const char *step, const char *detail,
                 struct err *e) FICUS_MUST_CHECK;
// Keeps the claim alive at most twice a second; learns of an abort request.
int attempt_beat(struct attempt *t, struct err *e) FICUS_MUST_CHECK;
int attempt_finish(struct attempt *t, const char *outcome, json_t *receipt,
                   struct err *e) FICUS_MUST_CHECK;
struct odbc_conn *attempt_legacy(struct attempt *t, struct err *e); // NULL on error
void attempt_close(struct attempt *t);

// The transfer proper: hold, seal the other side, drain it into the target (unless `drain`
// is false), open the target, flip the owner.
int transfer_give(struct attempt *t, enum side to, bool drain, struct err *e) FICUS_MUST_CHECK;
// Ends the hold of a group whose owner was not sealed; its epoch stays. Sound only when no other
// attempt of this transfer has come as far as to seal.
int transfer_let_go(struct attempt *t, struct err *e) FICUS_MUST_CHECK;

// ---- transfer_receipt.c
struct receipt_facts {
    const char *group, *kind, *who, *asked_why, *approved_by, *outcome, *why;
    bool forced;
    const struct guard *guards;
    size_t nguards;
};
json_t *receipt_make(const struct attempt *t, const struct receipt_facts *f); // owned

// ---- transfer_holders.c: who keeps a fence from being sealed. While the coordinator waits for
// the lock, a thread with connections of its own tells ficus.transfer.waiting whom it waits for,
// keeps the attempt's claim alive, and ends those sessions once half of cutover.drain_ms has
// passed if that was asked for. A lock that comes within HOLDERS_AFTER_MS costs one thread, no
// connection.
#define HOLDERS_AFTER_MS 300
struct holders;
// Before the attempt's connection to `side` waits. NULL: no thread; the wait then just goes
// unexplained.
struct holders *holders_watch(struct attempt *t, enum side side);
// Ends the thread (NULL is fine); `who` (size bytes) is whom it saw last, "" when nobody.
// Returns how many sessions it ended.
long long holders_stop(struct holders *h, char *who, size_t size);

#endif
