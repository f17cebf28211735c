// SPDX-License-Identifier: Apache-2.0
// An operation as SQL for one side, and rows as its result: shared by the backends that speak
// SQL. A plan lives in one arena that it does not own and borrows nothing from the request:
// a worker may still be at it after the client was answered.
#ifndef FICUS_FACADE_PLAN_H
#define FICUS_FACADE_PLAN_H

#include "connectors/rows.h"
#include "facade/operation.h"

struct plan {
    struct operation op; // a copy whose arrays are the plan's
    enum side side;
    const struct dbms *dbms;
    struct arena *arena;
    // Reads.
    const struct field *const *fields;
    size_t nfields;    // selected: asked for, then the key
    size_t key_at[16]; // position of each key part among them
    struct sql select, count;
    bool has_select, has_count;
    struct sql *expansions; // made by plan_expand once the rows are known
    // Writes.
    struct sql lock;  // no text: not needed. Before what follows: a statement that waits for the
                      // root's lock may show other tables as they were before it waited
    struct sql guard; // the record's values, locked: for op.match
    const struct field *const *guard_fields;
    size_t nguard_fields;
    struct write_statement *statements;
    size_t nstatements;
    // The map's "also" (legacy side): run behind the statements, once `before` has been read.
    bool also;
    struct sql before; // values that the write may change, locked
    const struct field *const *before_fields;
    size_t nbefore_fields; // 0: nothing to read
};

int plan_make(struct plan *p, const struct operation *op, enum side side, const struct dbms *d,
              struct arena *a, struct err *e) FICUS_MUST_CHECK;
// Rows of the select -> records in `out` (memory of the plan's arena).
int plan_take_rows(const struct plan *p, const struct rows *rows, struct result *out,
                   struct err *e) FICUS_MUST_CHECK;
int plan_take_count(const struct rows *rows, struct result *out, struct err *e) FICUS_MUST_CHECK;
// The row of the guard against op.match: ERR_NOT_FOUND, ERR_STALE.
int plan_check_guard(const struct plan *p, const struct rows *rows, struct err *e) FICUS_MUST_CHECK;
// With p->also: the further statements. `before`: rows of p->before, NULL when there is nothing
// to read.
int plan_also(struct plan *p, const struct rows *before, struct write_statement **out, size_t *n,
              struct err *e) FICUS_MUST_CHECK;
// Statements for the expansions of these records; 0 rows: none are needed (*n = 0).
int plan_expand(struct plan *p, const struct result *rows, size_t *n,
                struct err *e) FICUS_MUST_CHECK;
int plan_take_expansion(const struct plan *p, size_t number, const struct rows *rows,
                        struct result *out, struct err *e) FICUS_MUST_CHECK;
// Deep copy of a result into another arena (the request's).
int result_copy(const struct operation *op, const struct result *from, struct arena *a,
                struct result *to, struct err *e) FICUS_MUST_CHECK;
// A store's error as a result.
void result_error(struct result *r, const struct err *e);

#endif
