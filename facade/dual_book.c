// SPDX-License-Identifier: Apache-2.0
// The book of asks: marks are told apart by their place, so that one that is delivered twice (an
// applier that died did its batch again) does not stand for another.
#include "facade/dual_book.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct dual_entry {
    uint64_t number; // the key
    struct dual_group *group;
    unsigned desk;
    uint64_t begun_ns;
    uint64_t seen; // a bit a mark
    UT_hash_handle hh;
};

void dual_book_init(struct dual_book *b, uint64_t wait_ns)
{
    *b = (struct dual_book){.wait_ns = wait_ns};
}

static void drop(struct dual_book *b, struct dual_entry *x)
{
    HASH_DEL(b->open, x);
    free(x);
}

void dual_book_free(struct dual_book *b)
{
    struct dual_entry *x, *next;
    HASH_ITER(hh, b->open, x, next)
    {
        drop(b, x);
    }
    while (b->groups) {
        struct dual_group *g = b->groups;
        b->groups = g->next;
        free(g);
    }
}

static void make_metrics(struct dual_group *g)
{
    static const char *const words[] = {
        [DUAL_IN_LINE] = "in_line", [DUAL_LATE] = "late", [DUAL_FAILED] = "failed"};
    char labels[160];
    for (size_t i = 0; i <= DUAL_FAILED; i++) {
        snprintf(labels, sizeof labels, "group=\"%s\",outcome=\"%s\"", g->name, words[i]);
        g->outcomes[i] = metrics_counter("ficus_dual_writes_total",
                                         "Writes of dual groups, by whether the other side had"
                                         " them when the client was answered.",
                                         labels);
    }
    snprintf(labels, sizeof labels, "group=\"%s\"", g->name);
    g->staleness = metrics_seconds("ficus_dual_staleness_seconds",
                                   "From the owner's answer to a write of a dual group to the"
                                   " other side's.",
                                   labels);
}

struct dual_group *dual_book_group(struct dual_book *b, const char *name)
{
    struct dual_group *g = b->groups;
    while (g && strcmp(g->name, name) != 0)
        g = g->next;
    if (g || !(g = calloc(1, sizeof *g)))
        return g;
    snprintf(g->name, sizeof g->name, "%s", name);
    make_metrics(g);
    g->next = b->groups;
    b->groups = g;
    return g;
}

bool dual_book_waits(const struct dual_group *g)
{
    return g->late < DUAL_LATE_MAX;
}

uint64_t dual_book_begin(struct dual_book *b, struct dual_group *g, unsigned desk, uint64_t now_ns)
{
    struct dual_entry *x = HASH_COUNT(b->open) < DUAL_OPEN_MAX ? malloc(sizeof *x) : NULL;
    if (!x)
        return 0;
    *x = (struct dual_entry){.number = ++b->last, .group = g, .desk = desk, .begun_ns = now_ns};
    HASH_ADD(hh, b->open, number, sizeof x->number, x);
    return x->number;
}

bool dual_book_answer(struct dual_book *b, uint64_t number, const struct dual_answer *x,
                      uint64_t now_ns, unsigned *desk, bool *there)
{
    struct dual_entry *mine;
    HASH_FIND(hh, b->open, &number, sizeof number, mine);
    if (!mine)
        return false;
    *desk = mine->desk;
    *there = x->word == DUAL_THERE;
    mine->seen |= 1ull << x->at;
    uint64_t all = x->of == 64 ? UINT64_MAX : (1ull << x->of) - 1;
    if (*there && mine->seen != all)
        return false;
    if (*there) {
        uint64_t took = now_ns - mine->begun_ns;
        metric_observe_ns(mine->group->staleness, took);
        if (took <= b->wait_ns)
            mine->group->late = 0;
    }
    drop(b, mine);
    return true;
}

void dual_book_count(struct dual_group *g, enum dual_outcome o)
{
    g->counted[o]++;
    metric_add(g->outcomes[o], 1);
    if (o == DUAL_LATE && g->late < DUAL_LATE_MAX)
        g->late++;
}

void dual_book_expire(struct dual_book *b, uint64_t now_ns)
{
    struct dual_entry *x, *next;
    HASH_ITER(hh, b->open, x, next) // in order of beginning
    {
        if (now_ns - x->begun_ns < DUAL_FORGET_NS)
            return;
        drop(b, x);
    }
}

// ---------------------------------------------------------------- targets

static bool is_member(const struct group *g, const struct entity *en)
{
    for (size_t i = 0; i < g->nentities; i++)
        if (g->entities[i] == en)
            return true;
    return false;
}

static bool add(struct dual_ask *ask, const struct group *g, const struct entity *en,
                const struct value *key, struct arena *a)
{
    struct str text = {0};
    if (!en || !is_member(g, en))
        return true;
    if (ask->n == DUAL_TARGETS_MAX)
        return false;
    if (key && !(text = entity_key_text(key, en->nkeys, a)).data)
        return false;
    ask->at[ask->n++] = (struct dual_target){str_of(en->name), text};
    return true;
}

// Rows of a link have keys of their own, which the facade does not know.
bool dual_targets(const struct group *g, const struct operation *op, const struct result *r,
                  struct dual_ask *out)
{
    const struct relationship *link = op->relate.relationship;
    out->n = 0;
    if (op->kind != OPERATION_RELATE)
        return add(out, g, op->entity, op->write.key ? op->write.key : r->key, op->arena);
    bool fits = add(out, g, op->entity, &op->relate.near, op->arena) &&
                add(out, g, link->through, NULL, op->arena);
    for (size_t i = 0; i < op->relate.nfar && fits; i++)
        fits = add(out, g, link->target, &op->relate.far[i], op->arena);
    return fits;
}
