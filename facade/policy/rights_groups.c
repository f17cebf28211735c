// SPDX-License-Identifier: Apache-2.0
// The groups that a user is a live member of. They are asked for each time that they matter:
// membership is live in the legacy.
//
//   memberships -> live groups -> (strict rights: action -> roles of groups -> overrides)
// With strict rights a group counts for an action only where a role of the group itself gives
// the action to the group or to all.
#include "facade/policy/rights_int.h"

static void fail(struct rights_ask *q)
{
    static const struct result no_memory = {.status = RESULT_ERROR, .total = -1};
    q->trouble = chain_failed(&q->chain) ? q->chain.result : &no_memory;
    q->done(q);
}

// ---------------------------------------------------------------- strict rights

static bool gives(const struct record_set *overrides, struct value role, int least)
{
    for (size_t i = 0; i < overrides->n; i++) {
        const struct value *v = overrides->rows[i].values; // role, level
        long long n;
        if (value_eq(v[0], role) && v[1].state == VALUE_SET &&
            str_to_int(value_str(v[1]), least, 999, &n))
            return true;
    }
    return false;
}

static void group_overrides_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct record_set *overrides = &c->result->records;
    if (chain_failed(c)) {
        fail(q);
        return;
    }
    struct value *keep = arena_array(c->arena, q->ngroups + 1, sizeof *keep);
    size_t n = 0;
    if (!keep) {
        fail(q);
        return;
    }
    // q->roles are pairs: role, group.
    for (size_t i = 0; i < q->nroles; i++)
        if (n < q->ngroups && gives(overrides, q->roles[2 * i], q->rights->policy->group))
            keep[n++] = q->roles[2 * i + 1];
    q->groups = keep;
    q->ngroups = n;
    q->done(q);
}

static void action_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct policy_link *o = &q->rights->policy->overrides;
    const struct field *fields[] = {o->a, o->level};
    size_t n = 0;
    struct value *actions = chain_failed(c) ? NULL : chain_column(c, 0, &n);
    struct value *roles = arena_array(c->arena, q->nroles + 1, sizeof *roles);
    if (!actions || !roles) {
        fail(q);
        return;
    }
    for (size_t i = 0; i < q->nroles; i++)
        roles[i] = q->roles[2 * i];
    struct filter *f = filter_join(c->arena, FILTER_AND,
                                   filter_in(c->arena, o->a, roles, q->nroles),
                                   filter_in(c->arena, o->b, actions, n));
    chain_run(c, f ? chain_operation(c, OPERATION_LIST, o->entity, fields, 2, f) : NULL,
              group_overrides_read);
}

static void roles_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct access_policy *p = q->rights->policy;
    size_t n = c->result->records.n < RIGHTS_IDS ? c->result->records.n : RIGHTS_IDS;
    int module = policy_module_of(p, q->entity);
    q->roles = chain_failed(c) ? NULL : arena_array(c->arena, 2 * n + 1, sizeof *q->roles);
    if (!q->roles || module < 0) {
        fail(q);
        return;
    }
    for (size_t i = 0; i < 2 * n; i++)
        q->roles[i] = c->result->records.rows[i / 2].values[i % 2];
    q->nroles = n;
    struct filter *f = filter_join(
        c->arena, FILTER_AND, filter_is(c->arena, p->actions.category, p->modules[module].category),
        filter_is(c->arena, p->actions.name, p->action_names[q->action]));
    chain_run(
        c,
        f ? chain_operation(c, OPERATION_LIST, p->actions.entity, p->actions.entity->keys, 1, f)
          : NULL,
        action_read);
}

static void read_roles(struct rights_ask *q)
{
    const struct policy_link *l = &q->rights->policy->role_groups;
    const struct field *fields[] = {l->a, l->b};
    if (!l->entity) {
        q->ngroups = 0;
        q->done(q);
        return;
    }
    struct filter *f = filter_in(q->chain.arena, l->b, q->groups, q->ngroups);
    chain_run(&q->chain,
              f ? chain_operation(&q->chain, OPERATION_LIST, l->entity, fields, 2, f) : NULL,
              roles_read);
}

// ---------------------------------------------------------------- membership

static void groups_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    q->groups = chain_failed(c) ? NULL : chain_column(c, 0, &q->ngroups);
    if (!q->groups)
        fail(q);
    else if (q->ngroups > 0 && q->rights->policy->strict_rights)
        read_roles(q);
    else
        q->done(q);
}

static void memberships_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct entity *en = q->rights->policy->groups.entity;
    size_t n = 0;
    struct value *ids = chain_failed(c) ? NULL : chain_column(c, 0, &n);
    if (!ids) {
        fail(q);
        return;
    }
    if (n == 0) {
        q->done(q);
        return;
    }
    struct operation *op = chain_operation(c, OPERATION_LIST, en, en->keys, 1, NULL);
    if (op) {
        op->query.keys = ids;
        op->query.nkeys = n < RIGHTS_IDS ? n : RIGHTS_IDS;
    }
    chain_run(c, op, groups_read);
}

void rights_groups(struct rights_ask *q, const struct entity *entity, enum access_action action)
{
    const struct policy_link *m = &q->rights->policy->groups.members;
    q->trouble = NULL;
    q->groups = NULL;
    q->ngroups = 0;
    q->entity = entity;
    q->action = action;
    if (!m->entity) {
        q->done(q);
        return;
    }
    struct filter *f = filter_is(q->chain.arena, m->b, q->user);
    chain_run(&q->chain,
              f ? chain_operation(&q->chain, OPERATION_LIST, m->entity, &m->a, 1, f) : NULL,
              memberships_read);
}
