// SPDX-License-Identifier: Apache-2.0
// ficus transfers list|show: what was cut over, rolled back or given up, by whom and why.
#include "cli/listing.h"
#include "cli/tables.h"
#include "cli/transfer_watch.h"

#include <stdio.h>
#include <stdlib.h>

static int run_list(const struct cli *c)
{
    static const char *const headers[] = {"ID",       "GROUP", "KIND",     "OUTCOME", "STEP",
                                          "ASKED AT", "BY",    "PAUSE MS", "WHY"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = c->nargs > 0 ? value_set(str_of(c->args[0])) : value_null();
    status = listing_print(
        env.control,
        "SELECT id, grp AS group, kind, coalesce(outcome, CASE WHEN needs_approval AND approved_by"
        " IS NULL THEN 'waits for approval' WHEN step = 'requested' AND not_before > now()"
        " THEN 'waits for ' || to_char(not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " ELSE 'under way' END) AS outcome, step, to_char(requested_at AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD HH24:MI:SS') AS asked_at, who AS by,"
        " round((receipt->>'pause_ms')::numeric, 1) AS pause_ms,"
        " coalesce(nullif(receipt->>'why', ''), why) AS why"
        " FROM ficus.transfer WHERE $1::text IS NULL OR grp = $1 ORDER BY id DESC LIMIT 200",
        &p, 1, headers, "no transfers yet", c->json);
    cli_env_close(&env);
    return status;
}

// The receipt; of a transfer that has not ended, what is known of it.
static int show(const struct cli *c, struct control *control, struct err *e)
{
    static const char sql[] =
        "SELECT coalesce(receipt, jsonb_build_object('transfer', id, 'group', grp, 'kind', kind,"
        " 'target', target, 'outcome', 'under way', 'epoch', epoch, 'who', who, 'asked_why', why,"
        " 'note', note, 'requested_at', requested_at, 'not_before', not_before, 'needs_approval',"
        " needs_approval, 'approved_by', approved_by, 'waiting', waiting, 'steps', steps))"
        " FROM ficus.transfer WHERE id = $1::bigint";
    struct rows rows;
    struct value p = value_set(str_of(c->args[0]));
    struct pg_conn *pg = control_pg(control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = a ? pg_query(pg, STR(sql), &p, 1, a, &rows, e) : -1;
    if (result == 0 && rows.nrows == 0)
        result = err_set(e, ERR_NOT_FOUND, "no transfer %s; ficus transfers list", c->args[0]);
    json_t *r = result == 0 ? json_loadb(rows.cells[0].data, rows.cells[0].len, 0, NULL) : NULL;
    if (r && c->json) {
        char *text = json_dumps(r, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
    } else if (r) {
        transfer_receipt_print(r);
    }
    json_decref(r);
    arena_destroy(a);
    return result;
}

static int run_show(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    long long id;
    int status;
    if (!str_to_int(str_of(c->args[0]), 1, INT64_MAX, &id)) {
        fprintf(stderr, "ficus transfers show: '%s' is no transfer's number\n", c->args[0]);
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    if (show(c, env.control, &e))
        status = cli_fail(&e);
    cli_env_close(&env);
    return status;
}

const struct command cli_transfers_commands[] = {
    {"transfers list", "[GROUP]", "Show the transfers, newest first",
     "Shows every cutover and rollback that was asked for: who, why, what became of it and how\n"
     "long writes waited.",
     NULL, 0, 1, run_list},
    {"transfers show", "ID", "Show the receipt of a transfer",
     "Shows a transfer's receipt: who and why, the figures of the guards, the steps with their\n"
     "durations, the pause.",
     NULL, 1, 1, run_show},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
