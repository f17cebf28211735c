// SPDX-License-Identifier: Apache-2.0
// Hashing a record's values. Thread: any.
#include "facade/version.h"

#include <stdio.h>

#define XXH_STATIC_LINKING_ONLY // the state's size
#include <xxhash.h>

const struct field *const *version_fields(const struct entity *en, struct arena *a, size_t *n)
{
    const struct field **list = arena_array(a, en->nfields + 1, sizeof *list);
    *n = 0;
    for (size_t i = 0; list && i < en->nfields; i++)
        if (!en->fields[i].secret)
            list[(*n)++] = &en->fields[i];
    return list;
}

static const struct value *value_at(const struct field *const *fields, size_t nfields,
                                    const struct value *values, const struct field *f, size_t *hint)
{
    // In the usual case the fields stand in the map's order.
    for (size_t k = 0; k < nfields; k++) {
        size_t i = (*hint + k) % nfields;
        if (fields[i] == f) {
            *hint = i + 1;
            return &values[i];
        }
    }
    return NULL;
}

static void add(XXH3_state_t *h, const struct field *f, const struct value *v)
{
    uint8_t state = v->state == VALUE_ABSENT ? VALUE_NULL : v->state;
    uint32_t head[3] = {f->index, state, v->len};
    XXH3_128bits_update(h, head, sizeof head);
    if (v->len)
        XXH3_128bits_update(h, v->data, v->len);
}

bool version_of(const struct entity *en, const struct field *const *fields, size_t nfields,
                const struct value *values, char out[VERSION_LEN + 1])
{
    XXH3_state_t h;
    size_t hint = 0;
    XXH3_128bits_reset(&h);
    XXH3_128bits_update(&h, en->name, strlen(en->name));
    for (size_t i = 0; i < en->nfields; i++) {
        const struct value *v;
        if (en->fields[i].secret)
            continue;
        if (!nfields || !(v = value_at(fields, nfields, values, &en->fields[i], &hint)))
            return false;
        add(&h, &en->fields[i], v);
    }
    XXH128_hash_t sum = XXH3_128bits_digest(&h);
    snprintf(out, VERSION_LEN + 1, "%016llx%016llx", (unsigned long long)sum.high64,
             (unsigned long long)sum.low64);
    return true;
}

bool version_matches(const struct operation *op, const char *version)
{
    for (size_t i = 0; i < op->nmatch; i++)
        if (str_eqz(op->match[i], version))
            return true;
    return op->nmatch == 0;
}
