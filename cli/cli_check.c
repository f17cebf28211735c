// SPDX-License-Identifier: Apache-2.0
// ficus check: configuration, maps and routes, every mistake at once; and the SQL of a map.
#include "cdc/event/debezium.h"
#include "cli/tables.h"
#include "facade/admin/admin.h"
#include "facade/dialect/rest.h"
#include "facade/dialect/template.h"
#include "migrations/ddl.h"

#include <stdio.h>
#include <stdlib.h>

static int print_sql(const struct cli_env *env, const char *name, const char *dbms)
{
    struct buf out = BUF_INIT;
    struct err e = {0};
    const struct entity *en = entity_find(env->set, str_of(name));
    const struct dbms *d = dbms_find(str_of(dbms ? dbms : conf_str(env->conf, "legacy.dbms")));
    if (!en) {
        fprintf(stderr, "ficus check: no entity '%s'; there are:", name);
        for (size_t i = 0; i < entity_count(env->set); i++)
            fprintf(stderr, " %s", entity_at(env->set, i)->name);
        fputc('\n', stderr);
        return EXIT_USAGE;
    }
    if (!d) {
        err_set(&e, ERR_CONFIG, "%s: '%s' is not known", dbms ? "--dbms" : "legacy.dbms",
                dbms ? dbms : conf_str(env->conf, "legacy.dbms"));
        return cli_fail(&e);
    }
    const struct group *g = group_of(env->table, en);
    int status = EXIT_OK;
    if (ddl_print(en, g ? g->name : NULL, d, &out, &e) || buf_check(&out, &e))
        status = cli_fail(&e);
    else
        fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return status;
}

static int print_conf(const struct cli_env *env)
{
    json_t *j = conf_dump(env->conf);
    char *text = json_dumps(j, JSON_INDENT(2) | JSON_SORT_KEYS);
    puts(text ? text : "{}");
    free(text);
    json_decref(j);
    return EXIT_OK;
}

static void print_loss(void *ctx, const struct field *f, const char *what)
{
    fprintf(stderr, "%s.%s: Debezium: %s\n", (const char *)ctx, f->name, what);
}

// What is no mistake, but should be known before it is met.
static void print_notes(const struct cli_env *env)
{
    for (size_t i = 0; i < entity_count(env->set); i++) {
        const struct entity *en = entity_at(env->set, i);
        debezium_losses(en, print_loss, (void *)en->name);
        const struct capture_source *by = &en->sides[SIDE_LEGACY].capture;
        if (by->by == CAPTURE_COLUMN)
            fprintf(stderr,
                    "%s: captured by column %s: a write that sets it is seen within %lld ms of its"
                    " commit, if it commits no more than %lld %s later; a delete and a write that"
                    " does not set it are seen by the sweep; without triggers there is no fence,"
                    " so its group's writes cannot move\n",
                    en->name, by->column, conf_int(env->conf, "sync.column_poll_ms"), by->overlap,
                    by->version ? "numbers" : "seconds");
    }
    long long rows = conf_int(env->conf, "sync.sweep_rows");
    if (rows > 0)
        fprintf(stderr,
                "sweep: what no trigger sees (cascades, bulk loads, disabled triggers) is found"
                " within rows / %lld s, at sync.sweep_share: %lld s for each million rows, counted"
                " in both stores\n",
                rows, (1000000 + rows - 1) / rows);
    else
        fputs("sweep: off (sync.sweep_rows); what no trigger sees is found by ficus reconcile"
              " only\n",
              stderr);
}

// Of the first rest mount, or of `ficus service` where there is none.
static int print_openapi(const struct cli_env *env)
{
    struct buf out = BUF_INIT;
    struct err e = {0};
    const char *path = "";
    bool service = true;
    for (size_t i = 0; service && i < mount_count(env->table); i++) {
        const struct mount *m = mount_at(env->table, i);
        service = strcmp(m->dialect, "rest") != 0;
        path = service ? path : m->path;
    }
    rest_openapi(env->set, path, service, NULL, 0, &out);
    int status = EXIT_OK;
    if (buf_check(&out, &e))
        status = cli_fail(&e);
    else
        fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return status;
}

// Of the template mounts; every mistake is printed.
static int check_templates(const struct cli_env *env)
{
    struct problems p = {0};
    for (size_t i = 0; i < mount_count(env->table); i++) {
        const struct mount *m = mount_at(env->table, i);
        if (strcmp(m->dialect, "template") == 0)
            template_destroy(template_of_mount(m, env->conf, env->set, &p));
    }
    int status = p.count ? EXIT_CONFIG : EXIT_OK;
    if (p.count)
        fputs(p.text.data ? p.text.data : "out of memory\n", stderr);
    problems_free(&p);
    return status;
}

static int run(const struct cli *c)
{
    struct cli_env env;
    int status;
    const char *print = cli_option(c, "print");
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    print_notes(&env);
    if ((status = check_templates(&env)) != EXIT_OK) {
        cli_env_close(&env);
        return status;
    }
    if (print && strcmp(print, "sql") == 0 && c->nargs == 1) {
        status = print_sql(&env, c->args[0], cli_option(c, "dbms"));
    } else if (print && strcmp(print, "config") == 0 && c->nargs == 0) {
        status = print_conf(&env);
    } else if (print && strcmp(print, "openapi") == 0 && c->nargs == 0) {
        status = print_openapi(&env);
    } else if (print || c->nargs) {
        fprintf(stderr, "ficus check: --print takes 'sql ENTITY', 'config' or 'openapi'\n");
        status = EXIT_USAGE;
    } else if (c->json) {
        printf("{\"ok\": true, \"entities\": %zu, \"routes\": %zu, \"groups\": %zu}\n",
               entity_count(env.set), route_count(env.table), group_count(env.table));
    } else {
        printf("%s: good; %zu entity maps, %zu routes, %zu groups\n", conf_file(env.conf),
               entity_count(env.set), route_count(env.table), group_count(env.table));
    }
    cli_env_close(&env);
    return status;
}

static int run_reference(const struct cli *c)
{
    struct buf out = BUF_INIT;
    (void)c;
    conf_write_reference(&out);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return EXIT_OK;
}

static int run_admin(const struct cli *c)
{
    struct buf out = BUF_INIT;
    (void)c;
    admin_write_reference(&out);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return EXIT_OK;
}

static const struct command_option options[] = {
    {"print", 'p', "WHAT",
     "'sql' with an ENTITY: all SQL made from its map; 'config'; or 'openapi'."},
    {"dbms", 0, "NAME", "With --print sql: as on this legacy, instead of legacy.dbms."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_check_commands[] = {
    {"check", "[ENTITY]", "Check configuration, maps and routes",
     "Loads the configuration, every entity map and the route table and prints every mistake\n"
     "with file, line and JSON pointer. With --print sql ENTITY it shows the statements,\n"
     "triggers and tables that come from that entity's map; with --print config the effective\n"
     "configuration without secrets; with --print openapi the OpenAPI 3.1 description of the\n"
     "route table's rest mount, or of `ficus service` where it has none. Connects to nothing.",
     options, 0, 1, run},
    {"check options", "", "Print the configuration reference",
     "Prints every configuration option with type, default, range and meaning, as Markdown.", NULL,
     0, 0, run_reference},
    {"check admin", "", "Print the admin API's endpoints",
     "Prints the table of docs/admin-api.md: method, path, role and meaning, as Markdown.", NULL, 0,
     0, run_admin},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
