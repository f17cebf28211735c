// SPDX-License-Identifier: Apache-2.0
// Shared by access.c (reads), access_write.c (writes) only.
#ifndef FICUS_FACADE_ACCESS_INT_H
#define FICUS_FACADE_ACCESS_INT_H

#include "base/log.h"
#include "base/metrics.h"
#include "facade/policy/access.h"

#include <stdio.h>

#define HOLE_CLIENTS 64 // that are told apart

enum hole { HOLE_NONE, HOLE_LINKS, HOLE_COUNT, HOLE_LINK_WRITE, HOLE_COUNT_OF };

struct access {
    const struct access_policy *policy;
    struct dispatcher *dispatcher;
    struct rights *rights;
    struct log_limit limit;
    char clients[HOLE_CLIENTS][64];
    size_t nclients;
    struct metric *holes[HOLE_CLIENTS + 1][HOLE_COUNT_OF];
    struct metric *inherit_failed;
    struct log_limit inherit_limit;
};

// One decision on its way, in the operation's arena.
struct check {
    struct rights_ask ask; // first: its chain is the check's
    struct access *access;
    struct dispatch *parent;
    access_verdict_fn *verdict;
    struct str levels;
    const struct value *groups; // of the action at work
    size_t ngroups;
    void (*with_groups)(struct check *k);
    size_t next_expansion;
    // The row, or the rows, at work.
    const struct entity *row_of;
    const struct value *row;
    size_t nrows;
    enum deleted_mode row_deleted;
    enum reach row_reach;
    bool row_single;
    long long within_reach;
    void (*with_row)(struct check *k);
};

struct check_row_of {
    const struct entity *entity;
    const struct value *key; // one part; or a list of keys
    enum deleted_mode deleted;
    enum access_action action;
    enum reach reach;
};

void check_end(struct check *k, enum result_status s, const char *why);
void check_deny(struct check *k, const char *why);
enum reach check_reach(const struct check *k, const struct entity *en, enum access_action a);
// Goes on with `then` when the row is within reach, or is not there at all; else refuses.
void check_row(struct check *k, const struct check_row_of *r, void (*then)(struct check *k));
// The same for `n` rows by key: all that are there must be within reach.
void check_rows(struct check *k, const struct check_row_of *r, size_t n,
                void (*then)(struct check *k));
void check_write(struct check *k); // access_write.c
void check_admin(struct check *k); // may everything

#endif
