// SPDX-License-Identifier: Apache-2.0
// ficus serve, ficus service: run a facade until SIGTERM. The main thread only waits for
// signals; the work is in the server's threads.
#include "base/log.h"
#include "cli/tables.h"
#include "facade/server/server.h"

#include <signal.h>
#include <stdio.h>

static int wait_signals(struct server *s)
{
    struct log_ctx ctx = {"server", NULL, NULL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    for (;;) {
        const struct timespec second = {.tv_sec = 1};
        struct err e = {0};
        int sig = sigtimedwait(&set, NULL, &second);
        if (sig < 0) {
            server_watch(s);
            continue;
        }
        if (sig != SIGHUP)
            return sig;
        if (server_reload(s, &e))
            log_error(&ctx, "reload refused, the running definitions stay: %s", e.msg);
        else
            log_info(&ctx, "definitions and certificates reloaded");
    }
}

static int run(const struct cli *c, bool service)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    sigset_t set;
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    // Blocked before any thread exists, so that only this one takes them.
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct server_options o = {
        .conf = env.conf, .entities = env.set, .policy = env.policy, .service = service};
    struct server *s = server_start(&o, &e);
    if (!s) {
        status = cli_fail(&e);
    } else {
        wait_signals(s);
        server_stop(s);
    }
    cli_env_close(&env);
    return status;
}

static int run_serve(const struct cli *c)
{
    return run(c, false);
}

static int run_service(const struct cli *c)
{
    return run(c, true);
}

const struct command cli_serve_commands[] = {
    {"serve", "", "Run the facade",
     "Answers the legacy endpoints that the route table mounts, from the legacy database or the\n"
     "new side by each route's stage and each group's owner. Follows the control store by itself\n"
     "and serves on with the last good table when that is away. /healthz, /readyz and /metrics\n"
     "are on facade.admin_listen (else on facade.listen). SIGHUP reloads the route definitions;\n"
     "SIGTERM drains and ends.",
     NULL, 0, 0, run_serve},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};

const struct command cli_service_commands[] = {
    {"service", "", "Run a composable service for entities of the new store",
     "Speaks the rest dialect on service.listen for service.entities, on PostgreSQL, under the\n"
     "fence: a starting point that a team replaces by its own. Bind it to loopback or put it\n"
     "behind your own access control; it trusts whoever reaches it.",
     NULL, 0, 0, run_service},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
