// SPDX-License-Identifier: Apache-2.0
// Runs the statements of query_checksum and query_scan_split. Keeps nothing.
#include "cdc/reconcile/checksum.h"

#include "migrations/type.h"

static int ask(struct reader *r, const struct sql *sql, struct arena *a, struct rows *rows,
               struct err *e)
{
    return r->side == SIDE_NEW
               ? pg_query(r->pg, sql->text, sql->params, sql->nparams, a, rows, e)
               : odbc_query(r->odbc, sql->text, sql->params, sql->nparams, a, 1, rows, e);
}

int checksum_take(struct reader *r, const struct scan_query *slice, struct arena *a,
                  struct checksum *out, struct err *e)
{
    struct sql sql;
    struct rows rows;
    *out = (struct checksum){0};
    if (query_checksum(slice, r->side, reader_dbms(r), a, &sql, e) || ask(r, &sql, a, &rows, e))
        return -1;
    if (rows.nrows != 1 || rows.ncols != 2 ||
        !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &out->rows) ||
        str_copy(out->sum, sizeof out->sum, value_str(rows.cells[1])))
        return err_set(e, ERR_INTERNAL, "the store gave no checksum");
    out->wire = (long long)rows.cells[0].len + (long long)rows.cells[1].len;
    return 0;
}

bool checksum_equal(const struct checksum *a, const struct checksum *b)
{
    return a->rows == b->rows && strcmp(a->sum, b->sum) == 0;
}

int checksum_split(struct reader *r, const struct scan_query *slice, size_t skip, struct arena *a,
                   struct value *out, bool *found, struct err *e)
{
    struct sql sql;
    struct rows rows;
    if (query_scan_split(slice, r->side, reader_dbms(r), skip, a, &sql, e) ||
        ask(r, &sql, a, &rows, e))
        return -1;
    *found = rows.nrows == 1 && rows.cells[0].state == VALUE_SET;
    if (!*found)
        return 0;
    if (type_read(r->entity->keys[0], r->side, rows.cells[0], a, out, e))
        return -1;
    *found = out->state == VALUE_SET;
    return 0;
}
