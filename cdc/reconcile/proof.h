// SPDX-License-Identifier: Apache-2.0
// The receipt of a reconciliation: what was compared, when, by whom, between which positions of
// both streams, under which epochs; hashed, and signed with HMAC-SHA256 under reconcile.receipt_key.
// A cutover relies on it only while it is fresh, whole and genuine. Thread: any.
#ifndef FICUS_CDC_PROOF_H
#define FICUS_CDC_PROOF_H

#include "cdc/reconcile/reconcile.h"

// Fills r->receipt: JSON text in the arena. Unsigned when no key is configured.
int proof_make(const struct conf *conf, const char *who, struct reconcile_report *r,
               struct arena *a, struct err *e) FICUS_MUST_CHECK;
// Whether a receipt is what proof_make made. ERR_DENIED: it was changed, or is not signed while a
// key is configured, or by another key.
int proof_verify(const struct conf *conf, const json_t *receipt, struct err *e) FICUS_MUST_CHECK;

// What the newest full runs say of a group. Only receipts that verify count.
struct proof_verdict {
    size_t entities;       // of the group
    size_t proven;         // of them: complete, by a genuine receipt, not older than asked
    long long differences; // in those runs
    long long oldest_s;    // age of the oldest of them; -1: some entity has none
    char why[256];         // the first reason against; "" when all is well
};
int proof_of_group(struct control *c, const struct conf *conf, const struct group *g,
                   long long max_age_s, struct proof_verdict *out, struct err *e) FICUS_MUST_CHECK;

#endif
