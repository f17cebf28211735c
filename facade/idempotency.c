// SPDX-License-Identifier: Apache-2.0
// Keys and answers in ficus.idempotency. Expired rows go a few at a time with each new key.
#include "facade/idempotency.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "connectors/postgres/pg_pool.h"

#include <jansson.h>
#include <stdlib.h>

#define QUERY_MS    3000
#define HEADERS_MAX 16

struct idempotency {
    struct pg_job job; // first
    struct pg_call calls[3];
    struct idempotency_options o;
    struct value params[8];
    idempotency_begun_fn *begun;
    void (*deliver)(void *ctx, const struct http_response *r);
    void *ctx;
    struct http_response answer;
    struct http_header headers[HEADERS_MAX];
    struct str record_key;
    bool repeat;
};

static const struct log_ctx log_ctx = {"idempotency", NULL, NULL};

#define PURGE_SQL                                                      \
    "DELETE FROM ficus.idempotency WHERE (scope = $1 AND key = $2 AND" \
    " expires_at < now()) OR ctid = ANY (ARRAY(SELECT ctid FROM"       \
    " ficus.idempotency WHERE expires_at < now() LIMIT 50))"
#define BEGIN_SQL                                                                       \
    "INSERT INTO ficus.idempotency AS i (scope, key, hash, lease_until, expires_at)"    \
    " VALUES ($1, $2, $3, now() + $4::bigint * interval '1 millisecond',"               \
    " now() + $5::bigint * interval '1 second') ON CONFLICT (scope, key) DO UPDATE SET" \
    " attempt = i.attempt + 1, lease_until = excluded.lease_until WHERE i.hash ="       \
    " excluded.hash AND i.status IS NULL AND i.lease_until < now()"                     \
    " RETURNING attempt, record_key"
#define LOOK_SQL                                            \
    "SELECT hash, status, content_type, headers, body FROM" \
    " ficus.idempotency WHERE scope = $1 AND key = $2"
#define KEEP_SQL                                                                      \
    "UPDATE ficus.idempotency SET status = $3::int, content_type = $4, headers = $5," \
    " body = $6 WHERE scope = $1 AND key = $2 AND record_key = $7::uuid"
#define RELEASE_SQL                                                               \
    "UPDATE ficus.idempotency SET lease_until = now() - interval '1 millisecond'" \
    " WHERE scope = $1 AND key = $2 AND record_key = $3::uuid AND status IS NULL"

static int submit(struct idempotency *x, size_t ncalls, void (*done)(struct pg_job *),
                  struct err *e)
{
    x->job = (struct pg_job){.calls = x->calls,
                             .ncalls = ncalls,
                             .arena = x->o.arena,
                             .deadline_ns = clock_mono_ns() + QUERY_MS * 1000000ull,
                             .done = done};
    return pg_pool_submit(x->o.pool, &x->job, e);
}

// ---------------------------------------------------------------- beginning

// [["name", "value"], ..] as it was kept.
static void take_headers(struct idempotency *x, struct str text)
{
    json_error_t je;
    json_t *list = json_loadb(text.data ? text.data : "", text.len, 0, &je);
    for (size_t i = 0; i < json_array_size(list) && i < HEADERS_MAX - 1; i++) {
        const json_t *pair = json_array_get(list, i);
        struct str name = str_of(json_string_value(json_array_get(pair, 0)));
        struct str value = str_of(json_string_value(json_array_get(pair, 1)));
        x->headers[x->answer.nheaders].name = arena_str(x->o.arena, name);
        x->headers[x->answer.nheaders++].value = arena_str(x->o.arena, value);
    }
    json_decref(list);
}

static enum idempotency_state look(struct idempotency *x)
{
    const struct rows *mine = &x->calls[1].rows, *there = &x->calls[2].rows;
    long long status = 0;
    if (mine->nrows == 1) {
        x->repeat = !str_eqz(value_str(mine->cells[0]), "1");
        x->record_key = value_str(mine->cells[1]);
        return IDEMPOTENCY_RUN;
    }
    if (there->nrows != 1) // expired between the two: as good as busy
        return IDEMPOTENCY_RUNNING;
    if (!str_eq(value_str(there->cells[0]), x->o.hash))
        return IDEMPOTENCY_OTHER;
    if (there->cells[1].state != VALUE_SET)
        return IDEMPOTENCY_RUNNING;
    if (!str_to_int(value_str(there->cells[1]), 200, 599, &status))
        return IDEMPOTENCY_AWAY;
    x->answer = (struct http_response){.status = (unsigned)status,
                                       .content_type = value_str(there->cells[2]),
                                       .body = value_str(there->cells[4]),
                                       .headers = x->headers};
    take_headers(x, value_str(there->cells[3]));
    x->headers[x->answer.nheaders++] = (struct http_header){STR("Idempotency-Replayed"),
                                                            STR("true")};
    return IDEMPOTENCY_KEPT;
}

static void on_begun(struct pg_job *job)
{
    struct idempotency *x = (struct idempotency *)job;
    enum idempotency_state s = IDEMPOTENCY_AWAY;
    if (job->err.code == ERR_NONE)
        s = look(x);
    else
        log_warn(&log_ctx, "a key could not be looked up: %s", job->err.msg);
    x->begun(x->ctx, s, s == IDEMPOTENCY_RUN ? x : NULL, &x->answer);
}

void idempotency_begin(const struct idempotency_options *o, idempotency_begun_fn *begun, void *ctx)
{
    struct idempotency *x = arena_alloc(o->arena, sizeof *x);
    struct err e = {0};
    if (x) {
        x->o = *o;
        x->begun = begun;
        x->ctx = ctx;
        x->params[0] = value_set(o->scope);
        x->params[1] = value_set(o->key);
        x->params[2] = value_set(o->hash);
        x->params[3] = value_set(arena_printf(o->arena, "%u", o->lease_ms));
        x->params[4] = value_set(arena_printf(o->arena, "%u", o->keep_s));
        x->calls[0] = (struct pg_call){.sql = STR(PURGE_SQL), .params = x->params, .nparams = 2};
        x->calls[1] = (struct pg_call){.sql = STR(BEGIN_SQL), .params = x->params, .nparams = 5};
        x->calls[2] = (struct pg_call){.sql = STR(LOOK_SQL), .params = x->params, .nparams = 2};
        if (submit(x, 3, on_begun, &e) == 0)
            return;
    }
    begun(ctx, IDEMPOTENCY_AWAY, NULL, NULL);
}

bool idempotency_is_repeat(const struct idempotency *x)
{
    return x->repeat;
}

struct str idempotency_record_key(const struct idempotency *x)
{
    return x->record_key;
}

// ---------------------------------------------------------------- ending

static void on_ended(struct pg_job *job)
{
    struct idempotency *x = (struct idempotency *)job;
    // The request is done either way; the next one of this key waits for the lease and repeats.
    if (job->err.code != ERR_NONE)
        log_warn(&log_ctx, "an answer could not be kept: %s", job->err.msg);
    x->deliver(x->ctx, &x->answer);
}

static int copy_answer(struct idempotency *x, const struct http_response *r)
{
    x->answer = *r;
    x->answer.headers = x->headers;
    x->answer.nheaders = r->nheaders < HEADERS_MAX ? r->nheaders : HEADERS_MAX;
    for (size_t i = 0; i < x->answer.nheaders; i++)
        x->headers[i] = r->headers[i]; // of the same arena
    x->answer.body = arena_str(x->o.arena, r->body);
    return x->answer.body.data ? 0 : -1;
}

static struct str headers_text(struct idempotency *x)
{
    struct buf out = BUF_INIT;
    buf_addc(&out, '[');
    for (size_t i = 0; i < x->answer.nheaders; i++) {
        buf_addz(&out, i ? ",[" : "[");
        buf_addjson(&out, x->headers[i].name);
        buf_addc(&out, ',');
        buf_addjson(&out, x->headers[i].value);
        buf_addc(&out, ']');
    }
    buf_addc(&out, ']');
    struct str kept = out.failed ? str_n(NULL, 0) : arena_str(x->o.arena, buf_str(&out));
    buf_free(&out);
    return kept;
}

void idempotency_end(struct idempotency *x, bool final, const struct http_response *r,
                     void (*deliver)(void *ctx, const struct http_response *r), void *ctx)
{
    struct str headers, status = arena_printf(x->o.arena, "%u", r->status);
    struct err e = {0};
    x->deliver = deliver;
    x->ctx = ctx;
    if (copy_answer(x, r) || !(headers = headers_text(x)).data || !status.data) {
        deliver(ctx, r); // as if the process had died behind it
        return;
    }
    if (r->body.len > IDEMPOTENCY_BODY_MAX)
        final = false;
    x->params[2] = value_set(x->record_key);
    x->calls[0] = (struct pg_call){.sql = STR(RELEASE_SQL), .params = x->params, .nparams = 3};
    if (final) {
        x->params[2] = value_set(status);
        x->params[3] = value_set(r->content_type.len ? r->content_type : STR(""));
        x->params[4] = value_set(headers);
        x->params[5] = value_set(x->answer.body);
        x->params[6] = value_set(x->record_key);
        x->calls[0] = (struct pg_call){.sql = STR(KEEP_SQL), .params = x->params, .nparams = 7};
    }
    if (submit(x, 1, on_ended, &e) == 0)
        return;
    log_warn(&log_ctx, "an answer could not be kept: %s", e.msg);
    deliver(ctx, &x->answer);
}
