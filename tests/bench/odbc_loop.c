// SPDX-License-Identifier: Apache-2.0
// The peer of the legacy route: threads with one ODBC connection each that execute one prepared
// select by key and read every column as text, nothing else.
//   odbc_loop CONNINFO SQL KEYFILE THREADS SECONDS  ->  "operations cpu_us_per_operation"
#include <pthread.h>
#include <sql.h>
#include <sqlext.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KEYS_MAX    100000
#define COLUMNS_MAX 128

static SQLHENV env;
static const char *conninfo, *sql;
static char keys[KEYS_MAX][40];
static size_t nkeys;
static atomic_ullong operations;
static atomic_bool stop;

static void die(SQLSMALLINT type, SQLHANDLE h, const char *doing)
{
    SQLCHAR state[6], text[256];
    SQLINTEGER native;
    SQLSMALLINT len;
    SQLGetDiagRec(type, h, 1, state, &native, text, sizeof text, &len);
    fprintf(stderr, "odbc_loop: %s: %s\n", doing, (char *)text);
    exit(1);
}

static void *loop(void *arg)
{
    static __thread char cells[COLUMNS_MAX][1024];
    SQLLEN lens[COLUMNS_MAX], key_len = SQL_NTS;
    SQLHDBC dbc;
    SQLHSTMT st;
    SQLSMALLINT n;
    char key[40] = "";
    size_t at = (size_t)arg * 7919;
    SQLAllocHandle(SQL_HANDLE_DBC, env, &dbc);
    if (!SQL_SUCCEEDED(SQLDriverConnect(dbc, NULL, (SQLCHAR *)conninfo, SQL_NTS, NULL, 0, NULL,
                                        SQL_DRIVER_NOPROMPT)))
        die(SQL_HANDLE_DBC, dbc, "connecting");
    SQLAllocHandle(SQL_HANDLE_STMT, dbc, &st);
    if (!SQL_SUCCEEDED(SQLPrepare(st, (SQLCHAR *)sql, SQL_NTS)))
        die(SQL_HANDLE_STMT, st, "preparing");
    SQLBindParameter(st, 1, SQL_PARAM_INPUT, SQL_C_CHAR, SQL_VARCHAR, 36, 0, key, sizeof key,
                     &key_len);
    if (!SQL_SUCCEEDED(SQLNumResultCols(st, &n)) || n > COLUMNS_MAX)
        die(SQL_HANDLE_STMT, st, "columns");
    for (SQLSMALLINT i = 0; i < n; i++)
        SQLBindCol(st, (SQLUSMALLINT)(i + 1), SQL_C_CHAR, cells[i], sizeof cells[i], &lens[i]);
    while (!stop) {
        memcpy(key, keys[at++ % nkeys], sizeof key);
        if (!SQL_SUCCEEDED(SQLExecute(st)))
            die(SQL_HANDLE_STMT, st, "executing");
        while (SQL_SUCCEEDED(SQLFetch(st)))
            ;
        SQLFreeStmt(st, SQL_CLOSE);
        operations++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    struct rusage u;
    if (argc != 6)
        return 2;
    conninfo = argv[1];
    sql = argv[2];
    unsigned n = (unsigned)strtoul(argv[4], NULL, 10);
    struct timespec wait = {(time_t)strtol(argv[5], NULL, 10), 0};
    FILE *f = fopen(argv[3], "r");
    while (f && nkeys < KEYS_MAX && fscanf(f, "%39s", keys[nkeys]) == 1)
        nkeys++;
    if (nkeys == 0 || n == 0 || n > 64)
        return 2;
    SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &env);
    SQLSetEnvAttr(env, SQL_ATTR_ODBC_VERSION, (SQLPOINTER)SQL_OV_ODBC3, 0);
    for (unsigned i = 0; i < n; i++)
        pthread_create(&threads[i], NULL, loop, (void *)(size_t)i);
    nanosleep(&wait, NULL);
    stop = 1;
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    getrusage(RUSAGE_SELF, &u);
    double us = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
                (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    printf("%llu %.3f\n", (unsigned long long)operations, us / (double)operations);
    return 0;
}
