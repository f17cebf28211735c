// SPDX-License-Identifier: Apache-2.0
// Rows that move in the new side's heap while its pages are walked. Thread: the run's.
#ifndef FICUS_CDC_RECONCILE_HEAP_H
#define FICUS_CDC_RECONCILE_HEAP_H

#include "cdc/reconcile/reconcile_recheck.h"

// Before the first page is read: fills p->heap.
int heap_begin(struct pass *p, struct err *e) FICUS_MUST_CHECK;
// After the last one: keys of rows written since heap_begin whose sides differ become candidates;
// p->blind is set when the walk is worth nothing.
int heap_end(struct pass *p, struct err *e) FICUS_MUST_CHECK;

#endif
