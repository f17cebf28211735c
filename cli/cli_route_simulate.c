// SPDX-License-Identifier: Apache-2.0
// ficus route simulate: what a candidate table would do with the requests of an access log.
// Knows the log's lines in both forms (docs/operations.md); a line that is not one is counted.
#include "cli/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 16384
#define KINDS_MAX      1024
#define SAMPLES        3

struct hit {
    char route[64], stage[16], side[16], operation[16], method[16], path[256];
    long long bucket; // -1: none
};

// One way in which requests change, or do not.
struct kind {
    char route[64], stage[16], side[16], to_stage[16], to_side[16];
    unsigned long long n;
    char samples[SAMPLES][288];
    unsigned nsamples;
};

struct simulation {
    const struct route_table *table;
    struct kind kinds[KINDS_MAX];
    size_t nkinds;
    unsigned long long lines, requests, routed, changed, unread;
};

// ---------------------------------------------------------------- the log

static const struct {
    const char *name;
    size_t offset, size;
} fields[] = {
    {"route", offsetof(struct hit, route), 64},
    {"stage", offsetof(struct hit, stage), 16},
    {"side", offsetof(struct hit, side), 16},
    {"operation", offsetof(struct hit, operation), 16},
    {"method", offsetof(struct hit, method), 16},
    {"path", offsetof(struct hit, path), 256},
};

static void set_field(struct hit *h, struct str name, struct str value)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (str_eqz(name, fields[i].name))
            snprintf((char *)h + fields[i].offset, fields[i].size, "%.*s", (int)value.len,
                     value.data);
    if (str_eqz(name, "bucket") && !str_to_int(value, 0, 9999, &h->bucket))
        h->bucket = -1;
}

static bool read_json(struct str line, struct hit *h)
{
    json_t *j = json_loadb(line.data, line.len, 0, NULL), *v;
    const char *subsystem = json_string_value(json_object_get(j, "subsystem")), *name;
    bool is = subsystem && strcmp(subsystem, "access") == 0;
    json_object_foreach(j, name, v) if (is && json_is_string(v))
        set_field(h, str_of(name), str_n(json_string_value(v), json_string_length(v)));
    const json_t *bucket = json_object_get(j, "bucket");
    if (json_is_integer(bucket))
        h->bucket = json_integer_value(bucket);
    json_decref(j);
    return is;
}

// "name=value name="quoted" .."
static bool read_text(struct str line, struct hit *h)
{
    const char *p = memmem(line.data, line.len, "client=", 7), *end = line.data + line.len;
    if (!p || !memmem(line.data, (size_t)(p - line.data), "access", 6))
        return false;
    while (p < end) {
        const char *eq = memchr(p, '=', (size_t)(end - p));
        if (!eq)
            break;
        struct str name = str_n(p, (size_t)(eq - p));
        const char *v = eq + 1, *stop;
        if (v < end && *v == '"') {
            for (stop = ++v; stop < end && *stop != '"'; stop++)
                stop += *stop == '\\';
            stop = stop < end ? stop : end;
        } else {
            stop = memchr(v, ' ', (size_t)(end - v));
            stop = stop ? stop : end;
        }
        set_field(h, name, str_n(v, (size_t)(stop - v)));
        for (p = stop; p < end && (*p == '"' || *p == ' ');)
            p++;
    }
    return true;
}

// ---------------------------------------------------------------- the candidate

static enum side side_of(const struct route *r, const struct hit *h)
{
    if (r->group && r->group->owner == SIDE_NEW)
        return SIDE_NEW;
    if (*h->operation && strcmp(h->operation, "get") != 0 && strcmp(h->operation, "list") != 0 &&
        strcmp(h->operation, "count") != 0)
        return SIDE_LEGACY; // a write goes to the owner
    if (r->stage == STAGE_CANARY && strcmp(h->operation, "get") == 0 && h->bucket >= 0)
        return (unsigned)h->bucket < r->canary_bp ? SIDE_NEW : SIDE_LEGACY;
    return route_read_side(r, STR(""));
}

static struct kind *kind_of(struct simulation *s, const struct kind *k)
{
    for (size_t i = 0; i < s->nkinds; i++) {
        struct kind *x = &s->kinds[i];
        if (strcmp(x->route, k->route) == 0 && strcmp(x->stage, k->stage) == 0 &&
            strcmp(x->side, k->side) == 0 && strcmp(x->to_stage, k->to_stage) == 0 &&
            strcmp(x->to_side, k->to_side) == 0)
            return x;
    }
    if (s->nkinds == KINDS_MAX)
        return NULL;
    s->kinds[s->nkinds] = *k;
    return &s->kinds[s->nkinds++];
}

static void judge(struct simulation *s, const struct hit *h)
{
    const struct route *r = route_find(s->table, str_of(h->route));
    struct kind k = {.n = 0};
    snprintf(k.route, sizeof k.route, "%s", h->route);
    snprintf(k.stage, sizeof k.stage, "%s", h->stage);
    snprintf(k.side, sizeof k.side, "%s", h->side);
    snprintf(k.to_stage, sizeof k.to_stage, "%s", r ? stage_name(r->stage) : "no route");
    snprintf(k.to_side, sizeof k.to_side, "%s",
             !r || r->stage == STAGE_RETIRED ? "none" : side_name(side_of(r, h)));
    struct kind *at = kind_of(s, &k);
    s->routed++;
    s->changed += strcmp(k.side, k.to_side) != 0;
    if (!at)
        return;
    if (at->nsamples < SAMPLES)
        snprintf(at->samples[at->nsamples++], sizeof at->samples[0], "%s %s", h->method, h->path);
    at->n++;
}

static int replay(struct simulation *s, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char line[LINE_MAX_BYTES];
    if (!f) {
        fprintf(stderr, "ficus route simulate: %s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, f)) {
        struct str text = str_trim(str_of(line));
        struct hit h = {.bucket = -1};
        s->lines++;
        if (!(text.len && text.data[0] == '{' ? read_json(text, &h) : read_text(text, &h)))
            s->unread++;
        else if (++s->requests && *h.route)
            judge(s, &h);
    }
    if (f != stdin)
        fclose(f);
    return 0;
}

// ---------------------------------------------------------------- --set and --table

// "account=canary:5,contact=new" over the state of now.
static int add_stages(json_t *state, const struct route_table *t, const char *list)
{
    json_t *routes = json_object_get(state, "routes");
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ","), eq = strcspn(p, "=,");
        struct str name = str_n(p, eq), value = str_n(p + eq + 1, n > eq ? n - eq - 1 : 0);
        const char *colon = value.len ? memchr(value.data, ':', value.len) : NULL;
        struct str stage = colon ? str_n(value.data, (size_t)(colon - value.data)) : value;
        long long percent = 0;
        enum stage to;
        const struct route *r = route_find(t, name);
        if (!r || stage_from(stage, &to) ||
            (colon && !str_to_int(str_n(colon + 1, value.len - stage.len - 1), 0, 100, &percent))) {
            fprintf(stderr, "ficus route simulate: '%.*s' is not ROUTE=STAGE[:PERCENT]\n", (int)n,
                    p);
            return -1;
        }
        json_object_set_new(
            routes, r->name,
            json_pack("{s:s, s:i}", "stage", stage_name(to), "canary_bp", (int)percent * 100));
        p += n + (p[n] == ',');
    }
    return 0;
}

// The candidate: definitions of --table (else the configured ones), the state of now with --set.
static struct route_table *candidate(const struct cli *c, const struct cli_env *env)
{
    const char *file = cli_option(c, "table"), *set = cli_option(c, "set");
    struct problems p = {0};
    struct err e = {0};
    struct route_table *t = NULL;
    json_t *state = route_table_state(env->table);
    struct route_table *base = file ? route_table_load(file, env->set, &p) : env->table;
    if (!file)
        route_table_ref(base);
    if (p.count)
        fwrite(p.text.data, 1, p.text.len, stderr);
    if (base && (!set || add_stages(state, base, set) == 0) &&
        !(t = route_table_with_state(base, state, &e)))
        fprintf(stderr, "ficus route simulate: %s\n", e.msg);
    problems_free(&p);
    route_table_unref(base);
    json_decref(state);
    return t;
}

// ---------------------------------------------------------------- the result

static json_t *result_json(const struct simulation *s)
{
    json_t *kinds = json_array();
    for (size_t i = 0; i < s->nkinds; i++) {
        const struct kind *k = &s->kinds[i];
        json_t *samples = json_array();
        for (unsigned n = 0; n < k->nsamples; n++)
            json_array_append_new(samples, json_string(k->samples[n]));
        json_array_append_new(
            kinds, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "route", k->route, "stage",
                             k->stage, "side", k->side, "to_stage", k->to_stage, "to_side",
                             k->to_side, "requests", (json_int_t)k->n, "changes",
                             strcmp(k->side, k->to_side) != 0, "samples", samples));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "requests", (json_int_t)s->requests, "routed",
                     (json_int_t)s->routed, "changed", (json_int_t)s->changed, "other_lines",
                     (json_int_t)s->unread, "kinds", kinds);
}

static void print_result(const struct simulation *s)
{
    printf("%llu requests, %llu with a route; %llu would be answered by another side\n",
           s->requests, s->routed, s->changed);
    for (size_t i = 0; i < s->nkinds; i++) {
        const struct kind *k = &s->kinds[i];
        bool changes = strcmp(k->side, k->to_side) != 0;
        printf("%c %-16s %-8s %-6s -> %-8s %-6s %10llu\n", changes ? '*' : ' ', k->route, k->stage,
               k->side, k->to_stage, k->to_side, k->n);
        for (unsigned n = 0; changes && n < k->nsamples; n++)
            printf("      %s\n", k->samples[n]);
    }
}

static int run_simulate(const struct cli *c)
{
    struct cli_env env;
    int status;
    if (!cli_option(c, "table") && !cli_option(c, "set")) {
        fprintf(stderr, "ficus route simulate: give --table FILE, --set ROUTE=STAGE, or both\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    struct simulation *s = calloc(1, sizeof *s);
    struct route_table *t = s ? candidate(c, &env) : NULL;
    if (s)
        s->table = t;
    if (!t || replay(s, c->args[0])) {
        status = s ? EXIT_USAGE : EXIT_INTERNAL;
    } else if (c->json) {
        json_t *j = result_json(s);
        char *text = json_dumps(j, JSON_INDENT(2));
        puts(text ? text : "{}");
        free(text);
        json_decref(j);
    } else {
        print_result(s);
    }
    route_table_unref(t);
    free(s);
    cli_env_close(&env);
    return status;
}

static const struct command_option simulate_options[] = {
    {"table", 't', "FILE", "Route definitions to try."},
    {"set", 's', "LIST", "Stages to try: ROUTE=STAGE[:PERCENT], separated by commas."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_simulate_commands[] = {
    {"route simulate", "LOG", "Say what a table would do with recorded requests",
     "Reads an access log of ficus serve (text or JSON, - is stdin) and says, by route, stage and\n"
     "side, where its requests would go by other definitions or stages, with samples of those\n"
     "that would change. A request counts under the name of the route that took it. Nothing is\n"
     "sent and nothing is changed.",
     simulate_options, 1, 1, run_simulate},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
