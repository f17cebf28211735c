// SPDX-License-Identifier: Apache-2.0
// Borrowed byte slices: pointer and length, never NUL-terminated by promise.
#ifndef FICUS_BASE_STR_H
#define FICUS_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FICUS_MUST_CHECK   __attribute__((warn_unused_result))
#define FICUS_PRINTF(f, a) __attribute__((format(printf, f, a)))

// Borrows. `data` may be NULL only when `len` is 0.
struct str {
    const char *data;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_n(const char *data, size_t len)
{
    return (struct str){data, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool str_eqz(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

// ASCII case only; bytes above 0x7f compare as they are.
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
struct str str_trim(struct str s);

// Whole slice as a decimal number within [min, max]; false on anything else.
// The replacement for atoi: no sign tricks, no blanks, no silent overflow.
bool str_to_int(struct str s, long long min, long long max, long long *out);

// Whole slice is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool str_is_utf8(struct str s);

// Length in bytes (1..4) of the well-formed sequence at the front, its code point in
// *code; 0 when the slice is empty or starts with anything else.
size_t str_utf8_next(struct str s, uint32_t *code);

// The longest front of at most `max` bytes that ends where a character ends.
struct str str_utf8_cut(struct str s, size_t max);

// Copies with a terminating NUL; -1 when it does not fit (dst then holds "").
int str_copy(char *dst, size_t size, struct str s) FICUS_MUST_CHECK;

#endif
