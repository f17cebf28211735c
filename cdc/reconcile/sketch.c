// SPDX-License-Identifier: Apache-2.0
// An invertible Bloom lookup table over rows (Goodrich and Mitzenmacher, 2011), with sums instead
// of XOR, so that a row twice on one side is not taken for none. A cell, in 64-bit words:
//
//   0     sum of +-(1 + check << 32): the count in the low half, a check of the hashes above it
//   1, 2  sums of +-hash (low, high)
//   3..   sums of +-key: its length in the first byte, its bytes, zeros
//
// The high half of the hash chooses one cell in each third.
#include "cdc/reconcile/sketch.h"

#include <stdlib.h>

#define THIRD_BITS  11
#define THIRD       ((size_t)1 << THIRD_BITS)
#define CELLS       (3 * THIRD)
#define HEAD        3
#define UUID_STRIDE 8  // keys of up to 39 bytes
#define LINE        64 // bytes of a cache line

int sketch_init(struct sketch *s, size_t key_max, struct err *e)
{
    *s = (struct sketch){0};
    if (key_max > SKETCH_KEY_MAX)
        return err_set(e, ERR_LIMIT, "keys of %zu bytes are too long for a sketch", key_max);
    s->stride = HEAD + key_max / 8 + 1;
    s->key_max = (s->stride - HEAD) * 8 - 1;
    size_t bytes = CELLS * s->stride * sizeof *s->cells; // CELLS is a multiple of LINE
    s->cells = aligned_alloc(LINE, bytes);
    if (!s->cells)
        return err_memory(e);
    memset(s->cells, 0, bytes);
    return 0;
}

void sketch_free(struct sketch *s)
{
    free(s->cells);
    *s = (struct sketch){0};
}

bool sketch_fits(const struct sketch *s, struct str key)
{
    return key.len <= s->key_max;
}

// Not linear in the hashes: a sum of several rows does not look like one.
static uint64_t check_of(uint64_t low, uint64_t high)
{
    uint64_t x = low ^ (high << 31 | high >> 33);
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return (x ^ x >> 32) & 0xffffffffu;
}

static size_t cell_at(uint64_t high, size_t third)
{
    return third * THIRD + (size_t)(high >> (THIRD_BITS * third) & (THIRD - 1));
}

static inline void add_words(uint64_t *cell, const uint64_t *row, size_t n, bool plus)
{
    for (size_t i = 0; i < n; i++)
        cell[i] = plus ? cell[i] + row[i] : cell[i] - row[i];
}

static void add_row(struct sketch *s, const uint64_t *row, bool plus)
{
    for (size_t third = 0; third < 3; third++) {
        uint64_t *cell = s->cells + cell_at(row[2], third) * s->stride;
        if (s->stride == UUID_STRIDE) // known when compiled: no loop
            add_words(cell, row, UUID_STRIDE, plus);
        else
            add_words(cell, row, s->stride, plus);
    }
}

static void add_pending(struct sketch *s)
{
    for (size_t i = 0; i < s->npending; i++)
        add_row(s, s->pending[i].words, s->plus[i]);
    s->npending = 0;
}

// A cell is a cache miss: asked for now, added to some rows later.
void sketch_add(struct sketch *s, enum side side, const struct print *p)
{
    uint64_t *row = s->pending[s->npending].words;
    unsigned char *key = (unsigned char *)(row + HEAD);
    memset(row + HEAD, 0, (s->stride - HEAD) * sizeof *row);
    row[0] = 1 + (check_of(p->hash.low64, p->hash.high64) << 32);
    row[1] = p->hash.low64;
    row[2] = p->hash.high64;
    key[0] = (unsigned char)p->key.len;
    if (p->key.len > 0)
        memcpy(key + 1, p->key.data, p->key.len);
    for (size_t third = 0; third < 3; third++)
        __builtin_prefetch(s->cells + cell_at(row[2], third) * s->stride, 1);
    s->plus[s->npending++] = side == SIDE_LEGACY;
    if (s->npending == SKETCH_PENDING)
        add_pending(s);
}

void sketch_take(struct sketch *into, struct sketch *from)
{
    add_pending(from);
    for (size_t i = 0; i < CELLS * into->stride; i++)
        into->cells[i] += from->cells[i];
    memset(from->cells, 0, CELLS * from->stride * sizeof *from->cells);
}

// The one row that a cell holds, and whether it is the legacy's. False: none, or several.
static bool alone(const struct sketch *s, size_t at, uint64_t *row, bool *plus)
{
    const uint64_t *cell = s->cells + at * s->stride;
    for (int sign = 0; sign < 2; sign++) {
        memset(row, 0, s->stride * sizeof *row);
        *plus = sign == 0;
        add_words(row, cell, s->stride, *plus);
        if (row[0] == 1 + (check_of(row[1], row[2]) << 32) && cell_at(row[2], at / THIRD) == at)
            return ((const unsigned char *)(row + HEAD))[0] <= s->key_max;
    }
    return false;
}

// Takes rows out until no cell holds one alone.
static int peel(struct sketch *s, sketch_each_fn *each, void *ctx, struct err *e)
{
    struct sketch_row row;
    bool plus;
    size_t taken = 0; // bounded: a cell that only looks like one row may give back what it took
    for (bool more = true; more;) {
        more = false;
        for (size_t at = 0; at < CELLS && taken < CELLS; at++) {
            if (!alone(s, at, row.words, &plus))
                continue;
            const unsigned char *key = (const unsigned char *)(row.words + HEAD);
            if (each(ctx, str_n((const char *)key + 1, key[0]), e))
                return -1;
            add_row(s, row.words, !plus);
            taken++;
            more = true;
        }
    }
    return 0;
}

int sketch_differences(struct sketch *s, sketch_each_fn *each, void *ctx, struct err *e)
{
    add_pending(s);
    int result = peel(s, each, ctx, e) ? -1 : 1;
    for (size_t i = 0; result == 1 && i < CELLS * s->stride; i++)
        result = s->cells[i] == 0;
    memset(s->cells, 0, CELLS * s->stride * sizeof *s->cells);
    return result;
}

struct str sketch_bytes(struct sketch *s)
{
    add_pending(s);
    return str_n((const char *)s->cells, CELLS * s->stride * sizeof *s->cells);
}

int sketch_load(struct sketch *s, struct str bytes, struct err *e)
{
    if (bytes.len != sketch_bytes(s).len)
        return err_set(e, ERR_INVALID, "a sketch on record has %zu bytes", bytes.len);
    memcpy(s->cells, bytes.data, bytes.len);
    return 0;
}
