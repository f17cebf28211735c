// SPDX-License-Identifier: Apache-2.0
// The sync engine's part in writes of dual groups (docs/dual.md): asks come in, marks travel
// behind the changes that they are about, answers go out once those are committed. Nothing is kept:
// a process that dies takes its asks along, and the clients behind them wait for their bound.
//
// One thread a process holds the connection. capture.legacy takes the asks of its side, capture.new
// meets its own in the WAL, the appliers tell what they have committed.
#ifndef FICUS_CDC_DUAL_POST_H
#define FICUS_CDC_DUAL_POST_H

#include "cdc/capture/publish.h"
#include "routes/dual_wire.h"

struct dual_post;

struct dual_text {
    struct dual_text *next;
    char text[];
};

struct dual_post *dual_post_create(struct err *e);
void dual_post_destroy(struct dual_post *d);                   // NULL is fine
int dual_once(struct sync *s, struct err *e) FICUS_MUST_CHECK; // the thread

// Asks for the legacy's capture, in order; the caller frees each. NULL: none.
struct dual_text *dual_take(struct dual_post *d);
// Sleeps until there is one, `ms` at most.
void dual_sleep(struct dual_post *d, unsigned ms);
// Everything that an ask is about has been published: its marks go behind it. A mistake in an ask
// is logged and forgotten.
int dual_publish(struct publisher *p, struct str ask, struct arena *a,
                 struct err *e) FICUS_MUST_CHECK;
// Thread: any.
void dual_tell(struct dual_post *d, const struct dual_mark *m, enum dual_word word);

#endif
