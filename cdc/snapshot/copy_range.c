// SPDX-License-Identifier: Apache-2.0
// One range of a direct copy: chunks of rows stream from an ODBC cursor into COPY, each chunk in one
// transaction of the new store that also moves the range's last key and notes the keys that are
// left to the stream. Owns its two connections. Thread: its own.
#include "cdc/snapshot/copy_int.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "cdc/apply/sink.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_LIMIT 1024
#define LIMIT_MAX   16384
#define CHUNK_BYTES (8u << 20) // aimed at

struct worker {
    struct copy_range *range;
    const struct entity *en;
    struct odbc_conn *odbc;
    struct sink *sink;
    struct pg_conn *pg; // the sink's
    struct reader reader;
    struct arena *chunk, *row;
    struct buf copy_sql;
    struct value *cells; // of a COPY row
    const struct field **columns;
    size_t ncolumns;
    bool by_copy;        // into an empty table; else by upsert
    struct str last_key; // owned: malloc
    // one chunk
    size_t limit, rows, bytes;
    struct pacer pacer;
    unsigned rested_ms;        // since it was told last
    struct value *left;        // keys, in the chunk's arena
    const struct value **kept; // rows by field index, of an upsert
    size_t nleft, nkept;
};

// ---------------------------------------------------------------- opening

// COPY "table" (columns): for an empty table, and fields of the new side's root table alone.
static int plan(struct worker *w, struct err *e)
{
    const struct side_map *m = &w->en->sides[SIDE_NEW];
    w->columns = calloc(w->en->nfields, sizeof *w->columns);
    w->cells = calloc(w->en->nfields, sizeof *w->cells);
    if (!w->columns || !w->cells)
        return err_memory(e);
    w->by_copy = w->range->copy->empty;
    buf_addz(&w->copy_sql, "COPY ");
    dbms_postgres.quote(&w->copy_sql, str_of(m->root));
    for (size_t i = 0; i < w->en->nfields; i++) {
        const struct field *f = &w->en->fields[i];
        if (!f->synced)
            continue;
        w->by_copy &= f->place[SIDE_NEW].kind == PLACE_ROOT;
        buf_addz(&w->copy_sql, w->ncolumns ? ", " : " (");
        dbms_postgres.quote(&w->copy_sql, str_of(f->place[SIDE_NEW].column));
        w->columns[w->ncolumns++] = f;
    }
    buf_addz(&w->copy_sql, ") FROM STDIN");
    return buf_check(&w->copy_sql, e);
}

static int open_all(struct worker *w, struct err *e)
{
    struct sync *s = w->range->copy->s;
    w->chunk = arena_create(0);
    w->row = arena_create(0);
    if (!w->chunk || !w->row)
        return err_memory(e);
    if (sync_open_legacy(s, &w->odbc, e) || sink_postgres_open(s, &w->sink, e))
        return -1;
    w->pg = sink_postgres_conn(w->sink);
    return plan(w, e) || reader_init(&w->reader, w->en, SIDE_LEGACY, w->odbc, NULL, e) ? -1 : 0;
}

static void close_all(struct worker *w)
{
    odbc_close(w->odbc);
    sink_close(w->sink);
    arena_destroy(w->chunk);
    arena_destroy(w->row);
    buf_free(&w->copy_sql);
    free(w->columns);
    free(w->cells);
    free((char *)w->last_key.data);
}

// ---------------------------------------------------------------- one row

static struct value *more_left(struct worker *w)
{
    if (!w->left)
        w->left = arena_array(w->chunk, LIMIT_MAX, sizeof *w->left);
    return w->left && w->nleft < LIMIT_MAX ? &w->left[w->nleft++] : NULL;
}

static int leave(struct worker *w, struct str key, struct err *e)
{
    struct value *slot = more_left(w);
    struct str copy = arena_str(w->chunk, key);
    if (!slot || !copy.data)
        return err_memory(e);
    *slot = value_set(copy);
    return 0;
}

// Canonical values -> what COPY reads in this column. 1: this row cannot cross as it is.
static int copy_cells(struct worker *w, const struct value *values, struct err *e)
{
    for (size_t i = 0; i < w->ncolumns; i++) {
        const struct field *f = w->columns[i];
        struct value *cell = &w->cells[i];
        struct err unfit = {0};
        if (type_write(f, SIDE_NEW, values[i], w->row, cell, &unfit)) {
            if (unfit.code == ERR_MEMORY) {
                *e = unfit;
                return -1;
            }
            return 1;
        }
        if (f->place[SIDE_NEW].storage == COLUMN_BYTES && cell->state == VALUE_SET) {
            struct str hex = arena_printf(w->row, "\\x%.*s", (int)cell->len, cell->data);
            if (!hex.data)
                return err_memory(e);
            *cell = value_set(hex);
        }
    }
    return 0;
}

static int keep(struct worker *w, const struct reader_row *row, struct err *e)
{
    struct value *v = arena_array(w->chunk, w->en->nfields, sizeof *v);
    if (!w->kept)
        w->kept = arena_array(w->chunk, LIMIT_MAX, sizeof *w->kept);
    if (!v || !w->kept)
        return err_memory(e);
    for (size_t i = 0; i < w->reader.nfields; i++) {
        struct str text = arena_str(w->chunk, value_str(row->values[i]));
        if (row->values[i].state == VALUE_FOREIGN)
            return leave(w, row->key, e);
        if (!text.data)
            return err_memory(e);
        v[w->reader.fields[i]->index] = row->values[i];
        v[w->reader.fields[i]->index].data = text.data;
    }
    w->kept[w->nkept++] = v;
    return 0;
}

static int note_key(struct worker *w, struct str key, struct err *e)
{
    char *copy = strndup(key.data, key.len);
    if (!copy)
        return err_memory(e);
    free((char *)w->last_key.data);
    w->last_key = str_n(copy, key.len);
    return 0;
}

static int on_row(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct worker *w = ctx;
    struct reader_row row;
    (void)ncols;
    arena_reset(w->row);
    if (reader_canonical(&w->reader, cells, w->row, &row, e) || note_key(w, row.key, e))
        return -1;
    w->rows++;
    for (size_t i = 0; i < w->reader.nfields; i++)
        w->bytes += row.values[i].len;
    if (!w->by_copy)
        return keep(w, &row, e);
    int unfit = copy_cells(w, row.values, e);
    if (unfit)
        return unfit < 0 ? -1 : leave(w, row.key, e);
    return pg_copy_row(w->pg, w->cells, w->ncolumns, e);
}

// ---------------------------------------------------------------- one chunk

static int read_chunk(struct worker *w, rows_each_fn *each, struct err *e)
{
    struct copy_range *r = w->range;
    struct value after[16];
    struct sql sql;
    struct scan_query q = {.entity = w->en,
                           .deleted = DELETED_ANY,
                           .limit = w->limit,
                           .above = r->above.state == VALUE_SET ? &r->above : NULL,
                           .up_to = r->up_to.state == VALUE_SET ? &r->up_to : NULL};
    if (w->last_key.data) {
        struct str last = arena_str(w->chunk, w->last_key); // the rows move it
        if (!last.data)
            return err_memory(e);
        if (entity_key_split(w->en, last, after, e))
            return -1;
        q.after = after;
    }
    w->rows = w->bytes = w->nleft = w->nkept = 0;
    w->left = NULL;
    w->kept = NULL;
    if (query_scan(&q, SIDE_LEGACY, reader_dbms(&w->reader), w->chunk, &sql, e))
        return -1;
    return reader_each(&w->reader, sql.text, sql.params, sql.nparams, each, w, e);
}

static int write_rows(struct worker *w, struct err *e)
{
    char now[20];
    long long copied;
    if (w->by_copy)
        return pg_copy_begin(w->pg, buf_str(&w->copy_sql), e) || read_chunk(w, on_row, e) ||
                       pg_copy_end(w->pg, &copied, e)
                   ? -1
                   : 0;
    clock_utc_seconds(clock_wall_ms(), now);
    return read_chunk(w, on_row, e) ||
                   (w->nkept && sink_apply(w->sink, w->range->copy->entity, false, w->kept,
                                           w->nkept, now, w->chunk, e))
               ? -1
               : 0;
}

// The owner takes nothing from the other side, and nobody opens it before this transaction ends.
static int check_fence(struct worker *w, struct err *e)
{
    struct rows rows;
    struct value g = value_set(str_of(w->range->copy->group));
    if (!*w->range->copy->group)
        return 0;
    if (pg_query(w->pg, str_of(dbms_postgres.fence_hold_sql), &g, 1, w->chunk, &rows, e))
        return -1;
    return rows.nrows && str_eqz(value_str(rows.cells[0]), "1")
               ? err_set(e, ERR_INVALID, "the new store owns group %s by now",
                         w->range->copy->group)
               : 0;
}

static int save(struct worker *w, struct err *e)
{
    char rows[24], rested[24];
    struct buf list = BUF_INIT;
    snprintf(rows, sizeof rows, "%zu", w->rows);
    snprintf(rested, sizeof rested, "%u", w->rested_ms / (unsigned)w->range->copy->nranges);
    pg_array_literal(&list, w->left, w->nleft, 1);
    struct value p[] = {value_set(str_of(w->en->name)),
                        value_set(w->range->n),
                        w->last_key.data ? value_set(w->last_key) : value_null(),
                        value_set(w->rows < w->limit ? STR("t") : STR("f")),
                        value_set(str_of(rows)),
                        value_set(buf_str(&list)),
                        value_set(str_of(rested))};
    int result = buf_check(&list, e);
    if (result == 0)
        result = pg_exec(w->pg,
                         STR("WITH l AS (INSERT INTO ficus.copy_left (entity, k) SELECT $1, k"
                             " FROM unnest($6::text[]) AS k ON CONFLICT DO NOTHING),"
                             " s AS (UPDATE ficus.snapshot SET rows = rows + $5::bigint,"
                             " rest_ms = rest_ms + $7::bigint WHERE entity = $1)"
                             " UPDATE ficus.copy_range SET last_key = $3, done = $4::boolean"
                             " WHERE entity = $1 AND n = $2::int"),
                         p, 7, NULL, e);
    buf_free(&list);
    return result;
}

static int leave_row(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct worker *w = ctx;
    struct reader_row row;
    (void)ncols;
    arena_reset(w->row);
    if (reader_canonical(&w->reader, cells, w->row, &row, e) || note_key(w, row.key, e))
        return -1;
    w->rows++;
    return leave(w, row.key, e);
}

// The store refused a row of the chunk: all of its keys go to the stream, which finds out which.
static int leave_chunk(struct worker *w, const struct err *why, struct err *e)
{
    struct log_ctx ctx = {"copy", w->en->name, NULL};
    log_warn(&ctx, "a chunk is left to the stream: %s", why->msg);
    arena_reset(w->chunk);
    if (pg_begin(w->pg, e))
        return -1;
    if (read_chunk(w, leave_row, e) == 0 && save(w, e) == 0)
        return pg_commit(w->pg, e);
    pg_rollback(w->pg);
    return -1;
}

static int copy_chunk(struct worker *w, struct err *e)
{
    struct err why = {0};
    struct str before = arena_str(w->row, w->last_key);
    char *start = w->last_key.data ? strndup(before.data, before.len) : NULL;
    arena_reset(w->chunk);
    if (w->sink->ops->begin(w->sink, e) == 0) {
        if (check_fence(w, e) == 0 && write_rows(w, e) == 0 && save(w, e) == 0) {
            free(start);
            FAILPOINT("copied");
            return w->sink->ops->commit(w->sink, e);
        }
        why = *e;
        w->sink->ops->rollback(w->sink);
    }
    free((char *)w->last_key.data);
    w->last_key = start ? str_of(start) : (struct str){0};
    if (!why.sqlstate[0] || sink_verdict(w->sink, &why) != VERDICT_ROW)
        return -1;
    return leave_chunk(w, &why, e);
}

static void adapt(struct worker *w)
{
    size_t width = w->bytes / (w->rows ? w->rows : 1) + 1;
    w->limit = w->limit * 2 < LIMIT_MAX ? w->limit * 2 : LIMIT_MAX;
    while (w->limit > 1 && w->limit > CHUNK_BYTES / width)
        w->limit /= 2;
}

// Of the chunk just copied. The bound on rows is shared out among the ranges.
static void rest(struct worker *w, uint64_t us)
{
    struct sync *s = w->range->copy->s;
    struct pace mine;
    long long rows = atomic_load(&s->copy_pace.rows_per_s);
    atomic_init(&mine.share, atomic_load(&s->copy_pace.share));
    atomic_init(&mine.rows_per_s, rows ? rows / (long long)w->range->copy->nranges + 1 : 0);
    w->rested_ms = (unsigned)(pacer_rest_us(&w->pacer, &mine, w->rows, us) / 1000);
    sync_pause(s, w->rested_ms);
}

int copy_range_run(struct copy_range *r, struct err *e)
{
    struct worker w = {
        .range = r, .en = r->copy->s->entities[r->copy->entity], .limit = FIRST_LIMIT};
    bool done = false;
    int result = open_all(&w, e);
    if (result == 0 && r->last_key.state == VALUE_SET)
        result = note_key(&w, value_str(r->last_key), e);
    while (result == 0 && !done && !sync_stopping(r->copy->s) && !atomic_load(&r->copy->failed)) {
        size_t limit = w.limit;
        uint64_t start = clock_mono_ns() / 1000;
        result = copy_chunk(&w, e);
        done = w.rows < limit;
        if (result == 0 && !done)
            rest(&w, clock_mono_ns() / 1000 - start);
        adapt(&w);
    }
    close_all(&w);
    return result;
}
