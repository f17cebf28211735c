// SPDX-License-Identifier: Apache-2.0
// A queue of byte records, written once and read in order: in memory while it is small, beyond
// that in an unlinked temporary file ($TMPDIR, else /tmp). One thread at a time.
#ifndef FICUS_CDC_SPOOL_H
#define FICUS_CDC_SPOOL_H

#include "base/buf.h"

struct spool {
    struct buf memory; // while writing: not on disk yet; while reading: a window of the file
    size_t memory_max; // bytes in memory
    int fd;            // -1: nothing is on disk
    long long written; // bytes on disk
    long long records;
    long long read_at; // next byte of the file; then
    size_t at;         // next byte of `memory`
    bool reading;
};

void spool_init(struct spool *s, size_t memory_max);
void spool_free(struct spool *s);
// ERR_LIMIT when the disk is full.
int spool_add(struct spool *s, const void *data, size_t len, struct err *e) FICUS_MUST_CHECK;
// From the first record; nothing can be added any more.
int spool_rewind(struct spool *s, struct err *e) FICUS_MUST_CHECK;
// 1 and the record (valid until the next call), 0 at the end, -1 on error.
int spool_next(struct spool *s, struct str *record, struct err *e) FICUS_MUST_CHECK;

#endif
