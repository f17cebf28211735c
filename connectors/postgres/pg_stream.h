// SPDX-License-Identifier: Apache-2.0
// A logical replication stream: one slot, one publication, pgoutput. One thread.
#ifndef FICUS_CONNECTORS_PG_STREAM_H
#define FICUS_CONNECTORS_PG_STREAM_H

#include "connectors/postgres/pgoutput.h"

#include <stdatomic.h>

struct pg_stream;

struct pg_stream_options {
    const char *conninfo;
    const char *slot; // created when missing only if `create`
    const char *publication;
    bool create;
    uint64_t start_lsn; // resume here; 0: the slot's confirmed position
    // Making a slot waits for every transaction that is open on the server. NULL: to its end; else
    // until this becomes true (ERR_CANCELLED).
    const atomic_bool *stop;
};

int pg_stream_open(const struct pg_stream_options *o, struct pg_stream **out, struct err *e)
    FICUS_MUST_CHECK; // ERR_SCHEMA: slot lost or missing (a new snapshot is due)
void pg_stream_close(struct pg_stream *s);
// 1: a message (memory of `a`), 0: none within `ms`, -1: error. Answers keepalives.
int pg_stream_next(struct pg_stream *s, unsigned ms, struct arena *a, struct pgoutput_message *out,
                   struct err *e) FICUS_MUST_CHECK;
// Everything up to `lsn` is durable elsewhere. Reported with the next status message, at the
// latest after a second.
void pg_stream_confirm(struct pg_stream *s, uint64_t lsn);
uint64_t pg_stream_server_lsn(const struct pg_stream *s);   // end of WAL the server last told
const char *pg_stream_system_id(const struct pg_stream *s); // IDENTIFY_SYSTEM
unsigned pg_stream_timeline(const struct pg_stream *s);

void pg_lsn_text(uint64_t lsn, char out[24]);
int pg_lsn_parse(struct str s, uint64_t *out, struct err *e) FICUS_MUST_CHECK;

#endif
