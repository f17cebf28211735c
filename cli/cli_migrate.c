// SPDX-License-Identifier: Apache-2.0
// ficus migrate up|down|status: control store and new store by numbered SQL, Ficus' objects
// and triggers in the legacy store, registration of routes and groups.
#include "cli/tables.h"
#include "connectors/odbc/odbc.h"
#include "migrations/ddl.h"

#include <stdio.h>
#include <stdlib.h>

static const char *group_name(const void *ctx, const struct entity *en)
{
    const struct group *g = group_of(ctx, en);
    return g ? g->name : NULL;
}

static bool any_rogue(const struct route_table *t)
{
    for (size_t i = 0; i < group_count(t); i++)
        if (group_at(t, i)->rogue_allowed)
            return true;
    return false;
}

static int legacy_open(const struct cli_env *env, struct odbc_conn **out, struct err *e)
{
    const struct dbms *d = dbms_find(str_of(conf_str(env->conf, "legacy.dbms")));
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(env->conf, "legacy.dbms"));
    dbms_warn_untested(d);
    return odbc_open(conf_str(env->conf, "legacy.odbc"), d, out, e)
               ? err_prefix(e, "legacy database (legacy.odbc)")
               : 0;
}

// Each legacy fence starts open for the side that owns the group, as the control store says.
static int legacy_fences(const struct cli_env *env, struct odbc_conn *c, struct err *e)
{
    for (size_t i = 0; i < group_count(env->table); i++) {
        const struct value p[] = {value_set(str_of(group_at(env->table, i)->name)),
                                  value_set(STR("1")), value_set(STR("0"))};
        if (odbc_exec(c, str_of(odbc_dbms(c)->fence_init_sql), p, 3, NULL, e))
            return err_prefix(e, "fence of group %s", group_at(env->table, i)->name);
    }
    return 0;
}

static int up_legacy(const struct cli_env *env, struct err *e)
{
    struct odbc_conn *c = NULL;
    if (legacy_open(env, &c, e))
        return -1;
    int result = ddl_install_legacy(c, env->set, group_name, env->table, any_rogue(env->table), e)
                     ? err_prefix(e, "legacy store")
                     : legacy_fences(env, c, e);
    odbc_close(c);
    return result;
}

static int up(const struct cli_env *env, unsigned *control, unsigned *crm, struct err *e)
{
    struct pg_conn *pg = control_pg(env->control, e);
    const char *folder = conf_path(env->conf, "migrations.path");
    if (!pg || migrate_up(pg, "control", NULL, control, e) ||
        migrate_up(pg, "crm", folder, crm, e) || control_register(env->control, env->table, e) ||
        ddl_install_new(pg, env->set, group_name, env->table, e))
        return -1;
    return up_legacy(env, e);
}

static int run_up(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    unsigned control = 0, crm = 0;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    if (up(&env, &control, &crm, &e))
        status = cli_fail(&e);
    else if (c->json)
        printf("{\"control\": %u, \"crm\": %u, \"legacy\": \"installed\"}\n", control, crm);
    else
        printf("control store: %u applied; new store: %u applied; legacy triggers and fences"
               " installed\n",
               control, crm);
    cli_env_close(&env);
    return status;
}

static int run_down(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    struct odbc_conn *legacy = NULL;
    unsigned reverted = 0;
    int status;
    bool of_legacy = cli_flag(c, "legacy");
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct pg_conn *pg = control_pg(env.control, &e);
    if (of_legacy) {
        if (legacy_open(&env, &legacy, &e) ||
            ddl_remove_legacy(legacy, env.set, group_name, env.table, &e))
            status = cli_fail(&e);
    } else if (!pg ||
               migrate_down(pg, "crm", conf_path(env.conf, "migrations.path"), &reverted, &e)) {
        status = cli_fail(&e);
    }
    odbc_close(legacy);
    if (status == EXIT_OK && !c->json)
        printf(of_legacy ? "legacy triggers and tables of Ficus removed\n" : "%u reverted\n",
               reverted);
    else if (status == EXIT_OK)
        printf("{\"reverted\": %u, \"legacy_removed\": %s}\n", reverted,
               of_legacy ? "true" : "false");
    cli_env_close(&env);
    return status;
}

static int add_status(json_t *list, struct pg_conn *pg, const char *set, const char *folder,
                      struct arena *a, struct err *e)
{
    struct migration_state *s;
    size_t n;
    if (migrate_status(pg, set, folder, a, &s, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:b, s:b, s:s}", "set", set,
                                              "number", (int)s[i].number, "name", s[i].name,
                                              "applied", (int)s[i].applied, "changed",
                                              (int)s[i].changed, "applied_at", s[i].applied_at));
    return 0;
}

static int print_status(json_t *list, bool json)
{
    size_t i;
    json_t *s;
    int status = EXIT_OK;
    if (json) {
        char *text = json_dumps(list, JSON_INDENT(2));
        puts(text ? text : "[]");
        free(text);
    }
    json_array_foreach(list, i, s)
    {
        bool changed = json_is_true(json_object_get(s, "changed"));
        bool applied = json_is_true(json_object_get(s, "applied"));
        if (changed)
            status = EXIT_DIFFERENT;
        if (!json)
            printf("%-8s %04lld %-40s %s\n", json_string_value(json_object_get(s, "set")),
                   (long long)json_integer_value(json_object_get(s, "number")),
                   json_string_value(json_object_get(s, "name")),
                   changed   ? "CHANGED since it was applied"
                   : applied ? json_string_value(json_object_get(s, "applied_at"))
                             : "not applied");
    }
    return status;
}

static int run_status(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct pg_conn *pg = control_pg(env.control, &e);
    struct arena *a = arena_create(0);
    json_t *list = json_array();
    if (!pg || !a || add_status(list, pg, "control", NULL, a, &e) ||
        add_status(list, pg, "crm", conf_path(env.conf, "migrations.path"), a, &e))
        status = cli_fail(&e);
    else
        status = print_status(list, c->json);
    json_decref(list);
    arena_destroy(a);
    cli_env_close(&env);
    return status;
}

static const struct command_option down_options[] = {
    {"legacy", 0, NULL, "Remove Ficus' triggers and tables from the legacy store instead."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_migrate_commands[] = {
    {"migrate up", "", "Install and upgrade everything that Ficus needs",
     "Applies the numbered SQL of the control store and of the new store, each file in one\n"
     "transaction, refusing a file that changed since it was applied; registers routes and\n"
     "groups; installs changelog, fence and triggers in the legacy store. Idempotent.",
     NULL, 0, 0, run_up},
    {"migrate down", "", "Take back the newest step of the new store",
     "Reverts the newest applied file of the new store by its .down.sql.", down_options, 0, 0,
     run_down},
    {"migrate status", "", "Show which steps are applied",
     "Lists every numbered file with when it was applied and whether it changed since.", NULL, 0, 0,
     run_status},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
