// SPDX-License-Identifier: Apache-2.0
// What a process knows of the writes that it asked after (docs/dual.md): which marks of each have
// been answered, whether its client may still wait, and what came of them by group. Decides, and
// talks to nobody. No lock of its own: the caller has one.
#ifndef FICUS_FACADE_DUAL_BOOK_H
#define FICUS_FACADE_DUAL_BOOK_H

#include "base/metrics.h"
#include "facade/operation.h"
#include "routes/dual_wire.h"

#define DUAL_LATE_MAX  3              // in a row; then nobody waits until an answer is in time
#define DUAL_OPEN_MAX  65536          // asks without an answer
#define DUAL_FORGET_NS 60000000000ull // an ask is given up

enum dual_outcome {
    DUAL_IN_LINE, // the other side had it before the client was answered
    DUAL_LATE,    // not within the bound, or not waited for because the last ones were late
    DUAL_FAILED,  // it could not be asked for, or the stream cannot carry it now
};

struct dual_group {
    char name[64];
    uint64_t counted[DUAL_FAILED + 1];
    unsigned late; // in a row
    struct metric *outcomes[DUAL_FAILED + 1], *staleness;
    struct dual_group *next;
};

struct dual_entry;
struct dual_book {
    struct dual_entry *open; // by number
    struct dual_group *groups;
    uint64_t last, wait_ns;
};

void dual_book_init(struct dual_book *b, uint64_t wait_ns);
void dual_book_free(struct dual_book *b);
// Made when it is not there; NULL: no memory.
struct dual_group *dual_book_group(struct dual_book *b, const char *name);
// Whether a client should wait at all.
bool dual_book_waits(const struct dual_group *g);
// An ask begins: its number. 0: too many are open.
uint64_t dual_book_begin(struct dual_book *b, struct dual_group *g, unsigned desk, uint64_t now_ns);
// One mark was answered. True: this settles the ask, `*there` or not, for `*desk`; it is gone.
// Repeated answers, and those of asks that are gone, settle nothing.
bool dual_book_answer(struct dual_book *b, uint64_t number, const struct dual_answer *x,
                      uint64_t now_ns, unsigned *desk, bool *there);
// What the client of one write got.
void dual_book_count(struct dual_group *g, enum dual_outcome o);
// Forgets asks that nobody will answer any more.
void dual_book_expire(struct dual_book *b, uint64_t now_ns);

// Where a write's rows are, as far as they are the group's. False: more than an ask can name.
bool dual_targets(const struct group *g, const struct operation *op, const struct result *r,
                  struct dual_ask *out);

#endif
