// SPDX-License-Identifier: Apache-2.0
// Calls of the v4_1 dialect that the legacy application itself answers: methods and modules that
// nothing here knows, files, layouts, language packs, what a rule sends there, and writes of
// routes whose legacy backend writes through the application. Thread: the loop of the mount.
//
//   known     what is known of the application's session beside ours? (facade/session/app_sessions.h)
//   log_in    none: the client's own login is repeated there        } once more when the
//   send      the request with the application's session id in it   } application's has expired
//   reply     back, with ours in it
//
// Our session id is 128 random bits in hex, so that it is replaced wherever it stands: in the
// body, the query and the cookie, and the application's in its reply.
#include "connectors/http/wire_out.h"
#include "facade/dialect/v4_1_int.h"
#include "facade/pass/pass.h"
#include "facade/pass/pass_head.h"
#include "facade/session/app_sessions.h"

#include "base/log.h"

#include <stdlib.h>

#define DEADLINE_MS 30000
#define ID_MAX      128
#define FIELDS_MAX  10 // of a request: what is kept of the client's, and the trace

struct v4_1_through {
    struct pass *pass;
    struct str login; // of the client, "" unknown
    struct str id;    // of the application's session, "" none
    bool again;       // it had expired once already
    struct err err;
};

static int send_call(struct v4_1_call *c);

static int broken(struct v4_1_call *c)
{
    struct v4_1_through *t = c->through;
    struct log_ctx ctx = {"v4_1", "", ""};
    static _Thread_local struct log_limit limit;
    unsigned dropped = 0;

    if (log_allowed(&limit, 1000, &dropped))
        log_warn(&ctx, "the application: %s (%u more held back)", t->err.msg, dropped);
    return v4_1_reply_broken(c,
                             t->err.code == ERR_TIMEOUT ? 504
                             : t->err.code == ERR_BUSY  ? 503
                                                        : 502,
                             "");
}

// `in` with every `from` replaced; `escaped`: for a form.
static struct str replaced(struct v4_1_call *c, struct str in, struct str from, struct str to,
                           bool escaped)
{
    struct buf out = BUF_INIT;
    const char *at;

    if (from.len == 0 || in.len < from.len)
        return in;
    while ((at = memmem(in.data, in.len, from.data, from.len)) != NULL) {
        size_t n = (size_t)(at - in.data);
        buf_add(&out, in.data, n);
        if (escaped)
            buf_addurl(&out, to);
        else
            buf_addstr(&out, to);
        in = str_n(at + from.len, in.len - n - from.len);
    }
    buf_addstr(&out, in);
    struct str kept = out.failed ? str_n(NULL, 0) : arena_str(c->arena, buf_str(&out));
    buf_free(&out);
    return kept;
}

// ---- the application's own login

static bool is_id(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.data[i] >= '0' && s.data[i] <= '9') ||
              ((s.data[i] | 0x20) >= 'a' && (s.data[i] | 0x20) <= 'z') || s.data[i] == '-' ||
              s.data[i] == ','))
            return false;
    return s.len > 0 && s.len <= ID_MAX;
}

// The application refuses who is logged in here: only a new login can tell why.
static int not_logged_in(struct v4_1_call *c)
{
    return v4_1_reply_fault(c, V4_1_INVALID_SESSION);
}

static void on_login(void *ctx, struct err *e, const struct http_client_response *r)
{
    struct v4_1_call *c = ctx;
    struct v4_1_through *t = c->through;
    struct str id = {0};
    json_t *j = r ? json_loadb(r->body.data, r->body.len, 0, NULL) : NULL;

    if (v4_1_text(json_object_get(j, "id"), c->arena, &id) && is_id(id) &&
        (t->id = arena_str(c->arena, id)).data) {
        struct app_session app = {t->login, t->id};
        app_sessions_put(c->mount->env.app_sessions, c->session, &app);
        c->step = send_call;
    } else if (e) {
        t->err = *e;
        c->step = broken;
    } else {
        c->step = not_logged_in;
    }
    json_decref(j);
    v4_1_drive(c);
}

static int request(struct v4_1_call *c, struct http_client_request *q)
{
    struct v4_1_through *t = c->through;

    char parent[TRACE_PARENT_LEN + 1];
    struct http_header fields[FIELDS_MAX];

    for (size_t i = 0; i < q->nheaders; i++)
        fields[i] = q->headers[i];
    q->headers = fields;
    q->nheaders += wire_out_trace(&c->request->trace, parent, fields + q->nheaders);
    q->deadline_ms = DEADLINE_MS;
    q->ctx = c;
    return pass_send(t->pass, q, &t->err) == 0 ? V4_1_WAIT : broken(c);
}

static int log_in(struct v4_1_call *c)
{
    struct v4_1_through *t = c->through;
    struct http_header type = {STR("Content-Type"), STR("application/x-www-form-urlencoded")};
    struct buf body = BUF_INIT;
    struct str data;

    if (t->login.len == 0)
        return not_logged_in(c);
    data = arena_printf(c->arena,
                        "{\"user_auth\":%.*s,\"application_name\":\"ficus\","
                        "\"name_value_list\":[]}",
                        (int)t->login.len, t->login.data);
    buf_addz(&body, "method=login&input_type=JSON&response_type=JSON&rest_data=");
    buf_addurl(&body, data);
    struct http_client_request q = {.method = STR("POST"),
                                    .target = c->request->path,
                                    .headers = &type,
                                    .nheaders = 1,
                                    .body = buf_str(&body),
                                    .done = on_login};
    int result = body.failed || !data.data ? v4_1_reply_memory(c) : request(c, &q);
    buf_free(&body);
    return result;
}

// ---- the call

// What an unknown session is answered there, whatever it is wrapped in: 11, of some methods 10.
static bool is_expired(const struct v4_1_call *c, struct str body)
{
    const long long number = c->method->flags & V4_1_FAULT_LOGIN ? 10 : 11;
    const char *from = body.len > 0 && body.len < 512 ? memchr(body.data, '{', body.len) : NULL;
    json_t *j = from ? json_loadb(from, body.len - (size_t)(from - body.data),
                                  JSON_DISABLE_EOF_CHECK, NULL)
                     : NULL;
    const json_t *said = json_object_get(j, "number");
    long long n = json_integer_value(said);
    bool expired = n == number ||
                   (json_is_string(said) &&
                    str_to_int(str_of(json_string_value(said)), 10, 11, &n) && n == number);

    json_decref(j);
    return expired;
}

static int finish(struct v4_1_call *c, const struct http_client_response *r)
{
    struct http_header fields[WIRE_HEADERS_MAX + 1];
    struct http_stream_head head;
    struct http_response out = {.status = r->status};
    size_t n = 0;
    struct v4_1_through *t = c->through;
    struct wire_head h = {
        .status = r->status, .headers = (struct http_header *)r->headers, .nheaders = r->nheaders};

    pass_reply_head(&h, pass_upstream(t->pass), fields, &head);
    for (size_t i = 0; i < head.nheaders; i++) {
        struct http_header f = fields[i];
        if (str_eq_nocase(f.name, STR("content-type"))) {
            out.content_type = f.value;
        } else if (!str_eq_nocase(f.name, STR("date"))) {
            f.value = replaced(c, f.value, t->id, c->session, false);
            fields[n++] = f;
        }
    }
    out.headers = fields;
    out.nheaders = n;
    out.body = replaced(c, r->body, t->id, c->session, false);
    return v4_1_finish(c, &out);
}

static void on_reply(void *ctx, struct err *e, const struct http_client_response *r)
{
    struct v4_1_call *c = ctx;
    struct v4_1_through *t = c->through;

    if (r && !(t->id.len > 0 && !t->again && is_expired(c, r->body))) {
        (void)finish(c, r); // the reply's memory ends with this call
        return;
    }
    if (r) { // nothing was done there: the session is asked for first
        t->again = true;
        t->id = STR("");
        c->step = log_in;
    } else {
        t->err = *e;
        c->step = broken;
    }
    v4_1_drive(c);
}

// Fields that the application may want to see; the rest is the connection's or ours.
static size_t copy_fields(struct v4_1_call *c, struct http_header *out)
{
    static const char *const kept[] = {"Content-Type", "Cookie",          "User-Agent",
                                       "Accept",       "Accept-Language", "Authorization"};
    size_t n = 0;

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct str v = http_header(c->request, kept[i]);
        if (v.data)
            out[n++] = (struct http_header){str_of(kept[i]),
                                            replaced(c, v, c->session, c->through->id, false)};
    }
    return n;
}

static int send_call(struct v4_1_call *c)
{
    struct v4_1_through *t = c->through;
    const struct http_request *r = c->request;
    struct http_header fields[8];
    bool form = !form_media_is(http_header(r, "Content-Type"), "multipart/form-data");
    struct http_client_request q = {
        .method = r->method,
        .target = replaced(c, r->target, c->session, t->id, true),
        .headers = fields,
        .nheaders = copy_fields(c, fields),
        .body = r->body.len > 0 ? replaced(c, r->body, c->session, t->id, form) : r->body,
        .done = on_reply};

    if (!q.target.data || (r->body.len > 0 && !q.body.data))
        return v4_1_reply_memory(c);
    return request(c, &q);
}

static void on_known(void *ctx, const struct app_session *app)
{
    struct v4_1_call *c = ctx;
    struct v4_1_through *t = c->through;

    if (app) {
        t->login = arena_str(c->arena, app->login);
        t->id = app->id.len > 0 ? arena_str(c->arena, app->id) : STR("");
    }
    c->step = t->id.len > 0 ? send_call : log_in;
    v4_1_drive(c);
}

static int known(struct v4_1_call *c)
{
    c->step = send_call; // set by on_known
    app_sessions_get(c->mount->env.app_sessions, c->session, on_known, c);
    return V4_1_WAIT;
}

struct pass *v4_1_application(const struct v4_1_call *c)
{
    const struct dialect_env *env = &c->mount->env;

    return c->mount->application && env->pass ? env->pass(env->pass_ctx, c->mount->application)
                                              : NULL;
}

bool v4_1_owned_by_new(const struct v4_1_call *c, const struct entity *en)
{
    const struct group *g = group_of(dispatcher_table(c->mount->env.dispatcher), en);

    return g && (g->owner == SIDE_NEW || g->holding);
}

// The module that the call names, also where the method's handler looks it up itself.
static const struct v4_1_module *module_of(const struct v4_1_call *c)
{
    struct str name;

    if (c->module || c->nargs < 2 || !json_is_string(c->args[1]))
        return c->module;
    name = str_n(json_string_value(c->args[1]), json_string_length(c->args[1]));
    return v4_1_module(c->mount, name);
}

struct pass *v4_1_way(const struct v4_1_call *c)
{
    const struct dialect_env *env = &c->mount->env;
    const struct v4_1_module *m = module_of(c);
    bool writes = (c->method->flags & V4_1_WRITES) != 0;
    struct pass *p = NULL;

    if (!env->rule || (writes && m && v4_1_owned_by_new(c, m->entity)))
        return NULL;
    p = env->rule(env->pass_ctx, c->request, str_of(c->method->name),
                  m ? str_of(m->name) : STR(""));
    if (p || !m)
        return p;
    const struct route *r = route_for(dispatcher_table(env->dispatcher), m->entity,
                                      writes ? ROUTE_WRITES : ROUTE_READS);
    bool relates = str_starts(str_of(c->method->name), STR("set_relationship"));
    unsigned bit = relates ? ROUTE_RELATES : writes ? ROUTE_WRITES : ROUTE_READS;
    if (!r || !r->application || !(r->through & bit) || (!writes && r->stage != STAGE_LEGACY))
        return NULL;
    return env->pass(env->pass_ctx, r->application->name);
}

int v4_1_through(struct v4_1_call *c, struct pass *p)
{
    struct v4_1_through *t = c->through = arena_alloc(c->arena, sizeof *t);

    if (!t)
        return v4_1_reply_memory(c);
    t->pass = p;
    t->id = t->login = STR("");
    metric_add(c->mount->through, 1);
    // Without a session of ours there is nothing to replace.
    return c->session.len > 0 ? known(c) : send_call(c);
}

// The session may be used at any mount, and a route or a rule may name the application where the
// mount of this login does not.
static bool may_go_through(const struct v4_1_call *c)
{
    const struct route_table *t = dispatcher_table(c->mount->env.dispatcher);

    return c->mount->application || (t && upstream_count(t) > 0);
}

void v4_1_through_login(struct v4_1_call *c, const json_t *auth)
{
    char *text = may_go_through(c) ? json_dumps(auth, JSON_COMPACT) : NULL;
    struct app_session app = {str_of(text), STR("")};

    if (text && app.login.len < 2048)
        app_sessions_put(c->mount->env.app_sessions, c->session, &app);
    if (text)
        explicit_bzero(text, app.login.len);
    free(text);
}
