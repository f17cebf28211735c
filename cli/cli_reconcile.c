// SPDX-License-Identifier: Apache-2.0
// ficus reconcile: compare both stores row by row and say what differs.
#include "base/clock.h"
#include "cdc/reconcile.h"
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

// Which entities: those named, those of --group, else all that both sides store.
static long choose(const struct cli *c, const struct cli_env *env, const struct entity **out)
{
    const char *name = cli_option(c, "group");
    const struct group *g = name ? group_find(env->table, str_of(name)) : NULL;
    long n = 0;
    if (name && !g) {
        fprintf(stderr, "ficus reconcile: no group '%s'\n", name);
        return -1;
    }
    for (size_t i = 0; g && i < g->nentities && n < ENTITIES_MAX; i++)
        out[n++] = g->entities[i];
    for (unsigned i = 0; i < c->nargs; i++) {
        const struct entity *en = entity_find(env->set, str_of(c->args[i]));
        if (!en || !stored_on_both(en)) {
            fprintf(stderr, "ficus reconcile: no entity '%s' that both sides store\n", c->args[i]);
            return -1;
        }
        out[n++] = en;
    }
    for (size_t i = 0; !g && c->nargs == 0 && i < entity_count(env->set) && n < ENTITIES_MAX; i++)
        if (stored_on_both(entity_at(env->set, i)))
            out[n++] = entity_at(env->set, i);
    return n;
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
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "entity", r->entity->name,
                     "rows_legacy", (json_int_t)r->rows_legacy, "rows_new", (json_int_t)r->rows_new,
                     "differences", (json_int_t)r->differences, "settled", (json_int_t)r->settled,
                     "unsettled", (json_int_t)r->unsettled, "parked", (json_int_t)r->parked,
                     "complete", (int)r->complete, "samples", samples);
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
    }
    arena_destroy(a);
    cli_env_close(&env);
    return status;
}

static const struct command_option options[] = {
    {"group", 'g', "GROUP", "All entities of this group."},
    {"chunk", 0, "ROWS", "Rows read at a time (default 1000)."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_reconcile_commands[] = {
    {"reconcile", "[ENTITY..]", "Compare both stores row by row while they are live",
     "Reads every entity (or those named) from both stores and compares them field by field.\n"
     "What differs is read again after markers went through both streams, until it agrees or has\n"
     "stood still on both sides and still differs: only that is a difference. Exit status 1 when\n"
     "there are differences or when not everything could be proven. ficus sync must be running.",
     options, 0, COMMAND_ARGS_MAX, run},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
