// SPDX-License-Identifier: Apache-2.0
// The snapshot thread: takes requests from ficus.snapshot, one entity after another, chunk by
// chunk. Owns its connections; the last acknowledged key is kept in the row, so that a restart
// resumes at a chunk. Only the process whose capture leads works on a request.
#include "cdc/sync_int.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "cdc/snapshot/copy.h"
#include "connectors/kafka/kafka_reader.h"
#include "connectors/postgres/pg_stream.h"

#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 200
#define ENDS_MS 5000

struct request {
    size_t entity;
    enum side source;
    bool resumed;
    bool direct;
    char *last_key;      // owned; NULL: from the start
    char *above, *up_to; // owned; bounds of the first key part, NULL: none
    long long rows, estimate, rest_ms;
    struct pacer pacer;
    long long room; // rows that may follow before the lag of the stream is looked at again
    bool waits;     // for the stream
    uint64_t after; // new store: WAL position after the chunk was read
};

struct run {
    struct sync *s;
    struct pg_conn *pg; // control store and new store
    struct odbc_conn *odbc;
    struct arena *arena;
    struct kafka_reader *topics; // opened when it is needed
};

static void request_free(struct request *q)
{
    free(q->last_key);
    free(q->above);
    free(q->up_to);
    q->last_key = q->above = q->up_to = NULL;
}

static int take_text(struct value v, char **out, struct err *e)
{
    if (v.state == VALUE_SET && !(*out = strndup(v.data, v.len)))
        return err_memory(e);
    return 0;
}

// A capture that has lost its lead unawares would send what nobody takes.
static bool leads_now(struct sync *s, enum side source, struct value term)
{
    long long now;
    return desk_leads(s->desks[source]) && str_to_int(value_str(term), 0, INT64_MAX, &now) &&
           now == atomic_load(&s->lead_term[source]);
}

// 1: a request, 0: none, -1: error. Parents come before their children.
static int next_request(struct run *r, struct request *q, struct err *e)
{
    struct rows rows;
    arena_reset(r->arena);
    *q = (struct request){.entity = r->s->nentities};
    if (pg_query(r->pg,
                 STR("SELECT entity, source, state, last_key, rows, direct, above, up_to, c.term"
                     " FROM ficus.snapshot JOIN ficus.capture c ON c.side = source"
                     " WHERE state IN ('requested','running')"),
                 NULL, 0, r->arena, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows; i++) {
        const struct value *c = rows_at(&rows, i, 0);
        long at = sync_entity(r->s, value_str(c[0]));
        enum side source = str_eqz(value_str(c[1]), "new") ? SIDE_NEW : SIDE_LEGACY;
        if (at < 0 || (size_t)at >= q->entity || !leads_now(r->s, source, c[8]))
            continue;
        request_free(q);
        *q = (struct request){.entity = (size_t)at,
                              .source = source,
                              .resumed = str_eqz(value_str(c[2]), "running"),
                              .direct = str_eqz(value_str(c[5]), "t")};
        if ((q->resumed && take_text(c[3], &q->last_key, e)) || take_text(c[6], &q->above, e) ||
            take_text(c[7], &q->up_to, e))
            return -1;
        if (q->resumed && !str_to_int(value_str(c[4]), 0, INT64_MAX, &q->rows))
            q->rows = 0;
    }
    return q->entity < r->s->nentities;
}

static int count_rows(struct run *r, const struct request *q, long long *out, struct err *e)
{
    const struct dbms *d = q->source == SIDE_NEW ? &dbms_postgres : r->s->dbms;
    struct query all = {.entity = r->s->entities[q->entity], .deleted = DELETED_ANY, .limit = -1};
    struct sql sql;
    struct rows rows;
    if (query_count(&all, q->source, d, r->arena, &sql, e) ||
        (q->source == SIDE_NEW
             ? pg_query(r->pg, sql.text, sql.params, sql.nparams, r->arena, &rows, e)
             : odbc_query(r->odbc, sql.text, sql.params, sql.nparams, r->arena, 1, &rows, e)))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out))
        *out = 0;
    return 0;
}

static int save(struct run *r, const struct request *q, const char *state, const char *error,
                struct err *e)
{
    char n[24], of[24], rest[24];
    snprintf(n, sizeof n, "%lld", q->rows);
    snprintf(of, sizeof of, "%lld", q->estimate);
    snprintf(rest, sizeof rest, "%lld", q->rest_ms);
    const char *p[] = {r->s->entities[q->entity]->name,
                       state,
                       q->last_key,
                       n,
                       of,
                       error,
                       rest,
                       q->waits ? "t" : "f"};
    return pg_execz(r->pg,
                    "UPDATE ficus.snapshot SET state = $2, last_key = $3, rows = $4::bigint,"
                    " estimate = $5::bigint, error = $6, rest_ms = $7::bigint,"
                    " waits = $8::boolean,"
                    " started_at = coalesce(started_at, now()),"
                    " finished_at = CASE WHEN $2 IN ('done','failed') THEN now() END"
                    " WHERE entity = $1 AND state IN ('requested','running')",
                    p, 8, NULL, e);
}

// The new store's rows may only be emitted where the stream has passed their reading.
static int wal_position(struct run *r, uint64_t *out, struct err *e)
{
    struct rows rows;
    if (pg_query(r->pg, STR("SELECT pg_current_wal_insert_lsn()"), NULL, 0, r->arena, &rows, e))
        return -1;
    return pg_lsn_parse(value_str(rows.cells[0]), out, e);
}

static struct value bound(const char *text)
{
    return text ? value_set(str_of(text)) : value_null();
}

// One chunk, read in *us and handed over. *n 0: there are no more.
static int one_chunk(struct run *r, struct request *q, struct reader *reader, size_t *n,
                     uint64_t *us, struct err *e)
{
    struct desk *d = r->s->desks[q->source];
    struct reader_row *rows;
    struct value after[16], above = bound(q->above), up_to = bound(q->up_to);
    struct scan_query slice = {.entity = reader->entity,
                               .deleted = DELETED_ANY,
                               .limit = r->s->batch_max,
                               .after = q->last_key ? after : NULL,
                               .above = q->above ? &above : NULL,
                               .up_to = q->up_to ? &up_to : NULL};
    struct chunk c = {.entity = q->entity, .fields = reader->fields, .nfields = reader->nfields};
    arena_reset(r->arena);
    uint64_t start = clock_mono_ns() / 1000;
    if (desk_window(d, q->entity, e) ||
        (q->last_key && entity_key_split(reader->entity, str_of(q->last_key), after, e)) ||
        reader_slice(reader, &slice, r->arena, &rows, n, e))
        return -1;
    *us = clock_mono_ns() / 1000 - start;
    if (*n == 0)
        return 0;
    GATE("chunk");
    if (q->source == SIDE_NEW && wal_position(r, &c.after, e))
        return -1;
    c.rows = rows;
    c.n = *n;
    if (desk_hand(d, r->s, &c, e))
        return -1;
    free(q->last_key);
    q->last_key = strndup(rows[*n - 1].key.data, rows[*n - 1].key.len);
    q->rows += (long long)*n;
    return q->last_key ? 0 : err_memory(e);
}

// Nothing is written to a topic of somebody else; and the owner takes nothing from the other side
// (apply_fence.c): such a copy would say "done" and have changed nothing.
static int refuse(struct run *r, const struct request *q, struct err *e)
{
    struct route_table *t = live_table(r->s->live);
    const struct group *g = group_of(t, r->s->entities[q->entity]);
    int result = 0;
    if (r->s->streams[q->source][q->entity].foreign_topic)
        result = err_set(e, ERR_INVALID,
                         "topic %s is a Debezium connector's: ask it for a snapshot",
                         r->s->streams[q->source][q->entity].topic);
    if (g && g->owner != q->source)
        result = err_set(e, ERR_INVALID,
                         "the %s store owns group %s: a copy from %s into it is refused; copy from"
                         " the owner, or roll back first",
                         side_name(g->owner), g->name, side_name(q->source));
    route_table_unref(t);
    return result;
}

static int run_direct(struct run *r, struct request *q, struct err *e)
{
    bool done;
    if (q->source != SIDE_LEGACY)
        return err_set(e, ERR_INVALID, "a direct copy goes from the legacy to the new store only");
    if (copy_run(r->s, q->entity, r->pg, q->resumed, &done, e))
        return -1;
    const char *p[] = {r->s->entities[q->entity]->name};
    return done ? pg_execz(r->pg,
                           "UPDATE ficus.snapshot SET state = 'done', finished_at = now()"
                           " WHERE entity = $1 AND state = 'running'",
                           p, 1, NULL, e)
                : 0;
}

// Events of the request's stream that are not applied yet: what its topic holds beyond the sink's
// positions. Not the applier's own count, which stands still while the applier does.
static int read_lag(struct run *r, const struct request *q, long long *lag, struct err *e)
{
    const struct stream_stat *st = &r->s->streams[q->source][q->entity];
    struct rows rows;
    struct value v = value_set(str_of(st->stream));
    *lag = 0;
    if (!r->topics && kafka_reader_open(&r->s->kafka, &r->topics, e))
        return -1;
    if (q->source == SIDE_LEGACY
            ? pg_query(r->pg, STR("SELECT part, next FROM ficus.position WHERE stream = $1"), &v, 1,
                       r->arena, &rows, e)
            : odbc_query(r->odbc, STR("SELECT part, next FROM ficus_position WHERE stream = ?"), &v,
                         1, r->arena, 0, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows; i++) {
        long long part, next;
        int64_t low, high;
        const struct value *c = rows_at(&rows, i, 0);
        if (!str_to_int(value_str(c[0]), 0, INT32_MAX, &part) ||
            !str_to_int(value_str(c[1]), 0, INT64_MAX, &next))
            continue;
        if (kafka_reader_ends(r->topics, st->topic, (int32_t)part, ENDS_MS, &low, &high, e))
            return -1;
        *lag += high > next ? high - next : 0;
    }
    return 0;
}

// Waits while clients' changes would stand behind too many of this copy's rows. What there was
// room for when it was looked at needs no new look.
static int wait_lag(struct run *r, struct request *q, size_t rows, struct err *e)
{
    long long lag, max = conf_int(r->s->conf, "sync.snapshot_lag");
    q->room -= (long long)rows;
    while (max > 0 && q->room <= 0 && !sync_stopping(r->s)) {
        arena_reset(r->arena);
        if (read_lag(r, q, &lag, e))
            return -1;
        q->room = max - lag;
        if (q->waits != (q->room <= 0)) {
            q->waits = q->room <= 0;
            if (save(r, q, "running", NULL, e))
                return -1;
        }
        if (q->waits)
            sync_pause(r->s, IDLE_MS);
    }
    return 0;
}

static int rest(struct run *r, struct request *q, size_t rows, uint64_t us, struct err *e)
{
    uint64_t ms = pacer_rest_us(&q->pacer, &r->s->copy_pace, rows, us) / 1000;
    q->rest_ms += (long long)ms;
    sync_pause(r->s, (unsigned)ms);
    return wait_lag(r, q, rows, e);
}

static int run_request(struct run *r, struct request *q, struct err *e)
{
    const struct entity *en = r->s->entities[q->entity];
    struct log_ctx ctx = {"snapshot", en->name, NULL};
    struct reader reader;
    size_t n = 1;
    uint64_t start = clock_mono_ms(), us = 0;
    if (refuse(r, q, e) || (!r->odbc && sync_open_legacy(r->s, &r->odbc, e)))
        return -1;
    if (reader_init(&reader, en, q->source, r->odbc, r->pg, e) ||
        (!q->resumed && count_rows(r, q, &q->estimate, e)) || save(r, q, "running", NULL, e))
        return -1;
    log_info(&ctx, "%s at %lld of about %lld rows", q->resumed ? "resumed" : "started", q->rows,
             q->estimate);
    if (q->direct)
        return run_direct(r, q, e);
    while (n > 0 && !sync_stopping(r->s)) {
        if (one_chunk(r, q, &reader, &n, &us, e) ||
            (n > 0 && (save(r, q, "running", NULL, e) || rest(r, q, n, us, e))))
            return -1;
    }
    if (n > 0)
        return 0;
    log_info(&ctx, "done: %lld rows in %llu ms", q->rows,
             (unsigned long long)(clock_mono_ms() - start));
    return save(r, q, "done", NULL, e);
}

// What cannot be mended by trying again is recorded; the rest goes up and is tried again.
static int settle(struct run *r, struct request *q, struct err *e)
{
    struct log_ctx ctx = {"snapshot", r->s->entities[q->entity]->name, NULL};
    struct err ignored = {0};
    if (e->code == ERR_STALE || e->code == ERR_CANCELLED)
        return 0;
    if (e->retriable || e->code == ERR_UNREACHABLE || e->code == ERR_BUSY)
        return -1;
    log_error(&ctx, "%s", e->msg);
    return save(r, q, "failed", e->msg, &ignored);
}

static int work(struct run *r, struct err *e)
{
    while (!sync_stopping(r->s)) {
        struct request q;
        int found = next_request(r, &q, e);
        int result = found > 0 ? run_request(r, &q, e) : found;
        if (found > 0 && result)
            result = settle(r, &q, e);
        request_free(&q);
        if (result)
            return -1;
        if (found == 0)
            sync_pause(r->s, IDLE_MS);
    }
    return 0;
}

int snapshot_once(struct sync *s, struct err *e)
{
    struct run r = {.s = s, .arena = arena_create(0)};
    int result = r.arena ? sync_open_pg(s, "ficus snapshot", &r.pg, e) : err_memory(e);
    if (result == 0)
        result = work(&r, e);
    kafka_reader_close(r.topics);
    odbc_close(r.odbc);
    pg_close(r.pg);
    arena_destroy(r.arena);
    return result;
}
