// SPDX-License-Identifier: Apache-2.0
// The new store as a sink, on one libpq connection. Every session sets up a replication origin
// of its own (one session may use an origin at a time), which capture.new filters by its name,
// and the setting ficus.origin, which lets the fence's guard pass it.
#include "cdc/apply/sink.h"

#include <stdio.h>
#include <stdlib.h>

#define ORIGINS_MAX 64

struct sink_postgres {
    struct sink base;
    struct pg_conn *pg;
    struct buf text; // array literals, one after another
};

static const char *const sql[SINK_STATEMENTS] = {
    [SINK_POSITION_INIT] = "INSERT INTO ficus.position (stream, part, next, epoch)"
                           " VALUES ($1, $2::int, 0, 0) ON CONFLICT DO NOTHING",
    [SINK_POSITION_TAKE] = "UPDATE ficus.position SET epoch = epoch + 1, at = now()"
                           " WHERE stream = $1 AND part = $2::int",
    [SINK_POSITION_READ] =
        "SELECT next, epoch, term, through, opened, last_print FROM ficus.position"
        " WHERE stream = $1 AND part = $2::int",
    [SINK_POSITION_MOVE] = "UPDATE ficus.position SET next = $1::bigint, term = $2::bigint,"
                           " through = $3::bigint, opened = $4::bigint, last_print = $5::bigint,"
                           " at = now() WHERE stream = $6 AND part = $7::int"
                           " AND next = $8::bigint"
                           " AND epoch = $9::bigint AND NOT EXISTS (SELECT 1 FROM"
                           " ficus.stream_state s WHERE s.stream = $6 AND s.paused)",
    [SINK_MARKER] = "INSERT INTO ficus.marker (marker, stream, part) VALUES ($1, $2, $3::int)"
                    " ON CONFLICT DO NOTHING",
    [SINK_PARK] = "INSERT INTO ficus.parked (stream, part, offset_no, entity, k, reason, detail,"
                  " sqlstate, after_image, opened) VALUES ($1, $2::int, $3::bigint, $4, $5, $6,"
                  " $7, $8, $9, $10::bigint)"
                  " ON CONFLICT DO NOTHING",
    [SINK_PARKED_KEYS] = "SELECT entity, k, count(*), count(*) FILTER (WHERE reason = 'waits')"
                         " FROM ficus.parked WHERE state IN ('parked','retry')"
                         " AND stream LIKE 'legacy.%' GROUP BY 1, 2",
    [SINK_PARKED_DUE] =
        "SELECT stream, k, min(id) FROM ficus.parked WHERE state IN ('parked','retry')"
        " AND stream LIKE 'legacy.%' GROUP BY 1, 2"
        " HAVING bool_or(state = 'retry') OR (min(id) > $1::bigint AND"
        " (bool_or(reason = 'waits') OR bool_and(reason = 'behind')))"
        " ORDER BY min(id) LIMIT 500",
    [SINK_PARKED_OF_KEY] = "SELECT id, part, offset_no, after_image, state, reason, opened"
                           " FROM ficus.parked WHERE stream = $1 AND k = $2"
                           " AND state IN ('parked','retry') ORDER BY part, offset_no",
    [SINK_PARKED_SET] = "UPDATE ficus.parked SET state = $1, reason = $2, detail = $3,"
                        " sqlstate = $4 WHERE id = $5::bigint",
};

static struct sink_postgres *self(struct sink *k)
{
    return (struct sink_postgres *)k;
}

static int begin(struct sink *k, struct err *e)
{
    const char *p[] = {k->origin};
    // A deferred constraint would fail at the commit, where no row can be blamed.
    if (pg_begin(self(k)->pg, e) || pg_script(self(k)->pg, STR("SET CONSTRAINTS ALL IMMEDIATE"), e))
        return -1;
    return pg_execz(self(k)->pg, "SELECT set_config('ficus.origin', $1, true)", p, 1, NULL, e);
}

static int commit(struct sink *k, struct err *e)
{
    return pg_commit(self(k)->pg, e);
}

static void rollback(struct sink *k)
{
    pg_rollback(self(k)->pg);
}

static int savepoint(struct sink *k, const char *name, struct err *e)
{
    return pg_savepoint(self(k)->pg, name, e);
}

static int rollback_to(struct sink *k, const char *name, struct err *e)
{
    return pg_rollback_to(self(k)->pg, name, e);
}

static int exec(struct sink *k, struct str text, const struct value *params, size_t n,
                long long *changed, struct err *e)
{
    return pg_exec(self(k)->pg, text, params, n, changed, e);
}

static int query(struct sink *k, struct str text, const struct value *params, size_t n,
                 struct arena *a, struct rows *out, struct err *e)
{
    return pg_query(self(k)->pg, text, params, n, a, out, e);
}

// Each column of the rows becomes one array parameter; looked-up fields go row by row.
static int many(struct sink *k, const struct apply_statement *st, const struct value *params,
                size_t nrows, struct err *e)
{
    struct sink_postgres *p = self(k);
    struct value arrays[512];
    size_t ends[512], n = st->nparams;
    if (st->role == STATEMENT_LOOKUP) {
        for (size_t r = 0; r < nrows; r++)
            if (pg_exec(p->pg, st->text, params + r * n, n, NULL, e))
                return -1;
        return 0;
    }
    if (n > 512)
        return err_set(e, ERR_LIMIT, "a statement of %zu columns", n);
    buf_reset(&p->text);
    for (size_t c = 0; c < n; c++) {
        pg_array_literal(&p->text, params + c, nrows, n);
        ends[c] = p->text.len;
    }
    if (buf_check(&p->text, e))
        return -1;
    for (size_t c = 0; c < n; c++) {
        size_t start = c ? ends[c - 1] : 0;
        arrays[c] = value_set(str_n(p->text.data + start, ends[c] - start));
    }
    return pg_exec(p->pg, st->text, arrays, n, NULL, e);
}

static bool alive(const struct sink *k)
{
    return pg_alive(((const struct sink_postgres *)k)->pg);
}

static void close_sink(struct sink *k)
{
    struct sink_postgres *p = self(k);
    buf_free(&p->text);
    pg_close(p->pg);
    free(p);
}

static const struct sink_ops ops = {
    .sql = sql,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .savepoint = savepoint,
    .rollback_to = rollback_to,
    .exec = exec,
    .query = query,
    .many = many,
    .alive = alive,
    .close = close_sink,
};

struct pg_conn *sink_postgres_conn(struct sink *k)
{
    return self(k)->pg;
}

// The first origin ficus_<prefix>_<n> that no other session uses.
static int take_origin(struct sink_postgres *p, struct err *e)
{
    for (int i = 1; i <= ORIGINS_MAX; i++) {
        struct err busy = {0};
        snprintf(p->base.origin, sizeof p->base.origin, "ficus_%.40s_%d", p->base.sync->prefix, i);
        const char *name[] = {p->base.origin};
        if (pg_execz(p->pg,
                     "SELECT pg_replication_origin_create($1) WHERE"
                     " pg_replication_origin_oid($1) IS NULL",
                     name, 1, NULL, e) &&
            strcmp(e->sqlstate, "23505") != 0) // another session was faster
            return err_prefix(e, "replication origin (grant EXECUTE on pg_replication_origin_*)");
        if (pg_execz(p->pg, "SELECT pg_replication_origin_session_setup($1)", name, 1, NULL,
                     &busy) == 0)
            return 0;
        if (strcmp(busy.sqlstate, "55006") != 0) { // object in use
            *e = busy;
            return err_prefix(e, "replication origin (see max_replication_slots)");
        }
    }
    return err_set(e, ERR_BUSY, "all %d replication origins are in use", ORIGINS_MAX);
}

int sink_postgres_open(struct sync *s, struct sink **out, struct err *e)
{
    struct sink_postgres *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return err_memory(e);
    p->base.ops = &ops;
    if (sink_init(&p->base, s, SIDE_NEW, &dbms_postgres, e) ||
        sync_open_pg(s, "ficus apply.new", &p->pg, e) || take_origin(p, e)) {
        sink_close(&p->base);
        return -1;
    }
    *out = &p->base;
    return 0;
}
