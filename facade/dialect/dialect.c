// SPDX-License-Identifier: Apache-2.0
// The dialects that exist, by name.
#include "facade/dialect.h"

const struct dialect *dialect_find(struct str name)
{
    static const struct dialect *const all[] = {&dialect_v4_1, &dialect_rest, &dialect_template};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (str_eqz(name, all[i]->name))
            return all[i];
    return NULL;
}
