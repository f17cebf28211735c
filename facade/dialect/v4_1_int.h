// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the v4_1 dialect and its tests: the mount, one call on its way, and
// what the files offer each other. Memory is the arena's of the request unless said otherwise.
// Thread: the loop that owns the mount, except where a contract says "any".
#ifndef FICUS_FACADE_DIALECT_V4_1_INT_H
#define FICUS_FACADE_DIALECT_V4_1_INT_H

#include "base/metrics.h"
#include "facade/dialect.h"
#include "facade/http/form.h"
#include "facade/policy/access.h"
#include "migrations/type.h"

#include <jansson.h>

#define V4_1_ARGS_MAX   12
#define V4_1_PAGE       20     // rows of a list when the client asks for none
#define V4_1_PAGE_MAX   100000 // rows of a list, however many are asked for
#define V4_1_IDS_MAX    10000  // ids in one call
#define V4_1_KEYS_MAX   500    // ids in one operation
#define V4_1_QUERY_MAX  16384  // bytes of a `query`
#define V4_1_SEARCH_MAX 1024   // bytes of a text that search_by_module looks for
#define V4_1_ORDER_MAX  16     // fields of an `order_by`

// ---- versions (v4_1_api.c), pure; Thread: any ------------------------------------------

// What a version of the API has, of what is not in all of them.
enum v4_1_has {
    V4_1_HAS_SUITE_VERSION = 1,      // get_server_info: suitecrm_version
    V4_1_HAS_USER_FORMATS = 2,       // login: user_is_admin to user_default_timeformat
    V4_1_HAS_USER_NUMBERS = 4,       // login: separators and mobile limits
    V4_1_HAS_ECHO = 8,               // set_entry: entry_list
    V4_1_HAS_TOTAL = 16,             // get_entry_list: total_count
    V4_1_HAS_LIST_LINKS = 32,        // get_entry_list: link_list and link_value
    V4_1_HAS_ENTRIES_LINKS = 64,     // get_entries: the same
    V4_1_HAS_ALL_DELETED = 128,      // get_entry_list: deleted 1 is all rows, not deleted ones only
    V4_1_HAS_MODULE_ACLS = 256,      // get_available_modules: objects, not names
    V4_1_HAS_MODULE_FAVORITES = 512, // .. with favorite_enabled
    V4_1_HAS_FIELD_GROUPS = 1024,    // get_module_fields: group, id_name, related_module
    V4_1_HAS_FIELD_LINKS = 2048,     // .. link_fields are filled
    V4_1_HAS_FIELD_TABLE = 4096,     // .. table_name, calculated, options of a bool
    V4_1_HAS_FIELD_LEN = 8192,       // .. len
};

struct v4_1_api {
    const char *name; // as in its path: "v3_1"
    unsigned number;  // 31
    unsigned has;     // enum v4_1_has
};
struct v4_1_method;

const struct v4_1_api *v4_1_api(struct str name); // NULL
// How many arguments the version's method takes.
size_t v4_1_nargs(const struct v4_1_api *api, const struct v4_1_method *m);
bool v4_1_lacks(const struct v4_1_api *api, const struct v4_1_method *m);

// ---- the mount -----------------------------------------------------------------------

struct v4_1_columns;

// A map's entity under its name in this dialect.
struct v4_1_module {
    const char *name;  // "Accounts"
    const char *table; // as a query qualifies columns
    const char *label;
    const struct entity *entity;
    const struct field *email;        // primary e-mail address; NULL
    const struct field *const *parts; // of the composed `name`; NULL when the entity has none
    size_t nparts;
    const json_t *hint;       // dialects.v4_1 of the map
    struct v4_1_columns *all; // of an entry when no fields are asked for
    const struct str *pairs;  // by field index: what stands before its value, see v4_1_add_pair
    struct metric *cuts, *phantoms;
};

// Where users and their passwords are.
struct v4_1_users {
    const struct v4_1_module *module;
    const struct field *name, *hash, *admin, *status, *deleted, *group, *portal, *external;
};

struct dialect_mount {
    struct dialect_env env;
    const struct v4_1_api *api;
    struct arena *arena;         // owned; everything the mount points to
    struct v4_1_module *modules; // in the order of the entities' names
    size_t nmodules;
    struct v4_1_users users; // name NULL: nobody can log in
    const char *flavor, *version, *suitecrm_version;
    struct buf spare; // memory of the last reply, for the next one
    struct metric *logins, *refused, *locked, *queries_refused;
    const char *application; // upstream of the legacy application; NULL: there is none
    struct metric *through;  // calls that it answered
};

const struct v4_1_module *v4_1_module(const struct dialect_mount *m, struct str name);
const struct v4_1_module *v4_1_module_of(const struct dialect_mount *m, const struct entity *en);
// The map's hint of a field; NULL.
const json_t *v4_1_field_hint(const struct field *f);
// dialects.v4_1.type of a field, "" when there is none.
const char *v4_1_field_type(const struct field *f);

// ---- a call --------------------------------------------------------------------------

// What a step returns.
enum v4_1_progress { V4_1_WAIT, V4_1_REPLIED };

enum v4_1_fault {
    V4_1_INVALID_LOGIN,
    V4_1_INVALID_SESSION,
    V4_1_NO_MODULE,
    V4_1_UNSUPPORTED,
    V4_1_DENIED,
    V4_1_INVALID_DATA,
    V4_1_LOCKED_OUT,
    V4_1_UNKNOWN_METHOD,
};

enum v4_1_method_flag {
    V4_1_OPEN = 1,        // no session wanted
    V4_1_FAULT_LOGIN = 2, // an unknown session answers 10, not 11
    V4_1_FAULT_ZERO = 4,  // an unknown session answers 0
    V4_1_MODULE = 8,      // the second argument names a module
    V4_1_WRITES = 16,
};

struct v4_1_call;
typedef int v4_1_step_fn(struct v4_1_call *c);

struct v4_1_method {
    const char *name;
    const char *args[V4_1_ARGS_MAX + 1]; // canonical names, in order, NULL-ended
    size_t required;                     // how many must be given
    unsigned flags;
    v4_1_step_fn *handler;
};

// One request. Its states are functions: `step` is what happens next.
struct v4_1_call {
    struct dialect_mount *mount;
    struct http_exchange *exchange;
    struct sockaddr_storage peer;
    const struct http_request *request;
    struct arena *arena;
    const struct v4_1_method *method;
    struct str callback;               // JSONP; len 0: none
    struct str cookie;                 // PHPSESSID that the client sent
    json_t *data;                      // owned: the decoded rest_data, or NULL
    const json_t *args[V4_1_ARGS_MAX]; // NULL: not given
    size_t nargs;
    const struct v4_1_module *module; // V4_1_MODULE methods
    struct str session;               // set once it is known to be alive
    struct principal principal;
    struct rights_ask ask; // what the policy is asked, one at a time
    v4_1_step_fn *step;
    bool ready, driving;
    struct dispatch *dispatch; // the last operation's, with its result
    struct buf body;           // owned: the reply
    struct v4_1_login *login;  // the method's own state, one of
    struct v4_1_read *read;
    struct v4_1_write *write;
    struct v4_1_relate *relate;
    struct v4_1_merge *merge;
    struct v4_1_pairs *pairs;
    struct v4_1_search *search;
    struct v4_1_upcoming *upcoming;
    struct v4_1_attach *attach;
    struct v4_1_through *through;
};

// Runs `op` for the call; `next` is its next step. Always V4_1_WAIT.
int v4_1_run(struct v4_1_call *c, struct operation *op, v4_1_step_fn *next);
// A new operation of the call's arena with the principal filled in; NULL: no memory.
struct operation *v4_1_operation(struct v4_1_call *c, enum operation_kind kind,
                                 const struct entity *en);
// The step that something asynchronous has made possible.
void v4_1_drive(struct v4_1_call *c);

// Ends of a call, always V4_1_REPLIED. The call is gone afterwards.
int v4_1_reply(struct v4_1_call *c); // c->body
// c->body, which a reply begins: with memory that the mount has to spare.
struct buf *v4_1_body(struct v4_1_call *c);
int v4_1_reply_text(struct v4_1_call *c, const char *json);
int v4_1_reply_fault(struct v4_1_call *c, enum v4_1_fault f);
// For a result that is not RESULT_OK.
int v4_1_reply_result(struct v4_1_call *c, const struct result *r);
// Something outside of JSON: 500 as the legacy's crash, or 503.
int v4_1_reply_broken(struct v4_1_call *c, unsigned status, const char *text);
int v4_1_reply_memory(struct v4_1_call *c);
int v4_1_finish(struct v4_1_call *c, struct http_response *r); // any reply

// ---- through to the application (v4_1_through.c)

struct pass *v4_1_application(const struct v4_1_call *c); // NULL: there is none
// What the table says of this call: the upstream that a rule sends it to, or through which its
// route reads or writes while the legacy owns it. NULL: it is answered here.
struct pass *v4_1_way(const struct v4_1_call *c);
// Then nothing of it may be written through the application.
bool v4_1_owned_by_new(const struct v4_1_call *c, const struct entity *en);
// The application answers the call. Its session id stands for ours there and back.
int v4_1_through(struct v4_1_call *c, struct pass *p);
// After the reply's session was made: the application's login can be done when it is needed.
void v4_1_through_login(struct v4_1_call *c, const json_t *auth);

// v4_1_describe.c
int v4_1_describe(const struct entity_set *set, const struct mount *mount,
                  const struct http_request *r, struct dialect_call *out, struct err *e);

// ---- arguments (v4_1_args.c), pure ---------------------------------------------------

// rest_data as PHP decodes it; NULL when it is no JSON. Owned by the caller.
json_t *v4_1_decode(struct str text);
// Positional or by name (see the file). Returns how many were given. Objects that stand for lists
// are replaced in `data`, which owns what `args` points to.
size_t v4_1_bind(const struct v4_1_api *api, const struct v4_1_method *m, json_t *data,
                 const json_t **args);
const struct v4_1_method *v4_1_method(struct str name); // any case; NULL
// A scalar as PHP turns it into text; false for a list, an object, or no memory.
bool v4_1_text(const json_t *j, struct arena *a, struct str *out);
bool v4_1_empty(const json_t *j);         // PHP's empty(), and not given
bool v4_1_wants_deleted(const json_t *j); // all rows, deleted ones too
// A count as lists take it: absent, null and "" leave *out; decimals are cut, what is out of
// range is the nearest that is in it; -1: no number.
int v4_1_number(const json_t *j, long long *out);
// 36 characters of a GUID with a capital letter in it, blanks after it aside; then `out` is the
// lower-case form.
bool v4_1_guid_lower(struct str id, struct arena *a, struct str *out);

// ---- text (v4_1_text.c, v4_1_html.c), pure; Thread: any -------------------------------

// JSON string of text that a record holds: the four replacements of a read.
void v4_1_add_encoded(struct buf *out, struct str s, struct buf *scratch);
// A double as MariaDB prints it, and as PHP puts it into JSON.
void v4_1_add_double(struct buf *out, double x);
void v4_1_add_php_number(struct buf *out, double x);
// The number that the legacy reads out of a client's text: "$1,234.5x" is 1234.5.
double v4_1_read_number(struct str s);
// Text that a client writes. `stored` is what the record gets, `echo` what set_entry answers.
struct v4_1_text {
    struct str stored, echo;
};
int v4_1_clean(struct str in, bool trim, struct arena *a, struct v4_1_text *out,
               struct err *e) FICUS_MUST_CHECK;
// A run of `min` to `max` decimal digits at *at, which moves behind it; false: there is none.
bool v4_1_digits(struct str s, size_t *at, size_t min, size_t max, unsigned *out);
// Cuts at `max` characters (0: 65535 bytes); true when something was cut.
bool v4_1_cut(struct str *s, unsigned max);
// The HTML 4.01 entities.
const char *v4_1_entity_name(uint32_t code); // NULL
uint32_t v4_1_entity_code(struct str name);  // 0

// ---- query and order_by (v4_1_query.c), pure; Thread: any ------------------------------

// ERR_INVALID: outside of the allow-list. *out NULL when the text is blank.
int v4_1_query(const struct v4_1_module *m, struct str text, struct arena *a, struct filter **out,
               struct err *e) FICUS_MUST_CHECK;
// What is no bare field name is left out. ERR_INVALID: blanks only, or a secret field.
int v4_1_order(const struct v4_1_module *m, struct str text, struct arena *a, struct order **out,
               size_t *n, struct err *e) FICUS_MUST_CHECK;

// ---- filters (v4_1_search.c), pure; NULL: no memory -------------------------------------

struct filter *v4_1_compare(struct arena *a, const struct field *f, enum text_match op,
                            struct str text);
// AND or OR of them; NULL too when one of them is.
struct filter *v4_1_join(struct arena *a, enum filter_kind kind, struct filter *const *children,
                         size_t n);

// ---- records as JSON (v4_1_reply.c), pure ---------------------------------------------

// What is shown of a record: a name and where in query.fields its values are.
struct v4_1_column {
    const char *name;
    size_t name_len;
    const struct field *field; // NULL: composed, or unknown
    size_t at[4];
    size_t nat;         // 0: always ""
    const json_t *flag; // of the map's "flags": true or false, by the field at at[0]
    struct str pair;    // the module's; empty: v4_1_add_pair makes it
    bool related;       // comes by a join: left out of an entry where there is nothing to join
};
struct v4_1_columns {
    struct v4_1_column *list;
    size_t n;
    const struct field **fields; // to read; the key first
    size_t nfields;
    const struct v4_1_module *module;
};
// A requested link; `expansion` -1: without records, unless it is made of the record itself.
struct v4_1_link {
    struct str name;
    int expansion;
    bool made; // one record of the entry's own values, where the one at `when` is not blank
    size_t when;
    struct v4_1_columns columns;
};
struct v4_1_links {
    struct v4_1_link *list;
    size_t n;
    struct expansion *expansions;
    size_t nexpansions;
};

// Entries: the module's order, unknown names left out, every field when none is asked for.
int v4_1_columns_of_entry(const struct v4_1_module *m, const json_t *select, struct arena *a,
                          struct v4_1_columns *out, struct err *e) FICUS_MUST_CHECK;
// Link records: the client's order, unknown names shown as "".
int v4_1_columns_of_link(const struct v4_1_module *m, const json_t *select, struct arena *a,
                         struct v4_1_columns *out, struct err *e) FICUS_MUST_CHECK;
// The same of texts that are names.
int v4_1_columns_named(const struct v4_1_module *m, const struct str *names, size_t n,
                       struct arena *a, struct v4_1_columns *out, struct err *e) FICUS_MUST_CHECK;
// `of`: the columns of the entries, which get to read what links are made of.
int v4_1_links_of(const struct dialect_mount *mount, struct v4_1_columns *of, const json_t *wanted,
                  struct arena *a, struct v4_1_links *out, struct err *e) FICUS_MUST_CHECK;
// The map's word on a link that is made of fields of the record ("links"); NULL: there is none.
const json_t *v4_1_made_link(const struct v4_1_module *m, struct str name);
int v4_1_link_made(const json_t *hint, struct v4_1_columns *of, const json_t *select,
                   struct arena *a, struct v4_1_link *out, struct err *e) FICUS_MUST_CHECK;
bool v4_1_link_has(const struct v4_1_link *link, const struct record *r);
// The name_value_list of its record.
void v4_1_add_made(struct buf *out, const struct v4_1_link *link, const struct record *r);

// What every entry of a module has in common, made once: m->pairs, m->all.
int v4_1_columns_prepare(struct v4_1_module *m, struct arena *a, struct err *e) FICUS_MUST_CHECK;

void v4_1_add_value(struct buf *out, const struct v4_1_module *m, const struct field *f,
                    struct value v);
// A column of a record: its value, and "name":{"name":..,"value":..}.
void v4_1_add_column_value(struct buf *out, const struct v4_1_columns *cols,
                           const struct v4_1_column *col, const struct record *r);
void v4_1_add_column(struct buf *out, const struct v4_1_columns *cols,
                     const struct v4_1_column *col, const struct record *r);
// {"id":..,"module_name":..,"name_value_list":..}
void v4_1_add_entry(struct buf *out, const struct v4_1_columns *cols, const struct record *r);
// The same for an id that is not there.
void v4_1_add_missing(struct buf *out, const struct v4_1_module *m, struct str id);
// [{"name":..,"records":[..]}]; `wrapped`: {"link_list":[..]} with a link_value a record.
void v4_1_add_links(struct buf *out, const struct v4_1_links *links, const struct record *r,
                    bool wrapped);
// What the user of a session may do with rows of a module.
enum reach v4_1_reach(const struct v4_1_call *c, const struct v4_1_module *m, enum access_action a);
static inline bool v4_1_has(const struct v4_1_call *c, enum v4_1_has part)
{
    return (c->mount->api->has & part) != 0;
}
void v4_1_add_pair(struct buf *out, struct str name); // "name":{"name":"name","value":

// ---- writing (v4_1_value.c), pure ------------------------------------------------------

// One record of set_entry, decoded.
struct v4_1_record {
    const struct v4_1_module *module;
    struct str id; // "" when none was given
    bool new_with_id, deleted;
    bool keep_modified, keep_modifier; // update_date_modified, update_modified_by: false
    bool bad_id;                       // answered with null, nothing written
    bool twin;                         // v4_1_merge found it there already: `id` is that row
    struct value *values;              // by field index; ABSENT: untouched
    struct str *echo;                  // JSON by field index; .data NULL: not given
};
int v4_1_record_decode(const struct v4_1_module *m, const json_t *list, struct arena *a,
                       struct v4_1_record *out, struct err *e) FICUS_MUST_CHECK;
// set_entries only: a label of an enum stands for its key.
void v4_1_record_codes(struct v4_1_record *r);
// set_entries only: finds or makes the record's parent and looks for a twin of it; `then` is
// the next step.
int v4_1_merge(struct v4_1_call *c, struct v4_1_record *r, v4_1_step_fn *then);
// What is left out or derived, once it is known whether a row is made.
int v4_1_record_finish(struct v4_1_record *r, bool create, struct arena *a,
                       struct err *e) FICUS_MUST_CHECK;
void v4_1_add_echo(struct buf *out, const struct v4_1_record *r); // object, or []

// ---- handlers --------------------------------------------------------------------------

v4_1_step_fn v4_1_login, v4_1_logout, v4_1_get_user_id, v4_1_seamless_login,
    v4_1_get_server_info; // v4_1_login.c
v4_1_step_fn v4_1_get_entry, v4_1_get_entries, v4_1_get_entry_list,
    v4_1_get_entries_count;                                 // v4_1_read.c
v4_1_step_fn v4_1_set_entry, v4_1_set_entries;              // v4_1_write.c
v4_1_step_fn v4_1_get_relationships;                        // v4_1_relate.c
v4_1_step_fn v4_1_set_relationship, v4_1_set_relationships; // v4_1_link.c
v4_1_step_fn v4_1_search_by_module;                         // v4_1_search.c
v4_1_step_fn v4_1_get_upcoming_activities, v4_1_get_last_viewed,
    v4_1_get_modified_relationships; // v4_1_activity.c
v4_1_step_fn v4_1_get_note_attachment, v4_1_set_note_attachment,
    v4_1_not_supported; // v4_1_attach.c
v4_1_step_fn v4_1_get_module_fields, v4_1_get_module_fields_md5,
    v4_1_get_available_modules; // v4_1_fields.c

// Filter, order and page of a list from their arguments. V4_1_WAIT: go on.
int v4_1_read_page(struct v4_1_call *c, const struct v4_1_module *m, const json_t *query,
                   const json_t *order_by, struct query *q);

#endif
