// SPDX-License-Identifier: Apache-2.0
// A turn a second; while the control store is away, counts gather where they are.
#include "facade/evidence/ledger.h"

#include "base/clock.h"
#include "base/log.h"
#include "facade/evidence/rollback.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TURN_MS   1000
#define NAP_MS    50
#define PRUNE_MS  60000
#define TALLY_MAX 256

struct ledger {
    struct ledger_options o;
    struct tally *tallies[TALLY_MAX];
    struct control *control;
    struct rollback *rollback;
    pthread_t thread;
    atomic_bool stop;
    uint64_t pruned_ms;
};

static const struct log_ctx log_ctx = {"ledger", NULL, NULL};

// Bounded in number and age, by any facade. Counts stay as long as their stage does, and those of
// the last stage that compared anything: a transfer asks for them.
static int prune(struct ledger *l, struct err *e)
{
#define TOO_OLD(at)   at " < now() - $1::int * interval '1 day'"
#define LONG_PAST(of) of ".stage_since < least(r.changed_at, r.evidence_since)"
    static const struct {
        const char *sql;
        unsigned n; // parameters
    } ends[] = {
        {"DELETE FROM ficus.arm WHERE win < now() - interval '1 hour'", 0},
        {"DELETE FROM ficus.mismatch WHERE " TOO_OLD(
             "at") " OR id <= (SELECT id FROM"
                   " ficus.mismatch ORDER BY id DESC LIMIT 1 OFFSET $2::bigint)",
         2},
        {"DELETE FROM ficus.noise WHERE " TOO_OLD("last_at"), 1},
        {"DELETE FROM ficus.coverage c USING ficus.route_state r WHERE r.route = c.route AND " TOO_OLD(
             "c.at") " AND " LONG_PAST("c"),
         1},
        {"DELETE FROM ficus.shadow_stat s USING ficus.route_state r WHERE r.route = s.route AND " TOO_OLD(
             "s.at") " AND " LONG_PAST("s") " AND s.stage_since < (SELECT max(stage_since) FROM"
                                            " ficus.shadow_stat m WHERE m.route = s.route AND matched + ignored + mismatched > 0)",
         1},
    };
    char days[24], rows[24];
    struct pg_conn *pg = control_pg(l->control, e);
    snprintf(days, sizeof days, "%lld", conf_int(l->o.conf, "ladder.samples_days"));
    snprintf(rows, sizeof rows, "%lld", conf_int(l->o.conf, "ladder.samples_max"));
    const char *p[] = {days, rows};
    for (size_t i = 0; pg && i < sizeof ends / sizeof ends[0]; i++)
        if (pg_execz(pg, ends[i].sql, p, ends[i].n, NULL, e))
            return -1;
    return pg ? 0 : -1;
}

static int write_all(struct ledger *l, struct err *e)
{
    const char *instance = live_id(l->o.live);
    if (!l->control && control_open(conf_str(l->o.conf, "control.conninfo"), "ficus serve evidence",
                                    &l->control, e))
        return -1;
    if (evidence_flush(l->o.evidence, l->control, instance, e))
        return -1;
    for (size_t i = 0; i < l->o.ntallies; i++)
        if (tally_flush(l->tallies[i], l->control, instance, e))
            return -1;
    return 0;
}

static int turn(struct ledger *l, struct err *e)
{
    uint64_t now = clock_mono_ms();
    if (write_all(l, e))
        return -1;
    if (now - l->pruned_ms >= PRUNE_MS) {
        l->pruned_ms = now;
        if (prune(l, e))
            return -1;
    }
    struct route_table *t = live_table(l->o.live);
    int result = rollback_look(l->rollback, l->control, t, e);
    route_table_unref(t);
    return result;
}

static void complain(struct ledger *l, const struct err *e)
{
    static struct log_limit limit;
    unsigned dropped;
    if (e->code == ERR_UNREACHABLE || !live_connected(l->o.live))
        log_debug(&log_ctx, "evidence waits: %s", e->msg);
    else if (log_allowed(&limit, 10000, &dropped))
        log_warn(&log_ctx, "evidence is not stored: %s (%u more held back)", e->msg, dropped);
}

static void *ledger_main(void *arg)
{
    struct ledger *l = arg;
    uint64_t next = clock_mono_ms() + TURN_MS;
    while (!atomic_load(&l->stop)) {
        struct err e = {0};
        clock_sleep_ms(NAP_MS);
        if (clock_mono_ms() < next)
            continue;
        if (turn(l, &e))
            complain(l, &e);
        next = clock_mono_ms() + TURN_MS;
    }
    return NULL;
}

struct ledger *ledger_start(const struct ledger_options *o, struct err *e)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l || o->ntallies > TALLY_MAX || !(l->rollback = rollback_create(o->conf, e))) {
        free(l);
        err_memory(e);
        return NULL;
    }
    l->o = *o;
    memcpy(l->tallies, o->tallies, o->ntallies * sizeof *o->tallies);
    if (pthread_create(&l->thread, NULL, ledger_main, l)) {
        err_set(e, ERR_MEMORY, "no thread for the ledger");
        rollback_destroy(l->rollback);
        free(l);
        return NULL;
    }
    return l;
}

void ledger_stop(struct ledger *l)
{
    struct err e = {0};
    if (!l)
        return;
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    if (live_connected(l->o.live) && write_all(l, &e))
        complain(l, &e);
    control_close(l->control);
    rollback_destroy(l->rollback);
    free(l);
}
