// SPDX-License-Identifier: Apache-2.0
// The columns that a SELECT gives, as the server describes them. Executes the statement.
#include "connectors/postgres/pg_int.h"

#include <stdio.h>
#include <stdlib.h>

// Object ids of the built-in types; they never change.
static enum column_kind kind_of(Oid type)
{
    switch (type) {
    case 20:
    case 21:
    case 23: return COLUMN_INTEGER;
    case 16: return COLUMN_BOOLEAN;
    case 1700: return COLUMN_DECIMAL;
    case 700:
    case 701: return COLUMN_FLOAT;
    case 1082: return COLUMN_DATE;
    case 1083:
    case 1266: return COLUMN_TIME;
    case 1114:
    case 1184: return COLUMN_TIMESTAMP;
    case 17: return COLUMN_BYTES;
    case 114:
    case 3802: return COLUMN_JSON;
    default: return COLUMN_TEXT;
    }
}

int pg_describe(struct pg_conn *c, struct str sql, struct arena *a, struct column_info **out,
                size_t *n, struct err *e)
{
    struct str text = arena_str(a, sql); // ends with a NUL
    int result = -1;
    if (!text.data)
        return err_memory(e);
    PGresult *r = PQexecParams(c->pq, text.data, 0, NULL, NULL, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        pg_result_err(c, r, e);
        goto out;
    }
    *n = (size_t)PQnfields(r);
    *out = arena_array(a, *n + 1, sizeof **out);
    result = *out ? 0 : err_memory(e);
    for (int i = 0; result == 0 && i < PQnfields(r); i++) {
        (*out)[i].name = arena_str(a, str_of(PQfname(r, i)));
        (*out)[i].kind = kind_of(PQftype(r, i));
        (*out)[i].padded = PQftype(r, i) == 1042;
        result = (*out)[i].name.data ? 0 : err_memory(e);
    }
out:
    PQclear(r);
    return result;
}
