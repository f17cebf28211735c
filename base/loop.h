// SPDX-License-Identifier: Apache-2.0
// One libevent base in one thread, with a mailbox: the only door for other threads.
#ifndef FICUS_BASE_LOOP_H
#define FICUS_BASE_LOOP_H

#include "base/err.h"

#include <event2/event.h>
#include <stdint.h>

struct loop;
struct mailbox;

struct mail {
    void (*deliver)(struct mail *m); // runs on the loop; must free what `m` is part of
    struct mail *next;               // the mailbox's
};

struct loop *loop_create(const char *name, unsigned index, struct err *e);
// After its thread has ended. Delivers what is left in the mailbox, so that it is freed.
void loop_destroy(struct loop *l);
int loop_start(struct loop *l, struct err *e) FICUS_MUST_CHECK; // its own thread
void loop_run(struct loop *l);     // in the calling thread, until loop_stop
void loop_deliver(struct loop *l); // what is in the mailbox, after loop_join
void loop_stop(struct loop *l);    // Thread: any
void loop_join(struct loop *l);
struct event_base *loop_base(struct loop *l);
struct mailbox *loop_mailbox(struct loop *l);
unsigned loop_index(const struct loop *l);
bool loop_is_current(const struct loop *l); // for assertions
uint64_t loop_now_ns(const struct loop *l); // cached monotonic time of this turn

// Thread: any. Wakes the loop (eventfd) only when the mailbox was empty; the loop takes
// the whole list a wake-up, in order of posting.
void mailbox_post(struct mailbox *box, struct mail *m);

#endif
