// SPDX-License-Identifier: Apache-2.0
// A rehearsal: marked test records go through a group's streams on the user's own systems, before
// anything depends on them. For each entity, written past every facade into the owner's store as a
// program of the legacy's would: a row of awkward values, an update of it, its removal; each must
// arrive on the other side as it was written. Besides: a direct write on the other side is refused,
// and nothing comes back as an echo. With `switch`, the group is then cut over, everything is done
// again in the other direction, and it is given back.
//
// A test record has the key REHEARSE_KEY. What a rehearsal that was killed left behind is removed by
// the next one, before it begins. Thread: the caller's.
#ifndef FICUS_CDC_REHEARSE_H
#define FICUS_CDC_REHEARSE_H

#include "base/conf.h"
#include "routes/control.h"

#define REHEARSE_KEY "ficus-rehearsal"
#define FINDINGS_MAX 2048

struct finding {
    char direction[16]; // "legacy->new"
    char entity[96];    // "" when it is of the group
    char check[16];     // clean, create, update, delete, fence, echo, way-back, switch, skipped
    bool passed;
    double ms; // of what was waited for; -1: nothing was
    char figure[256];
};

struct rehearsal {
    const struct conf *conf;
    struct control *control;
    const struct group *group;
    const char *who;
    bool switch_owner;
    unsigned wait_s;          // for one change to arrive
    struct finding *findings; // owned; free()
    size_t n;
};

// 0: carried through, whatever was found; -1: a system could not be reached or stopped answering
// (`r->findings` holds what was found before). The test records are removed in both cases if the
// stores can be reached.
int rehearse_run(struct rehearsal *r, struct err *e) FICUS_MUST_CHECK;

#endif
