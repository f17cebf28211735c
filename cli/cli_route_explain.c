// SPDX-License-Identifier: Apache-2.0
// ficus route explain: who answers for a record, or for a whole request, and why.
#include "cli/route_print.h"
#include "cli/tables.h"
#include "facade/server/explain.h"
#include "facade/server/explain_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// The whole of a file, or of stdin for "-". Owned; NULL with a message.
static char *read_all(const char *path, size_t *len)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = f ? malloc(EXPLAIN_INPUT_MAX + 1) : NULL;
    if (!f)
        fprintf(stderr, "ficus route explain: %s: %s\n", path, strerror(errno));
    *len = text ? fread(text, 1, EXPLAIN_INPUT_MAX + 1, f) : 0;
    if (f && f != stdin)
        fclose(f);
    return text;
}

static int explain_text(const struct cli *c, const struct cli_env *env, struct str text)
{
    struct err e = {0};
    struct http_request r = {.arena = arena_create(0)};
    int status = EXIT_OK;
    if (!r.arena)
        return EXIT_INTERNAL;
    if (explain_parse(text, &r, &e)) {
        fprintf(stderr, "ficus route explain: %s\n", e.msg);
        status = EXIT_USAGE;
    } else {
        route_print(c, explain_request(env->table, &r));
    }
    arena_destroy(r.arena);
    return status;
}

static int explain_key(const struct cli *c, const struct cli_env *env)
{
    const struct route *r = route_find(env->table, str_of(c->args[0]));
    if (!r) {
        fprintf(stderr, "ficus route explain: no route '%s'; ficus route list shows them\n",
                c->args[0]);
        return EXIT_USAGE;
    }
    json_t *j = explain_route(env->table, r, str_of(c->nargs > 1 ? c->args[1] : ""), true);
    json_t *side = json_object_get(j, "side");
    json_object_set(j, "read_by", side);
    json_object_set_new(j, "write_by",
                        json_string(side_name(r->group ? r->group->owner : SIDE_LEGACY)));
    route_print(c, j);
    return EXIT_OK;
}

static int run_explain(const struct cli *c)
{
    const char *curl = cli_option(c, "curl"), *file = cli_option(c, "request");
    struct cli_env env;
    int status;
    if (!!curl + !!file + (c->nargs > 0) != 1) {
        fprintf(stderr, "ficus route explain: give ROUTE [KEY], or --curl, or --request\n");
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_STATE, &env, &status))
        return status;
    size_t len = 0;
    char *text = file ? read_all(file, &len) : NULL;
    if (file && !text)
        status = EXIT_USAGE;
    else if (file || curl)
        status = explain_text(c, &env, file ? str_n(text, len) : str_of(curl));
    else
        status = explain_key(c, &env);
    free(text);
    cli_env_close(&env);
    return status;
}

static const struct command_option explain_options[] = {
    {"curl", 0, "COMMAND", "A curl command line, quoted as one word; nothing is sent."},
    {"request", 'r', "FILE", "A file with a raw HTTP request, or with a curl command; - is stdin."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_route_explain_commands[] = {
    {"route explain", "[ROUTE [KEY]]", "Say who answers for a record or a request, and why",
     "For a record: which side reads and writes it now, its canary bucket (0 to 9999), owner,\n"
     "epoch, table version, and why. For a request: also which mount, dialect, method and module\n"
     "it is. The answer is the table's; what a running facade adds (a change that has not arrived\n"
     "yet keeps a read with the owner) its replies tell in the field Ficus-Route.",
     explain_options, 0, 2, run_explain},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
