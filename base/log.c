// SPDX-License-Identifier: Apache-2.0
// Log lines on stderr: one write(2) a line, or several whole lines, so that those of several
// threads and processes never mix. Levels and format are process-wide. Thread: any.
//
// Text: 2024-05-01 10:11:12.345Z info  sync.capture [account] message
// JSON: {"time":"...","level":"info","process":"sync","subsystem":"capture",...,"message":"..."}
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

static _Atomic int current_level = LOG_INFO;
static _Atomic bool as_json;
static char process_name[32]; // set once by log_setup, before other threads exist

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const level_column[] = {"Z error ", "Z warn  ", "Z info  ", "Z debug "};

void log_setup(enum log_level level, bool json, const char *process)
{
    snprintf(process_name, sizeof(process_name), "%s", process);
    atomic_store(&as_json, json);
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int log_level_from(struct str name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (str_eqz(name, level_names[i])) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

// "2024-05-01 10:11:12.345". The calendar is asked once a second and thread.
static void when_text(char out[32])
{
    static _Thread_local uint64_t known;
    static _Thread_local char seconds[20];
    uint64_t now = clock_wall_ms();

    if (known != now / 1000 || !seconds[0]) {
        clock_utc_seconds(now, seconds);
        known = now / 1000;
    }
    memcpy(out, seconds, 19);
    out[19] = '.';
    for (unsigned i = 3, ms = (unsigned)(now % 1000); i-- > 0; ms /= 10)
        out[20 + i] = (char)('0' + ms % 10);
    out[23] = '\0';
}

static void json_name(struct buf *b, const char *name)
{
    buf_addz(b, ",\"");
    buf_addz(b, name);
    buf_addz(b, "\":");
}

static void json_field(struct buf *b, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    json_name(b, name);
    buf_addjson(b, str_of(text));
}

static void json_begin(struct buf *b, enum log_level level, const char *when,
                       const struct log_ctx *ctx)
{
    buf_addz(b, "{\"time\":\"");
    buf_addz(b, when);
    buf_addz(b, "Z\",\"level\":\"");
    buf_addz(b, level_names[level]);
    buf_addc(b, '"');
    json_field(b, "process", process_name);
    if (ctx) {
        json_field(b, "subsystem", ctx->subsystem);
        json_field(b, "entity", ctx->entity);
        json_field(b, "session", ctx->session);
    }
}

static void write_json(struct buf *b, enum log_level level, const char *when,
                       const struct log_ctx *ctx, const char *message)
{
    json_begin(b, level, when, ctx);
    buf_addz(b, ",\"message\":");
    buf_addjson(b, str_of(message));
    buf_addz(b, "}\n");
}

// Control characters could forge lines or drive a terminal: they are shown as '?'.
static void add_plain(struct buf *b, const char *text)
{
    for (const char *c = text; *c; c++)
        buf_addc(b, (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
}

static void text_begin(struct buf *b, enum log_level level, const char *when,
                       const struct log_ctx *ctx)
{
    buf_addz(b, when);
    buf_addz(b, level_column[level]);
    buf_addz(b, process_name);
    if (ctx && ctx->subsystem) {
        buf_addz(b, process_name[0] ? "." : "");
        buf_addz(b, ctx->subsystem);
    }
    if (ctx && ctx->entity && *ctx->entity) {
        buf_addz(b, " [");
        add_plain(b, ctx->entity);
        buf_addc(b, ']');
    }
    if (ctx && ctx->session && *ctx->session) {
        buf_addz(b, " (");
        add_plain(b, ctx->session);
        buf_addc(b, ')');
    }
    buf_addc(b, ' ');
}

static void write_text(struct buf *b, enum log_level level, const char *when,
                       const struct log_ctx *ctx, const char *message)
{
    text_begin(b, level, when, ctx);
    add_plain(b, message);
    buf_addc(b, '\n');
}

static void text_field(struct buf *b, const struct log_field *f)
{
    bool quote = f->text.len == 0;
    buf_addz(b, f->name);
    buf_addc(b, '=');
    for (size_t i = 0; i < f->text.len; i++)
        quote |= (unsigned char)f->text.data[i] <= 0x20 || f->text.data[i] == '"' ||
                 f->text.data[i] == '\\' || f->text.data[i] == 0x7f;
    if (quote)
        buf_addjson(b, f->text);
    else
        buf_addstr(b, f->text);
}

static void write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // nowhere left to say it
        data += n;
        len -= (size_t)n;
    }
}

void log_write(enum log_level level, const struct log_ctx *ctx, const char *fmt, ...)
{
    char message[LINE_MAX_BYTES / 2], when[32];
    struct buf b = BUF_INIT;
    va_list ap;

    if (level > log_get_level())
        return;
    va_start(ap, fmt);
    if (vsnprintf(message, sizeof(message), fmt, ap) >= (int)sizeof(message))
        memcpy(message + sizeof(message) - 4, "...", 4);
    va_end(ap);
    when_text(when);
    if (atomic_load(&as_json))
        write_json(&b, level, when, ctx, message);
    else
        write_text(&b, level, when, ctx, message);
    if (!b.failed)
        write_all(b.data, b.len);
    buf_free(&b);
}

void log_fields(struct buf *b, enum log_level level, const struct log_ctx *ctx,
                const struct log_field *fields, size_t n)
{
    char when[32];
    bool json = atomic_load(&as_json);
    size_t before = b->len;

    if (level > log_get_level())
        return;
    when_text(when);
    if (json)
        json_begin(b, level, when, ctx);
    else
        text_begin(b, level, when, ctx);
    for (size_t i = 0; i < n; i++) {
        if (!json) {
            text_field(b, &fields[i]);
            if (i + 1 < n)
                buf_addc(b, ' ');
            continue;
        }
        json_name(b, fields[i].name);
        if (fields[i].number)
            buf_addstr(b, fields[i].text);
        else
            buf_addjson(b, fields[i].text);
    }
    buf_addz(b, json ? "}\n" : "\n");
    if (b->failed && b->data) { // half a line is none
        b->len = before;
        b->failed = false;
    } else if (b->len > PIPE_BUF && before > 0) {
        write_all(b->data, before);
        buf_consume(b, before);
    }
}

void log_flush(struct buf *lines)
{
    if (lines->len > 0)
        write_all(lines->data, lines->len);
    buf_reset(lines);
}

bool log_allowed(struct log_limit *l, unsigned period_ms, unsigned *dropped)
{
    uint64_t now = clock_mono_ns();

    *dropped = 0;
    if (now < l->next_ns) {
        l->dropped++;
        return false;
    }
    *dropped = l->dropped;
    l->dropped = 0;
    l->next_ns = now + (uint64_t)period_ms * 1000000u;
    return true;
}
