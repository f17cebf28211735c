// SPDX-License-Identifier: Apache-2.0
// A reconciliation run as files for others: one self-contained page for people, JUnit's XML for
// pipelines. Values come as the report holds them: personal data only by its length.
#ifndef FICUS_CLI_RECONCILE_REPORT_H
#define FICUS_CLI_RECONCILE_REPORT_H

#include "cdc/reconcile.h"

// Both write to `file` next to it first and rename, so that a full disk or an interrupt never
// leaves half a report under its name. The error names the file. `who` ran it.
int reconcile_write_html(const struct reconcile_report *r, const char *who, const char *file,
                         struct err *e) FICUS_MUST_CHECK;
int reconcile_write_junit(const struct reconcile_report *r, const char *file,
                          struct err *e) FICUS_MUST_CHECK;

#endif
