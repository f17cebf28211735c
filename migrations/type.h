// SPDX-License-Identifier: Apache-2.0
// The type contract: raw text of a store <-> canonical value. Canonical forms:
//   text, id   UTF-8 as it is; id without trailing blanks (char(n) padding)
//   integer    digits, optional '-', no leading zeros
//   decimal    exactly `scale` digits after the point (none when 0); zero has no sign
//   float      shortest text that reads back to the same double, as C's %.17g would bind it
//   boolean    "true" / "false"
//   date       YYYY-MM-DD          time       HH:MM:SS[.f{precision}]
//   timestamp  YYYY-MM-DD HH:MM:SS[.f{precision}], UTC
//   bytes      lower-case hex      json       compact, keys sorted
// What does not fit is VALUE_FOREIGN with its problem; policies are applied apart from that,
// only where a value is about to cross to the other side.
#ifndef FICUS_MIGRATIONS_TYPE_H
#define FICUS_MIGRATIONS_TYPE_H

#include "migrations/entity.h"

const char *field_type_name(enum field_type t);
int field_type_from(struct str name, enum field_type *out) FICUS_MUST_CHECK;
enum column_kind field_column_kind(const struct field *f, enum side side);

// Raw cell of a store -> canonical (also code translation on the legacy side). Never fails
// but for memory: an unfit value comes back as VALUE_FOREIGN with the raw text.
int type_read(const struct field *f, enum side from, struct value raw, struct arena *a,
              struct value *out, struct err *e) FICUS_MUST_CHECK;
// Canonical -> raw text to bind for that side's column. ERR_VALUE when it does not fit.
int type_write(const struct field *f, enum side to, struct value canonical, struct arena *a,
               struct value *raw, struct err *e) FICUS_MUST_CHECK;
// A client's text (any wire) -> canonical of the field, strictly. VALUE_FOREIGN when unfit.
int type_parse(const struct field *f, struct str text, struct arena *a, struct value *out,
               struct err *e) FICUS_MUST_CHECK;
// Applies the field's policy to a VALUE_FOREIGN. 1: replaced (counted by the caller),
// 0: nothing to do, -1: must be parked (`e` says field, problem and value's length).
int type_policy(const struct field *f, struct value *v, struct err *e) FICUS_MUST_CHECK;
// Appends as a JSON value by type (number, bool, string, null).
void type_to_json(const struct field *f, struct value v, struct buf *out);
int type_from_json(const struct field *f, const json_t *j, struct arena *a, struct value *out,
                   struct err *e) FICUS_MUST_CHECK;

#endif
