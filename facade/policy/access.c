// SPDX-License-Identifier: Apache-2.0
// See access.h. A check is a chain of questions that ends in one verdict:
//
//   begin -> (levels of who has none) -> decide -> (groups) -> (row) -> (expansions) -> verdict
//
// In the legacy policy links, counts and writes of links are answered wider than lists are; what
// the strict one would not have answered is noted as a hole (enum hole) and counted when rows
// did come. Escalations are refused in both: see policy_is_administered().
#include "facade/policy/access_int.h"

#include "base/log.h"

#include <stdlib.h>

// ---------------------------------------------------------------- ends

void check_end(struct check *k, enum result_status s, const char *why)
{
    k->verdict(k->parent, s, why);
}

void check_deny(struct check *k, const char *why)
{
    check_end(k, RESULT_DENIED, why);
}

// Trouble of the policy's own reads: not a refusal.
static void trouble(struct check *k, const struct result *r)
{
    check_end(
        k, r->status == RESULT_BUSY || r->status == RESULT_TIMEOUT ? r->status : RESULT_UNAVAILABLE,
        "access control cannot be read now");
}

static void memory(struct check *k)
{
    check_end(k, RESULT_ERROR, "no memory for access control");
}

// ---------------------------------------------------------------- groups

static void groups_known(struct rights_ask *q)
{
    struct check *k = q->owner;
    if (q->trouble) {
        trouble(k, q->trouble);
        return;
    }
    k->groups = q->groups;
    k->ngroups = q->ngroups;
    k->with_groups(k);
}

// Goes on with the groups that count for `action` on rows of `en`, when the reach needs them.
static void need_groups(struct check *k, const struct entity *en, enum access_action action,
                        enum reach reach, void (*then)(struct check *k))
{
    k->ngroups = 0;
    k->with_groups = then;
    if (reach != REACH_GROUP) {
        then(k);
        return;
    }
    k->ask.done = groups_known;
    rights_groups(&k->ask, en, action);
}

// ---------------------------------------------------------------- filters

static struct filter *in_groups(const struct check *k, const struct entity *en)
{
    const struct access_policy *p = k->access->policy;
    const struct policy_link *l = &p->groups.records;
    struct arena *a = k->parent->operation->arena;
    struct filter *out = arena_alloc(a, sizeof *out);
    struct filter **child = arena_array(a, 1, sizeof *child);
    if (!out || !child)
        return NULL;
    child[0] = filter_join(
        a, FILTER_AND,
        filter_is(a, p->groups.records_module, p->modules[policy_module_of(p, en)].category),
        filter_in(a, l->a, k->groups, k->ngroups));
    *out = (struct filter){
        .kind = FILTER_LINKED, .field = l->b, .link = l->entity, .children = child, .nchildren = 1};
    return child[0] ? out : NULL;
}

// A single record of nobody's belongs to who made it; in lists it does not.
static struct filter *own(const struct check *k, const struct entity *en, bool single)
{
    struct arena *a = k->parent->operation->arena;
    struct str me = k->parent->operation->principal->user_id;
    if (!en->owner)
        return filter_never(a);
    struct filter *mine = filter_is(a, en->owner, me);
    if (!single || !en->owner_fallback)
        return mine;
    struct filter *nobodys = filter_join(a, FILTER_OR, filter_null(a, en->owner),
                                         filter_is(a, en->owner, STR("")));
    return filter_join(a, FILTER_OR, mine,
                       filter_join(a, FILTER_AND, nobodys, filter_is(a, en->owner_fallback, me)));
}

// The rows within reach; k->groups are those of the action. NULL: no memory.
static struct filter *within(const struct check *k, const struct entity *en, enum reach reach,
                             bool single)
{
    if (reach == REACH_NOTHING)
        return filter_never(k->parent->operation->arena);
    struct filter *mine = own(k, en, single);
    if (reach != REACH_GROUP || k->ngroups == 0)
        return mine;
    return filter_join(k->parent->operation->arena, FILTER_OR, mine, in_groups(k, en));
}

static int narrow(const struct check *k, const struct filter **filter, struct filter *more)
{
    struct arena *a = k->parent->operation->arena;
    if (*filter)
        more = filter_join(a, FILTER_AND, (struct filter *)*filter, more);
    *filter = more;
    return more ? 0 : -1;
}

enum reach check_reach(const struct check *k, const struct entity *en, enum access_action a)
{
    return levels_reach(k->access->policy, k->levels, en, a);
}

// ---------------------------------------------------------------- expansions

static void next_expansion(struct check *k);

static void expansion_narrowed(struct check *k)
{
    struct expansion *x = &k->parent->operation->expansions[k->next_expansion - 1];
    const struct entity *en = x->relationship->target;
    if (narrow(k, &x->filter, within(k, en, check_reach(k, en, ACTION_LIST), false)))
        memory(k);
    else
        next_expansion(k);
}

static void next_expansion(struct check *k)
{
    struct operation *op = k->parent->operation;
    while (k->next_expansion < op->nexpansions) {
        const struct entity *en = op->expansions[k->next_expansion++].relationship->target;
        enum reach reach = check_reach(k, en, ACTION_LIST);
        if (reach == REACH_ALL)
            continue;
        if (k->access->policy->mode == ACCESS_STRICT) {
            need_groups(k, en, ACTION_LIST, reach, expansion_narrowed);
            return;
        }
        k->parent->hole = HOLE_LINKS;
    }
    check_end(k, RESULT_OK, NULL);
}

// A read may go on: with its expansions.
static void pass_read(struct check *k)
{
    k->next_expansion = 0;
    next_expansion(k);
}

// ---------------------------------------------------------------- rows

static void refuse_row(struct check *k)
{
    k->parent->hidden = k->access->policy->mode == ACCESS_STRICT;
    check_deny(k, "this record is not the user's");
}

static void send_row(struct check *k, struct filter *f, chain_step_fn *next)
{
    struct chain *c = &k->ask.chain;
    struct operation *op = chain_operation(c, OPERATION_GET, k->row_of, k->row_of->keys, 1, f);
    if (op) {
        op->query.key = k->row;
        op->query.deleted = k->row_deleted;
    }
    chain_run(c, op, next);
}

// What is not there at all is for the operation to say.
static void row_exists(struct chain *c)
{
    struct check *k = (struct check *)c;
    if (chain_failed(c))
        trouble(k, c->result);
    else if (c->result->status == RESULT_OK && c->result->records.n > 0)
        refuse_row(k);
    else
        k->with_row(k);
}

static void row_within(struct chain *c)
{
    struct check *k = (struct check *)c;
    if (chain_failed(c))
        trouble(k, c->result);
    else if (c->result->status == RESULT_OK && c->result->records.n > 0)
        k->with_row(k);
    else
        send_row(k, NULL, row_exists);
}

static void row_with_groups(struct check *k)
{
    struct filter *f = within(k, k->row_of, k->row_reach, true);
    if (f)
        send_row(k, f, row_within);
    else
        memory(k);
}

void check_row(struct check *k, const struct check_row_of *r, void (*then)(struct check *k))
{
    k->row_of = r->entity;
    k->row = r->key;
    k->row_deleted = r->deleted;
    k->row_reach = r->reach;
    k->with_row = then;
    if (r->reach == REACH_NOTHING)
        check_deny(k, "the user's roles do not allow this");
    else if (r->reach == REACH_ALL)
        then(k);
    else
        need_groups(k, r->entity, r->action, r->reach, row_with_groups);
}

// ---------------------------------------------------------------- lists

static void list_narrowed(struct check *k)
{
    struct operation *op = k->parent->operation;
    enum reach reach = check_reach(k, op->entity, ACTION_LIST);
    if (narrow(k, &op->query.filter, within(k, op->entity, reach, false)))
        memory(k);
    else
        pass_read(k);
}

static void decide_list(struct check *k)
{
    const struct entity *en = k->parent->operation->entity;
    enum reach reach = check_reach(k, en, ACTION_LIST);
    if (reach == REACH_NOTHING)
        check_deny(k, "the user's roles do not allow lists of this entity");
    else if (reach == REACH_ALL)
        pass_read(k);
    else
        need_groups(k, en, ACTION_LIST, reach, list_narrowed);
}

static void decide_count(struct check *k)
{
    const struct access_policy *p = k->access->policy;
    const struct entity *en = k->parent->operation->entity;
    int level = levels_read(k->levels, en, ACTION_LIST);
    if (p->mode == ACCESS_STRICT || policy_is_open(p, en)) {
        decide_list(k);
        return;
    }
    if (level == p->none || level == LEVEL_MISSING) {
        check_deny(k, "the user's roles do not allow lists of this entity");
        return;
    }
    if (check_reach(k, en, ACTION_LIST) != REACH_ALL)
        k->parent->hole = HOLE_COUNT;
    check_end(k, RESULT_OK, NULL);
}

// Rows over a link; the parent has been checked.
static void decide_related(struct check *k)
{
    const struct entity *en = k->parent->operation->entity;
    if (k->access->policy->mode == ACCESS_STRICT) {
        decide_list(k);
        return;
    }
    if (check_reach(k, en, ACTION_LIST) != REACH_ALL)
        k->parent->hole = HOLE_LINKS;
    pass_read(k);
}

static void decide_parent(struct check *k)
{
    const struct related *r = k->parent->operation->query.related;
    check_row(k,
              &(struct check_row_of){.entity = r->parent,
                                     .key = r->parent_key,
                                     .action = ACTION_VIEW,
                                     .reach = check_reach(k, r->parent, ACTION_VIEW)},
              decide_related);
}

// ---------------------------------------------------------------- all of some rows

static void send_count(struct check *k, const struct filter *f, chain_step_fn *next)
{
    struct chain *c = &k->ask.chain;
    struct operation *op = chain_operation(c, OPERATION_COUNT, k->row_of, k->row_of->keys, 1, f);
    if (op) {
        op->query.keys = k->row;
        op->query.nkeys = k->nrows;
        op->query.deleted = k->row_deleted;
    }
    chain_run(c, op, next);
}

static void all_counted(struct chain *c)
{
    struct check *k = (struct check *)c;
    if (c->result->status != RESULT_OK)
        trouble(k, c->result);
    else if (c->result->total != k->within_reach)
        refuse_row(k);
    else
        k->with_row(k);
}

static void within_counted(struct chain *c)
{
    struct check *k = (struct check *)c;
    if (c->result->status != RESULT_OK) {
        trouble(k, c->result);
        return;
    }
    k->within_reach = c->result->total;
    send_count(k, NULL, all_counted);
}

static void rows_with_groups(struct check *k)
{
    struct filter *f = within(k, k->row_of, k->row_reach, k->row_single);
    if (f)
        send_count(k, f, within_counted);
    else
        memory(k);
}

void check_rows(struct check *k, const struct check_row_of *r, size_t n,
                void (*then)(struct check *k))
{
    k->row_of = r->entity;
    k->row = r->key;
    k->nrows = n;
    k->row_deleted = r->deleted;
    k->row_reach = r->reach;
    k->row_single = r->action != ACTION_LIST;
    k->with_row = then;
    if (r->reach == REACH_NOTHING)
        check_deny(k, "the user's roles do not allow this");
    else if (r->reach == REACH_ALL)
        then(k);
    else
        need_groups(k, r->entity, r->action, r->reach, rows_with_groups);
}

// ---------------------------------------------------------------- deciding

static void decide_get(struct check *k)
{
    const struct operation *op = k->parent->operation;
    enum access_action a = op->access == ACCESS_CHANGE ? ACTION_EDIT : ACTION_VIEW;
    check_row(k,
              &(struct check_row_of){.entity = op->entity,
                                     .key = op->query.key,
                                     .deleted = op->query.deleted,
                                     .action = a,
                                     .reach = check_reach(k, op->entity, a)},
              pass_read);
}

static void decide_each(struct check *k)
{
    const struct operation *op = k->parent->operation;
    check_rows(k,
               &(struct check_row_of){.entity = op->entity,
                                      .key = op->query.keys,
                                      .deleted = op->query.deleted,
                                      .action = ACTION_VIEW,
                                      .reach = check_reach(k, op->entity, ACTION_VIEW)},
               op->query.nkeys, pass_read);
}

static void decide_read(struct check *k)
{
    const struct operation *op = k->parent->operation;
    bool linked = op->access == ACCESS_LINKED;
    if (op->kind == OPERATION_GET && !linked)
        decide_get(k);
    else if (op->access == ACCESS_EACH && op->query.keys)
        decide_each(k);
    else if (op->query.related && !linked)
        decide_parent(k);
    else if (op->query.related || linked)
        decide_related(k);
    else if (op->kind == OPERATION_COUNT)
        decide_count(k);
    else
        decide_list(k);
}

static void decide(struct check *k)
{
    if (operation_is_read(k->parent->operation->kind))
        decide_read(k);
    else
        check_write(k);
}

static void levels_known(struct rights_ask *q)
{
    struct check *k = q->owner;
    if (q->trouble) {
        trouble(k, q->trouble);
        return;
    }
    k->levels = q->levels;
    decide(k);
}

// Who has no session is asked after each time: he may have been disabled.
static void standing_known(struct rights_ask *q)
{
    struct check *k = q->owner;
    if (q->trouble) {
        trouble(k, q->trouble);
    } else if (!q->live) {
        check_deny(k, "the user is disabled or does not exist");
    } else if (q->admin) {
        check_admin(k);
    } else {
        q->done = levels_known;
        q->keep = true;
        rights_levels(q);
    }
}

void access_check(struct access *a, struct dispatch *d, access_verdict_fn *verdict)
{
    const struct principal *who = d->operation->principal;
    struct check *k = arena_alloc(d->operation->arena, sizeof *k);
    if (!k || !who || who->user_id.len == 0) {
        verdict(d, k ? RESULT_DENIED : RESULT_ERROR, "nobody asks");
        return;
    }
    k->access = a;
    k->parent = d;
    k->verdict = verdict;
    k->levels = who->levels;
    access_ask(a, who->user_id, d->operation->arena, d->deadline_ns, &k->ask);
    k->ask.owner = k;
    k->ask.chain.before_write = !operation_is_read(d->operation->kind) ||
                                d->operation->before_write;
    if (who->is_admin) {
        check_admin(k);
    } else if (who->levels.len > 0) {
        decide(k);
    } else {
        k->ask.done = standing_known;
        rights_standing(&k->ask);
    }
}

// ---------------------------------------------------------------- holes

static const char *const hole_names[] = {"", "links", "count", "link_write"};

// Clients in the order in which they came; more than there is room for share one row.
static struct metric *hole_metric(struct access *a, struct str user, unsigned hole)
{
    char labels[160];
    size_t i = 0;
    while (i < a->nclients && !str_eqz(user, a->clients[i]))
        i++;
    if (i == a->nclients) {
        bool odd = false;
        for (size_t c = 0; c < user.len; c++)
            odd |= (unsigned char)user.data[c] < ' ' || user.data[c] == '"' || user.data[c] == '\\';
        if (i == HOLE_CLIENTS || odd || str_copy(a->clients[i], sizeof a->clients[i], user))
            i = HOLE_CLIENTS;
        else
            a->nclients++;
    }
    if (!a->holes[i][hole]) {
        snprintf(labels, sizeof labels, "client=\"%s\",what=\"%s\"",
                 i == HOLE_CLIENTS ? "other" : a->clients[i], hole_names[hole]);
        a->holes[i][hole] = metrics_counter(
            "ficus_access_lenient_total",
            "Answers that the legacy policy gave and the strict one would not give.", labels);
    }
    return a->holes[i][hole];
}

static bool has_related(const struct dispatch *d)
{
    for (size_t i = 0; i < d->result.records.n; i++)
        for (size_t k = 0; k < d->operation->nexpansions; k++)
            if (d->result.records.rows[i].related && d->result.records.rows[i].related[k].n > 0)
                return true;
    return false;
}

void access_note(struct access *a, const struct dispatch *d)
{
    const struct operation *op = d->operation;
    struct log_ctx ctx = {"access", op->entity->name, ""};
    unsigned dropped = 0;
    bool rows = op->query.related || op->access == ACCESS_LINKED ? d->result.records.n > 0
                                                                 : has_related(d);
    if (d->result.status != RESULT_OK || (d->hole == HOLE_LINKS && !rows) ||
        (d->hole == HOLE_COUNT && d->result.total <= 0))
        return;
    struct metric *m = hole_metric(a, op->principal->user_name, d->hole);
    if (m)
        metric_add(m, 1);
    if (log_allowed(&a->limit, 1000, &dropped))
        log_warn(&ctx,
                 "%s: user %.*s was answered what the strict policy would not: %s "
                 "(%u more held back)",
                 op->request_line ? op->request_line : "", (int)op->principal->user_id.len,
                 op->principal->user_id.data, hole_names[d->hole], dropped);
}

// ---------------------------------------------------------------- life

void access_changed(const struct access *a, const struct operation *op)
{
    if (policy_is_administered(a->policy, op->entity))
        rights_changed();
}

void access_ask(struct access *a, struct str user, struct arena *arena, uint64_t deadline_ns,
                struct rights_ask *q)
{
    *q = (struct rights_ask){
        .chain = {.dispatcher = a->dispatcher, .arena = arena, .deadline_ns = deadline_ns},
        .rights = a->rights,
        .user = user};
}

const struct access_policy *access_policy(const struct access *a)
{
    return a->policy;
}

struct access *access_create(const struct access_policy *p, struct dispatcher *d, unsigned fresh_ms,
                             struct err *e)
{
    struct access *a = calloc(1, sizeof *a);
    if (!a || !(a->rights = rights_create(p, d, fresh_ms, e))) {
        free(a);
        err_memory(e);
        return NULL;
    }
    a->policy = p;
    a->dispatcher = d;
    a->inherit_failed = metrics_counter(
        "ficus_access_inherit_failed_total",
        "Records that were written and could not be put into all groups that they inherit.", "");
    return a;
}

void access_destroy(struct access *a)
{
    if (!a)
        return;
    rights_destroy(a->rights);
    free(a);
}
