// SPDX-License-Identifier: Apache-2.0
// The gate in front of dispatch: may this principal do this operation, and which rows of it? The
// same for every dialect, stage and backend, since it looks at the canonical operation only.
// One per loop. Thread: the loop's.
//
//   by kind    GET view; LIST list, filtered; COUNT list; CREATE, UPDATE edit; DELETE edit and
//              delete; RELATE view of the near row; related rows: view of the parent
//   operation.access says where a dialect means something else (enum access_rule)
//
// Levels come from the principal (frozen at login) or, where he has none, from the stores. What
// is live in the legacy is read again: whether one is an administrator and may be here at all
// (kept for facade.access_fresh_ms), and group membership (each time).
#ifndef FICUS_FACADE_ACCESS_H
#define FICUS_FACADE_ACCESS_H

#include "facade/policy/rights.h"

struct access;

struct access *access_create(const struct access_policy *p, struct dispatcher *d, unsigned fresh_ms,
                             struct err *e);
void access_destroy(struct access *a); // NULL is fine

// Decides about d->operation, which may get a narrower filter and narrower expansions. `verdict`
// runs once: RESULT_OK go on, RESULT_DENIED, or what kept the policy from deciding.
typedef void access_verdict_fn(struct dispatch *d, enum result_status s, const char *why);
void access_check(struct access *a, struct dispatch *d, access_verdict_fn *verdict);
// What the legacy policy answered although the strict one would not: counted by user.
void access_note(struct access *a, const struct dispatch *d);
// A write of a row that the policy goes by: what is kept is asked again.
void access_changed(const struct access *a, const struct operation *op);

// Whether a write that was done leaves its record in groups (inherit.c).
bool access_inherits(const struct access *a, const struct dispatch *d);
// Writes the groups of it; `done` runs once, maybe before this returns. A failure is counted
// (ficus_access_inherit_failed_total) and logged: the record itself has been written.
void access_inherit(struct access *a, struct dispatch *d, void (*done)(struct dispatch *d));

// For dialects: a question about a user, answered through q->done. `q` is filled but for done
// and owner.
void access_ask(struct access *a, struct str user, struct arena *arena, uint64_t deadline_ns,
                struct rights_ask *q);
const struct access_policy *access_policy(const struct access *a);

#endif
