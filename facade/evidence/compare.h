// SPDX-License-Identifier: Apache-2.0
// Compares two canonical results of one read, field by field.
#ifndef FICUS_FACADE_COMPARE_H
#define FICUS_FACADE_COMPARE_H

#include "facade/operation.h"

struct mismatch {
    const struct field *field; // NULL: a row, a count or the status as a whole
    struct str key;            // of the record; "" for the whole
    struct value legacy, new_;
    const char *whole; // of a whole: "status", "rows", "order", ..; NULL for a field
};
#define MISMATCHES_MAX 16

// 0: equal. Otherwise how many fields differ (all counted, the first ones in `out`). A value
// that the legacy holds and the canonical type cannot (VALUE_FOREIGN) differs from what its
// policy made of it on the other side: a client would see it (mismatch_is_policy tells).
unsigned result_compare(const struct operation *op, const struct result *legacy,
                        const struct result *new_, struct arena *a, struct mismatch *out);
// The new side holds exactly what the field's policy makes of the legacy's value.
bool mismatch_is_policy(const struct mismatch *m);

// In which way the two values differ: absent, null, policy, padding, scale, zone, case, order,
// status, rows, related, value. Only a word: every difference that a client would see counts.
const char *mismatch_kind(const struct mismatch *m);

#endif
