// SPDX-License-Identifier: Apache-2.0
// ficus route mismatches|ignore|ignored: what shadow comparisons found, and what is lived with.
#include "cli/listing.h"
#include "cli/tables.h"

#include <stdio.h>

static int run_mismatches(const struct cli *c)
{
    static const char *const headers[] = {"ROUTE", "FIELD", "TIMES",  "LAST", "ID",
                                          "KIND",  "KEY",   "LEGACY", "NEW",  "REQUEST"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = value_set(str_of(c->nargs ? c->args[0] : ""));
    // Of the last stay that compared, as the guard "evidence" looks at it.
    status = listing_print(
        env.control,
        "SELECT m.route, m.field, count(*) AS times, to_char(max(m.at) AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD HH24:MI:SS') AS last, max(m.id) AS id,"
        " (array_agg(m.kind ORDER BY m.id DESC))[1] AS kind, (array_agg(m.k ORDER BY m.id DESC))[1] AS key,"
        " (array_agg(m.legacy_value ORDER BY m.id DESC))[1] AS legacy,"
        " (array_agg(m.new_value ORDER BY m.id DESC))[1] AS new,"
        " (array_agg(m.request ORDER BY m.id DESC))[1] AS request"
        " FROM ficus.mismatch m JOIN (SELECT r.route, coalesce(max(s.stage_since), r.changed_at)"
        " AS since FROM ficus.route_state r LEFT JOIN ficus.shadow_stat s ON s.route = r.route AND"
        " matched + ignored + mismatched > 0 AND r.stage <> 'shadow' GROUP BY r.route) t"
        " ON t.route = m.route AND m.at >= t.since WHERE $1 = '' OR m.route = $1 GROUP BY m.route, m.field"
        " ORDER BY m.route, count(*) DESC",
        &p, 1, headers, "no mismatches since the routes came to their stages", c->json);
    cli_env_close(&env);
    return status;
}

static int run_ignored(const struct cli *c)
{
    static const char *const headers[] = {"ROUTE", "FIELD", "WHAT", "UNTIL", "BY", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = listing_print(
        env.control,
        "SELECT route, field, CASE WHEN any_value THEN 'any difference' ELSE 'what the policy"
        " explains' END AS what, to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " || CASE WHEN expires_at < now() THEN ' (over)' ELSE '' END AS until, who AS by, why"
        " FROM ficus.ignore_rule ORDER BY route, field",
        NULL, 0, headers, "no differences are ignored", c->json);
    cli_env_close(&env);
    return status;
}

// Field and its policy must exist: a rule that can never hold is a mistake.
static int check_field(const struct cli *c, const struct cli_env *env)
{
    const struct route *r = route_find(env->table, str_of(c->args[0]));
    const struct field *f = r ? entity_field(r->entity, str_of(c->args[1])) : NULL;
    if (!r)
        fprintf(stderr, "ficus route ignore: no route '%s'; ficus route list shows them\n",
                c->args[0]);
    else if (!f)
        fprintf(stderr, "ficus route ignore: entity '%s' has no field '%s'\n", r->entity->name,
                c->args[1]);
    return r && f ? EXIT_OK : EXIT_USAGE;
}

static int run_ignore(const struct cli *c)
{
    const char *why = cli_option(c, "why");
    struct cli_env env;
    struct err e = {0};
    long long days;
    int status;
    if (!cli_flag(c, "end") && (!why || !*why)) {
        fprintf(stderr, "ficus route ignore: --why is required; it is kept\n");
        return EXIT_USAGE;
    }
    if (cli_option_int(c, "days", 1, 365, 30, &days))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    status = check_field(c, &env);
    struct control_ignore rule = {.route = c->args[0],
                                  .field = c->args[1],
                                  .any_value = cli_flag(c, "any"),
                                  .days = cli_flag(c, "end") ? 0 : (unsigned)days};
    if (status == EXIT_OK &&
        (control_open(conf_str(env.conf, "control.conninfo"), "ficus", &env.control, &e) ||
         control_set_ignore(env.control, &rule, cli_who(), why ? why : "", &e)))
        status = cli_fail(&e);
    else if (status == EXIT_OK && c->json)
        printf("{\"route\": \"%s\", \"field\": \"%s\", \"days\": %u}\n", rule.route, rule.field,
               rule.days);
    else if (status == EXIT_OK && rule.days)
        printf("%s of %s is ignored for %u days; the route's evidence begins anew\n", rule.field,
               rule.route, rule.days);
    else if (status == EXIT_OK)
        printf("%s of %s counts again; the route's evidence begins anew\n", rule.field, rule.route);
    cli_env_close(&env);
    return status;
}

static const struct command_option ignore_options[] = {
    {"why", 'w', "TEXT", "Why the difference may stay; kept. Required, but for --end."},
    {"days", 'd', "N", "For how long, 1 to 365 days; 30 if not given."},
    {"any", 'a', NULL, "Every difference in the field, not only what its policy explains."},
    {"end", 'e', NULL, "End the rule: the field counts again."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_evidence_commands[] = {
    {"route mismatches", "[ROUTE]", "Show what shadow comparisons found to differ",
     "Shows, by route and field, the differences between the sides that no lag explains, with\n"
     "one example each, since the route came to its stage. Personal values are shown by length.",
     NULL, 0, 1, run_mismatches},
    {"route ignore", "ROUTE FIELD", "Live with a difference in one field, until a day",
     "Comparisons that differ only in ignored fields count as ignored, not as mismatch. Unless\n"
     "--any is given only values are ignored that the legacy holds and the field's type cannot,\n"
     "such as a zero date, where the new side holds what the field's policy makes of them. The\n"
     "evidence of the route begins anew.",
     ignore_options, 2, 2, run_ignore},
    {"route ignored", "", "Show which differences are lived with",
     "Shows the rules that ficus route ignore made, until when they hold, by whom and why.", NULL,
     0, 0, run_ignored},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
