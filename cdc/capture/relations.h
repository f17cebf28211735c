// SPDX-License-Identifier: Apache-2.0
// The tables of a stream of pgoutput, as its RELATION messages describe them
// (https://www.postgresql.org/docs/15/protocol-logicalrep-message-formats.html), and what they are
// to the maps. Owned by the capture. One thread.
#ifndef FICUS_CDC_RELATIONS_H
#define FICUS_CDC_RELATIONS_H

#include "cdc/sync_int.h"
#include "connectors/postgres/pgoutput.h"

#define RELATIONS_MAX 1024

// A table of the stream. `entity` -1: not one of ours.
struct relation {
    uint32_t oid;
    long entity;
    bool incomplete; // a synced column of the map is missing
    bool extension;  // not the root: its rows make the aggregate be read again
    size_t ncolumns;
    const struct field **fields; // by column; NULL: not a field of the map
    bool *keys;                  // by column, in extension: the key column
};

struct relations {
    struct sync *sync; // its entities
    struct relation *list;
    size_t n;
};

// A RELATION message always replaces what was known. NULL: ERR_LIMIT, ERR_MEMORY.
const struct relation *relations_take(struct relations *r, const struct pgoutput_relation *told,
                                      struct err *e) FICUS_MUST_CHECK;
const struct relation *relations_find(const struct relations *r, uint32_t oid); // NULL: not told
void relations_close(struct relations *r);

// Cells -> values by field index, which the caller has cleared; memory of `a`. *whole: no cell was
// left out as unchanged.
int relation_values(const struct relation *rel, const struct pgoutput_tuple *t, struct arena *a,
                    struct value *values, bool *whole, struct err *e) FICUS_MUST_CHECK;

#endif
