// SPDX-License-Identifier: Apache-2.0
// ficus route list|show|set|explain|history
#include "cli/listing.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

static int run_list(const struct cli *c)
{
    static const char *const headers[] = {"ROUTE", "STAGE",   "CANARY %", "SINCE",
                                          "BY",    "MATCHED", "MISMATCH", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = listing_print(
        env.control,
        "SELECT r.route, r.stage, round(r.canary_bp / 100.0, 2) AS canary_percent,"
        " to_char(r.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since,"
        " r.changed_by AS by, (SELECT coalesce(sum(matched), 0) FROM ficus.shadow_stat s"
        " WHERE s.route = r.route) AS matched, (SELECT coalesce(sum(mismatched), 0)"
        " FROM ficus.shadow_stat s WHERE s.route = r.route) AS mismatched, r.why"
        " FROM ficus.route_state r ORDER BY r.route",
        NULL, 0, headers, "no routes are registered; ficus migrate up registers them", c->json);
    cli_env_close(&env);
    return status;
}

static int run_history(const struct cli *c)
{
    static const char *const headers[] = {"AT", "ROUTE", "FROM", "TO", "CANARY %", "WHO", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = value_set(str_of(c->nargs ? c->args[0] : ""));
    status = listing_print(
        env.control,
        "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, route,"
        " from_stage, to_stage, round(to_bp / 100.0, 2) AS canary_percent, who, why"
        " FROM ficus.route_history WHERE $1 = '' OR route = $1 ORDER BY id",
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

static void print_json(json_t *j)
{
    char *text = json_dumps(j, JSON_INDENT(2));
    puts(text ? text : "{}");
    free(text);
    json_decref(j);
}

static void print_pairs(json_t *j)
{
    const char *key;
    json_t *v;
    json_object_foreach(j, key, v)
    {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        printf("%-16s %s\n", key, json_is_string(v) ? json_string_value(v) : text ? text : "-");
        free(text);
    }
    json_decref(j);
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
    } else if (c->json) {
        print_json(route_json(r));
    } else {
        print_pairs(route_json(r));
    }
    cli_env_close(&env);
    return status;
}

static int run_explain(const struct cli *c)
{
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    const struct route *r = route_find(env.table, str_of(c->args[0]));
    if (!r) {
        fprintf(stderr, "ficus route explain: no route '%s'; ficus route list shows them\n",
                c->args[0]);
        cli_env_close(&env);
        return EXIT_USAGE;
    }
    struct str key = str_of(c->args[1]);
    enum side read = r->group && r->group->owner == SIDE_NEW ? SIDE_NEW : route_read_side(r, key);
    json_t *j = route_json(r);
    json_object_set_new(j, "key", json_string(c->args[1]));
    json_object_set_new(j, "bucket", json_integer(route_bucket(r, key)));
    json_object_set_new(j, "read_by", json_string(side_name(read)));
    json_object_set_new(j, "write_by",
                        json_string(side_name(r->group ? r->group->owner : SIDE_LEGACY)));
    json_object_set_new(j, "table_version", json_integer(route_table_version(env.table)));
    if (c->json)
        print_json(j);
    else
        print_pairs(j);
    cli_env_close(&env);
    return status;
}

// "12.5" per cent -> 1250; -1 when it is none.
static long percent_bp(const char *text)
{
    const char *dot = strchr(text, '.');
    struct str whole = dot ? str_n(text, (size_t)(dot - text)) : str_of(text);
    struct str part = dot ? str_of(dot + 1) : STR("0");
    long long w, f;
    if (part.len < 1 || part.len > 2 || !str_to_int(whole, 0, 100, &w) ||
        !str_to_int(part, 0, 99, &f))
        return -1;
    long bp = (long)(w * 100 + (part.len == 1 ? f * 10 : f));
    return bp <= 10000 ? bp : -1;
}

#define CHANGES_MAX 256

// "a,b" or "all" -> changes. Returns the count, -1 with a message.
static long changes_from(const struct cli *c, const struct cli_env *env, char *list,
                         struct route_change *out)
{
    enum stage to;
    long bp = 0;
    size_t n = 0;
    if (stage_from(str_of(c->args[1]), &to)) {
        fprintf(stderr, "ficus route set: no stage '%s'; legacy, shadow, canary, new, retired\n",
                c->args[1]);
        return -1;
    }
    if (to == STAGE_CANARY && (c->nargs < 3 || (bp = percent_bp(c->args[2])) < 0)) {
        fprintf(stderr, "ficus route set: canary needs a percentage, 0 to 100 with at most two"
                        " decimals\n");
        return -1;
    }
    if (strcmp(list, "all") == 0) {
        for (size_t i = 0; i < route_count(env->table) && n < CHANGES_MAX; i++)
            out[n++] = (struct route_change){route_at(env->table, i)->name, to, (unsigned)bp};
        return (long)n;
    }
    for (char *p = list, *next; p && n < CHANGES_MAX; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = 0;
        if (!route_find(env->table, str_of(p))) {
            fprintf(stderr, "ficus route set: no route '%s'; ficus route list shows them\n", p);
            return -1;
        }
        out[n++] = (struct route_change){p, to, (unsigned)bp};
    }
    return (long)n;
}

static int run_set(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    struct route_change changes[CHANGES_MAX];
    const char *why = cli_option(c, "why");
    int status;
    if (!why || !*why) {
        fprintf(stderr, "ficus route set: --why is required; it is kept in the history\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    char *list = strdup(c->args[0]);
    long n = list ? changes_from(c, &env, list, changes) : -1;
    if (n < 0)
        status = EXIT_USAGE;
    else if (control_open(conf_str(env.conf, "control.conninfo"), "ficus", &env.control, &e) ||
             control_set_stages(env.control, changes, (size_t)n, cli_who(), why, &e))
        status = cli_fail(&e);
    else if (c->json)
        printf("{\"changed\": %ld, \"stage\": \"%s\"}\n", n, c->args[1]);
    else
        printf("%ld route%s now at stage %s\n", n, n == 1 ? "" : "s", c->args[1]);
    free(list);
    cli_env_close(&env);
    return status;
}

static const struct command_option set_options[] = {
    {"why", 'w', "TEXT", "Why the routes change; kept in the history. Required."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_commands[] = {
    {"route list", "", "List the routes with their stages",
     "Lists every route with its stage, canary share, who set it and the shadow evidence.", NULL, 0,
     0, run_list},
    {"route show", "ROUTE", "Show one route",
     "Shows a route's definition and state: backends, stage, group, owner and epoch.", NULL, 1, 1,
     run_show},
    {"route set", "ROUTE[,ROUTE..]|all STAGE [PERCENT]", "Move routes along the ladder",
     "Moves routes to a stage in one atomic step: one rung up (legacy, shadow, canary, new,\n"
     "retired) or any rung down; a canary may change its percentage. Every facade follows\n"
     "within moments, without a restart and without a failed request.",
     set_options, 2, 3, run_set},
    {"route explain", "ROUTE KEY", "Say who answers for a record",
     "Says which side reads and writes the record with this key now, its canary bucket\n"
     "(0 to 9999), owner, epoch and table version.",
     NULL, 2, 2, run_explain},
    {"route history", "[ROUTE]", "Show who moved which route, when and why",
     "Shows every change of stage, oldest first.", NULL, 0, 1, run_history},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
