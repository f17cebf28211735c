// SPDX-License-Identifier: Apache-2.0
// Loading JSON definitions (config, maps, routes) with errors that name file, line and
// JSON pointer (RFC 6901), collected so that every mistake is shown at once.
#ifndef FICUS_BASE_JSON_H
#define FICUS_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"

#include <jansson.h>

#define JSON_FILE_MAX  (16u << 20) // bytes
#define JSON_DEPTH_MAX 64

// The mistakes found in a set of files. Grows to a limit, then counts.
struct problems {
    struct buf text; // one "file:line: pointer: message" a line
    unsigned count;
};

struct json_doc {
    const char *file; // borrowed name for messages
    char *text;       // owned
    size_t len;
    json_t *root; // owned reference
};

// Reads and parses; duplicate keys, trailing text, too deep or too large are mistakes.
// -1 when it could not be loaded; the reason is in `p`.
int json_doc_load(struct json_doc *doc, const char *file, struct problems *p) FICUS_MUST_CHECK;
int json_doc_parse(struct json_doc *doc, const char *name, struct str text,
                   struct problems *p) FICUS_MUST_CHECK;
void json_doc_free(struct json_doc *doc);

// Line (from 1) on which the value at `pointer` starts, 0 when there is none.
unsigned json_doc_line(const struct json_doc *doc, const char *pointer);

void problems_add(struct problems *p, const struct json_doc *doc, const char *pointer,
                  const char *fmt, ...) FICUS_PRINTF(4, 5);
void problems_addz(struct problems *p, const char *where, const char *fmt, ...) FICUS_PRINTF(3, 4);
void problems_free(struct problems *p);

// Typed getters for `object[key]`. Each adds a problem with pointer `at`/key and returns
// -1 when the key is of the wrong type or, without a default, missing.
int json_get_str(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                 const char *fallback, const char **out, struct problems *p);
int json_get_int(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                 long long min, long long max, const long long *fallback, long long *out,
                 struct problems *p);
int json_get_bool(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                  bool fallback, bool *out, struct problems *p);
// Adds a problem for every key of `object` not in the NULL-ended list `known`, naming the
// nearest known word.
void json_only_keys(const struct json_doc *doc, const json_t *object, const char *at,
                    const char *const *known, struct problems *p);
// The word of a NULL-ended list that was probably meant; NULL when none is near.
const char *json_nearest(const char *word, const char *const *known);

#endif
