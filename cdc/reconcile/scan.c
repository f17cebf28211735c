// SPDX-License-Identifier: Apache-2.0
// The walk, its chunk size and its pace. A fingerprint is XXH3-128 over state, length and bytes
// of every field, laid out flat. Owns its buffers, no connection.
#include "cdc/reconcile/scan.h"

#include "base/clock.h"

#define FIRST_LIMIT 64
#define LIMIT_MAX   4096
#define FIRST_PAGES 16
#define PAGES_MAX   256
#define CHUNK_BYTES (2u << 20) // aimed at
#define REST_MAX    10000000   // us; nothing can end a rest

int scan_start(struct scan *s, struct reader *r, const struct scan_query *slice,
               const struct pace *pace, struct err *e)
{
    *s = (struct scan){.reader = r, .slice = *slice, .pace = pace, .limit = FIRST_LIMIT};
    s->statement = arena_create(0);
    s->row = arena_create(0);
    if (!s->statement || !s->row) {
        scan_stop(s);
        return err_memory(e);
    }
    return 0;
}

int scan_start_pages(struct scan *s, struct reader *r, enum deleted_mode deleted, long long first,
                     long long end, const struct pace *pace, struct err *e)
{
    struct scan_query slice = {.entity = r->entity, .deleted = deleted};
    if (scan_start(s, r, &slice, pace, e))
        return -1;
    s->by_page = true;
    s->page = first;
    s->end = end;
    s->limit = FIRST_PAGES;
    return 0;
}

void scan_stop(struct scan *s)
{
    arena_destroy(s->statement);
    arena_destroy(s->row);
    buf_free(&s->last);
    buf_free(&s->flat);
    s->statement = s->row = NULL;
}

#define HEAD_BYTES 6 // state, side of a foreign value, length

// A foreign value carries its side, so that the other side's bytes never equal it.
static char *flatten(const struct reader *r, struct value v, char *to)
{
    to[0] = (char)v.state;
    to[1] = (char)(v.state == VALUE_FOREIGN ? 1 + r->side : 0);
    if (v.state != VALUE_SET && v.state != VALUE_FOREIGN)
        return to + 2;
    memcpy(to + 2, &v.len, sizeof v.len);
    if (v.len > 0)
        memcpy(to + HEAD_BYTES, v.data, v.len);
    return to + HEAD_BYTES + v.len;
}

XXH128_hash_t scan_hash(const struct reader *r, const struct value *values, struct buf *flat)
{
    size_t most = r->nfields * HEAD_BYTES;
    buf_reset(flat);
    for (size_t i = 0; values && i < r->nfields; i++)
        most += values[i].len;
    if (buf_reserve(flat, most)) // sticky: the caller checks
        return (XXH128_hash_t){0};
    char *to = flat->data;
    for (size_t i = 0; values && i < r->nfields; i++)
        to = flatten(r, values[i], to);
    flat->len = (size_t)(to - flat->data);
    *to = '\0';
    return XXH3_128bits(flat->data, flat->len);
}

static int on_row(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct scan *s = ctx;
    struct reader_row row;
    (void)ncols;
    arena_reset(s->row);
    if (reader_canonical(s->reader, cells, s->row, &row, e))
        return -1;
    struct print p = {.key = row.key, .hash = scan_hash(s->reader, row.values, &s->flat)};
    if (buf_check(&s->flat, e))
        return -1;
    for (size_t i = 0; i < s->reader->entity->nkeys; i++)
        p.null_key |= row.values[i].state == VALUE_NULL;
    s->chunk_rows++;
    s->chunk_bytes += s->flat.len;
    buf_reset(&s->last);
    buf_addstr(&s->last, row.key);
    if (buf_check(&s->last, e))
        return -1;
    return s->each(s->ctx, &p, e);
}

// Rows (or pages) of a chunk: twice as many while they stay small; few when they are large, or
// when few are asked for in a second.
static void adapt(struct scan *s)
{
    long long rate = s->pace ? atomic_load_explicit(&s->pace->rows_per_s, memory_order_relaxed) : 0;
    size_t most = s->by_page ? PAGES_MAX : LIMIT_MAX, asked = s->limit;
    double bytes = (double)s->chunk_bytes / (double)(s->by_page ? asked : s->chunk_rows + 1) + 1;
    double rows = s->by_page ? (double)s->chunk_rows / (double)asked : 1;
    size_t next = asked * 2 < most ? asked * 2 : most;
    while (next > 1 &&
           ((double)next * bytes > CHUNK_BYTES || (rate > 0 && (double)next * rows > (double)rate)))
        next /= 2; // powers of two: few texts of statements
    s->limit = next;
}

static void rest(struct scan *s, uint64_t us)
{
    uint64_t wait = s->pace ? pacer_rest_us(&s->pacer, s->pace, s->chunk_rows, us) : 0;
    if (wait >= 1000)
        clock_sleep_ms((unsigned)(wait < REST_MAX ? wait / 1000 : REST_MAX / 1000));
}

static int page_step(struct scan *s, struct err *e)
{
    long long to = s->page + (long long)s->limit;
    struct str sql;
    if (to > s->end) // without an end: all the rest at once
        to = s->end;
    if (query_scan_pages(s->reader->entity, s->slice.deleted, s->page, to, s->statement, &sql, e) ||
        pg_copy_each(s->reader->pg, sql, on_row, s, e))
        return -1;
    s->page = to;
    s->done = to == s->end;
    return 0;
}

static int key_step(struct scan *s, struct err *e)
{
    struct value after[16];
    struct scan_query q = s->slice;
    struct sql sql;
    q.limit = s->limit;
    if (s->begun) {
        struct str last = arena_str(s->statement, buf_str(&s->last));
        if (!last.data)
            return err_memory(e);
        if (entity_key_split(q.entity, last, after, e))
            return -1;
        q.after = after;
    }
    if (query_scan(&q, s->reader->side, reader_dbms(s->reader), s->statement, &sql, e) ||
        reader_each(s->reader, sql.text, sql.params, sql.nparams, on_row, s, e))
        return -1;
    s->begun = true;
    s->done = q.unordered || s->chunk_rows < q.limit;
    return 0;
}

int scan_step(struct scan *s, scan_each_fn *each, void *ctx, struct err *e)
{
    uint64_t start = clock_mono_ns() / 1000;
    s->each = each;
    s->ctx = ctx;
    s->chunk_rows = s->chunk_bytes = 0;
    arena_reset(s->statement);
    if (s->by_page ? page_step(s, e) : key_step(s, e))
        return -1;
    s->rows += (long long)s->chunk_rows;
    s->bytes += (long long)s->chunk_bytes;
    adapt(s);
    if (!s->done)
        rest(s, clock_mono_ns() / 1000 - start);
    return 0;
}

int scan_written(struct reader *r, enum deleted_mode deleted, unsigned long long oldest,
                 scan_each_fn *each, void *ctx, struct err *e)
{
    struct scan_query slice = {.entity = r->entity, .deleted = deleted};
    struct scan s;
    struct str sql;
    if (scan_start(&s, r, &slice, NULL, e))
        return -1;
    s.each = each;
    s.ctx = ctx;
    int result = query_scan_written(r->entity, deleted, oldest, s.statement, &sql, e) ||
                         pg_copy_each(r->pg, sql, on_row, &s, e)
                     ? -1
                     : 0;
    scan_stop(&s);
    return result;
}
