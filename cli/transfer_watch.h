// SPDX-License-Identifier: Apache-2.0
// A transfer as a person sees it: its steps while it runs, its receipt when it has ended.
#ifndef FICUS_CLI_TRANSFER_WATCH_H
#define FICUS_CLI_TRANSFER_WATCH_H

#include "cli/command.h"

// Follows transfer `id` on stderr until it ends, then prints the receipt on stdout (`c->json`: as
// JSON, and nothing on stderr). Ctrl-C ends the watching, not the transfer, and says how things
// stand and what to type next. Returns an exit status: EXIT_OK when the outcome is `wanted`.
int transfer_watch(const struct cli *c, struct control *control, long long id, const char *wanted);

// The receipt as the control store keeps it, for people.
void transfer_receipt_print(const json_t *receipt);

#endif
