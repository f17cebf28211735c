// SPDX-License-Identifier: Apache-2.0
// The levels of a user: his roles (or, where he has none of his own, those of his groups), the
// actions, what the roles say of them.
//
//   own roles -> (groups -> roles of groups) -> actions -> overrides -> text
// Only links are asked whether they are deleted: a deleted role, or a role through a deleted
// group, still counts, as in the legacy.
#include "facade/policy/rights_int.h"

#include <stdlib.h>

struct rights_action {
    struct str id;
    int module, action; // -1: not under control
    int fallback, best; // best override so far; 0: none
};

static void fail(struct rights_ask *q)
{
    static const struct result no_memory = {.status = RESULT_ERROR, .total = -1};
    q->trouble = chain_failed(&q->chain) ? q->chain.result : &no_memory;
    q->done(q);
}

static int level_of(struct value v)
{
    long long n;
    return v.state == VALUE_SET && str_to_int(value_str(v), -999, 999, &n) ? (int)n : 0;
}

// ---------------------------------------------------------------- the text

static void keep_levels(struct rights_ask *q)
{
    struct known *k = rights_known(q->rights, q->user, true);
    char *copy = k ? malloc(q->levels.len + 1) : NULL;
    if (!copy)
        return;
    memcpy(copy, q->levels.data, q->levels.len);
    copy[q->levels.len] = 0;
    free(k->levels);
    k->levels = copy;
    rights_stamp(k, &k->levels_ms);
}

static void finish(struct rights_ask *q)
{
    const struct access_policy *p = q->rights->policy;
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < q->nactions; i++) {
        const struct rights_action *x = &q->actions[i];
        if (x->module >= 0 && x->action >= 0)
            q->table->of[x->module][x->action] = (int16_t)levels_resolve(p, x->fallback, &x->best,
                                                                         1);
    }
    levels_write(p, q->table, &text);
    q->levels = text.failed ? (struct str){0} : arena_str(q->chain.arena, buf_str(&text));
    buf_free(&text);
    if (!q->levels.data) {
        fail(q);
        return;
    }
    if (q->keep)
        keep_levels(q);
    q->done(q);
}

// ---------------------------------------------------------------- overrides

static int by_id(const void *a, const void *b)
{
    const struct rights_action *x = a, *y = b;
    size_t n = x->id.len < y->id.len ? x->id.len : y->id.len;
    int d = n ? memcmp(x->id.data, y->id.data, n) : 0;
    return d ? d : (x->id.len > y->id.len) - (x->id.len < y->id.len);
}

static void overrides_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    if (chain_failed(c)) {
        fail(q);
        return;
    }
    for (size_t i = 0; i < c->result->records.n; i++) {
        const struct value *v = c->result->records.rows[i].values;
        struct rights_action want = {.id = value_str(v[0])};
        struct rights_action *x = q->nactions
                                      ? bsearch(&want, q->actions, q->nactions, sizeof want, by_id)
                                      : NULL;
        if (!x)
            continue;
        int both[] = {x->best, level_of(v[1])};
        x->best = levels_resolve(q->rights->policy, 0, both, 2);
    }
    finish(q);
}

static void read_overrides(struct rights_ask *q)
{
    const struct policy_link *o = &q->rights->policy->overrides;
    const struct field *fields[] = {o->b, o->level};
    if (q->nroles == 0) {
        finish(q);
        return;
    }
    struct filter *f = filter_in(q->chain.arena, o->a, q->roles, q->nroles);
    chain_run(&q->chain,
              f ? chain_operation(&q->chain, OPERATION_LIST, o->entity, fields, 2, f) : NULL,
              overrides_read);
}

// ---------------------------------------------------------------- actions

static void actions_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct access_policy *p = q->rights->policy;
    size_t n = c->result->records.n;
    q->actions = chain_failed(c) ? NULL : arena_array(c->arena, n + 1, sizeof *q->actions);
    q->table = arena_alloc(c->arena, sizeof *q->table);
    if (!q->actions || !q->table) {
        fail(q);
        return;
    }
    levels_clear(q->table);
    for (size_t i = 0; i < n; i++) {
        const struct value *v = c->result->records.rows[i].values;
        q->actions[i] = (struct rights_action){.id = value_str(v[0]),
                                               .module = levels_module(p, value_str(v[1])),
                                               .action = levels_action(p, value_str(v[2])),
                                               .fallback = level_of(v[3])};
    }
    q->nactions = n;
    qsort(q->actions, n, sizeof *q->actions, by_id);
    read_overrides(q);
}

static void read_actions(struct rights_ask *q)
{
    const struct access_policy *p = q->rights->policy;
    const struct field *fields[] = {p->actions.entity->keys[0], p->actions.category,
                                    p->actions.name, p->actions.level};
    struct filter *f = NULL;
    if (p->actions.type && !(f = filter_is(q->chain.arena, p->actions.type, p->actions.type_is))) {
        fail(q);
        return;
    }
    chain_run(&q->chain,
              chain_operation(&q->chain, OPERATION_LIST, p->actions.entity, fields, 4, f),
              actions_read);
}

// ---------------------------------------------------------------- roles

// Adds the column's ids to the user's roles.
static int add_roles(struct rights_ask *q)
{
    size_t n;
    struct value *more = chain_column(&q->chain, 0, &n);
    if (!more)
        return -1;
    for (size_t i = 0; i < n && q->nroles < RIGHTS_IDS; i++)
        q->roles[q->nroles++] = more[i];
    return 0;
}

static void group_roles_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    if (chain_failed(c) || add_roles(q))
        fail(q);
    else
        read_actions(q);
}

static void memberships_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct policy_link *l = &q->rights->policy->role_groups;
    size_t n = 0;
    struct value *groups = chain_failed(c) ? NULL : chain_column(c, 0, &n);
    if (!groups) {
        fail(q);
        return;
    }
    if (n == 0) {
        read_actions(q);
        return;
    }
    struct filter *f = filter_in(c->arena, l->b, groups, n < RIGHTS_IDS ? n : RIGHTS_IDS);
    chain_run(c, f ? chain_operation(c, OPERATION_LIST, l->entity, &l->a, 1, f) : NULL,
              group_roles_read);
}

static void own_roles_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct access_policy *p = q->rights->policy;
    const struct policy_link *m = &p->groups.members;
    if (chain_failed(c) || add_roles(q)) {
        fail(q);
        return;
    }
    if (!p->role_groups.entity || !m->entity || (q->nroles > 0 && p->user_role_precedence)) {
        read_actions(q);
        return;
    }
    struct filter *f = filter_is(c->arena, m->b, q->user);
    chain_run(c, f ? chain_operation(c, OPERATION_LIST, m->entity, &m->a, 1, f) : NULL,
              memberships_read);
}

void rights_levels(struct rights_ask *q)
{
    const struct policy_link *l = &q->rights->policy->role_users;
    const struct known *k = rights_known(q->rights, q->user, false);
    struct arena *a = q->chain.arena;
    q->trouble = NULL;
    q->nroles = 0;
    if (q->keep && k && k->levels && rights_fresh(q->rights, k, k->levels_ms)) {
        q->levels = arena_str(a, str_of(k->levels));
        if (q->levels.data) {
            q->done(q);
            return;
        }
    }
    q->roles = arena_array(a, RIGHTS_IDS, sizeof *q->roles);
    struct filter *f = q->roles ? filter_is(a, l->b, q->user) : NULL;
    chain_run(&q->chain,
              f ? chain_operation(&q->chain, OPERATION_LIST, l->entity, &l->a, 1, f) : NULL,
              own_roles_read);
}
