// SPDX-License-Identifier: Apache-2.0
// The steps of a transfer (docs/concepts.md, 2 to 6), each written down in
// ficus.transfer before it has an effect and guarded by the attempt's epoch in the place where
// it acts: the row of the transfer, the two fences, the owner. Whatever an earlier, stalled
// attempt still does fails at the first of these. Thread: the coordinator's.
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "cdc/marker.h"
#include "cdc/transfer/transfer_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BEAT_NS    500000000ull
#define CONFIRM_MS 1500
#define STEPS_KEPT "300" // of an attempt that is tried again and again; then only what decides

static int epoch_text(const struct attempt *t, char out[24], struct err *e)
{
    int n = snprintf(out, 24, "%lld", t->epoch);
    return n > 0 && n < 24 ? 0 : err_set(e, ERR_INTERNAL, "epoch does not print");
}

static int id_text(const struct attempt *t, char out[24], struct err *e)
{
    int n = snprintf(out, 24, "%lld", t->id);
    return n > 0 && n < 24 ? 0 : err_set(e, ERR_INTERNAL, "transfer id does not print");
}

static int stale(const struct attempt *t, struct err *e)
{
    return err_set(e, ERR_STALE, "transfer %lld: a later attempt than epoch %lld is under way",
                   t->id, t->epoch);
}

int attempt_begin(struct attempt *t, struct err *e)
{
    char id[24], epoch[24];
    struct rows rows;
    t->epoch = control_next_epoch(t->control, e);
    GATE("taken");
    struct pg_conn *pg = t->epoch > 0 ? control_pg(t->control, e) : NULL;
    if (!pg || id_text(t, id, e) || epoch_text(t, epoch, e))
        return -1;
    struct value p[] = {value_set(str_of(id)), value_set(str_of(epoch)),
                        value_set(str_of(t->coordinator))};
    struct arena *a = arena_create(0);
    if (!a)
        return err_memory(e);
    int result = pg_query(
        pg,
        STR("UPDATE ficus.transfer SET epoch = $2::bigint, coordinator = $3, heartbeat = now()"
            " WHERE id = $1::bigint AND outcome IS NULL AND coalesce(epoch, 0) < $2::bigint"
            " RETURNING step NOT IN ('requested', 'guards'),"
            " steps @> jsonb_build_array(jsonb_build_object('step', 'opening', 'detail', target)),"
            " steps @> '[{\"step\": \"aborting\"}]', options ? 'abort'"),
        p, 3, a, &rows, e);
    if (result == 0 && rows.nrows != 1) {
        result = stale(t, e);
    } else if (result == 0) {
        t->touched = str_eqz(value_str(rows.cells[0]), "t");
        t->maybe_opened = str_eqz(value_str(rows.cells[1]), "t");
        t->aborting = str_eqz(value_str(rows.cells[2]), "t");
        t->abort_asked = str_eqz(value_str(rows.cells[3]), "t");
        t->beat_ns = clock_mono_ns();
    }
    arena_destroy(a);
    return result;
}

int attempt_step(struct attempt *t, const char *step, const char *detail, struct err *e)
{
    char id[24], epoch[24], at[24];
    long long changed = 0;
    struct log_ctx ctx = {"transfer", t->group->name, NULL};
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg || id_text(t, id, e) || epoch_text(t, epoch, e))
        return -1;
    snprintf(at, sizeof at, "%" PRIu64, clock_wall_ms());
    const char *p[] = {id, epoch, step, at, detail};
    if (pg_execz(
            pg,
            "UPDATE ficus.transfer SET step = $3, heartbeat = now(), waiting = '', steps = CASE WHEN"
            " jsonb_array_length(steps) < " STEPS_KEPT
            " OR $3 IN ('opening', 'flipping', 'flipped')"
            " THEN steps || jsonb_build_object('step', $3::text, 'epoch', $2::bigint,"
            " 'at_ms', $4::bigint, 'detail', $5::text) ELSE steps END"
            " WHERE id = $1::bigint AND epoch = $2::bigint AND outcome IS NULL",
            p, 5, &changed, e))
        return -1;
    if (changed != 1)
        return stale(t, e);
    log_info(&ctx, "transfer %lld epoch %lld: %s%s%s", t->id, t->epoch, step, detail[0] ? ": " : "",
             detail);
    return 0;
}

int attempt_beat(struct attempt *t, struct err *e)
{
    char id[24], epoch[24];
    struct rows rows;
    uint64_t now = clock_mono_ns();
    if (now - t->beat_ns < BEAT_NS)
        return 0;
    t->beat_ns = now;
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg || id_text(t, id, e) || epoch_text(t, epoch, e))
        return -1;
    struct value p[] = {value_set(str_of(id)), value_set(str_of(epoch))};
    struct arena *a = arena_create(0);
    if (!a)
        return err_memory(e);
    int result = pg_query(pg,
                          STR("UPDATE ficus.transfer SET heartbeat = now() WHERE"
                              " id = $1::bigint AND epoch = $2::bigint AND outcome IS NULL"
                              " RETURNING options ? 'abort'"),
                          p, 2, a, &rows, e);
    if (result == 0 && rows.nrows != 1)
        result = stale(t, e);
    else if (result == 0 && str_eqz(value_str(rows.cells[0]), "t"))
        t->abort_asked = true;
    arena_destroy(a);
    return result;
}

int attempt_finish(struct attempt *t, const char *outcome, json_t *receipt, struct err *e)
{
    char id[24], epoch[24];
    long long changed = 0;
    char *text = receipt ? json_dumps(receipt, JSON_COMPACT) : NULL;
    struct pg_conn *pg = control_pg(t->control, e);
    int result = -1;
    if (pg && id_text(t, id, e) == 0 && epoch_text(t, epoch, e) == 0) {
        const char *p[] = {id, epoch, outcome, text};
        result = pg_execz(pg,
                          "UPDATE ficus.transfer SET outcome = $3, finished_at = now(),"
                          " waiting = '', receipt = $4::jsonb || jsonb_build_object("
                          "'requested_at', requested_at, 'finished_at', now(), 'note', note,"
                          " 'steps', (SELECT coalesce(jsonb_agg(s.v || jsonb_build_object('ms',"
                          " s.next - s.at)), '[]') FROM (SELECT v, (v->>'at_ms')::bigint AS at,"
                          " coalesce(lead((v->>'at_ms')::bigint) OVER (ORDER BY i),"
                          " (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS next"
                          " FROM jsonb_array_elements(steps) WITH ORDINALITY AS e(v, i)) AS s))"
                          " WHERE id = $1::bigint AND epoch = $2::bigint AND outcome IS NULL",
                          p, 4, &changed, e);
    }
    free(text);
    return result == 0 && changed != 1 ? stale(t, e) : result;
}

struct odbc_conn *attempt_legacy(struct attempt *t, struct err *e)
{
    if (t->legacy && odbc_alive(t->legacy))
        return t->legacy;
    odbc_close(t->legacy);
    t->legacy = NULL;
    const struct dbms *d = dbms_find(str_of(conf_str(t->conf, "legacy.dbms")));
    if (!d) {
        err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known", conf_str(t->conf, "legacy.dbms"));
        return NULL;
    }
    if (odbc_open(conf_str(t->conf, "legacy.odbc"), d, &t->legacy, e)) {
        err_prefix(e, "legacy database (legacy.odbc)");
        return NULL;
    }
    if (d->lock_timeout_fmt) {
        struct buf sql = BUF_INIT;
        unsigned seconds = (unsigned)(conf_int(t->conf, "cutover.drain_ms") / 1000);
        buf_printf(&sql, d->lock_timeout_fmt, seconds > 0 ? seconds : 1);
        int failed = buf_check(&sql, e) || odbc_direct(t->legacy, buf_str(&sql), e);
        buf_free(&sql);
        if (failed) {
            odbc_close(t->legacy);
            t->legacy = NULL;
        }
    }
    return t->legacy;
}

void attempt_close(struct attempt *t)
{
    odbc_close(t->legacy);
    t->legacy = NULL;
}

// ---------------------------------------------------------------- the owner row

static int hold(struct attempt *t, struct err *e)
{
    char ms[24], epoch[24];
    long long changed = 0;
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg || epoch_text(t, epoch, e))
        return -1;
    snprintf(ms, sizeof ms, "%lld", conf_int(t->conf, "cutover.hold_ms"));
    const char *p[] = {t->group->name, ms, epoch};
    t->hold_started_ns = clock_mono_ns();
    if (pg_execz(pg,
                 "UPDATE ficus.owner SET phase = 'holding', hold_until = now() +"
                 " $2::bigint * interval '1 millisecond' WHERE grp = $1 AND epoch < $3::bigint",
                 p, 3, &changed, e))
        return -1;
    return changed == 1 ? 0 : stale(t, e);
}

// Before a store is opened that was not the owner's, every facade holds the group: else one
// would still read from the old owner what a client has written to the new one through another.
static int confirm(struct attempt *t, struct err *e)
{
    static const char unconfirmed[] = "SELECT count(*) FROM ficus.instance WHERE kind = 'serve' AND"
                                      " heartbeat > now() - " TRANSFER_ALIVE
                                      " AND table_version < $1::bigint";
    char text[24];
    long long version, n;
    uint64_t end = clock_mono_ms() + CONFIRM_MS;
    if (control_number(t->control, "SELECT version FROM ficus.version", NULL, 0, &version, e))
        return -1;
    snprintf(text, sizeof text, "%lld", version);
    struct value p = value_set(str_of(text));
    for (;;) {
        if (control_number(t->control, unconfirmed, &p, 1, &n, e) || attempt_beat(t, e))
            return -1;
        if (n == 0)
            return 0;
        if (clock_mono_ms() > end)
            return err_set(e, ERR_TIMEOUT,
                           "%lld facades have not confirmed that they hold the group; is one of"
                           " them stuck, or just ended? (ficus status)",
                           n);
        clock_sleep_ms(2);
    }
}

static int flip(struct attempt *t, enum side to, struct err *e)
{
    char epoch[24];
    long long changed = 0;
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg || epoch_text(t, epoch, e))
        return -1;
    const char *p[] = {t->group->name, side_name(to), epoch};
    if (pg_execz(pg,
                 "UPDATE ficus.owner SET owner = $2, epoch = $3::bigint, phase = 'open',"
                 " hold_until = NULL, changed_at = now() WHERE grp = $1 AND epoch < $3::bigint",
                 p, 3, &changed, e))
        return -1;
    t->flipped_ns = clock_mono_ns();
    return changed == 1 ? 0 : stale(t, e);
}

// ---------------------------------------------------------------- the fences

// An error that leaves the commit unsent leaves the fence as it was.
static int fence_new(struct attempt *t, bool open, struct err *e)
{
    char epoch[24], wait[64];
    struct rows rows;
    struct pg_conn *pg = control_pg(t->control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    snprintf(wait, sizeof wait, "SET LOCAL lock_timeout = %lld",
             conf_int(t->conf, "cutover.drain_ms"));
    int result = epoch_text(t, epoch, e) || pg_begin(pg, e) ? -1 : 0;
    struct value p[] = {value_set(str_of(t->group->name)),
                        value_set(open ? STR("true") : STR("false")), value_set(str_of(epoch))};
    if (result == 0 && (pg_script(pg, str_of(wait), e) ||
                        pg_query(pg, STR("SELECT ficus.fence_set($1, $2::boolean, $3::bigint)"), p,
                                 3, a, &rows, e))) {
        pg_rollback(pg);
        t->seal_failed = !open;
        result = -1;
    } else if (result == 0) {
        bool done = str_eqz(value_str(rows.cells[0]), "t");
        result = pg_commit(pg, e);
        if (result == 0 && !done)
            result = stale(t, e);
    }
    arena_destroy(a);
    return result;
}

// The statement touched no row: fine only when an identical earlier one did (a lost answer).
static int fence_legacy_check(struct attempt *t, struct odbc_conn *c, bool open, struct err *e)
{
    struct value p = value_set(str_of(t->group->name));
    struct rows rows;
    long long writable, epoch;
    struct arena *a = arena_create(0);
    if (!a)
        return err_memory(e);
    int result = odbc_query(c, str_of(odbc_dbms(c)->fence_read_sql), &p, 1, a, 1, &rows, e);
    if (result == 0 && rows.nrows == 0)
        result = err_set(e, ERR_SCHEMA,
                         "the legacy store has no fence for group %s; run ficus migrate up",
                         t->group->name);
    else if (result == 0 && (!str_to_int(value_str(rows.cells[0]), 0, 1, &writable) ||
                             !str_to_int(value_str(rows.cells[1]), 0, INT64_MAX, &epoch) ||
                             epoch != t->epoch || writable != open))
        result = stale(t, e);
    arena_destroy(a);
    return result;
}

// In the transaction that opens the legacy: capture passes it on to every partition.
static int tell_opened(const struct attempt *t, struct odbc_conn *c, struct err *e)
{
    char marker[MARKER_OPENED_MAX];
    marker_opened(marker, t->epoch, t->group->name);
    struct value p = value_set(str_of(marker));
    return odbc_exec(c, str_of(odbc_dbms(c)->changelog_marker_sql), &p, 1, NULL, e);
}

static int fence_legacy(struct attempt *t, bool open, struct err *e)
{
    char epoch[24];
    long long changed = 0;
    struct odbc_conn *c = attempt_legacy(t, e);
    if (!c || epoch_text(t, epoch, e) || odbc_begin(c, true, e))
        return -1;
    const struct dbms *d = odbc_dbms(c);
    struct value at = value_set(str_of(epoch)), group = value_set(str_of(t->group->name));
    struct value seal[] = {at, group, at}, opening[] = {at, at, group, at};
    int result = open ? odbc_exec(c, str_of(d->fence_open_sql), opening, 4, &changed, e)
                      : odbc_exec(c, str_of(d->fence_seal_sql), seal, 3, &changed, e);
    if (result == 0)
        result = changed != 1 ? fence_legacy_check(t, c, open, e) : open ? tell_opened(t, c, e) : 0;
    if (result) {
        odbc_rollback(c);
        t->seal_failed = !open;
    }
    return result ? -1 : odbc_commit(c, e);
}

static int fence(struct attempt *t, enum side s, bool open, struct err *e)
{
    char who[256];
    struct holders *h = holders_watch(t, s);
    int result = s == SIDE_NEW ? fence_new(t, open, e) : fence_legacy(t, open, e);
    t->ended_holders += holders_stop(h, who, sizeof who);
    if (result == 0)
        return 0;
    if (who[0])
        err_prefix(e, "held by %s", who);
    return err_prefix(e, "%s the %s store for group %s", open ? "opening" : "sealing", side_name(s),
                      t->group->name);
}

// ---------------------------------------------------------------- draining

static int arrived(struct attempt *t, enum side to, const char *marker, unsigned *n, struct err *e)
{
    if (to == SIDE_NEW) {
        struct pg_conn *pg = control_pg(t->control, e);
        return pg ? marker_count_new(pg, marker, t->group->entities, t->group->nentities, n, e)
                  : -1;
    }
    struct odbc_conn *c = attempt_legacy(t, e);
    return c ? marker_count_legacy(c, marker, t->group->entities, t->group->nentities, n, e) : -1;
}

static int send(struct attempt *t, enum side from, const char *marker, struct err *e)
{
    if (from == SIDE_NEW) {
        struct pg_conn *pg = control_pg(t->control, e);
        return pg ? marker_send_new(pg, marker, e) : -1;
    }
    struct odbc_conn *c = attempt_legacy(t, e);
    return c ? marker_send_legacy(c, marker, e) : -1;
}

static int drain(struct attempt *t, enum side from, struct err *e)
{
    char marker[64];
    unsigned want = (unsigned)t->group->nentities * (unsigned)conf_int(t->conf, "kafka.partitions");
    unsigned got = 0, pause_ms = 1;
    uint64_t end = clock_mono_ms() + (uint64_t)conf_int(t->conf, "cutover.drain_ms");
    snprintf(marker, sizeof marker, "transfer-%lld", t->epoch);
    GATE("mark");
    if (send(t, from, marker, e))
        return -1;
    for (;;) {
        if (arrived(t, side_other(from), marker, &got, e) || attempt_beat(t, e))
            return -1;
        if (got >= want) {
            GATE("arrive");
            return 0;
        }
        // Only the way there is given up: the way back must drain what the target accepted, and
        // after the flip (of an attempt that was taken over) there is nothing left to give up.
        if (t->abort_asked && side_other(from) == t->target && t->group->owner != t->target)
            return err_set(e, ERR_CANCELLED, "an abort was asked for");
        if (clock_mono_ms() > end)
            return err_set(e, ERR_TIMEOUT,
                           "draining: the marker arrived in %u of %u partitions within"
                           " cutover.drain_ms; is ficus sync running for both directions?",
                           got, want);
        clock_sleep_ms(pause_ms);
        pause_ms = pause_ms < 8 ? pause_ms * 2 : 8;
    }
}

// ---------------------------------------------------------------- generated numbers

// A sequence of the new store continues above every number that the legacy has handed out.
static int sequences_follow(struct attempt *t, struct err *e)
{
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg)
        return -1;
    for (size_t i = 0; i < t->group->nentities; i++) {
        const struct entity *en = t->group->entities[i];
        for (size_t f = 0; f < en->nfields; f++) {
            const struct field *field = &en->fields[f];
            if (!field->sequence)
                continue;
            struct buf sql = BUF_INIT;
            buf_addz(&sql, "SELECT setval($1::regclass, greatest((SELECT last_value FROM ");
            dbms_postgres.quote(&sql, str_of(field->sequence));
            buf_addz(&sql, "), (SELECT coalesce(max(");
            dbms_postgres.quote(&sql, str_of(field->place[SIDE_NEW].column));
            buf_addz(&sql, "), 0) FROM ");
            dbms_postgres.quote(&sql, str_of(en->sides[SIDE_NEW].root));
            buf_addz(&sql, "), 1))");
            struct value p = value_set(str_of(field->sequence));
            int failed = buf_check(&sql, e) || pg_exec(pg, buf_str(&sql), &p, 1, NULL, e);
            buf_free(&sql);
            if (failed)
                return err_prefix(e, "sequence %s", field->sequence);
        }
    }
    return 0;
}

int transfer_let_go(struct attempt *t, struct err *e)
{
    char id[24], epoch[24];
    long long changed = 0;
    struct pg_conn *pg = control_pg(t->control, e);
    if (!pg || id_text(t, id, e) || epoch_text(t, epoch, e))
        return -1;
    const char *p[] = {t->group->name, id, epoch};
    GATE("let_go");
    // The row's lock keeps a later attempt from holding the group before this has let go of it.
    if (pg_execz(pg,
                 "WITH mine AS (SELECT 1 FROM ficus.transfer WHERE id = $2::bigint AND"
                 " epoch = $3::bigint AND outcome IS NULL FOR UPDATE) UPDATE ficus.owner SET"
                 " phase = 'open', hold_until = NULL FROM mine WHERE grp = $1"
                 " AND owner.epoch < $3::bigint",
                 p, 3, &changed, e))
        return -1;
    return changed == 1 ? 0 : stale(t, e);
}

int transfer_give(struct attempt *t, enum side to, bool must_drain, struct err *e)
{
    enum side from = side_other(to);
    GATE("holding");
    if (attempt_step(t, "holding", "facades queue new requests", e))
        return -1;
    GATE("hold");
    if (hold(t, e) || (t->group->owner != to && confirm(t, e)) ||
        attempt_step(t, "sealing", side_name(from), e))
        return -1;
    GATE("seal");
    if (fence(t, from, false, e))
        return -1;
    if (must_drain && (attempt_step(t, "draining", side_name(from), e) || drain(t, from, e)))
        return -1;
    if (to == SIDE_NEW && sequences_follow(t, e))
        return -1;
    // "opening" is on record before the side can be written: an abort then knows that it has
    // something to drain.
    t->maybe_opened |= to == t->target;
    GATE("opening");
    if (attempt_step(t, "opening", side_name(to), e))
        return -1;
    GATE("open");
    if (fence(t, to, true, e) || attempt_step(t, "flipping", side_name(to), e))
        return -1;
    GATE("flip");
    if (flip(t, to, e))
        return -1;
    return attempt_step(t, "flipped", side_name(to), e);
}
