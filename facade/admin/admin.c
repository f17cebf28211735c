// SPDX-License-Identifier: Apache-2.0
// The dispatcher of the admin API.
//
//   request -> token -> endpoint -> role -> HERE ------------------> reply
//                                        -> STORE: worker ---------> reply
//                                        -> LOOPS: loop 0 .. n-1 --> reply (on loop 0)
//
// Without admin.tokens nobody may do anything here.
#include "facade/admin/admin_int.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX 65536

static const struct log_ctx log_ctx = {"admin", NULL, NULL};

static void reply_json(struct http_request *r, unsigned status, const json_t *j)
{
    char *text = json_dumps(j, JSON_INDENT(2));
    struct str body = text ? arena_printf(r->arena, "%s\n", text) : STR("{}\n");
    struct http_header auth = {STR("WWW-Authenticate"), STR("Bearer")};
    http_reply(r->exchange, &(struct http_response){.status = text ? status : 500,
                                                    .content_type = STR("application/json"),
                                                    .body = body,
                                                    .headers = &auth,
                                                    .nheaders = status == 401});
    free(text);
}

static void refuse(struct http_request *r, unsigned status, const char *why)
{
    json_t *j = json_pack("{s:s}", "error", why);
    reply_json(r, status, j);
    json_decref(j);
}

static unsigned status_of(const struct err *e)
{
    switch (e->code) {
    case ERR_INVALID:
    case ERR_CONFIG: return 400;
    case ERR_NOT_FOUND: return 404;
    case ERR_DENIED: return 403;
    case ERR_CONFLICT: return 409;
    case ERR_BUSY:
    case ERR_UNREACHABLE:
    case ERR_TIMEOUT: return 503;
    default: return 500;
    }
}

// Ends the call and frees it.
static void finish(struct admin_call *c)
{
    unsigned status = c->status ? c->status : c->err.code ? status_of(&c->err) : 200;
    if (c->err.code)
        refuse(c->request, status, c->err.msg);
    else if (c->reply)
        reply_json(c->request, status, c->reply);
    else
        refuse(c->request, 500, "no answer");
    json_decref(c->reply);
    json_decref(c->body);
    free(c);
}

// ---------------------------------------------------------------- ways

static void run_store(struct worker_job *job, unsigned slot, void *state)
{
    struct admin_call *c = (struct admin_call *)job; // first member
    struct control *control = NULL;
    (void)slot;
    (void)state;
    if (control_open(conf_str(c->sl->server->o.conf, "control.conninfo"), "ficus admin", &control,
                     &c->err))
        return;
    c->endpoint->run_store(c, control);
    control_close(control);
}

static void on_store(struct worker_job *job)
{
    struct admin_call *c = (struct admin_call *)job;
    if (job->cancelled)
        err_set(&c->err, ERR_BUSY, "the facade is stopping");
    finish(c);
}

static void go_store(struct admin_call *c)
{
    c->job = (struct worker_job){
        .run = run_store, .done = on_store, .reply_to = loop_mailbox(c->sl->loop)};
    if (!c->sl->server->admin_workers)
        err_set(&c->err, ERR_UNSUPPORTED, "this process has no control store");
    else if (worker_pool_submit(c->sl->server->admin_workers, &c->job, &c->err) == 0)
        return;
    finish(c);
}

// On the loop that is visited, then on to the next; at last back where it began.
static void on_visit(struct mail *m)
{
    struct admin_call *c = (struct admin_call *)(void *)((char *)m -
                                                         offsetof(struct admin_call, mail));
    struct server *s = c->sl->server;
    if (c->at == s->nloops) {
        finish(c);
        return;
    }
    c->endpoint->run(c, &s->loops[c->at++]);
    struct server_loop *next = c->at < s->nloops ? &s->loops[c->at] : c->sl;
    mailbox_post(loop_mailbox(next->loop), &c->mail);
}

static void go(struct admin_call *c)
{
    switch (c->endpoint->way) {
    case ADMIN_HERE:
        c->endpoint->run(c, c->sl);
        finish(c);
        return;
    case ADMIN_STORE: go_store(c); return;
    case ADMIN_LOOPS:
        c->reply = json_array();
        c->mail.deliver = on_visit;
        mailbox_post(loop_mailbox(c->sl->server->loops[0].loop), &c->mail);
        return;
    }
}

// ---------------------------------------------------------------- the request

// Whether `path` is the endpoint's; a '*' at its end takes one segment.
static bool is_path(const char *pattern, struct str path, struct str *parameter)
{
    size_t n = strlen(pattern);
    *parameter = STR("");
    if (pattern[n - 1] != '*')
        return str_eqz(path, pattern);
    if (path.len < n || memcmp(path.data, pattern, n - 1) != 0)
        return false;
    *parameter = str_n(path.data + n - 1, path.len - n + 1);
    return !memchr(parameter->data, '/', parameter->len);
}

static const struct admin_endpoint *find(const struct http_request *r, struct str *parameter,
                                         bool *other_method)
{
    *other_method = false;
    for (const struct admin_endpoint *e = admin_endpoints; e->name; e++) {
        if (!is_path(e->path, r->path, parameter))
            continue;
        if (str_eqz(r->method, e->method))
            return e;
        *other_method = true;
    }
    return NULL;
}

static const struct person *person_of(const struct server *s, const struct http_request *r)
{
    struct str h = http_header(r, "Authorization");
    if (!str_starts(h, STR("Bearer ")))
        return NULL;
    return people_find(&s->people, str_n(h.data + 7, h.len - 7));
}

static struct admin_call *call_create(struct server_loop *sl, struct http_request *r,
                                      const struct admin_endpoint *e, const struct person *who,
                                      struct str parameter)
{
    struct admin_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->sl = sl;
    c->request = r;
    c->endpoint = e;
    c->who = who;
    if (str_copy(c->parameter, sizeof c->parameter, parameter))
        err_set(&c->err, ERR_INVALID, "the last part of the path is too long");
    if (r->body.len > BODY_MAX)
        err_set(&c->err, ERR_INVALID, "the body is too large");
    else if (r->body.len &&
             !(c->body = json_loadb(r->body.data, r->body.len, JSON_REJECT_DUPLICATES, NULL)))
        err_set(&c->err, ERR_INVALID, "the body is not JSON");
    return c;
}

static void take(struct server_loop *sl, struct http_request *r, const struct person *who)
{
    static _Thread_local struct log_limit limit;
    unsigned dropped;
    struct str parameter;
    bool other_method;
    const struct admin_endpoint *e = find(r, &parameter, &other_method);
    if (!who) {
        if (log_allowed(&limit, 1000, &dropped))
            log_warn(&log_ctx, "a request without a known token was refused (%u more)", dropped);
        refuse(r, 401, "a bearer token of admin.tokens is needed");
    } else if (!e) {
        refuse(r, other_method ? 405 : 404, "GET /admin shows what there is");
    } else if (who->role < e->role) {
        refuse(r, 403, "your role does not allow this");
    } else {
        struct admin_call *c = call_create(sl, r, e, who, parameter);
        if (!c)
            refuse(r, 500, "out of memory");
        else if (c->err.code)
            finish(c);
        else
            go(c);
    }
}

bool admin_request(struct server_loop *sl, struct http_request *r)
{
    if (!str_eqz(r->path, "/admin") && !str_starts(r->path, STR("/admin/")))
        return false;
    http_exchange_facts(r->exchange)->handler = "admin";
    take(sl, r, person_of(sl->server, r));
    return true;
}

// ---------------------------------------------------------------- for handlers

const char *admin_text(const struct admin_call *c, const char *name)
{
    const char *text = json_string_value(json_object_get(c->body, name));
    return text ? text : "";
}

void admin_sql(struct admin_call *c, struct control *control, const char *sql,
               const struct value *p, size_t n)
{
    struct buf text = BUF_INIT;
    struct rows rows;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = control_pg(control, &c->err);
    buf_printf(&text, "SELECT coalesce(json_agg(q), '[]') FROM (%s) q", sql);
    if (!a || text.failed)
        err_memory(&c->err);
    else if (pg && pg_query(pg, buf_str(&text), p, n, a, &rows, &c->err) == 0 &&
             !(c->reply = json_loadb(rows.cells[0].data, rows.cells[0].len, 0, NULL)))
        err_set(&c->err, ERR_INTERNAL, "the store's answer is not JSON");
    buf_free(&text);
    arena_destroy(a);
}
