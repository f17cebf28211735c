// SPDX-License-Identifier: Apache-2.0
// Shared by admin.c (dispatcher), admin_table.c (endpoints), admin_loop.c and admin_store.c
// (handlers) only.
#ifndef FICUS_FACADE_ADMIN_INT_H
#define FICUS_FACADE_ADMIN_INT_H

#include "facade/admin/admin.h"
#include "routes/control_ladder.h"

// One request to the admin API, until its reply.
struct admin_call {
    struct worker_job job; // first
    struct mail mail;      // on its way through the loops
    struct server_loop *sl;
    struct http_request *request;
    const struct admin_endpoint *endpoint;
    const struct person *who;
    char parameter[128]; // what stands for '*' in the path
    json_t *body;        // of the request; NULL when it has none
    json_t *reply;
    unsigned status;
    struct err err; // with status 0: gives the status
    unsigned at;    // loop that is visited
};

enum admin_way {
    ADMIN_HERE,  // at once, on the admin's loop
    ADMIN_LOOPS, // once on every loop, in order; `reply` is an array before the first
    ADMIN_STORE, // in a worker, with a connection to the control store
};

struct admin_endpoint {
    const char *name, *method, *path; // a last segment '*' is a parameter
    const char *takes;                // fields of the body; ""
    const char *help;
    enum role role;
    enum admin_way way;
    // Fills `reply` or `err`; ADMIN_LOOPS: `sl` is the loop that is visited.
    void (*run)(struct admin_call *c, struct server_loop *sl);
    void (*run_store)(struct admin_call *c, struct control *control);
};
extern const struct admin_endpoint admin_endpoints[]; // ended by a NULL name

// A field of the body: text, "" when missing or of another type.
const char *admin_text(const struct admin_call *c, const char *name);
// The result of a SELECT as a JSON array.
void admin_sql(struct admin_call *c, struct control *control, const char *sql,
               const struct value *p, size_t n);

// admin_loop.c
void admin_help(struct admin_call *c, struct server_loop *sl);
void admin_config(struct admin_call *c, struct server_loop *sl);
void admin_log_level(struct admin_call *c, struct server_loop *sl);
void admin_explain(struct admin_call *c, struct server_loop *sl);
void admin_table_state(struct admin_call *c, struct server_loop *sl);
void admin_in_flight(struct admin_call *c, struct server_loop *sl);
void admin_pools(struct admin_call *c, struct server_loop *sl);
void admin_breakers(struct admin_call *c, struct server_loop *sl);
// admin_store.c
void admin_routes(struct admin_call *c, struct control *control);
void admin_route(struct admin_call *c, struct control *control);
void admin_set(struct admin_call *c, struct control *control);
void admin_proposals(struct admin_call *c, struct control *control);
void admin_decide(struct admin_call *c, struct control *control);
void admin_set_log(struct admin_call *c, struct control *control);
void admin_sessions(struct admin_call *c, struct control *control);
void admin_instances(struct admin_call *c, struct control *control);
void admin_audit(struct admin_call *c, struct control *control);

#endif
