// SPDX-License-Identifier: Apache-2.0
// The walk, its chunk size and its pace. A fingerprint is XXH3-128 over state, length and bytes
// of every field, laid out flat. Owns its buffers, no connection.
#include "cdc/reconcile/scan.h"

#include "base/clock.h"

#define FIRST_LIMIT 64
#define LIMIT_MAX   4096
#define CHUNK_BYTES (2u << 20) // aimed at
#define SLOW_MAX    8.0        // a store that answers so many times slower is left alone as long

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

void scan_stop(struct scan *s)
{
    arena_destroy(s->statement);
    arena_destroy(s->row);
    buf_free(&s->last);
    buf_free(&s->flat);
    s->statement = s->row = NULL;
}

// A foreign value carries its side, so that the other side's bytes never equal it.
static void flatten(const struct reader *r, struct value v, struct buf *flat)
{
    unsigned char head[6] = {v.state, v.state == VALUE_FOREIGN ? (unsigned char)(1 + r->side) : 0};
    bool bytes = v.state == VALUE_SET || v.state == VALUE_FOREIGN;
    memcpy(head + 2, &v.len, sizeof v.len);
    buf_add(flat, head, bytes ? sizeof head : 2);
    if (bytes)
        buf_add(flat, v.data, v.len);
}

XXH128_hash_t scan_hash(const struct reader *r, const struct value *values, struct buf *flat)
{
    buf_reset(flat);
    for (size_t i = 0; values && i < r->nfields; i++)
        flatten(r, values[i], flat);
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

// Rows of a chunk: twice as many while they stay small; few when they are large.
static void adapt(struct scan *s)
{
    size_t width = s->chunk_bytes / (s->chunk_rows ? s->chunk_rows : 1) + 1;
    size_t fit = CHUNK_BYTES / width;
    size_t next = s->limit * 2 < LIMIT_MAX ? s->limit * 2 : LIMIT_MAX;
    while (next > 1 && next > fit)
        next /= 2; // powers of two: few texts of statements
    s->limit = next;
}

// A store that answers slower than it once did has other work: it is left alone for longer.
static void rest(struct scan *s, uint64_t us)
{
    double each = (double)us / (double)(s->chunk_rows ? s->chunk_rows : 1), wait = 0;
    if (s->chunk_rows >= FIRST_LIMIT && (s->best_us == 0 || each < s->best_us))
        s->best_us = each;
    if (!s->pace)
        return;
    unsigned share = atomic_load_explicit(&s->pace->share, memory_order_relaxed);
    long long rate = atomic_load_explicit(&s->pace->rows_per_s, memory_order_relaxed);
    if (share > 0 && share < 100) {
        double slow = s->best_us > 0 ? each / s->best_us : 1;
        slow = slow < 1 ? 1 : slow > SLOW_MAX ? SLOW_MAX : slow;
        wait = (double)us * (100 - share) / share * slow;
    }
    if (rate > 0) {
        double due = 1e6 * (double)s->chunk_rows / (double)rate - (double)us;
        wait = due > wait ? due : wait;
    }
    if (wait >= 1000)
        clock_sleep_ms((unsigned)(wait / 1000 > 10000 ? 10000 : wait / 1000));
}

int scan_step(struct scan *s, scan_each_fn *each, void *ctx, struct err *e)
{
    struct value after[16];
    struct scan_query q = s->slice;
    struct sql sql;
    uint64_t start = clock_mono_ns() / 1000;
    s->each = each;
    s->ctx = ctx;
    s->chunk_rows = s->chunk_bytes = 0;
    q.limit = s->limit;
    arena_reset(s->statement);
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
    s->rows += (long long)s->chunk_rows;
    s->bytes += (long long)s->chunk_bytes;
    s->done = q.unordered || s->chunk_rows < q.limit;
    adapt(s);
    if (!s->done)
        rest(s, clock_mono_ns() / 1000 - start);
    return 0;
}
