// SPDX-License-Identifier: Apache-2.0
// capture.legacy: changelog -> present state of the aggregates -> topics <prefix>.legacy.*.
// Owns its ODBC and control connections while it leads. A block's distinct keys are read again
// and emitted in the order of reading, so the newest state of a key is always the last one; that
// is also why reading a stretch of the changelog twice after a restart does no harm.
//
// Positions: captured = greatest seq given out; published = greatest seq below which everything
// was given out and acknowledged by the broker, stored in ficus.capture, restart here.
#include "cdc/capture/publish.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "cdc/capture/changelog.h"
#include "cdc/capture/drift.h"
#include "cdc/capture/hold.h"
#include "cdc/capture/leader.h"
#include "cdc/capture/opening.h"
#include "cdc/dual_post.h"
#include "cdc/keymap.h"
#include "cdc/marker.h"
#include "migrations/ddl.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS_A_READ  256 // a power of two: few distinct statements
#define HEARTBEAT_MS 200
#define SAVE_MS      100
#define PING_MS      1000
#define IDLE_MAX_MS  50
#define BUSY_MS      250
#define LOOK_MS      10000 // tables and triggers are looked at
#define TRIM_KEEP    20000 // changelog rows behind the published position

struct slot {
    struct str key;
    size_t entity;
    long long seq;
    uint64_t at_us;
};

struct capture {
    struct sync *s;
    struct leader leader;
    struct pg_conn *pg;
    struct odbc_conn *db;
    struct changelog *log;
    struct publisher pub;
    struct reader *readers;
    struct value *values;       // of one row, by field index
    struct arena *block, *rows; // one changelog block; one read of aggregates
    struct keymap keys;
    struct hold hold;
    struct drift *drift;
    struct buf why;
    uint64_t looked_ns;
    struct slot *slots;
    size_t nslots;
    struct str *markers; // keys of marker rows, owned
    size_t nmarkers, markers_max;
    struct dual_text *asks; // taken before the reading that is under way began
    long long beat_low, saved;
    uint64_t beat_ns, busy_ns;
    unsigned idle_ms, idle_max;
};

static const struct log_ctx ctx = {"capture.legacy", NULL, NULL};

static void drop_markers(struct capture *c)
{
    for (size_t i = 0; i < c->nmarkers; i++)
        free((char *)c->markers[i].data);
    c->nmarkers = 0;
}

static int note_marker(struct capture *c, struct str marker, struct err *e)
{
    if (c->nmarkers == c->markers_max) {
        size_t max = c->markers_max ? c->markers_max * 2 : 64;
        struct str *more = realloc(c->markers, max * sizeof *more);
        if (!more)
            return err_memory(e);
        c->markers = more;
        c->markers_max = max;
    }
    char *copy = malloc(marker.len + 1); // it outlives its block
    if (!copy)
        return err_memory(e);
    memcpy(copy, marker.data, marker.len);
    c->markers[c->nmarkers++] = str_n(copy, marker.len);
    return 0;
}

// A key that no event can carry. Part -1: none was chosen.
static int park_key(struct capture *c, const struct changelog_row *row, size_t at, const char *why,
                    struct err *e)
{
    const struct stream_stat *st = &c->s->streams[SIDE_LEGACY][at];
    struct log_ctx entity = {"capture.legacy", c->s->entities[at]->name, NULL};
    char seq[24];
    snprintf(seq, sizeof seq, "%lld", row->seq);
    struct value v[] = {value_set(str_of(st->stream)), value_set(str_of(seq)),
                        value_set(str_of(c->s->entities[at]->name)),
                        value_set(park_text(row->key, 512, c->block)),
                        value_set(park_text(str_of(why), 1000, c->block))};
    log_warn(&entity, "changelog row %lld: parked (malformed): %s", row->seq, why);
    metric_add(st->m_parked, 1);
    return pg_exec(c->pg,
                   STR("INSERT INTO ficus.parked (stream, part, offset_no, entity, k, reason,"
                       " detail) VALUES ($1, -1, $2::bigint, $3, $4, 'malformed', $5)"
                       " ON CONFLICT DO NOTHING"),
                   v, 5, NULL, e);
}

static int note_row(struct capture *c, const struct changelog_row *row, struct err *e)
{
    struct value parts[16];
    struct err bad = {0};
    struct keymap_slot *k;
    bool added;
    if (row->entity.len == 0)
        return note_marker(c, row->key, e);
    long entity = sync_entity(c->s, row->entity);
    if (entity < 0) // passing over it would lose its change
        return err_set(e, ERR_CONFIG,
                       "changelog row %lld is of entity %.*s, which has no map here: restart with"
                       " its map, or drop its triggers (ficus migrate up) and then its rows of"
                       " ficus_changelog",
                       row->seq, (int)row->entity.len, row->entity.data);
    if (row->key.len == 0 || entity_key_split(c->s->entities[entity], row->key, parts, &bad))
        return park_key(c, row, (size_t)entity, row->key.len ? bad.msg : "the key is empty", e);
    if (keymap_add(&c->keys, (uint32_t)entity, row->key, (uint32_t)c->nslots, &k, &added, e))
        return -1;
    if (added)
        c->slots[c->nslots++] = (struct slot){row->key, (size_t)entity, row->seq, row->at_us};
    else if (row->seq > c->slots[k->value].seq)
        c->slots[k->value].seq = row->seq; // at_us stays: the oldest change waits longest
    return 0;
}

static int emit(struct capture *c, const struct slot *slot, const struct reader_row *row,
                struct err *e)
{
    struct reader *r = &c->readers[slot->entity];
    struct change change = {.entity = r->entity,
                            .from = SIDE_LEGACY,
                            .key = slot->key,
                            .op = row->values ? CHANGE_UPDATE : CHANGE_DELETE,
                            .seq = slot->seq,
                            .commit_us = slot->at_us};
    for (size_t i = 0; row->values && i < r->nfields; i++)
        c->values[r->fields[i]->index] = row->values[i];
    change.after = row->values ? c->values : NULL;
    desk_note(c->s->desks[SIDE_LEGACY], slot->entity, slot->key);
    return publish_change(&c->pub, slot->entity, &change, e);
}

// Present state of up to KEYS_A_READ keys of one entity, in slot order.
static int emit_some(struct capture *c, size_t entity, struct slot *const *slots, size_t n,
                     struct err *e)
{
    struct str keys[KEYS_A_READ];
    struct reader_row *rows;
    size_t padded = 1;
    while (padded < n)
        padded *= 2;
    for (size_t i = 0; i < padded; i++)
        keys[i] = slots[i < n ? i : n - 1]->key;
    arena_reset(c->rows);
    rows = arena_array(c->rows, padded, sizeof *rows);
    if (!rows)
        return err_memory(e);
    if (reader_keys(&c->readers[entity], keys, padded, c->rows, rows, e))
        return err_prefix(e, "reading %s", c->s->entities[entity]->name);
    for (size_t i = 0; i < n; i++)
        if (emit(c, slots[i], &rows[i], e))
            return -1;
    return 0;
}

// The entity's statements fail: stopped when its tables are not what the map says.
static int stop_drifted(struct capture *c, size_t entity, struct err *e)
{
    struct err failed = *e;
    if (failed.code != ERR_SCHEMA || drift_look(c->drift, entity, &c->why, e))
        return -1;
    if (c->why.len == 0) {
        *e = failed;
        return -1;
    }
    err_clear(e);
    hold_stop(&c->hold, entity, c->why.data);
    return 0;
}

// As emit_some, or their keys are held.
static int emit_or_hold(struct capture *c, size_t entity, struct slot *const *slots, size_t n,
                        struct err *e)
{
    if (!c->hold.on[entity]) {
        if (emit_some(c, entity, slots, n, e) == 0)
            return 0;
        if (stop_drifted(c, entity, e))
            return -1;
    }
    for (size_t i = 0; i < n; i++)
        if (hold_add(&c->hold, entity, slots[i]->key, e))
            return -1;
    return 0;
}

// Publishes what was held of an entity that was resumed.
static int release_held(struct capture *c, struct err *e)
{
    struct str keys[HOLD_PAGE];
    struct slot slots[HOLD_PAGE], *list[HOLD_PAGE];
    long entity;
    size_t n;
    while ((entity = hold_resumed(&c->hold)) >= 0) {
        arena_reset(c->block);
        if (opening_tell(&c->pub, entity, c->db, NULL, e) ||
            hold_page(&c->hold, (size_t)entity, c->block, keys, &n, e))
            return -1;
        for (size_t i = 0; i < n; i++) {
            slots[i] = (struct slot){.key = keys[i], .entity = (size_t)entity};
            list[i] = &slots[i];
        }
        if (n && emit_some(c, (size_t)entity, list, n, e)) {
            if (stop_drifted(c, (size_t)entity, e))
                return -1;
            continue;
        }
        if (kafka_producer_flush(c->pub.producer, 5000, e) || publisher_poll(&c->pub, 0, e) ||
            (n && hold_drop(&c->hold, (size_t)entity, keys, n, e)))
            return -1;
    }
    return 0;
}

// Missing triggers of one entity: changes may have passed unseen.
static int look_at_triggers(struct capture *c, size_t entity, const struct rows *names,
                            struct err *e)
{
    struct dbms_trigger *list;
    size_t n;
    const struct entity *en = c->s->entities[entity];
    size_t before = c->why.len;
    if (!en->sides[SIDE_LEGACY].root)
        return 0;
    if (ddl_triggers(en, NULL, false, c->s->dbms, c->rows, &list, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        for (const char *op = c->s->dbms->trigger_ops; *op; op++) {
            char name[160];
            bool found = false, fires = false;
            snprintf(name, sizeof name, "ficus_%s_%u_%c", list[i].entity, list[i].ordinal, *op);
            for (size_t r = 0; r < names->nrows && !fires; r++)
                if (str_eqz(value_str(*rows_at(names, r, 0)), name)) {
                    found = true;
                    fires = !str_eqz(value_str(*rows_at(names, r, 2)), "0");
                }
            if (!fires)
                buf_printf(&c->why, "%strigger %s on %s is %s", c->why.len ? "; " : "", name,
                           list[i].table, found ? "disabled" : "gone");
        }
    if (c->why.len > before)
        buf_printf(&c->why,
                   ": changes may have passed unseen; ficus migrate up, then ficus sync snapshot %s"
                   " and ficus reconcile %s",
                   en->name, en->name);
    return buf_check(&c->why, e);
}

// What only a new snapshot mends stops this capture until someone asks for one. Always -1.
static int stop_stale(struct capture *c, const struct err *e)
{
    struct err trouble = {0};
    if (e->code == ERR_STALE && leader_stop(&c->leader, e->msg, &trouble))
        log_warn(&ctx, "%s", trouble.msg);
    return -1;
}

// Every entity's tables and triggers, at the start and now and then.
static int look_around(struct capture *c, struct err *e)
{
    struct rows names;
    uint64_t now = clock_mono_ns();
    if (c->looked_ns && now - c->looked_ns < LOOK_MS * 1000000ull)
        return 0;
    c->looked_ns = now;
    if (changelog_verify(c->log, e))
        return stop_stale(c, e);
    arena_reset(c->rows);
    if (odbc_query(c->db, str_of(c->s->dbms->trigger_names_sql), NULL, 0, c->rows, 0, &names, e))
        return err_prefix(e, "the triggers of the legacy store");
    for (size_t i = 0; i < c->s->nentities; i++) {
        if (drift_look(c->drift, i, &c->why, e) || look_at_triggers(c, i, &names, e))
            return -1;
        if (c->why.len && !(c->hold.on[i] && atomic_load(&c->s->streams[SIDE_LEGACY][i].paused)))
            hold_stop(&c->hold, i, c->why.data);
    }
    return 0;
}

static int query_legacy(void *db, struct str sql, const struct value *params, size_t n,
                        struct arena *a, struct rows *out, struct err *e)
{
    return odbc_query(db, sql, params, n, a, 0, out, e);
}

// Before the block's rows, which are read after this and so are newer than these openings: a
// change that went out ahead of the opening that allowed it would be refused by the other store.
static int pass_openings(struct capture *c, struct err *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->nmarkers; i++) {
        long long epoch;
        struct str group;
        if (!marker_is_opened(c->markers[i], &epoch, &group))
            c->markers[kept++] = c->markers[i];
        else if (opening_pass(&c->pub, c->markers[i], -1, e))
            return -1;
        else
            free((char *)c->markers[i].data);
    }
    c->nmarkers = kept;
    return 0;
}

static int emit_block(struct capture *c, const struct changelog_row *rows, size_t n, struct err *e)
{
    struct slot *some[KEYS_A_READ];
    keymap_reset(&c->keys);
    c->nslots = 0;
    c->slots = arena_array(c->block, n + 1, sizeof *c->slots);
    if (!c->slots)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        if (note_row(c, &rows[i], e))
            return -1;
    if (pass_openings(c, e))
        return -1;
    for (size_t entity = 0; entity < c->s->nentities; entity++) {
        size_t nsome = 0;
        for (size_t i = 0; i < c->nslots; i++) {
            if (c->slots[i].entity == entity)
                some[nsome++] = &c->slots[i];
            if (nsome && (nsome == KEYS_A_READ || i + 1 == c->nslots)) {
                if (emit_or_hold(c, entity, some, nsome, e))
                    return -1;
                nsome = 0;
            }
        }
    }
    return 0;
}

// What was committed before them is read until that shows no further marker; then everything
// below is out.
static int forward_markers(struct capture *c, struct err *e)
{
    bool more = true;
    for (size_t checked = 0; more || checked < c->nmarkers;) {
        struct changelog_row *rows;
        size_t n;
        checked = c->nmarkers;
        arena_reset(c->block);
        if (changelog_recheck(c->log, c->block, &rows, &n, &more, e) || emit_block(c, rows, n, e))
            return -1;
    }
    for (size_t i = 0; i < c->nmarkers; i++)
        if (publish_control(&c->pub, c->markers[i], changelog_low(c->log), e))
            return -1;
    drop_markers(c);
    return 0;
}

static void drop_ask(struct capture *c)
{
    struct dual_text *first = c->asks;
    c->asks = first->next;
    free(first);
}

// All that was committed before these asks is out now.
static int follow_asks(struct capture *c, struct err *e)
{
    for (; c->asks; drop_ask(c)) {
        arena_reset(c->rows);
        if (dual_publish(&c->pub, str_of(c->asks->text), c->rows, e))
            return -1;
    }
    return 0;
}

static int heartbeat(struct capture *c, struct err *e)
{
    long long low = changelog_low(c->log);
    uint64_t now = clock_mono_ns();
    if (low == c->beat_low || now - c->beat_ns < HEARTBEAT_MS * 1000000ull)
        return 0;
    if (publish_control(&c->pub, STR(MARKER_HEARTBEAT), low, e))
        return -1;
    c->beat_low = low;
    c->beat_ns = now;
    return 0;
}

static int save(struct capture *c, bool now, struct err *e)
{
    char captured[24], published[24];
    uint64_t age = clock_mono_ns() - c->leader.saved_ns;
    long long at = (long long)c->pub.published;
    if (!now && age < (at != c->saved ? SAVE_MS : PING_MS) * 1000000ull)
        return 0;
    FAILPOINT("produced");
    if (hold_flush(&c->hold, e))
        return -1;
    snprintf(captured, sizeof captured, "%lld", changelog_captured(c->log));
    snprintf(published, sizeof published, "%lld", at);
    if (leader_save(&c->leader, captured, published, e))
        return -1;
    c->saved = at;
    if (at - TRIM_KEEP <= changelog_trimmed(c->log) + TRIM_KEEP)
        return 0;
    struct err trouble = {0};
    if (changelog_trim(c->log, at - TRIM_KEEP, &trouble))
        log_warn(&ctx, "trimming the changelog: %s", trouble.msg);
    return 0;
}

// Asks every millisecond while there was a change lately, then less and less often.
static int idle(struct capture *c, struct err *e)
{
    uint64_t until = clock_mono_ns() + c->idle_ms * 1000000ull, now;
    if (until - c->busy_ns > BUSY_MS * 1000000ull)
        c->idle_ms = c->idle_ms * 2 < c->idle_max ? c->idle_ms * 2 : c->idle_max;
    do { // delivery reports end a poll early; they are no reason to ask the database again
        if (publisher_poll(&c->pub, 1, e))
            return -1;
        now = clock_mono_ns();
    } while (now < until && !publisher_idle(&c->pub));
    if (now < until)
        dual_sleep(c->s->dual, (unsigned)((until - now) / 1000000) + 1);
    return 0;
}

static int turn(struct capture *c, struct err *e)
{
    struct changelog_row *rows;
    size_t n;
    if (look_around(c, e) || release_held(c, e))
        return -1;
    arena_reset(c->block);
    if (!c->asks && changelog_fresh(c->log))
        c->asks = dual_take(c->s->dual);
    if (changelog_read(c->log, c->s->batch_max, c->block, &rows, &n, e))
        return err_prefix(e, "changelog");
    // A full block: there may be more that was committed before they asked.
    bool asked = c->asks && n < c->s->batch_max;
    if ((n && emit_block(c, rows, n, e)) || ((c->nmarkers || asked) && forward_markers(c, e)) ||
        (asked && follow_asks(c, e)))
        return -1;
    publisher_mark(&c->pub, (uint64_t)changelog_position(c->log));
    if (desk_serve(c->s->desks[SIDE_LEGACY], &c->pub, UINT64_MAX, e) || heartbeat(c, e) ||
        save(c, false, e))
        return -1;
    if (n || desk_busy(c->s->desks[SIDE_LEGACY])) {
        c->busy_ns = clock_mono_ns();
        c->idle_ms = 1;
        return publisher_poll(&c->pub, n ? 0 : 1, e);
    }
    return idle(c, e);
}
static int prepare(struct capture *c, struct err *e)
{
    struct sync *s = c->s;
    size_t widest = 1;
    c->block = arena_create(0);
    c->rows = arena_create(0);
    c->readers = calloc(s->nentities, sizeof *c->readers);
    if (!c->block || !c->rows || !c->readers || keymap_init(&c->keys, false, e))
        return err_memory(e);
    for (size_t i = 0; i < s->nentities; i++) {
        if (reader_init(&c->readers[i], s->entities[i], SIDE_LEGACY, c->db, NULL, e))
            return -1;
        if (s->entities[i]->nfields > widest)
            widest = s->entities[i]->nfields;
    }
    c->values = calloc(widest, sizeof *c->values);
    c->idle_max = (unsigned)conf_int(s->conf, "sync.poll_ms");
    if (!c->idle_max)
        c->idle_max = IDLE_MAX_MS;
    c->idle_ms = 1;
    return c->values ? 0 : err_memory(e);
}

// The very first start: everything that is there is due.
static int ask_for_snapshots(struct capture *c, struct err *e)
{
    if (strcmp(conf_str(c->s->conf, "sync.snapshot"), "auto") != 0)
        return 0;
    for (size_t i = 0; i < c->s->nentities; i++) {
        const char *p[] = {c->s->entities[i]->name};
        if (!c->s->streams[SIDE_LEGACY][i].foreign_topic &&
            pg_execz(c->pg,
                     "INSERT INTO ficus.snapshot (entity, state) VALUES ($1, 'requested')"
                     " ON CONFLICT (entity) DO NOTHING",
                     p, 1, NULL, e))
            return -1;
    }
    return 0;
}

static int open_all(struct capture *c, struct err *e)
{
    long long from = 0;
    if (c->leader.published[0] && !str_to_int(str_of(c->leader.published), 0, INT64_MAX, &from))
        return err_set(e, ERR_SCHEMA, "ficus.capture.published '%s' is no number",
                       c->leader.published);
    if (sync_open_legacy(c->s, &c->db, e) || prepare(c, e) ||
        hold_open(&c->hold, c->s, SIDE_LEGACY, c->pg, e) ||
        drift_create(c->s, SIDE_LEGACY, query_legacy, c->db, true, &c->drift, e) ||
        publisher_open(&c->pub, c->s, SIDE_LEGACY, c->leader.term, (uint64_t)from, e))
        return -1;
    if (changelog_open(c->db, from, &c->log, e))
        return stop_stale(c, e);
    c->pub.held = c->hold.on;
    c->saved = from;
    c->beat_low = -1;
    return c->leader.published[0] ? 0 : ask_for_snapshots(c, e);
}

static void close_all(struct capture *c)
{
    desk_lead(c->s->desks[SIDE_LEGACY], false);
    publisher_close(&c->pub);
    changelog_close(c->log);
    hold_close(&c->hold);
    drift_destroy(c->drift);
    buf_free(&c->why);
    keymap_free(&c->keys);
    arena_destroy(c->block);
    arena_destroy(c->rows);
    free(c->readers);
    free(c->values);
    drop_markers(c);
    free(c->markers);
    while (c->asks)
        drop_ask(c);
    odbc_close(c->db);
    pg_close(c->pg);
}

// Stopped by a reason that only a new snapshot mends: look until someone asked for one.
static int stopped(struct capture *c, struct err *e)
{
    log_error(&ctx, "stopped: %s; ask for a new snapshot (ficus sync snapshot --all)",
              c->leader.stopped);
    struct arena *a = arena_create(0);
    int result = a ? 0 : err_memory(e);
    for (bool waiting = true; result == 0 && waiting && !sync_stopping(c->s);) {
        struct rows rows;
        arena_reset(a);
        result = pg_query(c->pg,
                          STR("SELECT stopped = '' FROM ficus.capture WHERE side = 'legacy'"), NULL,
                          0, a, &rows, e);
        waiting = result == 0 && rows.nrows == 1 && !str_eqz(value_str(rows.cells[0]), "t");
        if (waiting)
            sync_pause(c->s, 500);
    }
    arena_destroy(a);
    return result;
}

static int lead(struct capture *c, struct err *e)
{
    if (c->leader.stopped[0])
        return stopped(c, e);
    if (open_all(c, e))
        return -1;
    log_info(&ctx, "leading, term %lld, from changelog row %lld", c->leader.term, c->saved);
    if (opening_tell(&c->pub, -1, c->db, NULL, e))
        return -1;
    atomic_store(&c->s->lead_term[SIDE_LEGACY], c->leader.term);
    desk_lead(c->s->desks[SIDE_LEGACY], true);
    while (!sync_stopping(c->s))
        if (turn(c, e))
            return -1;
    desk_lead(c->s->desks[SIDE_LEGACY], false);
    if (kafka_producer_flush(c->pub.producer, 5000, e) || publisher_poll(&c->pub, 0, e))
        return -1;
    return save(c, true, e);
}

int capture_legacy_once(struct sync *s, struct err *e)
{
    struct capture *c = calloc(1, sizeof *c);
    int elected = -1;
    if (!c)
        return err_memory(e);
    c->s = s;
    int result = sync_open_pg(s, "ficus capture.legacy", &c->pg, e);
    while (result == 0 && !sync_stopping(s)) {
        elected = leader_try(&c->leader, c->pg, SIDE_LEGACY, s->instance, e);
        if (elected)
            break;
        sync_pause(s, 500);
    }
    if (result == 0 && elected != 0 && !sync_stopping(s))
        result = elected > 0 ? lead(c, e) : -1;
    close_all(c);
    free(c);
    return result;
}
