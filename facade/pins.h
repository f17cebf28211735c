// SPDX-License-Identifier: Apache-2.0
// Read-your-writes. An acknowledged legacy write stands in the legacy's changelog up to the
// number that its transaction saw. Until sync reports that everything up to that number has
// been applied, reads of that record, and lists of its entity, stay with the owner. No clock
// decides. One table a process, shared by its loops; bounded: beyond the bound the whole
// entity stays with the owner until its last write has arrived.
#ifndef FICUS_FACADE_PINS_H
#define FICUS_FACADE_PINS_H

#include "facade/operation.h"
#include "routes/live.h"

struct pins;

struct pins *pins_create(const struct entity_set *set, struct live *live, struct err *e);
void pins_destroy(struct pins *p);
// After a legacy write was acknowledged. Thread: any.
void pins_note(struct pins *p, const struct operation *op, long long through);
// True: this read must be answered by the owner. Thread: any.
bool pins_hold(struct pins *p, const struct operation *op, const struct group *g);

#endif
