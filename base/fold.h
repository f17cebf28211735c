// SPDX-License-Identifier: Apache-2.0
// Text as the legacy's collation (utf8_general_ci) compares it, for what is compared outside of a
// database: without case, without accents on Latin letters, without blanks at the end.
#ifndef FICUS_BASE_FOLD_H
#define FICUS_BASE_FOLD_H

#include "base/buf.h"
#include "base/str.h"

// Appends `s` folded. Latin up to U+017F loses its accents; Greek and Cyrillic lose their case;
// everything else stays, ill-formed UTF-8 too. Two texts that the collation holds for equal have
// the same folded form, as far as these letters go. Thread: any.
void fold_add(struct buf *out, struct str s);
// True where both fold to the same. False without memory. Thread: any.
bool fold_eq(struct str a, struct str b);
// Appends a LIKE pattern that matches whatever folds as `s` does, and more: `_` for each letter.
// Thread: any.
void fold_pattern(struct buf *out, struct str s);

#endif
