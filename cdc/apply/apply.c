// SPDX-License-Identifier: Apache-2.0
// One applier a direction: a consumer of the group over all topics of the other side, and a
// sink. Owns both and the partitions' positions as the sink holds them. A partition is taken
// over by raising the epoch of its position row; whoever held it before then fails at its next
// commit. Anything unexpected ends the round; the next one begins from the sink's positions.
#include "cdc/apply/apply_int.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MS       50
#define RETRY_MS      1000
#define RETRY_SOON_MS 200 // after rows were applied while events wait for their parent
#define WATERMARK_MS  1000
#define ASK_MS        200

static const char *const names[] = {[SIDE_LEGACY] = "apply.new", [SIDE_NEW] = "apply.legacy"};

static long entity_of_topic(const struct applier *ap, const char *topic)
{
    for (size_t i = 0; i < ap->s->nentities; i++)
        if (strcmp(ap->s->streams[ap->from][i].topic, topic) == 0)
            return (long)i;
    return -1;
}

// Takes the position row over and reads it. The sink's transaction is open.
static int take_over(struct applier *ap, struct part *p, struct arena *a, struct err *e)
{
    char part[16];
    struct rows rows;
    long long next;
    snprintf(part, sizeof part, "%d", p->partition);
    const char *stream = ap->s->streams[ap->from][p->entity].stream;
    struct value v[] = {value_set(str_of(stream)), value_set(str_of(part))};
    if (sink_once(ap->sink, SINK_POSITION_INIT, v, 2, 2, e) ||
        sink_exec(ap->sink, SINK_POSITION_TAKE, v, 2, NULL, e) ||
        sink_query(ap->sink, SINK_POSITION_READ, v, 2, a, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &next) ||
        !str_to_int(value_str(rows.cells[1]), 1, INT64_MAX, &p->epoch) ||
        !str_to_int(value_str(rows.cells[2]), 0, INT64_MAX, &p->term) ||
        !str_to_int(value_str(rows.cells[3]), 0, INT64_MAX, &p->through) ||
        !str_to_int(value_str(rows.cells[4]), 0, INT64_MAX, &p->opened) ||
        !str_to_int(value_str(rows.cells[5]), 0, INT64_MAX, &p->print))
        return err_set(e, ERR_SCHEMA, "the position of %s/%s cannot be read", stream, part);
    p->next = next;
    p->paused = atomic_load(&ap->s->streams[ap->from][p->entity].paused);
    return 0;
}

static int assign_all(struct applier *ap, struct kafka_assignment *parts, size_t n, struct arena *a,
                      struct err *e)
{
    ap->nparts = 0;
    ap->pending_ns = 0;
    for (size_t i = 0; i < n && ap->nparts < PARTS_MAX; i++) {
        struct part *p = &ap->parts[ap->nparts];
        long entity = entity_of_topic(ap, parts[i].topic);
        if (entity < 0)
            return err_set(e, ERR_INTERNAL, "topic %s is not ours", parts[i].topic);
        *p = (struct part){.entity = (size_t)entity, .partition = parts[i].partition};
        if (take_over(ap, p, a, e))
            return -1;
        ap->nparts++;
    }
    return 0;
}

// Where each partition is to be read from. A stopped one may point at nothing any more.
static int begin_all(struct applier *ap, struct kafka_assignment *parts, struct err *e)
{
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        if (!p->paused && anew_take(ap, p, e))
            return -1;
        parts[i].next = p->paused ? -2 : anew_start(p);
    }
    return anew_check_restored(ap, e);
}

static int on_assign(void *arg, struct kafka_assignment *parts, size_t n, struct err *e)
{
    struct applier *ap = arg;
    struct log_ctx ctx = {names[ap->from], NULL, NULL};
    struct arena *a = arena_create(0);
    int result = a ? ap->sink->ops->begin(ap->sink, e) : err_memory(e);
    if (result == 0 && (result = assign_all(ap, parts, n, a, e)) == 0)
        result = ap->sink->ops->commit(ap->sink, e);
    else
        ap->sink->ops->rollback(ap->sink);
    if (result == 0 && (result = begin_all(ap, parts, e)) == 0 && (result = park_load(ap, e)) == 0)
        log_info(&ctx, "%zu partitions taken over, %zu events parked", n, ap->nparked);
    else
        ap->nparts = 0;
    arena_destroy(a);
    return result;
}

static void on_revoke(void *arg, const struct kafka_assignment *parts, size_t n)
{
    struct applier *ap = arg;
    (void)parts, (void)n;
    ap->nparts = 0; // nothing is in hand between batches but heartbeats, which come again
    ap->pending_ns = 0;
}

int apply_stop_entity(struct applier *ap, size_t entity, const char *reason, struct err *e)
{
    (void)e;
    sync_stop_stream(ap->s, ap->from, entity, reason);
    return 0;
}

// Pauses and resumes fetching as asked; a resumed partition is sought back to its position.
static int follow_pauses(struct applier *ap, struct err *e)
{
    bool pending = false;
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        struct stream_stat *st = &ap->s->streams[ap->from][p->entity];
        bool wanted = atomic_load(&st->paused);
        if (wanted == p->paused && wanted == p->fetch_paused) {
            pending |= p->pending;
            continue;
        }
        if (!wanted && (anew_take(ap, p, e) || kafka_consumer_seek(ap->consumer, st->topic,
                                                                   p->partition, anew_start(p), e)))
            return -1;
        if (kafka_consumer_pause(ap->consumer, st->topic, p->partition, wanted, e))
            return -1;
        p->paused = p->fetch_paused = wanted;
        p->pending = false; // it is read again from its position
    }
    if (!pending)
        ap->pending_ns = 0;
    return 0;
}

// What a fetch brings along tells where the topic ends. A partition that is not fetched is asked
// for, as long as the broker answers: *ask.
static int hear_end(struct applier *ap, struct part *p, bool *ask, struct err *e)
{
    const char *topic = ap->s->streams[ap->from][p->entity].topic;
    int64_t low, high = -1;
    if (!p->fetch_paused && kafka_watermarks(ap->consumer, topic, p->partition, &low, &high, 0, e))
        return -1;
    if (p->fetch_paused && *ask) {
        struct err away = {0};
        *ask = kafka_watermarks(ap->consumer, topic, p->partition, &low, &high, ASK_MS, &away) == 0;
    }
    if (high >= 0)
        p->high = high;
    return 0;
}

static int measure_lag(struct applier *ap, struct err *e)
{
    bool ask = true;
    uint64_t now = clock_mono_ns();
    if (now - ap->watermark_ns < WATERMARK_MS * 1000000ull)
        return 0;
    ap->watermark_ns = now;
    for (size_t entity = 0; entity < ap->s->nentities; entity++) {
        struct stream_stat *st = &ap->s->streams[ap->from][entity];
        long long lag = 0, owned = 0;
        for (size_t i = 0; i < ap->nparts; i++) {
            struct part *p = &ap->parts[i];
            if (p->entity != entity)
                continue;
            if (hear_end(ap, p, &ask, e))
                return -1;
            lag += p->high > p->next ? p->high - p->next : 0;
            owned++;
        }
        atomic_store(&st->owned, owned);
        atomic_store(&st->lag_events, lag);
        if (lag == 0)
            atomic_store(&st->lag_ms, 0);
    }
    return 0;
}

static int maybe_retry(struct applier *ap, struct err *e)
{
    uint64_t now = clock_mono_ns();
    bool soon = ap->nwaiting && ap->applied; // a parent may have come
    uint64_t every = (soon ? RETRY_SOON_MS : RETRY_MS) * 1000000ull;
    if (ap->nparts == 0 || now - ap->retry_ns < every)
        return 0;
    ap->retry_ns = now;
    ap->applied = false;
    return park_retry(ap, e);
}

static int query_sink(void *sink, struct str sql, const struct value *params, size_t n,
                      struct arena *a, struct rows *out, struct err *e)
{
    struct sink *k = sink;
    return k->ops->query(k, sql, params, n, a, out, e);
}

// What an entity's table became is better told than the store's first complaint about it.
static int stop_refused(struct applier *ap, struct err *e)
{
    size_t entity = (size_t)ap->refused;
    ap->refused = -1;
    if (drift_look(ap->drift, entity, &ap->why, e))
        return -1;
    return apply_stop_entity(ap, entity, ap->why.len ? ap->why.data : ap->refused_with, e);
}

// Rows are refused: because their table is another one now? *stopped then.
static int stop_drifted(struct applier *ap, bool *stopped, struct err *e)
{
    *stopped = false;
    for (size_t i = 0; i < ap->s->nentities; i++) {
        bool there = false;
        for (size_t k = 0; k < ap->nitems && !there; k++)
            there = ap->items[k].entity == i;
        if (!there)
            continue;
        if (drift_look(ap->drift, i, &ap->why, e))
            return -1;
        if (ap->why.len && apply_stop_entity(ap, i, ap->why.data, e))
            return -1;
        *stopped |= ap->why.len > 0;
    }
    return 0;
}

// The batch until it is committed: a fault of a row turns on `careful`, a busy store is asked
// again, an entity that had to stop leaves the batch.
static int write_batch(struct applier *ap, size_t n, struct err *e)
{
    struct log_ctx ctx = {names[ap->from], NULL, NULL};
    ap->careful = false;
    for (unsigned attempt = 0;; attempt++) {
        err_clear(e);
        if (batch_write(ap, e) == 0)
            return 0;
        enum verdict v = sink_verdict(ap->sink, e);
        if (e->code == ERR_STALE || !ap->sink->ops->alive(ap->sink) || sync_stopping(ap->s))
            return -1;
        if (v == VERDICT_ROW && ap->careful)
            return err_prefix(e, "a row fault outside of any row");
        bool stopped = ap->refused >= 0;
        struct err told = *e;
        if (stopped && stop_refused(ap, e))
            return -1;
        if (v == VERDICT_ROW && stop_drifted(ap, &stopped, e))
            return -1;
        if (v == VERDICT_ROW)
            ap->careful = !stopped;
        else if (attempt > 20)
            return -1;
        else if (v == VERDICT_RETRY && told.code != ERR_BUSY)
            log_warn(&ctx, "%s; trying again", told.msg);
        // What was decided in the failed attempt is undone by taking the batch again.
        if (follow_pauses(ap, e) || park_load(ap, e))
            return -1;
        arena_reset(ap->arena);
        if (batch_take(ap, n, e))
            return -1;
        if (v == VERDICT_RETRY)
            sync_pause(ap->s, attempt < 5 ? 10u << attempt : 500);
    }
}

// Messages may have been lost on the way here: the next round begins from the positions.
static int position_lost(struct applier *ap, struct err *e)
{
    if (anew_unprobed(ap, e))
        return 0;
    for (size_t i = 0; i < ap->s->nentities; i++)
        if (strstr(e->msg, ap->s->streams[ap->from][i].topic))
            anew_lost(ap, i, e->msg);
    return -1;
}

static int turn(struct applier *ap, struct err *e)
{
    struct log_ctx ctx = {names[ap->from], NULL, NULL};
    if (ap->from == SIDE_LEGACY)
        atomic_fetch_add(&ap->s->apply_turns, 1);
    long n = kafka_consumer_poll(ap->consumer, ap->pending_ns ? 2 : POLL_MS, ap->messages,
                                 ap->s->batch_max, e);
    if (n < 0)
        return e->code == ERR_STALE ? position_lost(ap, e) : -1;
    if (anew_probe(ap, (size_t)n, e))
        return -1;
    // A pause that came while this call waited holds for what it brought.
    if (n > 0 && follow_pauses(ap, e))
        return -1;
    if (n > 0 || batch_due(ap)) {
        uint64_t start = clock_mono_ns();
        arena_reset(ap->arena);
        if (batch_take(ap, (size_t)n, e) || (!batch_waits(ap) && write_batch(ap, (size_t)n, e)))
            return -1;
        log_debug(&ctx, "%ld messages, %zu events, %zu parked in all, %llu us", n, ap->nitems,
                  ap->nparked, (unsigned long long)(clock_mono_ns() - start) / 1000);
    }
    return follow_pauses(ap, e) || maybe_retry(ap, e) || measure_lag(ap, e) ? -1 : 0;
}

static int open_consumer(struct applier *ap, struct err *e)
{
    struct sync *s = ap->s;
    char group[300];
    const char **topics = calloc(s->nentities, sizeof *topics);
    struct kafka_topic *wanted = calloc(s->nentities, sizeof *wanted);
    size_t nwanted = 0;
    int result = topics && wanted ? 0 : err_memory(e);
    snprintf(group, sizeof group, "%s.%s", s->prefix, names[ap->from]);
    for (size_t i = 0; result == 0 && i < s->nentities; i++) {
        topics[i] = s->streams[ap->from][i].topic;
        if (!s->streams[ap->from][i].foreign_topic)
            wanted[nwanted++] = (struct kafka_topic){
                topics[i], s->partitions, (unsigned)conf_int(s->conf, "kafka.replication"), false};
    }
    struct kafka_consumer_options o = {.kafka = s->kafka,
                                       .group = group,
                                       .topics = topics,
                                       .ntopics = s->nentities,
                                       .on_assign = on_assign,
                                       .on_revoke = on_revoke,
                                       .ctx = ap};
    if (result == 0 && (result = kafka_topics_ensure(&s->kafka, wanted, nwanted, e)) == 0)
        result = kafka_consumer_create(&o, &ap->consumer, e);
    free(topics);
    free(wanted);
    return result;
}

static int prepare(struct applier *ap, struct err *e)
{
    size_t n = ap->s->batch_max;
    ap->parts = calloc(PARTS_MAX, sizeof *ap->parts);
    ap->messages = calloc(n, sizeof *ap->messages);
    ap->items = calloc(n + 1, sizeof *ap->items);
    ap->controls = calloc(n, sizeof *ap->controls);
    ap->order = calloc(n + 1, sizeof *ap->order);
    ap->fences = calloc(ap->s->nentities + 1, sizeof *ap->fences);
    ap->arena = arena_create(0);
    if (!ap->parts || !ap->messages || !ap->items || !ap->controls || !ap->order || !ap->fences ||
        !ap->arena || keymap_init(&ap->keys, false, e) || keymap_init(&ap->parked, true, e))
        return err_memory(e);
    ap->refused = -1;
    if (ap->from == SIDE_LEGACY ? sink_postgres_open(ap->s, &ap->sink, e)
                                : sink_odbc_open(ap->s, &ap->sink, e))
        return -1;
    enum side to = ap->from == SIDE_LEGACY ? SIDE_NEW : SIDE_LEGACY;
    if (drift_create(ap->s, to, query_sink, ap->sink, false, &ap->drift, e))
        return -1;
    for (size_t i = 0; i < ap->s->nentities; i++) { // how the tables are to be compared later
        if (drift_look(ap->drift, i, &ap->why, e) ||
            (ap->why.len && apply_stop_entity(ap, i, ap->why.data, e)))
            return -1;
    }
    return 0;
}

static void release(struct applier *ap)
{
    kafka_consumer_destroy(ap->consumer);
    sink_close(ap->sink);
    drift_destroy(ap->drift);
    buf_free(&ap->why);
    for (size_t i = 0; i < ap->s->nentities; i++)
        atomic_store(&ap->s->streams[ap->from][i].owned, 0);
    keymap_free(&ap->keys);
    keymap_free(&ap->parked);
    arena_destroy(ap->arena);
    free(ap->parts);
    free(ap->messages);
    free(ap->items);
    free(ap->controls);
    free(ap->order);
    free(ap->fences);
    free(ap);
}

static int apply_once(struct sync *s, enum side from, struct err *e)
{
    struct applier *ap = calloc(1, sizeof *ap);
    if (!ap)
        return err_memory(e);
    ap->s = s;
    ap->from = from;
    int result = prepare(ap, e) || open_consumer(ap, e) ? -1 : 0;
    while (result == 0 && !sync_stopping(s))
        result = turn(ap, e);
    release(ap);
    return result;
}

int apply_new_once(struct sync *s, struct err *e)
{
    return apply_once(s, SIDE_LEGACY, e);
}

int apply_legacy_once(struct sync *s, struct err *e)
{
    return apply_once(s, SIDE_NEW, e);
}
