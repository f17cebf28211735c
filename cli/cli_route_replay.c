// SPDX-License-Identifier: Apache-2.0
// ficus route replay|noise: a mismatch asked again, and fields that differ by themselves.
#include "cli/listing.h"
#include "cli/tables.h"
#include "facade/evidence/evidence.h"
#include "facade/evidence/replay.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN 256

static json_t *difference(const struct mismatch *m)
{
    char legacy[SHOWN], new_[SHOWN];
    evidence_show(legacy, sizeof legacy, m->field, m->legacy);
    evidence_show(new_, sizeof new_, m->field, m->new_);
    return json_pack("{s:s, s:s, s:s, s:s}", "field", m->field ? m->field->name : "", "kind",
                     mismatch_kind(m), "legacy", legacy, "new", new_);
}

static json_t *replay_json(const struct replay *p)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < p->n && i < MISMATCHES_MAX; i++)
        json_array_append_new(list, difference(&p->differing[i]));
    return json_pack("{s:s, s:s, s:i, s:o}", "legacy_status",
                     result_status_name(p->side[SIDE_LEGACY].status), "new_status",
                     result_status_name(p->side[SIDE_NEW].status), "differences", (int)p->n, "now",
                     list);
}

static void print_replay(const struct rows *row, const json_t *now)
{
    size_t i;
    json_t *d;
    printf("then: %.*s of %.*s: legacy %.*s, new %.*s\n", (int)rows_at(row, 0, 3)->len,
           rows_at(row, 0, 3)->data, (int)rows_at(row, 0, 4)->len, rows_at(row, 0, 4)->data,
           (int)rows_at(row, 0, 5)->len, rows_at(row, 0, 5)->data, (int)rows_at(row, 0, 6)->len,
           rows_at(row, 0, 6)->data);
    printf("now:  legacy %s, new %s, %lld differences\n",
           json_string_value(json_object_get(now, "legacy_status")),
           json_string_value(json_object_get(now, "new_status")),
           (long long)json_integer_value(json_object_get(now, "differences")));
    json_array_foreach(json_object_get(now, "now"), i, d)
        printf("      %s (%s): legacy %s, new %s\n", json_string_value(json_object_get(d, "field")),
               json_string_value(json_object_get(d, "kind")),
               json_string_value(json_object_get(d, "legacy")),
               json_string_value(json_object_get(d, "new")));
}

static int again(const struct cli *c, struct cli_env *env, const struct rows *row, struct arena *a,
                 struct err *e)
{
    const struct route *r = route_find(env->table, value_str(*rows_at(row, 0, 0)));
    struct str text = value_str(*rows_at(row, 0, 1));
    struct replay p;
    if (!r)
        return err_set(e, ERR_NOT_FOUND, "its route is not in the table any more");
    if (!text.len)
        return err_set(e, ERR_UNSUPPORTED, "its request was not kept: %.*s",
                       (int)rows_at(row, 0, 2)->len, rows_at(row, 0, 2)->data);
    json_t *operation = json_loadb(text.data, text.len, 0, NULL);
    int result = replay_run(env->conf, env->table, r, operation, a, &p, e);
    json_decref(operation);
    if (result)
        return -1;
    json_t *now = replay_json(&p);
    if (c->json) {
        char *out = json_dumps(now, JSON_INDENT(2));
        puts(out ? out : "{}");
        free(out);
    } else {
        print_replay(row, now);
    }
    json_decref(now);
    return p.n ? EXIT_DIFFERENT : EXIT_OK;
}

static int run_replay(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    struct rows rows;
    long long id;
    int status;
    if (!str_to_int(str_of(c->args[0]), 1, INT64_MAX, &id)) {
        fprintf(stderr, "ficus route replay: a mismatch has a number; ficus route mismatches\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    struct arena *a = arena_create(0);
    struct pg_conn *pg = control_pg(env.control, &e);
    struct value p = value_set(str_of(c->args[0]));
    int result = -1;
    if (!a)
        err_memory(&e);
    else if (pg && pg_query(pg,
                            STR("SELECT route, coalesce(operation::text, ''), unkept, field, k,"
                                " coalesce(legacy_value, ''), coalesce(new_value, '')"
                                " FROM ficus.mismatch WHERE id = $1::bigint"),
                            &p, 1, a, &rows, &e) == 0)
        result = rows.nrows ? again(c, &env, &rows, a, &e)
                            : err_set(&e, ERR_NOT_FOUND, "no mismatch %lld is kept", id);
    status = result < 0 ? cli_fail(&e) : result;
    arena_destroy(a);
    cli_env_close(&env);
    return status;
}

static int run_noise(const struct cli *c)
{
    static const char *const headers[] = {"ROUTE",    "FIELD", "DIFFERED", "OF",
                                          "LAST KEY", "LAST",  "PROPOSAL"};
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct value p = value_set(str_of(c->nargs ? c->args[0] : ""));
    status = listing_print(
        env.control,
        "SELECT n.route, n.field, n.n AS differed, p.n AS of, n.last_key,"
        " to_char(n.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS last,"
        " 'ficus route ignore ' || n.route || ' ' || n.field || ' --any --why ...' AS proposal"
        " FROM ficus.noise n JOIN ficus.noise p ON p.route = n.route AND p.field = ''"
        " WHERE n.field <> '' AND ($1 = '' OR n.route = $1) ORDER BY n.route, n.n DESC",
        &p, 1, headers, "no field differed between two reads of the legacy in a row", c->json);
    cli_env_close(&env);
    return status;
}

const struct command cli_route_replay_commands[] = {
    {"route replay", "MISMATCH", "Ask both sides a mismatch's request again",
     "Runs the request that a mismatch was found with against both sides and shows how they\n"
     "compare now. Exit status 1 while they differ. Personal values are shown by length; a\n"
     "request that names a personal value was not kept and cannot be asked again.",
     NULL, 1, 1, run_replay},
    {"route noise", "[ROUTE]", "Show fields that differ by themselves",
     "Each ladder.noise_every comparisons the legacy is read twice in a row. Fields that differ\n"
     "between the two cannot match the new side either: what may be ignored is proposed, nothing\n"
     "is ignored by itself.",
     NULL, 0, 1, run_noise},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
