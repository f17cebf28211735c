// SPDX-License-Identifier: Apache-2.0
// Structured log lines on stderr, text or JSON. Thread: any.
#ifndef FICUS_BASE_LOG_H
#define FICUS_BASE_LOG_H

#include "base/buf.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// Who speaks: a subsystem and up to a few fixed facts, e.g. {"capture","account",""}.
struct log_ctx {
    const char *subsystem;
    const char *entity;  // entity or route; "" or NULL when none
    const char *session; // connection, transfer or request id; "" or NULL
};

void log_setup(enum log_level level, bool json, const char *process);
void log_set_level(enum log_level level); // Thread: any, at run time
enum log_level log_get_level(void);
int log_level_from(struct str name, enum log_level *out) FICUS_MUST_CHECK;

void log_write(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
    FICUS_PRINTF(3, 4);

// A line of facts instead of a sentence: members of the JSON object, or `name=value` in text,
// where a value with blanks, quotes or control characters is quoted. The line is added to `b`,
// for log_flush() to write with its neighbours; one that finds no memory is left out. What is
// there is written before it would grow beyond PIPE_BUF: up to that a pipe takes a write whole.
struct log_field {
    const char *name;
    struct str text;
    bool number; // JSON: without quotes
};
void log_fields(struct buf *b, enum log_level level, const struct log_ctx *ctx,
                const struct log_field *fields, size_t n);
void log_flush(struct buf *lines); // one write(2); the buffer is empty after

#define log_error(ctx, ...) log_write(LOG_ERROR, ctx, __VA_ARGS__)
#define log_warn(ctx, ...)  log_write(LOG_WARN, ctx, __VA_ARGS__)
#define log_info(ctx, ...)  log_write(LOG_INFO, ctx, __VA_ARGS__)
#define log_debug(ctx, ...)                         \
    do {                                            \
        if (log_get_level() >= LOG_DEBUG)           \
            log_write(LOG_DEBUG, ctx, __VA_ARGS__); \
    } while (0)

// One token a period: true when the caller may log a repeat now; *dropped says how
// many were held back since the last one.
struct log_limit {
    uint64_t next_ns;
    unsigned dropped;
};
bool log_allowed(struct log_limit *l, unsigned period_ms, unsigned *dropped);

#endif
