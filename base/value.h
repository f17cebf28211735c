// SPDX-License-Identifier: Apache-2.0
// One canonical value: text in the one canonical form of its type (migrations/type.h),
// so that equality is equality of bytes, whichever store or wire it came from.
#ifndef FICUS_BASE_VALUE_H
#define FICUS_BASE_VALUE_H

#include "base/str.h"

#include <stdint.h>

enum value_state {
    VALUE_ABSENT = 0, // not asked for, not given, or left unchanged
    VALUE_NULL,
    VALUE_SET,
    VALUE_FOREIGN, // raw text of a store that its canonical type cannot hold;
                   // `problem` says why. Shown to clients, never written across.
};

// Why a raw value does not fit its canonical type. Policies are named by these.
enum value_problem {
    PROBLEM_NONE = 0,
    PROBLEM_ZERO_DATE, // 0000-00-00
    PROBLEM_BAD_DATE,  // 2024-02-30, 2024-02-00, 838:59:59
    PROBLEM_NUL,       // NUL inside text
    PROBLEM_OVERFLOW,  // beyond the type's range, precision or scale
    PROBLEM_TOO_LONG,
    PROBLEM_NOT_A_NUMBER, // NaN, infinity, or text in a numeric field
    PROBLEM_BAD_UTF8,
    PROBLEM_EMPTY, // '' where the other side wants NULL
    PROBLEM_BAD_JSON,
    PROBLEM_BAD_ENUM, // a code that the translation does not list
    PROBLEM_COUNT,
};

struct value {
    const char *data; // borrowed, usually from an arena
    uint32_t len;
    uint8_t state;   // enum value_state
    uint8_t problem; // enum value_problem; only with VALUE_FOREIGN
};

static inline struct value value_null(void)
{
    return (struct value){.state = VALUE_NULL};
}

static inline struct value value_set(struct str s)
{
    return (struct value){s.data, (uint32_t)s.len, VALUE_SET, 0};
}

static inline struct str value_str(struct value v)
{
    return (struct str){v.data, v.len};
}

bool value_eq(struct value a, struct value b); // same state and same bytes
const char *value_problem_name(enum value_problem p);
int value_problem_from(struct str name, enum value_problem *out) FICUS_MUST_CHECK;

#endif
