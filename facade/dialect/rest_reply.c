// SPDX-License-Identifier: Apache-2.0
// Results of the rest dialect: records as JSON objects, problems per RFC 9457.
#include "facade/canonical.h"
#include "facade/dialect/rest.h"
#include "migrations/type.h"

static void reply_json(struct http_request *http, unsigned status, const char *type,
                       struct buf *body, const struct http_header *headers, size_t nheaders)
{
    struct http_response r = {.status = body->failed ? 500 : status,
                              .content_type = body->len ? str_of(type) : STR(""),
                              .body = buf_str(body),
                              .headers = headers,
                              .nheaders = nheaders};
    http_reply(http->exchange, &r);
}

void rest_reply_problem(struct http_request *http, unsigned status, const char *detail)
{
    const struct http_header extra = status == 401 ? (struct http_header){STR("WWW-Authenticate"),
                                                                          STR("Bearer")}
                                     : status == 405
                                         ? (struct http_header){STR("Allow"), str_of(detail)}
                                         : (struct http_header){STR("Retry-After"), STR("1")};
    struct buf body = BUF_INIT;
    buf_printf(&body, "{\"type\": \"about:blank\", \"title\": \"%s\", \"status\": %u",
               http_status_text(status), status);
    if (detail && *detail) {
        buf_addz(&body, ", \"detail\": ");
        buf_addjson(&body, str_of(detail));
    }
    buf_addz(&body, "}\n");
    reply_json(http, status, "application/problem+json", &body, &extra,
               status == 401 || status == 405 || status == 503);
    buf_free(&body);
}

static void put_record(struct buf *out, const struct field *const *fields, size_t n,
                       const struct record *r)
{
    buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        buf_addjson(out, str_of(fields[i]->name));
        buf_addc(out, ':');
        type_to_json(fields[i], r->values[i], out);
    }
}

static void put_full(struct buf *out, const struct operation *op, const struct record *r)
{
    put_record(out, op->query.fields, op->query.nfields, r);
    for (size_t i = 0; i < op->nexpansions; i++) {
        const struct expansion *x = &op->expansions[i];
        const struct record_set *s = r->related ? &r->related[i] : NULL;
        buf_addc(out, ',');
        buf_addjson(out, str_of(x->relationship->name));
        buf_addz(out, ":[");
        for (size_t k = 0; s && k < s->n; k++) {
            if (k)
                buf_addc(out, ',');
            put_record(out, x->fields, x->nfields, &s->rows[k]);
            buf_addc(out, '}');
        }
        buf_addc(out, ']');
    }
    buf_addc(out, '}');
}

static void put_list(struct buf *out, const struct operation *op, const struct result *r)
{
    buf_addz(out, "{\"items\":[");
    for (size_t i = 0; i < r->records.n; i++) {
        if (i)
            buf_addc(out, ',');
        put_full(out, op, &r->records.rows[i]);
    }
    buf_printf(out, "],\"offset\":%lld,\"limit\":%lld", op->query.offset, op->query.limit);
    if (r->total >= 0)
        buf_printf(out, ",\"total\":%lld", r->total);
    buf_addc(out, '}');
}

static unsigned status_of(enum result_status s)
{
    switch (s) {
    case RESULT_OK: return 200;
    case RESULT_NOT_FOUND: return 404;
    case RESULT_CONFLICT:
    case RESULT_FENCED: return 409;
    case RESULT_INVALID: return 422;
    case RESULT_DENIED: return 403;
    case RESULT_BUSY:
    case RESULT_UNAVAILABLE: return 503;
    case RESULT_TIMEOUT: return 504;
    case RESULT_RETIRED: return 410;
    case RESULT_UNSUPPORTED: return 501;
    case RESULT_CURRENT: // dispatch keeps it to itself
    case RESULT_ERROR: break;
    }
    return 500;
}

static void reply_canonical(struct rest_request *q)
{
    static const struct http_header fenced[] = {{STR("Ficus-Fenced"), STR("1")}};
    struct buf body = BUF_INIT;
    enum result_status s = q->dispatch.result.status;
    canonical_write_result(&q->op, &q->dispatch.result, &body);
    reply_json(q->http,
               s == RESULT_FENCED ? 409
               : s == RESULT_BUSY ? 503
                                  : 200,
               "application/json", &body, fenced, s == RESULT_FENCED);
    buf_free(&body);
}

void rest_reply_result(struct rest_request *q)
{
    const struct result *r = &q->dispatch.result;
    struct buf body = BUF_INIT;
    if (q->canonical) {
        reply_canonical(q);
        return;
    }
    if (r->status != RESULT_OK) {
        // A store's own words may name tables: only what is the client's to mend is told.
        bool tell = r->status == RESULT_INVALID || r->status == RESULT_BUSY;
        rest_reply_problem(q->http, status_of(r->status), tell ? r->err.msg : "");
        return;
    }
    if (q->op.kind == OPERATION_GET && r->records.n)
        put_full(&body, &q->op, &r->records.rows[0]);
    else if (q->op.kind == OPERATION_LIST)
        put_list(&body, &q->op, r);
    else if (q->op.kind == OPERATION_CREATE) {
        buf_addz(&body, "{\"id\":");
        type_to_json(q->entity->keys[0], r->key ? r->key[0] : value_null(), &body);
        buf_addc(&body, '}');
    }
    unsigned status = q->op.kind == OPERATION_CREATE ? 201 : body.len ? 200 : 204;
    reply_json(q->http, status, "application/json", &body, NULL, 0);
    buf_free(&body);
}
