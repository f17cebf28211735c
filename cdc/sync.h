// SPDX-License-Identifier: Apache-2.0
// `ficus sync`: capture of both stores, apply into both, snapshot, coordinator of transfers.
// Threads, each with connections of its own and blocking calls only:
//   capture.legacy   changelog -> re-read aggregates -> topics <prefix>.legacy.*
//   capture.new      pgoutput -> topics <prefix>.new.*
//   apply.new        topics <prefix>.legacy.* -> PostgreSQL
//   apply.legacy     topics <prefix>.new.* -> ODBC
//   snapshot         chunks by key range, handed to the capture thread of that side
//   coordinator      transfers (cdc/transfer/transfer.h)
//   dual             asks after writes of dual groups, and their answers
//   report           stream_state rows, heartbeat, metrics endpoint
// Capture of a side runs in one process at a time (advisory lock, term); apply is shared out
// by partitions among all processes of the consumer group.
#ifndef FICUS_CDC_SYNC_H
#define FICUS_CDC_SYNC_H

#include "base/conf.h"
#include "routes/live.h"

struct sync;

struct sync *sync_start(const struct conf *conf, const struct entity_set *set, struct err *e);
void sync_stop(struct sync *s); // clean: positions saved, producer flushed; NULL is fine

#endif
