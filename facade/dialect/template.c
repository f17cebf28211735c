// SPDX-License-Identifier: Apache-2.0
// The template dialect: a request of an in-house legacy endpoint becomes one canonical operation,
// and its result the bytes that the legacy would have sent, both by a template (docs/template.md).
#include "facade/dialect/template.h"

#include "base/clock.h"
#include "base/log.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define CREDENTIALS_MAX 1024

struct dialect_mount {
    struct dialect_env env;
    const char *path;
    struct template *t;
};

struct template_request {
    struct dispatch dispatch; // first
    struct dialect_mount *mount;
    struct http_request *http;
    struct operation op;
    struct principal principal;
    struct template_input in;
    const struct template_endpoint *endpoint;
    struct value *takes;
};

static const struct log_ctx log_ctx = {"template", NULL, NULL};

// ---------------------------------------------------------------- mounting

static struct dialect_mount *mount(const struct dialect_env *env, const struct mount *m,
                                   struct err *e)
{
    struct dialect_mount *dm = calloc(1, sizeof *dm);
    struct problems p = {0};
    if (!dm) {
        err_memory(e);
        return NULL;
    }
    dm->env = *env;
    dm->path = m->path;
    dm->t = template_of_mount(m, env->conf, env->entities, &p);
    if (!dm->t) {
        // All of them are for `ficus check`; a start stops at the first line.
        const char *end = p.text.data ? strchr(p.text.data, '\n') : NULL;
        err_set(e, ERR_CONFIG, "%.*s", end ? (int)(end - p.text.data) : 0,
                p.text.data ? p.text.data : "");
        free(dm);
        dm = NULL;
    }
    problems_free(&p);
    return dm;
}

static void unmount(struct dialect_mount *m)
{
    template_destroy(m->t);
    free(m);
}

// ---------------------------------------------------------------- answers

static const struct template_answer *answer_for(const struct template_request *q,
                                                enum template_outcome o)
{
    const struct template *t = q->mount->t;
    enum template_outcome tries[] = {o, TEMPLATE_ERROR};
    for (size_t i = 0; i < (o == TEMPLATE_OK ? 1u : 2u); i++) {
        if (q->endpoint && q->endpoint->answers[tries[i]])
            return q->endpoint->answers[tries[i]];
        if (t->answers[tries[i]])
            return t->answers[tries[i]];
    }
    return NULL;
}

static void finish(struct template_request *q, const struct http_response *r)
{
    template_input_free(&q->in);
    http_reply(q->http->exchange, r);
}

static void reply(struct template_request *q, enum template_outcome o, const char *why)
{
    const struct template_answer *a = answer_for(q, o);
    struct http_header headers[TEMPLATE_HEADERS_MAX + 2];
    struct buf body = BUF_INIT;
    struct err e = {0};
    char now[20];
    size_t n = 0;
    clock_utc_seconds(clock_wall_ms(), now);
    struct template_data d = {.endpoint = q->endpoint,
                              .takes = q->takes,
                              .principal = &q->principal,
                              .op = o == TEMPLATE_OK ? &q->op : NULL,
                              .result = o == TEMPLATE_OK ? &q->dispatch.result : NULL,
                              .error = str_of(why),
                              .now = now};
    unsigned status = a && a->status ? a->status : template_outcome_status(o);
    for (size_t i = 0; a && i < a->nheaders; i++)
        headers[n++] = a->headers[i];
    if (o == TEMPLATE_BUSY)
        headers[n++] = (struct http_header){STR("Retry-After"), STR("1")};
    if (o == TEMPLATE_UNAUTHENTICATED && q->mount->t->auth == TEMPLATE_AUTH_BASIC)
        headers[n++] = (struct http_header){STR("WWW-Authenticate"), STR("Basic realm=\"ficus\"")};
    if (o == TEMPLATE_UNAUTHENTICATED && q->mount->t->auth == TEMPLATE_AUTH_BEARER)
        headers[n++] = (struct http_header){STR("WWW-Authenticate"), STR("Bearer")};
    if (a && template_render(a, &d, &body, &e)) {
        log_warn(&log_ctx, "endpoint %s: %s", q->endpoint ? q->endpoint->name : "-", e.msg);
        status = 500;
        buf_free(&body);
    } else if (!a) {
        buf_addz(&body, http_status_text(status));
        buf_addc(&body, '\n');
    }
    finish(q, &(struct http_response){
                  .status = status,
                  .content_type = body.len ? a ? str_of(a->type) : STR("text/plain") : STR(""),
                  .body = buf_str(&body),
                  .headers = headers,
                  .nheaders = n});
    buf_free(&body);
}

// ---------------------------------------------------------------- who

static bool same_secret(const char *a, struct str b)
{
    size_t n = strlen(a);
    return n == b.len && n > 0 && CRYPTO_memcmp(a, b.data, n) == 0;
}

static bool basic(const struct template_principal *p, struct str credentials)
{
    unsigned char in[CREDENTIALS_MAX + 4], raw[CREDENTIALS_MAX + 4];
    size_t n = credentials.len, pad = 0;
    if (n == 0 || n % 4 || n > CREDENTIALS_MAX)
        return false;
    memcpy(in, credentials.data, n);
    while (pad < 2 && in[n - 1 - pad] == '=')
        pad++;
    int len = EVP_DecodeBlock(raw, in, (int)n) - (int)pad;
    const unsigned char *colon = len > 0 ? memchr(raw, ':', (size_t)len) : NULL;
    if (!colon)
        return false;
    struct str user = str_n((const char *)raw, (size_t)(colon - raw));
    struct str secret = str_n((const char *)colon + 1, (size_t)len - user.len - 1);
    bool good = same_secret(p->secret, secret) && str_eqz(user, p->user);
    OPENSSL_cleanse(raw, sizeof raw);
    return good;
}

// The credentials of a request as its template wants them; .data NULL: none.
static struct str credentials(struct template_request *q)
{
    const struct template *t = q->mount->t;
    struct str s = http_header(q->http, "Authorization");
    struct value v = {0};
    struct err ignored;
    switch (t->auth) {
    case TEMPLATE_AUTH_BEARER:
        return str_starts(s, STR("Bearer ")) ? str_n(s.data + 7, s.len - 7) : str_n(NULL, 0);
    case TEMPLATE_AUTH_BASIC:
        return str_starts(s, STR("Basic ")) ? str_n(s.data + 6, s.len - 6) : str_n(NULL, 0);
    case TEMPLATE_AUTH_HEADER: return http_header(q->http, t->auth_name);
    case TEMPLATE_AUTH_QUERY: {
        struct template_take take = {.name = "key", .from = TEMPLATE_QUERY, .at = t->auth_name};
        if (template_take(&q->in, &take, &v, &ignored) == 0 && v.state == VALUE_SET)
            return value_str(v);
        break;
    }
    case TEMPLATE_AUTH_NONE: break;
    }
    return str_n(NULL, 0);
}

static bool authenticate(struct template_request *q)
{
    const struct template *t = q->mount->t;
    struct str given = credentials(q);
    for (size_t i = 0; i < t->nprincipals; i++) {
        const struct template_principal *p = &t->principals[i];
        bool good = t->auth == TEMPLATE_AUTH_NONE ||
                    (given.data &&
                     (t->auth == TEMPLATE_AUTH_BASIC ? basic(p, given)
                                                     : same_secret(p->secret, given)));
        if (!good)
            continue;
        q->principal = p->principal;
        return true;
    }
    return false;
}

// ---------------------------------------------------------------- running

static void on_result(struct dispatch *d)
{
    static const enum template_outcome map[] = {
        [RESULT_OK] = TEMPLATE_OK,
        [RESULT_NOT_FOUND] = TEMPLATE_NOT_FOUND,
        [RESULT_CONFLICT] = TEMPLATE_CONFLICT,
        [RESULT_INVALID] = TEMPLATE_INVALID,
        [RESULT_CHANGED] = TEMPLATE_CONFLICT,
        [RESULT_DENIED] = TEMPLATE_DENIED,
        [RESULT_FENCED] = TEMPLATE_ERROR,
        [RESULT_CURRENT] = TEMPLATE_ERROR,
        [RESULT_BUSY] = TEMPLATE_BUSY,
        [RESULT_UNAVAILABLE] = TEMPLATE_BUSY,
        [RESULT_TIMEOUT] = TEMPLATE_TIMEOUT,
        [RESULT_RETIRED] = TEMPLATE_RETIRED,
        [RESULT_UNSUPPORTED] = TEMPLATE_ERROR,
        [RESULT_ERROR] = TEMPLATE_ERROR,
    };
    struct template_request *q = (struct template_request *)d;
    const struct result *r = &d->result;
    bool tell = r->status == RESULT_INVALID || r->status == RESULT_BUSY; // the client's to mend
    http_exchange_label(q->http->exchange, dispatch_label(d));
    reply(q, map[r->status], tell ? r->err.msg : "");
}

static int take_all(struct template_request *q, struct err *e)
{
    const struct template_endpoint *en = q->endpoint;
    struct value *takes = arena_array(q->http->arena, en->ntakes + 1, sizeof *takes);
    if (!takes)
        return err_memory(e);
    q->takes = takes; // those that could be taken are there for the answer
    for (size_t i = 0; i < en->ntakes; i++)
        if (template_take(&q->in, &en->takes[i], &takes[i], e))
            return -1;
    return template_operation(en, takes, &q->op, e);
}

static void run(struct template_request *q)
{
    uint64_t ms = (uint64_t)conf_int(q->mount->env.conf, "legacy.deadline_ms");
    q->dispatch.operation = &q->op;
    q->dispatch.done = on_result;
    q->dispatch.deadline_ns = clock_mono_ns() + ms * 1000000u;
    dispatch_run(q->mount->env.dispatcher, &q->dispatch);
}

static void start(struct template_request *q)
{
    struct err e = {0};
    if (!authenticate(q)) {
        reply(q, TEMPLATE_UNAUTHENTICATED, "");
        return;
    }
    q->endpoint = template_match(q->mount->t, &q->in);
    if (!q->endpoint && q->in.bad_body)
        reply(q, TEMPLATE_MALFORMED, q->in.why.msg);
    else if (!q->endpoint)
        reply(q, TEMPLATE_NO_ENDPOINT, "no endpoint of this template matches");
    else if (take_all(q, &e))
        reply(q, e.code == ERR_MEMORY ? TEMPLATE_BUSY : TEMPLATE_MALFORMED, e.msg);
    else
        run(q);
}

static void on_request(struct dialect_mount *m, struct http_request *http)
{
    struct template_request *q = arena_alloc(http->arena, sizeof *q);
    if (!q) {
        http_reply(http->exchange, &(struct http_response){.status = 503});
        return;
    }
    q->mount = m;
    q->http = http;
    q->in = (struct template_input){
        .http = http, .arena = http->arena, .path = http_path_below(http->path, str_of(m->path))};
    q->op.arena = http->arena;
    q->op.epoch = -1;
    q->op.principal = &q->principal;
    q->op.request_line = "template";
    start(q);
}

const struct dialect dialect_template = {
    .name = "template", .mount = mount, .on_request = on_request, .unmount = unmount};
