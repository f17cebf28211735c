// SPDX-License-Identifier: Apache-2.0
// ficus cutover, ficus rollback, ficus complete: what is asked of the coordinator about a group.
// The work is done in ficus sync, so a lost terminal or Ctrl-C changes nothing.
#include "cdc/transfer/transfer.h"
#include "cli/identity.h"
#include "cli/tables.h"
#include "cli/transfer_watch.h"

#include <stdio.h>
#include <stdlib.h>

// A command about one group. Opened by begin(), closed by end().
struct request {
    const struct cli *c;
    struct cli_env env;
    const struct group *group;
    struct cli_actor actor; // of what changes state
};

static int begin(struct request *r, const struct cli *c)
{
    int status;
    r->c = c;
    if (cli_env_open(c, NEED_STATE, &r->env, &status))
        return status;
    if ((r->group = group_find(r->env.table, str_of(c->args[0]))))
        return EXIT_OK;
    fprintf(stderr, "ficus %s: no group '%s'; there are:", c->command->words, c->args[0]);
    for (size_t i = 0; i < group_count(r->env.table); i++)
        fprintf(stderr, " %s", group_at(r->env.table, i)->name);
    fputc('\n', stderr);
    cli_env_close(&r->env);
    return EXIT_USAGE;
}

// Who asks, and may. An exit status.
static int identify(struct request *r)
{
    return cli_flag(r->c, "force") || cli_flag(r->c, "approve")
               ? cli_identify_approver(&r->env, &r->actor)
               : cli_identify(&r->env, ROLE_OPERATOR, &r->actor);
}

static void print_json(json_t *owned)
{
    char *text = json_dumps(owned, JSON_INDENT(2));
    puts(text ? text : "null");
    free(text);
    json_decref(owned);
}

static size_t print_guards(const struct guard *g, size_t n, bool quiet)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        failed += !g[i].passed;
        if (!quiet)
            printf("%-10s %-7s %s%s%s\n", g[i].name, g[i].passed ? "ok" : "REFUSES", g[i].figure,
                   g[i].passed ? "" : "\n                   mend: ", g[i].mend);
    }
    return failed;
}

// ---------------------------------------------------------------- dry run

// One number of one row, -1: there is none, or `e`.
static double number_of(const struct request *r, const char *sql, struct err *e)
{
    struct rows rows;
    struct value p = value_set(str_of(r->group->name));
    struct pg_conn *pg = control_pg(r->env.control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    char text[64];
    double n = -1;
    if (a && pg_query(pg, str_of(sql), &p, 1, a, &rows, e) == 0 && rows.nrows == 1 &&
        rows.cells[0].state == VALUE_SET &&
        str_copy(text, sizeof text, value_str(rows.cells[0])) == 0)
        n = strtod(text, NULL);
    arena_destroy(a);
    return n;
}

// What earlier transfers took, of this group or else of any: median, -1 when there was none.
static double expected_pause_ms(const struct request *r, struct err *e)
{
    return number_of(r,
                     "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY"
                     " (receipt->>'pause_ms')::float8) FROM (SELECT receipt FROM ficus.transfer"
                     " WHERE outcome = 'done' AND (receipt->>'pause_ms')::float8 > 0"
                     " ORDER BY grp <> $1, id DESC LIMIT 9) AS t",
                     e);
}

// How long the slowest facade's writes waited for the other side.
static double dual_p99_ms(const struct request *r, struct err *e)
{
    return !r->group->dual
               ? -1
               : number_of(r,
                           "SELECT coalesce(max((detail->'dual'->$1->>'p99_ms')::float8), 0)"
                           " FROM ficus.instance WHERE kind = 'serve'",
                           e);
}

// The way of a marker is the part of a pause that can be measured before there was one.
static double marker_ms(const struct guard *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (g[i].passed && g[i].took_ms > 0)
            return g[i].took_ms;
    return -1;
}

static void print_steps(const struct request *r, enum side to, double pause_ms, double dual_ms,
                        bool from_marker)
{
    const struct conf *conf = r->env.conf;
    printf("\nSteps: hold writes of %s, seal %s, send a marker through %zu topics, wait for"
           " %s to commit it,\n       open %s, flip the owner, release the held writes."
           " Nothing was done.\n",
           r->group->name, side_name(side_other(to)), r->group->nentities, side_name(to),
           side_name(to));
    if (pause_ms < 0)
        printf(
            "Pause: no transfer was done yet to tell from, and no marker came back; given up after %lld ms of draining\n"
            "       (cutover.drain_ms).\n",
            conf_int(conf, "cutover.drain_ms"));
    else
        printf("Pause: about %.0f ms, %s; given up after %lld ms of draining\n"
               "       (cutover.drain_ms).\n",
               pause_ms,
               from_marker ? "as a marker took just now, and writes in flight"
                           : "as the last ones took",
               conf_int(conf, "cutover.drain_ms"));
    if (dual_ms >= 0)
        printf("Dual: writes wait for the other side, whichever that is, for at most %lld ms\n"
               "      (dual.wait_ms); 99 %% had arrived within %.1f ms.\n",
               conf_int(conf, "dual.wait_ms"), dual_ms);
    if (r->group->approval)
        puts("A second person has to approve it.");
}

static int dry_run(struct request *r, enum side to)
{
    struct guard guards[TRANSFER_GUARDS_MAX];
    struct err e = {0};
    size_t n = 0;
    if (transfer_guards(r->env.control, r->env.conf, r->env.table, r->group, to, guards, &n, &e))
        return cli_fail(&e);
    double pause_ms = expected_pause_ms(r, &e), dual_ms = dual_p99_ms(r, &e);
    if (e.code != ERR_NONE)
        return cli_fail(&e);
    bool from_marker = pause_ms < 0;
    if (from_marker)
        pause_ms = marker_ms(guards, n);
    size_t failed = print_guards(guards, n, r->c->json);
    if (r->c->json)
        print_json(json_pack("{s:o, s:o, s:o, s:b}", "guards", transfer_guards_json(guards, n),
                             "expected_pause_ms", pause_ms < 0 ? json_null() : json_real(pause_ms),
                             "dual_p99_ms", dual_ms < 0 ? json_null() : json_real(dual_ms),
                             "needs_approval", (int)r->group->approval));
    else
        print_steps(r, to, pause_ms, dual_ms, from_marker);
    return failed ? EXIT_DIFFERENT : EXIT_OK;
}

// ---------------------------------------------------------------- requests

static int ask(struct request *r, enum side to, const char *kind)
{
    const struct cli *c = r->c;
    const char *why = cli_option(c, "why"), *note = cli_option(c, "note");
    struct err e = {0};
    struct transfer_request q = {.group = r->group,
                                 .to = to,
                                 .kind = kind,
                                 .who = r->actor.name,
                                 .why = why ? why : "",
                                 .note = note ? note : "",
                                 .at = cli_option(c, "at"),
                                 .force = cli_flag(c, "force"),
                                 .end_holders = cli_flag(c, "end-holders")};
    long long id = transfer_ask(r->env.control, &q, &e);
    if (id < 0)
        return cli_fail(&e);
    if (!q.at && !r->group->approval)
        return transfer_watch(c, r->env.control, id, "done");
    if (c->json)
        print_json(json_pack("{s:I, s:s, s:b}", "transfer", (json_int_t)id, "group", r->group->name,
                             "needs_approval", (int)r->group->approval));
    else
        printf("transfer %lld is on record%s%s%s\n  where it is:  ficus transfers show %lld\n", id,
               q.at ? " for " : "", q.at ? q.at : "",
               r->group->approval ? "; it waits for a second person's --approve" : "", id);
    return EXIT_OK;
}

static int abort_it(struct request *r)
{
    struct err e = {0};
    long long id = transfer_abort(r->env.control, r->group, &e);
    if (id < 0)
        return cli_fail(&e);
    if (id > 0)
        return transfer_watch(r->c, r->env.control, id, "aborted");
    fprintf(stderr, "ficus: no transfer of group %s is under way\n", r->group->name);
    return EXIT_DIFFERENT;
}

static int approve(struct request *r)
{
    struct err e = {0};
    long long id = transfer_approve(r->env.control, r->group, r->actor.name, &e);
    return id < 0 ? cli_fail(&e) : transfer_watch(r->c, r->env.control, id, "done");
}

static int run(const struct cli *c, enum side to, const char *kind)
{
    struct request r;
    int status = begin(&r, c);
    if (status != EXIT_OK)
        return status;
    if (!cli_flag(c, "dry-run"))
        status = identify(&r);
    if (status != EXIT_OK) {
        // said
    } else if (cli_flag(c, "abort")) {
        status = abort_it(&r);
    } else if (cli_flag(c, "approve")) {
        status = approve(&r);
    } else if (r.group->owner == to) {
        fprintf(stderr, "ficus %s: %s already owns group %s (epoch %lld)\n", kind, side_name(to),
                r.group->name, r.group->epoch);
        status = EXIT_DIFFERENT;
    } else {
        status = cli_flag(c, "dry-run") ? dry_run(&r, to) : ask(&r, to, kind);
    }
    cli_env_close(&r.env);
    return status;
}

static int run_cutover(const struct cli *c)
{
    return run(c, SIDE_NEW, "cutover");
}

static int run_rollback(const struct cli *c)
{
    return run(c, SIDE_LEGACY, "rollback");
}

// ---------------------------------------------------------------- complete

static int complete(struct request *r, const char *why)
{
    const struct cli *c = r->c;
    struct transfer_request q = {
        .group = r->group, .who = r->actor.name, .why = why, .force = cli_flag(c, "force")};
    struct guard guards[TRANSFER_GUARDS_MAX];
    size_t n = 0;
    struct err e = {0};
    int result = cli_flag(c, "dry-run") ? transfer_guards(r->env.control, r->env.conf, r->env.table,
                                                          r->group, SIDE_LEGACY, guards, &n, &e)
                                        : transfer_complete(r->env.control, r->env.conf,
                                                            r->env.table, &q, guards, &n, &e);
    size_t failed = print_guards(guards, n, c->json);
    if (c->json)
        print_json(transfer_guards_json(guards, n));
    if (result)
        return cli_fail(&e);
    if (cli_flag(c, "dry-run"))
        return failed ? EXIT_DIFFERENT : EXIT_OK;
    json_t *detail = json_pack("{s:s, s:b, s:o}", "why", why, "forced", (int)q.force, "guards",
                               transfer_guards_json(guards, n));
    result = control_audit(r->env.control, q.who, "complete", r->group->name, detail, &e);
    json_decref(detail);
    if (result)
        return cli_fail(&e);
    fprintf(
        stderr,
        "group %s is complete: the legacy stays sealed as it is, and follows no more once ficus sync"
        " has seen this (ficus status)\n",
        r->group->name);
    return EXIT_OK;
}

static int run_complete(const struct cli *c)
{
    struct request r;
    const char *why = cli_option(c, "why");
    if (!cli_flag(c, "dry-run") && (!why || !*why)) {
        fputs("ficus complete: --why is required; there is no way back from it\n", stderr);
        return EXIT_USAGE;
    }
    int status = begin(&r, c);
    if (status != EXIT_OK)
        return status;
    if (!cli_flag(c, "dry-run"))
        status = identify(&r);
    if (status == EXIT_OK)
        status = complete(&r, why ? why : "");
    cli_env_close(&r.env);
    return status;
}

static const struct command_option options[] = {
    {"dry-run", 'n', NULL, "Print the guards, the steps and the expected pause; change nothing."},
    {"at", 0, "TIME", "Begin then, not now: 2026-11-30T03:00:00+01:00."},
    {"approve", 0, NULL, "Consent to the transfer that waits for a second person."},
    {"abort", 0, NULL, "Give up the transfer that is under way or waits; the owner stays."},
    {"force", 0, NULL,
     "Go on although guards refuse; recorded in the receipt. Needs an approver where\n"
     "admin.tokens names persons."},
    {"end-holders", 0, NULL,
     "End sessions that keep the fence from being sealed for half of cutover.drain_ms."},
    {"why", 'w', "TEXT", "Kept in the history and the receipt."},
    {"note", 0, "TEXT", "A maintenance note, kept beside the reason."},
    {NULL, 0, NULL, NULL},
};

static const struct command_option complete_options[] = {
    {"dry-run", 'n', NULL, "Print the guards; change nothing."},
    {"force", 0, NULL,
     "Go on although guards refuse; recorded in the audit. Needs an approver where\n"
     "admin.tokens names persons."},
    {"why", 'w', "TEXT", "Kept in the audit. Required."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_cutover_commands[] = {
    {"cutover", "GROUP", "Give a group's writes to the new side",
     "Checks the guards, holds new writes of the group in every facade, seals the legacy store,\n"
     "waits until the new store has committed everything, opens it and flips the owner. Clients\n"
     "see a slow request, never a failed one. The coordinator in ficus sync does the work; this\n"
     "command watches. Interrupting it changes nothing.",
     options, 1, 1, run_cutover},
    {"rollback", "GROUP", "Give a group's writes back to the legacy side",
     "The same procedure with the sides exchanged: every write that the new side accepted is in\n"
     "the legacy store before it is opened again. ficus status shows whether it is possible.",
     options, 1, 1, run_rollback},
    {"complete", "GROUP", "End the way back of a group",
     "Ends the stream that keeps the legacy up to date with a group that the new side owns. The\n"
     "legacy keeps what it has, sealed; a rollback is refused from then on, and nothing undoes\n"
     "this. The guards of a rollback have to pass: they prove that the legacy has everything.",
     complete_options, 1, 1, run_complete},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
