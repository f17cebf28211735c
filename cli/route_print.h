// SPDX-License-Identifier: Apache-2.0
// A JSON object as the result of a route command.
#ifndef FICUS_CLI_ROUTE_PRINT_H
#define FICUS_CLI_ROUTE_PRINT_H

#include "cli/command.h"

// With --json as it is, else one `name value` a line. Takes `j`.
void route_print(const struct cli *c, json_t *j);

#endif
