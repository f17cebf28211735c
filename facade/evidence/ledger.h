// SPDX-License-Identifier: Apache-2.0
// The thread that carries what a facade has seen to the control store once a second: shadow
// evidence, tallies, and then the look at whether a route must be taken back. It has its own
// connection, so that a slow store never delays the live table.
#ifndef FICUS_FACADE_LEDGER_H
#define FICUS_FACADE_LEDGER_H

#include "facade/evidence/evidence.h"
#include "facade/evidence/tally.h"
#include "routes/live.h"

struct ledger;

struct ledger_options {
    const struct conf *conf;
    struct live *live;
    struct evidence *evidence;
    struct tally *const *tallies; // copied; they outlive the ledger
    size_t ntallies;
};

struct ledger *ledger_start(const struct ledger_options *o, struct err *e);
// Writes what is left, for as long as the store answers, and frees. NULL is fine.
void ledger_stop(struct ledger *l);

#endif
