// SPDX-License-Identifier: Apache-2.0
// ficus route list|show|history
#include "cli/listing.h"
#include "cli/route_print.h"
#include "cli/tables.h"
#include "routes/control_ladder.h"

#include <stdio.h>
#include <stdlib.h>

static int run_list(const struct cli *c)
{
    static const char *const headers[] = {"ROUTE",    "STAGE",     "CANARY %", "SINCE",
                                          "BY",       "MATCHED",   "MISMATCH", "HITS",
                                          "LAST HIT", "IDLE DAYS", "WHY"};
    struct cli_env env;
    long long idle;
    char days[24];
    int status;
    if (cli_option_int(c, "idle", 0, 36500, 0, &idle))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    snprintf(days, sizeof days, "%lld", idle);
    struct value p = value_set(str_of(days));
    // A route without a hit has been idle since it was registered or last moved, as far as is
    // known.
    status = listing_print(
        env.control,
        "SELECT * FROM (SELECT r.route, r.stage, round(r.canary_bp / 100.0, 2) AS canary_percent,"
        " to_char(r.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since,"
        " r.changed_by AS by, (SELECT coalesce(sum(matched), 0) FROM ficus.shadow_stat s"
        " WHERE s.route = r.route) AS matched, (SELECT coalesce(sum(mismatched), 0)"
        " FROM ficus.shadow_stat s WHERE s.route = r.route) AS mismatched,"
        " coalesce(h.hits, 0) AS hits, to_char(h.last_at AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD HH24:MI:SS') AS last_hit, floor(extract(epoch FROM now() -"
        " coalesce(h.last_at, r.changed_at)) / 86400)::int AS idle_days, r.why"
        " FROM ficus.route_state r LEFT JOIN ficus.route_hit h USING (route)) x"
        " WHERE idle_days >= $1::int ORDER BY route",
        &p, 1, headers,
        idle ? "no route has been idle for so long"
             : "no routes are registered; ficus migrate up registers them",
        c->json);
    cli_env_close(&env);
    return status;
}

static int run_history(const struct cli *c)
{
    static const char *const headers[] = {"AT",  "ROUTE",    "FROM", "TO",       "CANARY %",
                                          "WHO", "APPROVED", "HOW",  "EVIDENCE", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = value_set(str_of(c->nargs ? c->args[0] : ""));
    status = listing_print(
        env.control,
        "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, route,"
        " from_stage, to_stage, round(to_bp / 100.0, 2) AS canary_percent, who,"
        " approved_by AS approved, CASE WHEN forced THEN 'forced' WHEN automatic THEN 'by itself'"
        " ELSE '' END AS how, evidence, why FROM ficus.route_history WHERE $1 = '' OR route = $1 ORDER BY id",
        &p, 1, headers, "no changes yet", c->json);
    cli_env_close(&env);
    return status;
}

static const char *backend_text(const struct route *r, enum side s)
{
    return backend_name(r->backend[s]);
}

static json_t *route_json(const struct route *r)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:s, s:s, s:s?, s:s?, s:I}", "route", r->name, "entity",
                     r->entity->name, "stage", stage_name(r->stage), "canary_percent",
                     r->canary_bp / 100.0, "legacy_backend", backend_text(r, SIDE_LEGACY),
                     "new_backend", backend_text(r, SIDE_NEW), "group",
                     r->group ? r->group->name : NULL, "owner",
                     r->group ? side_name(r->group->owner) : NULL, "epoch",
                     (json_int_t)(r->group ? r->group->epoch : 0));
}

void route_print(const struct cli *c, json_t *j)
{
    const char *key;
    json_t *v;
    if (c->json) {
        char *text = json_dumps(j, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
    }
    json_object_foreach(j, key, v)
    {
        char *text = c->json ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        if (!c->json)
            printf("%-16s %s\n", key, json_is_string(v) ? json_string_value(v) : text ? text : "-");
        free(text);
    }
    json_decref(j);
}

static json_t *arm_json(const struct arm *a)
{
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "answers", (json_int_t)a->requests, "errors",
                     (json_int_t)a->errors, "p50_ms", arm_quantile_ms(a, 0.5), "p95_ms",
                     arm_quantile_ms(a, 0.95), "p99_ms", arm_quantile_ms(a, 0.99));
}

// The evidence for the next rung, and both arms of the last hour of the present stay.
static int add_evidence(const struct cli_env *env, const struct route *r, json_t *j, struct err *e)
{
    struct ladder limits = ladder_resolve(&r->ladder, env->conf);
    struct ladder_evidence v;
    struct arm arms[2];
    if (control_evidence(env->control, r->name, false, &v, e) ||
        control_arm(env->control, r->name, SIDE_LEGACY, 3600, &arms[SIDE_LEGACY], e) ||
        control_arm(env->control, r->name, SIDE_NEW, 3600, &arms[SIDE_NEW], e))
        return -1;
    json_object_set_new(j, "evidence", ladder_evidence_json(&limits, &v));
    json_object_set_new(j, "legacy_arm", arm_json(&arms[SIDE_LEGACY]));
    json_object_set_new(j, "new_arm", arm_json(&arms[SIDE_NEW]));
    return 0;
}

static int run_show(const struct cli *c)
{
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    const struct route *r = route_find(env.table, str_of(c->args[0]));
    if (!r) {
        fprintf(stderr, "ficus route show: no route '%s'; ficus route list shows them\n",
                c->args[0]);
        status = EXIT_USAGE;
    } else {
        json_t *j = route_json(r);
        struct err e = {0};
        if (add_evidence(&env, r, j, &e)) {
            json_decref(j);
            status = cli_fail(&e);
        } else {
            route_print(c, j);
        }
    }
    cli_env_close(&env);
    return status;
}

static const struct command_option list_options[] = {
    {"idle", 'i', "DAYS", "Only routes that were not used for so many days."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_commands[] = {
    {"route list", "", "List the routes with their stages",
     "Lists every route with its stage, canary share, who set it, the shadow evidence, and how\n"
     "often and when last it was used. With --idle N only those without a use for N days: what may\n"
     "be retired.",
     list_options, 0, 0, run_list},
    {"route show", "ROUTE", "Show one route",
     "Shows a route's definition and state, the evidence for the next rung and what is missing of\n"
     "it, and for the last hour answers, errors and durations of both arms.",
     NULL, 1, 1, run_show},
    {"route history", "[ROUTE]", "Show who moved which route, when and why",
     "Shows every change of stage, oldest first.", NULL, 0, 1, run_history},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
