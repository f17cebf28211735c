// SPDX-License-Identifier: Apache-2.0
// One ODBC connection: opening, transactions, errors, cancelling. The environment handle is
// the process's; everything else belongs to the connection. Transactions are begun and ended
// by their own SQL text with the driver in autocommit mode, because SQLite needs BEGIN
// IMMEDIATE and no driver manager call says that.
#include "connectors/odbc/odbc_int.h"

#include "base/log.h"

#include <stdlib.h>

static SQLHENV environment;
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;
static bool threading_told;

static void environment_create(void)
{
    if (SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &environment) != SQL_SUCCESS)
        environment = SQL_NULL_HANDLE;
    else
        SQLSetEnvAttr(environment, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
}

int odbc_err(struct odbc_conn *c, SQLSMALLINT type, SQLHANDLE handle, const char *doing,
             struct err *e)
{
    SQLCHAR state[6] = "", text[512] = "";
    SQLINTEGER native = 0;
    SQLSMALLINT len = 0;
    SQLRETURN r = SQLGetDiagRec(type, handle, 1, state, &native, text, sizeof text, &len);
    if (!SQL_SUCCEEDED(r)) {
        err_set(e, ERR_INTERNAL, "ODBC: %s failed without a diagnostic", doing);
        return -1;
    }
    enum err_code code = c->dbms->classify((char *)state, (int)native, (char *)text);
    c->broken |= code == ERR_UNREACHABLE;
    err_set(e, code, "ODBC: %s: %.380s", doing, (char *)text);
    if (e) {
        memcpy(e->sqlstate, state, sizeof e->sqlstate);
        e->native = (int)native;
    }
    return -1;
}

int odbc_outcome(struct odbc_conn *c, SQLHSTMT handle, SQLRETURN r, const char *doing,
                 struct err *e)
{
    SQLCHAR state[6] = "", text[64];
    SQLINTEGER native = 0;
    SQLSMALLINT len;
    if (r == SQL_SUCCESS || r == SQL_NO_DATA)
        return 0;
    if (r == SQL_SUCCESS_WITH_INFO &&
        (c->dbms != &dbms_mariadb ||
         !SQL_SUCCEEDED(
             SQLGetDiagRec(SQL_HANDLE_STMT, handle, 1, state, &native, text, sizeof text, &len)) ||
         native == 0))
        return 0;
    return odbc_err(c, SQL_HANDLE_STMT, handle, doing, e);
}

static int connect(struct odbc_conn *c, const char *conninfo, struct err *e)
{
    struct buf text = BUF_INIT;
    odbc_conninfo_complete(&text, conninfo, c->dbms);
    int result = buf_check(&text, e);
    if (result == 0) {
        SQLRETURN r = SQLDriverConnect(c->dbc, NULL, (SQLCHAR *)text.data, SQL_NTS, NULL, 0, NULL,
                                       SQL_DRIVER_NOPROMPT);
        c->connected = SQL_SUCCEEDED(r);
        if (!c->connected) {
            result = odbc_err(c, SQL_HANDLE_DBC, c->dbc, "connecting", e);
            if (e && e->code == ERR_INTERNAL)
                e->code = ERR_UNREACHABLE;
        }
    }
    if (text.data)
        explicit_bzero(text.data, text.len); // it may hold a password
    buf_free(&text);
    return result;
}

static int session_statement(void *ctx, struct str sql, struct err *e)
{
    return odbc_direct(ctx, sql, e);
}

int odbc_open(const char *conninfo, const struct dbms *dbms, struct odbc_conn **out, struct err *e)
{
    struct odbc_conn *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return err_memory(e);
    c->dbms = dbms;
    pthread_mutex_init(&c->lock, NULL);
    pthread_once(&environment_once, environment_create);
    if (environment == SQL_NULL_HANDLE ||
        !SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_DBC, environment, &c->dbc))) {
        pthread_mutex_destroy(&c->lock);
        free(c);
        return err_set(e, ERR_MEMORY, "ODBC: no connection handle");
    }
    if (!__atomic_exchange_n(&threading_told, true, __ATOMIC_RELAXED))
        odbc_log_threading(conninfo);
    SQLSetConnectAttr(c->dbc, SQL_ATTR_LOGIN_TIMEOUT, (SQLPOINTER)10, 0);
    if (connect(c, conninfo, e) ||
        (dbms->session_sql &&
         dbms_each_statement(str_of(dbms->session_sql), session_statement, c, e))) {
        odbc_close(c);
        return -1;
    }
    *out = c;
    return 0;
}

void odbc_close(struct odbc_conn *c)
{
    if (!c)
        return;
    if (c->connected && c->in_transaction)
        odbc_rollback(c);
    while (c->statements)
        odbc_statement_drop(c, c->statements);
    if (c->connected)
        SQLDisconnect(c->dbc);
    SQLFreeHandle(SQL_HANDLE_DBC, c->dbc);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

const struct dbms *odbc_dbms(const struct odbc_conn *c)
{
    return c->dbms;
}

bool odbc_alive(const struct odbc_conn *c)
{
    return c && c->connected && !c->broken;
}

bool odbc_in_transaction(const struct odbc_conn *c)
{
    return c->in_transaction;
}

int odbc_direct(struct odbc_conn *c, struct str sql, struct err *e)
{
    SQLHSTMT h;
    if (sql.len > SQL_MAX_MESSAGE_LENGTH * 2048)
        return err_set(e, ERR_LIMIT, "ODBC: a statement of %zu bytes", sql.len);
    if (!SQL_SUCCEEDED(SQLAllocHandle(SQL_HANDLE_STMT, c->dbc, &h)))
        return odbc_err(c, SQL_HANDLE_DBC, c->dbc, "allocating a statement", e);
    odbc_enter(c, h);
    SQLRETURN r = SQLExecDirect(h, (SQLCHAR *)sql.data, (SQLINTEGER)sql.len);
    odbc_leave(c);
    int result = odbc_outcome(c, h, r, "executing", e);
    SQLFreeHandle(SQL_HANDLE_STMT, h);
    return result;
}

int odbc_begin(struct odbc_conn *c, bool write, struct err *e)
{
    if (c->in_transaction)
        return err_set(e, ERR_INTERNAL, "ODBC: a transaction is open already");
    const char *read = c->dbms->begin_read ? c->dbms->begin_read : "BEGIN";
    const char *sql = write || !c->dbms->begin_write ? c->dbms->begin_write : read;
    if (!sql)
        return err_set(e, ERR_UNSUPPORTED, "ODBC: no transaction can be begun on %s",
                       c->dbms->name);
    if (odbc_direct(c, str_of(sql), e))
        return -1;
    c->in_transaction = true;
    return 0;
}

int odbc_commit(struct odbc_conn *c, struct err *e)
{
    if (!c->in_transaction)
        return err_set(e, ERR_INTERNAL, "ODBC: no transaction to commit");
    c->in_transaction = false;
    if (odbc_direct(c, STR("COMMIT"), e) == 0)
        return 0;
    if (c->broken)
        return err_set(e, ERR_UNKNOWN_OUTCOME, "ODBC: the connection broke during commit");
    // Refused (busy, constraint): the transaction is still open in the store.
    c->in_transaction = true;
    odbc_rollback(c);
    return -1;
}

void odbc_rollback(struct odbc_conn *c)
{
    struct err e = {0};
    struct log_ctx ctx = {"odbc", NULL, NULL};
    if (!c->in_transaction)
        return;
    c->in_transaction = false;
    if (!c->broken && odbc_direct(c, STR("ROLLBACK"), &e)) {
        // Never reuse a connection whose transaction may still be open.
        log_warn(&ctx, "rollback: %s; the connection is given up", e.msg);
        c->broken = true;
    }
}

void odbc_enter(struct odbc_conn *c, SQLHSTMT handle)
{
    pthread_mutex_lock(&c->lock);
    c->running = handle;
    pthread_mutex_unlock(&c->lock);
}

// Waits for a cancel under way: the handle must outlive it.
void odbc_leave(struct odbc_conn *c)
{
    odbc_enter(c, NULL);
}

void odbc_cancel(struct odbc_conn *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->running)
        SQLCancel(c->running);
    pthread_mutex_unlock(&c->lock);
}
