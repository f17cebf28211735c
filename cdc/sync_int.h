// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the sync engine only: what every thread of one process sees. The
// fields of struct sync are set before the threads start and constant after, but for atomics.
#ifndef FICUS_CDC_SYNC_INT_H
#define FICUS_CDC_SYNC_INT_H

#include "base/log.h"
#include "base/metrics.h"
#include "cdc/event/event.h"
#include "cdc/pace.h"
#include "cdc/snapshot/snapshot.h"
#include "cdc/sync.h"
#include "cdc/transfer/transfer.h"

#include <pthread.h>
#include <stdatomic.h>

#define TOPIC_MAX 250

// One entity in one direction, counted since the process started.
struct stream_stat {
    char stream[160];
    char topic[TOPIC_MAX];
    bool foreign_topic; // written by a Debezium connector: neither made nor written here
    atomic_llong captured, published, applied, lag_events, lag_ms;
    long long rated; // report: `applied` when the rate was looked at last
    uint64_t rated_ns;
    atomic_bool paused;   // asked for (ficus sync pause) or stopped by apply
    atomic_bool anew;     // partitions may have been told to begin anew (ficus.anew)
    atomic_llong owned;   // partitions that this process applies
    atomic_llong parked;  // open parked events, of all processes
    pthread_mutex_t lock; // of the next three
    bool stop_asked;      // apply stopped by itself: to be told to the control store
    bool lost;            // ... because messages are gone
    char reason[400];
    struct metric *m_captured, *m_applied, *m_lag, *m_parked, *m_open, *m_refused;
};

struct sync {
    const struct conf *conf;
    const struct entity_set *set;
    const struct entity **entities;
    size_t nentities;
    const struct dbms *dbms; // of the legacy store
    const char *prefix;
    char instance[64];
    struct kafka_options kafka;
    unsigned partitions;
    size_t batch_max;
    size_t parked_max;
    struct pace copy_pace;          // of snapshots and direct copies
    struct stream_stat *streams[2]; // by side that the changes come from, then entity
    struct desk *desks[2];
    atomic_llong lead_term[2]; // of the capture that leads here
    struct live *live;
    struct dual_post *dual; // cdc/dual_post.h
    struct coordinator *coordinator;
    atomic_bool stop;
    pthread_t threads[9];
    size_t nthreads;
    struct sync_http *http;
    atomic_ullong apply_turns; // of apply.new: who waits for a pause to be seen waits for two
    atomic_bool pauses_known;  // report has read which streams are paused: others begin then
};

static inline bool sync_stopping(const struct sync *s)
{
    return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

// Sleeps up to `ms`, less when the process is to stop.
void sync_pause(const struct sync *s, unsigned ms);
// Index of an entity by name, -1 when there is no such map.
long sync_entity(const struct sync *s, struct str name);
int sync_open_legacy(const struct sync *s, struct odbc_conn **out, struct err *e) FICUS_MUST_CHECK;
int sync_open_pg(const struct sync *s, const char *what, struct pg_conn **out,
                 struct err *e) FICUS_MUST_CHECK;

// A stream that cannot go on: paused here at once, everywhere once report has told the control
// store. Thread: any.
void sync_stop_stream(struct sync *s, enum side side, size_t entity, const char *reason);
// ... because messages are gone: only a new copy makes it whole (cdc/apply/apply_anew.c).
void sync_lose_stream(struct sync *s, enum side side, size_t entity, const char *reason);

// Runs `once` again and again until the process stops, with growing pauses after errors; an
// error is logged when it is new and then once a minute.
void sync_supervise(struct sync *s, const char *name, int (*once)(struct sync *s, struct err *e));

// The first `max` bytes of a text as a store takes it: UTF-8 without NUL, what is not shown with
// U+FFFD. In the arena; empty when memory is out.
struct str park_text(struct str s, size_t max, struct arena *a);

int capture_legacy_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
int capture_new_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
int apply_new_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
int apply_legacy_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
int snapshot_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;
int report_once(struct sync *s, struct err *e) FICUS_MUST_CHECK;

// Health and metrics over HTTP/1.0, one request a connection.
struct sync_http *sync_http_start(struct sync *s, const char *address, struct err *e);
void sync_http_stop(struct sync_http *h);

#endif
