// SPDX-License-Identifier: Apache-2.0
// One change on its way: Debezium's envelope in JSON (debezium.io, "Change event value"),
// one topic an entity and side, key = JSON object of the entity's key fields. With kafka.schema
// both stand in {"schema":S,"payload":P}; the partition is that of the bare key, either way.
// Headers of ours: ficus-term (capture's term), ficus-origin (side), and on control messages
// ficus-marker (text) with ficus-through (changelog seq). A control message is a tombstone
// (null value), so that plain consumers and sinks pass over it.
#ifndef FICUS_CDC_EVENT_H
#define FICUS_CDC_EVENT_H

#include "connectors/kafka/kafka.h"
#include "migrations/query.h"

#define MARKER_HEARTBEAT "heartbeat"

enum change_op { CHANGE_CREATE = 'c', CHANGE_UPDATE = 'u', CHANGE_DELETE = 'd', CHANGE_READ = 'r' };

struct change {
    const struct entity *entity;
    enum side from;
    enum change_op op;
    struct str key;             // key text (entity_key_text)
    const struct value *after;  // by field index; ABSENT where not carried; NULL on delete
    const struct value *before; // as known; usually NULL (key-only changelog)
    uint64_t commit_us;         // wall time of the commit at its source, 0 unknown
    long long seq;              // changelog seq or LSN, for people and for latency
    long long term;
};

// Stream and topic names: "legacy.account", "<prefix>.legacy.account".
void stream_name(const struct entity *en, enum side from, char *out, size_t size);
void topic_name(const char *prefix, const struct entity *en, enum side from, char *out,
                size_t size);

// Texts that stand before the payload of a key and of a value.
struct event_schema {
    struct buf key, value;
};
int event_schema_make(struct event_schema *s, const struct entity *en, const char *topic,
                      struct err *e) FICUS_MUST_CHECK;
void event_schema_free(struct event_schema *s);
// A bare key -> as it is sent with its schema.
int event_wrap_key(const struct event_schema *s, struct str key, struct buf *out,
                   struct err *e) FICUS_MUST_CHECK;
// Under a schema each field has one type: JSON and what no int64 holds go as text.
bool event_as_text(const struct field *f);

// The bare key, and the value with its schema (NULL: without). A VALUE_FOREIGN that its policy does not replace is written as its raw
// text with header ficus-foreign naming field and problem, so that apply parks it in sight.
int event_encode(const struct change *c, const char *prefix, struct buf *key, struct buf *value,
                 struct buf *foreign, const struct event_schema *schema,
                 struct err *e) FICUS_MUST_CHECK;

// Kafka key of a key text, and of a control message, without encoding a whole change.
int event_key_json(const struct entity *en, struct str key, struct buf *out,
                   struct err *e) FICUS_MUST_CHECK;
void event_marker_key(const struct entity *en, struct buf *out);

enum event_kind { EVENT_CHANGE, EVENT_MARKER, EVENT_TOMBSTONE };
struct event {
    enum event_kind kind;
    struct change change;
    struct str marker;  // EVENT_MARKER
    long long through;  // control messages; -1 none
    struct str foreign; // "field:problem" of values that may not cross, "" when none
};
// A message -> event. `after` has nfields entries, policies applied. ERR_INVALID/ERR_VALUE:
// malformed, to be parked whole; change.key is then set when the message's key could be read.
int event_decode(const struct entity *en, enum side from, const struct kafka_message *m,
                 struct arena *a, struct event *out, struct err *e) FICUS_MUST_CHECK;
// The same as far as the message's key tells, its value unread: kind, marker, change.key. (A legacy's
// own Debezium topics are decoded whole.)
int event_decode_key(const struct entity *en, enum side from, const struct kafka_message *m,
                     struct arena *a, struct event *out, struct err *e) FICUS_MUST_CHECK;

#endif
