// SPDX-License-Identifier: Apache-2.0
// Errors as values: names, messages, exit statuses. Allocates nothing. Thread: any; an
// error belongs to its caller.
#define FICUS_BASE_ERR_C
#include "base/err.h"

#include <stdio.h>

static const char *const names[] = {
    [ERR_NONE] = "none",
    [ERR_MEMORY] = "memory",
    [ERR_INVALID] = "invalid",
    [ERR_CONFIG] = "config",
    [ERR_LIMIT] = "limit",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_CONFLICT] = "conflict",
    [ERR_CONSTRAINT] = "constraint",
    [ERR_VALUE] = "value",
    [ERR_DENIED] = "denied",
    [ERR_FENCED] = "fenced",
    [ERR_STALE] = "stale",
    [ERR_BUSY] = "busy",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELLED] = "cancelled",
    [ERR_UNREACHABLE] = "unreachable",
    [ERR_UNKNOWN_OUTCOME] = "unknown_outcome",
    [ERR_SCHEMA] = "schema",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_INTERNAL] = "internal",
};

const char *err_name(enum err_code code)
{
    if ((size_t)code >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[code];
}

static bool retriable(enum err_code code)
{
    return code == ERR_MEMORY || code == ERR_BUSY || code == ERR_TIMEOUT || code == ERR_UNREACHABLE;
}

// Formats through a second buffer: an argument may be the message itself.
static void format(struct err *e, const char *fmt, va_list ap)
{
    char text[sizeof(e->msg)];
    int n = vsnprintf(text, sizeof(text), fmt, ap);

    if (n < 0)
        snprintf(text, sizeof(text), "message could not be formatted");
    else if ((size_t)n >= sizeof(text))
        memcpy(text + sizeof(text) - 4, "...", 4);
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    memcpy(e->msg, text, strlen(text) + 1);
}

int err_vset(struct err *e, enum err_code code, const char *fmt, va_list ap)
{
    if (!e)
        return -1;
    format(e, fmt, ap);
    e->code = code;
    e->retriable = retriable(code);
    e->sqlstate[0] = '\0';
    e->native = 0;
    return -1;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(e, code, fmt, ap);
    va_end(ap);
    return -1;
}

static void join(struct err *e, const char *fmt, ...) FICUS_PRINTF(2, 3);
static void join(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format(e, fmt, ap);
    va_end(ap);
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    struct err context;
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    format(&context, fmt, ap);
    va_end(ap);
    join(e, "%s: %s", context.msg, e->msg);
    return -1;
}

int err_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "out of memory");
}

void err_clear(struct err *e)
{
    if (!e)
        return;
    e->code = ERR_NONE;
    e->retriable = false;
    e->sqlstate[0] = '\0';
    e->native = 0;
    e->msg[0] = '\0';
}

int err_exit_status(const struct err *e)
{
    switch (e->code) {
    case ERR_NONE: return 0;
    case ERR_CONFIG: return 3;
    case ERR_UNREACHABLE:
    case ERR_TIMEOUT: return 4;
    case ERR_DENIED:
    case ERR_CONFLICT:
    case ERR_FENCED:
    case ERR_STALE:
    case ERR_BUSY:
    case ERR_NOT_FOUND:
    case ERR_UNSUPPORTED: return 1;
    default: return 5;
    }
}
