// SPDX-License-Identifier: Apache-2.0
// What the stores say about one user: whether he may be here, whether he is an administrator,
// the levels of his roles, his groups. One per loop. Answers come through canonical reads; a
// user's standing and the levels of who has no session are kept for a moment (see access.h).
// Memory of an answer is the asking arena's. `done` runs once, maybe before the call returns.
#ifndef FICUS_FACADE_RIGHTS_H
#define FICUS_FACADE_RIGHTS_H

#include "facade/policy/chain.h"
#include "facade/policy/levels.h"

struct rights;

struct rights *rights_create(const struct access_policy *p, struct dispatcher *d, unsigned fresh_ms,
                             struct err *e);
void rights_destroy(struct rights *r);
// Forgets what is kept: a user, role or group has been written through this process.
void rights_changed(void); // Thread: any

// Who asks a question; embedded by the asker, whose memory lives until `done`.
struct rights_ask {
    struct chain chain;
    struct rights *rights;
    struct str user;
    void (*done)(struct rights_ask *q);
    void *owner;
    // The answer.
    const struct result *trouble; // NULL: none
    bool live, admin;             // rights_standing
    struct str levels;            // rights_levels
    const struct value *groups;   // rights_groups: ids of live groups
    size_t ngroups;
    // rights_levels, on its way
    struct value *roles;
    size_t nroles;
    struct levels *table;
    struct rights_action *actions;
    size_t nactions;
    // rights_groups, with strict rights
    const struct entity *entity;
    enum access_action action;
    bool keep; // rights_levels: the answer may be a moment old
};

// Set chain.dispatcher, chain.arena, chain.deadline_ns, rights, user, done, owner before.
void rights_standing(struct rights_ask *q);
void rights_levels(struct rights_ask *q);
// The groups that count for `action` on rows of `entity`.
void rights_groups(struct rights_ask *q, const struct entity *entity, enum access_action action);

#endif
