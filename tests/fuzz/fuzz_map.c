// SPDX-License-Identifier: Apache-2.0
// Entity maps as hostile text: what is accepted must turn into SQL for every DBMS, and what is
// refused must say why. Then the type readers: what they make of a raw cell is a fixed point.
#include "migrations/ddl.h"
#include "migrations/map.h"
#include "migrations/type.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cells(const struct entity *en, struct str raw, struct arena *a)
{
    for (size_t i = 0; i < en->nfields; i++) {
        const struct field *f = &en->fields[i];
        struct value v, again;
        struct err e = {0};
        if (type_read(f, SIDE_LEGACY, value_set(raw), a, &v, &e) < 0)
            abort();
        if (v.state != VALUE_SET)
            continue;
        if (type_read(f, SIDE_NEW, v, a, &again, &e) < 0 || !value_eq(v, again))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems p = {0};
    struct str text = {(const char *)data, size};
    const char *name = "input";
    struct arena *a = arena_create((size_t)16 << 20);
    struct entity_set *s = map_parse(&text, &name, 1, &p);
    if (!a || (s != NULL) != (p.count == 0))
        abort();
    for (size_t i = 0; s && i < entity_count(s); i++) {
        for (unsigned d = 0; dbms_at(d); d++) {
            struct buf out = BUF_INIT;
            struct err e = {0};
            if (ddl_print(entity_at(s, i), "g", dbms_at(d), &out, &e) < 0 && e.code == ERR_INTERNAL)
                abort();
            buf_free(&out);
        }
        try_cells(entity_at(s, i), str_n(text.data, size < 64 ? size : 64), a);
    }
    map_destroy(s);
    arena_destroy(a);
    problems_free(&p);
    return 0;
}
