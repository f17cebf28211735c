// SPDX-License-Identifier: Apache-2.0
// What the streams have carried: their ends when a run begins, the keys that passed since, and
// the last events of a few keys. Reads topics from beside. One thread.
#ifndef FICUS_CDC_RECONCILE_EVENTS_H
#define FICUS_CDC_RECONCILE_EVENTS_H

#include "cdc/event/event.h"
#include "cdc/reconcile/reconcile_int.h"
#include "connectors/kafka/kafka_reader.h"

// {"legacy_seq": n, "streams": {"legacy.account": [offset, ..], ..}} of the entities. Owned.
json_t *positions_now(const struct reconcile_options *o, struct odbc_conn *odbc, struct err *e);
// Every key of the entity that either topic carried, or the legacy's changelog noted, since
// those positions. A key comes once or several times. ERR_LIMIT: they do not reach back so far.
typedef int events_key_fn(void *ctx, struct str key, struct err *e);
int events_keys_since(const struct pass *p, const json_t *positions, events_key_fn *each, void *ctx,
                      struct err *e) FICUS_MUST_CHECK;

// One key whose events are wanted. Hashes as scan_hash gives them.
struct event_trail {
    struct str key;
    struct {
        bool seen;
        bool gone;          // the last one was a deletion
        XXH128_hash_t last; // of the last one's row
        bool stale;         // the other side's row is one that came before the last
        char text[EVENT_TEXT_MAX];
    } side[2];
    XXH128_hash_t row[2]; // what each side holds
    bool has_row[2];
};
// Reads the last part of both topics (bounded in count and time).
int events_trail(const struct pass *p, struct event_trail *trails, size_t n,
                 struct err *e) FICUS_MUST_CHECK;

#endif
