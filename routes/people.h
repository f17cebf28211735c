// SPDX-License-Identifier: Apache-2.0
// Who may do what: the tokens of admin.tokens, each of a person with a role. Shared by the
// command line (token in $FICUS_TOKEN) and the admin API (bearer token).
#ifndef FICUS_ROUTES_PEOPLE_H
#define FICUS_ROUTES_PEOPLE_H

#include "base/conf.h"

// Each may do what those before it may.
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_APPROVER };
const char *role_name(enum role r);

#define PEOPLE_MAX 64

struct person {
    char name[64];
    enum role role;
    unsigned char hash[32]; // SHA-256 of the token; the token itself is not kept
};
struct people {
    struct person list[PEOPLE_MAX];
    size_t n;
};

// Reads admin.tokens: "NAME:ROLE:TOKEN" or "NAME:ROLE:sha256:HEX", separated by commas or
// blanks. ERR_CONFIG says which entry is wrong, never its token.
int people_load(const struct conf *conf, struct people *out, struct err *e) FICUS_MUST_CHECK;
int people_parse(const char *text, struct people *out, struct err *e) FICUS_MUST_CHECK;
// The person with this token, or NULL. Takes the same time whichever it is. Thread: any.
const struct person *people_find(const struct people *p, struct str token);

#endif
