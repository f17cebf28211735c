// SPDX-License-Identifier: Apache-2.0
// Files of the repository that are compiled into the binary (SQL, JSON Schemas).
#ifndef FICUS_BASE_EMBED_H
#define FICUS_BASE_EMBED_H

#include <stddef.h>

struct embedded_file {
    const char *name; // path in the repository, "migrations/sql/control/0001_control.sql"
    const unsigned char *data;
    size_t size;
};

const struct embedded_file *embed_find(const char *name); // NULL when none
const struct embedded_file *embed_list(size_t *count);    // sorted by name

#endif
