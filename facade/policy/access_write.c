// SPDX-License-Identifier: Apache-2.0
// Decisions about writes. What a role, a group or a user is made of is written by administrators
// only, whatever the levels say, and so are links to it: nobody gives himself rights. A row's
// owner is who owned it before the write, so nobody takes a row by naming himself in it.
#include "facade/policy/access_int.h"

static void pass(struct check *k)
{
    check_end(k, RESULT_OK, NULL);
}

static bool administers(const struct check *k)
{
    const struct operation *op = k->parent->operation;
    const struct access_policy *p = k->access->policy;
    if (policy_is_administered(p, op->entity))
        return true;
    if (op->kind != OPERATION_RELATE)
        return false;
    const struct relationship *r = op->relate.relationship;
    return policy_is_administered(p, r->target) ||
           (r->through && policy_is_administered(p, r->through));
}

static enum reach lesser(enum reach a, enum reach b)
{
    return a < b ? a : b;
}

static void decide_create(struct check *k)
{
    // A new record counts as own.
    if (check_reach(k, k->parent->operation->entity, ACTION_EDIT) == REACH_NOTHING)
        check_deny(k, "the user's roles do not allow this");
    else
        pass(k);
}

static void decide_change(struct check *k)
{
    const struct operation *op = k->parent->operation;
    enum reach reach = check_reach(k, op->entity, ACTION_EDIT);
    if (op->kind == OPERATION_DELETE)
        reach = lesser(reach, check_reach(k, op->entity, ACTION_DELETE));
    check_row(
        k,
        &(struct check_row_of){
            .entity = op->entity, .key = op->write.key, .action = ACTION_EDIT, .reach = reach},
        pass);
}

// ---------------------------------------------------------------- links

// A link that is a column of a row: the row from which it was asked for has been checked.
static void decide_linked_row(struct check *k)
{
    const struct operation *op = k->parent->operation;
    enum reach reach = check_reach(k, op->entity, ACTION_LIST);
    if (k->access->policy->mode == ACCESS_STRICT) {
        check_row(
            k,
            &(struct check_row_of){
                .entity = op->entity, .key = op->write.key, .action = ACTION_LIST, .reach = reach},
            pass);
        return;
    }
    if (reach != REACH_ALL)
        k->parent->hole = HOLE_LINK_WRITE;
    pass(k);
}

static void decide_far(struct check *k)
{
    const struct relate *r = &k->parent->operation->relate;
    const struct entity *en = r->relationship->target;
    enum reach reach = check_reach(k, en, ACTION_LIST);
    if (k->access->policy->mode == ACCESS_STRICT) {
        check_rows(k,
                   &(struct check_row_of){
                       .entity = en, .key = r->far, .action = ACTION_LIST, .reach = reach},
                   r->nfar, pass);
        return;
    }
    if (reach != REACH_ALL)
        k->parent->hole = HOLE_LINK_WRITE;
    pass(k);
}

static void decide_relate(struct check *k)
{
    const struct operation *op = k->parent->operation;
    if (op->access == ACCESS_LINKED) {
        decide_far(k);
        return;
    }
    check_row(k,
              &(struct check_row_of){.entity = op->entity,
                                     .key = &op->relate.near,
                                     .action = ACTION_VIEW,
                                     .reach = check_reach(k, op->entity, ACTION_VIEW)},
              decide_far);
}

// ---------------------------------------------------------------- all

void check_write(struct check *k)
{
    const struct operation *op = k->parent->operation;
    if (administers(k))
        check_deny(k, "only an administrator may write this");
    else if (op->kind == OPERATION_RELATE)
        decide_relate(k);
    else if (op->kind == OPERATION_CREATE)
        decide_create(k);
    else if (op->access == ACCESS_LINKED)
        decide_linked_row(k);
    else
        decide_change(k);
}

void check_admin(struct check *k)
{
    pass(k);
}
