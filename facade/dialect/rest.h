// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the rest dialect. A request passes through
//
//   rest.c            who asks, which resource, which method -> an operation
//   rest_query.c      fields, sorting, expansion, page      rest_filter.c     conditions
//   rest_cursor.c     where a page goes on                  rest_body.c       JSON -> values
//   rest_condition.c  If-Match, If-None-Match               rest_expand.c     nested relations
//   rest_write.c      creates, updates, replacements        rest_batch.c      many in one
//   rest_reply.c      results -> JSON                       rest_problem.c    RFC 9457
//   rest_openapi.c    the description, made from the maps
//
// and is answered once, by rest_send(): to the client, or to the batch that it is a part of;
// on its way there the answer of a request with an Idempotency-Key is kept (idempotency.h).
// The wire contract is docs/rest.md.
#ifndef FICUS_FACADE_DIALECT_REST_H
#define FICUS_FACADE_DIALECT_REST_H

#include "facade/dialect.h"
#include "facade/http/form.h"
#include "facade/idempotency.h"
#include "facade/version.h"

#define REST_PAGE         50
#define REST_PAGE_MAX     1000
#define REST_SEGMENTS_MAX 5
#define REST_ERRORS_MAX   32   // in one problem
#define REST_DEPTH_MAX    32   // of a JSON body
#define REST_SORT_MAX     8    // fields
#define REST_IN_MAX       200  // values of one in
#define REST_EXPAND_MAX   8    // paths
#define REST_EXPAND_DEPTH 3    // relations in one path
#define REST_RELATED_MAX  100  // rows of one relation of one record
#define REST_NESTED_MAX   1000 // rows whose relations are read in one go
#define REST_TAGS_MAX     16   // of one If-Match or If-None-Match
#define REST_BATCH_MAX    50   // requests
#define REST_HEADERS_MAX  8    // of an answer

// One mistake of a request. `where` is a JSON pointer into the body or a parameter's name.
struct rest_error {
    bool parameter;
    struct str where;
    struct str detail;
};

struct rest_tags {
    bool given, any; // any: *
    struct str tags[REST_TAGS_MAX];
    bool weak[REST_TAGS_MAX];
    size_t n;
};

// A relation to expand and those below it. `rows` of `parent` come with its operation.
struct rest_expand {
    const struct relationship *relationship;
    const struct field *const *fields;
    size_t nfields;
    struct rest_expand *children, *next;
    size_t nchildren;
    size_t key_at; // of the target's key among `fields`
    // Of a node with children: the relations of its rows, by key.
    struct expansion *expansions;
    struct record_set below; // rows whose values[0] is the key, sorted by it
    bool read;
};

struct rest_batch;
struct rest_request;
typedef void rest_next_fn(struct rest_request *q);

struct rest_request {
    struct dispatch dispatch; // first
    struct dialect_mount *mount;
    struct http_request *http;
    struct operation op;
    struct principal principal;
    const struct entity *entity;
    bool canonical; // asked by another Ficus process
    bool weak;      // the answer's tag is of its bytes, not of the record
    // How it goes on once the operation has its result.
    rest_next_fn *next;
    // Mistakes found.
    struct rest_error errors[REST_ERRORS_MAX];
    size_t nerrors;
    // Lists.
    size_t nshown; // query.fields beyond these are read for the cursor only
    struct rest_expand *expand;
    bool can_seek;       // a cursor can go on behind any row of this order
    uint64_t query_hash; // what a cursor belongs to
    // Conditions.
    struct rest_tags match, none_match;
    // PUT.
    bool replacing, creating, retried;
    // Answer.
    struct http_header headers[REST_HEADERS_MAX];
    size_t nheaders;
    struct idempotency *idempotency; // NULL: none
    struct rest_batch *batch;        // NULL: of its own
};

struct dialect_mount {
    struct dialect_env env;
    const char *path;
    const json_t *tokens; // [{"token", "user_id", "user_name", "admin"}]
    bool service;         // trusts whoever reaches it
    bool need_match;      // writes of a record must carry If-Match
    unsigned char cursor_key[32];
    struct buf openapi; // made at the first request for it
};

// ---- rest.c
// Decodes and runs; also for a request of a batch. Ends in rest_send.
void rest_start(struct rest_request *q);
// Puts q->op through dispatch; then q->next(q) with q->dispatch.result.
void rest_run(struct rest_request *q, rest_next_fn *next);
struct rest_request *rest_request_create(struct dialect_mount *m, struct http_request *http,
                                         struct arena *a);

// ---- rest_query.c
int rest_query(struct rest_request *q, struct err *e) FICUS_MUST_CHECK; // list and get options
bool rest_readable(const struct field *f);
bool rest_is_option(struct str name, bool list); // a parameter that is no condition
// Next item of a comma-separated list; false at its end.
bool rest_next_item(struct str *list, struct str *item);
// ---- rest_filter.c
// name, name[op] = value. ERR_INVALID, ERR_LIMIT.
int rest_condition(struct arena *a, const struct entity *en, struct str name, struct str value,
                   struct filter **out, struct err *e) FICUS_MUST_CHECK;
// filter=: the grammar of docs/rest.md.
int rest_filter(struct arena *a, const struct entity *en, struct str text, struct filter **out,
                struct err *e) FICUS_MUST_CHECK;
// ---- rest_cursor.c
bool rest_cursor_can(const struct query *query); // by its order
// Reads a cursor and narrows the query's filter to what comes behind it.
int rest_cursor_take(struct rest_request *q, struct str cursor, struct err *e) FICUS_MUST_CHECK;
// Appends the cursor behind a row; ERR_VALUE when a value of the order cannot be compared.
int rest_cursor_put(struct rest_request *q, const struct record *last, struct buf *out,
                    struct err *e) FICUS_MUST_CHECK;
// The same without a request, for tests and the fuzzer.
int rest_cursor_decode(const unsigned char key[32], uint64_t query_hash, const struct query *query,
                       const struct entity *en, struct str cursor, struct arena *a,
                       struct value *values, struct err *e) FICUS_MUST_CHECK;
// ---- rest_body.c
// The body as JSON within its limits; owned. NULL: answered or to be answered with `e`.
json_t *rest_body_json(struct rest_request *q, bool patch, struct err *e);
// Text of a member of an object, or of an element of an array, in text that parsed as JSON; .data
// NULL when there is none (or its name is spelled with escapes).
struct str rest_json_member(struct str object, const char *name);
struct str rest_json_element(struct str array, size_t number);
// Members of an object as values by field index, ABSENT where not named. Mistakes become
// q->errors; -1 with `e` when there are any.
int rest_body_values(struct rest_request *q, json_t *object, struct str text, struct value *values,
                     struct err *e) FICUS_MUST_CHECK;
// ---- rest_condition.c
int rest_conditions(struct rest_request *q, struct err *e) FICUS_MUST_CHECK; // reads the fields
// A write of one record under If-Match: fills op.match. ERR_STALE when no tag can match.
int rest_condition_write(struct rest_request *q, struct err *e) FICUS_MUST_CHECK;
// What the conditions make of a good GET: 0 send it, 304 or 412.
unsigned rest_condition_read(const struct rest_request *q, struct str tag, bool weak);
// ---- rest_write.c
int rest_create(struct rest_request *q, struct err *e) FICUS_MUST_CHECK;
int rest_update(struct rest_request *q, struct err *e) FICUS_MUST_CHECK;
int rest_replace(struct rest_request *q, struct err *e) FICUS_MUST_CHECK;
rest_next_fn rest_after_create, rest_after_replace;
// ---- rest_expand.c
int rest_expand_parse(struct rest_request *q, struct str list, struct err *e) FICUS_MUST_CHECK;
rest_next_fn rest_after_read; // reads what is nested, then answers
// The relations of a row of a node, NULL when it has none.
const struct record *rest_expand_below(const struct rest_expand *x, const struct record *row);
// ---- rest_batch.c
void rest_batch(struct rest_request *q);
void rest_batch_take(struct rest_request *part, const struct http_response *r);
// ---- rest_reply.c
void rest_reply_result(struct rest_request *q);
void rest_header(struct rest_request *q, const char *name, struct str value);
void rest_send(struct rest_request *q, unsigned status, const char *type, struct str body);
// ---- rest_problem.c
enum rest_problem {
    REST_MALFORMED,
    REST_INVALID,
    REST_UNAUTHENTICATED,
    REST_DENIED,
    REST_NOT_FOUND,
    REST_METHOD,
    REST_NOT_ACCEPTABLE,
    REST_CONFLICT,
    REST_IN_PROGRESS,
    REST_GONE,
    REST_PRECONDITION,
    REST_TOO_LARGE,
    REST_MEDIA_TYPE,
    REST_UNSTORABLE,
    REST_KEY_REUSED,
    REST_MATCH_NEEDED,
    REST_INTERNAL,
    REST_UNSUPPORTED,
    REST_UNAVAILABLE,
    REST_TIMEOUT,
    REST_PROBLEMS
};
void rest_problem(struct rest_request *q, enum rest_problem p, const char *detail);
void rest_problem_err(struct rest_request *q, const struct err *e);
void rest_problem_result(struct rest_request *q);
// Notes a mistake; returns -1 with `e` set. `where` is copied.
int rest_mistake(struct rest_request *q, struct err *e, bool parameter, struct str where,
                 const char *fmt, ...) FICUS_PRINTF(5, 6);
// For the description.
const char *rest_problem_slug(enum rest_problem p);
unsigned rest_problem_status(enum rest_problem p);
// ---- rest_openapi.c
// The description of a mount as OpenAPI 3.1 JSON. `server`: URL prefix of the paths.
void rest_openapi(const struct entity_set *set, const char *server, bool service,
                  const char *const *only, size_t nonly, struct buf *out);

// rest_describe.c
int rest_describe(const struct entity_set *set, const struct mount *mount,
                  const struct http_request *r, struct dialect_call *out, struct err *e);

#endif
