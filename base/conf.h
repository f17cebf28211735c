// SPDX-License-Identifier: Apache-2.0
// The configuration (ficus.json): one table row an option, with type, default, range and
// documentation; docs/configuration.md is generated from the same rows.
#ifndef FICUS_BASE_CONF_H
#define FICUS_BASE_CONF_H

#include "base/json.h"

enum conf_type { CONF_STRING, CONF_SECRET, CONF_INT, CONF_BOOL, CONF_ENUM, CONF_LIST };

struct conf_option {
    const char *name; // dotted: "facade.listen"
    enum conf_type type;
    const char *fallback;     // text form; NULL: required when its section is used
    long long min, max;       // CONF_INT
    const char *const *words; // CONF_ENUM, NULL-ended
    const char *unit;         // "ms", "bytes", "" ...
    const char *doc;          // one or two sentences
};

extern const struct conf_option conf_options[]; // ended by a NULL name; base/conf_table.c

struct conf; // immutable once loaded

// Loads FILE; `${env:NAME}` and `${file:PATH}` are expanded in strings. Every mistake is
// added to `p`. Returns NULL on any. Relative paths in it are relative to the file's folder.
struct conf *conf_load(const char *file, struct problems *p);
void conf_destroy(struct conf *c);

// The option must exist in the table (a programming error aborts).
const char *conf_str(const struct conf *c, const char *name); // "" when unset
long long conf_int(const struct conf *c, const char *name);
bool conf_bool(const struct conf *c, const char *name);
size_t conf_list(const struct conf *c, const char *name, const char *const **items);
// A path option resolved against the folder of the file; borrowed.
const char *conf_path(const struct conf *c, const char *name);
// The same for a list.
size_t conf_paths(const struct conf *c, const char *name, const char *const **items);
const char *conf_file(const struct conf *c);
// Effective values as JSON, secrets as "***". Caller owns.
json_t *conf_dump(const struct conf *c);
// Markdown of the table.
void conf_write_reference(struct buf *out);
// A connection string with every password-like value replaced by ***, for messages.
struct str conf_scrub(struct arena *a, const char *conninfo);

#endif
