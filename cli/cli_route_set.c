// SPDX-License-Identifier: Apache-2.0
// ficus route set|approve|withdraw|proposals: moves along the ladder.
#include "cli/identity.h"
#include "cli/listing.h"
#include "cli/tables.h"
#include "routes/control_ladder.h"

#include <stdio.h>
#include <stdlib.h>

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

struct list {
    struct route_change changes[STAGE_CHANGES_MAX];
    size_t n;
};

static int add_change(struct list *l, const struct route *r, enum stage to, long bp)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->changes[i].route == r)
            return 0;
    if (l->n == STAGE_CHANGES_MAX) {
        fprintf(stderr, "ficus route set: at most %d routes in one step\n", STAGE_CHANGES_MAX);
        return -1;
    }
    l->changes[l->n++] = (struct route_change){r, to, (unsigned)bp};
    return 0;
}

static int add_names(struct list *l, const struct cli_env *env, const char *names, enum stage to,
                     long bp)
{
    if (strcmp(names, "all") == 0) {
        for (size_t i = 0; i < route_count(env->table); i++)
            if (add_change(l, route_at(env->table, i), to, bp))
                return -1;
        return 0;
    }
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        const struct route *r = route_find(env->table, str_n(p, n));
        if (!r) {
            fprintf(stderr, "ficus route set: no route '%.*s'; ficus route list shows them\n",
                    (int)n, p);
            return -1;
        }
        if (add_change(l, r, to, bp))
            return -1;
        p += n + (p[n] == ',');
    }
    return 0;
}

// "a,b" or "all", stage, percentage -> changes. -1 with a message.
static int changes_from(const struct cli *c, const struct cli_env *env, struct list *l)
{
    enum stage to;
    long bp = 0;
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
    return add_names(l, env, c->args[0], to, bp);
}

static int propose(const struct cli *c, struct control *control, const struct stage_order *o)
{
    struct err e = {0};
    long long id;
    if (control_propose(control, o, &id, &e))
        return cli_fail(&e);
    if (c->json)
        printf("{\"changed\": 0, \"proposal\": %lld}\n", id);
    else
        printf("proposal %lld waits for a second person: ficus route approve %lld\n", id, id);
    return EXIT_DIFFERENT;
}

static int carry_out(const struct cli *c, struct cli_env *env, const struct list *l,
                     const struct cli_actor *who)
{
    struct err e = {0};
    struct stage_order o = {.changes = l->changes,
                            .n = l->n,
                            .conf = env->conf,
                            .who = who->name,
                            .why = cli_option(c, "why"),
                            .force = cli_flag(c, "force")};
    if (control_open(conf_str(env->conf, "control.conninfo"), "ficus", &env->control, &e))
        return cli_fail(&e);
    if (control_needs_approval(env->control, &o, &e))
        return propose(c, env->control, &o);
    if (e.code || control_set_stages(env->control, &o, &e))
        return cli_fail(&e);
    if (c->json)
        printf("{\"changed\": %zu, \"stage\": \"%s\"}\n", l->n, c->args[1]);
    else
        printf("%zu route%s now at stage %s\n", l->n, l->n == 1 ? "" : "s", c->args[1]);
    return EXIT_OK;
}

static int run_set(const struct cli *c)
{
    struct cli_env env;
    struct list *l;
    struct cli_actor who;
    const char *why = cli_option(c, "why");
    int status;
    if (!why || !*why) {
        fprintf(stderr, "ficus route set: --why is required; it is kept in the history\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    l = calloc(1, sizeof *l);
    if (!l || changes_from(c, &env, l))
        status = l ? EXIT_USAGE : EXIT_INTERNAL;
    else if (!(status = cli_identify(&env, cli_flag(c, "force") ? ROLE_APPROVER : ROLE_OPERATOR,
                                     &who)))
        status = carry_out(c, &env, l, &who);
    free(l);
    cli_env_close(&env);
    return status;
}

static int decide(const struct cli *c, bool approve)
{
    struct cli_env env;
    struct cli_actor who;
    struct err e = {0};
    long long id;
    int status;
    if (!str_to_int(str_of(c->args[0]), 1, INT64_MAX, &id)) {
        fprintf(stderr, "ficus: a proposal has a number; ficus route proposals\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = approve ? cli_identify_approver(&env, &who) : cli_identify(&env, ROLE_OPERATOR, &who);
    if (status == EXIT_OK &&
        control_decide(env.control, id, approve, env.table, env.conf, who.name, &e))
        status = cli_fail(&e);
    else if (status == EXIT_OK && c->json)
        printf("{\"proposal\": %lld, \"outcome\": \"%s\"}\n", id, approve ? "done" : "withdrawn");
    else if (status == EXIT_OK)
        printf("proposal %lld is %s\n", id, approve ? "carried out" : "withdrawn");
    cli_env_close(&env);
    return status;
}

static int run_approve(const struct cli *c)
{
    return decide(c, true);
}

static int run_withdraw(const struct cli *c)
{
    return decide(c, false);
}

static int run_proposals(const struct cli *c)
{
    static const char *const headers[] = {"ID", "AT", "WHO", "CHANGES", "OUTCOME", "BY", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = listing_print(
        env.control,
        "SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, who,"
        " (SELECT string_agg((x->>'route') || ' ' || (x->>'stage') || CASE WHEN x->>'stage' ="
        " 'canary' THEN ' ' || round((x->>'canary_bp')::int / 100.0, 2) ELSE '' END, ', ')"
        " FROM jsonb_array_elements(changes) x) AS changes, coalesce(outcome, 'waits') AS outcome,"
        " decided_by AS by, why FROM ficus.proposal ORDER BY id DESC LIMIT 100",
        NULL, 0, headers, "no proposals", c->json);
    cli_env_close(&env);
    return status;
}

static const struct command_option set_options[] = {
    {"why", 'w', "TEXT", "Why the routes change; kept in the history. Required."},
    {"force", 'f', NULL, "Climb without evidence; needs the role approver and is recorded."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_set_commands[] = {
    {"route set", "ROUTE[,ROUTE..]|all STAGE [PERCENT]", "Move routes along the ladder",
     "Moves routes to a stage in one atomic step: one rung up (legacy, shadow, canary, new,\n"
     "retired) or any rung down; a canary may change its percentage (hundredths allowed). A\n"
     "climb to canary or new is refused unless the shadow comparisons prove it: the lower end\n"
     "of the match rate's 95 % interval, their number, and each kind of read and answer that\n"
     "clients used (section ladder of the configuration, or the route's own \"ladder\"). A climb\n"
     "in a group with \"approval\": \"two\" waits for a second person. Every facade follows within\n"
     "moments, without a restart and without a failed request.",
     set_options, 2, 3, run_set},
    {"route approve", "PROPOSAL", "Carry out a promotion that someone else asked for",
     "Carries out a promotion that waits for a second person; its evidence is judged now. The\n"
     "one who asked cannot approve.",
     NULL, 1, 1, run_approve},
    {"route withdraw", "PROPOSAL", "Take a waiting promotion back",
     "Ends a promotion that waits for a second person.", NULL, 1, 1, run_withdraw},
    {"route proposals", "", "Show promotions that wait, or waited, for a second person",
     "Lists the last hundred proposals, newest first.", NULL, 0, 0, run_proposals},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
