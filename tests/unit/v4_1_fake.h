// SPDX-License-Identifier: Apache-2.0
// A v4_1 mount on the shipped maps whose dispatcher, sessions, workers and HTTP exchange are
// fakes: operations are answered by a test's function and noted as text, replies are kept.
// Included by one test each (it defines what the real modules would).
#ifndef FICUS_TESTS_V4_1_FAKE_H
#define FICUS_TESTS_V4_1_FAKE_H

#include "facade/dialect/v4_1_int.h"
#include "facade/http/http.h"
#include "facade/pass/pass.h"
#include "facade/pass/pass_head.h"
#include "facade/session/app_sessions.h"
#include "facade/session/sessions.h"
#include "migrations/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

static struct entity_set *fake_set;
static struct dialect_mount *fake_mount;
static struct buf fake_reply, fake_headers, fake_log;
static struct str fake_type;
static unsigned fake_status, fake_replies;
static struct arena *fake_arena;

// What a test answers to an operation; NULL: everything is OK and empty.
static void (*fake_answer)(const struct operation *op, struct result *r);
// Answers wait here when set, until fake_deliver.
static bool fake_later;
static struct dispatch *fake_waiting;

// ---- HTTP

struct str http_header(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->nheaders; i++)
        if (str_eq_nocase(r->headers[i].name, str_of(name)))
            return r->headers[i].value;
    return (struct str){0};
}

void http_exchange_label(struct http_exchange *x, const char *label)
{
    (void)x;
    assert_non_null(label);
}

// The arena goes with the reply, as it does in the real exchange.
void http_reply(struct http_exchange *x, const struct http_response *r)
{
    (void)x;
    fake_replies++;
    fake_status = r->status;
    fake_type = r->content_type;
    buf_reset(&fake_reply);
    buf_addstr(&fake_reply, r->body);
    buf_reset(&fake_headers);
    buf_addz(&fake_headers, "");
    for (size_t i = 0; i < r->nheaders; i++)
        buf_printf(&fake_headers, "%.*s: %.*s\n", (int)r->headers[i].name.len,
                   r->headers[i].name.data, (int)r->headers[i].value.len, r->headers[i].value.data);
    arena_destroy(fake_arena);
    fake_arena = NULL;
}

// ---- dispatch

static void log_value(const struct field *f, struct value v)
{
    if (v.state == VALUE_NULL)
        buf_printf(&fake_log, " %s=NULL", f->name);
    else if (v.state == VALUE_SET)
        buf_printf(&fake_log, " %s='%.*s'", f->name, (int)v.len, v.data);
}

static void log_write(const struct operation *op)
{
    if (op->kind != OPERATION_CREATE)
        buf_printf(&fake_log, " [%.*s]", (int)op->write.key->len, op->write.key->data);
    for (size_t i = 0; op->write.values && i < op->entity->nfields; i++)
        log_value(&op->entity->fields[i], op->write.values[i]);
}

static void log_read(const struct query *q)
{
    if (q->key)
        buf_printf(&fake_log, " [%.*s]", (int)q->key->len, q->key->data);
    for (size_t i = 0; i < q->nkeys; i++)
        buf_printf(&fake_log, " (%.*s)", (int)q->keys[i].len, q->keys[i].data);
    if (q->related)
        buf_printf(&fake_log, " of %.*s", (int)q->related->parent_key->len,
                   q->related->parent_key->data);
    if (q->filter)
        buf_addz(&fake_log, " filtered");
    for (size_t i = 0; i < q->norder; i++)
        buf_printf(&fake_log, " by %s%s", q->order[i].field->name, q->order[i].desc ? "-" : "");
    if (q->limit >= 0)
        buf_printf(&fake_log, " %lld", q->limit);
    if (q->offset > 0)
        buf_printf(&fake_log, "+%lld", q->offset);
    if (q->deleted == DELETED_ANY)
        buf_addz(&fake_log, " all");
}

static void log_operation(const struct operation *op)
{
    buf_printf(&fake_log, "%s %s", operation_name(op->kind), op->entity->name);
    if (operation_is_read(op->kind))
        log_read(&op->query);
    else if (op->kind != OPERATION_RELATE)
        log_write(op);
    for (size_t i = 0; op->kind == OPERATION_RELATE && i < op->relate.nfar; i++)
        buf_printf(&fake_log, " %.*s%s%.*s", (int)op->relate.near.len, op->relate.near.data,
                   op->relate.remove ? "-" : "+", (int)op->relate.far[i].len,
                   op->relate.far[i].data);
    buf_addc(&fake_log, '\n');
}

static void fake_deliver(void)
{
    struct dispatch *d = fake_waiting;

    assert_non_null(d);
    fake_waiting = NULL;
    d->done(d);
}

void dispatch_run(struct dispatcher *p, struct dispatch *d)
{
    (void)p;
    log_operation(d->operation);
    d->result = (struct result){.status = RESULT_OK, .total = -1};
    if (fake_answer)
        fake_answer(d->operation, &d->result);
    fake_waiting = d;
    if (!fake_later)
        fake_deliver();
}

struct access *dispatcher_access(struct dispatcher *p)
{
    (void)p;
    return NULL;
}

// No application stands behind these tests.
const struct route_table *dispatcher_table(struct dispatcher *p)
{
    (void)p;
    return NULL;
}

int pass_send(struct pass *p, struct http_client_request *r, struct err *e)
{
    (void)p;
    (void)r;
    return err_set(e, ERR_UNREACHABLE, "no application");
}

const struct upstream *pass_upstream(const struct pass *p)
{
    (void)p;
    return NULL;
}

void pass_reply_head(const struct wire_head *h, const struct upstream *u,
                     struct http_header *fields, struct http_stream_head *out)
{
    (void)h;
    (void)u;
    (void)fields;
    *out = (struct http_stream_head){0};
}

void app_sessions_put(struct app_sessions *s, struct str ours, const struct app_session *app)
{
    (void)s;
    (void)ours;
    (void)app;
}

void app_sessions_get(struct app_sessions *s, struct str ours, app_session_found_fn *found,
                      void *ctx)
{
    (void)s;
    (void)ours;
    found(ctx, NULL);
}

struct loop *dispatcher_loop(struct dispatcher *p)
{
    (void)p;
    return NULL;
}

struct mailbox *loop_mailbox(struct loop *l)
{
    (void)l;
    return NULL;
}

// ---- workers and sessions

static bool fake_workers_busy;

int worker_pool_submit(struct worker_pool *p, struct worker_job *job, struct err *e)
{
    (void)p;
    if (fake_workers_busy)
        return err_set(e, ERR_BUSY, "full");
    job->run(job, 0, NULL);
    job->done(job);
    return 0;
}

static bool fake_admin = true;
static unsigned fake_ended;

// "s1" is alive, nothing else is.
void sessions_find(struct sessions *s, struct str id, session_found_fn *done, void *ctx)
{
    struct session one = {.id = "s1", .principal = {.user_id = STR("u1"), .user_name = STR("jim")}};

    (void)s;
    one.principal.is_admin = fake_admin;
    done(ctx, str_eqz(id, "s1") ? &one : NULL);
}

int sessions_create(struct sessions *s, const struct principal *p, char id_out[33],
                    session_settled_fn *stored, void *ctx, struct err *e)
{
    (void)s;
    (void)e;
    buf_printf(&fake_log, "session of %.*s%s\n", (int)p->user_id.len, p->user_id.data,
               p->is_admin ? " admin" : "");
    memcpy(id_out, "0123456789abcdef0123456789abcdef", 33);
    stored(ctx);
    return 0;
}

void sessions_end(struct sessions *s, struct str id, session_settled_fn *ended, void *ctx)
{
    (void)s;
    assert_true(str_eqz(id, "s1"));
    fake_ended++;
    ended(ctx);
}

// ---- a request

static void fake_request(const char *query, const char *type, const char *body, const char *cookie)
{
    struct http_header headers[2] = {{STR("Content-Type"), str_of(type)},
                                     {STR("Cookie"), str_of(cookie)}};
    fake_arena = arena_create(0);
    assert_non_null(fake_arena);
    struct http_request r = {.method = STR("POST"),
                             .query = str_of(query),
                             .path = STR("/service/v4_1/rest.php"),
                             .headers = headers,
                             .nheaders = 2,
                             .body = str_of(body),
                             .arena = fake_arena};

    buf_reset(&fake_log);
    buf_addz(&fake_log, "");
    fake_replies = 0;
    dialect_v4_1.on_request(fake_mount, &r);
    if (!fake_later)
        assert_int_equal(fake_replies, 1);
}

// The reply's body to a call; `rest_data` is JSON.
static const char *fake_call(const char *method, const char *rest_data)
{
    struct buf body = BUF_INIT;

    buf_printf(&body, "method=%s&input_type=JSON&response_type=JSON&rest_data=", method);
    buf_addurl(&body, str_of(rest_data));
    fake_request("", "application/x-www-form-urlencoded", body.data, "");
    buf_free(&body);
    return fake_reply.data;
}

// ---- canned records

// Fills `row` from name and canonical text pairs, ended by a NULL name; a NULL text and
// whatever is not named are NULL values.
static void fake_row(const struct operation *op, const struct field *const *fields, size_t n,
                     struct record *row, const char *const *pairs)
{
    struct value *v = arena_array(op->arena, n + 1, sizeof(*v));

    assert_non_null(v);
    for (size_t i = 0; i < n; i++) {
        v[i] = value_null();
        for (size_t k = 0; pairs[k]; k += 2)
            if (strcmp(pairs[k], fields[i]->name) == 0 && pairs[k + 1])
                v[i] = value_set(str_of(pairs[k + 1]));
    }
    row->values = v;
    row->related = arena_array(op->arena, op->nexpansions + 1, sizeof(*row->related));
}

static void fake_rows(const struct operation *op, struct result *r, size_t n,
                      const char *const *const *rows)
{
    r->records.rows = arena_array(op->arena, n + 1, sizeof(*r->records.rows));
    r->records.n = n;
    for (size_t i = 0; i < n; i++)
        fake_row(op, op->query.fields, op->query.nfields, &r->records.rows[i], rows[i]);
}

static int fake_setup(void **state)
{
    static const struct dialect_env none;
    struct dialect_env env = none;
    struct problems p = {0};
    struct err e;

    (void)state;
    fake_set = map_load("migrations/maps/suitecrm", &p);
    assert_non_null(fake_set);
    env.entities = fake_set;
    fake_mount = dialect_v4_1.mount(&env, &(struct mount){0}, &e);
    if (!fake_mount)
        fail_msg("%s", e.msg);
    return 0;
}

static int fake_teardown(void **state)
{
    (void)state;
    dialect_v4_1.unmount(fake_mount);
    map_destroy(fake_set);
    buf_free(&fake_reply);
    buf_free(&fake_headers);
    buf_free(&fake_log);
    return 0;
}

// Before each test.
static int fake_fresh(void **state)
{
    (void)state;
    fake_answer = NULL;
    fake_later = false;
    fake_workers_busy = false;
    fake_admin = true;
    fake_ended = 0;
    return 0;
}

#endif
