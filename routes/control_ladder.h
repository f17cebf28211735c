// SPDX-License-Identifier: Apache-2.0
// Moves of routes along the ladder in the control store: evidence, promotions, proposals that
// wait for a second person, and the automatic way back. Blocking: not on a loop.
#ifndef FICUS_ROUTES_CONTROL_LADDER_H
#define FICUS_ROUTES_CONTROL_LADDER_H

#include "routes/control.h"

#define STAGE_CHANGES_MAX 256

struct route_change {
    const struct route *route;
    enum stage to;
    unsigned canary_bp;
};
struct stage_order {
    const struct route_change *changes;
    size_t n;
    const struct conf *conf; // section ladder
    const char *who, *why;
    bool force;              // without evidence; the caller has seen that `who` may
    const char *approved_by; // the second person; NULL
};
// All in one transaction, locked in order of names: an illegal step, or a promotion without
// evidence (ERR_DENIED), refuses all. Writes history, with the evidence, and audit.
int control_set_stages(struct control *c, const struct stage_order *o,
                       struct err *e) FICUS_MUST_CHECK;
// True when one of the changes climbs and its group asks for a second person.
bool control_needs_approval(struct control *c, const struct stage_order *o, struct err *e);

// Keeps the order until someone else decides; *id is its number.
int control_propose(struct control *c, const struct stage_order *o, long long *id,
                    struct err *e) FICUS_MUST_CHECK;
// Carries a proposal out (evidence is judged now) or withdraws it. The proposer may withdraw
// only: ERR_DENIED. `t` has the definitions.
int control_decide(struct control *c, long long id, bool approve, const struct route_table *t,
                   const struct conf *conf, const char *who, struct err *e) FICUS_MUST_CHECK;

// Evidence of a route since it began; of its present stay only, when `stay`.
int control_evidence(struct control *c, const char *route, bool stay, struct ladder_evidence *out,
                     struct err *e) FICUS_MUST_CHECK;
// What an arm did in the last `seconds` of the present stay, over all instances.
int control_arm(struct control *c, const char *route, enum side arm, unsigned seconds,
                struct arm *out, struct err *e) FICUS_MUST_CHECK;

// One rung back from the stay that began at r->since_us, with the reason in the history.
// 1: done; 0: the route has moved on meanwhile (someone else did it); -1.
int control_take_back(struct control *c, const struct route *r, const char *reason,
                      const json_t *evidence, struct err *e) FICUS_MUST_CHECK;

#endif
