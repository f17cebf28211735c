// SPDX-License-Identifier: Apache-2.0
// What earlier reconciliations left: their list, what each found, two side by side, receipts.
#include "cdc/reconcile/proof.h"
#include "cli/cli_reconcile.h"
#include "cli/listing.h"

#include <stdio.h>
#include <stdlib.h>

// Runs, the newest first.
int reconcile_history(const struct cli *c)
{
    static const char *const headers[] = {"RUN",      "STARTED", "SECONDS", "WHO",
                                          "ENTITIES", "ROWS",    "DIFFER",  "UNSETTLED",
                                          "COMPLETE", "ERROR",   NULL};
    static const char sql[] =
        "SELECT r.id AS run, to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " AS started, round(extract(epoch FROM r.finished_at - r.started_at)::numeric, 1)"
        " AS seconds, r.who, count(e.entity) AS entities, coalesce(sum(e.rows_legacy), 0) AS rows,"
        " coalesce(sum(e.differences), 0) AS differ, coalesce(sum(e.unsettled), 0) AS unsettled,"
        " r.complete AND count(e.entity) > 0 AS complete,"
        " coalesce(r.summary->>'error', '') AS error FROM ficus.reconcile_run r LEFT JOIN"
        " ficus.reconcile_entity e ON e.run = r.id AND ($2 = '' OR e.entity = $2) GROUP BY r.id"
        " HAVING $2 = '' OR count(e.entity) > 0 ORDER BY r.id DESC LIMIT $1::int";
    struct cli_env env;
    int status;
    long long limit;
    if (cli_option_int(c, "limit", 1, 10000, 20, &limit))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    char text[24];
    snprintf(text, sizeof text, "%lld", limit);
    struct value p[] = {value_set(str_of(text)),
                        value_set(c->nargs ? str_of(c->args[0]) : STR(""))};
    status = listing_print(env.control, sql, p, 2, headers, "no reconciliation has run", c->json);
    cli_env_close(&env);
    return status;
}

// What a run found, field by field.
int reconcile_show(const struct cli *c)
{
    static const char *const headers[] = {"ENTITY", "KEY", "KIND",  "FIELD",
                                          "LEGACY", "NEW", "CAUSE", NULL};
    static const char sql[] =
        "SELECT entity, k AS key, kind, field, coalesce(legacy_value, 'NULL') AS legacy,"
        " coalesce(new_value, 'NULL') AS new, cause FROM ficus.difference WHERE run = CASE WHEN $1"
        " = 'last' THEN (SELECT max(id) FROM ficus.reconcile_run) ELSE $1::bigint END ORDER BY id";
    struct cli_env env;
    int status;
    long long number;
    const char *run = c->args[0];
    if (strcmp(run, "last") != 0 && !str_to_int(str_of(run), 1, INT64_MAX, &number)) {
        fprintf(stderr,
                "ficus reconcile show: '%s' is no run; ficus reconcile history lists them\n", run);
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = value_set(str_of(run));
    status = listing_print(env.control, sql, &p, 1, headers, "no difference was recorded", c->json);
    cli_env_close(&env);
    return status;
}

// Two runs side by side: what each found, and whether the second found more.
int reconcile_compare(const struct cli *c)
{
    static const char *const headers[] = {"ENTITY", "KIND",   "FIELD",  "CAUSE",
                                          "FIRST",  "SECOND", "CHANGE", NULL};
    static const char sql[] =
        "WITH f AS (SELECT e.run, e.entity, x.kind, x.field, x.cause, x.rows"
        " FROM ficus.reconcile_entity e CROSS JOIN jsonb_to_recordset(coalesce(e.detail->'findings',"
        " '[]'::jsonb)) AS x(kind text, field text, cause text, rows bigint)"
        " WHERE e.run IN ($1::bigint, $2::bigint))"
        " SELECT entity, kind, field, cause,"
        " coalesce(sum(rows) FILTER (WHERE run = $1::bigint), 0)::bigint AS first,"
        " coalesce(sum(rows) FILTER (WHERE run = $2::bigint), 0)::bigint AS second,"
        " (coalesce(sum(rows) FILTER (WHERE run = $2::bigint), 0)"
        " - coalesce(sum(rows) FILTER (WHERE run = $1::bigint), 0))::bigint AS change"
        " FROM f GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4";
    static const char more[] =
        "SELECT count(*) FROM (SELECT e.entity, x.kind, x.field, x.cause,"
        " sum(CASE WHEN e.run = $2::bigint THEN x.rows ELSE -x.rows END) AS change"
        " FROM ficus.reconcile_entity e CROSS JOIN jsonb_to_recordset(coalesce(e.detail->'findings',"
        " '[]'::jsonb)) AS x(kind text, field text, cause text, rows bigint)"
        " WHERE e.run IN ($1::bigint, $2::bigint) GROUP BY 1, 2, 3, 4) AS c WHERE change > 0";
    struct cli_env env;
    struct err e = {0};
    int status;
    long long number, grown = 0, known = 0;
    for (unsigned i = 0; i < 2; i++)
        if (!str_to_int(str_of(c->args[i]), 1, INT64_MAX, &number)) {
            fprintf(stderr, "ficus reconcile compare: '%s' is no run\n", c->args[i]);
            return EXIT_USAGE;
        }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p[] = {value_set(str_of(c->args[0])), value_set(str_of(c->args[1]))};
    if (control_number(env.control,
                       "SELECT count(*) FROM ficus.reconcile_run WHERE id IN ($1::bigint,"
                       " $2::bigint)",
                       p, 2, &known, &e) ||
        control_number(env.control, more, p, 2, &grown, &e)) {
        status = cli_fail(&e);
    } else if (known < (strcmp(c->args[0], c->args[1]) == 0 ? 1 : 2)) {
        fputs("ficus reconcile compare: no such run; ficus reconcile history lists them\n", stderr);
        status = EXIT_DIFFERENT;
    } else {
        status = listing_print(env.control, sql, p, 2, headers, "neither run found a difference",
                               c->json);
        if (status == EXIT_OK && grown > 0)
            status = EXIT_DIFFERENT;
    }
    cli_env_close(&env);
    return status;
}

// ---------------------------------------------------------------- receipts

static json_t *receipt_of_run(struct control *c, const char *run, struct err *e)
{
    struct rows rows;
    json_t *j = NULL;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = control_pg(c, e);
    struct value p = value_set(str_of(run));
    if (!a || !pg) {
        if (!a)
            err_memory(e);
    } else if (pg_query(pg,
                        STR("SELECT receipt FROM ficus.reconcile_run WHERE id = CASE WHEN $1 ="
                            " 'last' THEN (SELECT max(id) FROM ficus.reconcile_run)"
                            " ELSE $1::bigint END AND receipt IS NOT NULL"),
                        &p, 1, a, &rows, e) == 0) {
        j = rows.nrows == 1 ? json_loadb(rows.cells[0].data, rows.cells[0].len, 0, NULL) : NULL;
        if (!j)
            err_set(e, ERR_NOT_FOUND, "run %s left no receipt", run);
    }
    arena_destroy(a);
    return j;
}

// A file with a receipt, or with a report that holds one.
static json_t *receipt_of_file(const char *name, struct err *e)
{
    json_error_t why;
    json_t *j = json_load_file(name, 0, &why);
    if (!j) {
        err_set(e, ERR_INVALID, "%s: %s", name, why.text);
        return NULL;
    }
    json_t *inner = json_object_get(j, "receipt");
    if (json_is_object(inner)) {
        json_incref(inner);
        json_decref(j);
        return inner;
    }
    return j;
}

int reconcile_verify(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    long long number;
    const char *what = c->args[0];
    bool run = strcmp(what, "last") == 0 || str_to_int(str_of(what), 1, INT64_MAX, &number);
    if (cli_env_open(c, run ? NEED_CONTROL : NEED_CONF, &env, &status))
        return status;
    json_t *j = run ? receipt_of_run(env.control, what, &e) : receipt_of_file(what, &e);
    char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
    if (!text) {
        status = cli_fail(&e);
    } else {
        puts(text);
        if (proof_verify(env.conf, j, &e)) {
            fprintf(stderr, "ficus reconcile verify: %s\n", e.msg);
            status = EXIT_DIFFERENT;
        } else {
            const char *signature = json_string_value(json_object_get(j, "signature"));
            fprintf(stderr, "the receipt is unchanged and %s\n",
                    signature && signature[0] ? "signed" : "not signed");
        }
    }
    free(text);
    json_decref(j);
    cli_env_close(&env);
    return status;
}
