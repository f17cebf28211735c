// SPDX-License-Identifier: Apache-2.0
// The person behind a command.
#include "cli/identity.h"

#include <stdio.h>
#include <stdlib.h>

static int identify(const struct people *people, struct cli_actor *out, struct err *e)
{
    const char *token = getenv("FICUS_TOKEN");
    const struct person *p = token ? people_find(people, str_of(token)) : NULL;
    if (people->n == 0)
        *out = (struct cli_actor){.role = ROLE_OPERATOR};
    else if (!p)
        return err_set(e, ERR_DENIED,
                       "admin.tokens names who may change state; set FICUS_TOKEN"
                       " to your token");
    else
        *out = (struct cli_actor){.role = p->role};
    snprintf(out->name, sizeof out->name, "%s", p ? p->name : cli_who());
    return 0;
}

static int identify_as(const struct cli_env *env, enum role need, bool if_named,
                       struct cli_actor *out)
{
    struct people people;
    struct err e = {0};
    if (people_load(env->conf, &people, &e) || identify(&people, out, &e))
        return cli_fail(&e);
    if (if_named && people.n == 0)
        need = ROLE_OPERATOR;
    if (out->role >= need)
        return EXIT_OK;
    err_set(&e, ERR_DENIED, "this needs the role %s; %s is %s%s", role_name(need), out->name,
            role_name(out->role),
            people.n ? "" : " (admin.tokens names approvers; FICUS_TOKEN says who you are)");
    return cli_fail(&e);
}

int cli_identify(const struct cli_env *env, enum role need, struct cli_actor *out)
{
    return identify_as(env, need, false, out);
}

int cli_identify_approver(const struct cli_env *env, struct cli_actor *out)
{
    return identify_as(env, ROLE_APPROVER, true, out);
}
