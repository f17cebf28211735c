// SPDX-License-Identifier: Apache-2.0
// Checksums that a store computes over a slice of an entity; equal slices give equal checksums
// on both sides, whatever the DBMS. One thread; the reader's connection is used.
#ifndef FICUS_CDC_CHECKSUM_H
#define FICUS_CDC_CHECKSUM_H

#include "cdc/reader.h"

struct checksum {
    long long rows;
    char sum[48];
    long long wire; // bytes of the answer
};

int checksum_take(struct reader *r, const struct scan_query *slice, struct arena *a,
                  struct checksum *out, struct err *e) FICUS_MUST_CHECK;
bool checksum_equal(const struct checksum *a, const struct checksum *b);
// The first key part that `skip` rows of the slice stand before; not *found: fewer rows.
int checksum_split(struct reader *r, const struct scan_query *slice, size_t skip, struct arena *a,
                   struct value *out, bool *found, struct err *e) FICUS_MUST_CHECK;

#endif
