// SPDX-License-Identifier: Apache-2.0
// Why rows differ. Rows that outlived the markers are handed in block by block; what can be
// asked of the stores for a block at a time is asked so, what must be read from the topics is
// read once at the end, for the samples. Then one field that differs in many rows without a
// better reason is one mistake in a map, not as many differences. One thread.
#ifndef FICUS_CDC_RECONCILE_CAUSE_H
#define FICUS_CDC_RECONCILE_CAUSE_H

#include "cdc/reconcile/reconcile_int.h"

struct causes;

int causes_open(struct pass *p, struct causes **out, struct err *e) FICUS_MUST_CHECK;
void causes_close(struct causes *c); // NULL is fine
// A row that differs; its memory is good until causes_block.
int causes_row(struct causes *c, const struct reader_row *legacy, const struct reader_row *new_,
               struct err *e) FICUS_MUST_CHECK;
int causes_block(struct causes *c, struct err *e) FICUS_MUST_CHECK;
int causes_finish(struct causes *c, struct err *e) FICUS_MUST_CHECK;

#endif
