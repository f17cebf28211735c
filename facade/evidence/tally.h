// SPDX-License-Identifier: Apache-2.0
// What operations of each route did, on its way to the control store: hits, the two arms
// (answers, errors, durations), which kinds of reads clients used, who still calls a retired
// route. One a loop: noted by it without a lock, drained by the ledger's thread.
#ifndef FICUS_FACADE_TALLY_H
#define FICUS_FACADE_TALLY_H

#include "facade/operation.h"

struct tally;
struct control;

struct tally *tally_create(struct err *e);
void tally_destroy(struct tally *t); // NULL is fine
// Thread: the loop's.
void tally_note(struct tally *t, const struct route *r, const struct operation *op,
                const struct result *x, uint64_t duration_ns);
// Writes what has gathered since the last call; what could not be written is kept. Blocking.
// Thread: one at a time, not a loop.
int tally_flush(struct tally *t, struct control *c, const char *instance,
                struct err *e) FICUS_MUST_CHECK;

#endif
