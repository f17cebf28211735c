// SPDX-License-Identifier: Apache-2.0
// The command line as data: one row a command with its words, options and help, so that
// `ficus help`, usage errors and the man pages come from one source.
#ifndef FICUS_CLI_COMMAND_H
#define FICUS_CLI_COMMAND_H

#include "base/conf.h"
#include "facade/policy/policy.h"
#include "routes/control.h"

// Exit statuses, as docs/operations.md tells them.
enum cli_exit {
    EXIT_OK = 0,
    EXIT_DIFFERENT = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 3,
    EXIT_UNREACHABLE = 4,
    EXIT_INTERNAL = 5
};

struct command_option {
    const char *name;  // long name without dashes; NULL ends the list
    char letter;       // 0: none
    const char *value; // name of its value in the help; NULL: a flag
    const char *help;
};

#define COMMAND_OPTIONS_MAX 40
#define COMMAND_ARGS_MAX    64

struct cli {
    const struct command *command;
    const char *conf_file; // -c, else $FICUS_CONFIG, else ./ficus.json
    bool json;
    const char *args[COMMAND_ARGS_MAX];
    unsigned nargs;
    const char *options[COMMAND_OPTIONS_MAX]; // by position in command->options; "" for flags
};

struct command {
    const char *words;                    // "route set"; NULL ends a list
    const char *usage;                    // "ROUTE STAGE [PERCENT]" or ""
    const char *summary;                  // one line
    const char *text;                     // what it does, in sentences
    const struct command_option *options; // may be NULL; -c, --json, --help are common
    unsigned args_min, args_max;
    int (*run)(const struct cli *c); // returns an enum cli_exit
};

// The value of an option ("" for a given flag), NULL when it was not given.
const char *cli_option(const struct cli *c, const char *name);
bool cli_flag(const struct cli *c, const char *name);
// Number option within [min, max]; the usage message is printed on a mistake (-1).
int cli_option_int(const struct cli *c, const char *name, long long min, long long max,
                   long long fallback, long long *out) FICUS_MUST_CHECK;

int cli_main(int argc, char **argv, const struct command *const *tables, size_t n);
void cli_write_man(struct buf *out, const struct command *c, const char *date);
// Prints "ficus: message" on stderr and gives the exit status of the error.
int cli_fail(const struct err *e);
// Who acts: $FICUS_USER, else the login name.
const char *cli_who(void);
bool cli_is_terminal(void); // stderr is one: progress bars allowed

// Config, maps, definitions and control store, as most commands need them. `need` says how
// far to go. Every mistake is printed; the exit status is returned in *status.
enum cli_need { NEED_CONF, NEED_MAPS, NEED_ROUTES, NEED_CONTROL, NEED_STATE };
struct cli_env {
    struct conf *conf;
    struct entity_set *set;
    struct route_table *table;    // with state under NEED_STATE
    struct access_policy *policy; // NULL: none; with NEED_ROUTES
    struct control *control;
};
int cli_env_open(const struct cli *c, enum cli_need need, struct cli_env *env,
                 int *status) FICUS_MUST_CHECK;
void cli_env_close(struct cli_env *env);

#endif
