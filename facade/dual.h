// SPDX-License-Identifier: Apache-2.0
// Writes of dual groups: the owner has committed, and the client's answer waits, for a bounded
// time, until the other side has it too. The facade writes nothing there. It asks capture to tell
// when what was written has been applied: the write in line and the stream are one path, so
// neither can overwrite, echo or pass the other (docs/dual.md).
//
// One thread a process talks to the control store; loops hand it their asks and get mail back.
//
//   dispatch -> dual_desk_wait -> ask -> capture -> apply -> answer -> mail -> wait's `done`
//                     |                                                           ^
//                     +------- bound, deadline, stopped, control store away ------+
#ifndef FICUS_FACADE_DUAL_H
#define FICUS_FACADE_DUAL_H

#include "base/conf.h"
#include "base/loop.h"
#include "facade/dual_book.h"

struct dual;      // of the process
struct dual_desk; // of one loop

// One write that waits. Embedded in its request, which outlives `done`.
struct dual_wait {
    void (*done)(struct dual_wait *w); // exactly once, on the loop
    enum dual_outcome outcome;
    struct dual_wait *next; // the desk's, as all that follows
    struct dual_group *group;
    uint64_t number, until_ns;
};

// `instance` prefixes asks. Without a conninfo there is no thread: for tests, which take the asks
// by dual_next_ask() and answer by dual_take_answers().
struct dual *dual_create(const char *conninfo, const char *instance, unsigned wait_ms,
                         struct err *e);
// A table that is gone by: the thread connects once it has a dual group. Thread: any.
void dual_follow(struct dual *d, const struct route_table *t);
// Ends the thread. Desks may be used until they are destroyed, nobody answers any more.
void dual_stop(struct dual *d);
void dual_destroy(struct dual *d); // stops; after its desks. NULL is fine

struct dual_desk *dual_desk_create(struct dual *d, struct loop *l, struct err *e);
// Ends every wait as late. Thread: the loop's, or after it ended; as the next three.
void dual_desk_close(struct dual_desk *k);
void dual_desk_destroy(struct dual_desk *k); // closes; after its loop's mail is delivered
// A write of a dual group was acknowledged by its owner. False: its client is not to wait, the
// outcome is counted. `deadline_ns` 0: none.
bool dual_desk_wait(struct dual_desk *k, struct dual_wait *w, const struct group *g,
                    const struct operation *op, const struct result *r, uint64_t deadline_ns);
void dual_desk_tick(struct dual_desk *k, uint64_t now_ns); // ends waits at their bound

// {"crm": {"in_line": 9, "late": 0, "failed": 0, "p50_ms": 3.1, "p99_ms": 7.5, "waits": true}}
// of the groups that a table calls dual; owned, NULL when there are none. Thread: any.
json_t *dual_figures(struct dual *d, const struct route_table *t);

// For tests. The oldest ask that was not sent, owned; NULL: none.
char *dual_next_ask(struct dual *d, enum side from);
void dual_take_answers(struct dual *d, struct str answers);

#endif
