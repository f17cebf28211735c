// SPDX-License-Identifier: Apache-2.0
// The rest dialect: JSON over HTTP, as a service team expects it. Decodes path and method into
// one operation and runs it. In `ficus service` whoever reaches the loopback listener is trusted;
// in a facade a bearer token of the mount's options names the principal.
//
//   /{plural}                         GET HEAD POST
//   /{plural}/{id}                    GET HEAD PUT PATCH DELETE
//   /{plural}/{id}/{relationship}     GET HEAD
//   /{plural}/{id}/{relationship}/{far id}    PUT DELETE
//   /batch                            POST
//   /openapi.json                     GET HEAD
//   /{plural}/_canonical              POST, between Ficus processes, in a service only
#include "facade/dialect/rest.h"

#include "base/clock.h"
#include "facade/canonical.h"
#include "migrations/type.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_S       86400 // answers of an Idempotency-Key
#define LEASE_MORE   10000 // ms beyond the operation's own time
#define LIST_READ    "GET, HEAD, OPTIONS"
#define LIST_ALL     "GET, HEAD, POST, OPTIONS"
#define ITEM_ALL     "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
#define RELATION_ALL "PUT, DELETE, OPTIONS"

// ---------------------------------------------------------------- mounting

// The same on every instance with the same options: of the secret, else of the tokens, else (a
// service) of the way to its store.
static int cursor_key(struct dialect_mount *m, const json_t *options, struct err *e)
{
    struct buf text = BUF_INIT;
    const char *secret = json_string_value(json_object_get(options, "secret"));
    unsigned n = 0;
    size_t i;
    json_t *t;
    buf_addz(&text, "ficus rest cursor\n");
    if (secret)
        buf_addz(&text, secret);
    json_array_foreach(m->tokens, i, t)
    {
        const char *token = json_string_value(json_object_get(t, "token"));
        if (!secret && token)
            buf_printf(&text, "%s\n", token);
    }
    if (!secret && !m->tokens)
        buf_addz(&text, conf_str(m->env.conf, "control.conninfo"));
    int ok = !text.failed && EVP_Digest(text.data, text.len, m->cursor_key, &n, EVP_sha256(), NULL);
    buf_free(&text);
    return ok ? 0 : err_memory(e);
}

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
    dm->need_match = json_is_true(json_object_get(m->options, "require_if_match"));
    if (cursor_key(dm, m->options, e)) {
        free(dm);
        return NULL;
    }
    return dm;
}

static void unmount(struct dialect_mount *m)
{
    buf_free(&m->openapi);
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
    if (!q->batch)
        http_exchange_label(q->http->exchange, dispatch_label(d));
    q->next(q);
}

void rest_run(struct rest_request *q, rest_next_fn *next)
{
    q->next = next;
    q->dispatch.operation = &q->op;
    q->dispatch.done = on_result;
    q->dispatch.exchange = q->http->exchange;
    q->dispatch.deadline_ns = clock_mono_ns() +
                              (uint64_t)conf_int(q->mount->env.conf, "legacy.deadline_ms") *
                                  1000000u;
    dispatch_run(q->mount->env.dispatcher, &q->dispatch);
}

// ---------------------------------------------------------------- resources

static bool is(const struct rest_request *q, const char *method)
{
    return str_eqz(q->http->method, method);
}

static bool reads(const struct rest_request *q)
{
    return is(q, "GET") || is(q, "HEAD");
}

static int no_such(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no such resource");
}

// A write takes no query; what was meant by one must not be lost in silence.
static int no_query(struct rest_request *q, struct err *e)
{
    if (q->http->query.len == 0)
        return 0;
    return rest_mistake(q, e, true, STR("query"), "this method takes no parameters");
}

static int set_key(struct rest_request *q, struct str id, struct err *e)
{
    struct value *key = arena_alloc(q->op.arena, sizeof *key);
    if (!key)
        return err_memory(e);
    // A key that the type cannot hold is no record's.
    if (q->entity->nkeys != 1 || !str_is_utf8(id) ||
        type_parse(q->entity->keys[0], id, q->op.arena, key, e) || key->state != VALUE_SET)
        return no_such(e);
    q->op.query.key = key;
    q->op.write.key = key;
    return 0;
}

static int method_of_item(struct rest_request *q, struct err *e)
{
    q->op.write.live_only = true; // a record that GET does not find cannot be written either
    q->next = rest_reply_result;
    if (reads(q)) {
        q->op.kind = OPERATION_GET;
        q->next = rest_after_read;
        return rest_conditions(q, e) ? -1 : rest_query(q, e);
    }
    if (q->entity->read_only)
        return err_set(e, ERR_UNSUPPORTED, LIST_READ);
    if (!is(q, "PATCH") && !is(q, "PUT") && !is(q, "DELETE"))
        return err_set(e, ERR_UNSUPPORTED, ITEM_ALL);
    if (rest_conditions(q, e) || no_query(q, e))
        return -1;
    if (is(q, "PATCH"))
        return rest_update(q, e);
    if (is(q, "DELETE")) {
        q->op.kind = OPERATION_DELETE;
        if (q->none_match.given)
            return rest_mistake(q, e, true, STR("If-None-Match"), "not for this request");
        return rest_condition_write(q, e);
    }
    q->next = rest_after_replace;
    return rest_replace(q, e);
}

static int method_of_list(struct rest_request *q, struct err *e)
{
    if (reads(q)) {
        q->op.kind = OPERATION_LIST;
        q->next = rest_after_read;
        return rest_conditions(q, e) ? -1 : rest_query(q, e);
    }
    if (q->entity->read_only || !is(q, "POST"))
        return err_set(e, ERR_UNSUPPORTED, q->entity->read_only ? LIST_READ : LIST_ALL);
    q->next = rest_after_create;
    return rest_conditions(q, e) || no_query(q, e) ? -1 : rest_create(q, e);
}

static int relationship_list(struct rest_request *q, struct str name, struct err *e)
{
    const struct relationship *r = entity_relationship(q->entity, name);
    struct related *related = arena_alloc(q->op.arena, sizeof *related);
    if (!r)
        return no_such(e);
    if (!related)
        return err_memory(e);
    if (!reads(q))
        return err_set(e, ERR_UNSUPPORTED, LIST_READ);
    *related = (struct related){
        .relationship = r, .parent = q->entity, .parent_key = q->op.query.key, .nparent_key = 1};
    q->op.query.key = NULL;
    q->entity = q->op.entity = r->target;
    q->op.kind = OPERATION_LIST;
    q->op.query.related = related;
    q->next = rest_after_read;
    return rest_conditions(q, e) ? -1 : rest_query(q, e);
}

static int relationship_item(struct rest_request *q, struct str name, struct str far, struct err *e)
{
    const struct relationship *r = entity_relationship(q->entity, name);
    struct value *v = arena_alloc(q->op.arena, sizeof *v);
    bool put = is(q, "PUT");
    if (!r || r->target->nkeys != 1)
        return no_such(e);
    if (!v)
        return err_memory(e);
    if (!put && !is(q, "DELETE"))
        return err_set(e, ERR_UNSUPPORTED, RELATION_ALL);
    if (rest_conditions(q, e))
        return -1;
    if (q->match.given || q->none_match.given)
        return rest_mistake(q, e, true, STR("If-Match"), "a relation has no version");
    if (no_query(q, e))
        return -1;
    if (!str_is_utf8(far) || type_parse(r->target->keys[0], far, q->op.arena, v, e) ||
        v->state != VALUE_SET)
        return no_such(e);
    q->op.kind = OPERATION_RELATE;
    q->next = rest_reply_result;
    q->op.relate = (struct relate){
        .relationship = r, .near = q->op.query.key[0], .far = v, .nfar = 1, .remove = !put};
    return 0;
}

static int canonical(struct rest_request *q, struct err *e)
{
    json_error_t je;
    struct str epoch = http_header(q->http, "Ficus-Epoch");
    struct str id = http_header(q->http, "Ficus-Write-Id");
    if (!q->mount->service)
        return no_such(e);
    if (!is(q, "POST"))
        return err_set(e, ERR_UNSUPPORTED, "POST, OPTIONS");
    q->canonical = true;
    q->next = rest_reply_result;
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
        return no_such(e);
    q->op.entity = q->entity;
    if (n == 2 && str_eqz(s[1], "_canonical"))
        return canonical(q, e);
    if (n == 1)
        return method_of_list(q, e);
    if (set_key(q, s[1], e))
        return -1;
    if (n == 2)
        return method_of_item(q, e);
    if (n == 3)
        return relationship_list(q, s[2], e);
    return n == 4 ? relationship_item(q, s[2], s[3], e) : no_such(e);
}

// Path below the mount -> decoded segments.
static int split(struct rest_request *q, struct str *out, size_t *n, struct err *e)
{
    struct str path = http_path_below(q->http->path, str_of(q->mount->path));
    *n = 0;
    while (path.len) {
        const char *slash = memchr(path.data + 1, '/', path.len - 1);
        struct str s = str_n(path.data + 1, slash ? (size_t)(slash - path.data) - 1 : path.len - 1);
        path = slash ? str_n(slash, path.len - s.len - 1) : str_n(NULL, 0);
        if (*n == REST_SEGMENTS_MAX || !s.len)
            return no_such(e);
        if (form_decode_segment(s, q->op.arena, &out[*n], e))
            return -1;
        ++*n;
    }
    return 0;
}

// ---------------------------------------------------------------- repeated requests

// What makes two requests the same one.
static struct str request_hash(const struct rest_request *q)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char hex[65];
    unsigned n = 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    struct str parts[] = {q->http->method, q->http->target, http_header(q->http, "If-Match"),
                          q->http->body};
    bool ok = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    for (size_t i = 0; ok && i < sizeof parts / sizeof parts[0]; i++)
        ok = EVP_DigestUpdate(c, &parts[i].len, sizeof parts[i].len) &&
             EVP_DigestUpdate(c, parts[i].data ? parts[i].data : "", parts[i].len);
    ok = ok && EVP_DigestFinal_ex(c, sum, &n);
    EVP_MD_CTX_free(c);
    if (!ok || n != 32)
        return str_n(NULL, 0);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return arena_str(q->op.arena, str_n(hex, 64));
}

static int fix_key(struct rest_request *q)
{
    const struct entity *en = q->entity;
    struct value *key = arena_alloc(q->op.arena, sizeof *key);
    if (q->op.kind != OPERATION_CREATE || en->key_maker != KEY_UUID || en->nkeys != 1 ||
        q->op.write.values[en->keys[0]->index].state == VALUE_SET)
        return 0;
    if (!key)
        return -1;
    *key = value_set(idempotency_record_key(q->idempotency));
    q->op.write.key = key;
    return 0;
}

static void on_begun(void *ctx, enum idempotency_state s, struct idempotency *x,
                     const struct http_response *kept)
{
    struct rest_request *q = ctx;
    switch (s) {
    case IDEMPOTENCY_RUN:
        q->idempotency = x;
        if (fix_key(q))
            rest_problem(q, REST_UNAVAILABLE, "");
        else
            rest_run(q, q->next);
        return;
    case IDEMPOTENCY_KEPT:
        for (size_t i = 0; i < kept->nheaders && i < REST_HEADERS_MAX; i++)
            q->headers[q->nheaders++] = kept->headers[i];
        rest_send(q, kept->status, arena_strz(q->op.arena, kept->content_type), kept->body);
        return;
    case IDEMPOTENCY_RUNNING: rest_problem(q, REST_IN_PROGRESS, ""); return;
    case IDEMPOTENCY_OTHER: rest_problem(q, REST_KEY_REUSED, ""); return;
    case IDEMPOTENCY_AWAY: break;
    }
    rest_problem(q, REST_UNAVAILABLE, "the store of Idempotency-Keys does not answer");
}

// "key", or the quoted text of RFC 9651 that the draft asks for.
static bool good_key(struct str *key)
{
    if (key->len >= 2 && key->data[0] == '"' && key->data[key->len - 1] == '"')
        *key = str_n(key->data + 1, key->len - 2);
    for (size_t i = 0; i < key->len; i++)
        if (key->data[i] <= ' ' || key->data[i] > '~')
            return false;
    return key->len > 0 && key->len <= IDEMPOTENCY_KEY_MAX;
}

static void run_once(struct rest_request *q, struct str key)
{
    struct idempotency_options o = {
        .pool = q->mount->env.control,
        .arena = q->op.arena,
        .scope = arena_printf(q->op.arena, "%s\n%.*s", q->mount->path,
                              (int)q->principal.user_id.len, q->principal.user_id.data),
        .key = key,
        .hash = request_hash(q),
        .lease_ms = (unsigned)conf_int(q->mount->env.conf, "legacy.deadline_ms") + LEASE_MORE +
                    (unsigned)conf_int(q->mount->env.conf, "facade.hold_ms"),
        .keep_s = KEEP_S};
    struct err e = {0};
    if (!o.pool || !o.scope.data || !o.hash.data)
        rest_problem(q, REST_UNAVAILABLE, "");
    else if (!good_key(&o.key)) {
        (void)rest_mistake(q, &e, true, STR("Idempotency-Key"), "1 to %d visible characters",
                           IDEMPOTENCY_KEY_MAX);
        rest_problem_err(q, &e);
    } else {
        idempotency_begin(&o, on_begun, q);
    }
}

// ---------------------------------------------------------------- requests

static bool acceptable(struct str accept)
{
    static const char *const good[] = {"*/*", "application/*", "application/json",
                                       "application/problem+json"};
    struct str item;
    if (!accept.data || !str_trim(accept).len)
        return true;
    while (rest_next_item(&accept, &item)) {
        const char *q0 = memmem(item.data, item.len, "q=0", 3);
        bool never = q0 && strspn(q0 + 3, ".0") + 3 == (size_t)(item.data + item.len - q0);
        for (size_t i = 0; !never && i < sizeof good / sizeof good[0]; i++)
            if (form_media_is(item, good[i]))
                return true;
    }
    return false;
}

static void options(struct rest_request *q, const char *allow)
{
    rest_header(q, "Allow", str_of(allow));
    if (strstr(allow, "PATCH"))
        rest_header(q, "Accept-Patch", STR("application/merge-patch+json, application/json"));
    rest_send(q, 204, "", STR(""));
}

static void describe(struct rest_request *q)
{
    struct dialect_mount *m = q->mount;
    const char *const *only = NULL;
    size_t n = m->service ? conf_list(m->env.conf, "service.entities", &only) : 0;
    if (!reads(q)) {
        rest_problem(q, REST_METHOD, LIST_READ);
        return;
    }
    if (!m->openapi.len)
        rest_openapi(m->env.entities, m->path, m->service, only, n, &m->openapi);
    if (m->openapi.failed)
        rest_problem(q, REST_INTERNAL, "");
    else
        rest_send(q, 200, "application/json", buf_str(&m->openapi));
}

// Requests that are no operation on an entity. True when answered, or being answered.
static bool special(struct rest_request *q, const struct str *s, size_t n)
{
    bool batch = n == 1 && str_eqz(s[0], "batch");
    if (n == 1 && str_eqz(s[0], "openapi.json")) {
        if (is(q, "OPTIONS"))
            options(q, LIST_READ);
        else
            describe(q);
        return true;
    }
    if (batch && q->batch)
        rest_problem(q, REST_MALFORMED, "a batch in a batch");
    else if (batch && is(q, "OPTIONS"))
        options(q, "POST, OPTIONS");
    else if (batch && !is(q, "POST"))
        rest_problem(q, REST_METHOD, "POST, OPTIONS");
    else if (batch)
        rest_batch(q);
    return batch;
}

void rest_start(struct rest_request *q)
{
    struct str segments[REST_SEGMENTS_MAX], key = http_header(q->http, "Idempotency-Key");
    struct err e = {0};
    size_t n;
    if (!acceptable(http_header(q->http, "Accept"))) {
        rest_problem(q, REST_NOT_ACCEPTABLE, "");
        return;
    }
    if (split(q, segments, &n, &e)) {
        rest_problem_err(q, &e);
        return;
    }
    if (special(q, segments, n))
        return;
    int failed = decode(q, segments, n, &e);
    // The methods of a resource are what it refuses another one with.
    if (failed && e.code == ERR_UNSUPPORTED && is(q, "OPTIONS"))
        options(q, e.msg);
    else if (failed)
        rest_problem_err(q, &e);
    else if (key.data && (is(q, "POST") || is(q, "PATCH")) && !q->canonical)
        run_once(q, key);
    else
        rest_run(q, q->next);
}

struct rest_request *rest_request_create(struct dialect_mount *m, struct http_request *http,
                                         struct arena *a)
{
    struct rest_request *q = arena_alloc(a, sizeof *q);
    if (!q)
        return NULL;
    q->mount = m;
    q->http = http;
    q->op.arena = a;
    q->op.epoch = -1;
    q->op.principal = &q->principal;
    q->op.request_line = "rest";
    return q;
}

static void on_request(struct dialect_mount *m, struct http_request *http)
{
    struct rest_request *q = rest_request_create(m, http, http->arena);
    if (!q) {
        http_reply(http->exchange, &(struct http_response){.status = 503});
        return;
    }
    if (authenticate(q))
        rest_start(q);
    else
        rest_problem(q, REST_UNAUTHENTICATED, "a bearer token of this mount is needed");
}

const struct dialect dialect_rest = {.name = "rest",
                                     .mount = mount,
                                     .on_request = on_request,
                                     .unmount = unmount,
                                     .describe = rest_describe,
                                     .any_method = true};
