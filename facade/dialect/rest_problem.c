// SPDX-License-Identifier: Apache-2.0
// Problems of the rest dialect (RFC 9457). The `type` of each is stable: clients may go by it.
#include "facade/dialect/rest.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *slug, *title;
    unsigned status;
} problems[REST_PROBLEMS] = {
    [REST_MALFORMED] = {"malformed", "The request cannot be read", 400},
    [REST_INVALID] = {"invalid", "The request has mistakes", 400},
    [REST_UNAUTHENTICATED] = {"unauthenticated", "Who asks is not known", 401},
    [REST_DENIED] = {"denied", "Not allowed", 403},
    [REST_NOT_FOUND] = {"not-found", "No such resource", 404},
    [REST_METHOD] = {"method-not-allowed", "No such method on this resource", 405},
    [REST_NOT_ACCEPTABLE] = {"not-acceptable", "There is JSON only", 406},
    [REST_CONFLICT] = {"conflict", "A key or unique value exists already", 409},
    [REST_IN_PROGRESS] = {"in-progress", "The first request of this Idempotency-Key still runs",
                          409},
    [REST_GONE] = {"gone", "This route is retired", 410},
    [REST_PRECONDITION] = {"precondition-failed", "The record is not at that version", 412},
    [REST_TOO_LARGE] = {"too-large", "The request goes past a limit", 413},
    [REST_MEDIA_TYPE] = {"unsupported-media-type", "The body is of another media type", 415},
    [REST_UNSTORABLE] = {"unstorable", "The store refuses the values", 422},
    [REST_KEY_REUSED] = {"idempotency-key-reused",
                         "This Idempotency-Key belongs to another request", 422},
    [REST_MATCH_NEEDED] = {"precondition-required", "If-Match is needed here", 428},
    [REST_INTERNAL] = {"internal", "Internal error", 500},
    [REST_UNSUPPORTED] = {"unsupported", "Nothing serves this operation", 501},
    [REST_UNAVAILABLE] = {"unavailable", "Nothing was done; try again", 503},
    [REST_TIMEOUT] = {"timeout", "No answer in time; a write may have taken effect", 504},
};

const char *rest_problem_slug(enum rest_problem p)
{
    return problems[p].slug;
}

unsigned rest_problem_status(enum rest_problem p)
{
    return problems[p].status;
}

static void put_errors(struct buf *body, const struct rest_request *q)
{
    buf_addz(body, ",\"errors\":[");
    for (size_t i = 0; i < q->nerrors; i++) {
        const struct rest_error *x = &q->errors[i];
        buf_printf(body, "%s{\"%s\":", i ? "," : "", x->parameter ? "parameter" : "pointer");
        buf_addjson(body, x->where);
        buf_addz(body, ",\"detail\":");
        buf_addjson(body, x->detail);
        buf_addc(body, '}');
    }
    buf_addc(body, ']');
}

void rest_problem(struct rest_request *q, enum rest_problem p, const char *detail)
{
    struct buf body = BUF_INIT;
    buf_printf(&body, "{\"type\":\"urn:ficus:problem:%s\",\"title\":\"%s\",\"status\":%u",
               problems[p].slug, problems[p].title, problems[p].status);
    if (detail && *detail) {
        buf_addz(&body, ",\"detail\":");
        buf_addjson(&body, str_of(detail));
    }
    if (q->nerrors)
        put_errors(&body, q);
    buf_addz(&body, "}\n");
    if (p == REST_UNAUTHENTICATED)
        rest_header(q, "WWW-Authenticate", STR("Bearer"));
    if (p == REST_METHOD)
        rest_header(q, "Allow", str_of(detail));
    if (p == REST_UNAVAILABLE || p == REST_IN_PROGRESS)
        rest_header(q, "Retry-After", STR("1"));
    rest_send(q, body.failed ? 500 : problems[p].status, "application/problem+json",
              buf_str(&body));
    buf_free(&body);
}

void rest_problem_err(struct rest_request *q, const struct err *e)
{
    static const struct {
        enum err_code code;
        enum rest_problem problem;
    } map[] = {
        {ERR_NOT_FOUND, REST_NOT_FOUND},     {ERR_UNSUPPORTED, REST_METHOD},
        {ERR_LIMIT, REST_TOO_LARGE},         {ERR_MEMORY, REST_UNAVAILABLE},
        {ERR_SCHEMA, REST_MEDIA_TYPE},       {ERR_STALE, REST_PRECONDITION},
        {ERR_INTERNAL, REST_INTERNAL},       {ERR_VALUE, REST_UNSTORABLE},
        {ERR_CONSTRAINT, REST_MATCH_NEEDED},
    };
    enum rest_problem p = q->nerrors ? REST_INVALID : REST_MALFORMED;
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].code == e->code)
            p = map[i].problem;
    rest_problem(q, p, e->msg);
}

void rest_problem_result(struct rest_request *q)
{
    static const enum rest_problem map[] = {
        [RESULT_OK] = REST_INTERNAL,
        [RESULT_NOT_FOUND] = REST_NOT_FOUND,
        [RESULT_CONFLICT] = REST_CONFLICT,
        [RESULT_INVALID] = REST_UNSTORABLE,
        [RESULT_CHANGED] = REST_PRECONDITION,
        [RESULT_DENIED] = REST_DENIED,
        [RESULT_FENCED] = REST_CONFLICT,
        [RESULT_CURRENT] = REST_INTERNAL,
        [RESULT_BUSY] = REST_UNAVAILABLE,
        [RESULT_UNAVAILABLE] = REST_UNAVAILABLE,
        [RESULT_TIMEOUT] = REST_TIMEOUT,
        [RESULT_RETIRED] = REST_GONE,
        [RESULT_UNSUPPORTED] = REST_UNSUPPORTED,
        [RESULT_ERROR] = REST_INTERNAL,
    };
    const struct result *r = &q->dispatch.result;
    // A store's own words may name tables: only what is the client's to mend is told.
    bool tell = r->status == RESULT_INVALID || r->status == RESULT_BUSY;
    // What a strict policy hides is not there.
    bool hidden = r->status == RESULT_DENIED && q->dispatch.hidden;
    rest_problem(q, hidden ? REST_NOT_FOUND : map[r->status], tell ? r->err.msg : "");
}

int rest_mistake(struct rest_request *q, struct err *e, bool parameter, struct str where,
                 const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (q->nerrors < REST_ERRORS_MAX) {
        struct rest_error *x = &q->errors[q->nerrors];
        *x = (struct rest_error){parameter, arena_str(q->op.arena, str_utf8_cut(where, 200)),
                                 arena_str(q->op.arena, str_of(text))};
        if (!x->where.data || !x->detail.data)
            return err_memory(e);
        q->nerrors++;
    }
    return err_set(e, ERR_INVALID, "%s", text);
}
