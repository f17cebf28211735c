// SPDX-License-Identifier: Apache-2.0
// Mends what a reconciliation found. Away from the owner nothing is written by us: the key is
// noted once more in the owner's own log, inside a transaction that finds the owner's row as it
// was seen, and the stream carries the row's present state, in order with every live write:
//
//   owner legacy: a changelog row of the key          -> capture reads the aggregate -> apply
//   owner new:    the row written onto itself         -> the write-ahead log        -> apply
//                 (gone there: created and deleted in one transaction)
//
// So a repair cannot overtake or undo a write; a key whose row moved meanwhile is left to the
// event that moved it. Repeating it changes nothing. Toward the owner it is a first-hand write of
// the other side's row, compare-and-set on what was seen, and needs a second person's approval.
#ifndef FICUS_CDC_REPAIR_H
#define FICUS_CDC_REPAIR_H

#include "cdc/reconcile/reconcile.h"

struct repair_options {
    bool toward_owner;
    bool dry_run;
    long long limit;                                           // rows at most; 0: no limit
    long long rows_per_s;                                      // 0: no bound
    void (*progress)(void *ctx, long long done, long long of); // NULL: none
    void *ctx;
};
struct repair_report {
    long long found;   // rows that differ
    long long written; // of them: noted for the stream, or written
    long long moved;   // no longer as seen: left to the event that moved them
    long long refused; // the store did not take it
    long long skipped; // beyond the limit
    long long mended;  // found equal afterwards, behind markers
    long long left;    // still different
    char refusal[512]; // the first
};

struct repair;
int repair_create(const struct reconcile_options *o, struct repair **out,
                  struct err *e) FICUS_MUST_CHECK;
void repair_destroy(struct repair *r); // NULL is fine
// Goes into reconcile_options.each with the repair as `ctx`.
int repair_note(void *repair, const struct entity *en, struct str key, const struct value *legacy,
                const struct value *new_, struct err *e) FICUS_MUST_CHECK;
int repair_run(struct repair *r, const struct repair_options *o, struct control *c,
               struct repair_report *out, struct err *e) FICUS_MUST_CHECK;

#endif
