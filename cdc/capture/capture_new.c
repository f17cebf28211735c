// SPDX-License-Identifier: Apache-2.0
// capture.new: the new store's WAL through pgoutput -> topics <prefix>.new.*. Owns the stream,
// a query connection and the publisher while it leads. Transactions whose origin is ours were
// applied by sync and are passed over; the slot is confirmed only up to what the broker has
// acknowledged. A transaction's changes carry its commit's LSN as seq: after a restart the WAL
// is read again from the confirmed position and apply knows by it what it has.
//
// Row -> event: text cells become canonical values; an unchanged TOASTed cell, and an entity
// with fields outside its root table, make the row be read again by its key.
#include "cdc/capture/publish.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "cdc/capture/drift.h"
#include "cdc/capture/history.h"
#include "cdc/capture/hold.h"
#include "cdc/capture/leader.h"
#include "cdc/capture/opening.h"
#include "cdc/capture/relations.h"
#include "cdc/dual_post.h"
#include "connectors/postgres/pg_stream.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS     20
#define SAVE_MS     200
#define PING_MS     1000
#define TERM_MS     1000 // the oldest that a term gets while events go out
#define PUBLICATION "ficus"

struct capture {
    struct sync *s;
    struct leader leader;
    struct pg_conn *pg;    // election and positions
    struct pg_conn *reads; // rows read again
    struct pg_stream *stream;
    struct publisher pub;
    struct reader *readers;
    bool *whole; // by entity: every synced field is in the root table
    struct value *values;
    size_t widest;
    struct hold hold;
    struct drift *drift;
    struct buf why;
    struct relations relations;
    struct arena *message, *row;
    bool releasing;            // held keys, now
    bool told;                 // something since the term was drawn
    bool in_transaction, skip; // skip: the origin is ours
    uint64_t commit_lsn, commit_us, done_lsn;
    uint64_t saved;
};

static const struct log_ctx ctx = {"capture.new", NULL, NULL};

static int take_relation(struct capture *c, const struct pgoutput_relation *r, struct err *e)
{
    const struct relation *rel = relations_take(&c->relations, r, e);
    if (!rel)
        return -1;
    if (rel->entity < 0)
        return 0;
    // The table may have changed on since this message: what it is now decides.
    if (drift_look(c->drift, (size_t)rel->entity, &c->why, e))
        return -1;
    if (c->why.len)
        hold_stop(&c->hold, (size_t)rel->entity, c->why.data);
    return 0;
}

static int publish(struct capture *c, long entity, enum change_op op, struct str key,
                   const struct value *after, struct err *e)
{
    struct change change = {.entity = c->s->entities[entity],
                            .from = SIDE_NEW,
                            .op = op,
                            .key = key,
                            .after = after,
                            .commit_us = c->commit_us,
                            .seq = (long long)c->commit_lsn};
    desk_note(c->s->desks[SIDE_NEW], (size_t)entity, key);
    if (c->hold.on[entity] && !c->releasing)
        return hold_add(&c->hold, (size_t)entity, key, e);
    c->told = true;
    return publish_change(&c->pub, (size_t)entity, &change, e);
}

// The entity's statements fail: stopped when its tables are not what the map says.
static int stop_drifted(struct capture *c, long entity, struct err *e)
{
    struct err failed = *e;
    if (failed.code != ERR_SCHEMA || drift_look(c->drift, (size_t)entity, &c->why, e))
        return -1;
    if (c->why.len == 0) {
        *e = failed;
        return -1;
    }
    err_clear(e);
    hold_stop(&c->hold, (size_t)entity, c->why.data);
    return 0;
}

// Publishes what was held of an entity that was resumed, outside of any transaction of the WAL.
// A row goes as read, a missing one as deleted, both without a position: apply compares none.
static int release_page(struct capture *c, long entity, struct str *keys, size_t n, struct err *e)
{
    struct reader *r = &c->readers[entity];
    struct reader_row rows[HOLD_PAGE];
    if (n && reader_keys(r, keys, n, c->row, rows, e))
        return -1;
    c->commit_lsn = 0;
    c->commit_us = clock_wall_us();
    for (size_t i = 0; i < n; i++) {
        memset(c->values, 0, c->widest * sizeof *c->values);
        for (size_t f = 0; rows[i].values && f < r->nfields; f++)
            c->values[r->fields[f]->index] = rows[i].values[f];
        if (publish(c, entity, rows[i].values ? CHANGE_READ : CHANGE_DELETE, keys[i],
                    rows[i].values ? c->values : NULL, e))
            return -1;
    }
    return kafka_producer_flush(c->pub.producer, 5000, e) || publisher_poll(&c->pub, 0, e) ? -1 : 0;
}

static int release_held(struct capture *c, struct err *e)
{
    struct str keys[HOLD_PAGE];
    long entity;
    size_t n;
    while (!c->in_transaction && (entity = hold_resumed(&c->hold)) >= 0) {
        arena_reset(c->row);
        if (opening_tell(&c->pub, entity, NULL, c->reads, e) ||
            hold_page(&c->hold, (size_t)entity, c->row, keys, &n, e))
            return -1;
        c->releasing = true;
        int result = release_page(c, entity, keys, n, e);
        c->releasing = false;
        if (result && stop_drifted(c, entity, e))
            return -1;
        if (result == 0 && n && hold_drop(&c->hold, (size_t)entity, keys, n, e))
            return -1;
    }
    return 0;
}

static int query_new(void *pg, struct str sql, const struct value *params, size_t n,
                     struct arena *a, struct rows *out, struct err *e)
{
    return pg_query(pg, sql, params, n, a, out, e);
}

// The aggregate's present state; a row that is gone by now has its delete further on.
static int publish_read(struct capture *c, long entity, enum change_op op, struct str key,
                        struct err *e)
{
    struct reader *r = &c->readers[entity];
    struct reader_row row;
    if (c->hold.on[entity])
        return hold_add(&c->hold, (size_t)entity, key, e);
    if (reader_keys(r, &key, 1, c->row, &row, e))
        return stop_drifted(c, entity, e) ? -1 : hold_add(&c->hold, (size_t)entity, key, e);
    if (!row.values)
        return 0;
    memset(c->values, 0, c->widest * sizeof *c->values);
    for (size_t i = 0; i < r->nfields; i++)
        c->values[r->fields[i]->index] = row.values[i];
    return publish(c, entity, op, key, c->values, e);
}

static int canonical(struct capture *c, const struct relation *rel, const struct pgoutput_tuple *t,
                     bool *whole, struct err *e)
{
    memset(c->values, 0, c->widest * sizeof *c->values);
    return relation_values(rel, t, c->row, c->values, whole, e);
}

static int key_of_values(struct capture *c, long entity, struct str *key, struct err *e)
{
    const struct entity *en = c->s->entities[entity];
    struct value parts[16];
    for (size_t i = 0; i < en->nkeys && i < 16; i++) {
        parts[i] = c->values[en->keys[i]->index];
        if (parts[i].state != VALUE_SET && parts[i].state != VALUE_FOREIGN)
            return err_set(e, ERR_SCHEMA, "%s: a row in the stream has no %s (replica identity?)",
                           en->name, en->keys[i]->name);
    }
    *key = entity_key_text(parts, en->nkeys, c->row);
    return key->data ? 0 : err_memory(e);
}

static int key_of_tuple(struct capture *c, const struct relation *rel,
                        const struct pgoutput_tuple *t, struct str *key, struct err *e)
{
    bool whole;
    for (size_t i = 0; rel->extension && i < t->n && i < rel->ncolumns; i++)
        if (rel->keys[i]) {
            *key = value_str(t->cells[i]);
            return 0;
        }
    return canonical(c, rel, t, &whole, e) || key_of_values(c, rel->entity, key, e) ? -1 : 0;
}

static int take_row(struct capture *c, const struct pgoutput_message *m, struct err *e)
{
    const struct relation *rel = relations_find(&c->relations, m->relation);
    enum change_op op = m->kind == PGOUTPUT_INSERT   ? CHANGE_CREATE
                        : m->kind == PGOUTPUT_UPDATE ? CHANGE_UPDATE
                                                     : CHANGE_DELETE;
    struct str old = {0}, key = {0};
    bool whole = true;
    if (!rel)
        return err_set(e, ERR_INVALID, "a row of unknown table %u in the stream", m->relation);
    if (rel->entity < 0)
        return 0;
    arena_reset(c->row);
    if (m->has_old && key_of_tuple(c, rel, &m->old, &old, e))
        return -1;
    if (rel->extension) {
        if (op != CHANGE_DELETE && key_of_tuple(c, rel, &m->new_, &key, e))
            return -1;
        return publish_read(c, rel->entity, CHANGE_UPDATE, op == CHANGE_DELETE ? old : key, e);
    }
    if (op == CHANGE_DELETE)
        return publish(c, rel->entity, op, old, NULL, e);
    if (canonical(c, rel, &m->new_, &whole, e) || key_of_values(c, rel->entity, &key, e))
        return -1;
    if (m->has_old && !str_eq(old, key)) {
        if (publish(c, rel->entity, CHANGE_DELETE, old, NULL, e))
            return -1;
        op = CHANGE_CREATE;
    }
    return whole && c->whole[rel->entity] && !rel->incomplete
               ? publish(c, rel->entity, op, key, c->values, e)
               : publish_read(c, rel->entity, op, key, e);
}

static int take_truncate(struct capture *c, const struct pgoutput_message *m, struct err *e)
{
    for (size_t i = 0; i < m->ntruncated; i++) {
        const struct relation *rel = relations_find(&c->relations, m->truncated[i]);
        if (!rel || rel->entity < 0)
            continue;
        sync_stop_stream(c->s, SIDE_NEW, (size_t)rel->entity,
                         "its table was truncated in the new store: reconcile first");
    }
    (void)e;
    return 0;
}

static bool is_ours(const struct capture *c, const char *origin)
{
    char mine[64];
    int n = snprintf(mine, sizeof mine, "ficus_%.40s_", c->s->prefix);
    return strncmp(origin, mine, (size_t)n) == 0;
}

static int take(struct capture *c, const struct pgoutput_message *m, struct err *e)
{
    switch (m->kind) {
    case PGOUTPUT_BEGIN:
        c->in_transaction = true;
        c->skip = false;
        c->commit_lsn = m->lsn;
        c->commit_us = m->commit_us;
        return 0;
    case PGOUTPUT_COMMIT:
        c->in_transaction = false;
        c->done_lsn = m->lsn;
        publisher_mark(&c->pub, m->lsn);
        return 0;
    case PGOUTPUT_ORIGIN: c->skip = is_ours(c, m->origin); return 0;
    case PGOUTPUT_RELATION: return take_relation(c, &m->rel, e);
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE: return c->skip ? 0 : take_row(c, m, e);
    case PGOUTPUT_TRUNCATE: return c->skip ? 0 : take_truncate(c, m, e);
    case PGOUTPUT_MESSAGE:
        // Everything of an earlier commit is out: what is read again after this is known.
        if (strcmp(m->prefix, DUAL_WAL_PREFIX) == 0)
            return dual_publish(&c->pub, m->content, c->message, e);
        return strcmp(m->prefix, "ficus.marker") == 0
                   ? opening_pass(&c->pub, m->content, (long long)c->commit_lsn, e)
                   : 0;
    case PGOUTPUT_TYPE: return 0;
    }
    return err_set(e, ERR_INVALID, "an unknown message in the stream");
}

// What was lost after a backup was taken carries a term that the backup does not know, but for what
// followed it within TERM_MS.
static int raise_term(struct capture *c, struct err *e)
{
    if (!c->told || clock_mono_ns() - c->leader.raised_ns < TERM_MS * 1000000ull)
        return 0;
    c->told = false;
    if (leader_raise(&c->leader, e))
        return -1;
    publisher_term(&c->pub, c->leader.term);
    atomic_store(&c->s->lead_term[SIDE_NEW], c->leader.term);
    return 0;
}

static int save(struct capture *c, bool now, struct err *e)
{
    char captured[24], published[24];
    uint64_t age = clock_mono_ns() - c->leader.saved_ns, at = c->pub.published;
    if (hold_flush(&c->hold, e)) // before the slot may let go of their WAL
        return -1;
    pg_stream_confirm(c->stream, at);
    if (!now && age < (at != c->saved ? SAVE_MS : PING_MS) * 1000000ull)
        return 0;
    FAILPOINT("produced.new");
    if (raise_term(c, e))
        return -1;
    pg_lsn_text(c->done_lsn, captured);
    pg_lsn_text(at, published);
    c->saved = at;
    return leader_save(&c->leader, captured, published, e);
}

static int turn(struct capture *c, struct err *e)
{
    struct pgoutput_message m;
    int got = 0;
    if (release_held(c, e))
        return -1;
    // As much as there is, but not for so long that nothing else happens.
    for (size_t i = 0; i < c->s->batch_max; i++) {
        arena_reset(c->message);
        bool quiet = i == 0 && publisher_idle(&c->pub);
        got = pg_stream_next(c->stream, quiet ? WAIT_MS : i == 0 ? 1 : 0, c->message, &m, e);
        if (got < 0 || (got > 0 && take(c, &m, e)))
            return -1;
        if (!got)
            break;
    }
    // All that the server has sent is taken: what it has passed without changes is done too.
    if (!got && !c->in_transaction && pg_stream_server_lsn(c->stream) > c->done_lsn) {
        c->done_lsn = pg_stream_server_lsn(c->stream);
        publisher_mark(&c->pub, c->done_lsn);
    }
    return publisher_poll(&c->pub, 0, e) ||
                   desk_serve(c->s->desks[SIDE_NEW], &c->pub, c->done_lsn, e) || save(c, false, e)
               ? -1
               : 0;
}

static int prepare(struct capture *c, struct err *e)
{
    struct sync *s = c->s;
    c->message = arena_create(0);
    c->row = arena_create(0);
    c->readers = calloc(s->nentities, sizeof *c->readers);
    c->whole = calloc(s->nentities, sizeof *c->whole);
    c->relations.sync = s;
    if (!c->message || !c->row || !c->readers || !c->whole)
        return err_memory(e);
    for (size_t i = 0; i < s->nentities; i++) {
        struct reader *r = &c->readers[i];
        if (reader_init(r, s->entities[i], SIDE_NEW, NULL, c->reads, e))
            return -1;
        c->whole[i] = true;
        for (size_t f = 0; f < r->nfields; f++)
            c->whole[i] = c->whole[i] && r->fields[f]->place[SIDE_NEW].kind == PLACE_ROOT;
        if (s->entities[i]->nfields > c->widest)
            c->widest = s->entities[i]->nfields;
    }
    c->values = calloc(c->widest + 1, sizeof *c->values);
    return c->values ? 0 : err_memory(e);
}

// The slot was made once and must be the same store's ever after.
static int check_identity(struct capture *c, struct err *e)
{
    char now[160];
    struct err ignored = {0};
    snprintf(now, sizeof now, "%s", pg_stream_system_id(c->stream));
    if (!c->leader.identity[0])
        return leader_identity(&c->leader, now, e);
    if (strcmp(now, c->leader.identity) == 0)
        return 0;
    err_set(e, ERR_STALE,
            "the new store is another database system (%s, was %s): a new snapshot"
            " is due",
            now, c->leader.identity);
    if (leader_stop(&c->leader, e->msg, &ignored))
        log_warn(&ctx, "%s", ignored.msg);
    return -1;
}

// A lost slot is only in the way once a new beginning was asked for.
static int drop_lost_slot(struct capture *c, const char *slot, struct err *e)
{
    const char *p[] = {slot};
    return pg_execz(c->reads,
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                    " WHERE slot_name = $1 AND wal_status = 'lost' AND NOT active",
                    p, 1, NULL, e);
}

static int open_all(struct capture *c, struct err *e)
{
    char slot[64];
    struct sync *s = c->s;
    uint64_t from = 0;
    bool first = c->leader.published[0] == '\0';
    if (!first && pg_lsn_parse(str_of(c->leader.published), &from, e))
        return -1;
    snprintf(slot, sizeof slot, "ficus_%.50s_new", s->prefix);
    for (char *p = slot; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    struct pg_stream_options o = {.conninfo = conf_str(s->conf, "control.conninfo"),
                                  .slot = slot,
                                  .publication = PUBLICATION,
                                  .create = first,
                                  .start_lsn = from,
                                  .stop = &s->stop};
    if (sync_open_pg(s, "ficus capture.new reads", &c->reads, e) || prepare(c, e) ||
        hold_open(&c->hold, s, SIDE_NEW, c->pg, e) ||
        drift_create(s, SIDE_NEW, query_new, c->reads, true, &c->drift, e) ||
        (first && drop_lost_slot(c, slot, e)))
        return -1;
    if (pg_stream_open(&o, &c->stream, e)) {
        struct err ignored = {0};
        if (e->code == ERR_SCHEMA && leader_stop(&c->leader, e->msg, &ignored))
            log_warn(&ctx, "%s", ignored.msg);
        return -1;
    }
    if (check_identity(c, e) || publisher_open(&c->pub, s, SIDE_NEW, c->leader.term, from, e))
        return -1;
    c->pub.held = c->hold.on;
    for (size_t i = 0; i < s->nentities; i++) {
        if (drift_look(c->drift, i, &c->why, e))
            return -1;
        if (c->why.len)
            hold_stop(&c->hold, i, c->why.data);
    }
    // From now on the slot must be there: without this a lost one would be made anew.
    return first ? leader_save(&c->leader, "", "0/0", e) : 0;
}

static void close_all(struct capture *c)
{
    desk_lead(c->s->desks[SIDE_NEW], false);
    publisher_close(&c->pub);
    pg_stream_close(c->stream);
    relations_close(&c->relations);
    hold_close(&c->hold);
    drift_destroy(c->drift);
    buf_free(&c->why);
    arena_destroy(c->message);
    arena_destroy(c->row);
    free(c->readers);
    free(c->whole);
    free(c->values);
    pg_close(c->reads);
    pg_close(c->pg);
}

static int lead(struct capture *c, struct err *e)
{
    if (c->leader.stopped[0])
        return err_set(e, ERR_STALE,
                       "stopped: %s; ask for a new snapshot"
                       " (ficus sync snapshot --all)",
                       c->leader.stopped);
    if (history_ask_legacy(c->s, c->pg, e) || open_all(c, e))
        return -1;
    log_info(&ctx, "leading, term %lld, from %s", c->leader.term,
             c->leader.published[0] ? c->leader.published : "a new slot");
    if (opening_tell(&c->pub, -1, NULL, c->reads, e))
        return -1;
    atomic_store(&c->s->lead_term[SIDE_NEW], c->leader.term);
    desk_lead(c->s->desks[SIDE_NEW], true);
    while (!sync_stopping(c->s))
        if (turn(c, e))
            return -1;
    desk_lead(c->s->desks[SIDE_NEW], false);
    if (kafka_producer_flush(c->pub.producer, 5000, e) || publisher_poll(&c->pub, 0, e))
        return -1;
    return save(c, true, e);
}

int capture_new_once(struct sync *s, struct err *e)
{
    struct capture *c = calloc(1, sizeof *c);
    int elected = 0;
    if (!c)
        return err_memory(e);
    c->s = s;
    int result = sync_open_pg(s, "ficus capture.new", &c->pg, e);
    while (result == 0 && elected == 0 && !sync_stopping(s)) {
        elected = leader_try(&c->leader, c->pg, SIDE_NEW, s->instance, e);
        if (elected == 0)
            sync_pause(s, 500);
    }
    if (result == 0 && elected != 0)
        result = elected > 0 ? lead(c, e) : -1;
    close_all(c);
    free(c);
    return result;
}
