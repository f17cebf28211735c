// SPDX-License-Identifier: Apache-2.0
// The standing of users, and a small cache of it. Levels are read in rights_levels.c, groups in
// rights_groups.c.
//
// While users cannot be read, the last answer stands for STALE_MS and then nobody is known:
// a session then goes on by what it knew at login (see v4_1.c).
#include "facade/policy/rights_int.h"

#include "base/clock.h"

#include <stdatomic.h>
#include <stdlib.h>

#define USERS_MAX 10000
#define STALE_MS  60000

static atomic_uint generation; // of what was written through this process

void rights_changed(void)
{
    atomic_fetch_add(&generation, 1);
}

static void forget(struct rights *r, struct known *k)
{
    HASH_DEL(r->users, k);
    free(k->levels);
    free(k);
}

struct known *rights_known(struct rights *r, struct str user, bool make)
{
    struct known *k;
    char id[KNOWN_ID_MAX];
    if (str_copy(id, sizeof id, user))
        return NULL;
    HASH_FIND_STR(r->users, id, k);
    if (k || !make)
        return k;
    if (HASH_COUNT(r->users) >= USERS_MAX)
        forget(r, r->users);
    if (!(k = calloc(1, sizeof *k)))
        return NULL;
    memcpy(k->id, id, sizeof id);
    HASH_ADD_STR(r->users, id, k);
    return k;
}

bool rights_fresh(const struct rights *r, const struct known *k, uint64_t at_ms)
{
    return at_ms && k->generation == atomic_load(&generation) &&
           clock_mono_ms() - at_ms < r->fresh_ms;
}

void rights_stamp(struct known *k, uint64_t *at_ms)
{
    unsigned now = atomic_load(&generation);
    if (k->generation != now)
        k->standing_ms = k->levels_ms = 0;
    k->generation = now;
    *at_ms = clock_mono_ms();
}

// ---------------------------------------------------------------- standing

#define STANDING_MAX (POLICY_USER_OFF + 4)

static size_t standing_fields(const struct access_policy *p, const struct field **out)
{
    size_t n = 0;
    out[n++] = p->users.entity->keys[0];
    out[n++] = p->users.admin;
    if (p->users.entity->deleted)
        out[n++] = p->users.entity->deleted;
    if (p->users.status)
        out[n++] = p->users.status;
    for (size_t i = 0; i < p->users.noff; i++)
        out[n++] = p->users.off[i];
    return n;
}

static bool is_no(struct value v)
{
    return v.state == VALUE_NULL || (v.state == VALUE_SET && str_eqz(value_str(v), "false"));
}

static bool keeps_out(const struct access_policy *p, struct value status)
{
    if (status.state != VALUE_SET)
        return true;
    for (size_t i = 0; i < p->users.nclosed; i++)
        if (str_eq_nocase(value_str(status), p->users.closed[i]))
            return true;
    return false;
}

// A soft delete that says nothing counts as deleted; what is neither yes nor no keeps out.
static bool is_live(const struct access_policy *p, const struct value *v)
{
    size_t at = 2;
    if (p->users.entity->deleted) {
        if (v[at].state != VALUE_SET || !is_no(v[at]))
            return false;
        at++;
    }
    if (p->users.status && keeps_out(p, v[at++]))
        return false;
    for (size_t i = 0; i < p->users.noff; i++)
        if (!is_no(v[at++]))
            return false;
    return true;
}

static void use_stale(struct rights_ask *q)
{
    struct known *k = rights_known(q->rights, q->user, false);
    q->trouble = q->chain.result;
    if (k && k->standing_ms && clock_mono_ms() - k->standing_ms < STALE_MS) {
        q->trouble = NULL;
        q->live = k->live;
        q->admin = k->admin;
    }
    q->done(q);
}

static void standing_read(struct chain *c)
{
    struct rights_ask *q = (struct rights_ask *)c;
    const struct access_policy *p = q->rights->policy;
    if (chain_failed(c)) {
        use_stale(q);
        return;
    }
    q->live = q->admin = false;
    if (c->result->status == RESULT_OK && c->result->records.n > 0) {
        const struct value *v = c->result->records.rows[0].values;
        q->live = is_live(p, v);
        q->admin = v[1].state == VALUE_SET && str_eqz(value_str(v[1]), "true");
    }
    struct known *k = rights_known(q->rights, q->user, true);
    if (k) {
        rights_stamp(k, &k->standing_ms);
        k->live = q->live;
        k->admin = q->admin;
    }
    q->done(q);
}

void rights_standing(struct rights_ask *q)
{
    struct rights *r = q->rights;
    const struct field *fields[STANDING_MAX];
    const struct known *k = rights_known(r, q->user, false);
    q->trouble = NULL;
    // Who was kept out is asked after again: he may have just logged in.
    if (k && k->live && rights_fresh(r, k, k->standing_ms)) {
        q->live = true;
        q->admin = k->admin;
        q->done(q);
        return;
    }
    size_t n = standing_fields(r->policy, fields);
    struct operation *op = chain_operation(&q->chain, OPERATION_GET, r->policy->users.entity,
                                           fields, n, NULL);
    struct value *key = arena_alloc(q->chain.arena, sizeof *key);
    if (op && key) {
        *key = value_set(q->user);
        op->query.key = key;
        op->query.deleted = DELETED_ANY;
    }
    chain_run(&q->chain, key ? op : NULL, standing_read);
}

// ---------------------------------------------------------------- life

struct rights *rights_create(const struct access_policy *p, struct dispatcher *d, unsigned fresh_ms,
                             struct err *e)
{
    struct rights *r = calloc(1, sizeof *r);
    if (!r) {
        err_memory(e);
        return NULL;
    }
    r->policy = p;
    r->dispatcher = d;
    r->fresh_ms = fresh_ms;
    return r;
}

void rights_destroy(struct rights *r)
{
    struct known *k, *next;
    if (!r)
        return;
    HASH_ITER(hh, r->users, k, next)
    {
        forget(r, k);
    }
    free(r);
}
