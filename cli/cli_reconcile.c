// SPDX-License-Identifier: Apache-2.0
// ficus reconcile: compare both stores row by row and say what differs.
#include "base/clock.h"
#include "cdc/reconcile.h"
#include "cli/listing.h"
#include "cli/reconcile_report.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTITIES_MAX 256

static void progress(void *ctx, const struct entity *en, long long legacy, long long new_)
{
    uint64_t *last = ctx, now = clock_mono_ms();
    if (now - *last < 200)
        return;
    *last = now;
    fprintf(stderr, "\r\033[K%-20s %lld legacy rows, %lld new rows", en->name, legacy, new_);
}

static bool stored_on_both(const struct entity *en)
{
    return en->sides[SIDE_LEGACY].root && en->sides[SIDE_NEW].root;
}

static int add(const struct entity *en, const struct entity **out, long *n)
{
    if (*n == ENTITIES_MAX) {
        fprintf(stderr, "ficus reconcile: more than %d entities; name some\n", ENTITIES_MAX);
        return -1;
    }
    out[(*n)++] = en;
    return 0;
}

// Which entities: those named, those of --group, else all that both sides store. -1: told why
// not; nothing to compare is no proof of anything.
static long choose(const struct cli *c, const struct cli_env *env, const struct entity **out)
{
    const char *name = cli_option(c, "group");
    const struct group *g = name ? group_find(env->table, str_of(name)) : NULL;
    long n = 0;
    if (name && !g) {
        fprintf(stderr, "ficus reconcile: no group '%s'\n", name);
        return -1;
    }
    for (size_t i = 0; g && i < g->nentities; i++)
        if (add(g->entities[i], out, &n))
            return -1;
    for (unsigned i = 0; i < c->nargs; i++) {
        const struct entity *en = entity_find(env->set, str_of(c->args[i]));
        if (!en || !stored_on_both(en)) {
            fprintf(stderr, "ficus reconcile: no entity '%s' that both sides store\n", c->args[i]);
            return -1;
        }
        if (add(en, out, &n))
            return -1;
    }
    for (size_t i = 0; !g && c->nargs == 0 && i < entity_count(env->set); i++)
        if (stored_on_both(entity_at(env->set, i)) && add(entity_at(env->set, i), out, &n))
            return -1;
    if (n == 0)
        fputs("ficus reconcile: no entity is stored on both sides: nothing to compare\n", stderr);
    return n > 0 ? n : -1;
}

static json_t *value_json(struct value v)
{
    return v.state == VALUE_SET ? json_stringn(v.data, v.len) : json_null();
}

static json_t *entity_json(const struct entity_report *r)
{
    json_t *samples = json_array();
    for (size_t i = 0; i < r->nsamples; i++) {
        const struct difference *d = &r->samples[i];
        json_array_append_new(samples,
                              json_pack("{s:s%, s:s, s:s, s:o, s:o}", "key", d->key.data,
                                        d->key.len, "kind", d->kind, "field", d->field, "legacy",
                                        value_json(d->legacy), "new", value_json(d->new_)));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "entity",
                     r->entity->name, "rows_legacy", (json_int_t)r->rows_legacy, "rows_new",
                     (json_int_t)r->rows_new, "differences", (json_int_t)r->differences, "settled",
                     (json_int_t)r->settled, "unsettled", (json_int_t)r->unsettled, "parked",
                     (json_int_t)r->parked, "bad_keys", (json_int_t)r->bad_keys, "complete",
                     (int)r->complete, "samples_cut", (int)r->samples_cut, "samples", samples);
}

static void print_json(const struct reconcile_report *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nentities; i++)
        json_array_append_new(list, entity_json(&r->entities[i]));
    json_t *j = json_pack("{s:I, s:b, s:b, s:I, s:o}", "run", (json_int_t)r->run, "equal",
                          (int)r->equal, "complete", (int)r->complete, "ms", (json_int_t)r->ms,
                          "entities", list);
    char *text = json_dumps(j, JSON_INDENT(2));
    puts(text ? text : "{}");
    free(text);
    json_decref(j);
}

static void print_value(struct value v)
{
    if (v.state == VALUE_SET)
        printf("'%.*s'", (int)v.len, v.data);
    else
        fputs("NULL", stdout);
}

static void print_text(const struct reconcile_report *r)
{
    printf("%-22s %12s %12s %11s %8s %9s %7s\n", "ENTITY", "LEGACY", "NEW", "DIFFERENCES",
           "SETTLED", "UNSETTLED", "PARKED");
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        printf("%-22s %12lld %12lld %11lld %8lld %9lld %7lld\n", x->entity->name, x->rows_legacy,
               x->rows_new, x->differences, x->settled, x->unsettled, x->parked);
    }
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        if (x->bad_keys > 0)
            printf("  %s: %lld legacy rows have no key of their own (NULL or duplicate); nothing"
                   " is proven until they do\n",
                   x->entity->name, x->bad_keys);
        for (size_t d = 0; d < x->nsamples && d < 20; d++) {
            const struct difference *s = &x->samples[d];
            printf("  %s %.*s: %s %s", x->entity->name, (int)s->key.len, s->key.data, s->kind,
                   s->field);
            if (s->field[0]) {
                fputs(" legacy ", stdout);
                print_value(s->legacy);
                fputs(" new ", stdout);
                print_value(s->new_);
            }
            putchar('\n');
        }
    }
    printf("run %lld: %s, %s, %.1f s\n", r->run, r->equal ? "equal" : "NOT proven equal",
           r->complete ? "complete" : "INCOMPLETE", (double)r->ms / 1000);
}

static int write_files(const struct cli *c, const struct reconcile_report *r, struct err *e)
{
    const char *html = cli_option(c, "html"), *junit = cli_option(c, "junit");
    if (html && reconcile_write_html(r, cli_who(), html, e))
        return -1;
    return junit ? reconcile_write_junit(r, junit, e) : 0;
}

// Runs, the newest first.
static int history(const struct cli *c)
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
static int show(const struct cli *c)
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

static int run(const struct cli *c)
{
    const struct entity *entities[ENTITIES_MAX];
    struct cli_env env;
    struct err e = {0};
    struct reconcile_report report;
    uint64_t shown = 0;
    int status;
    long long chunk;
    if (cli_option_int(c, "chunk", 1, 100000, 0, &chunk))
        return EXIT_USAGE;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    long n = choose(c, &env, entities);
    struct arena *a = arena_create(0);
    struct reconcile_options o = {.conf = env.conf,
                                  .table = env.table,
                                  .entities = entities,
                                  .nentities = n > 0 ? (size_t)n : 0,
                                  .who = cli_who(),
                                  .chunk = (unsigned)chunk,
                                  .progress = cli_is_terminal() ? progress : NULL,
                                  .ctx = &shown};
    if (n < 0) {
        status = EXIT_USAGE;
    } else if (!a || reconcile_run(&o, env.control, a, &report, &e)) {
        status = a ? cli_fail(&e) : EXIT_INTERNAL;
    } else {
        if (shown)
            fputs("\r\033[K", stderr);
        if (c->json)
            print_json(&report);
        else
            print_text(&report);
        status = report.equal && report.complete ? EXIT_OK : EXIT_DIFFERENT;
        if (write_files(c, &report, &e))
            status = cli_fail(&e);
    }
    arena_destroy(a);
    cli_env_close(&env);
    return status;
}

static const struct command_option options[] = {
    {"group", 'g', "GROUP", "All entities of this group."},
    {"chunk", 0, "ROWS", "Rows read at a time (default 1000)."},
    {"html", 0, "FILE", "Also write the report as one page that opens offline."},
    {"junit", 0, "FILE", "Also write it as JUnit's XML, a test case an entity, for pipelines."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option history_options[] = {
    {"limit", 0, "N", "At most so many runs (default 20)."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option no_options[] = {
    {NULL, 0, NULL, NULL},
};

const struct command cli_reconcile_commands[] = {
    {"reconcile", "[ENTITY..]", "Compare both stores row by row while they are live",
     "Reads every entity (or those named) from both stores and compares them field by field.\n"
     "What differs is read again after markers went through both streams, until it agrees or has\n"
     "stood still on both sides and still differs: only that is a difference. Exit status 1 when\n"
     "there are differences or when not everything could be proven. ficus sync must be running.",
     options, 0, COMMAND_ARGS_MAX, run},
    {"reconcile history", "[ENTITY]", "List earlier reconciliations",
     "The newest first, with how many rows were compared, how many differed and whether the run\n"
     "could look at everything; of one entity when it is named.",
     history_options, 0, 1, history},
    {"reconcile show", "RUN|last", "Show what a reconciliation found",
     "Each difference that a run recorded, with its field and both values. Personal data is shown\n"
     "by its length only.",
     no_options, 1, 1, show},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
