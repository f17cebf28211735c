// SPDX-License-Identifier: Apache-2.0
// Canonical values: equality, and the names of what can be wrong with a raw one.
// Owns nothing. Thread: any.
#include "base/value.h"

static const char *const problem_names[PROBLEM_COUNT] = {
    [PROBLEM_NONE] = "none",
    [PROBLEM_ZERO_DATE] = "zero_date",
    [PROBLEM_BAD_DATE] = "bad_date",
    [PROBLEM_NUL] = "nul",
    [PROBLEM_OVERFLOW] = "overflow",
    [PROBLEM_TOO_LONG] = "too_long",
    [PROBLEM_NOT_A_NUMBER] = "not_a_number",
    [PROBLEM_BAD_UTF8] = "bad_utf8",
    [PROBLEM_EMPTY] = "empty",
    [PROBLEM_BAD_JSON] = "bad_json",
    [PROBLEM_BAD_ENUM] = "bad_enum",
};

bool value_eq(struct value a, struct value b)
{
    if (a.state != b.state)
        return false;
    if (a.state != VALUE_SET && a.state != VALUE_FOREIGN)
        return true;
    return str_eq(value_str(a), value_str(b));
}

const char *value_problem_name(enum value_problem p)
{
    return (unsigned)p < PROBLEM_COUNT ? problem_names[p] : "unknown";
}

int value_problem_from(struct str name, enum value_problem *out)
{
    for (unsigned i = 0; i < PROBLEM_COUNT; i++) {
        if (str_eqz(name, problem_names[i])) {
            *out = (enum value_problem)i;
            return 0;
        }
    }
    return -1;
}
