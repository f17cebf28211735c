// SPDX-License-Identifier: Apache-2.0
// The route table: definitions from a JSON file (under version control) joined with state
// (stage, owner, epoch) from the control store. An immutable snapshot, reference-counted:
// a request keeps the one it started with.
#ifndef FICUS_ROUTES_ROUTE_H
#define FICUS_ROUTES_ROUTE_H

#include "migrations/entity.h"
#include "routes/ladder.h"
#include "routes/upstream.h"

enum stage { STAGE_LEGACY, STAGE_SHADOW, STAGE_CANARY, STAGE_NEW, STAGE_RETIRED };
const char *stage_name(enum stage s);
int stage_from(struct str name, enum stage *out) FICUS_MUST_CHECK;
// One step up or down the ladder (canary may change its percentage), any step down.
bool stage_step_is_legal(enum stage from, enum stage to);

// Who answers lists at `canary`, where no key decides.
enum route_lists { LISTS_BUCKET, LISTS_LEGACY, LISTS_NEW };

enum backend_kind { BACKEND_ODBC, BACKEND_POSTGRES, BACKEND_HTTP };
const char *backend_name(enum backend_kind k);

// A set of operations that a route covers.
enum route_operations { ROUTE_READS = 1, ROUTE_WRITES = 2, ROUTE_RELATES = 4, ROUTE_ALL = 7 };

struct group {
    const char *name;
    unsigned index; // dense, for arrays of counters and queues
    const struct entity **entities;
    size_t nentities;
    bool rogue_allowed;
    bool approval; // a transfer or a promotion needs a second person
    bool dual;     // a write's answer waits for the other side (docs/dual.md)
    // State.
    enum side owner;
    long long epoch;
    bool holding;
    uint64_t hold_until_ms; // wall clock
};

// A difference in one field that counts as "ignored" in shadow comparisons, until it expires.
struct ignore_rule {
    const struct route *route;
    const struct field *field;
    bool any_value;      // false: only a value that the field's policy replaced
    uint64_t expires_ms; // wall clock
};

struct route {
    const char *name; // "account"
    unsigned index;
    const struct entity *entity;
    const struct group *group;
    unsigned operations;                // enum route_operations
    enum backend_kind backend[2];       // by side; legacy: odbc (http pass-through later)
    const char *url[2];                 // BACKEND_HTTP: base URL
    const struct upstream *application; // the legacy application itself; NULL: none
    unsigned through; // enum route_operations that it answers while the legacy side would
    enum route_lists lists;
    bool retired_gone; // at `retired`: 410 in every dialect, not the legacy's own error
    struct ladder ladder;
    // State.
    enum stage stage;
    unsigned canary_bp; // 1/100 per cent of keys
    long long since_us; // when the stage (or an ignore rule) last changed, UTC; 0 unknown
};

// A dialect mounted on a path prefix: {"dialect":"v4_1","path":"/service/v4_1/rest.php"}.
struct mount {
    const char *dialect;
    const char *path;
    const json_t *options;
    unsigned index;
};

// Chosen principals may send their reads to a side by a header, at shadow and canary.
struct route_override {
    const char *header;       // NULL: nobody may
    const char *const *users; // user ids
    size_t nusers;
};

struct route_table;
struct matcher;

// Definitions only (state: every route `legacy`, every group owned by legacy, epoch 0).
// NULL with every mistake in `p`. Keeps `set` borrowed.
struct route_table *route_table_load(const char *file, const struct entity_set *set,
                                     struct problems *p);
struct route_table *route_table_parse(struct str text, const char *name,
                                      const struct entity_set *set, struct problems *p);
// A copy with other state: `state` is JSON {"version":n,"routes":{name:{stage,canary_bp}},
// "groups":{name:{owner,epoch,phase,hold_until_ms}}} as the control store or the file of the
// last good table gives it. Unknown names in it are ignored and logged.
struct route_table *route_table_with_state(const struct route_table *t, const json_t *state,
                                           struct err *e);
json_t *route_table_state(const struct route_table *t); // owned; the same shape
void route_table_ref(struct route_table *t);            // Thread: any
void route_table_unref(struct route_table *t);          // Thread: any; NULL is fine

long long route_table_version(const struct route_table *t);
const struct route *route_find(const struct route_table *t, struct str name);
// The route that serves an operation of an entity. NULL: not routed.
const struct route *route_for(const struct route_table *t, const struct entity *en,
                              unsigned operation);
const struct group *group_find(const struct route_table *t, struct str name);
const struct group *group_of(const struct route_table *t, const struct entity *en); // or NULL
size_t route_count(const struct route_table *t);
const struct route *route_at(const struct route_table *t, size_t i);
size_t group_count(const struct route_table *t);
const struct group *group_at(const struct route_table *t, size_t i);
size_t mount_count(const struct route_table *t);
const struct mount *mount_at(const struct route_table *t, size_t i);
size_t upstream_count(const struct route_table *t);
const struct upstream *upstream_at(const struct route_table *t, size_t i);
const struct upstream *upstream_find(const struct route_table *t, struct str name); // or NULL
// Which rule describes a request (match.h).
const struct matcher *route_matcher(const struct route_table *t);
// Where methods, modules and paths go that nothing describes; NULL: they are refused.
const struct upstream *upstream_fallback(const struct route_table *t);
const struct entity_set *route_entities(const struct route_table *t);
const struct route_override *route_table_override(const struct route_table *t);
long long route_table_load_number(const struct route_table *t); // of `ficus route load`; state

// Why an operation goes where it goes.
enum route_why {
    WHY_STAGE,   // the stage says so
    WHY_BUCKET,  // canary: the key's bucket, against the share
    WHY_LISTS,   // canary: the route decides its lists
    WHY_OWNER,   // the new side owns the group: it reads and writes there
    WHY_WRITE,   // a write goes to the owner
    WHY_BEFORE,  // a read that a write follows from
    WHY_PENDING, // a change has not arrived on the new side yet
    WHY_ASKED,   // a chosen user asked for the side by header
    WHY_RETIRED,
    WHY_SERVICE, // this process is a service: always the new side
};
const char *route_why_text(enum route_why w); // "bucket of the key"
// The side that reads, but for what only a running facade knows (pending changes, headers).
enum side route_choose_read(const struct route *r, struct str key, enum route_why *why);

// Which side answers a read of this key (canary by record key: xxh3 of route and key, monotone
// in canary_bp). `key` of length 0 (lists): as the route's `lists` says; its own bucket is by
// its name.
enum side route_read_side(const struct route *r, struct str key);
unsigned route_bucket(const struct route *r, struct str key); // 0..9999

// The rule for a field of a route that holds now, or NULL.
const struct ignore_rule *route_ignores(const struct route_table *t, const struct route *r,
                                        const struct field *f);

#endif
