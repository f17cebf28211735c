// SPDX-License-Identifier: Apache-2.0
// Events that a Debezium connector wrote for one table (debezium.io, "Change event value" and the
// pages on data types of the connectors for MySQL, MariaDB, PostgreSQL, SQL Server and Oracle), read
// as our own: JSON, with the schema part or without. Names of columns are matched in any case, since
// Oracle shouts.
//
// A cell's meaning comes from the schema part where there is one (its "name" and "type"), else from
// the map's type, the modes of "capture" and the connector that "source" names. A value that the
// connector could not read (its placeholder for TOAST and LOB columns) is taken from "before" if it
// stands there, and is VALUE_FOREIGN otherwise: the event is parked, nothing is written as NULL.
// What Debezium itself loses is listed by debezium_losses().
#ifndef FICUS_CDC_DEBEZIUM_H
#define FICUS_CDC_DEBEZIUM_H

#include "cdc/event/event.h"

#define DEBEZIUM_UNAVAILABLE "__debezium_unavailable_value"

// What event_decode() is for our own messages. Memory of the arena; Thread: any.
int debezium_decode(const struct entity *en, const struct kafka_message *m, struct arena *a,
                    struct event *out, struct err *e) FICUS_MUST_CHECK;

// One cell -> what the legacy store's driver would have said (type_read() goes on from there).
// `schema`: the field's, or NULL; `connector`: "mysql", "postgresql", .., "" when unknown.
// ERR_INVALID: not of a form that this field's values have.
int debezium_cell(const struct field *f, const struct capture_source *modes, const char *connector,
                  const json_t *schema, const json_t *cell, struct arena *a, struct value *raw,
                  struct err *e) FICUS_MUST_CHECK;

// Calls `each` with what the modes of this entity's capture lose, in words.
void debezium_losses(const struct entity *en,
                     void (*each)(void *ctx, const struct field *f, const char *what), void *ctx);

#endif
