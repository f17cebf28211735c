// SPDX-License-Identifier: Apache-2.0
// A v4_1 `query` and `order_by` as hostile text: what is accepted must only hold fields of the
// module that are not secret, in a tree within its limits.
#include "facade/dialect/v4_1_int.h"
#include "migrations/map.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct v4_1_module *module(void)
{
    static struct dialect_mount *mount;
    struct dialect_env env = {0};
    struct problems p = {0};
    struct err e;

    if (!mount) {
        struct entity_set *set = map_load("migrations/maps/suitecrm", &p);
        if (!set)
            abort();
        env.entities = set;
        mount = dialect_v4_1.mount(&env, &(struct mount){0}, &e);
        if (!mount)
            abort();
    }
    return v4_1_module(mount, STR("Accounts"));
}

static unsigned walk(const struct v4_1_module *m, const struct filter *f, unsigned depth)
{
    unsigned nodes = 1;

    // Each level of the text may be a NOT, an OR and an AND of the tree.
    if (depth > 3 * FILTER_DEPTH_MAX)
        abort();
    for (size_t i = 0; i < f->nchildren; i++)
        nodes += walk(m, f->children[i], depth + 1);
    if (f->nchildren > 0)
        return nodes;
    if (!f->field || f->field->secret || &m->entity->fields[f->field->index] != f->field)
        abort();
    for (size_t i = 0; i < f->nvalues; i++)
        if (f->values[i].state != VALUE_SET || !str_is_utf8(value_str(f->values[i])))
            abort();
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct v4_1_module *m = module();
    struct arena *a = arena_create(0);
    struct str text = str_n((const char *)data, size);
    struct filter *f;
    struct order *o;
    struct err e;
    size_t n;

    if (!a)
        return 0;
    if (v4_1_query(m, text, a, &f, &e) == 0 && f && walk(m, f, 0) > FILTER_NODES_MAX)
        abort();
    if (v4_1_order(m, text, a, &o, &n, &e) == 0 && n > V4_1_ORDER_MAX)
        abort();
    arena_destroy(a);
    return 0;
}
