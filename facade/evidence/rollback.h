// SPDX-License-Identifier: Apache-2.0
// The automatic way back: looks at the arms of routes at canary and new, over all facades, and
// takes a route one rung back when its new arm has been worse than the limits for
// ladder.hold_s. Every facade looks; the control store lets one of them act (compare-and-set on
// the stay). It cannot flap: nothing climbs by itself, a new stay is judged by new answers only,
// and a route is never taken below `shadow`.
#ifndef FICUS_FACADE_ROLLBACK_H
#define FICUS_FACADE_ROLLBACK_H

#include "routes/control_ladder.h"

struct rollback;

struct rollback *rollback_create(const struct conf *conf, struct err *e);
void rollback_destroy(struct rollback *rb); // NULL is fine
// Blocking. Thread: the ledger's.
int rollback_look(struct rollback *rb, struct control *c, const struct route_table *t,
                  struct err *e) FICUS_MUST_CHECK;

#endif
