// SPDX-License-Identifier: Apache-2.0
// Shared by rehearse.c (what is done) and rehearse_values.c (with what) only.
#ifndef FICUS_CDC_REHEARSE_INT_H
#define FICUS_CDC_REHEARSE_INT_H

#include "cdc/transfer/rehearse.h"

// Canonical values by field index, in the arena: the key and what the side takes; ABSENT else.
// `second`: those of the update. `digits_max`: of a decimal, which a store that keeps them as
// doubles (SQLite) does not hold in full. NULL on no memory.
#define DOUBLE_DIGITS 15
struct value *rehearse_values(const struct entity *en, enum side side, bool second,
                              unsigned digits_max, struct arena *a);
// Whether a test record of it can be made; else `why` not.
bool rehearse_can(const struct entity *en, char why[128]);

#endif
