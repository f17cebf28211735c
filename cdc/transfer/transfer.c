// SPDX-License-Identifier: Apache-2.0
// The coordinator: one thread of `ficus sync` that claims transfers nobody alive works on and
// carries them through. It owns no lock that matters: a row is claimed by heartbeat only to
// avoid useless work; what makes two coordinators safe is the epoch of each attempt (see
// transfer_steps.c). A transfer that fails before the flip is given back to its owner, under a
// new epoch, by the same procedure. What fails is left on record and taken up again a little
// later, after whatever else waits; once an abort has begun a transfer only ever goes back.
#include "cdc/transfer/transfer.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "cdc/transfer/transfer_int.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS  50
#define RETRY_MS 500

struct coordinator {
    const struct conf *conf;
    struct live *live;
    struct control *control;
    pthread_t thread;
    atomic_bool stop;
};

// A claimed row.
struct claim {
    long long id;
    char group[128], kind[16], who[128], approved_by[128];
    char why[512]; // that was asked with
    enum side target;
    bool force, end_holders;
};

static int claim_fill(const struct rows *rows, struct claim *c, struct err *e)
{
    const struct value *v = rows->cells;
    if (!str_to_int(value_str(v[0]), 1, INT64_MAX, &c->id) ||
        str_copy(c->group, sizeof c->group, value_str(v[1])) ||
        str_copy(c->kind, sizeof c->kind, value_str(v[2])) ||
        str_copy(c->who, sizeof c->who, value_str(v[4])) ||
        str_copy(c->why, sizeof c->why, value_str(v[7])) ||
        str_copy(c->approved_by, sizeof c->approved_by, value_str(v[8])))
        return err_set(e, ERR_INTERNAL, "a row of ficus.transfer cannot be read");
    c->target = str_eqz(value_str(v[3]), "new") ? SIDE_NEW : SIDE_LEGACY;
    c->force = str_eqz(value_str(v[5]), "t");
    c->end_holders = str_eqz(value_str(v[6]), "t");
    return 0;
}

// The groups of this process's route table, as an array's text.
static int known_groups(struct coordinator *c, struct buf *out, struct err *e)
{
    struct route_table *t = live_table(c->live);
    size_t n = group_count(t);
    struct value *names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++)
        names[i] = value_set(str_of(group_at(t, i)->name));
    pg_array_literal(out, names, names ? n : 0, 1);
    int result = names ? buf_check(out, e) : err_memory(e);
    free(names);
    route_table_unref(t);
    return result;
}

// 1: claimed one, 0: nothing to do, -1: error. What has begun is left to a process that knows
// the group.
static int claim_next(struct coordinator *c, struct claim *out, struct err *e)
{
    static const char sql[] =
        "UPDATE ficus.transfer t SET coordinator = $1, heartbeat = now() WHERE id = ("
        " SELECT id FROM ficus.transfer WHERE outcome IS NULL AND (coordinator IS NULL"
        "  OR coordinator = $1 OR heartbeat < now() - interval '3 seconds')"
        " AND (step IN ('requested', 'guards') OR grp = ANY($2::text[]))"
        " AND (options ? 'abort' OR (coalesce(not_before <= now(), true)"
        "  AND (approved_by IS NOT NULL OR NOT needs_approval)))"
        " ORDER BY heartbeat NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, grp, kind, target, who, options ? 'force', options ? 'end_holders', left(why, 120), coalesce(approved_by, '')";
    struct rows rows = {0};
    struct buf groups = BUF_INIT;
    struct pg_conn *pg = control_pg(c->control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    int result = pg && !a ? err_memory(e) : -1;
    if (a && known_groups(c, &groups, e) == 0) {
        struct value p[] = {value_set(str_of(live_id(c->live))), value_set(buf_str(&groups))};
        result = pg_query(pg, STR(sql), p, 2, a, &rows, e);
    }
    if (result == 0 && rows.nrows == 1)
        result = claim_fill(&rows, out, e) ? -1 : 1;
    buf_free(&groups);
    arena_destroy(a);
    return result;
}

static int finish(struct attempt *t, const struct claim *c, const char *outcome, const char *why,
                  const struct guard *g, size_t n, struct err *e)
{
    struct log_ctx ctx = {"transfer", c->group, NULL};
    struct receipt_facts facts = {.group = c->group,
                                  .kind = c->kind,
                                  .who = c->who,
                                  .asked_why = c->why,
                                  .approved_by = c->approved_by,
                                  .forced = c->force,
                                  .outcome = outcome,
                                  .why = why,
                                  .guards = g,
                                  .nguards = n};
    json_t *r = receipt_make(t, &facts);
    GATE("finish");
    int result = attempt_finish(t, outcome, r, e);
    if (result == 0) {
        struct err ignored = {0};
        log_info(&ctx, "transfer %lld: %s%s%s", c->id, outcome, why[0] ? ": " : "", why);
        if (control_audit(t->control, c->who, c->kind, c->group, r, &ignored))
            log_warn(&ctx, "audit: %s", ignored.msg);
    }
    json_decref(r);
    return result;
}

// Under a new epoch if this attempt has done anything under its own.
static int give_back(struct attempt *t, const struct claim *c, const char *why, bool acted,
                     struct err *e)
{
    enum side owner = side_other(t->target);
    if (acted && attempt_begin(t, e))
        return -1;
    GATE("aborting");
    if (attempt_step(t, "aborting", why, e) || transfer_give(t, owner, t->maybe_opened, e) ||
        finish(t, c, "aborted", why, NULL, 0, e))
        return e->code == ERR_STALE
                   ? -1
                   : err_prefix(e, "giving the group back to %s", side_name(owner));
    return 0;
}

// The owner's fence was not closed, and only this attempt ever tried to: nothing has changed in
// either store, so there is nothing to give back. Who kept it from being sealed would keep the
// longer way waiting as well, and every writer of the group behind it.
static int let_go(struct attempt *t, const struct claim *c, const char *why, struct err *e)
{
    GATE("give_up");
    return attempt_step(t, "aborting", why, e) || transfer_let_go(t, e) ||
                   finish(t, c, "aborted", why, NULL, 0, e)
               ? -1
               : 0;
}

// Guards, once, while nothing has been touched yet. 1: refused and finished.
static int guards_refuse(struct attempt *t, const struct claim *c, struct guard *g, size_t *n,
                         struct err *e)
{
    char why[256] = "";
    *n = 0;
    if (t->touched)
        return 0;
    if (attempt_step(t, "guards", c->force ? "forced" : "", e) ||
        transfer_guards(t->control, t->conf, t->table, t->group, t->target, g, n, e))
        return -1;
    for (size_t i = 0; i < *n && !c->force; i++) {
        if (!g[i].passed) {
            snprintf(why, sizeof why, "%s: %.120s; %.100s", g[i].name, g[i].figure, g[i].mend);
            return finish(t, c, "refused", why, g, *n, e) ? -1 : 1;
        }
    }
    return 0;
}

static bool already_flipped(const struct attempt *t)
{
    return t->group->owner == t->target;
}

// An attempt that has a group and an epoch. -1: `e` says why it stopped; the row stays open
// unless it was finished here.
static int carry_attempt(struct attempt *t, const struct claim *c, struct err *e)
{
    struct guard guards[TRANSFER_GUARDS_MAX];
    struct err ignored = {0};
    size_t n = 0;
    if (t->touched && already_flipped(t))
        return transfer_give(t, t->target, true, e) ||
                       finish(t, c, "done", "taken over after the flip", NULL, 0, e)
                   ? -1
                   : 0;
    if (!t->touched && t->abort_asked)
        return finish(t, c, "aborted", "before anything was done", NULL, 0, e);
    if (t->aborting || t->abort_asked)
        return give_back(t, c, t->aborting ? "an abort was under way" : "an abort was asked for",
                         false, e);
    int refused = guards_refuse(t, c, guards, &n, e);
    if (refused < 0 && e->code != ERR_STALE && finish(t, c, "failed", e->msg, guards, n, &ignored))
        log_warn(&(struct log_ctx){"transfer", c->group, NULL}, "%s", ignored.msg);
    if (refused != 0)
        return refused < 0 ? -1 : 0;
    if (transfer_give(t, t->target, true, e) == 0)
        return finish(t, c, "done", "", guards, n, e);
    if (e->code == ERR_STALE)
        return -1;
    struct err why = *e;
    err_clear(e);
    return t->seal_failed && !t->touched ? let_go(t, c, why.msg, e)
                                         : give_back(t, c, why.msg, true, e);
}

static struct route_table *table_now(struct coordinator *co, struct err *e)
{
    json_t *state = control_state(co->control, e);
    struct route_table *base = live_table(co->live);
    struct route_table *table = state ? route_table_with_state(base, state, e) : NULL;
    json_decref(state);
    route_table_unref(base);
    return table;
}

// No file of routes of this process names the group. A request is refused; what has begun is
// left to a process that knows the group.
static int carry_unknown(struct attempt *t, const struct claim *c, struct err *e)
{
    static const char why[] = "no such group in the coordinator's route table; reload it (SIGHUP"
                              " to ficus sync) and ask again";
    if (attempt_begin(t, e))
        return -1;
    if (t->touched)
        return err_set(e, ERR_CONFIG, "its group is not in this process's route table");
    return finish(t, c, "refused", why, NULL, 0, e) ? -1 : 0;
}

// -1: told in the log; the transfer is still open.
static int carry(struct coordinator *co, const struct claim *c)
{
    static struct log_limit limit;
    struct log_ctx ctx = {"transfer", c->group, NULL};
    struct err e = {0};
    unsigned dropped;
    struct route_table *table = table_now(co, &e);
    struct attempt t = {.conf = co->conf,
                        .control = co->control,
                        .table = table,
                        .group = table ? group_find(table, str_of(c->group)) : NULL,
                        .coordinator = live_id(co->live),
                        .id = c->id,
                        .target = c->target,
                        .end_holders = c->end_holders};
    int result = -1;
    if (table && !t.group)
        result = carry_unknown(&t, c, &e);
    else if (table)
        result = attempt_begin(&t, &e) || carry_attempt(&t, c, &e) ? -1 : 0;
    if (result && log_allowed(&limit, 1000, &dropped))
        log_warn(&ctx, "transfer %lld: %s (%u more held back)", c->id, e.msg, dropped);
    attempt_close(&t);
    route_table_unref(table);
    return result;
}

static void *coordinator_main(void *arg)
{
    struct coordinator *co = arg;
    struct log_limit limit = {0};
    unsigned dropped;
    while (!atomic_load(&co->stop)) {
        struct err e = {0};
        struct claim c = {0};
        GATE("take");
        int got = claim_next(co, &c, &e);
        if (got > 0)
            got = carry(co, &c);
        else if (got < 0 && log_allowed(&limit, 10000, &dropped))
            log_warn(&(struct log_ctx){"transfer", NULL, NULL}, "looking for transfers: %s", e.msg);
        clock_sleep_ms(got < 0 ? RETRY_MS : POLL_MS);
    }
    return NULL;
}

struct coordinator *coordinator_start(const struct conf *conf, struct live *live, struct err *e)
{
    struct coordinator *co = calloc(1, sizeof *co);
    if (!co) {
        err_memory(e);
        return NULL;
    }
    co->conf = conf;
    co->live = live;
    if (control_open(conf_str(conf, "control.conninfo"), "ficus sync coordinator", &co->control,
                     e)) {
        free(co);
        return NULL;
    }
    if (pthread_create(&co->thread, NULL, coordinator_main, co) != 0) {
        err_set(e, ERR_MEMORY, "no thread for the coordinator");
        control_close(co->control);
        free(co);
        return NULL;
    }
    return co;
}

void coordinator_stop(struct coordinator *co)
{
    if (!co)
        return;
    atomic_store(&co->stop, true);
    pthread_join(co->thread, NULL);
    control_close(co->control);
    free(co);
}
