// SPDX-License-Identifier: Apache-2.0
// The sweep's thread. Owns its two connections; one entity at a time, one chunk at a time.
#include "cdc/capture/sweep.h"

#include "base/clock.h"
#include "cdc/marker.h"
#include "cdc/reconcile/scan.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK       200   // rows
#define IDLE_MS     500   // nothing to sweep
#define MARKER_MS   30000 // a marker that takes longer: the chunk is walked again later
#define MARKER_POLL 20

struct sweep {
    struct sync *s;
    struct pg_conn *pg;
    struct odbc_conn *odbc;
    struct arena *a; // one chunk
    struct buf flat;
    struct pace pace;
    struct pacer pacers[2]; // by side
    // Of the entity that is walked now.
    size_t entity;
    struct reader side[2];
    enum side walks;
    char *last_key; // owned; NULL: from the start
    long long seq;  // the greatest of the changelog before the chunk was walked
    long long walked;
    struct metric **m_rows, **m_found; // by entity
};

// A key whose sides differ, and the legacy's row as it was then.
struct suspect {
    struct str key;
    XXH128_hash_t legacy;
    bool legacy_there;
};

static bool differs(struct sweep *w, const struct value *legacy, const struct value *new_)
{
    if (!legacy || !new_)
        return legacy != new_;
    XXH128_hash_t a = scan_hash(&w->side[SIDE_LEGACY], legacy, &w->flat);
    XXH128_hash_t b = scan_hash(&w->side[SIDE_NEW], new_, &w->flat);
    return !XXH128_isEqual(a, b);
}

// ---------------------------------------------------------------- which entity

static bool legacy_owns(struct sync *s, const struct entity *en)
{
    struct route_table *t = live_table(s->live);
    const struct group *g = group_of(t, en);
    bool owns = !g || g->owner == SIDE_LEGACY;
    route_table_unref(t);
    return owns;
}

static int is_due(struct sweep *w, size_t i, bool *due, struct err *e)
{
    const struct stream_stat *st = &w->s->streams[SIDE_LEGACY][i];
    const struct entity *en = w->s->entities[i];
    struct rows rows;
    struct value p = value_set(str_of(en->name));
    *due = false;
    if (st->foreign_topic || atomic_load(&st->paused) || !en->sides[SIDE_LEGACY].root ||
        !en->sides[SIDE_NEW].root || !desk_leads(w->s->desks[SIDE_LEGACY]) ||
        !legacy_owns(w->s, en))
        return 0;
    if (pg_query(w->pg,
                 STR("SELECT NOT EXISTS (SELECT 1 FROM ficus.snapshot WHERE entity = $1"
                     " AND state <> 'done')"),
                 &p, 1, w->a, &rows, e))
        return -1;
    *due = rows.nrows == 1 && str_eqz(value_str(rows.cells[0]), "t");
    return 0;
}

// Where an earlier process left off.
static int load(struct sweep *w, struct err *e)
{
    const struct entity *en = w->s->entities[w->entity];
    struct value p = value_set(str_of(en->name));
    struct rows rows;
    free(w->last_key);
    w->last_key = NULL;
    if (pg_query(w->pg,
                 STR("INSERT INTO ficus.sweep AS s (entity) VALUES ($1) ON CONFLICT (entity)"
                     " DO UPDATE SET at = now() RETURNING side, last_key, walked"),
                 &p, 1, w->a, &rows, e))
        return -1;
    const struct value *c = rows.cells;
    w->walks = str_eqz(value_str(c[0]), "new") ? SIDE_NEW : SIDE_LEGACY;
    if (c[1].state == VALUE_SET && !(w->last_key = strndup(c[1].data, c[1].len)))
        return err_memory(e);
    if (!str_to_int(value_str(c[2]), 0, INT64_MAX, &w->walked))
        w->walked = 0;
    return reader_init(&w->side[SIDE_LEGACY], en, SIDE_LEGACY, w->odbc, NULL, e) ||
                   reader_init(&w->side[SIDE_NEW], en, SIDE_NEW, NULL, w->pg, e)
               ? -1
               : 0;
}

// After a chunk; `over`: both sides were walked to their end.
static int save(struct sweep *w, size_t found, bool over, struct err *e)
{
    char walked[24], n[24];
    snprintf(walked, sizeof walked, "%lld", w->walked);
    snprintf(n, sizeof n, "%zu", found);
    const char *p[] = {w->s->entities[w->entity]->name, side_name(w->walks), w->last_key, walked, n,
                       over ? "true" : "false"};
    return pg_execz(
        w->pg,
        "UPDATE ficus.sweep SET side = $2, last_key = $3, at = now(), found = found + $5::bigint,"
        " found_at = CASE WHEN $5::bigint > 0 THEN now() ELSE found_at END,"
        " walked = CASE WHEN $6::boolean THEN 0 ELSE $4::bigint END,"
        " pass_rows = CASE WHEN $6::boolean THEN $4::bigint ELSE pass_rows END,"
        " passes = passes + $6::boolean::int,"
        " pass_finished = CASE WHEN $6::boolean THEN now() ELSE pass_finished END,"
        " pass_started = CASE WHEN $6::boolean THEN now() ELSE pass_started END WHERE entity = $1",
        p, 6, NULL, e);
}

// ---------------------------------------------------------------- a chunk

// Keys with open parked events wait for someone: not for us.
static int is_parked(struct sweep *w, struct str key, bool *parked, struct err *e)
{
    struct rows rows;
    struct value p[] = {value_set(str_of(w->s->streams[SIDE_LEGACY][w->entity].stream)),
                        value_set(key)};
    if (pg_query(w->pg,
                 STR("SELECT 1 FROM ficus.parked WHERE stream = $1 AND k = $2"
                     " AND state IN ('parked','retry') LIMIT 1"),
                 p, 2, w->a, &rows, e))
        return -1;
    *parked = rows.nrows > 0;
    return 0;
}

static int suspect(struct sweep *w, const struct reader_row *legacy, const struct reader_row *new_,
                   struct suspect *list, size_t *n, struct err *e)
{
    bool parked;
    if (!differs(w, legacy->values, new_->values))
        return 0;
    if (is_parked(w, legacy->key, &parked, e))
        return -1;
    if (parked)
        return 0;
    struct suspect *s = &list[(*n)++];
    *s = (struct suspect){.key = legacy->key, .legacy_there = legacy->values != NULL};
    if (legacy->values)
        s->legacy = scan_hash(&w->side[SIDE_LEGACY], legacy->values, &w->flat);
    return buf_check(&w->flat, e);
}

// Walks one chunk of one side and looks its keys up on the other.
static int walk(struct sweep *w, struct suspect **list, size_t *nlist, size_t *nrows, struct err *e)
{
    const struct entity *en = w->s->entities[w->entity];
    struct value after[16];
    struct scan_query slice = {
        .entity = en, .deleted = DELETED_ANY, .limit = CHUNK, .after = w->last_key ? after : NULL};
    struct str keys[CHUNK];
    struct reader_row *rows, other[CHUNK];
    enum side there = w->walks == SIDE_LEGACY ? SIDE_NEW : SIDE_LEGACY;
    *nlist = *nrows = 0;
    if ((w->last_key && entity_key_split(en, str_of(w->last_key), after, e)) ||
        reader_slice(&w->side[w->walks], &slice, w->a, &rows, nrows, e))
        return -1;
    *list = arena_array(w->a, *nrows + 1, sizeof **list);
    if (!*list)
        return err_memory(e);
    for (size_t i = 0; i < *nrows; i++)
        keys[i] = rows[i].key;
    if (*nrows && reader_keys(&w->side[there], keys, *nrows, w->a, other, e))
        return -1;
    for (size_t i = 0; i < *nrows; i++)
        if (suspect(w, w->walks == SIDE_LEGACY ? &rows[i] : &other[i],
                    w->walks == SIDE_LEGACY ? &other[i] : &rows[i], *list, nlist, e))
            return -1;
    if (*nrows) {
        free(w->last_key);
        w->last_key = strndup(rows[*nrows - 1].key.data, rows[*nrows - 1].key.len);
    }
    return *nrows && !w->last_key ? err_memory(e) : 0;
}

// Everything that was committed in the legacy before this has arrived. *there: it has.
static int wait_marker(struct sweep *w, bool *there, struct err *e)
{
    const struct entity *en = w->s->entities[w->entity];
    char marker[64], uuid[37];
    uint64_t until = clock_mono_ms() + MARKER_MS;
    struct value p = value_set(str_of(w->s->streams[SIDE_LEGACY][w->entity].stream));
    uuid_make(uuid);
    snprintf(marker, sizeof marker, "sweep-%s", uuid);
    *there = false;
    if (marker_send_legacy(w->odbc, marker, e))
        return -1;
    while (!*there && clock_mono_ms() < until && !sync_stopping(w->s)) {
        unsigned count;
        long long parts;
        struct rows rows;
        if (marker_count_new(w->pg, marker, &en, 1, &count, e) ||
            pg_query(w->pg, STR("SELECT count(*) FROM ficus.position WHERE stream = $1"), &p, 1,
                     w->a, &rows, e))
            return -1;
        *there = str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &parts) && count >= parts;
        if (!*there)
            sync_pause(w->s, MARKER_POLL);
    }
    return 0;
}

static int tell_capture(struct sweep *w, struct str key, struct err *e)
{
    struct value p[] = {value_set(str_of(w->s->entities[w->entity]->name)), value_set(key)};
    return odbc_exec(w->odbc, STR("INSERT INTO ficus_changelog (entity, k) VALUES (?, ?)"), p, 2,
                     NULL, e);
}

static int one_number(struct sweep *w, const char *sql, const struct value *p, size_t n,
                      long long *out, struct err *e)
{
    struct rows rows;
    if (odbc_query(w->odbc, str_of(sql), p, n, w->a, 1, &rows, e))
        return -1;
    return rows.nrows == 1 && str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out)
               ? 0
               : err_set(e, ERR_INTERNAL, "the changelog gave no number");
}

// A row that went and came back meanwhile looks as it did, and its triggers saw it.
static int logged_since(struct sweep *w, struct str key, bool *logged, struct err *e)
{
    long long seq;
    struct value p[] = {value_set(str_of(w->s->entities[w->entity]->name)), value_set(key)};
    if (one_number(w,
                   "SELECT COALESCE(MAX(seq), 0) FROM ficus_changelog WHERE entity = ? AND k = ?",
                   p, 2, &seq, e))
        return -1;
    *logged = seq > w->seq;
    return 0;
}

// Looks again behind a marker; what was missed goes to the changelog.
static int settle(struct sweep *w, const struct suspect *list, size_t n, size_t *found,
                  struct err *e)
{
    struct str keys[CHUNK];
    struct reader_row legacy[CHUNK], new_[CHUNK];
    struct log_ctx ctx = {"sweep", w->s->entities[w->entity]->name, NULL};
    for (size_t i = 0; i < n; i++)
        keys[i] = list[i].key;
    if (reader_keys(&w->side[SIDE_NEW], keys, n, w->a, new_, e) ||
        reader_keys(&w->side[SIDE_LEGACY], keys, n, w->a, legacy, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool moved = list[i].legacy_there != (legacy[i].values != NULL);
        if (!moved && legacy[i].values)
            moved = !XXH128_isEqual(list[i].legacy,
                                    scan_hash(&w->side[SIDE_LEGACY], legacy[i].values, &w->flat));
        if (moved || !differs(w, legacy[i].values, new_[i].values))
            continue;
        if (logged_since(w, keys[i], &moved, e))
            return -1;
        if (moved)
            continue;
        if (tell_capture(w, keys[i], e))
            return -1;
        (*found)++;
    }
    if (*found)
        log_warn(&ctx, "%zu changes that no trigger saw are sent through the stream", *found);
    metric_add(w->m_found[w->entity], *found);
    return 0;
}

// *over: the pass is through.
static int chunk(struct sweep *w, bool *over, struct err *e)
{
    struct suspect *list;
    size_t n, rows, found = 0;
    bool there = true;
    uint64_t start = clock_mono_ns() / 1000;
    enum side side = w->walks;
    char *before = w->last_key ? strdup(w->last_key) : NULL;
    arena_reset(w->a);
    int result = one_number(w, w->s->dbms->changelog_max_sql, NULL, 0, &w->seq, e) ||
                         walk(w, &list, &n, &rows, e)
                     ? -1
                     : 0;
    uint64_t took = clock_mono_ns() / 1000 - start;
    if (result == 0 && n && (wait_marker(w, &there, e) || (there && settle(w, list, n, &found, e))))
        result = -1;
    if (result == 0 && !there) { // again, later
        free(w->last_key);
        w->last_key = before;
        return 0;
    }
    free(before);
    if (result)
        return -1;
    w->walked += (long long)rows;
    metric_add(w->m_rows[w->entity], rows);
    *over = rows < CHUNK && w->walks == SIDE_NEW;
    if (rows < CHUNK) {
        w->walks = w->walks == SIDE_LEGACY ? SIDE_NEW : SIDE_LEGACY;
        free(w->last_key);
        w->last_key = NULL;
    }
    sync_pause(w->s, (unsigned)(pacer_rest_us(&w->pacers[side], &w->pace, rows, took) / 1000));
    return save(w, found, *over, e);
}

// ---------------------------------------------------------------- the thread

static int pass(struct sweep *w, struct err *e)
{
    bool any = false, due, over;
    for (w->entity = 0; w->entity < w->s->nentities && !sync_stopping(w->s); w->entity++) {
        arena_reset(w->a);
        if (is_due(w, w->entity, &due, e) || (due && load(w, e)))
            return -1;
        any |= due;
        for (over = false; due && !over && !sync_stopping(w->s);)
            if (chunk(w, &over, e) || is_due(w, w->entity, &due, e))
                return -1;
    }
    if (!any)
        sync_pause(w->s, IDLE_MS);
    return 0;
}

static int make_metrics(struct sweep *w, struct err *e)
{
    w->m_rows = calloc(w->s->nentities + 1, sizeof(*w->m_rows));
    w->m_found = calloc(w->s->nentities + 1, sizeof(*w->m_found));
    if (!w->m_rows || !w->m_found)
        return err_memory(e);
    for (size_t i = 0; i < w->s->nentities; i++) {
        char labels[128];
        snprintf(labels, sizeof labels, "entity=\"%.60s\"", w->s->entities[i]->name);
        w->m_rows[i] = metrics_counter("ficus_swept_rows_total", "Rows that the sweep saw.",
                                       labels);
        w->m_found[i] = metrics_counter("ficus_sweep_found_total",
                                        "Changes that no trigger saw, found by the sweep.", labels);
        if (!w->m_rows[i] || !w->m_found[i])
            return err_memory(e);
    }
    return 0;
}

int sweep_once(struct sync *s, struct err *e)
{
    struct sweep w = {.s = s, .a = arena_create(0)};
    atomic_init(&w.pace.rows_per_s, conf_int(s->conf, "sync.sweep_rows"));
    atomic_init(&w.pace.share, (unsigned)conf_int(s->conf, "sync.sweep_share"));
    int result = w.a ? make_metrics(&w, e) : err_memory(e);
    while (atomic_load(&w.pace.rows_per_s) == 0 && !sync_stopping(s)) // switched off
        sync_pause(s, IDLE_MS);
    if (result == 0 && !sync_stopping(s))
        result = sync_open_pg(s, "ficus sweep", &w.pg, e) || sync_open_legacy(s, &w.odbc, e) ? -1
                                                                                             : 0;
    while (result == 0 && !sync_stopping(s))
        result = pass(&w, e);
    free(w.last_key);
    free(w.m_rows);
    free(w.m_found);
    buf_free(&w.flat);
    arena_destroy(w.a);
    odbc_close(w.odbc);
    pg_close(w.pg);
    return result;
}
