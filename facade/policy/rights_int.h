// SPDX-License-Identifier: Apache-2.0
// Shared by rights.c, rights_levels.c and rights_groups.c only.
#ifndef FICUS_FACADE_RIGHTS_INT_H
#define FICUS_FACADE_RIGHTS_INT_H

#include "facade/policy/rights.h"

#include <uthash.h>

#define KNOWN_ID_MAX 128
#define RIGHTS_IDS   500 // roles, and groups, of one user

// What a loop keeps of a user for a moment.
struct known {
    char id[KNOWN_ID_MAX];
    unsigned generation;
    uint64_t standing_ms, levels_ms; // monotonic, of the answers; 0: none
    bool live, admin;
    char *levels; // owned
    UT_hash_handle hh;
};

struct rights {
    const struct access_policy *policy;
    struct dispatcher *dispatcher;
    unsigned fresh_ms;
    struct known *users; // in order of insertion
};

struct known *rights_known(struct rights *r, struct str user, bool make);
bool rights_fresh(const struct rights *r, const struct known *k, uint64_t at_ms);
// The answer is as of now: older answers of another generation go.
void rights_stamp(struct known *k, uint64_t *at_ms);

#endif
