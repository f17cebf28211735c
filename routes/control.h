// SPDX-License-Identifier: Apache-2.0
// The control store as C calls (blocking libpq: sync threads, the command line, the facade's
// control thread; never a loop). Every statement on schema `ficus` that is not on a hot path
// lives in here.
#ifndef FICUS_ROUTES_CONTROL_H
#define FICUS_ROUTES_CONTROL_H

#include "connectors/postgres/pg.h"
#include "routes/route.h"

struct control; // one connection, reconnects by itself on the next call

int control_open(const char *conninfo, const char *application, struct control **out,
                 struct err *e) FICUS_MUST_CHECK;
void control_close(struct control *c);
struct pg_conn *control_pg(struct control *c, struct err *e); // connected, or NULL

// State for route_table_with_state. Caller owns the JSON.
json_t *control_state(struct control *c, struct err *e);
// Inserts missing route_state/owner/fence rows for the definitions (stage legacy, owner
// legacy, epoch 0; the new store's fence closed).
int control_register(struct control *c, const struct route_table *t,
                     struct err *e) FICUS_MUST_CHECK;

// A difference in one field of a route that shadow comparisons ignore from now on; `days` 0
// ends the rule. The route's evidence begins anew. Writes audit.
struct control_ignore {
    const char *route, *field;
    bool any_value;
    unsigned days;
};
int control_set_ignore(struct control *c, const struct control_ignore *rule, const char *who,
                       const char *why, struct err *e) FICUS_MUST_CHECK;

struct instance {
    char id[64], kind[16], host[64], address[64];
    int pid;
    long long table_version;
    char maps_hash[20];
    json_t *detail; // borrowed
};
// The one number (0 or more) that a query of one row and one column gives.
int control_number(struct control *c, const char *sql, const struct value *p, size_t n,
                   long long *out, struct err *e) FICUS_MUST_CHECK;
int control_heartbeat(struct control *c, const struct instance *i, struct err *e) FICUS_MUST_CHECK;
int control_forget(struct control *c, const char *id, struct err *e) FICUS_MUST_CHECK;

long long control_next_epoch(struct control *c, struct err *e); // -1 on error
int control_audit(struct control *c, const char *who, const char *action, const char *object,
                  const json_t *detail, struct err *e) FICUS_MUST_CHECK;

#endif
