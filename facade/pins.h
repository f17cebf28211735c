// SPDX-License-Identifier: Apache-2.0
// Read-your-writes, as far as this process knows without asking: it spares the question to the
// changelog (backend/tail.h), which knows the writes of every process, and stands in for it
// while the legacy cannot be asked. An acknowledged legacy write stands in the legacy's changelog up to the
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
// Everything that the legacy committed up to this changelog number has reached the new store, in
// every stream of the route's group; without a group, which the legacy always owns, in those of
// the entities that `op` looks at. -1 unknown. A lower bound, refreshed while it is asked for.
// Thread: any.
long long pins_arrived(struct pins *p, const struct route *r, const struct operation *op);
// True: this read must be answered by the owner. Thread: any.
bool pins_hold(struct pins *p, const struct route *r, const struct operation *op);

#endif
