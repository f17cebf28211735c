// SPDX-License-Identifier: Apache-2.0
// Handlers that talk to the control store. Thread: a worker.
#include "facade/admin/admin_int.h"

#include "base/log.h"

#include <math.h>
#include <stdlib.h>

void admin_routes(struct admin_call *c, struct control *control)
{
    admin_sql(c, control,
              "SELECT r.route, stage, canary_bp / 100.0 AS canary_percent, changed_at,"
              " changed_by, why, coalesce(h.hits, 0) AS hits, h.last_at AS last_hit,"
              " floor(extract(epoch FROM now() - coalesce(h.last_at, changed_at)) / 86400)::int"
              " AS idle_days FROM ficus.route_state r LEFT JOIN ficus.route_hit h USING (route)"
              " ORDER BY r.route",
              NULL, 0);
}

static json_t *arm_json(const struct arm *a)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "answers", (json_int_t)a->requests, "errors",
                     (json_int_t)a->errors, "p50_ms", arm_quantile_ms(a, 0.5), "p95_ms",
                     arm_quantile_ms(a, 0.95), "p99_ms", arm_quantile_ms(a, 0.99));
}

void admin_route(struct admin_call *c, struct control *control)
{
    struct route_table *t = live_table(c->sl->server->live);
    const struct route *r = route_find(t, str_of(c->parameter));
    struct ladder limits;
    struct ladder_evidence v;
    struct arm arms[2];
    if (!r) {
        err_set(&c->err, ERR_NOT_FOUND, "no such route");
    } else if (control_evidence(control, r->name, false, &v, &c->err) == 0 &&
               control_arm(control, r->name, SIDE_LEGACY, 3600, &arms[0], &c->err) == 0 &&
               control_arm(control, r->name, SIDE_NEW, 3600, &arms[1], &c->err) == 0) {
        limits = ladder_resolve(&r->ladder, c->sl->server->o.conf);
        c->reply = json_pack("{s:s, s:s, s:f, s:o, s:{s:o, s:o}}", "route", r->name, "stage",
                             stage_name(r->stage), "canary_percent", r->canary_bp / 100.0,
                             "evidence", ladder_evidence_json(&limits, &v), "arms", "legacy",
                             arm_json(&arms[0]), "new", arm_json(&arms[1]));
    }
    route_table_unref(t);
}

// ---------------------------------------------------------------- moves

static int read_changes(struct admin_call *c, const struct route_table *t,
                        struct route_change *changes, size_t *n)
{
    const json_t *routes = json_object_get(c->body, "routes");
    const json_t *percent = json_object_get(c->body, "percent");
    double bp = json_number_value(percent) * 100;
    enum stage to;
    *n = 0;
    if (stage_from(str_of(admin_text(c, "stage")), &to))
        return err_set(&c->err, ERR_INVALID, "stage is legacy, shadow, canary, new or retired");
    if (to == STAGE_CANARY && (!json_is_number(percent) || !(bp >= 0 && bp <= 10000)))
        return err_set(&c->err, ERR_INVALID, "percent is a number from 0 to 100");
    if (json_array_size(routes) == 0 || json_array_size(routes) > STAGE_CHANGES_MAX)
        return err_set(&c->err, ERR_INVALID, "routes is a list of 1 to %d names",
                       STAGE_CHANGES_MAX);
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const char *name = json_string_value(json_array_get(routes, i));
        const struct route *r = name ? route_find(t, str_of(name)) : NULL;
        if (!r)
            return err_set(&c->err, ERR_NOT_FOUND, "no route '%s'", name ? name : "?");
        changes[(*n)++] = (struct route_change){r, to,
                                                to == STAGE_CANARY ? (unsigned)lround(bp) : 0};
    }
    return 0;
}

static void carry_out(struct admin_call *c, struct control *control, const struct stage_order *o)
{
    long long id;
    if (o->force && c->who->role < ROLE_APPROVER) {
        err_set(&c->err, ERR_DENIED, "force needs the role approver");
    } else if (control_needs_approval(control, o, &c->err)) {
        if (control_propose(control, o, &id, &c->err) == 0) {
            c->reply = json_pack("{s:i, s:I}", "changed", 0, "proposal", (json_int_t)id);
            c->status = 202;
        }
    } else if (c->err.code == ERR_NONE && control_set_stages(control, o, &c->err) == 0) {
        c->reply = json_pack("{s:i}", "changed", (int)o->n);
    }
}

void admin_set(struct admin_call *c, struct control *control)
{
    struct route_table *t = live_table(c->sl->server->live);
    struct route_change *changes = calloc(STAGE_CHANGES_MAX, sizeof *changes);
    struct stage_order o = {.changes = changes,
                            .conf = c->sl->server->o.conf,
                            .who = c->who->name,
                            .why = admin_text(c, "why"),
                            .force = json_is_true(json_object_get(c->body, "force"))};
    if (!changes)
        err_memory(&c->err);
    else if (!*o.why)
        err_set(&c->err, ERR_INVALID, "why is required; it is kept in the history");
    else if (read_changes(c, t, changes, &o.n) == 0)
        carry_out(c, control, &o);
    free(changes);
    route_table_unref(t);
}

void admin_proposals(struct admin_call *c, struct control *control)
{
    admin_sql(c, control, "SELECT * FROM ficus.proposal ORDER BY id DESC LIMIT 100", NULL, 0);
}

void admin_decide(struct admin_call *c, struct control *control)
{
    bool approve = strcmp(c->endpoint->name, "approve") == 0;
    struct route_table *t = live_table(c->sl->server->live);
    long long id;
    if (!str_to_int(str_of(c->parameter), 1, INT64_MAX, &id))
        err_set(&c->err, ERR_INVALID, "a proposal has a number");
    else if (control_decide(control, id, approve, t, c->sl->server->o.conf, c->who->name,
                            &c->err) == 0)
        c->reply = json_pack("{s:I, s:s}", "proposal", (json_int_t)id, "outcome",
                             approve ? "done" : "withdrawn");
    route_table_unref(t);
}

// ---------------------------------------------------------------- the rest

// Recorded before it is done: what cannot be recorded is not done.
void admin_set_log(struct admin_call *c, struct control *control)
{
    enum log_level level;
    const char *name = admin_text(c, "level");
    if (log_level_from(str_of(name), &level)) {
        err_set(&c->err, ERR_INVALID, "level is error, warn, info or debug");
        return;
    }
    json_t *detail = json_pack("{s:s}", "level", name);
    if (control_audit(control, c->who->name, "log level", live_id(c->sl->server->live), detail,
                      &c->err) == 0) {
        log_set_level(level);
        c->reply = json_incref(detail);
    }
    json_decref(detail);
}

void admin_sessions(struct admin_call *c, struct control *control)
{
    admin_sql(c, control,
              "SELECT count(*) AS open, count(*) FILTER (WHERE is_admin) AS of_administrators,"
              " count(DISTINCT user_id) AS users FROM ficus.session WHERE expires_at > now()",
              NULL, 0);
}

void admin_instances(struct admin_call *c, struct control *control)
{
    admin_sql(c, control, "SELECT * FROM ficus.instance ORDER BY id", NULL, 0);
}

void admin_audit(struct admin_call *c, struct control *control)
{
    admin_sql(c, control,
              "SELECT seq, at, who, action, object, detail, hash FROM ficus.audit ORDER BY seq"
              " DESC LIMIT 100",
              NULL, 0);
}
