// SPDX-License-Identifier: Apache-2.0
// Who runs a command that changes state, and whether that person may.
#ifndef FICUS_CLI_IDENTITY_H
#define FICUS_CLI_IDENTITY_H

#include "cli/command.h"
#include "routes/people.h"

struct cli_actor {
    char name[64];
    enum role role;
};

// With $FICUS_TOKEN: the person of admin.tokens. Without tokens in the configuration: whoever
// can open the control store is an operator, named by cli_who; nobody is an approver then.
// 0, or an exit status after a message: the role is below `need`.
int cli_identify(const struct cli_env *env, enum role need, struct cli_actor *out);
// For consent to what someone else asked for, and for going on against a guard: an approver where
// admin.tokens names persons. Where it names nobody, persons are told apart by name only, and an
// operator will do.
int cli_identify_approver(const struct cli_env *env, struct cli_actor *out);

#endif
