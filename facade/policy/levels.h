// SPDX-License-Identifier: Apache-2.0
// The levels of one user, and what follows from them. Pure. Thread: any.
//
// Levels are frozen at login as in the legacy, so they travel as text in the session:
// "account:89,90,75,..;contact:..", the actions in the order of enum access_action, "-" where the
// action has no row and so refuses.
#ifndef FICUS_FACADE_LEVELS_H
#define FICUS_FACADE_LEVELS_H

#include "base/buf.h"
#include "facade/policy/policy.h"

#define LEVEL_MISSING INT16_MIN // no row of the action, or a deleted one: refuses

// What a level lets a user do with a row.
enum reach {
    REACH_NOTHING,
    REACH_OWN,
    REACH_GROUP, // own, and those of his groups
    REACH_ALL,
};

struct levels {
    int16_t of[POLICY_MODULES_MAX][ACTION_COUNT_OF];
};

void levels_clear(struct levels *l); // everything missing
// The level of an action: `overrides` are those of the user's roles, 0 says nothing.
int levels_resolve(const struct access_policy *p, int fallback, const int *overrides, size_t n);
// By name, for rows of the stores; -1: not under control.
int levels_action(const struct access_policy *p, struct str name);
int levels_module(const struct access_policy *p, struct str category);

void levels_write(const struct access_policy *p, const struct levels *l, struct buf *out);
// Of one module in the text; LEVEL_MISSING when the text says nothing.
int levels_read(struct str text, const struct entity *en, enum access_action a);

// The module is open to the user at all.
bool levels_open(const struct access_policy *p, struct str text, const struct entity *en);
// What `a` reaches; nothing when the module is closed.
enum reach levels_reach(const struct access_policy *p, struct str text, const struct entity *en,
                        enum access_action a);

#endif
