// SPDX-License-Identifier: Apache-2.0
// Shared by apply.c (consumer, partitions), apply_batch.c (one batch, one sink transaction),
// apply_fence.c (what the owner's store does not take), apply_anew.c (lost messages) and park.c (parked events, retries) only.
#ifndef FICUS_CDC_APPLY_INT_H
#define FICUS_CDC_APPLY_INT_H

#include "cdc/apply/sink.h"
#include "cdc/capture/drift.h"
#include "cdc/capture/leader.h"
#include "cdc/dual_post.h"
#include "cdc/keymap.h"

#define PARTS_MAX 4096

// One partition that this applier owns. What the sink's row holds: next, epoch, term, through,
// opened, print.
struct part {
    size_t entity;
    int32_t partition;
    int64_t next; // expected in the sink
    long long epoch, term, through;
    long long opened;  // epoch of the source's last opening that this partition has told of
    long long print;   // of the message before `next`; 0: not known
    bool probe;        // that message comes first, to be compared
    bool paused;       // its messages are passed over
    bool fetch_paused; // and not fetched either
    int64_t high;      // the topic's end, as last heard
    bool in_batch;     // has messages in the batch at hand; then what it moves to:
    int64_t new_next;
    long long new_term, new_through, new_opened, new_print;
    bool pending; // moved by heartbeats only, which wait a little for company: to
    int64_t pend_next;
    long long pend_term, pend_through, pend_opened, pend_print;
};

// What a store says of a group.
struct fence {
    bool known;
    bool writable;
    long long opened; // by this epoch; 0: never
};

// A message of the batch that changes a row, or is parked.
struct item {
    struct event event;
    const struct kafka_message *message;
    size_t entity, part;
    long long opened;   // of its partition, where it stands
    bool superseded;    // a later item of the same key stands for it
    bool refused;       // older than what the sink's store was opened with: see apply_fence.c
    const char *reason; // not NULL: to be parked
    char sqlstate[6];
    struct str detail;
};

struct control_item {
    struct str marker;
    size_t part;
    bool dual; // nobody looks for it in the store: `mark` is answered after the commit
    struct dual_mark mark;
};

struct applier {
    struct sync *s;
    enum side from;
    struct sink *sink;
    struct drift *drift; // of the sink's tables
    struct buf why;
    long refused;           // entity whose statements failed, -1: none
    char refused_with[300]; // the store's words
    struct kafka_consumer *consumer;
    struct part *parts;
    size_t nparts;
    struct kafka_message *messages; // batch_max
    struct item *items;             // batch_max
    size_t nitems;
    struct control_item *controls; // batch_max
    size_t ncontrols;
    size_t *order;            // batch_max: items of one entity and kind
    struct fence *fences;     // by entity, of the batch
    struct keymap keys;       // (entity, key) -> item, of the batch
    struct keymap parked;     // (entity, key): has parked events
    size_t nparked, nwaiting; // open parked events, and those waiting for a parent
    long long retried;        // waiting keys up to this id had their turn
    struct arena *arena;
    bool applied; // rows, since the last retry
    bool careful; // row faults are looked for
    uint64_t retry_ns, watermark_ns;
    uint64_t pending_ns; // since when heartbeats wait; 0: none
    char now[20];
};

// Messages -> items. Never fails for a message's own sake.
int batch_take(struct applier *ap, size_t n, struct err *e) FICUS_MUST_CHECK;
// The batch holds nothing but heartbeats, and the oldest can wait: it is kept for the next one.
bool batch_waits(struct applier *ap);
// Heartbeats have waited long enough.
bool batch_due(const struct applier *ap);
// Items -> one sink transaction. On success positions have moved.
int batch_write(struct applier *ap, struct err *e) FICUS_MUST_CHECK;
// A partition's position from what it was to what is new, in the sink's open transaction.
int batch_move(struct applier *ap, const struct part *p, struct err *e) FICUS_MUST_CHECK;
// Rows of one entity in [lo, hi) of ap->order; with `careful`, rows at fault become parked items.
int batch_rows(struct applier *ap, size_t entity, bool remove, size_t lo, size_t hi,
               struct err *e) FICUS_MUST_CHECK;
// An entity whose table is not what the map says: its partitions stop until someone resumes.
int apply_stop_entity(struct applier *ap, size_t entity, const char *reason,
                      struct err *e) FICUS_MUST_CHECK;

// What a message is known by again: never 0.
long long anew_print(const struct kafka_message *m);
// Where fetching begins: at the message before the position, when that one is known.
int64_t anew_start(struct part *p);
// The partition's first messages since it was assigned: is it the topic that was read before? 0
// also when it is not: then its stream is stopped.
int anew_probe(struct applier *ap, size_t n, struct err *e) FICUS_MUST_CHECK;
// The position is not there any more (`e` says so): true when that was only the probe's, and
// fetching goes on at the position itself.
bool anew_unprobed(struct applier *ap, const struct err *e);
// Messages that were not applied are gone: the stream stops until a new copy is asked for.
void anew_lost(struct applier *ap, size_t entity, const char *why);
// Positions that someone gave up move to the first message that is there.
int anew_take(struct applier *ap, struct part *p, struct err *e) FICUS_MUST_CHECK;
// history_check() by what this sink has seen.
int anew_check_restored(struct applier *ap, struct err *e) FICUS_MUST_CHECK;
// A capture's term, and what it says of `through`.
void anew_term(struct part *p, long long term);

// The fence of an entity's group in the sink's store, read inside the sink's transaction, which
// holds it shared until it ends: no transfer opens the store in between.
int fence_read(struct applier *ap, size_t entity, struct fence *out,
               struct err *e) FICUS_MUST_CHECK;
// Whether that store takes no change that stood where its partition had told of `opened`.
bool fence_refuses(const struct fence *f, long long opened);
// Marks the batch's items that are not taken.
int fence_refuse(struct applier *ap, struct err *e) FICUS_MUST_CHECK;
// A marker of the source's opening: the partition has told of it, if it is of this group.
void fence_opened(struct applier *ap, struct part *p, struct str marker);

// Keys with open parked events, from the sink.
int park_load(struct applier *ap, struct err *e) FICUS_MUST_CHECK;
int park_write(struct applier *ap, const struct item *it, struct err *e) FICUS_MUST_CHECK;
// Replays what was asked for or waits for a parent, key by key in order.
int park_retry(struct applier *ap, struct err *e) FICUS_MUST_CHECK;

#endif
