// SPDX-License-Identifier: Apache-2.0
// What the walks of a first pass have done; reconcile_ledger.c.
#ifndef FICUS_CDC_RECONCILE_LEDGER_H
#define FICUS_CDC_RECONCILE_LEDGER_H

#include "cdc/reconcile/reconcile_int.h"

struct ledger {
    struct pass *p;
    pthread_mutex_t lock;
    struct sketch sum;       // of the sketch plan; under lock
    struct range_done *done; // not on record yet; under lock
    size_t ndone, room;      // under lock
    uint64_t saved;          // when; under lock
};

// Takes up the sketch that an earlier process left.
int ledger_open(struct ledger *l, struct pass *p, struct err *e) FICUS_MUST_CHECK;
void ledger_close(struct ledger *l);
// One range is through. Takes its waiting prints, and empties `rows` (NULL: not sketched).
// Thread: a walk's, with its connection. Locks: the ledger's.
int ledger_add(struct ledger *l, struct range_done *one, struct sketch *rows, struct pg_conn *pg,
               struct err *e) FICUS_MUST_CHECK;
// All ranges are through: what the sketch tells goes to the pool's candidates; p->blind when it
// holds more than it can tell.
int ledger_finish(struct ledger *l, struct err *e) FICUS_MUST_CHECK;

#endif
