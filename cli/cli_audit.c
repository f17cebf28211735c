// SPDX-License-Identifier: Apache-2.0
// ficus audit list|verify: who changed what, and the proof that the record is whole.
#include "cli/listing.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

static int run_list(const struct cli *c)
{
    static const char *const headers[] = {"SEQ", "AT", "WHO", "ACTION", "OBJECT", "DETAIL"};
    struct cli_env env;
    long long limit;
    char text[24];
    int status;
    if (cli_option_int(c, "last", 1, 1000000, 50, &limit))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    snprintf(text, sizeof text, "%lld", limit);
    struct value p[] = {value_set(str_of(text)), value_set(str_of(c->nargs ? c->args[0] : ""))};
    status = listing_print(
        env.control,
        "SELECT seq, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at, who, action,"
        " object, detail FROM (SELECT * FROM ficus.audit WHERE $2 = '' OR object = $2"
        " ORDER BY seq DESC LIMIT $1::bigint) x ORDER BY seq",
        p, 2, headers, "nothing yet", c->json);
    cli_env_close(&env);
    return status;
}

// Walks the chain in the store: one snapshot, so rows that are being added do not matter.
// Columns: what is wrong, where, rows, head.
static const char verify_sql[] =
    "WITH a AS (SELECT a.seq, a.hash, lag(a.seq, 1, 0::bigint) OVER w AS before,"
    " ficus.audit_hash(lag(a.hash, 1, '') OVER w, a) AS should FROM ficus.audit a"
    " WINDOW w AS (ORDER BY a.seq)),"
    " bad AS (SELECT seq, CASE WHEN seq <> before + 1 THEN 'rows are missing before it'"
    " ELSE 'it or the row before it was changed' END AS what FROM a"
    " WHERE seq <> before + 1 OR hash <> should ORDER BY seq LIMIT 1),"
    " tail AS (SELECT coalesce(max(seq), 0) AS seq, coalesce((SELECT hash FROM a ORDER BY seq DESC"
    " LIMIT 1), '') AS hash FROM a)"
    " SELECT coalesce((SELECT what FROM bad), CASE WHEN tail.seq <> h.seq THEN"
    " 'the last rows are missing' WHEN tail.hash <> h.hash THEN 'the last row was changed' END, ''),"
    " coalesce((SELECT seq FROM bad), tail.seq), (SELECT count(*) FROM a), tail.hash,"
    " coalesce((SELECT bool_or(hash = $1) FROM a), false)::int"
    " FROM tail, ficus.audit_head h";

static int print_verdict(const struct cli *c, const struct rows *r, const char *anchor)
{
    struct str what = value_str(r->cells[0]), at = value_str(r->cells[1]);
    struct str n = value_str(r->cells[2]), head = value_str(r->cells[3]);
    bool known = !anchor || str_eqz(value_str(r->cells[4]), "1");
    if (what.len == 0 && !known)
        what = STR("the given hash stands in no row: rows were rewritten or removed");
    if (c->json)
        printf("{\"whole\": %s, \"rows\": %.*s, \"head\": \"%.*s\", \"at\": %.*s, \"what\":"
               " \"%.*s\"}\n",
               what.len ? "false" : "true", (int)n.len, n.data, (int)head.len, head.data,
               (int)at.len, at.data, (int)what.len, what.data);
    else if (what.len)
        printf("the audit is broken at row %.*s: %.*s\n", (int)at.len, at.data, (int)what.len,
               what.data);
    else
        printf("the audit is whole: %.*s rows, head %.*s\n", (int)n.len, n.data, (int)head.len,
               head.data);
    return what.len ? EXIT_DIFFERENT : EXIT_OK;
}

static int run_verify(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    struct rows rows;
    const char *anchor = cli_option(c, "hash");
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = control_pg(env.control, &e);
    struct value p = value_set(str_of(anchor ? anchor : ""));
    if (!a)
        err_memory(&e);
    if (!a || !pg || pg_query(pg, STR(verify_sql), &p, 1, a, &rows, &e))
        status = cli_fail(&e);
    else
        status = print_verdict(c, &rows, anchor);
    arena_destroy(a);
    cli_env_close(&env);
    return status;
}

static const struct command_option list_options[] = {
    {"last", 'n', "N", "How many of the newest rows; 50 if not given."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option verify_options[] = {
    {"hash", 0, "HEX", "A hash noted earlier: it must still stand in the chain."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_audit_commands[] = {
    {"audit list", "[OBJECT]", "Show who changed what", "Shows the newest rows of the audit.",
     list_options, 0, 1, run_list},
    {"audit verify", "", "Prove that no row of the audit was changed or removed",
     "Every row holds a hash over itself and the row before it. A changed, removed or reordered\n"
     "row is named; exit status 1. Note the head's hash elsewhere: with --hash a whole new chain\n"
     "is found too.",
     verify_options, 0, 0, run_verify},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
