// SPDX-License-Identifier: Apache-2.0
// ficus rehearse: test records through a group's streams, and what was found (cdc/transfer/rehearse.h).
#include "cdc/transfer/rehearse.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *report(const struct rehearsal *r, bool good)
{
    json_t *list = json_array();
    for (size_t i = 0; r->findings && i < r->n; i++) {
        const struct finding *f = &r->findings[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:s}", "direction", f->direction, "entity",
                              f->entity, "check", f->check, "passed", (int)f->passed, "figure",
                              f->figure);
        if (o && f->ms >= 0)
            json_object_set_new(o, "ms", json_real(f->ms));
        json_array_append_new(list, o);
    }
    return json_pack("{s:s, s:b, s:b, s:o}", "group", r->group->name, "passed", (int)good,
                     "switched", (int)r->switch_owner, "findings", list);
}

static size_t print(const struct rehearsal *r, bool quiet)
{
    size_t failed = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct finding *f = &r->findings[i];
        failed += !f->passed;
        if (!quiet)
            printf("%-7s %-12s %-20s %-9s %s\n", f->passed ? "ok" : "FAILED", f->direction,
                   f->entity[0] ? f->entity : "(group)", f->check, f->figure);
    }
    return failed;
}

static int rehearse(const struct cli *c, struct rehearsal *r)
{
    struct err e = {0}, ignored = {0};
    int result = rehearse_run(r, &e);
    size_t failed = r->findings ? print(r, c->json) : 0;
    bool good = result == 0 && failed == 0;
    json_t *o = report(r, good);
    if (control_audit(r->control, r->who, "rehearse", r->group->name, o, &ignored))
        fprintf(stderr, "ficus: audit: %s\n", ignored.msg);
    if (c->json) {
        char *text = json_dumps(o, JSON_INDENT(2));
        puts(text ? text : "null");
        free(text);
    } else if (result == 0) {
        printf("%zu checks, %zu failed; the test records are gone\n", r->n, failed);
    }
    json_decref(o);
    free(r->findings);
    if (result)
        return cli_fail(&e);
    return good ? EXIT_OK : EXIT_DIFFERENT;
}

static int run(const struct cli *c)
{
    struct cli_env env;
    int status;
    long long wait_s;
    if (cli_option_int(c, "wait", 1, 600, 20, &wait_s))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    struct rehearsal r = {.conf = env.conf,
                          .control = env.control,
                          .group = group_find(env.table, str_of(c->args[0])),
                          .who = cli_who(),
                          .wait_s = (unsigned)wait_s,
                          .switch_owner = cli_flag(c, "switch")};
    if (r.group) {
        status = rehearse(c, &r);
    } else {
        fprintf(stderr, "ficus rehearse: no group '%s' (ficus status lists them)\n", c->args[0]);
        status = EXIT_USAGE;
    }
    cli_env_close(&env);
    return status;
}

static const struct command_option options[] = {
    {"wait", 0, "SECONDS", "How long one change may take to arrive; 20 by default."},
    {"switch", 0, NULL,
     "Cut the group over, rehearse the other direction, give it back. For copies of your systems."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_rehearse_commands[] = {
    {"rehearse", "GROUP", "Send test records through a group's streams and check what arrives",
     "Writes a record with the key '" REHEARSE_KEY "' and awkward values for each entity of the\n"
     "group into its owner's store, past every facade; updates and removes it. Checks that each\n"
     "change arrives as it was written and how soon, that a direct write on the other side is\n"
     "refused, and that nothing comes back as an echo. What a rehearsal that was killed left is\n"
     "removed by the next. Exit status 1 when a check failed.",
     options, 1, 1, run},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
