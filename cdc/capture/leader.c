// SPDX-License-Identifier: Apache-2.0
// Election and positions of capture, in ficus.capture. Owns no connection.
#include "cdc/capture/leader.h"

#include "base/clock.h"

#include <stdio.h>

static int copy_cell(char *out, size_t size, struct value v, struct err *e)
{
    return str_copy(out, size, value_str(v))
               ? err_set(e, ERR_SCHEMA, "ficus.capture holds a value of %u bytes", v.len)
               : 0;
}

// Raises are by chance where a term is looked up after a restore. The record keeps a week of them.
#define RAISE "CASE WHEN $1 = 'new' THEN 1 + floor(random() * 16777216)::bigint ELSE 1 END"
#define RECORD                                                                                   \
    ", kept AS (INSERT INTO ficus.capture_term (term) SELECT term FROM drawn WHERE $1 = 'new')," \
    " gone AS (DELETE FROM ficus.capture_term WHERE at < now() - interval '7 days' AND term IN"  \
    " (SELECT term FROM ficus.capture_term ORDER BY term LIMIT 2))"

static int elect(struct leader *l, const char *holder, struct arena *a, struct err *e)
{
    static const char sql[] =
        "WITH drawn AS (INSERT INTO ficus.capture AS c (side, term, holder) VALUES ($1, " RAISE
        ", $2) ON CONFLICT (side) DO UPDATE SET term = c.term + excluded.term,"
        " holder = excluded.holder, at = now() RETURNING term, published, identity, stopped)" RECORD
        " SELECT term, published, identity, stopped FROM drawn";
    struct value p[] = {value_set(str_of(side_name(l->side))), value_set(str_of(holder))};
    struct rows rows;
    if (pg_query(l->pg, STR(sql), p, 2, a, &rows, e))
        return -1;
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &l->term))
        return err_set(e, ERR_SCHEMA, "ficus.capture gave no term");
    l->raised_ns = clock_mono_ns();
    return copy_cell(l->published, sizeof l->published, rows.cells[1], e) ||
                   copy_cell(l->identity, sizeof l->identity, rows.cells[2], e) ||
                   copy_cell(l->stopped, sizeof l->stopped, rows.cells[3], e)
               ? -1
               : 0;
}

int leader_try(struct leader *l, struct pg_conn *pg, enum side side, const char *holder,
               struct err *e)
{
    char name[64];
    struct rows rows;
    struct arena *a = arena_create(0);
    int result = -1;
    *l = (struct leader){.pg = pg, .side = side};
    snprintf(name, sizeof name, "ficus.capture.%s", side_name(side));
    struct value p = value_set(str_of(name));
    if (!a)
        return err_memory(e);
    if (pg_query(pg, STR("SELECT pg_try_advisory_lock(hashtextextended($1, 0))"), &p, 1, a, &rows,
                 e) == 0)
        result = !str_eqz(value_str(rows.cells[0]), "t") ? 0 : elect(l, holder, a, e) ? -1 : 1;
    arena_destroy(a);
    return result;
}

static int stale(const struct leader *l, struct err *e)
{
    return err_set(e, ERR_STALE, "capture.%s: another process took over", side_name(l->side));
}

int leader_raise(struct leader *l, struct err *e)
{
    static const char sql[] = "WITH drawn AS (UPDATE ficus.capture SET term = term + " RAISE
                              " WHERE side = $1 AND term = $2::bigint RETURNING term)" RECORD
                              " SELECT term FROM drawn";
    char term[24];
    struct rows rows;
    struct arena *a = arena_create(0);
    snprintf(term, sizeof term, "%lld", l->term);
    struct value p[] = {value_set(str_of(side_name(l->side))), value_set(str_of(term))};
    int result = a ? pg_query(l->pg, STR(sql), p, 2, a, &rows, e) : err_memory(e);
    if (result == 0 &&
        (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &l->term)))
        result = stale(l, e);
    l->raised_ns = clock_mono_ns();
    arena_destroy(a);
    return result;
}

static int update(struct leader *l, const char *sql, const char *a, const char *b, struct err *e)
{
    char term[24];
    long long changed = 0;
    snprintf(term, sizeof term, "%lld", l->term);
    const char *p[] = {side_name(l->side), term, a, b};
    if (pg_execz(l->pg, sql, p, b ? 4 : 3, &changed, e))
        return -1;
    return changed == 1 ? 0 : stale(l, e);
}

int leader_save(struct leader *l, const char *captured, const char *published, struct err *e)
{
    l->saved_ns = clock_mono_ns();
    return update(l,
                  "UPDATE ficus.capture SET captured = $3, published = $4, at = now()"
                  " WHERE side = $1 AND term = $2::bigint",
                  captured, published, e);
}

int leader_identity(struct leader *l, const char *identity, struct err *e)
{
    return update(l,
                  "UPDATE ficus.capture SET identity = $3"
                  " WHERE side = $1 AND term = $2::bigint",
                  identity, NULL, e);
}

int leader_stop(struct leader *l, const char *reason, struct err *e)
{
    return update(l,
                  "UPDATE ficus.capture SET stopped = $3, at = now()"
                  " WHERE side = $1 AND term = $2::bigint",
                  reason, NULL, e);
}
