// SPDX-License-Identifier: Apache-2.0
// ficus cutover, ficus rollback: ask for a transfer and watch it. The work is done by the
// coordinator in ficus sync, so a lost terminal or Ctrl-C changes nothing.
#include "base/clock.h"
#include "cdc/transfer.h"
#include "cli/tables.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

static const struct group *find_group(const struct cli *c, const struct cli_env *env)
{
    const struct group *g = group_find(env->table, str_of(c->args[0]));
    if (g)
        return g;
    fprintf(stderr, "ficus %s: no group '%s'; there are:", c->command->words, c->args[0]);
    for (size_t i = 0; i < group_count(env->table); i++)
        fprintf(stderr, " %s", group_at(env->table, i)->name);
    fputc('\n', stderr);
    return NULL;
}

static int dry_run(const struct cli *c, const struct cli_env *env, const struct group *g,
                   enum side to)
{
    struct guard guards[TRANSFER_GUARDS_MAX];
    struct err e = {0};
    size_t n = 0, failed = 0;
    if (transfer_guards(env->control, env->conf, env->table, g, to, guards, &n, &e))
        return cli_fail(&e);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        failed += !guards[i].passed;
        json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s}", "name", guards[i].name,
                                              "passed", (int)guards[i].passed, "figure",
                                              guards[i].figure, "mend", guards[i].mend));
        if (!c->json)
            printf("%-10s %-7s %s%s%s\n", guards[i].name, guards[i].passed ? "ok" : "REFUSES",
                   guards[i].figure,
                   guards[i].passed ? "" : "\n                   mend: ", guards[i].mend);
    }
    if (c->json) {
        char *text = json_dumps(list, JSON_INDENT(2));
        puts(text ? text : "[]");
        free(text);
    } else {
        printf("\nSteps: hold writes of %s, seal %s, send a marker through %zu topics, wait for"
               " %s to commit it,\n       open %s, flip the owner, release the held writes."
               " Nothing was done.\n",
               g->name, side_name(side_other(to)), g->nentities, side_name(to), side_name(to));
    }
    json_decref(list);
    return failed ? EXIT_DIFFERENT : EXIT_OK;
}

struct watch {
    struct control *control;
    long long id;
    bool quiet;
    size_t shown;
    char outcome[16];
    char *receipt; // owned
};

static void show_steps(struct watch *w, const struct value *steps)
{
    json_t *list = json_loadb(steps->data, steps->len, 0, NULL);
    for (; w->shown < json_array_size(list); w->shown++) {
        const json_t *s = json_array_get(list, w->shown);
        const json_t *first = json_array_get(list, 0);
        if (!w->quiet)
            fprintf(stderr, "%8lld ms  %-9s %s\n",
                    (long long)(json_integer_value(json_object_get(s, "at_ms")) -
                                json_integer_value(json_object_get(first, "at_ms"))),
                    json_string_value(json_object_get(s, "step")),
                    json_string_value(json_object_get(s, "detail")));
    }
    json_decref(list);
}

// 1 when the transfer has ended.
static int watch_once(struct watch *w, struct err *e)
{
    char id[24];
    struct rows rows;
    struct pg_conn *pg = control_pg(w->control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = -1;
    snprintf(id, sizeof id, "%lld", w->id);
    struct value p = value_set(str_of(id));
    if (pg && !a)
        err_memory(e);
    if (a && pg_query(pg,
                      STR("SELECT steps, coalesce(outcome, ''), coalesce(receipt::text, '')"
                          " FROM ficus.transfer WHERE id = $1::bigint"),
                      &p, 1, a, &rows, e) == 0) {
        if (rows.nrows != 1) {
            err_set(e, ERR_NOT_FOUND, "transfer %lld is gone from the control store", w->id);
        } else {
            show_steps(w, &rows.cells[0]);
            result = str_copy(w->outcome, sizeof w->outcome, value_str(rows.cells[1])) ? -1
                     : w->outcome[0]                                                   ? 1
                                                                                       : 0;
            if (result == 1)
                w->receipt = strndup(rows.cells[2].data, rows.cells[2].len);
        }
    }
    arena_destroy(a);
    return result;
}

static void print_receipt(const struct watch *w, bool json)
{
    json_t *r = json_loads(w->receipt ? w->receipt : "{}", 0, NULL);
    if (json) {
        json_object_set_new(r, "outcome", json_string(w->outcome));
        char *text = json_dumps(r, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
    } else {
        const char *why = json_string_value(json_object_get(r, "why"));
        printf("transfer %lld: %s; group %s, target %s, epoch %lld, pause %.1f ms%s%s\n", w->id,
               w->outcome, json_string_value(json_object_get(r, "group")),
               json_string_value(json_object_get(r, "target")),
               (long long)json_integer_value(json_object_get(r, "epoch")),
               json_real_value(json_object_get(r, "pause_ms")), why && *why ? "; " : "",
               why ? why : "");
    }
    json_decref(r);
}

static int watch(const struct cli *c, struct cli_env *env, long long id)
{
    struct watch w = {.control = env->control, .id = id, .quiet = c->json};
    struct err e = {0};
    int ended = 0;
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &sa, NULL);
    while ((ended = watch_once(&w, &e)) == 0 && !interrupted)
        clock_sleep_ms(50);
    if (ended < 0)
        return cli_fail(&e);
    if (!ended) {
        fprintf(stderr,
                "\nThe transfer goes on without this terminal (id %lld)."
                "\n  watch it:  ficus status\n  undo it:   ficus cutover %s --abort\n",
                id, c->args[0]);
        return EXIT_DIFFERENT;
    }
    print_receipt(&w, c->json);
    free(w.receipt);
    return strcmp(w.outcome, "done") == 0 ? EXIT_OK : EXIT_DIFFERENT;
}

static int ask_abort(const struct cli *c, struct cli_env *env, const struct group *g)
{
    struct err e = {0};
    struct rows rows;
    long long id;
    struct value p = value_set(str_of(g->name));
    struct pg_conn *pg = control_pg(env->control, &e);
    struct arena *a = arena_create(0);
    int status = EXIT_OK;
    if (!pg || !a ||
        pg_query(pg,
                 STR("UPDATE ficus.transfer SET options = options || '{\"abort\":true}'"
                     " WHERE grp = $1 AND outcome IS NULL RETURNING id"),
                 &p, 1, a, &rows, &e)) {
        status = cli_fail(&e);
    } else if (rows.nrows == 0) {
        fprintf(stderr, "ficus: no transfer of group %s is under way\n", g->name);
        status = EXIT_DIFFERENT;
    } else if (str_to_int(value_str(rows.cells[0]), 1, INT64_MAX, &id)) {
        watch(c, env, id); // an abort that ends as "aborted" is what was asked for
    }
    arena_destroy(a);
    return status;
}

static int run(const struct cli *c, enum side to, const char *kind)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    const struct group *g = find_group(c, &env);
    const char *why = cli_option(c, "why");
    if (!g) {
        status = EXIT_USAGE;
    } else if (cli_flag(c, "abort")) {
        status = ask_abort(c, &env, g);
    } else if (g->owner == to) {
        fprintf(stderr, "ficus %s: %s already owns group %s (epoch %lld)\n", kind, side_name(to),
                g->name, g->epoch);
        status = EXIT_DIFFERENT;
    } else if (cli_flag(c, "dry-run")) {
        status = dry_run(c, &env, g, to);
    } else {
        long long id = transfer_request(env.control, g, to, kind, cli_who(), why ? why : "",
                                        cli_flag(c, "force"), &e);
        status = id < 0 ? cli_fail(&e) : watch(c, &env, id);
    }
    cli_env_close(&env);
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

static const struct command_option options[] = {
    {"dry-run", 'n', NULL, "Print the guards and the steps; change nothing."},
    {"abort", 0, NULL, "Undo the transfer that is under way; the owner stays."},
    {"force", 0, NULL, "Go on although guards refuse; recorded in the receipt."},
    {"why", 'w', "TEXT", "Kept in the history and the receipt."},
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
     "the legacy store before it is opened again.",
     options, 1, 1, run_rollback},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
