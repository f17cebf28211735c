// SPDX-License-Identifier: Apache-2.0
// Bounds on failed logins: of one user name (lockout) and from one address (rate), within a
// window that starts with the first failure. Names that exist and names that do not count alike,
// so that a lock tells nothing. Fixed memory: a full bucket forgets what weighs least. Shared by
// all loops of a process; each process counts for itself. Thread: any.
#ifndef FICUS_FACADE_LOGIN_GUARD_H
#define FICUS_FACADE_LOGIN_GUARD_H

#include "base/str.h"

#include <netinet/in.h>

struct login_guard;

struct login_guard_options {
    unsigned name_max, address_max; // failures within a window; 0: no bound
    unsigned window_ms;
};

enum login_answer { LOGIN_MAY_TRY, LOGIN_LOCKED, LOGIN_TOO_MANY };

struct login_guard *login_guard_create(const struct login_guard_options *o); // NULL: no memory
void login_guard_destroy(struct login_guard *g);                             // NULL is fine

// Who tries, as numbers: names are compared without case and blanks at their end; an IPv6
// address counts by its /64.
struct login_who {
    uint64_t name, address;
};
struct login_who login_who(struct str name, const struct sockaddr_storage *peer);

enum login_answer login_guard_ask(struct login_guard *g, struct login_who who, uint64_t now_ms);
void login_guard_failed(struct login_guard *g, struct login_who who, uint64_t now_ms);
void login_guard_passed(struct login_guard *g, struct login_who who); // forgets the name's failures

#endif
