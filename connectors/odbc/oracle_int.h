// SPDX-License-Identifier: Apache-2.0
// Shared by oracle.c and oracle_triggers.c only.
#ifndef FICUS_CONNECTORS_ORACLE_INT_H
#define FICUS_CONNECTORS_ORACLE_INT_H

#include "connectors/odbc/dbms_int.h"

#include <stdio.h>

void oracle_quote(struct buf *out, struct str identifier);
void oracle_trigger_ddl(struct buf *out, const struct dbms_trigger *t);
void oracle_trigger_drop(struct buf *out, const struct dbms_trigger *t);
void oracle_set_marks(struct buf *out, const struct dbms_marks *m);
extern const char oracle_session_package[]; // the marks and the fence check; two statements

#endif
