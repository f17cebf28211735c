// SPDX-License-Identifier: Apache-2.0
// Shared by template_load.c (file, principals, endpoints, takes, answers) and template_load_op.c
// (operations) only.
#ifndef FICUS_FACADE_DIALECT_TEMPLATE_LOAD_INT_H
#define FICUS_FACADE_DIALECT_TEMPLATE_LOAD_INT_H

#include "facade/dialect/template.h"

#define AT_MAX 256

struct template_load {
    struct json_doc doc;
    struct problems *p;
    struct template *t;
    struct arena *a;
    bool loopback;
};

// "at/key" into `out`.
void template_at(char out[AT_MAX], const char *at, const char *key);
void template_at_index(char out[AT_MAX], const char *at, size_t i);
const char *template_keep(struct template_load *l, const char *text);
// Number of the word in a NULL-ended list; -1 and a problem that lists them.
int template_word(struct template_load *l, const json_t *object, const char *at, const char *key,
                  const char *const *words, int fallback);
// Number of a take by its name; -1 and a problem.
int template_take_named(struct template_load *l, const struct template_endpoint *en,
                        const char *name, const char *at);
void template_load_operation(struct template_load *l, struct template_endpoint *en,
                             const json_t *def, const char *at);

#endif
