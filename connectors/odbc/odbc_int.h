// SPDX-License-Identifier: Apache-2.0
// Shared by odbc.c (connection, transactions), odbc_statement.c (prepare, bind, execute,
// fetch) and odbc_many.c (array binding) only.
#ifndef FICUS_CONNECTORS_ODBC_INT_H
#define FICUS_CONNECTORS_ODBC_INT_H

#include "connectors/odbc/odbc.h"

#include <sql.h>
#include <sqlext.h>
#include <uthash.h>

// A result column with its bound buffer. What does not fit is fetched again by SQLGetData.
struct odbc_column {
    char *data;
    SQLLEN size;
    SQLLEN indicator;
    SQLSMALLINT c_type; // SQL_C_CHAR, or SQL_C_BINARY (shown as hex)
};

struct odbc_statement {
    SQLHSTMT handle;
    char *sql;
    struct odbc_column *columns;
    SQLSMALLINT ncolumns;
    UT_hash_handle hh; // by text; insertion order is age
};

struct odbc_conn {
    SQLHDBC dbc;
    const struct dbms *dbms;
    struct odbc_statement *statements;
    bool connected, broken, in_transaction;
    SQLHSTMT running; // what odbc_cancel cancels; read by another thread, see there
};

// Fills `e` from the handle's first diagnostic record. Returns -1.
int odbc_err(struct odbc_conn *c, SQLSMALLINT type, SQLHANDLE handle, const char *doing,
             struct err *e);
int odbc_statement_get(struct odbc_conn *c, struct str sql, struct odbc_statement **out,
                       struct err *e);
void odbc_statement_drop(struct odbc_conn *c, struct odbc_statement *st);
// Refuses what the driver would cut or change in silence.
int odbc_check_param(const struct odbc_conn *c, struct value v, size_t number, struct err *e);

#endif
