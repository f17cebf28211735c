// SPDX-License-Identifier: Apache-2.0
// The endpoints of the admin API.
#include "facade/admin/admin_int.h"

const struct admin_endpoint admin_endpoints[] = {
    {"help", "GET", "/admin", "", "This table.", ROLE_VIEWER, ADMIN_HERE, admin_help, NULL},
    {"config", "GET", "/admin/config", "", "The configuration in force; secrets as ***.",
     ROLE_VIEWER, ADMIN_HERE, admin_config, NULL},
    {"table", "GET", "/admin/table", "",
     "The route table by which this process goes: version, stages, owners, epochs, ignore rules.",
     ROLE_VIEWER, ADMIN_HERE, admin_table_state, NULL},
    {"routes", "GET", "/admin/routes", "",
     "All routes with stage, who set it and why, hits, last use and days without one.", ROLE_VIEWER,
     ADMIN_STORE, NULL, admin_routes},
    {"route", "GET", "/admin/routes/*", "",
     "One route: its evidence, what is missing for a climb, both arms of the last hour.",
     ROLE_VIEWER, ADMIN_STORE, NULL, admin_route},
    {"set", "POST", "/admin/routes", "routes, stage, percent, why, force",
     "Moves routes along the ladder, all or none; `force` needs the role approver. A climb that"
     " needs a second person becomes a proposal: 202.",
     ROLE_OPERATOR, ADMIN_STORE, NULL, admin_set},
    {"proposals", "GET", "/admin/proposals", "",
     "Promotions that wait, or waited, for a second"
     " person.",
     ROLE_VIEWER, ADMIN_STORE, NULL, admin_proposals},
    {"approve", "POST", "/admin/proposals/*", "",
     "Carries out a promotion that someone else asked"
     " for.",
     ROLE_APPROVER, ADMIN_STORE, NULL, admin_decide},
    {"withdraw", "DELETE", "/admin/proposals/*", "", "Ends a waiting promotion.", ROLE_OPERATOR,
     ADMIN_STORE, NULL, admin_decide},
    {"explain", "POST", "/admin/explain", "route, key",
     "Who answers for a record now: side, bucket, owner, epoch, and why.", ROLE_VIEWER, ADMIN_HERE,
     admin_explain, NULL},
    {"requests", "GET", "/admin/requests", "",
     "Requests in flight, by loop: client, method, path, route, age. At most 1000 a loop.",
     ROLE_VIEWER, ADMIN_LOOPS, admin_in_flight, NULL},
    {"pools", "GET", "/admin/pools", "",
     "By loop: connections, PostgreSQL pool, held requests; workers of the legacy database.",
     ROLE_VIEWER, ADMIN_LOOPS, admin_pools, NULL},
    {"breakers", "GET", "/admin/breakers", "",
     "By loop: the circuit breakers of backends and services: state, calls and failures of the window.",
     ROLE_VIEWER, ADMIN_LOOPS, admin_breakers, NULL},
    {"sessions", "GET", "/admin/sessions", "", "How many sessions are open, by kind of user.",
     ROLE_VIEWER, ADMIN_STORE, NULL, admin_sessions},
    {"instances", "GET", "/admin/instances", "",
     "Every process: heartbeat, table version, definitions that it took.", ROLE_VIEWER, ADMIN_STORE,
     NULL, admin_instances},
    {"audit", "GET", "/admin/audit", "", "The newest 100 rows of the audit.", ROLE_VIEWER,
     ADMIN_STORE, NULL, admin_audit},
    {"log", "GET", "/admin/log", "", "The log level of this process.", ROLE_VIEWER, ADMIN_HERE,
     admin_log_level, NULL},
    {"set log", "PUT", "/admin/log", "level", "Sets it, until the next restart. Audited.",
     ROLE_OPERATOR, ADMIN_STORE, NULL, admin_set_log},
    {0},
};

void admin_write_reference(struct buf *out)
{
    buf_addz(out, "| method and path | role | body | what |\n|---|---|---|---|\n");
    for (const struct admin_endpoint *e = admin_endpoints; e->name; e++)
        buf_printf(out, "| `%s %s` | %s | %s | %s |\n", e->method, e->path, role_name(e->role),
                   e->takes, e->help);
}
