// SPDX-License-Identifier: Apache-2.0
// The rest dialect: JSON over HTTP, as a service team expects it. Decodes path and method into
// one operation, runs it, encodes the result. See rest.h for the paths. In `ficus service`
// whoever reaches the loopback listener is trusted; in a facade a bearer token of the mount's
// options names the principal.
#include "facade/dialect/rest.h"

#include "base/clock.h"
#include "facade/canonical.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define SEGMENTS_MAX 5

struct dialect_mount {
    struct dialect_env env;
    const char *path;
    const json_t *tokens; // [{"token", "user_id", "user_name", "admin"}]; NULL: a service
    bool service;
};

static struct dialect_mount *mount(const struct dialect_env *env, const struct mount *m,
                                   struct err *e)
{
    struct dialect_mount *dm = calloc(1, sizeof *dm);
    if (!dm) {
        err_memory(e);
        return NULL;
    }
    dm->env = *env;
    dm->path = m->path;
    dm->tokens = json_object_get(m->options, "tokens");
    dm->service = m->options == NULL && m->path[0] == 0;
    return dm;
}

static void unmount(struct dialect_mount *m)
{
    free(m);
}

// ---------------------------------------------------------------- who

static bool same_secret(const char *a, struct str b)
{
    size_t n = strlen(a);
    return n == b.len && n > 0 && CRYPTO_memcmp(a, b.data, n) == 0;
}

static bool authenticate(struct rest_request *q)
{
    struct str header = http_header(q->http, "Authorization");
    size_t i;
    json_t *t;
    if (q->mount->service)
        return true;
    if (!str_starts(header, STR("Bearer ")))
        return false;
    struct str token = str_n(header.data + 7, header.len - 7);
    json_array_foreach(q->mount->tokens, i, t)
    {
        const char *secret = json_string_value(json_object_get(t, "token"));
        const char *user = json_string_value(json_object_get(t, "user_id"));
        if (!secret || !user || !same_secret(secret, token))
            continue;
        q->principal = (struct principal){
            .user_id = str_of(user),
            .user_name = str_of(json_string_value(json_object_get(t, "user_name"))),
            .is_admin = json_is_true(json_object_get(t, "admin"))};
        return true;
    }
    return false;
}

// ---------------------------------------------------------------- running

static void on_result(struct dispatch *d)
{
    struct rest_request *q = (struct rest_request *)d;
    http_exchange_label(q->http->exchange, dispatch_label(d));
    rest_reply_result(q);
}

static void run(struct rest_request *q)
{
    q->dispatch.operation = &q->op;
    q->dispatch.done = on_result;
    q->dispatch.deadline_ns = clock_mono_ns() +
                              (uint64_t)conf_int(q->mount->env.conf, "legacy.deadline_ms") *
                                  1000000u;
    dispatch_run(q->mount->env.dispatcher, &q->dispatch);
}

static int set_key(struct rest_request *q, struct str id, struct err *e)
{
    struct value *key = arena_alloc(q->op.arena, sizeof *key);
    if (!key)
        return err_memory(e);
    if (q->entity->nkeys != 1)
        return err_set(e, ERR_NOT_FOUND, "%s has no single key", q->entity->name);
    *key = value_set(id);
    q->op.query.key = key;
    q->op.write.key = key;
    return 0;
}

static int method_of_item(struct rest_request *q, struct err *e)
{
    struct str m = q->http->method;
    q->op.write.live_only = true; // a record that GET does not find cannot be written either
    if (str_eqz(m, "GET") || str_eqz(m, "HEAD")) {
        q->op.kind = OPERATION_GET;
        return rest_query(q, e);
    }
    if (str_eqz(m, "PATCH")) {
        q->op.kind = OPERATION_UPDATE;
        return rest_body(q, e);
    }
    if (str_eqz(m, "DELETE")) {
        q->op.kind = OPERATION_DELETE;
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED, "GET, HEAD, PATCH, DELETE");
}

static int method_of_list(struct rest_request *q, struct err *e)
{
    if (str_eqz(q->http->method, "GET") || str_eqz(q->http->method, "HEAD")) {
        q->op.kind = OPERATION_LIST;
        return rest_query(q, e);
    }
    if (str_eqz(q->http->method, "POST")) {
        q->op.kind = OPERATION_CREATE;
        return rest_body(q, e);
    }
    return err_set(e, ERR_UNSUPPORTED, "GET, HEAD, POST");
}

static int relationship_list(struct rest_request *q, struct str name, struct err *e)
{
    const struct relationship *r = entity_relationship(q->entity, name);
    struct related *related = arena_alloc(q->op.arena, sizeof *related);
    if (!r)
        return err_set(e, ERR_NOT_FOUND, "no such relationship");
    if (!related)
        return err_memory(e);
    if (!str_eqz(q->http->method, "GET") && !str_eqz(q->http->method, "HEAD"))
        return err_set(e, ERR_UNSUPPORTED, "GET, HEAD");
    *related = (struct related){
        .relationship = r, .parent = q->entity, .parent_key = q->op.query.key, .nparent_key = 1};
    q->op.query.key = NULL;
    q->entity = q->op.entity = r->target;
    q->op.kind = OPERATION_LIST;
    q->op.query.related = related;
    return rest_query(q, e);
}

static int relationship_item(struct rest_request *q, struct str name, struct str far, struct err *e)
{
    const struct relationship *r = entity_relationship(q->entity, name);
    struct value *v = arena_alloc(q->op.arena, sizeof *v);
    bool put = str_eqz(q->http->method, "PUT");
    if (!r)
        return err_set(e, ERR_NOT_FOUND, "no such relationship");
    if (!v)
        return err_memory(e);
    if (!put && !str_eqz(q->http->method, "DELETE"))
        return err_set(e, ERR_UNSUPPORTED, "PUT, DELETE");
    *v = value_set(far);
    q->op.kind = OPERATION_RELATE;
    q->op.relate = (struct relate){
        .relationship = r, .near = q->op.query.key[0], .far = v, .nfar = 1, .remove = !put};
    return 0;
}

static int canonical(struct rest_request *q, struct err *e)
{
    json_error_t je;
    struct str epoch = http_header(q->http, "Ficus-Epoch");
    struct str id = http_header(q->http, "Ficus-Write-Id");
    if (!str_eqz(q->http->method, "POST"))
        return err_set(e, ERR_UNSUPPORTED, "POST");
    if (!q->mount->service)
        return err_set(e, ERR_NOT_FOUND, "no such resource");
    q->canonical = true;
    if ((epoch.data && !str_to_int(epoch, 0, INT64_MAX, &q->op.epoch)) ||
        str_copy(q->op.write_id, sizeof q->op.write_id, id))
        return err_set(e, ERR_INVALID, "Ficus-Epoch or Ficus-Write-Id cannot be read");
    json_t *j = json_loadb(q->http->body.data ? q->http->body.data : "", q->http->body.len,
                           JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (!j)
        return err_set(e, ERR_INVALID, "the body is not JSON: %s", je.text);
    int result = canonical_read_operation(j, q->mount->env.entities, &q->op, e);
    json_decref(j);
    return result;
}

static bool served(const struct rest_request *q)
{
    size_t n;
    const char *const *list = NULL;
    n = conf_list(q->mount->env.conf, "service.entities", &list);
    if (!q->mount->service || n == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], q->entity->name) == 0)
            return true;
    return false;
}

static int decode(struct rest_request *q, const struct str *s, size_t n, struct err *e)
{
    q->entity = n ? entity_by_plural(q->mount->env.entities, s[0]) : NULL;
    if (!q->entity || (q->entity->link && !q->mount->service) || !served(q))
        return err_set(e, ERR_NOT_FOUND, "no such resource");
    q->op.entity = q->entity;
    if (n == 1)
        return method_of_list(q, e);
    if (n == 2 && str_eqz(s[1], "_canonical"))
        return canonical(q, e);
    if (set_key(q, s[1], e))
        return -1;
    if (n == 2)
        return method_of_item(q, e);
    if (n == 3)
        return relationship_list(q, s[2], e);
    return n == 4 ? relationship_item(q, s[2], s[3], e)
                  : err_set(e, ERR_NOT_FOUND, "no such resource");
}

// Path below the mount -> decoded segments.
static int split(struct rest_request *q, struct str *out, size_t *n, struct err *e)
{
    struct str path = q->http->path;
    size_t skip = strlen(q->mount->path);
    path = str_n(path.data + skip, path.len - skip);
    *n = 0;
    while (path.len) {
        const char *slash = memchr(path.data + 1, '/', path.len - 1);
        struct str s = str_n(path.data + 1, slash ? (size_t)(slash - path.data) - 1 : path.len - 1);
        path = slash ? str_n(slash, path.len - s.len - 1) : str_n(NULL, 0);
        if (*n == SEGMENTS_MAX || !s.len)
            return err_set(e, ERR_NOT_FOUND, "no such resource");
        if (form_decode_segment(s, q->op.arena, &out[*n], e))
            return -1;
        ++*n;
    }
    return 0;
}

static unsigned status_of(const struct err *e)
{
    switch (e->code) {
    case ERR_NOT_FOUND: return 404;
    case ERR_UNSUPPORTED: return 405;
    case ERR_LIMIT: return 413;
    case ERR_MEMORY: return 503;
    default: return 400;
    }
}

static void on_request(struct dialect_mount *m, struct http_request *http)
{
    struct rest_request *q = arena_alloc(http->arena, sizeof *q);
    struct str segments[SEGMENTS_MAX];
    struct err e = {0};
    size_t n;
    if (!q) {
        rest_reply_problem(http, 503, "");
        return;
    }
    q->mount = m;
    q->http = http;
    q->op.arena = http->arena;
    q->op.epoch = -1;
    q->op.principal = &q->principal;
    q->op.request_line = "rest";
    if (!authenticate(q))
        rest_reply_problem(http, 401, "a bearer token of this mount is needed");
    else if (split(q, segments, &n, &e) || decode(q, segments, n, &e))
        rest_reply_problem(http, status_of(&e), e.msg);
    else
        run(q);
}

const struct dialect dialect_rest = {"rest", mount, on_request, unmount};
