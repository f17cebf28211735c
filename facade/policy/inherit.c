// SPDX-License-Identifier: Apache-2.0
// The groups that a record joins by being written, as the legacy's own application adds them
// whichever side the record is written to: the defaults of its module and its creator's when it
// is made, its owner's with every write. After the write, by canonical writes of the facade's
// own: a crash between the two leaves a record that too few people see, never too many.
//
//   (owner) -> (defaults) -> memberships -> live groups -> those that it has -> one row each
#include "facade/policy/access_int.h"

#include "base/log.h"

#define GROUPS_MAX 500 // of one record

struct inherit {
    struct chain chain; // first: a chain's step gets back to it
    struct access *access;
    struct dispatch *parent;
    void (*done)(struct dispatch *d);
    struct value key, users[2], groups[GROUPS_MAX];
    bool by_default[GROUPS_MAX]; // such a group may be one that nobody inherits from a user
    size_t nusers, ngroups, next;
    struct str module;
};

static const struct access_policy *policy_of(const struct inherit *h)
{
    return h->access->policy;
}

static void finish(struct inherit *h)
{
    h->done(h->parent);
}

static void failed(struct inherit *h)
{
    const struct operation *op = h->parent->operation;
    struct log_ctx ctx = {"access", op->entity->name, ""};
    unsigned dropped = 0;
    metric_add(h->access->inherit_failed, 1);
    if (log_allowed(&h->access->inherit_limit, 1000, &dropped))
        log_warn(
            &ctx, "a record was written and is not in all of its groups: %s (%u more held back)",
            h->chain.result ? result_status_name(h->chain.result->status) : "no memory", dropped);
    finish(h);
}

// Sends a read; without an operation there was no memory.
static void ask(struct inherit *h, struct operation *op, chain_step_fn *next)
{
    chain_run(&h->chain, op, next);
}

static bool is_true(struct value v)
{
    return v.state == VALUE_SET && str_eqz(value_str(v), "true");
}

static bool has_group(const struct inherit *h, struct value group)
{
    for (size_t i = 0; i < h->ngroups; i++)
        if (value_eq(h->groups[i], group))
            return true;
    return false;
}

static void add_group(struct inherit *h, struct value group, bool by_default)
{
    if (group.state != VALUE_SET || group.len == 0 || h->ngroups == GROUPS_MAX ||
        has_group(h, group))
        return;
    h->by_default[h->ngroups] = by_default;
    h->groups[h->ngroups++] = group;
}

// ---------------------------------------------------------------- writing

static void write_next(struct inherit *h);

static void written(struct chain *c)
{
    if (chain_failed(c))
        failed((struct inherit *)c);
    else
        write_next((struct inherit *)c);
}

static void write_next(struct inherit *h)
{
    const struct policy_link *l = &policy_of(h)->groups.records;
    if (h->next == h->ngroups) {
        finish(h);
        return;
    }
    struct operation *op = chain_operation(&h->chain, OPERATION_CREATE, l->entity, NULL, 0, NULL);
    struct value *values = arena_array(h->chain.arena, l->entity->nfields + 1, sizeof *values);
    if (op && values) {
        values[l->a->index] = h->groups[h->next++];
        values[l->b->index] = h->key;
        values[policy_of(h)->groups.records_module->index] = value_set(h->module);
        op->write.values = values;
    }
    ask(h, values ? op : NULL, written);
}

static void remove_group(struct inherit *h, size_t i)
{
    h->ngroups--;
    for (; i < h->ngroups; i++) {
        h->groups[i] = h->groups[i + 1];
        h->by_default[i] = h->by_default[i + 1];
    }
}

static void records_read(struct chain *c)
{
    struct inherit *h = (struct inherit *)c;
    if (chain_failed(c)) {
        failed(h);
        return;
    }
    for (size_t r = 0; r < c->result->records.n; r++)
        for (size_t i = 0; i < h->ngroups; i++)
            if (value_eq(h->groups[i], c->result->records.rows[r].values[0])) {
                remove_group(h, i);
                break;
            }
    write_next(h);
}

static void read_records(struct inherit *h)
{
    const struct access_policy *p = policy_of(h);
    const struct policy_link *l = &p->groups.records;
    struct arena *a = h->chain.arena;
    struct filter *f = filter_join(a, FILTER_AND, filter_is(a, l->b, value_str(h->key)),
                                   filter_join(a, FILTER_AND,
                                               filter_is(a, p->groups.records_module, h->module),
                                               filter_in(a, l->a, h->groups, h->ngroups)));
    ask(h, f ? chain_operation(&h->chain, OPERATION_LIST, l->entity, &l->a, 1, f) : NULL,
        records_read);
}

// ---------------------------------------------------------------- which groups

// Deleted groups are not in the answer; one that keeps from records counts as a default only.
static void groups_read(struct chain *c)
{
    struct inherit *h = (struct inherit *)c;
    const struct record_set *set = &c->result->records;
    bool keeps = policy_of(h)->groups.group_keeps != NULL;
    if (chain_failed(c)) {
        failed(h);
        return;
    }
    for (size_t i = h->ngroups; i-- > 0;) {
        size_t r = 0;
        while (r < set->n && !value_eq(set->rows[r].values[0], h->groups[i]))
            r++;
        if (r == set->n || (keeps && !h->by_default[i] && is_true(set->rows[r].values[1])))
            remove_group(h, i);
    }
    if (h->ngroups == 0)
        finish(h);
    else
        read_records(h);
}

static void read_groups(struct inherit *h)
{
    const struct access_policy *p = policy_of(h);
    const struct field *fields[] = {p->groups.entity->keys[0], p->groups.group_keeps};
    if (h->ngroups == 0) {
        finish(h);
        return;
    }
    struct operation *op = chain_operation(&h->chain, OPERATION_LIST, p->groups.entity, fields,
                                           p->groups.group_keeps ? 2 : 1, NULL);
    if (op) {
        op->query.keys = h->groups;
        op->query.nkeys = h->ngroups;
    }
    ask(h, op, groups_read);
}

static void members_read(struct chain *c)
{
    struct inherit *h = (struct inherit *)c;
    const struct record_set *set = &c->result->records;
    bool keeps = policy_of(h)->groups.member_keeps != NULL;
    if (chain_failed(c)) {
        failed(h);
        return;
    }
    for (size_t r = 0; r < set->n; r++)
        if (!keeps || !is_true(set->rows[r].values[1]))
            add_group(h, set->rows[r].values[0], false);
    read_groups(h);
}

static void read_members(struct inherit *h)
{
    const struct access_policy *p = policy_of(h);
    const struct policy_link *m = &p->groups.members;
    const struct field *fields[] = {m->a, p->groups.member_keeps};
    if (h->nusers == 0) {
        read_groups(h);
        return;
    }
    struct filter *f = filter_in(h->chain.arena, m->b, h->users, h->nusers);
    ask(h,
        f ? chain_operation(&h->chain, OPERATION_LIST, m->entity, fields,
                            p->groups.member_keeps ? 2 : 1, f)
          : NULL,
        members_read);
}

static void defaults_read(struct chain *c)
{
    struct inherit *h = (struct inherit *)c;
    if (chain_failed(c)) {
        failed(h);
        return;
    }
    for (size_t r = 0; r < c->result->records.n; r++)
        add_group(h, c->result->records.rows[r].values[0], true);
    read_members(h);
}

static void read_defaults(struct inherit *h)
{
    const struct access_policy *p = policy_of(h);
    const struct policy_link *l = &p->groups.defaults;
    struct arena *a = h->chain.arena;
    struct value *modules = arena_array(a, 2, sizeof *modules);
    if (!l->entity) {
        read_members(h);
        return;
    }
    struct filter *f = NULL;
    if (modules) {
        modules[0] = value_set(h->module);
        modules[1] = value_set(p->groups.every_module);
        f = filter_in(a, l->b, modules, 2);
    }
    ask(h, f ? chain_operation(&h->chain, OPERATION_LIST, l->entity, &l->a, 1, f) : NULL,
        defaults_read);
}

// ---------------------------------------------------------------- whose

static void add_user(struct inherit *h, struct value v)
{
    if (v.state == VALUE_SET && v.len > 0 && (h->nusers == 0 || !value_eq(h->users[0], v)))
        h->users[h->nusers++] = v;
}

static void owner_read(struct chain *c)
{
    struct inherit *h = (struct inherit *)c;
    if (chain_failed(c)) {
        failed(h);
        return;
    }
    if (c->result->status == RESULT_OK && c->result->records.n > 0)
        add_user(h, c->result->records.rows[0].values[0]);
    read_members(h);
}

// An update says whose the record is now, or leaves that as it was.
static void owner_of_update(struct inherit *h)
{
    const struct operation *op = h->parent->operation;
    const struct field *owner = op->entity->owner;
    struct value given = op->write.values ? op->write.values[owner->index] : (struct value){0};
    if (given.state != VALUE_ABSENT) {
        add_user(h, given);
        read_members(h);
        return;
    }
    struct operation *get = chain_operation(&h->chain, OPERATION_GET, op->entity, &owner, 1, NULL);
    if (get)
        get->query.key = &h->key;
    ask(h, get, owner_read);
}

static void of_create(struct inherit *h)
{
    const struct access_policy *p = policy_of(h);
    const struct operation *op = h->parent->operation;
    const struct field *owner = op->entity->owner;
    if (p->inherit_owner && owner && op->write.values)
        add_user(h, op->write.values[owner->index]);
    if (p->inherit_creator && op->principal && op->principal->user_id.len > 0)
        add_user(h, value_set(op->principal->user_id));
    read_defaults(h);
}

bool access_inherits(const struct access *a, const struct dispatch *d)
{
    const struct access_policy *p = a->policy;
    const struct operation *op = d->operation;
    int module = policy_module_of(p, op->entity);
    if (d->result.status != RESULT_OK || !p->groups.entity || !p->groups.records_module ||
        op->access == ACCESS_FACADE || module < 0 || p->modules[module].open ||
        policy_is_administered(p, op->entity))
        return false;
    if (op->kind == OPERATION_UPDATE)
        return p->inherit_owner && op->entity->owner && op->write.key;
    return op->kind == OPERATION_CREATE && (d->result.key || op->write.key);
}

void access_inherit(struct access *a, struct dispatch *d, void (*done)(struct dispatch *d))
{
    const struct operation *op = d->operation;
    struct inherit *h = arena_alloc(op->arena, sizeof *h);
    if (!h) {
        metric_add(a->inherit_failed, 1);
        done(d);
        return;
    }
    h->access = a;
    h->parent = d;
    h->done = done;
    h->module = a->policy->modules[policy_module_of(a->policy, op->entity)].category;
    h->key = d->result.key ? *d->result.key : *op->write.key;
    h->chain = (struct chain){.dispatcher = a->dispatcher,
                              .arena = op->arena,
                              .deadline_ns = d->deadline_ns,
                              .before_write = true};
    if (op->kind == OPERATION_CREATE)
        of_create(h);
    else
        owner_of_update(h);
}
