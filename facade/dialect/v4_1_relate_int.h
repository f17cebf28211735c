// SPDX-License-Identifier: Apache-2.0
// Shared by v4_1_relate.c (reading over a relationship) and v4_1_link.c (writing one). Memory of
// the call's arena. Thread: the loop of the mount.
#ifndef FICUS_FACADE_DIALECT_V4_1_RELATE_INT_H
#define FICUS_FACADE_DIALECT_V4_1_RELATE_INT_H

#include "facade/dialect/v4_1_int.h"

struct v4_1_relate {
    const struct v4_1_module *module;
    const struct relationship *relationship;
    const struct v4_1_module *target;
    struct value *parent;
    struct v4_1_columns columns;
    struct v4_1_links links;
    const json_t *made; // of a link that is made of the parent; `columns` are then the parent's
    struct v4_1_link link;
    bool defaults;      // no fields were asked for
    bool with_id;       // the key was
    struct query query; // of the related rows
    // set_relationship, set_relationships
    bool remove;
    struct value *far;
    size_t nfar, next;
    struct value *extra; // by field index of the link's entity
};

// Sets c->relate. `parent` is NULL when no key is like `id`, `target` when there is no such link.
int v4_1_relate_start(struct v4_1_call *c, const struct v4_1_module *m, const json_t *id,
                      const json_t *link, struct err *e) FICUS_MUST_CHECK;
// True when `j` can be the key of a row; *out is the key.
bool v4_1_relate_key(struct v4_1_call *c, const struct entity *en, const json_t *j,
                     struct value *out);
// Reads the parent's key; `next` decides what its absence means.
int v4_1_relate_parent(struct v4_1_call *c, bool before_write, v4_1_step_fn *next);

#endif
