// SPDX-License-Identifier: Apache-2.0
// Decoder of PostgreSQL's pgoutput logical replication messages, protocol version 1
// (PostgreSQL 15 documentation, 55.9 "Logical Replication Message Formats"). Pure: bytes in,
// one message out; a short or malformed message is ERR_INVALID as a whole.
#ifndef FICUS_CONNECTORS_PGOUTPUT_H
#define FICUS_CONNECTORS_PGOUTPUT_H

#include "base/arena.h"
#include "base/value.h"

#include <stdint.h>

enum pgoutput_kind {
    PGOUTPUT_BEGIN,
    PGOUTPUT_COMMIT,
    PGOUTPUT_ORIGIN,
    PGOUTPUT_RELATION,
    PGOUTPUT_TYPE,
    PGOUTPUT_INSERT,
    PGOUTPUT_UPDATE,
    PGOUTPUT_DELETE,
    PGOUTPUT_TRUNCATE,
    PGOUTPUT_MESSAGE,
};

struct pgoutput_column {
    char name[64];
    uint32_t type_oid;
    bool key;
};

struct pgoutput_relation {
    uint32_t oid;
    char schema[64], table[64];
    char identity; // 'd','n','f','i'
    size_t ncolumns;
    struct pgoutput_column *columns;
};

// A cell that was TOASTed and unchanged is VALUE_ABSENT: never NULL.
struct pgoutput_tuple {
    size_t n;
    struct value *cells;
};

struct pgoutput_message {
    enum pgoutput_kind kind;
    uint64_t lsn;                 // BEGIN: final LSN; COMMIT: end LSN; MESSAGE: its LSN
    uint64_t commit_us;           // BEGIN, COMMIT: microseconds since 1970
    uint32_t xid;                 // BEGIN
    uint32_t relation;            // row messages
    struct pgoutput_relation rel; // RELATION
    bool has_old;
    char old_kind; // 'K' key columns only, 'O' full old row
    struct pgoutput_tuple old, new_;
    char origin[64];     // ORIGIN; cut when longer, like prefix
    bool transactional;  // MESSAGE
    char prefix[64];     // MESSAGE
    struct str content;  // MESSAGE
    uint32_t *truncated; // TRUNCATE
    size_t ntruncated;
};

// `out` points into `bytes` and the arena.
int pgoutput_decode(struct str bytes, struct arena *a, struct pgoutput_message *out,
                    struct err *e) FICUS_MUST_CHECK;

#endif
