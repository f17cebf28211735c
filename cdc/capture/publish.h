// SPDX-License-Identifier: Apache-2.0
// Writes changes and control messages of one side to its topics and tells how far the broker
// has acknowledged them. One thread: the capture thread of that side.
#ifndef FICUS_CDC_PUBLISH_H
#define FICUS_CDC_PUBLISH_H

#include "cdc/sync_int.h"

#define PUBLISH_MARKS 1024

// Everything produced with a ticket <= `ticket` done means the source is done up to `position`.
struct publish_mark {
    uint64_t ticket;
    uint64_t position;
};

struct publisher {
    struct sync *sync;
    enum side side;
    char term[24];
    struct kafka_producer *producer;
    int *partitions;  // of each entity's topic
    const bool *held; // by entity: gets no control messages, since changes before them are held
    struct buf key, value, foreign, sent_key;
    struct event_schema *schemas; // by entity; NULL: events go without (kafka.schema)
    bool cloudevents;
    uint64_t ticket;                          // of the last message
    uint64_t counted;                         // ticket up to which `published` was counted
    struct publish_mark marks[PUBLISH_MARKS]; // a ring
    size_t first, nmarks;
    uint64_t published; // position
};

// Makes missing topics first. ERR_UNREACHABLE while the broker is away.
int publisher_open(struct publisher *p, struct sync *s, enum side side, long long term,
                   uint64_t published, struct err *e) FICUS_MUST_CHECK;
// What goes out from now on carries this term.
void publisher_term(struct publisher *p, long long term);
void publisher_close(struct publisher *p);
// A delete is followed by its tombstone. Waits while the local queue is full.
int publish_change(struct publisher *p, size_t entity, const struct change *c,
                   struct err *e) FICUS_MUST_CHECK;
// To every partition of every topic of the side. `through` -1: none.
int publish_control(struct publisher *p, struct str marker, long long through,
                    struct err *e) FICUS_MUST_CHECK;
// To one entity's partitions, held or not.
int publish_control_to(struct publisher *p, size_t entity, struct str marker, long long through,
                       struct err *e) FICUS_MUST_CHECK;
// To one partition of an entity that is not held.
int publish_control_in(struct publisher *p, size_t entity, int32_t partition, struct str marker,
                       struct err *e) FICUS_MUST_CHECK;
// Where changes of a key go.
int publisher_partition(struct publisher *p, size_t entity, struct str key, int32_t *out,
                        struct err *e) FICUS_MUST_CHECK;
// The source's position once all that was produced so far is acknowledged.
void publisher_mark(struct publisher *p, uint64_t position);
int publisher_poll(struct publisher *p, unsigned ms, struct err *e) FICUS_MUST_CHECK;
bool publisher_idle(const struct publisher *p); // nothing unacknowledged

#endif
