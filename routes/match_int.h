// SPDX-License-Identifier: Apache-2.0
// Shared by match.c (looking up), match_build.c (building, ambiguity) and match_load.c only.
//
//   host -> root node --literal segment--> node --{}--> node ..
//                                            |
//                                          shapes: which fields are asked for, most specific first
//                                            |  hash of the fields' values
//                                          rule
#ifndef FICUS_ROUTES_MATCH_INT_H
#define FICUS_ROUTES_MATCH_INT_H

#include "routes/match.h"

#include <stdint.h>

#define NOTHING UINT32_MAX

// One place in the tree of paths.
struct match_node {
    uint32_t param; // child of any segment, or NOTHING
    uint32_t here;  // first shape of the rules that end here, or NOTHING
    uint32_t below; // first shape of the rules that end in "/**" here, or NOTHING
};

// What the rules of one place that ask for the same fields have in common.
struct match_shape {
    uint32_t next; // less or equally specific, or NOTHING
    unsigned rank;
    unsigned kinds; // MATCH_BIT of each
    bool method;
    unsigned char nfields;
    struct {
        enum match_kind kind;
        bool present; // no value is asked for
        const char *name;
    } fields[MATCH_CONDITIONS_MAX];
};

// An open-addressed table from hash and owner to index; what has the same hash is compared.
struct match_slot {
    uint64_t hash;
    uint32_t owner; // node, or shape
    uint32_t value; // child node, or rule entry; NOTHING: empty
};
struct match_table {
    struct match_slot *slots;
    size_t size, used; // size: a power of two
};

// A rule under one of its methods.
struct match_entry {
    const struct match_rule *rule;
    const char *method; // NULL: any
    uint32_t shape;
};

struct matcher {
    struct match_node *nodes;
    size_t nnodes, nodes_size;
    const char **segments; // of each node, the literal that led to it; owned
    struct match_shape *shapes;
    size_t nshapes, shapes_size;
    struct match_entry *entries;
    size_t nentries, entries_size;
    const struct match_rule **rules;
    size_t nrules, rules_size;
    char **hosts; // of each root; "" any, ".suffix"; owned
    uint32_t *roots;
    size_t nroots, roots_size;
    struct match_table edges, by_values, by_host;
};

uint64_t match_hash(struct str s, uint64_t seed);
// NOTHING when there is none. `same` compares a candidate.
uint32_t match_table_find(const struct match_table *t, uint64_t hash, uint32_t owner,
                          bool (*same)(const void *ctx, uint32_t value), const void *ctx);
// The child of a node by a literal segment, or NOTHING.
uint32_t match_child(const struct matcher *m, uint32_t node, struct str segment);
uint32_t match_root(const struct matcher *m, struct str host); // as kept in `hosts`; or NOTHING
// Combines what a rule asks for; the same for what a request has.
uint64_t match_values_start(uint32_t shape);
uint64_t match_values_add(uint64_t hash, struct str value);

#endif
