// SPDX-License-Identifier: Apache-2.0
// POST /batch: up to REST_BATCH_MAX requests, one after another, each with a status of its own.
// They are not atomic: what was done before a failure stays done.
//
//   {"requests": [{"method": "POST", "path": "/accounts", "headers": {..}, "body": {..}}]}
//   {"responses": [{"status": 201, "headers": {..}, "body": {..}}]}
#include "facade/dialect/rest.h"

#include <stdlib.h>

#define OUT_MAX (16u << 20)

struct rest_batch {
    struct rest_request *whole;
    struct str requests; // the array's text
    size_t n, at;
    struct buf out;
    bool looping, answered;
};

// Fields that a part may carry; the rest is the whole request's.
static const char *const part_headers[] = {"If-Match", "If-None-Match", "Idempotency-Key",
                                           "Content-Type", NULL};

static const char *known_header(const char *name)
{
    for (size_t i = 0; part_headers[i]; i++)
        if (str_eq_nocase(str_of(name), str_of(part_headers[i])))
            return part_headers[i];
    return NULL;
}

// ---------------------------------------------------------------- the shape of a part

// A path as the HTTP parser would let it through.
static bool good_path(const char *path)
{
    size_t n = path ? strlen(path) : 0;
    for (size_t i = 0; i < n; i++)
        if (path[i] <= ' ' || path[i] > '~' || path[i] == '#')
            return false;
    return n > 1 && path[0] == '/' && n < 8192;
}

static const char *known_method(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; method && i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(method, methods[i]) == 0)
            return methods[i];
    return NULL;
}

static bool good_headers(const json_t *j)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)j, name, v)
    {
        if (!known_header(name) || !json_is_string(v) || strpbrk(json_string_value(v), "\r\n"))
            return false;
    }
    return !j || json_is_object(j);
}

static int check_part(struct rest_request *q, const json_t *j, size_t number, struct err *e)
{
    const json_t *headers = json_object_get(j, "headers");
    size_t known = 2 + (headers != NULL) + (json_object_get(j, "body") != NULL);
    struct str at = arena_printf(q->op.arena, "/requests/%zu", number);
    if (!at.data)
        return err_memory(e);
    if (!known_method(json_string_value(json_object_get(j, "method"))) ||
        !good_path(json_string_value(json_object_get(j, "path"))))
        return rest_mistake(q, e, false, at,
                            "a part has a method (GET, HEAD, POST, PUT, PATCH,"
                            " DELETE) and a path below the mount");
    if (!good_headers(headers))
        return rest_mistake(q, e, false, at,
                            "headers of a part: If-Match, If-None-Match,"
                            " Idempotency-Key, Content-Type, as text");
    if (json_object_size(j) != known)
        return rest_mistake(q, e, false, at, "a part has method, path, headers and body only");
    return 0;
}

// ---------------------------------------------------------------- a part as a request

static int take_headers(struct rest_request *q, const json_t *j, struct http_request *out,
                        struct err *e)
{
    struct http_header *list = arena_array(q->op.arena, json_object_size(j) + 1, sizeof *list);
    const char *name;
    json_t *v;
    if (!list)
        return err_memory(e);
    out->headers = list;
    out->nheaders = 0;
    json_object_foreach((json_t *)(uintptr_t)j, name, v)
    {
        struct str value = arena_str(q->op.arena, str_of(json_string_value(v)));
        if (!value.data)
            return err_memory(e);
        list[out->nheaders++] = (struct http_header){str_of(known_header(name)), value};
    }
    if (!http_header(out, "Content-Type").data)
        list[out->nheaders++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    return 0;
}

static int take_target(struct rest_request *q, const json_t *j, struct http_request *out,
                       struct err *e)
{
    out->method = str_of(known_method(json_string_value(json_object_get(j, "method"))));
    out->target = arena_printf(q->op.arena, "%s%s", q->mount->path,
                               json_string_value(json_object_get(j, "path")));
    if (!out->target.data)
        return err_memory(e);
    out->arena = q->op.arena;
    return http_request_target(out, out->target, e);
}

// From the text of the batch, so that no number of a body is rewritten on its way.
static int take_part(struct rest_batch *b, struct http_request *out, struct err *e)
{
    struct str text = rest_json_element(b->requests, b->at);
    json_error_t je;
    json_t *j = json_loadb(text.data ? text.data : "", text.len, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return err_set(e, ERR_INVALID, "the part cannot be read: %s", je.text);
    *out = *b->whole->http;
    out->body = rest_json_member(text, "body");
    int rc = check_part(b->whole, j, b->at, e) || take_target(b->whole, j, out, e) ||
             take_headers(b->whole, json_object_get(j, "headers"), out, e);
    json_decref(j);
    return rc ? -1 : 0;
}

static void put_answer(struct rest_batch *b, const struct http_response *r)
{
    struct buf *out = &b->out;
    buf_printf(out, "%s{\"status\":%u,\"headers\":{", b->at ? "," : "", r->status);
    for (size_t i = 0; i < r->nheaders; i++) {
        buf_addz(out, i ? "," : "");
        buf_addjson(out, r->headers[i].name);
        buf_addc(out, ':');
        buf_addjson(out, r->headers[i].value);
    }
    buf_addz(out, "}");
    if (r->body.len) {
        buf_addz(out, ",\"body\":");
        buf_addstr(out, r->body);
    }
    buf_addc(out, '}');
}

static void finish(struct rest_batch *b)
{
    struct rest_request *q = b->whole;
    buf_addz(&b->out, "]}");
    if (b->out.failed)
        rest_problem(q, REST_TOO_LARGE, "the answers of this batch are too large together");
    else
        rest_send(q, 200, "application/json", buf_str(&b->out));
    buf_free(&b->out);
}

// One part after another. An answer that comes at once goes on in this loop, a later one starts
// it anew.
static void run(struct rest_batch *b)
{
    b->looping = true;
    while (b->at < b->n) {
        struct http_request *http = arena_alloc(b->whole->op.arena, sizeof *http);
        struct rest_request *part = http ? rest_request_create(b->whole->mount, http,
                                                               b->whole->op.arena)
                                         : NULL;
        struct err e = {0};
        int bad = !part ? err_memory(&e) : take_part(b, http, &e);
        if (!part) {
            b->out.failed = true;
            break;
        }
        part->batch = b;
        part->principal = b->whole->principal;
        b->answered = false;
        if (bad)
            rest_problem_err(part, &e);
        else
            rest_start(part);
        if (!b->answered) {
            b->looping = false;
            return;
        }
    }
    finish(b);
}

void rest_batch_take(struct rest_request *part, const struct http_response *r)
{
    struct rest_batch *b = part->batch;
    put_answer(b, r);
    b->at++;
    b->answered = true;
    if (!b->looping)
        run(b);
}

void rest_batch(struct rest_request *q)
{
    struct rest_batch *b = arena_alloc(q->op.arena, sizeof *b);
    struct err e = {0};
    json_t *j = rest_body_json(q, false, &e);
    const json_t *list = json_object_get(j, "requests");
    const json_t *atomic = json_object_get(j, "atomic");
    size_t n = json_array_size(list);
    int bad = !b ? err_memory(&e) : !j ? -1 : 0;
    if (!bad && (!json_is_array(list) || n == 0 || n > REST_BATCH_MAX))
        bad = rest_mistake(q, &e, false, STR("/requests"), "a list of 1 to %d requests",
                           REST_BATCH_MAX);
    if (!bad && atomic && !json_is_false(atomic))
        bad = rest_mistake(q, &e, false, STR("/atomic"),
                           "batches are not atomic: false, or absent");
    if (!bad && json_object_size(j) != (atomic ? 2 : 1))
        bad = rest_mistake(q, &e, false, STR(""),
                           "a batch has requests, and may say atomic: false");
    for (size_t i = 0; !bad && i < n; i++)
        bad = check_part(q, json_array_get(list, i), i, &e);
    json_decref(j);
    if (bad) {
        rest_problem_err(q, &e);
        return;
    }
    *b = (struct rest_batch){.whole = q, .n = n, .out = {.limit = OUT_MAX}};
    b->requests = rest_json_member(q->http->body, "requests");
    buf_addz(&b->out, "{\"responses\":[");
    run(b);
}
