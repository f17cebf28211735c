// SPDX-License-Identifier: Apache-2.0
// The store that changes are applied to: rows, positions, markers and parked events, all in one
// transaction that carries our origin, so that capture of that store passes over it. PostgreSQL
// (sink_postgres.c) and ODBC (sink_odbc.c) differ in a handful of calls; the rest is sink.c.
// One thread.
#ifndef FICUS_CDC_SINK_H
#define FICUS_CDC_SINK_H

#include "cdc/sync_int.h"

enum sink_statement {
    SINK_POSITION_INIT, // once: (stream, part)
    SINK_POSITION_TAKE, // (stream, part): epoch + 1
    SINK_POSITION_READ, // (stream, part) -> next, epoch, term, through, opened
    SINK_POSITION_MOVE, // (next, term, through, opened, stream, part, expected, epoch)
    SINK_MARKER,        // once: (marker, stream, part)
    SINK_PARK,          // once: (stream, part, offset, entity, k, reason, detail, sqlstate, image,
                        // opened)
    SINK_PARKED_KEYS,   // () -> entity, k, count, waits: keys that are parked
    SINK_PARKED_DUE,    // (id) -> stream, k, id: asked to be retried, or waiting and beyond `id`
    SINK_PARKED_OF_KEY, // (stream, k) -> id, part, offset, image, state, reason, opened
    SINK_PARKED_SET,    // (state, reason, detail, sqlstate, id)
    SINK_STATEMENTS,
};

struct sink;

struct sink_ops {
    const char *const *sql; // by enum sink_statement
    bool repeat_keys;       // "once" statements take their leading key parameters again
    int (*begin)(struct sink *s, struct err *e);
    int (*commit)(struct sink *s, struct err *e);
    void (*rollback)(struct sink *s);
    int (*savepoint)(struct sink *s, const char *name, struct err *e);
    int (*rollback_to)(struct sink *s, const char *name, struct err *e);
    int (*exec)(struct sink *s, struct str sql, const struct value *params, size_t n,
                long long *changed, struct err *e);
    int (*query)(struct sink *s, struct str sql, const struct value *params, size_t n,
                 struct arena *a, struct rows *out, struct err *e);
    // One statement for many rows of raw parameters, row-major.
    int (*many)(struct sink *s, const struct apply_statement *st, const struct value *params,
                size_t nrows, struct err *e);
    bool (*alive)(const struct sink *s);
    void (*close)(struct sink *s);
};

struct sink_plan {
    struct apply_statement *upsert, *remove;
    size_t nupsert, nremove;
};

struct sink {
    const struct sink_ops *ops;
    struct sync *sync;
    enum side side; // that is written
    const struct dbms *dbms;
    struct arena *plan_arena;
    struct sink_plan *plans; // by entity
    char origin[64];
};

int sink_postgres_open(struct sync *s, struct sink **out, struct err *e) FICUS_MUST_CHECK;
int sink_odbc_open(struct sync *s, struct sink **out, struct err *e) FICUS_MUST_CHECK;
void sink_close(struct sink *s); // NULL is fine
// The connection under a sink of sink_postgres_open, for COPY inside its transaction.
struct pg_conn *sink_postgres_conn(struct sink *s);

// For the two above: fills plans.
int sink_init(struct sink *k, struct sync *s, enum side side, const struct dbms *d,
              struct err *e) FICUS_MUST_CHECK;

// Rows of one entity, each key once: canonical values by field index. `remove`: only the key
// fields are looked at.
int sink_apply(struct sink *k, size_t entity, bool remove, const struct value *const *rows,
               size_t n, const char *now, struct arena *a, struct err *e) FICUS_MUST_CHECK;
int sink_exec(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
              long long *changed, struct err *e) FICUS_MUST_CHECK;
// An INSERT that does nothing when a row with the first `nkeys` parameters is there.
int sink_once(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
              size_t nkeys, struct err *e) FICUS_MUST_CHECK;
int sink_query(struct sink *k, enum sink_statement st, const struct value *params, size_t n,
               struct arena *a, struct rows *out, struct err *e) FICUS_MUST_CHECK;

// What a failed write means for the event.
enum verdict {
    VERDICT_ROW,    // the row is at fault: park it
    VERDICT_SCHEMA, // the table is not what the map says: stop the entity
    VERDICT_RETRY,  // the store is: roll back and try again
};
enum verdict sink_verdict(const struct sink *k, const struct err *e);
const char *sink_reason(const struct err *e); // stable word of a VERDICT_ROW

#endif
