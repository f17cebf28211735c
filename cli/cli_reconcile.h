// SPDX-License-Identifier: Apache-2.0
// Shared by the files of `ficus reconcile` only: cli_reconcile.c (the run),
// cli_reconcile_history.c (what earlier runs left), cli_repair.c (asking and telling of repairs).
#ifndef FICUS_CLI_CLI_RECONCILE_H
#define FICUS_CLI_CLI_RECONCILE_H

#include "cdc/reconcile/repair.h"
#include "cli/command.h"

int reconcile_history(const struct cli *c);
int reconcile_show(const struct cli *c);
int reconcile_compare(const struct cli *c);
int reconcile_verify(const struct cli *c);
int reconcile_approve(const struct cli *c);

// Whether this repair may go ahead; else told why not, with the exit status. Toward an owner a
// request is left for someone else to approve, or `*approval` is the approved one's id.
bool repair_may(const struct cli *c, const struct cli_env *env, const struct reconcile_options *o,
                long long *approval, int *status);
// The receipt, in ficus.repair and in the audit.
int repair_record(struct control *c, const struct reconcile_report *run,
                  const struct repair_report *r, long long approval, bool toward_owner,
                  struct err *e) FICUS_MUST_CHECK;
json_t *repair_json(const struct repair_report *r); // owned
void repair_print(const struct repair_report *r, bool dry_run);

#endif
