// SPDX-License-Identifier: Apache-2.0
// ficus sync positions: where both directions stand, printed as a document or taken from one.
#include "cdc/positions.h"
#include "cli/identity.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

static int print_document(const struct cli_env *env)
{
    struct err e = {0};
    json_t *doc = positions_export(env->control, env->conf, &e);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    int status = doc ? EXIT_OK : cli_fail(&e);
    if (text)
        puts(text);
    free(text);
    json_decref(doc);
    return status;
}

static int record(const struct cli_env *env, const struct cli_actor *who, const char *why,
                  const struct positions_report *r, struct err *e)
{
    json_t *detail = json_pack("{s:s, s:i, s:i, s:i}", "why", why, "moved", (int)r->moved, "back",
                               (int)r->back, "ahead", (int)r->ahead);
    int result = control_audit(env->control, who->name, "positions", "sync", detail, e);
    json_decref(detail);
    return result;
}

static int take(const struct cli *c, const struct cli_env *env, const char *file, const char *why)
{
    struct cli_actor who;
    struct positions_report r;
    struct problems p = {0};
    struct json_doc doc = {0};
    struct err e = {0};
    bool force = cli_flag(c, "force");
    int status = force ? cli_identify_approver(env, &who) : cli_identify(env, ROLE_OPERATOR, &who);
    if (status != EXIT_OK)
        return status;
    if (json_doc_load(&doc, file, &p) ||
        positions_import(env->control, env->conf, env->set, &doc, force, &r, &p, &e) ||
        record(env, &who, why, &r, &e)) {
        if (p.count)
            fputs(p.text.data ? p.text.data : "out of memory\n", stderr);
        status = p.count ? EXIT_CONFIG : cli_fail(&e);
    } else if (c->json) {
        printf("{\"moved\": %u, \"back\": %u, \"ahead\": %u}\n", r.moved, r.back, r.ahead);
    } else {
        printf("%u positions moved: %u back, %u ahead; start ficus sync, then ficus reconcile\n",
               r.moved, r.back, r.ahead);
    }
    json_doc_free(&doc);
    problems_free(&p);
    return status;
}

static int run(const struct cli *c)
{
    struct cli_env env;
    int status;
    const char *file = cli_option(c, "import"), *why = cli_option(c, "why");
    if (file && (!why || !*why)) {
        fputs("ficus sync positions: --why is required with --import; it is kept in the audit\n",
              stderr);
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = file ? take(c, &env, file, why) : print_document(&env);
    cli_env_close(&env);
    return status;
}

static const struct command_option options[] = {
    {"import", 'i', "FILE", "Take the positions of this document instead. No sync may run."},
    {"force", 0, NULL,
     "Go ahead of what was applied, or into another store. Needs an approver where\n"
     "admin.tokens names persons."},
    {"why", 'w', "TEXT", "Kept in the audit. Required with --import."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_positions_commands[] = {
    {"sync positions", "", "Print or set where both directions stand",
     "Prints, as JSON, what capture has published of each store and what each store has applied\n"
     "of each partition; keep it beside backups. With --import the document, of then or mended by\n"
     "hand, is taken in again: going back reads again and changes nothing, going ahead leaves\n"
     "changes out and is refused without --force.",
     options, 0, 0, run},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
