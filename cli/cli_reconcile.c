// SPDX-License-Identifier: Apache-2.0
// ficus reconcile: compare both stores row by row, say what differs and why, and mend it.
#include "cli/cli_reconcile.h"
#include "base/clock.h"
#include "cdc/reconcile/repair.h"
#include "cli/reconcile_report.h"
#include "cli/tables.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTITIES_MAX 256
#define TEXT_SAMPLES 20

static void progress(void *ctx, const struct reconcile_progress *p)
{
    uint64_t *last = ctx, now = clock_mono_ms();
    if (now - *last < 200)
        return;
    *last = now;
    double s = (double)p->ms / 1000, rows = (double)(p->rows_legacy + p->rows_new);
    double rate = s > 0 ? rows / s : 0, left = 2 * (double)p->estimate - rows;
    fprintf(stderr, "\r\033[K%-20s %lld legacy rows, %lld new rows, %.0f rows/s, %lld candidates",
            p->entity->name, p->rows_legacy, p->rows_new, rate, p->candidates);
    if (rate > 0 && left > 0)
        fprintf(stderr, ", about %.0f s left", left / rate);
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

// ---------------------------------------------------------------- results

static void print_value(struct value v)
{
    if (v.state == VALUE_SET)
        printf("'%.*s'", (int)v.len, v.data);
    else
        fputs("NULL", stdout);
}

static void print_sample(const struct entity_report *x, const struct difference *s)
{
    printf("  %s %.*s: %s %s", x->entity->name, (int)s->key.len, s->key.data, s->kind, s->field);
    if (s->field[0]) {
        fputs(" legacy ", stdout);
        print_value(s->legacy);
        fputs(" new ", stdout);
        print_value(s->new_);
    }
    printf(" (%s)\n", cause_name(s->cause));
    for (int side = 0; side < 2; side++)
        if (s->event[side][0])
            printf("      last event of %s: %s\n", side_name(side), s->event[side]);
}

static void print_entity(const struct entity_report *x)
{
    if (x->bad_keys > 0)
        printf("  %s: %lld legacy rows have no key of their own (NULL or duplicate); nothing"
               " is proven until they do\n",
               x->entity->name, x->bad_keys);
    for (size_t i = 0; i < x->nfindings; i++)
        printf("  %s: %lld rows, %s %s, cause %s\n", x->entity->name, x->findings[i].rows,
               x->findings[i].kind, x->findings[i].field, cause_name(x->findings[i].cause));
    for (size_t d = 0; d < x->nsamples && d < TEXT_SAMPLES; d++)
        print_sample(x, &x->samples[d]);
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
    for (size_t i = 0; i < r->nentities; i++)
        print_entity(&r->entities[i]);
    printf("run %lld: %s, %s%s, %.1f s\n", r->run, r->equal ? "equal" : "NOT proven equal",
           r->complete ? "complete" : "INCOMPLETE", r->full ? "" : ", a slice only",
           (double)r->ms / 1000);
}

static int print_plans(const struct reconcile_report *r, bool as_json)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->nentities; i++) {
        const struct entity_report *x = &r->entities[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s%, s:I, s:I}", "entity", x->entity->name, "plan",
                            reconcile_plan_name(x->plan), "why", x->why.data, x->why.len, "rows",
                            (json_int_t)x->estimate, "ranges", (json_int_t)x->ranges));
        if (!as_json)
            printf("%-22s %-9s about %lld rows in %lld ranges (%.*s)\n", x->entity->name,
                   reconcile_plan_name(x->plan), x->estimate, x->ranges, (int)x->why.len,
                   x->why.data);
    }
    char *text = as_json ? json_dumps(list, JSON_INDENT(2)) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(list);
    return EXIT_OK;
}

static void print_json(const struct reconcile_report *r, const struct repair_report *mend)
{
    json_t *j = reconcile_json(r, cli_who());
    if (mend)
        json_object_set_new(j, "repair", repair_json(mend));
    char *text = json_dumps(j, JSON_INDENT(2));
    puts(text ? text : "{}");
    free(text);
    json_decref(j);
}

static int write_files(const struct cli *c, const struct cli_env *env,
                       const struct reconcile_report *r, struct err *e)
{
    const char *html = cli_option(c, "html"), *junit = cli_option(c, "junit");
    const char *out = cli_option(c, "output");
    if (out && reconcile_write_json(r, cli_who(), out, e))
        return -1;
    if (html && reconcile_write_html(r, env->control, cli_who(), html, e))
        return -1;
    return junit ? reconcile_write_junit(r, junit, e) : 0;
}

// ---------------------------------------------------------------- options

static int read_numbers(const struct cli *c, struct reconcile_options *o)
{
    long long jobs, budget, rate;
    if (cli_option_int(c, "jobs", 1, 16, 0, &jobs) ||
        cli_option_int(c, "budget", 1, 100, 0, &budget) ||
        cli_option_int(c, "rows-per-s", 1, 1000000000, 0, &rate) ||
        cli_option_int(c, "range-rows", 100, 1000000000, 0, &o->range_rows))
        return -1;
    o->jobs = (unsigned)jobs;
    o->budget = (unsigned)budget;
    o->rows_per_s = rate;
    return 0;
}

static int read_plan(const struct cli *c, struct reconcile_options *o)
{
    const char *plan = cli_option(c, "plan");
    for (int p = PLAN_AUTO; p <= PLAN_PUSHDOWN; p++)
        if (!plan || strcmp(plan, reconcile_plan_name(p)) == 0) {
            o->plan = p;
            return 0;
        }
    fprintf(stderr, "ficus reconcile: --plan is auto, stream, sketch or pushdown\n");
    return -1;
}

static int may_reveal(const struct cli *c, const struct cli_env *env)
{
    const char *const *users;
    size_t n = conf_list(env->conf, "reconcile.reveal", &users);
    for (size_t i = 0; i < n; i++)
        if (strcmp(users[i], cli_who()) == 0)
            return 1;
    fprintf(stderr,
            "ficus reconcile: %s is not among reconcile.reveal: personal values stay hidden\n",
            cli_who());
    (void)c;
    return 0;
}

static int read_options(const struct cli *c, const struct cli_env *env, struct reconcile_options *o)
{
    if (read_numbers(c, o) || read_plan(c, o))
        return -1;
    o->without_index = cli_flag(c, "without-index");
    o->explain = cli_flag(c, "explain");
    o->resume = cli_flag(c, "resume");
    o->skip_deleted = cli_flag(c, "skip-deleted");
    o->changed = cli_flag(c, "changed");
    o->from = cli_option(c, "from");
    o->to = cli_option(c, "to");
    o->where = cli_option(c, "where");
    o->since = cli_option(c, "since");
    o->reveal = cli_flag(c, "reveal");
    if (o->reveal && !may_reveal(c, env))
        return -1;
    if (o->changed && (o->from || o->to || o->where || o->since || o->skip_deleted)) {
        fputs("ficus reconcile: --changed looks at every key that changed; no slice goes with it\n",
              stderr);
        return -1;
    }
    return 0;
}

// ---------------------------------------------------------------- run

struct job {
    const struct cli *c;
    struct cli_env *env;
    struct reconcile_options o;
    struct reconcile_report report;
    struct repair *repair;
    struct repair_report mend;
    long long approval; // id of the approved request
    uint64_t shown;
};

static int mend(struct job *j, struct err *e)
{
    struct repair_options o = {.toward_owner = cli_flag(j->c, "toward-owner"),
                               .dry_run = cli_flag(j->c, "dry-run")};
    if (cli_option_int(j->c, "limit", 1, INT64_MAX, 0, &o.limit) ||
        cli_option_int(j->c, "rate", 1, 1000000, 0, &o.rows_per_s))
        return err_set(e, ERR_INVALID, "--limit and --rate are numbers");
    if (repair_run(j->repair, &o, j->env->control, &j->mend, e))
        return -1;
    return o.dry_run ? 0
                     : repair_record(j->env->control, &j->report, &j->mend, j->approval,
                                     o.toward_owner, e);
}

static int show_result(struct job *j, struct err *e)
{
    if (j->shown)
        fputs("\r\033[K", stderr);
    if (j->o.explain)
        return print_plans(&j->report, j->c->json);
    int mended = j->repair ? mend(j, e) : 0;
    if (j->c->json)
        print_json(&j->report, j->repair ? &j->mend : NULL);
    else
        print_text(&j->report);
    if (j->repair && !j->c->json)
        repair_print(&j->mend, cli_flag(j->c, "dry-run"));
    if (mended || write_files(j->c, j->env, &j->report, e))
        return cli_fail(e);
    if (j->repair && !cli_flag(j->c, "dry-run"))
        return j->report.complete && j->mend.mended == j->mend.found ? EXIT_OK : EXIT_DIFFERENT;
    return j->report.equal && j->report.complete ? EXIT_OK : EXIT_DIFFERENT;
}

static int run_once(struct job *j)
{
    struct err e = {0};
    struct arena *a = arena_create(0);
    int status;
    if (!a || reconcile_run(&j->o, j->env->control, a, &j->report, &e)) {
        status = a ? cli_fail(&e) : EXIT_INTERNAL;
    } else {
        status = show_result(j, &e);
        reconcile_report_free(&j->report);
    }
    arena_destroy(a);
    return status;
}

// Again and again, until the process is told to end or a run fails.
static int run_often(struct job *j, long long every)
{
    int status;
    do {
        status = run_once(j);
        fflush(stdout);
        if (every > 0 && (status == EXIT_OK || status == EXIT_DIFFERENT))
            clock_sleep_ms((unsigned)(every * 1000));
    } while (every > 0 && (status == EXIT_OK || status == EXIT_DIFFERENT));
    return status;
}

static int run_job(struct job *j)
{
    struct err e = {0};
    long long every;
    int status = EXIT_OK;
    if (cli_option_int(j->c, "every", 1, 86400, 0, &every))
        return EXIT_USAGE;
    if (cli_flag(j->c, "repair")) {
        if (!repair_may(j->c, j->env, &j->o, &j->approval, &status))
            return status;
        if (repair_create(&j->o, &j->repair, &e))
            return cli_fail(&e);
        j->o.each = repair_note;
        j->o.each_ctx = j->repair;
    }
    status = run_often(j, j->repair ? 0 : every);
    repair_destroy(j->repair);
    return status;
}

static int run(const struct cli *c)
{
    const struct entity *entities[ENTITIES_MAX];
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    struct job j = {.c = c, .env = &env};
    long n = choose(c, &env, entities);
    j.o = (struct reconcile_options){.conf = env.conf,
                                     .table = env.table,
                                     .entities = entities,
                                     .nentities = n > 0 ? (size_t)n : 0,
                                     .who = cli_who(),
                                     .progress = cli_is_terminal() ? progress : NULL,
                                     .ctx = &j.shown};
    status = n < 0 || read_options(c, &env, &j.o) ? EXIT_USAGE : run_job(&j);
    cli_env_close(&env);
    return status;
}

static const struct command_option options[] = {
    {"group", 'g', "GROUP", "All entities of this group."},
    {"plan", 0, "PLAN", "auto (default: the cheapest), stream, sketch, or pushdown (checksums)."},
    {"explain", 0, NULL, "Only say which plan would be taken, and why."},
    {"jobs", 0, "N", "Walks at a time, two connections each (default 4)."},
    {"budget", 0, "PERCENT",
     "Share of the time that a walk may keep the stores busy (default: all"
     " of it, 20 in sum while others write)."},
    {"rows-per-s", 0, "N", "Rows read a second at most, of each side."},
    {"range-rows", 0, "N", "Rows of one range, the unit of --resume (default 50000)."},
    {"from", 0, "KEY", "Only keys beyond this one (by the first part of the key)."},
    {"to", 0, "KEY", "Only keys up to this one."},
    {"where", 0, "CONDITION", "Only rows with FIELD=VALUE (or <>, <, <=, >, >=)."},
    {"since", 0, "TIME", "Only rows written since: a UTC timestamp, or 3600s, 24h, 7d ago."},
    {"changed", 0, NULL, "Only keys that changed since the entity's last clean, full run."},
    {"skip-deleted", 0, NULL, "Leave soft-deleted rows out."},
    {"without-index", 0, NULL, "Read a side unordered that has no index in key order (slower)."},
    {"resume", 0, NULL, "Go on with the newest run of the same entities that was interrupted."},
    {"reveal", 0, NULL, "Show personal values (users of reconcile.reveal only)."},
    {"every", 0, "SECONDS", "Run again and again, so long after each."},
    {"repair", 0, NULL, "Mend what differs, from the owner, through the stream."},
    {"dry-run", 0, NULL, "With --repair: only say how many rows would be mended."},
    {"limit", 0, "N", "With --repair: so many rows at most."},
    {"rate", 0, "N", "With --repair: so many rows a second at most."},
    {"toward-owner", 0, NULL, "With --repair: write the other side's rows into the owner."},
    {"approval", 0, "ID", "With --toward-owner: the request that someone else approved."},
    {"html", 0, "FILE", "Also write the report as one page that opens offline."},
    {"junit", 0, "FILE", "Also write it as JUnit's XML, a test case an entity, for pipelines."},
    {"output", 'o', "FILE", "Also write it as JSON."},
    {NULL, 0, NULL, NULL},
};
static const struct command_option history_options[] = {
    {"limit", 0, "N", "At most so many runs (default 20)."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_reconcile_commands[] = {
    {"reconcile", "[ENTITY..]", "Compare both stores row by row while they are live",
     "Reads every entity (or those named) from both stores and compares them field by field.\n"
     "What differs is read again after markers went through both streams, until it agrees or has\n"
     "stood still on both sides and still differs: only that is a difference. Each is told with\n"
     "its cause; --repair mends it from the owner, through the stream. Exit status 1 when there\n"
     "are differences or when not everything could be proven. ficus sync must be running.",
     options, 0, COMMAND_ARGS_MAX, run},
    {"reconcile history", "[ENTITY]", "List earlier reconciliations",
     "The newest first, with how many rows were compared, how many differed and whether the run\n"
     "could look at everything; of one entity when it is named.",
     history_options, 0, 1, reconcile_history},
    {"reconcile show", "RUN|last", "Show what a reconciliation found",
     "Each difference that a run recorded, with its field, both values and its cause. Personal\n"
     "data is shown by its length only.",
     NULL, 1, 1, reconcile_show},
    {"reconcile compare", "RUN1 RUN2", "Show what changed between two reconciliations",
     "By entity, kind, field and cause: how many rows differed in either run. Exit status 1 when\n"
     "the second found anything more.",
     NULL, 2, 2, reconcile_compare},
    {"reconcile verify", "RUN|last|FILE", "Check a reconciliation's receipt",
     "The receipt of a run, or in a file: whether it is unchanged and signed under\n"
     "reconcile.receipt_key. Prints it. Exit status 1 when it is not.",
     NULL, 1, 1, reconcile_verify},
    {"reconcile approve", "ID", "Approve a repair toward an owner that someone else asked for",
     "ficus reconcile --repair --toward-owner leaves a request; whoever asked cannot approve it.",
     NULL, 1, 1, reconcile_approve},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
