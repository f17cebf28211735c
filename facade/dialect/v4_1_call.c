// SPDX-License-Identifier: Apache-2.0
// One call of the v4_1 dialect on its way: running operations one after another, and the ends
// that a call can have. Does not know the methods. Thread: the loop that owns the mount.
//
// A call's states are its step functions. A step starts something asynchronous and returns
// V4_1_WAIT, or ends the call and returns V4_1_REPLIED, after which the call is gone. What was
// started may be done before the step returns; v4_1_drive then goes on in a loop, so that a long
// list of records never grows the stack.
#include "base/clock.h"
#include "base/log.h"
#include "facade/dialect/v4_1_int.h"

#define DEADLINE_NS 30000000000u
#define HEADERS_MAX 4
#define SPARE_MAX   (64u << 10) // memory that a mount keeps for the next reply

static const struct fault {
    const char *name, *number, *description;
} faults[] = {
    [V4_1_INVALID_LOGIN] = {"Invalid Login", "10",
                            "Login attempt failed please check the username and password"},
    [V4_1_INVALID_SESSION] = {"Invalid Session ID", "11", "The session ID is invalid"},
    [V4_1_NO_MODULE] = {"Module Does Not Exist", "20",
                        "This module is not available on this server"},
    [V4_1_UNSUPPORTED] = {"Module Not Supported", "30",
                          "This module does not support this feature"},
    [V4_1_DENIED] = {"Access Denied", "40", "You do not have access"},
    [V4_1_INVALID_DATA] = {"Invalid data sent", "1001",
                           "The data sent for this function is invalid. Please look at WSDL file "
                           "for details"},
    [V4_1_LOCKED_OUT] = {"Password Expired", "1009",
                         "You have been locked out of the Sugar application and cannot log in "
                         "using existing password. Please contact your Administrator."},
    [V4_1_UNKNOWN_METHOD] = {"An Undefined Error - invalid_call occurred", "\"-1\"",
                             "There is no error definition for invalid_call"},
};

struct operation *v4_1_operation(struct v4_1_call *c, enum operation_kind kind,
                                 const struct entity *en)
{
    struct operation *op = arena_alloc(c->arena, sizeof(*op));

    if (!op)
        return NULL;
    op->kind = kind;
    op->entity = en;
    op->principal = &c->principal;
    op->arena = c->arena;
    op->request_line = c->method->name;
    op->query.entity = en;
    op->query.limit = -1;
    op->write.entity = en;
    op->write.actor = c->principal.user_id;
    return op;
}

enum reach v4_1_reach(const struct v4_1_call *c, const struct v4_1_module *m, enum access_action a)
{
    struct access *access = dispatcher_access(c->mount->env.dispatcher);

    if (!access || c->principal.is_admin)
        return REACH_ALL;
    return levels_reach(access_policy(access), c->principal.levels, m->entity, a);
}

void v4_1_drive(struct v4_1_call *c)
{
    c->ready = true;
    if (c->driving)
        return;
    c->driving = true;
    while (c->ready) {
        c->ready = false;
        if (c->step(c) == V4_1_REPLIED)
            return;
    }
    c->driving = false;
}

static void on_done(struct dispatch *d)
{
    v4_1_drive(d->owner);
}

int v4_1_run(struct v4_1_call *c, struct operation *op, v4_1_step_fn *next)
{
    struct dispatch *d = arena_alloc(c->arena, sizeof(*d));

    if (!d)
        return v4_1_reply_memory(c);
    d->operation = op;
    d->exchange = c->exchange;
    d->deadline_ns = clock_mono_ns() + DEADLINE_NS;
    d->done = on_done;
    d->owner = c;
    c->dispatch = d;
    c->step = next;
    dispatch_run(c->mount->env.dispatcher, d);
    return V4_1_WAIT;
}

// The call's own memory goes with the exchange's arena, except for what it owns besides.
int v4_1_finish(struct v4_1_call *c, struct http_response *r)
{
    struct http_exchange *x = c->exchange;
    struct dialect_mount *m = c->mount;
    json_t *data = c->data;
    struct buf body = c->body;

    http_reply(x, r);
    json_decref(data);
    if (!m->spare.data && body.size <= SPARE_MAX && body.limit == 0) {
        buf_reset(&body);
        m->spare = body;
    } else {
        buf_free(&body);
    }
    return V4_1_REPLIED;
}

struct buf *v4_1_body(struct v4_1_call *c)
{
    struct dialect_mount *m = c->mount;

    if (!c->body.data && c->body.limit == 0) {
        c->body = m->spare;
        m->spare = (struct buf)BUF_INIT;
    }
    return &c->body;
}

static size_t session_headers(struct v4_1_call *c, struct http_header *h)
{
    size_t n = 0;

    if (c->session.len == 0)
        return 0;
    h[n++] = (struct http_header){STR("Expires"), STR("Thu, 19 Nov 1981 08:52:00 GMT")};
    h[n++] = (struct http_header){STR("Cache-Control"), STR("no-store, no-cache, must-revalidate")};
    h[n++] = (struct http_header){STR("Pragma"), STR("no-cache")};
    if (!str_eq(c->cookie, c->session)) {
        struct str v = arena_printf(c->arena, "PHPSESSID=%.*s; path=/", (int)c->session.len,
                                    c->session.data);
        if (v.data)
            h[n++] = (struct http_header){STR("Set-Cookie"), v};
    }
    return n;
}

// f(...) around the whole reply.
static void wrap(struct v4_1_call *c)
{
    struct buf out = {.limit = c->body.limit};

    buf_addstr(&out, c->callback);
    buf_addc(&out, '(');
    buf_addstr(&out, buf_str(&c->body));
    buf_addc(&out, ')');
    out.failed |= c->body.failed;
    buf_free(&c->body);
    c->body = out;
}

int v4_1_reply(struct v4_1_call *c)
{
    struct http_header headers[HEADERS_MAX];

    if (c->callback.len > 0)
        wrap(c);
    if (c->body.failed)
        return v4_1_reply_memory(c);
    struct http_response r = {.status = 200,
                              .content_type = STR("application/json; charset=UTF-8"),
                              .body = buf_str(&c->body),
                              .headers = headers,
                              .nheaders = session_headers(c, headers)};
    return v4_1_finish(c, &r);
}

int v4_1_reply_text(struct v4_1_call *c, const char *json)
{
    buf_reset(&c->body);
    buf_addz(&c->body, json);
    return v4_1_reply(c);
}

int v4_1_reply_fault(struct v4_1_call *c, enum v4_1_fault f)
{
    buf_reset(&c->body);
    buf_printf(&c->body, "{\"name\":\"%s\",\"number\":%s,\"description\":\"%s\"}", faults[f].name,
               faults[f].number, faults[f].description);
    return v4_1_reply(c);
}

int v4_1_reply_broken(struct v4_1_call *c, unsigned status, const char *text)
{
    struct http_header retry = {STR("Retry-After"), STR("1")};
    struct http_response r = {.status = status,
                              .content_type = STR("text/html; charset=UTF-8"),
                              .body = str_of(text),
                              .headers = &retry,
                              .nheaders = status == 503 || status == 429};

    return v4_1_finish(c, &r);
}

int v4_1_reply_memory(struct v4_1_call *c)
{
    return v4_1_reply_broken(c, 500, "");
}

// What went wrong behind the facade, once a second; the client gets the legacy's own words.
static void report(struct v4_1_call *c, const struct result *r)
{
    static _Thread_local struct log_limit limit;
    unsigned dropped = 0;
    const struct operation *op = c->dispatch ? c->dispatch->operation : NULL;
    struct log_ctx ctx = {"v4_1", op ? op->entity->name : "", ""};

    if (log_allowed(&limit, 1000, &dropped))
        log_warn(&ctx, "%s: %s: %s (%u more held back)", c->method->name,
                 result_status_name(r->status), r->err.msg, dropped);
}

int v4_1_reply_result(struct v4_1_call *c, const struct result *r)
{
    switch (r->status) {
    case RESULT_DENIED: return v4_1_reply_fault(c, V4_1_DENIED);
    case RESULT_INVALID:
        if (c->dispatch && operation_is_read(c->dispatch->operation->kind))
            return v4_1_reply_fault(c, V4_1_DENIED); // a literal that its column cannot hold
        return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    case RESULT_NOT_FOUND:
    case RESULT_CONFLICT: return v4_1_reply_fault(c, V4_1_INVALID_DATA);
    case RESULT_RETIRED:
        if (c->dispatch && c->dispatch->gone)
            return v4_1_reply_broken(c, 410, "");
        return v4_1_reply_fault(c, V4_1_NO_MODULE);
    case RESULT_UNSUPPORTED: return v4_1_reply_fault(c, V4_1_UNSUPPORTED);
    case RESULT_BUSY: return v4_1_reply_broken(c, 503, "");
    default:
        report(c, r);
        return v4_1_reply_broken(c, 500,
                                 "Database failure. Please refer to suitecrm.log for details.");
    }
}
