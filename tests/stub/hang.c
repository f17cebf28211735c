// SPDX-License-Identifier: Apache-2.0
// An ODBC driver that hangs on command: SQLite's (linked, so that every function that is not here
// is found in it), but for executing. The file that FICUS_STUB_CONTROL names says on each line
// what hangs and how, by a piece of the statement's text:
//   hang TEXT      until SQLCancel, which then ends it as an error
//   stubborn TEXT  whatever is asked, until the line is gone
// Each call looks at the file again, every 5 ms.
#include <dlfcn.h>
#include <pthread.h>
#include <sql.h>
#include <sqlext.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STATEMENTS 256
#define TEXT_MAX   4096

enum how { GO_ON, HANG, STUBBORN };

static struct statement {
    SQLHSTMT handle;
    char text[TEXT_MAX];
    bool cancelled;
} statements[STATEMENTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name)
{
    static void *driver;

    if (!driver)
        driver = dlopen(STUB_REAL_DRIVER, RTLD_NOW | RTLD_LOCAL);
    void *f = driver ? dlsym(driver, name) : NULL;
    if (!f)
        abort();
    return f;
}

// The handle's entry, or a free one that becomes its. The lock is held.
static struct statement *entry(SQLHSTMT handle)
{
    struct statement *unused = NULL;

    for (size_t i = 0; i < STATEMENTS; i++) {
        if (statements[i].handle == handle)
            return &statements[i];
        if (!statements[i].handle && !unused)
            unused = &statements[i];
    }
    if (!unused)
        abort();
    unused->handle = handle;
    return unused;
}

static void note_text(SQLHSTMT handle, const SQLCHAR *text, SQLINTEGER len)
{
    size_t n = len == SQL_NTS ? strlen((const char *)text) : (size_t)len;

    pthread_mutex_lock(&lock);
    struct statement *s = entry(handle);
    n = n < TEXT_MAX ? n : TEXT_MAX - 1;
    memcpy(s->text, text, n);
    s->text[n] = '\0';
    pthread_mutex_unlock(&lock);
}

static enum how order_for(const char *statement)
{
    const char *path = getenv("FICUS_STUB_CONTROL");
    FILE *f = path ? fopen(path, "r") : NULL;
    char word[16], text[256];
    enum how how = GO_ON;

    while (f && fscanf(f, "%15s %255[^\n]", word, text) == 2)
        if (strstr(statement, text))
            how = strcmp(word, "stubborn") == 0 ? STUBBORN : HANG;
    if (f)
        fclose(f);
    return how;
}

// True: go on. False: it was cancelled.
static bool wait_for_leave(SQLHSTMT handle)
{
    const struct timespec soon = {.tv_nsec = 5000000};

    for (bool first = true;; first = false) {
        char text[TEXT_MAX];
        pthread_mutex_lock(&lock);
        struct statement *s = entry(handle);
        if (first)
            s->cancelled = false;
        bool cancelled = s->cancelled;
        memcpy(text, s->text, sizeof(text));
        pthread_mutex_unlock(&lock);
        enum how how = order_for(text);
        if (how == GO_ON || (how == HANG && cancelled))
            return how == GO_ON;
        nanosleep(&soon, NULL);
    }
}

SQLRETURN SQL_API SQLPrepare(SQLHSTMT h, SQLCHAR *text, SQLINTEGER len)
{
    SQLRETURN (*next)(SQLHSTMT, SQLCHAR *, SQLINTEGER) = real("SQLPrepare");

    note_text(h, text, len);
    return next(h, text, len);
}

SQLRETURN SQL_API SQLExecDirect(SQLHSTMT h, SQLCHAR *text, SQLINTEGER len)
{
    SQLRETURN (*next)(SQLHSTMT, SQLCHAR *, SQLINTEGER) = real("SQLExecDirect");

    note_text(h, text, len);
    return wait_for_leave(h) ? next(h, text, len) : SQL_ERROR;
}

SQLRETURN SQL_API SQLExecute(SQLHSTMT h)
{
    SQLRETURN (*next)(SQLHSTMT) = real("SQLExecute");

    return wait_for_leave(h) ? next(h) : SQL_ERROR;
}

SQLRETURN SQL_API SQLCancel(SQLHSTMT h)
{
    pthread_mutex_lock(&lock);
    entry(h)->cancelled = true;
    pthread_mutex_unlock(&lock);
    return SQL_SUCCESS;
}

SQLRETURN SQL_API SQLFreeHandle(SQLSMALLINT kind, SQLHANDLE h)
{
    SQLRETURN (*next)(SQLSMALLINT, SQLHANDLE) = real("SQLFreeHandle");

    if (kind == SQL_HANDLE_STMT) {
        pthread_mutex_lock(&lock);
        *entry(h) = (struct statement){0};
        pthread_mutex_unlock(&lock);
    }
    return next(kind, h);
}
