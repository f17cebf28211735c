// SPDX-License-Identifier: Apache-2.0
// A query of the control store shown as an aligned table or as JSON.
#ifndef FICUS_CLI_LISTING_H
#define FICUS_CLI_LISTING_H

#include "cli/command.h"

// `sql` is a SELECT with named columns and without trailing semicolon. Prints on stdout; a
// table without rows prints `empty` on stderr. Returns an exit status.
int listing_print(struct control *c, const char *sql, const struct value *params, size_t nparams,
                  const char *const *headers, const char *empty, bool json);
// The same for rows at hand; as JSON every value is a string or null, named by its header.
int listing_rows(const struct rows *rows, const char *const *headers, const char *empty, bool json);

#endif
