// SPDX-License-Identifier: Apache-2.0
// ficus route load: new definitions for every running process.
#include "base/clock.h"
#include "cli/identity.h"
#include "cli/listing.h"
#include "cli/tables.h"

#include <stdio.h>

#define WAIT_MS 5000
#define NAP_MS  50

// Asks every process to read its definitions again; *load is the number of the request.
static int ask(struct control *c, const char *who, const char *why, long long *load, struct err *e)
{
    struct value p[] = {value_set(str_of(who)), value_set(str_of(why))};
    json_t *detail = json_pack("{s:s}", "why", why);
    struct pg_conn *pg = control_pg(c, e);
    int result = -1;
    if (pg && pg_begin(pg, e) == 0) {
        result = control_number(c,
                                "UPDATE ficus.definitions SET load = load + 1, who = $1, why = $2,"
                                " at = now() RETURNING load",
                                p, 2, load, e) ||
                         control_audit(c, who, "route load", "definitions", detail, e)
                     ? -1
                     : pg_commit(pg, e);
        if (result)
            pg_rollback(pg);
    }
    json_decref(detail);
    return result;
}

// Waits until every process that is alive has said what came of it, or time is up.
static int wait_for_all(struct control *c, long long load, struct err *e)
{
    char number[24];
    uint64_t end = clock_mono_ms() + WAIT_MS;
    long long waiting = 1;
    snprintf(number, sizeof number, "%lld", load);
    struct value p = value_set(str_of(number));
    while (waiting > 0 && clock_mono_ms() < end) {
        if (control_number(c,
                           "SELECT count(*) FROM ficus.instance WHERE heartbeat > now() - interval"
                           " '5 seconds' AND coalesce((detail->>'load')::bigint, -1) < $1::bigint",
                           &p, 1, &waiting, e))
            return -1;
        if (waiting)
            clock_sleep_ms(NAP_MS);
    }
    return 0;
}

static int show(const struct cli *c, struct control *control, long long load, struct err *e)
{
    static const char *const headers[] = {"INSTANCE", "KIND", "HOST", "OUTCOME"};
    char number[24];
    long long others;
    snprintf(number, sizeof number, "%lld", load);
    struct value p = value_set(str_of(number));
    int status = listing_print(
        control,
        "SELECT id AS instance, kind, host, CASE WHEN coalesce((detail->>'load')::bigint, -1) <"
        " $1::bigint THEN 'has not answered' WHEN detail->>'load_error' <> '' THEN 'refused: ' ||"
        " (detail->>'load_error') ELSE 'taken' END AS outcome FROM ficus.instance"
        " WHERE heartbeat > now() - interval '5 seconds' ORDER BY id",
        &p, 1, headers, "no process is running; they read the file when they start", c->json);
    if (status != EXIT_OK)
        return status;
    if (control_number(control,
                       "SELECT count(*) FROM ficus.instance WHERE heartbeat > now() - interval"
                       " '5 seconds' AND (coalesce((detail->>'load')::bigint, -1) < $1::bigint OR"
                       " detail->>'load_error' <> '')",
                       &p, 1, &others, e))
        return cli_fail(e);
    return others ? EXIT_DIFFERENT : EXIT_OK;
}

static int run_load(const struct cli *c)
{
    struct cli_env env;
    struct cli_actor who;
    struct err e = {0};
    const char *why = cli_option(c, "why");
    long long load;
    int status;
    // Every mistake of the file is printed here, and nobody is asked to read it.
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    status = cli_identify(&env, ROLE_OPERATOR, &who);
    if (status == EXIT_OK && (control_register(env.control, env.table, &e) ||
                              ask(env.control, who.name, why ? why : "", &load, &e) ||
                              wait_for_all(env.control, load, &e)))
        status = cli_fail(&e);
    else if (status == EXIT_OK)
        status = show(c, env.control, load, &e);
    cli_env_close(&env);
    return status;
}

static const struct command_option load_options[] = {
    {"why", 'w', "TEXT", "Why; kept in the audit."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_load_commands[] = {
    {"route load", "", "Make every process read its route definitions again",
     "Checks the file here, registers new routes, then asks every running process to read its own\n"
     "copy and shows which one took it. A process whose copy has a mistake keeps what it runs\n"
     "with. Exit status 1 when one refused or did not answer within five seconds.",
     load_options, 0, 0, run_load},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
