// SPDX-License-Identifier: Apache-2.0
// Walks a slice of an entity on one side and gives each row's key and fingerprint: what
// reconcile compares, and what capture's sweep compares with what it saw last. Chunk by chunk in
// the side's own key order, or the new side's heap page by page, each chunk one statement, so that
// no snapshot is held and memory is flat: a chunk grows while its rows are small. Equal canonical rows have equal fingerprints on
// either side; a value that must be parked equals nothing on the other side. One thread.
#ifndef FICUS_CDC_SCAN_H
#define FICUS_CDC_SCAN_H

#include "cdc/pace.h"
#include "cdc/reader.h"

#define XXH_STATIC_LINKING_ONLY // the type by value
#include <xxhash.h>

struct print {
    struct str key; // key text; valid during the call only
    XXH128_hash_t hash;
    bool null_key; // no key at all: it cannot be looked up
};
// 0 to go on; -1 with `e` set stops.
typedef int scan_each_fn(void *ctx, const struct print *p, struct err *e);

struct scan {
    struct reader *reader;
    struct scan_query slice;
    const struct pace *pace;       // NULL: full speed
    struct arena *statement, *row; // one chunk's; one row's
    struct buf last, flat;         // key text walked to; the row as it is hashed
    bool begun, done;
    bool by_page;        // of the heap,
    long long page, end; // the next one; where to stop, negative: at the table's end
    size_t limit;        // rows, or pages, of the next chunk
    long long rows;      // given so far
    long long bytes;     // of their values
    struct pacer pacer;
    scan_each_fn *each; // during a step
    void *ctx;
    size_t chunk_rows, chunk_bytes;
};

// Borrows all; the slice's bounds and filter must outlive the scan.
int scan_start(struct scan *s, struct reader *r, const struct scan_query *slice,
               const struct pace *pace, struct err *e) FICUS_MUST_CHECK;
// Of the new side's heap: pages first <= page < end (negative: to the table's end, in one
// statement). A row that is not written meanwhile is given once; one that moves may be given twice, or
// not at all: scan_written tells which those are.
int scan_start_pages(struct scan *s, struct reader *r, enum deleted_mode deleted, long long first,
                     long long end, const struct pace *pace, struct err *e) FICUS_MUST_CHECK;
void scan_stop(struct scan *s);
// One chunk; s->done when it was the last. May sleep, as the pace asks.
int scan_step(struct scan *s, scan_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;
// The new side's rows that were written since `oldest` (query_scan_written), in one statement and so
// under one snapshot: each once. `each` must not use the reader's connection.
int scan_written(struct reader *r, enum deleted_mode deleted, unsigned long long oldest,
                 scan_each_fn *each, void *ctx, struct err *e) FICUS_MUST_CHECK;
// The fingerprint of one canonical row. NULL: of no row.
XXH128_hash_t scan_hash(const struct reader *r, const struct value *values, struct buf *flat);

#endif
