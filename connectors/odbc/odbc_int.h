// SPDX-License-Identifier: Apache-2.0
// Shared by odbc.c (connection, transactions), odbc_conninfo.c, odbc_statement.c (prepare, bind, execute),
// odbc_fetch.c (results) and odbc_many.c (array binding) only.
#ifndef FICUS_CONNECTORS_ODBC_INT_H
#define FICUS_CONNECTORS_ODBC_INT_H

#include "connectors/odbc/odbc.h"

#include <pthread.h>
#include <sql.h>
#include <sqlext.h>
#include <xxhash.h>
// Statements are kept by their text, which is long: uthash's own function costs more than binding.
#define HASH_FUNCTION(text, len, hash) (hash) = (unsigned)XXH3_64bits(text, len)
#include <uthash.h>

// A result column with its bound buffers, one after the other for each row of a block.
struct odbc_column {
    char *data;
    SQLLEN *indicators;
    SQLULEN described;  // the driver's word on its length
    SQLLEN size;        // of one buffer
    SQLSMALLINT c_type; // SQL_C_CHAR, or SQL_C_BINARY (shown as hex)
};

struct odbc_statement {
    SQLHSTMT handle;
    char *sql;
    struct odbc_column *columns;
    SQLSMALLINT ncolumns;
    SQLULEN block;   // rows that the columns are bound for; 0: not bound yet
    SQLULEN fetched; // rows of the present block, and the next of them to take
    SQLULEN next;
    bool *hex;         // by parameter: bound as the bytes that its hex text stands for; NULL: none
    UT_hash_handle hh; // by text; insertion order is age
};

struct odbc_conn {
    SQLHDBC dbc;
    const struct dbms *dbms;
    struct odbc_statement *statements;
    bool connected, broken, in_transaction;
    pthread_mutex_t lock; // of `running`, against odbc_cancel in another thread
    SQLHSTMT running;     // inside the driver now; NULL: nothing to cancel
};

// Fills `e` from the handle's first diagnostic record. Returns -1.
int odbc_err(struct odbc_conn *c, SQLSMALLINT type, SQLHANDLE handle, const char *doing,
             struct err *e);
// 0 if the statement was executed. MariaDB's driver calls it a success with information when
// the server refused a statement with SQLSTATE 01000 (native 1265, a value that does not fit).
int odbc_outcome(struct odbc_conn *c, SQLHSTMT handle, SQLRETURN r, const char *doing,
                 struct err *e);
void odbc_conninfo_complete(struct buf *out, const char *conninfo, const struct dbms *d);
void odbc_log_threading(const char *conninfo);
// Around every call of the driver that may take long.
void odbc_enter(struct odbc_conn *c, SQLHSTMT handle);
void odbc_leave(struct odbc_conn *c);

int odbc_statement_get(struct odbc_conn *c, struct str sql, struct odbc_statement **out,
                       struct err *e);
void odbc_statement_drop(struct odbc_conn *c, struct odbc_statement *st);
// Binds and executes; `*out` is open until SQLFreeStmt(SQL_CLOSE). Dropped on failure.
int odbc_execute(struct odbc_conn *c, struct str sql, const struct value *params, size_t n,
                 struct odbc_statement **out, struct err *e);
// Refuses what the driver would cut or change in silence.
int odbc_check_param(const struct odbc_conn *c, struct value v, size_t number, struct err *e);

// Binds the columns of an executed statement for up to `block` rows at a time.
int odbc_columns_bind(struct odbc_conn *c, struct odbc_statement *st, SQLULEN block, struct err *e);
void odbc_columns_free(struct odbc_statement *st);
// Goes to the next row. 1: a row, 0: the end, -1: error.
int odbc_fetch(struct odbc_conn *c, struct odbc_statement *st, struct err *e);
// That row, copied into the arena.
int odbc_take_row(struct odbc_conn *c, struct odbc_statement *st, struct arena *a,
                  struct value *cells, struct err *e);
// That row, valid until the next fetch: text stays where the driver put it, the rest (bytes,
// long values) goes into the arena.
int odbc_lend_row(struct odbc_conn *c, struct odbc_statement *st, struct arena *a,
                  struct value *cells, struct err *e);

#endif
