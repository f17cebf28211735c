// SPDX-License-Identifier: Apache-2.0
// Shared by transfer.c (the coordinator), transfer_steps.c and transfer_guards.c only.
#ifndef FICUS_CDC_TRANSFER_INT_H
#define FICUS_CDC_TRANSFER_INT_H

#include "cdc/transfer.h"
#include "connectors/odbc/odbc.h"

// One attempt to finish one row of ficus.transfer. Lives on the coordinator's stack.
// How young a heartbeat makes an instance count as alive.
#define TRANSFER_ALIVE "interval '5 seconds'"

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
    bool maybe_opened;        // an attempt of this row recorded that it would open `target`
    bool abort_asked;
    uint64_t hold_started_ns, flipped_ns, beat_ns;
};

// Takes a new epoch and makes this process the one whose steps count. ERR_STALE: the row was
// finished or taken by a later attempt.
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

#endif
