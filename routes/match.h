// SPDX-License-Identifier: Apache-2.0
// Which rule of the route table describes a request: by host, method, path template, header,
// query, form and JSON field, and by method and module of a dialect's call. The cost of finding
// it depends on the path's length and on how many *kinds* of conditions meet at one path, not on
// how many rules there are. Immutable once built. Thread: any.
//
// The most specific rule wins, compared in this order:
//   1. host: the name itself, then the longest "*.suffix", then any;
//   2. path, from the left, segment by segment: literal, then {parameter}, then "/**";
//   3. more conditions with a value, then more that only ask for presence, then a method.
// A less specific rule is tried when the more specific one's conditions do not hold. Two rules
// that could hold for one request and are equally specific are a mistake in the table.
#ifndef FICUS_ROUTES_MATCH_H
#define FICUS_ROUTES_MATCH_H

#include "base/json.h"
#include "routes/upstream.h"

#define MATCH_RULES_MAX      16384
#define MATCH_CONDITIONS_MAX 8  // of a rule
#define MATCH_SEGMENTS_MAX   32 // of a path template; a request's path may have 64
#define MATCH_SHAPES_MAX     16 // kinds of conditions at one path

enum match_kind { MATCH_HEADER, MATCH_QUERY, MATCH_FORM, MATCH_JSON, MATCH_CALL };
#define MATCH_BIT(kind) (1u << (kind))

struct match_condition {
    enum match_kind kind;
    const char *name;  // header or field; JSON pointer; "method" or "module" of a call
    const char *value; // NULL: it only has to be there
};

struct mount;

struct match_rule {
    const char *name;
    const char *pointer;                      // where the file has it, "/match/3"
    const char *host;                         // lower case; "*.suffix"; NULL: any
    const char *const *methods;               // NULL-ended; NULL: any
    const char *path;                         // template
    const struct match_condition *conditions; // by kind and name
    size_t nconditions;
    const struct upstream *upstream; // the target is one of the two
    const struct mount *mount;
};

struct matcher;

// What is known of a request.
struct match_request {
    struct str method, host; // as sent; a port behind the host does not count
    struct str path;         // http_path_normal()
    unsigned have;           // kinds of fields that `field` can tell now
    unsigned later;          // kinds that it could tell once the body is there
    // Value of a field; false: the request has none. The value must live until match_find returns.
    bool (*field)(void *ctx, enum match_kind kind, const char *name, struct str *value);
    void *ctx;
};

enum match_result {
    MATCH_NONE,
    MATCH_FOUND,
    MATCH_NEEDS_BODY, // a rule that may be the most specific asks for a field of the body
    MATCH_HIDDEN, // to who takes "%2F" for a slash it is below a mount that it is not below: refuse
};

enum match_result match_find(const struct matcher *m, const struct match_request *r,
                             const struct match_rule **out);
size_t match_count(const struct matcher *m); // rules, those made from mounts included
const struct match_rule *match_at(const struct matcher *m, size_t i);

// ---- building; for the loader and tests

// NULL: no memory.
struct matcher *matcher_create(void);
void matcher_destroy(struct matcher *m); // NULL is fine
// Borrows the rule, which must outlive the matcher. -1: ERR_INVALID (malformed template or host),
// ERR_CONFLICT (equally specific as another rule), ERR_LIMIT, ERR_MEMORY.
int matcher_add(struct matcher *m, const struct match_rule *rule, struct err *e) FICUS_MUST_CHECK;
// After the last rule: looks for pairs that are equally specific. `each` is told of every one.
// -1: no memory.
int matcher_check(const struct matcher *m,
                  void (*each)(void *ctx, const struct match_rule *a, const struct match_rule *b),
                  void *ctx) FICUS_MUST_CHECK;

#endif
