// SPDX-License-Identifier: Apache-2.0
// What two sets of rows have in common cancels out; a few differing rows can be read back by key,
// however many were equal and in whatever order either side came. Memory is fixed. So each side
// may be read in the order that is cheapest for its store, and nothing waits for its partner.
//
// Every row is added to three cells that its hash chooses, with + for the legacy and - for the new
// side. When all cells are zero the sets were the same (sums of 128-bit hashes). A cell that holds
// one row alone gives its key away; taken out of its other cells it uncovers further ones. Some
// 4500 rows without an equal partner can be read back; beyond that the sketch says so, and nothing
// else is lost. A row that one side gave twice does not cancel, unless the other did so, too.
// One thread.
//
// An invertible Bloom lookup table: Goodrich, Mitzenmacher, "Invertible Bloom Lookup Tables" (2011,
// arXiv:1101.2245); as a difference of sets: Eppstein, Goodrich, Uyeda, Varghese, "What's the
// Difference? Efficient Set Reconciliation without Prior Context" (SIGCOMM 2011).
#ifndef FICUS_CDC_SKETCH_H
#define FICUS_CDC_SKETCH_H

#include "cdc/reconcile/scan.h"

#define SKETCH_KEY_MAX 127 // bytes of the longest key text that a sketch can be made for
#define SKETCH_WORDS   (3 + (SKETCH_KEY_MAX + 1) / 8)
#define SKETCH_PENDING 16

// A row as a cell holds it.
struct sketch_row {
    uint64_t words[SKETCH_WORDS];
};

struct sketch {
    uint64_t *cells;
    struct sketch_row pending[SKETCH_PENDING]; // their cells are on the way to the cache
    bool plus[SKETCH_PENDING];
    size_t npending;
    size_t stride;  // words of a cell: count and check, hash (2), the key
    size_t key_max; // bytes
};

// `key_max`: bytes of the longest key text expected; longer ones sketch_fits() refuses.
int sketch_init(struct sketch *s, size_t key_max, struct err *e) FICUS_MUST_CHECK;
void sketch_free(struct sketch *s);
bool sketch_fits(const struct sketch *s, struct str key);
void sketch_add(struct sketch *s, enum side side, const struct print *p);
// Adds all of `from`, which must be of the same shape, and empties it.
void sketch_take(struct sketch *into, struct sketch *from);

typedef int sketch_each_fn(void *ctx, struct str key, struct err *e);
// Keys of rows without an equal partner, some twice. 1: these are all; 0: there are more than can
// be told, and what was given is worth nothing; -1: `each` failed. Empties the sketch.
int sketch_differences(struct sketch *s, sketch_each_fn *each, void *ctx, struct err *e);

// As bytes, for another process of this machine's kind. load: ERR_INVALID when they do not fit.
struct str sketch_bytes(struct sketch *s);
int sketch_load(struct sketch *s, struct str bytes, struct err *e) FICUS_MUST_CHECK;

#endif
