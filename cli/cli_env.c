// SPDX-License-Identifier: Apache-2.0
// Opens what commands need: configuration, maps, route table, control store. Prints every
// mistake that it finds. Single thread.
#include "base/log.h"
#include "cli/command.h"
#include "migrations/map.h"

#include <stdio.h>
#include <stdlib.h>

static const char *conf_name(const struct cli *c)
{
    const char *env = getenv("FICUS_CONFIG");
    if (c->conf_file)
        return c->conf_file;
    return env && *env ? env : "ficus.json";
}

static int load_files(const struct cli *c, enum cli_need need, struct cli_env *env)
{
    struct problems p = {0};
    env->conf = conf_load(conf_name(c), &p);
    if (env->conf && need >= NEED_MAPS)
        env->set = map_load(
            *conf_str(env->conf, "maps.path") ? conf_path(env->conf, "maps.path") : "", &p);
    if (env->set && need >= NEED_ROUTES)
        env->table = route_table_load(conf_path(env->conf, "routes.path"), env->set, &p);
    if (env->table)
        policy_open(env->conf, env->set, &p, &env->policy);
    if (p.count > 0) {
        fwrite(p.text.data, 1, p.text.len, stderr);
        fprintf(stderr, "ficus: %u mistake%s; nothing was started or changed\n", p.count,
                p.count == 1 ? "" : "s");
    }
    int failed = p.count > 0 ? -1 : 0;
    problems_free(&p);
    return failed;
}

static bool runs_on(const char *words)
{
    return strcmp(words, "serve") == 0 || strcmp(words, "service") == 0 ||
           strcmp(words, "sync") == 0;
}

// A command that ends says what it did by its result; its log is for trouble.
static int setup_log(const struct cli_env *env, const char *process)
{
    enum log_level level;
    if (log_level_from(str_of(conf_str(env->conf, "log.level")), &level))
        return -1;
    if (!runs_on(process) && level == LOG_INFO)
        level = LOG_WARN;
    log_setup(level, strcmp(conf_str(env->conf, "log.format"), "json") == 0, process);
    return 0;
}

static int load_state(struct cli_env *env, struct err *e)
{
    json_t *state = control_state(env->control, e);
    if (!state)
        return -1;
    struct route_table *t = route_table_with_state(env->table, state, e);
    json_decref(state);
    if (!t)
        return -1;
    route_table_unref(env->table);
    env->table = t;
    return 0;
}

int cli_env_open(const struct cli *c, enum cli_need need, struct cli_env *env, int *status)
{
    struct err e = {0};
    *env = (struct cli_env){0};
    *status = EXIT_CONFIG;
    if (load_files(c, need, env) || setup_log(env, c->command->words))
        goto fail;
    if (need >= NEED_CONTROL &&
        control_open(conf_str(env->conf, "control.conninfo"), "ficus", &env->control, &e)) {
        *status = cli_fail(&e);
        goto fail;
    }
    if (need >= NEED_STATE && load_state(env, &e)) {
        *status = cli_fail(&e);
        goto fail;
    }
    *status = EXIT_OK;
    return 0;
fail:
    cli_env_close(env);
    return -1;
}

void cli_env_close(struct cli_env *env)
{
    control_close(env->control);
    route_table_unref(env->table);
    policy_destroy(env->policy);
    map_destroy(env->set);
    conf_destroy(env->conf);
    *env = (struct cli_env){0};
}
