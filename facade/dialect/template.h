// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the template dialect: an in-house legacy endpoint described as JSON.
//
//   template_load.c   file -> struct template, every mistake told     template_check.c  sample answers
//   template_text.c   skeleton text -> nodes                          template_render.c nodes -> text
//   template_input.c  request -> texts (path, query, form, header, JSON, XML)
//   template_xml.c    XML -> a bounded tree                           template_op.c     texts -> operation
//   template.c        who asks, which endpoint, run, answer
//
// A template is data: it takes texts out of a request, names one canonical operation on one
// entity, and fills a skeleton from its result. It has no variables of its own, no arithmetic,
// no loops but over result rows, and limits on depth, parts and size. Immutable once loaded.
// The wire contract is docs/template.md.
#ifndef FICUS_FACADE_DIALECT_TEMPLATE_H
#define FICUS_FACADE_DIALECT_TEMPLATE_H

#include "facade/dialect.h"
#include "facade/http/form.h"

#define TEMPLATE_ENDPOINTS_MAX 200
#define TEMPLATE_TAKES_MAX     64
#define TEMPLATE_TESTS_MAX     16
#define TEMPLATE_SEGMENTS_MAX  16
#define TEMPLATE_NODES_MAX     4096       // of one skeleton
#define TEMPLATE_DEPTH_MAX     8          // of each and if in a skeleton, of a filter
#define TEMPLATE_OUT_MAX       (8u << 20) // bytes of an answer
#define TEMPLATE_XML_DEPTH     32
#define TEMPLATE_XML_NODES     10000
#define TEMPLATE_FILTERS_MAX   6 // of one placeholder
#define TEMPLATE_HEADERS_MAX   16
#define TEMPLATE_PAGE_MAX      1000

// ---- code lists: legacy <-> canonical
struct template_code {
    struct str outside, inside;
};
struct template_codes {
    const char *name;
    const struct template_code *list;
    size_t n;
};

// ---- taking
enum template_from {
    TEMPLATE_PATH,
    TEMPLATE_QUERY,
    TEMPLATE_FORM,
    TEMPLATE_HEADER,
    TEMPLATE_JSON,
    TEMPLATE_XML,
};
enum template_empty { TEMPLATE_EMPTY_KEEP, TEMPLATE_EMPTY_NULL, TEMPLATE_EMPTY_ABSENT };

struct template_take {
    const char *name;
    enum template_from from;
    const char *at; // name, JSON pointer or XML path
    bool required, trim;
    enum template_empty empty;
    const char *fallback; // NULL: none
    unsigned max;         // characters
    const char *date;     // format of a legacy date or time; NULL
    const struct template_codes *codes;
};

// A condition of a match.
struct template_test {
    struct template_take take;
    const char *is; // NULL: present
    bool absent;
};

// ---- operations
enum template_filter_kind { TEMPLATE_AND, TEMPLATE_OR, TEMPLATE_NOT, TEMPLATE_LEAF };
enum template_match {
    TEMPLATE_EQ,
    TEMPLATE_NE,
    TEMPLATE_LT,
    TEMPLATE_LE,
    TEMPLATE_GT,
    TEMPLATE_GE,
    TEMPLATE_CONTAINS,
    TEMPLATE_STARTS,
    TEMPLATE_IN,
    TEMPLATE_IS_NULL,
    TEMPLATE_NOT_NULL,
};
struct template_operand {
    int take;         // number of the take; -1: the constant
    const char *text; // constant
};
struct template_filter {
    enum template_filter_kind kind;
    struct template_filter **children;
    size_t nchildren;
    const struct field *field;
    enum template_match match;
    struct template_operand value;
};
struct template_value {
    const struct field *field;
    struct template_operand value;
};
struct template_operation {
    enum operation_kind kind;
    const struct entity *entity;
    int key, far; // takes; -1: none
    const struct field *const *fields;
    size_t nfields;
    const struct template_filter *filter;
    struct order *order;
    size_t norder;
    int limit_take, offset_take, page_take;
    long long limit, limit_max, page_from;
    const struct template_value *values;
    size_t nvalues;
    const struct relationship *relationship;
    bool remove, total;
    struct expansion *expand;
    size_t nexpand;
};

// ---- skeletons
enum template_format {
    TEMPLATE_AS_TEXT,
    TEMPLATE_AS_JSON,
    TEMPLATE_AS_XML,
    TEMPLATE_AS_CSV,
};
enum template_node_kind {
    TEMPLATE_LITERAL,
    TEMPLATE_VALUE,
    TEMPLATE_EACH, // body in children, what comes between two rows in other
    TEMPLATE_IF,   // then in children, else in other
};
enum template_filter_word {
    TEMPLATE_DEFAULT, // "text"
    TEMPLATE_DATE,    // "format"
    TEMPLATE_NUMBER,  // decimals, "point", "grouping"
    TEMPLATE_CODE,    // name of a code list
    TEMPLATE_CUT,     // characters
    TEMPLATE_UPPER,
    TEMPLATE_LOWER,
    TEMPLATE_BARE, // JSON: as a number or word, not as text
};
struct template_apply {
    enum template_filter_word word;
    const char *text, *second;
    unsigned number;
    const struct template_codes *codes;
};
// What a placeholder names.
enum template_source {
    TEMPLATE_OF_ROW,     // a field of the row at hand, `level` rows up
    TEMPLATE_OF_REQUEST, // request.NAME
    TEMPLATE_OF_USER,    // user.id, user.name
    TEMPLATE_IS_COUNT,   // rows of this page
    TEMPLATE_IS_TOTAL,
    TEMPLATE_IS_KEY,   // of what was created
    TEMPLATE_IS_INDEX, // of the row at hand, from 1
    TEMPLATE_IS_ERROR, // what is wrong, for the client
    TEMPLATE_IS_NOW,   // timestamp of the answer
};
struct template_ref {
    enum template_source source;
    unsigned level;            // rows up: 0 the innermost
    const struct field *field; // OF_ROW
    size_t column;             // OF_ROW: position among its row's fields
    int take;                  // OF_REQUEST
    bool user_name;            // OF_USER
};
struct template_node {
    enum template_node_kind kind;
    struct str text; // LITERAL
    struct template_ref ref;
    struct template_apply apply[TEMPLATE_FILTERS_MAX];
    size_t napply;
    int relation;   // EACH: expansion of the row at hand; -1: the result's rows
    bool negated;   // IF
    const char *is; // IF: equals this text; NULL: is there and not empty
    struct template_node *children, *other, *next;
};
struct template_answer {
    unsigned status;
    const char *type;
    enum template_format format;
    char separator; // of CSV
    const struct http_header *headers;
    size_t nheaders;
    const struct template_node *body;
    const char *at; // pointer in the file, for messages
};

// Why an answer is given: of a result, or found before there was one.
enum template_outcome {
    TEMPLATE_OK,
    TEMPLATE_NOT_FOUND,
    TEMPLATE_CONFLICT,
    TEMPLATE_INVALID,
    TEMPLATE_DENIED,
    TEMPLATE_BUSY,
    TEMPLATE_TIMEOUT,
    TEMPLATE_RETIRED,
    TEMPLATE_ERROR,
    TEMPLATE_MALFORMED,       // what must be taken is not there or not right
    TEMPLATE_NO_ENDPOINT,     // nothing matches
    TEMPLATE_UNAUTHENTICATED, // who asks is not known
    TEMPLATE_OUTCOMES
};
const char *template_outcome_name(enum template_outcome o);
unsigned template_outcome_status(enum template_outcome o); // of a built-in answer

// ---- the whole
struct template_segment {
    struct str before, name, after; // name.len 0: before is all of it
};
struct template_endpoint {
    const char *name;
    const char *method; // NULL: any
    struct template_segment segments[TEMPLATE_SEGMENTS_MAX];
    size_t nsegments;
    struct template_test *tests;
    size_t ntests;
    struct template_take *takes;
    size_t ntakes;
    struct template_operation op;
    const struct template_answer *answers[TEMPLATE_OUTCOMES];
};
enum template_auth {
    TEMPLATE_AUTH_NONE,
    TEMPLATE_AUTH_BEARER,
    TEMPLATE_AUTH_BASIC,
    TEMPLATE_AUTH_HEADER,
    TEMPLATE_AUTH_QUERY,
};
struct template_principal {
    const char *user, *secret; // user: basic only
    struct principal principal;
};
struct template
{
    struct arena *arena;
    const struct entity_set *set;
    enum template_auth auth;
    const char *auth_name; // header or parameter
    struct template_principal *principals;
    size_t nprincipals;
    struct template_codes *codes;
    size_t ncodes;
    struct template_endpoint *endpoints;
    size_t nendpoints;
    const struct template_answer *answers[TEMPLATE_OUTCOMES];
};

// Loads a file; NULL with every mistake in `p`. `loopback`: the listener is reached from this
// machine only, so that auth may be none.
struct template *template_load(const char *file, const struct entity_set *set, bool loopback,
                               struct problems *p);
struct template *template_parse(const char *name, struct str text, const struct entity_set *set,
                                bool loopback, struct problems *p);
void template_destroy(struct template *t); // NULL is fine
// The file of a mount (relative to the route table's folder) and what else the mount says.
struct template *template_of_mount(const struct mount *m, const struct conf *conf,
                                   const struct entity_set *set, struct problems *p);

// ---- template_text.c
// Where a placeholder is looked up: an endpoint, or none (answers of the whole template).
struct template_scope {
    const struct template *t;
    const struct template_endpoint *endpoint; // NULL: none
    bool rows;                                // the outcome has rows
    enum template_format format;
    struct arena *arena;
};
// -1 with `why` set: what is wrong and where in the text.
int template_compile(const struct template_scope *s, struct str text, struct template_node **out,
                     struct err *why) FICUS_MUST_CHECK;

// ---- template_render.c
struct template_data {
    const struct template_endpoint *endpoint; // NULL: none
    const struct value *takes;                // by number; may be NULL
    const struct principal *principal;
    const struct operation *op; // NULL: no operation ran
    const struct result *result;
    struct str error;
    const char *now; // "YYYY-MM-DD HH:MM:SS"
};
int template_render(const struct template_answer *a, const struct template_data *d, struct buf *out,
                    struct err *e) FICUS_MUST_CHECK;
// Formats a date or time as `format` says, and back. False: not a date, or not of that format.
bool template_date_out(struct str canonical, const char *format, struct buf *out);
bool template_date_in(struct str text, const char *format, struct buf *out);
bool template_date_good(const char *format);

// ---- template_xml.c
struct xml_node {
    struct str name; // without prefix
    struct str text; // of the element itself, its parts joined
    bool attribute;
    struct xml_node *children, *next;
};
// A document without a DTD, within the limits. Memory of `a`.
int template_xml(struct str text, struct arena *a, struct xml_node **out,
                 struct err *e) FICUS_MUST_CHECK;
// "Envelope/Body/Get/Id" or ".../@attribute"; the first that matches. .data NULL: none.
struct str template_xml_find(const struct xml_node *root, const char *path);

// ---- template_input.c
// A request's parts, parsed when they are first asked for.
struct template_input {
    struct http_request *http;
    struct arena *arena;
    struct str path; // below the mount
    struct str variables[TEMPLATE_SEGMENTS_MAX];
    const struct template_endpoint *endpoint; // whose variables those are
    struct form query, form;
    json_t *json; // owned
    struct xml_node *xml;
    bool has_query, has_form, has_json, has_xml;
    bool bad_body;  // asked for as JSON or XML, and is not
    struct err why; // of that
};
void template_input_free(struct template_input *in);
// The endpoint that a request is for; NULL: none.
const struct template_endpoint *template_match(const struct template *t, struct template_input *in);
// One text. ABSENT when it is not there. -1 with `e`: the part of the request cannot be read.
int template_take(struct template_input *in, const struct template_take *t, struct value *out,
                  struct err *e) FICUS_MUST_CHECK;

// ---- template_op.c
// The takes of an endpoint as its operation. ERR_INVALID: the client's mistake, told by `e`.
int template_operation(const struct template_endpoint *en, const struct value *takes,
                       struct operation *op, struct err *e) FICUS_MUST_CHECK;

#endif
