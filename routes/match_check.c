// SPDX-License-Identifier: Apache-2.0
// Finds rules that could hold for one request and are equally specific: rules of one place whose
// shapes differ but rank alike, and whose common conditions do not tell them apart. (Rules of one
// shape with the same values never get in.) Thread: whoever builds.
#include "routes/match_int.h"

#include <stdlib.h>

// A rule's values of the conditions that two shapes share.
struct shared {
    uint64_t hash;
    const struct match_rule *rule;
};

struct pair {
    const struct matcher *m;
    uint32_t a, b; // shapes
    bool in_common[2][MATCH_CONDITIONS_MAX];
};

// Marks the conditions with a value that both ask for.
static void find_common(struct pair *p)
{
    const struct match_shape *a = &p->m->shapes[p->a], *b = &p->m->shapes[p->b];

    for (size_t i = 0; i < a->nfields; i++) {
        for (size_t k = 0; k < b->nfields; k++) {
            if (a->fields[i].kind == b->fields[k].kind && !a->fields[i].present &&
                !b->fields[k].present && strcmp(a->fields[i].name, b->fields[k].name) == 0)
                p->in_common[0][i] = p->in_common[1][k] = true;
        }
    }
}

static uint64_t project(const struct match_entry *e, const bool *in_common)
{
    uint64_t hash = match_values_add(0, str_of(e->method));

    for (size_t i = 0; i < e->rule->nconditions; i++)
        if (in_common[i])
            hash = match_values_add(hash, str_of(e->rule->conditions[i].value));
    return hash;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct shared *)a)->hash, y = ((const struct shared *)b)->hash;

    return x < y ? -1 : x > y;
}

static size_t collect(const struct pair *p, uint32_t shape, const bool *in_common,
                      struct shared *out)
{
    size_t n = 0;

    for (size_t i = 0; i < p->m->nentries; i++)
        if (p->m->entries[i].shape == shape)
            out[n++] = (struct shared){project(&p->m->entries[i], in_common),
                                       p->m->entries[i].rule};
    return n;
}

static int check_pair(const struct matcher *m, uint32_t a, uint32_t b,
                      void (*each)(void *, const struct match_rule *, const struct match_rule *),
                      void *ctx)
{
    struct pair p = {.m = m, .a = a, .b = b};
    struct shared *left = calloc(m->nentries + 1, sizeof *left);
    struct shared *right = calloc(m->nentries + 1, sizeof *right);

    if (left && right) {
        find_common(&p);
        size_t n = collect(&p, a, p.in_common[0], left);
        size_t k = collect(&p, b, p.in_common[1], right);
        qsort(left, n, sizeof *left, by_hash);
        for (size_t i = 0; i < k; i++) {
            const struct shared *same = bsearch(&right[i], left, n, sizeof *left, by_hash);
            if (same)
                each(ctx, same->rule, right[i].rule);
        }
    }
    int result = left && right ? 0 : -1;
    free(left);
    free(right);
    return result;
}

static int check_list(const struct matcher *m, uint32_t first,
                      void (*each)(void *, const struct match_rule *, const struct match_rule *),
                      void *ctx)
{
    for (uint32_t a = first; a != NOTHING; a = m->shapes[a].next)
        for (uint32_t b = m->shapes[a].next; b != NOTHING && m->shapes[b].rank == m->shapes[a].rank;
             b = m->shapes[b].next)
            if (check_pair(m, a, b, each, ctx))
                return -1;
    return 0;
}

int matcher_check(const struct matcher *m,
                  void (*each)(void *ctx, const struct match_rule *a, const struct match_rule *b),
                  void *ctx)
{
    for (size_t i = 0; i < m->nnodes; i++)
        if (check_list(m, m->nodes[i].here, each, ctx) ||
            check_list(m, m->nodes[i].below, each, ctx))
            return -1;
    return 0;
}
