// SPDX-License-Identifier: Apache-2.0
// Results of the rest dialect: records as JSON, entity tags, and the one way out.
#include "facade/canonical.h"
#include "facade/dialect/rest.h"
#include "migrations/type.h"

#include <stdio.h>
#include <xxhash.h>

// ---------------------------------------------------------------- the way out

void rest_header(struct rest_request *q, const char *name, struct str value)
{
    struct str kept = arena_str(q->op.arena, value);
    if (q->nheaders < REST_HEADERS_MAX && kept.data)
        q->headers[q->nheaders++] = (struct http_header){str_of(name), kept};
}

static void deliver(void *ctx, const struct http_response *r)
{
    struct rest_request *q = ctx;
    if (q->batch)
        rest_batch_take(q, r);
    else
        http_reply(q->http->exchange, r);
}

// An answer that says that nothing was done is not kept: the next attempt may do it.
static bool is_final(const struct rest_request *q, unsigned status)
{
    return status != 503 && status != 504 && !(status >= 500 && q->op.kind == OPERATION_CREATE);
}

void rest_send(struct rest_request *q, unsigned status, const char *type, struct str body)
{
    struct http_response r = {.status = status,
                              .content_type = body.len ? str_of(type) : STR(""),
                              .body = body,
                              .headers = q->headers,
                              .nheaders = q->nheaders};
    struct idempotency *x = q->idempotency;
    q->idempotency = NULL;
    if (x)
        idempotency_end(x, is_final(q, status), &r, deliver, q);
    else
        deliver(q, &r);
}

// ---------------------------------------------------------------- records

// Dates and times as in RFC 3339; the rest by its type.
static void put_value(struct buf *out, const struct field *f, struct value v)
{
    if (f->type != TYPE_TIMESTAMP || v.state != VALUE_SET || v.len < 19) {
        type_to_json(f, v, out);
        return;
    }
    buf_printf(out, "\"%.10sT%.*sZ\"", v.data, (int)v.len - 11, v.data + 11);
}

static void put_fields(struct buf *out, const struct field *const *fields, size_t n,
                       const struct record *r)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_addc(out, ',');
        buf_addjson(out, str_of(fields[i]->name));
        buf_addc(out, ':');
        put_value(out, fields[i], r->values[i]);
    }
}

static void put_relations(struct buf *out, const struct rest_expand *x, const struct record *r);

// One row of a relation, with what is below it. At most REST_EXPAND_DEPTH deep.
static void put_related(struct buf *out, const struct rest_expand *x, const struct record *row)
{
    const struct record *below = rest_expand_below(x, row);
    buf_addc(out, '{');
    put_fields(out, x->fields, x->nfields, row);
    if (x->nchildren)
        put_relations(out, x, below);
    buf_addc(out, '}');
}

static void put_relations(struct buf *out, const struct rest_expand *x, const struct record *r)
{
    bool more = false;
    size_t k = 0;
    for (const struct rest_expand *c = x->children; c; c = c->next, k++) {
        const struct record_set *s = r && r->related ? &r->related[k] : NULL;
        buf_addz(out, ",");
        buf_addjson(out, str_of(c->relationship->name));
        buf_addz(out, ":[");
        for (size_t i = 0; s && i < s->n && i < REST_RELATED_MAX; i++) {
            buf_addz(out, i ? "," : "");
            put_related(out, c, &s->rows[i]);
        }
        buf_addc(out, ']');
        more = more || (s && s->n > REST_RELATED_MAX);
    }
    k = 0;
    bool first = true;
    if (!more)
        return;
    buf_addz(out, ",\"_more\":[");
    for (const struct rest_expand *c = x->children; c; c = c->next, k++) {
        if (r->related[k].n <= REST_RELATED_MAX)
            continue;
        buf_addz(out, first ? "" : ",");
        buf_addjson(out, str_of(c->relationship->name));
        first = false;
    }
    buf_addc(out, ']');
}

static void put_record(struct buf *out, const struct rest_request *q, const struct record *r)
{
    buf_addc(out, '{');
    put_fields(out, q->op.query.fields, q->nshown, r);
    if (q->expand)
        put_relations(out, q->expand, r);
    buf_addc(out, '}');
}

static int put_next(struct rest_request *q, struct buf *out, struct err *e)
{
    const struct record_set *s = &q->dispatch.result.records;
    struct buf cursor = BUF_INIT;
    int rc = 0;
    if (!q->can_seek)
        return 0;
    if ((long long)s->n == q->op.query.limit)
        rc = rest_cursor_put(q, &s->rows[s->n - 1], &cursor, e);
    buf_addz(out, ",\"next\":");
    if (cursor.len)
        buf_addjson(out, buf_str(&cursor));
    else
        buf_addz(out, "null");
    buf_free(&cursor);
    return rc;
}

static int put_list(struct rest_request *q, struct buf *out, struct err *e)
{
    const struct result *r = &q->dispatch.result;
    buf_addz(out, "{\"items\":[");
    for (size_t i = 0; i < r->records.n; i++) {
        if (i)
            buf_addc(out, ',');
        put_record(out, q, &r->records.rows[i]);
    }
    buf_printf(out, "],\"offset\":%lld,\"limit\":%lld", q->op.query.offset, q->op.query.limit);
    if (r->total >= 0)
        buf_printf(out, ",\"total\":%lld", r->total);
    if (put_next(q, out, e))
        return -1;
    buf_addc(out, '}');
    return 0;
}

// ---------------------------------------------------------------- replies

static void reply_read(struct rest_request *q, struct buf *body)
{
    const struct result *r = &q->dispatch.result;
    char text[VERSION_LEN + 8];
    char weak[24];
    snprintf(weak, sizeof weak, "%016llx", (unsigned long long)XXH3_64bits(body->data, body->len));
    bool is_weak = q->weak || !r->version[0];
    struct str tag = str_of(is_weak ? weak : r->version);
    snprintf(text, sizeof text, "%s\"%s\"", is_weak ? "W/" : "", tag.data);
    unsigned status = rest_condition_read(q, tag, is_weak);
    rest_header(q, "ETag", str_of(text));
    if (status == 412)
        rest_problem(q, REST_PRECONDITION, "");
    else
        rest_send(q, status ? status : 200, "application/json", status ? STR("") : buf_str(body));
}

static void reply_created(struct rest_request *q, struct buf *body)
{
    const struct result *r = &q->dispatch.result;
    struct value key = r->key ? r->key[0] : value_null();
    struct buf at = BUF_INIT;
    buf_printf(&at, "%s/%s/", q->mount->path, q->entity->plural);
    buf_addurl(&at, value_str(key));
    if (!at.failed && q->entity->nkeys == 1)
        rest_header(q, "Location", buf_str(&at));
    buf_free(&at);
    buf_addz(body, "{\"id\":");
    type_to_json(q->entity->keys[0], key, body);
    buf_addc(body, '}');
    rest_send(q, body->failed ? 500 : 201, "application/json", buf_str(body));
}

static void reply_canonical(struct rest_request *q)
{
    struct buf body = BUF_INIT;
    enum result_status s = q->dispatch.result.status;
    canonical_write_result(&q->op, &q->dispatch.result, &body);
    if (s == RESULT_FENCED)
        rest_header(q, "Ficus-Fenced", STR("1"));
    rest_send(q,
              body.failed          ? 500
              : s == RESULT_FENCED ? 409
              : s == RESULT_BUSY   ? 503
                                   : 200,
              "application/json", buf_str(&body));
    buf_free(&body);
}

void rest_reply_result(struct rest_request *q)
{
    const struct result *r = &q->dispatch.result;
    struct buf body = BUF_INIT;
    struct err e = {0};
    if (q->canonical) {
        reply_canonical(q);
        return;
    }
    if (r->status == RESULT_NOT_FOUND && q->match.given && !operation_is_read(q->op.kind)) {
        rest_problem(q, REST_PRECONDITION, "there is no such record");
        return;
    }
    if (r->status != RESULT_OK) {
        rest_problem_result(q);
        return;
    }
    if (q->op.kind == OPERATION_GET && r->records.n)
        put_record(&body, q, &r->records.rows[0]);
    else if (q->op.kind == OPERATION_LIST && put_list(q, &body, &e))
        rest_problem_err(q, &e);
    if (e.code == ERR_NONE && body.failed)
        rest_problem(q, REST_INTERNAL, "the answer is too large");
    else if (e.code == ERR_NONE && operation_is_read(q->op.kind))
        reply_read(q, &body);
    else if (e.code == ERR_NONE && q->op.kind == OPERATION_CREATE)
        reply_created(q, &body);
    else if (e.code == ERR_NONE)
        rest_send(q, 204, "", STR(""));
    buf_free(&body);
}
