// SPDX-License-Identifier: Apache-2.0
// The columns that a SELECT gives, as the driver describes them. Executes the statement.
#include "connectors/odbc/odbc_int.h"

static enum column_kind kind_of(SQLSMALLINT type)
{
    switch (type) {
    case SQL_TINYINT:
    case SQL_SMALLINT:
    case SQL_INTEGER:
    case SQL_BIGINT: return COLUMN_INTEGER;
    case SQL_DECIMAL:
    case SQL_NUMERIC: return COLUMN_DECIMAL;
    case SQL_REAL:
    case SQL_FLOAT:
    case SQL_DOUBLE: return COLUMN_FLOAT;
    case SQL_BIT: return COLUMN_BOOLEAN;
    case SQL_TYPE_DATE: return COLUMN_DATE;
    case SQL_TYPE_TIME: return COLUMN_TIME;
    case SQL_TYPE_TIMESTAMP: return COLUMN_TIMESTAMP;
    case SQL_BINARY:
    case SQL_VARBINARY:
    case SQL_LONGVARBINARY: return COLUMN_BYTES;
    default: return COLUMN_TEXT;
    }
}

int odbc_describe(struct odbc_conn *c, struct str sql, struct arena *a, struct column_info **out,
                  size_t *n, struct err *e)
{
    struct odbc_statement *st;
    SQLSMALLINT count = 0;
    int result = -1;
    if (odbc_execute(c, sql, NULL, 0, &st, e))
        return -1;
    if (!SQL_SUCCEEDED(SQLNumResultCols(st->handle, &count))) {
        odbc_err(c, SQL_HANDLE_STMT, st->handle, "counting columns", e);
        goto out;
    }
    *n = (size_t)count;
    *out = arena_array(a, *n + 1, sizeof **out);
    if (!*out) {
        err_memory(e);
        goto out;
    }
    for (SQLSMALLINT i = 0; i < count; i++) {
        SQLCHAR name[256];
        SQLSMALLINT len, type, digits, nullable;
        SQLULEN size;
        if (!SQL_SUCCEEDED(SQLDescribeCol(st->handle, (SQLUSMALLINT)(i + 1), name, sizeof name,
                                          &len, &type, &size, &digits, &nullable))) {
            odbc_err(c, SQL_HANDLE_STMT, st->handle, "describing a column", e);
            goto out;
        }
        (*out)[i].name = arena_str(a, str_of((const char *)name));
        (*out)[i].kind = kind_of(type);
        (*out)[i].padded = type == SQL_CHAR || type == SQL_WCHAR;
        if (!(*out)[i].name.data) {
            err_memory(e);
            goto out;
        }
    }
    result = 0;
out:
    SQLFreeStmt(st->handle, SQL_CLOSE);
    if (result)
        odbc_statement_drop(c, st);
    return result;
}
