// SPDX-License-Identifier: Apache-2.0
// Shared by changelog.c and its two ways of reading only.
#ifndef FICUS_CDC_CHANGELOG_INT_H
#define FICUS_CDC_CHANGELOG_INT_H

#include "cdc/capture/changelog.h"

// Rows on their way to the caller; room for `max`.
struct changelog_out {
    struct arena *a;
    struct changelog_row *rows;
    size_t n, max;
};

struct gap;
struct snapshot_reader;

struct changelog_ops {
    int (*open)(struct changelog *l, long long after, struct err *e);
    int (*read)(struct changelog *l, struct changelog_out *o, struct err *e);
    int (*recheck)(struct changelog *l, struct arena *a, struct changelog_out *o, bool *more,
                   struct err *e);            // initialises *o
    bool (*fresh)(const struct changelog *l); // NULL: always
    long long (*low)(const struct changelog *l);
    long long (*position)(const struct changelog *l);
    long long (*captured)(const struct changelog *l);
    size_t (*gaps)(const struct changelog *l);
    // The bound of a trim: the newest row that was read stays.
    long long (*trim_to)(const struct changelog *l, long long upto);
    void (*close)(struct changelog *l);
};
extern const struct changelog_ops changelog_gaps_ops, changelog_snapshot_ops;

struct changelog {
    const struct changelog_ops *ops;
    struct odbc_conn *conn;
    const struct dbms *dbms;
    long long top;                    // greatest seq given out
    long long verified;               // seq of `top_row`
    struct buf top_row;               // entity and key of the newest row that was read; empty: none
    long long trimmed;                // everything up to here is gone
    struct gap *gaps;                 // changelog_gaps.c
    size_t n, room;                   //
    struct snapshot_reader *snapshot; // changelog_snapshot.c
};

struct value changelog_param(struct arena *a, long long n);
int changelog_out_init(struct changelog_out *o, size_t max, struct arena *a, struct err *e);
int changelog_number(struct changelog *l, const char *sql, struct arena *a, long long *out,
                     struct err *e);
// One row's cells (seq, entity, key, write id, at) into *out.
int changelog_take(const struct value *cells, struct arena *a, struct changelog_row *out,
                   struct err *e);
// Rows with seq in (after, upto], at most `limit`.
int changelog_rows(struct changelog *l, long long after, long long upto, size_t limit,
                   struct changelog_out *o, struct err *e);
int changelog_note_top(struct changelog *l, const struct changelog_row *row, struct err *e);

#endif
