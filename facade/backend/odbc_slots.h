// SPDX-License-Identifier: Apache-2.0
// The connections of the ODBC workers, one a worker, and the way to reach into one from outside:
// cancelling the call that it runs. Calls are known by their number, not by their memory, so that
// a cancel that comes late hits nothing else.
#ifndef FICUS_FACADE_ODBC_SLOTS_H
#define FICUS_FACADE_ODBC_SLOTS_H

#include "connectors/odbc/odbc.h"

struct odbc_slots;
struct odbc_slot;

struct odbc_slots *odbc_slots_create(struct err *e);
// When every slot is closed. NULL is fine.
void odbc_slots_destroy(struct odbc_slots *s);

// Thread: the worker whose slot it is.
struct odbc_slot *odbc_slot_open(struct odbc_slots *s); // NULL: no memory
void odbc_slot_close(struct odbc_slot *s);              // and its connection; NULL is fine
struct odbc_conn *odbc_slot_conn(const struct odbc_slot *s);
// Takes the connection; the one that was there is closed.
void odbc_slot_set_conn(struct odbc_slot *s, struct odbc_conn *c);
void odbc_slot_begin(struct odbc_slot *s, uint64_t call); // `call` is never 0
void odbc_slot_end(struct odbc_slot *s);                  // waits for a cancel under way

// Cancels the call if it runs; may block as the driver does. Thread: any but a loop's.
void odbc_slots_cancel(struct odbc_slots *s, uint64_t call);

#endif
