// SPDX-License-Identifier: Apache-2.0
// Errors as values. The caller owns the struct; filling it never allocates.
// The function that decides what to do about an error logs it, once.
#ifndef FICUS_BASE_ERR_H
#define FICUS_BASE_ERR_H

#include "base/str.h"

#include <stdarg.h>

enum err_code {
    ERR_NONE = 0,
    ERR_MEMORY,  // allocation failed: end this request, go on with the next
    ERR_INVALID, // the input is wrong; retrying the same input cannot help
    ERR_CONFIG,  // configuration, map or route table is wrong
    ERR_LIMIT,   // a stated limit on size, count, depth or time was reached
    ERR_NOT_FOUND,
    ERR_CONFLICT,   // unique key, compare-and-set or version lost
    ERR_CONSTRAINT, // foreign key, not null, check: the row itself is unacceptable
    ERR_VALUE,      // one value does not fit its column
    ERR_DENIED,
    ERR_FENCED, // the store refused the write: this side is not the owner now
    ERR_STALE,  // another process took over (position or epoch moved)
    ERR_BUSY,   // queue or pool full, lock wait, overload: try later
    ERR_TIMEOUT,
    ERR_CANCELLED,
    ERR_UNREACHABLE,     // the other system is down or the connection broke
    ERR_UNKNOWN_OUTCOME, // the commit was sent and not answered
    ERR_SCHEMA,          // the store's tables are not what the map says
    ERR_UNSUPPORTED,
    ERR_INTERNAL,
};

struct err {
    enum err_code code;
    bool retriable;   // the same call may succeed later
    char sqlstate[6]; // "" when no database was involved
    int native;       // the driver's own number, 0 when none
    char msg[512];    // one line; what is wrong and what would mend it
};

const char *err_name(enum err_code code);

// Sets code and message (cut at the buffer, marked by "..."), clears sqlstate and
// native, and sets `retriable` by the code. Always returns -1. `e` may be NULL.
int err_set(struct err *e, enum err_code code, const char *fmt, ...) FICUS_PRINTF(3, 4);
int err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap);

// Puts context in front of the message: "context: message". Returns -1.
int err_prefix(struct err *e, const char *fmt, ...) FICUS_PRINTF(2, 3);

int err_memory(struct err *e);
void err_clear(struct err *e);

#if defined(__clang_analyzer__) && !defined(FICUS_BASE_ERR_C)
// The analyzer does not look into other files: these always fail.
#define err_set(...)    ((void)err_set(__VA_ARGS__), -1)
#define err_vset(...)   ((void)err_vset(__VA_ARGS__), -1)
#define err_prefix(...) ((void)err_prefix(__VA_ARGS__), -1)
#define err_memory(...) ((void)err_memory(__VA_ARGS__), -1)
#endif

// The process exit status (docs/operations.md) for an error: 2 usage is the CLI's own;
// ERR_CONFIG 3, ERR_UNREACHABLE and ERR_TIMEOUT 4, refusals 1, the rest 5.
int err_exit_status(const struct err *e);

#endif
