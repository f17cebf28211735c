// SPDX-License-Identifier: Apache-2.0
// The direct copy as a whole: pause, ranges, threads, leftovers, resume. What one range does is
// copy_range.c. Owns the threads; its connection is the snapshot thread's.
#include "cdc/snapshot/copy_int.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define LEFT_PAGE    256
#define TURN_WAIT_MS 3000

static const char *name_of(const struct copy *c)
{
    return c->s->entities[c->entity]->name;
}

static struct str stream_of(const struct copy *c)
{
    return str_of(c->s->streams[SIDE_LEGACY][c->entity].stream);
}

// ---------------------------------------------------------------- pause and resume

// Our own applier stops by itself before the control store says so; others are stopped by their
// position's statement. Then whoever had moved the position already is waited for.
static int pause_stream(struct copy *c, struct err *e)
{
    struct stream_stat *st = &c->s->streams[SIDE_LEGACY][c->entity];
    struct value p[] = {value_set(stream_of(c)), value_set(str_of(name_of(c)))};
    struct rows rows;
    atomic_store(&st->paused, true);
    unsigned long long turn = atomic_load(&c->s->apply_turns);
    uint64_t until = clock_mono_ms() + TURN_WAIT_MS;
    while (atomic_load(&c->s->apply_turns) < turn + 2 && clock_mono_ms() < until &&
           !sync_stopping(c->s))
        clock_sleep_ms(2);
    if (pg_begin(c->pg, e))
        return -1;
    if (pg_exec(c->pg,
                STR("UPDATE ficus.snapshot SET paused = true WHERE entity = $2 AND NOT EXISTS"
                    " (SELECT 1 FROM ficus.stream_state WHERE stream = $1 AND paused)"),
                p, 2, NULL, e) ||
        pg_exec(c->pg,
                STR("INSERT INTO ficus.stream_state AS t (stream, paused, reason)"
                    " VALUES ($1, true, 'a direct copy of ' || $2 || ' is under way')"
                    " ON CONFLICT (stream) DO UPDATE SET paused = true, reason = excluded.reason"
                    " WHERE NOT t.paused"),
                p, 2, NULL, e) ||
        pg_commit(c->pg, e)) {
        pg_rollback(c->pg);
        return -1;
    }
    return pg_query(c->pg, STR("SELECT 1 FROM ficus.position WHERE stream = $1 FOR UPDATE"), p, 1,
                    c->arena, &rows, e);
}

static int resume_stream(struct copy *c, struct err *e)
{
    struct value p[] = {value_set(str_of(name_of(c))), value_set(stream_of(c))};
    return pg_exec(c->pg,
                   STR("WITH mine AS (UPDATE ficus.snapshot SET paused = false"
                       " WHERE entity = $1 AND paused RETURNING 1)"
                       " UPDATE ficus.stream_state SET paused = false, reason = ''"
                       " WHERE stream = $2 AND EXISTS (SELECT 1 FROM mine)"),
                   p, 2, NULL, e);
}

// ---------------------------------------------------------------- ranges

static int add_range(struct copy *c, unsigned n, struct value above, struct value up_to,
                     struct err *e)
{
    char text[16];
    snprintf(text, sizeof text, "%u", n);
    struct value p[] = {value_set(str_of(name_of(c))), value_set(str_of(text)), above, up_to};
    return pg_exec(c->pg,
                   STR("INSERT INTO ficus.copy_range (entity, n, above, up_to)"
                       " VALUES ($1, $2::int, $3, $4)"),
                   p, 4, NULL, e);
}

// The first key part of the row at `skip` of the slice, in the legacy's order; NULL: none.
static int key_at(struct copy *c, const struct scan_query *slice, long long skip, struct value *out,
                  struct err *e)
{
    struct sql sql;
    struct rows rows;
    *out = value_null();
    if (query_scan_split(slice, SIDE_LEGACY, c->s->dbms, (size_t)skip, c->arena, &sql, e) ||
        odbc_query(c->odbc, sql.text, sql.params, sql.nparams, c->arena, 1, &rows, e))
        return -1;
    return rows.nrows
               ? type_read(slice->entity->keys[0], SIDE_LEGACY, rows.cells[0], c->arena, out, e)
               : 0;
}

static int split(struct copy *c, struct err *e)
{
    const struct entity *en = c->s->entities[c->entity];
    struct value above, up_to, from, to = value_null();
    struct rows rows;
    struct value name = value_set(str_of(en->name));
    long long estimate = 0;
    if (pg_query(c->pg, STR("SELECT above, up_to, estimate FROM ficus.snapshot WHERE entity = $1"),
                 &name, 1, c->arena, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[2]), 0, INT64_MAX, &estimate))
        return err_set(e, ERR_STALE, "the request is gone");
    above = rows.cells[0];
    up_to = rows.cells[1];
    struct scan_query slice = {.entity = en,
                               .deleted = DELETED_ANY,
                               .above = above.state == VALUE_SET ? &above : NULL,
                               .up_to = up_to.state == VALUE_SET ? &up_to : NULL};
    unsigned want = (unsigned)conf_int(c->s->conf, "sync.copy_connections"), n = 0;
    from = above;
    for (unsigned i = 1; i < want; i++) {
        if (key_at(c, &slice, estimate / want * i, &to, e))
            return -1;
        if (to.state != VALUE_SET || value_eq(to, from))
            continue;
        if (add_range(c, n++, from, to, e))
            return -1;
        from = to;
    }
    return add_range(c, n, from, up_to, e);
}

static int look_if_empty(struct copy *c, struct err *e)
{
    struct value name = value_set(str_of(name_of(c)));
    struct buf sql = BUF_INIT;
    buf_addz(&sql, "UPDATE ficus.snapshot SET rows = 0, empty = NOT EXISTS (SELECT 1 FROM ");
    dbms_postgres.quote(&sql, str_of(c->s->entities[c->entity]->sides[SIDE_NEW].root));
    buf_addz(&sql, ") WHERE entity = $1");
    int result = buf_check(&sql, e);
    if (result == 0)
        result = pg_exec(c->pg, buf_str(&sql), &name, 1, NULL, e);
    buf_free(&sql);
    return result;
}

static int make_ranges(struct copy *c, bool resumed, struct err *e)
{
    struct rows rows;
    struct value name = value_set(str_of(name_of(c)));
    if (!resumed && pg_exec(c->pg,
                            STR("WITH l AS (DELETE FROM ficus.copy_left WHERE entity = $1)"
                                " DELETE FROM ficus.copy_range WHERE entity = $1"),
                            &name, 1, NULL, e))
        return -1;
    if (pg_query(c->pg, STR("SELECT 1 FROM ficus.copy_range WHERE entity = $1 LIMIT 1"), &name, 1,
                 c->arena, &rows, e))
        return -1;
    if (rows.nrows > 0)
        return 0;
    if (pg_begin(c->pg, e))
        return -1;
    if (look_if_empty(c, e) == 0 && split(c, e) == 0)
        return pg_commit(c->pg, e);
    pg_rollback(c->pg);
    return -1;
}

// ---------------------------------------------------------------- threads

static void *range_main(void *arg)
{
    struct copy_range *r = arg;
    r->result = copy_range_run(r, &r->err);
    if (r->result)
        atomic_store(&r->copy->failed, true);
    return NULL;
}

static int load_ranges(struct copy *c, struct err *e)
{
    struct rows rows;
    struct value name = value_set(str_of(name_of(c)));
    if (pg_query(c->pg,
                 STR("SELECT n, r.above, r.up_to, r.last_key, s.empty FROM ficus.copy_range r"
                     " JOIN ficus.snapshot s USING (entity) WHERE entity = $1 AND NOT done"
                     " ORDER BY n"),
                 &name, 1, c->arena, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows && i < COPY_RANGES_MAX; i++) {
        const struct value *cell = rows_at(&rows, i, 0);
        c->empty = str_eqz(value_str(cell[4]), "t");
        c->ranges[c->nranges++] = (struct copy_range){.copy = c,
                                                      .n = value_str(cell[0]),
                                                      .above = cell[1],
                                                      .up_to = cell[2],
                                                      .last_key = cell[3]};
    }
    return 0;
}

static int run_ranges(struct copy *c, struct err *e)
{
    size_t started = 0;
    int result = load_ranges(c, e);
    for (; result == 0 && started < c->nranges; started++)
        if (pthread_create(&c->ranges[started].thread, NULL, range_main, &c->ranges[started])) {
            atomic_store(&c->failed, true);
            result = err_set(e, ERR_INTERNAL, "a thread could not be started");
            break;
        }
    for (size_t i = 0; i < started; i++) {
        pthread_join(c->ranges[i].thread, NULL);
        if (c->ranges[i].result && result == 0) {
            *e = c->ranges[i].err;
            result = -1;
        }
    }
    return result;
}

// ---------------------------------------------------------------- what is left to the stream

static int drop_left(struct copy *c, const struct value *keys, size_t n, struct err *e)
{
    struct buf list = BUF_INIT;
    pg_array_literal(&list, keys, n, 1);
    struct value p[] = {value_set(str_of(name_of(c))), value_set(buf_str(&list))};
    int result = buf_check(&list, e);
    if (result == 0)
        result = pg_exec(c->pg,
                         STR("DELETE FROM ficus.copy_left WHERE entity = $1"
                             " AND k = ANY($2::text[])"),
                         p, 2, NULL, e);
    buf_free(&list);
    return result;
}

// One page of keys as a chunk of an ordinary snapshot. *n 0: there are no more.
static int page_left(struct copy *c, struct reader *reader, size_t *n, struct err *e)
{
    struct rows rows;
    struct value name = value_set(str_of(name_of(c)));
    struct desk *desk = c->s->desks[SIDE_LEGACY];
    struct reader_row *read;
    struct str *keys;
    struct chunk chunk = {
        .entity = c->entity, .fields = reader->fields, .nfields = reader->nfields};
    arena_reset(c->arena);
    if (pg_query(c->pg, STR("SELECT k FROM ficus.copy_left WHERE entity = $1 ORDER BY k LIMIT 256"),
                 &name, 1, c->arena, &rows, e))
        return -1;
    *n = rows.nrows;
    if (*n == 0)
        return 0;
    read = arena_array(c->arena, *n, sizeof *read);
    keys = arena_array(c->arena, *n, sizeof *keys);
    if (!read || !keys)
        return err_memory(e);
    for (size_t i = 0; i < *n; i++)
        keys[i] = value_str(rows.cells[i]);
    if (desk_window(desk, c->entity, e) || reader_keys(reader, keys, *n, c->arena, read, e))
        return -1;
    for (size_t i = 0; i < *n; i++)
        if (read[i].values)
            read[chunk.n++] = read[i];
    chunk.rows = read;
    if (chunk.n && desk_hand(desk, c->s, &chunk, e))
        return -1;
    c->left += (long long)chunk.n;
    return drop_left(c, rows.cells, *n, e);
}

static int send_left(struct copy *c, struct err *e)
{
    struct reader reader;
    size_t n = 1;
    if (reader_init(&reader, c->s->entities[c->entity], SIDE_LEGACY, c->odbc, NULL, e))
        return -1;
    while (n > 0 && !sync_stopping(c->s))
        if (page_left(c, &reader, &n, e))
            return -1;
    return 0;
}

// ---------------------------------------------------------------- all of it

static int run(struct copy *c, bool resumed, bool *done, struct err *e)
{
    struct log_ctx ctx = {"copy", name_of(c), NULL};
    uint64_t start = clock_mono_ms();
    if (sync_open_legacy(c->s, &c->odbc, e) || pause_stream(c, e) || make_ranges(c, resumed, e) ||
        run_ranges(c, e))
        return -1;
    if (sync_stopping(c->s))
        return 0;
    if (send_left(c, e))
        return -1;
    if (sync_stopping(c->s))
        return 0;
    log_info(&ctx, "copied in %llu ms by %zu connections; %lld rows went through the stream",
             (unsigned long long)(clock_mono_ms() - start), c->nranges, c->left);
    *done = true;
    return resume_stream(c, e);
}

int copy_run(struct sync *s, size_t entity, struct pg_conn *pg, bool resumed, bool *done,
             struct err *e)
{
    struct err ignored = {0};
    struct copy c = {.s = s, .entity = entity, .pg = pg, .arena = arena_create(0)};
    struct route_table *t = live_table(s->live);
    const struct group *g = group_of(t, s->entities[entity]);
    snprintf(c.group, sizeof c.group, "%s", g ? g->name : "");
    route_table_unref(t);
    *done = false;
    int result = c.arena ? run(&c, resumed, done, e) : err_memory(e);
    // What cannot be mended by trying again must not keep the stream from flowing.
    if (result && !e->retriable && e->code != ERR_UNREACHABLE && e->code != ERR_BUSY &&
        e->code != ERR_STALE)
        (void)resume_stream(&c, &ignored);
    odbc_close(c.odbc);
    arena_destroy(c.arena);
    return result;
}
