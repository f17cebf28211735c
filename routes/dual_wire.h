// SPDX-License-Identifier: Apache-2.0
// What facades and sync processes say to each other about writes of a dual group, as text
// (docs/dual.md). Three things, none of which is kept anywhere:
//
//   ask     facade -> capture   a write was acknowledged: tell when it is on the other side.
//           Legacy owner: NOTIFY ficus_dual. New owner: a message in the WAL, behind the write.
//   mark    capture -> apply    a control message in the partitions of what was written
//   answer  apply -> facade     NOTIFY ficus_dual_answer, once the mark's batch is committed
//
// Losing any of them makes a client wait for its bound and changes nothing else.
#ifndef FICUS_ROUTES_DUAL_WIRE_H
#define FICUS_ROUTES_DUAL_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "migrations/entity.h"

#define DUAL_ASKS        "ficus_dual"
#define DUAL_ANSWERS     "ficus_dual_answer"
#define DUAL_WAL_PREFIX  "ficus.dual"
#define DUAL_TEXT_MAX    2000 // of an ask, and of the answers in one notice
#define DUAL_TARGETS_MAX 12
#define DUAL_MARKS_MAX   64 // of one ask

// What was written. An empty key: rows of the entity whose keys the facade does not know.
struct dual_target {
    struct str entity, key;
};

struct dual_ask {
    struct str id; // "<instance>/<number>", no blanks
    enum side from;
    struct dual_target at[DUAL_TARGETS_MAX];
    size_t n;
};

// The `at`th of `of` marks of an ask.
struct dual_mark {
    struct str id, key;
    unsigned at, of;
};

enum dual_word {
    DUAL_THERE,   // committed on the other side
    DUAL_PARKED,  // the key has parked events
    DUAL_STOPPED, // the stream cannot carry it now
};

struct dual_answer {
    struct str id;
    unsigned at, of;
    enum dual_word word;
};

// ERR_LIMIT: it has no room in a notice.
int dual_ask_write(const struct dual_ask *ask, struct buf *out, struct err *e) FICUS_MUST_CHECK;
int dual_ask_read(struct str text, struct arena *a, struct dual_ask *out,
                  struct err *e) FICUS_MUST_CHECK;
void dual_mark_write(const struct dual_mark *m, struct buf *out);
// False: some other marker. Borrows from `marker`.
bool dual_mark_read(struct str marker, struct dual_mark *out);
// One line, with its end.
void dual_answer_write(const struct dual_answer *x, struct buf *out);
bool dual_answer_read(struct str line, struct dual_answer *out); // without its end

#endif
