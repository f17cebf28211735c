// SPDX-License-Identifier: Apache-2.0
// A reconciliation run as files for others: one self-contained page for people, JUnit's XML for
// pipelines. Values come as the report holds them: personal data only by its length.
#ifndef FICUS_CLI_RECONCILE_REPORT_H
#define FICUS_CLI_RECONCILE_REPORT_H

#include "base/buf.h"
#include "cdc/reconcile/reconcile.h"

// Both write to `file` next to it first and rename, so that a full disk or an interrupt never
// leaves half a report under its name. The error names the file. `who` ran it.
// The page draws earlier runs of the control store, too.
int reconcile_write_html(const struct reconcile_report *r, struct control *c, const char *who,
                         const char *file, struct err *e) FICUS_MUST_CHECK;
int reconcile_write_junit(const struct reconcile_report *r, const char *file,
                          struct err *e) FICUS_MUST_CHECK;

int reconcile_write_json(const struct reconcile_report *r, const char *who, const char *file,
                         struct err *e) FICUS_MUST_CHECK;
// docs/schema/reconcile-report.schema.json. Owned.
json_t *reconcile_json(const struct reconcile_report *r, const char *who);
// Shared by the report's files: puts a text under a name, or nothing.
int reconcile_put(struct buf *text, const char *file, struct err *e) FICUS_MUST_CHECK;

#endif
