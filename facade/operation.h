// SPDX-License-Identifier: Apache-2.0
// The canonical request and its result: what lies between a dialect's decode and encode.
// Policy, routing, shadow comparison, audit and metrics only ever see these.
// All memory is the arena's of the request, which the operation borrows.
#ifndef FICUS_FACADE_OPERATION_H
#define FICUS_FACADE_OPERATION_H

#include "migrations/query.h"
#include "routes/route.h"

enum operation_kind {
    OPERATION_GET,  // query.key
    OPERATION_LIST, // query (filter, keys, related, order, page), may want a total
    OPERATION_COUNT,
    OPERATION_CREATE, // write (key made by the dialect or operation_prepare)
    OPERATION_UPDATE,
    OPERATION_DELETE,
    OPERATION_RELATE, // relationship + near key + far keys
};
const char *operation_name(enum operation_kind k);
unsigned operation_route_bit(enum operation_kind k); // enum route_operations
static inline bool operation_is_read(enum operation_kind k)
{
    return k <= OPERATION_COUNT;
}

// Who asks.
struct principal {
    struct str user_id; // "" before login
    struct str user_name;
    bool is_admin;
    struct str levels; // frozen at login (policy/levels.h); "": as the stores say now
};

// Which rule of access control an operation is under (policy/access.h).
enum access_rule {
    ACCESS_BY_KIND,
    ACCESS_EACH,   // LIST of keys: every row may be viewed, or nothing is answered
    ACCESS_CHANGE, // GET of a row that the caller then changes by other means: edit
    ACCESS_LINKED, // over a link from a row whose view has been checked before
    ACCESS_FACADE, // the facade's own: login, the policy, rows that a write looks up
};

// Related rows to return with every row of a read (link_name_to_fields_array, expand=).
struct expansion {
    const struct relationship *relationship;
    const struct field *const *fields;
    size_t nfields;
    long long limit;             // -1: none
    const struct filter *filter; // on the related rows; NULL: all
};

struct relate {
    const struct relationship *relationship;
    struct value near; // key of the entity's row
    const struct value *far;
    size_t nfar;
    bool remove;
    const struct value *extra; // by field index of relationship->through; NULL
};

struct operation {
    enum operation_kind kind;
    const struct entity *entity;
    const struct principal *principal;
    enum access_rule access;
    struct query query; // reads
    struct expansion *expansions;
    size_t nexpansions;
    bool want_total;      // LIST: also count without the page
    bool before_write;    // reads: a write follows from it, so the owner answers
    bool want_version;    // GET of all fields that are not secret: result.version
    struct write write;   // CREATE, UPDATE, DELETE
    struct relate relate; // RELATE
    // UPDATE, DELETE: done only while the record has one of these versions (version.h),
    // compared inside the store's transaction; RESULT_CHANGED otherwise. 0: done anyway.
    const struct str *match;
    size_t nmatch;
    long long epoch;   // of the group, set by dispatch for writes
    char write_id[37]; // set by dispatch for writes
    struct arena *arena;
    const char *request_line; // short description for mismatches and logs
};

enum result_status {
    RESULT_OK,
    RESULT_NOT_FOUND,
    RESULT_CONFLICT, // key or unique value exists
    RESULT_INVALID,  // the values cannot be stored
    RESULT_CHANGED,  // the record has none of the versions asked for; nothing was done
    RESULT_DENIED,
    RESULT_FENCED,      // inside dispatch only: retried on the owner, never seen by dialects
    RESULT_CURRENT,     // inside dispatch only: a guarded read may go to the other side
    RESULT_BUSY,        // shed: nothing was done; Retry-After
    RESULT_UNAVAILABLE, // the side that must answer is down; nothing was done
    RESULT_TIMEOUT,     // reads: no answer in time. Writes: outcome unknown
    RESULT_RETIRED,
    RESULT_UNSUPPORTED,
    RESULT_ERROR,
};
const char *result_status_name(enum result_status s);

struct record {
    const struct value *values; // parallel to query.fields (canonical)
    struct record_set *related; // parallel to operation.expansions; or NULL
};
struct record_set {
    struct record *rows;
    size_t n;
};

struct result {
    enum result_status status;
    struct record_set records; // GET: 0 or 1 row
    long long total;           // COUNT, or LIST with want_total; -1 unknown
    const struct value *key;   // CREATE: the row's key
    long long through;         // legacy writes: greatest changelog seq inside the
                               // transaction, for read-your-writes; 0 none
    long long changed;         // RELATE: link rows added or removed
    char version[33];          // GET with want_version; "" unknown
    enum side served_by;
    struct err err; // detail for logs; message is safe for clients
};

// Fills what a create needs: the key (uuid), defaults and auto values, `now`.
int operation_prepare(struct operation *op, struct err *e) FICUS_MUST_CHECK;

// A read that outlives its request: everything it points at is copied into `a`.
int operation_clone_read(const struct operation *op, struct arena *a, struct operation *out,
                         struct err *e) FICUS_MUST_CHECK;

// A deep copy, NULL of NULL. Sets *bad when there is no memory.
struct filter *filter_clone(const struct filter *from, struct arena *a, bool *bad);
// A filter's linked rows are rows of that entity.
bool filter_looks_at(const struct filter *f, struct str entity);

#endif
