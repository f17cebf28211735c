// SPDX-License-Identifier: Apache-2.0
// What every SQL connector returns: rows of raw text as the driver gave it.
#ifndef FICUS_CONNECTORS_ROWS_H
#define FICUS_CONNECTORS_ROWS_H

#include "base/arena.h"
#include "base/value.h"
#include "connectors/odbc/dbms.h"

// Cells are VALUE_SET (raw bytes, not yet canonical) or VALUE_NULL. All memory is the
// arena's that was given to the call.
struct rows {
    size_t ncols, nrows;
    struct value *cells; // row-major, nrows * ncols
    long long changed;   // rows that a write found (not "really changed"), -1 unknown
};

// A column of a result, as the connector describes it.
struct column_info {
    struct str name;
    enum column_kind kind;
    bool padded; // char(n): blanks at the end say nothing
};

static inline struct value *rows_at(const struct rows *r, size_t row, size_t col)
{
    return &r->cells[row * r->ncols + col];
}

// One row of a streamed result; cells are valid during the call only. Return 0 to go on,
// -1 with `e` set to stop (the error is passed up).
typedef int rows_each_fn(void *ctx, const struct value *cells, size_t ncols, struct err *e);

#endif
