// SPDX-License-Identifier: Apache-2.0
// Requests of one loop that wait for a switch of owner, and the order in which they go on.
//
// Bounded in number and bytes over all loops of the process (struct held_budget), and in time by
// each request's own `held_until_ns`. They leave in the order in which they arrived; a write whose
// key is being written by one that left before it waits until that has been answered (`followers`),
// so that a store sees the writes of one key in their order though many connections carry them.
// Thread: the loop's; the budget: any.
#ifndef FICUS_FACADE_HELD_H
#define FICUS_FACADE_HELD_H

#include "facade/dispatch.h"

#include <stdatomic.h>

struct held_budget {
    unsigned count_max;
    size_t bytes_max;
    atomic_uint count;
    atomic_size_t bytes;
};

struct held {
    struct held_budget *budget; // borrowed
    struct dispatch *first, **last;
    atomic_uint count;         // of this loop
    struct dispatch *released; // writes that were held and are being executed
};

void held_init(struct held *h, struct held_budget *budget);
// False when a bound is reached: `d` is not kept. A request that was refused by a store before
// stands where it arrived, not last.
bool held_add(struct held *h, struct dispatch *d);
// All of them, in order, linked by next_held; they count no more.
struct dispatch *held_take(struct held *h);
// Of those taken: one that stays where it was, whatever the bounds say. In order.
void held_keep(struct held *h, struct dispatch *d);
unsigned held_count(const struct held *h); // Thread: any
// Less than half of what all loops may keep is kept.
bool held_has_room(const struct held *h);

// A write of the same key was released before `d` and is not answered: `d` was put behind it, and
// comes back from held_ended(). Else `d` counts as released if `was_held`.
bool held_follows(struct held *h, struct dispatch *d, bool was_held);
// `d` is about to be answered. The write that waited for it and may go on now, or NULL.
struct dispatch *held_ended(struct held *h, struct dispatch *d);
// `d` is to wait again: it is released no more. Those that followed it, linked by next_held.
struct dispatch *held_unrelease(struct held *h, struct dispatch *d);
// Every follower, unlinked, linked by next_held: the loop is closing.
struct dispatch *held_take_followers(struct held *h);

#endif
