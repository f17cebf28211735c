// SPDX-License-Identifier: Apache-2.0
// The guards of a transfer: each a figure, a verdict and the command that mends it. They only
// look (and send one marker); nothing is held or sealed yet. Thread: the caller's.
#include "base/clock.h"
#include "cdc/event/event.h"
#include "cdc/marker.h"
#include "cdc/reconcile/proof.h"
#include "cdc/transfer/transfer_int.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROUNDTRIP_MS 10000
#define INSTANCES_MS 3000
#define HEADROOM_MIB 64

struct look {
    struct control *control;
    const struct conf *conf;
    const struct route_table *table;
    const struct group *group;
    enum side to;
    struct arena *arena;
    struct odbc_conn *legacy;
    struct guard *out;
    size_t n;
};

static void verdict(struct look *l, const char *name, bool passed, const char *mend,
                    const char *fmt, ...) FICUS_PRINTF(5, 6);

static void verdict(struct look *l, const char *name, bool passed, const char *mend,
                    const char *fmt, ...)
{
    struct guard *g = &l->out[l->n++];
    va_list ap;
    *g = (struct guard){.passed = passed};
    va_start(ap, fmt);
    vsnprintf(g->figure, sizeof g->figure, fmt, ap);
    va_end(ap);
    snprintf(g->name, sizeof g->name, "%s", name);
    snprintf(g->mend, sizeof g->mend, "%s", passed ? "" : mend);
}

// One row of numbers from the control store.
static int numbers(struct look *l, struct str sql, const struct value *params, size_t nparams,
                   long long *out, size_t n, struct err *e)
{
    struct rows rows;
    struct pg_conn *pg = control_pg(l->control, e);
    if (!pg || pg_query(pg, sql, params, nparams, l->arena, &rows, e))
        return -1;
    if (rows.nrows != 1 || rows.ncols != n)
        return err_set(e, ERR_INTERNAL, "the control store gave no row of figures");
    for (size_t i = 0; i < n; i++)
        if (rows.cells[i].state != VALUE_SET ||
            !str_to_int(value_str(rows.cells[i]), INT64_MIN, INT64_MAX, &out[i]))
            out[i] = -1;
    return 0;
}

// The group's entity or stream names as a PostgreSQL array literal.
static struct value names(struct look *l, enum side from, bool streams)
{
    size_t n = l->group->nentities;
    struct value *items = arena_array(l->arena, n ? n : 1, sizeof *items);
    struct buf text = BUF_INIT;
    for (size_t i = 0; items && i < n; i++) {
        char name[160];
        if (streams)
            stream_name(l->group->entities[i], from, name, sizeof name);
        else
            snprintf(name, sizeof name, "%s", l->group->entities[i]->name);
        items[i] = value_set(arena_str(l->arena, str_of(name)));
    }
    pg_array_literal(&text, items, items ? n : 0, 1);
    struct str kept = arena_str(l->arena, buf_str(&text));
    buf_free(&text);
    return value_set(kept);
}

static int guard_sync(struct look *l, struct err *e)
{
    long long n[2];
    if (numbers(l,
                STR("SELECT (SELECT count(*) FROM ficus.instance WHERE kind = 'sync'"
                    " AND heartbeat > now() - " TRANSFER_ALIVE "),"
                    " (SELECT count(*) FROM ficus.capture WHERE stopped <> '')"),
                NULL, 0, n, 2, e))
        return -1;
    verdict(l, "sync", n[0] > 0 && n[1] == 0,
            n[0] > 0 ? "ficus sync snapshot --all after mending the cause (ficus status)"
                     : "start ficus sync",
            "sync processes alive: %lld, captures stopped: %lld", n[0], n[1]);
    return 0;
}

static int guard_lag(struct look *l, struct err *e)
{
    long long n[3], max = conf_int(l->conf, "sync.lag_max");
    struct value p = names(l, side_other(l->to), true);
    if (numbers(l,
                STR("SELECT coalesce(sum(lag_events), 0), count(*),"
                    " coalesce(sum(CASE WHEN paused OR at < now() - " TRANSFER_ALIVE
                    " THEN 1 ELSE 0 END), 0)"
                    " FROM ficus.stream_state WHERE stream = ANY($1::text[])"),
                &p, 1, n, 3, e))
        return -1;
    bool all = n[1] == (long long)l->group->nentities && n[2] == 0;
    verdict(l, "lag", all && n[0] <= max, "wait, or look at ficus status --watch",
            "%lld events behind (limit %lld), %lld of %zu streams reported, %lld paused or silent",
            n[0], max, n[1], l->group->nentities, n[2]);
    return 0;
}

static int guard_parked(struct look *l, struct err *e)
{
    long long n = 0, legacy = 0;
    struct value p = names(l, SIDE_LEGACY, true);
    struct rows rows;
    if (numbers(l,
                STR("SELECT count(*) FROM ficus.parked WHERE state IN ('parked','retry')"
                    " AND stream = ANY($1::text[])"),
                &p, 1, &n, 1, e))
        return -1;
    for (size_t i = 0; i < l->group->nentities; i++) {
        char stream[160];
        long long some = 0;
        stream_name(l->group->entities[i], SIDE_NEW, stream, sizeof stream);
        struct value s = value_set(str_of(stream));
        if (odbc_query(l->legacy,
                       STR("SELECT count(*) FROM ficus_parked WHERE state IN ('parked','retry')"
                           " AND stream = ?"),
                       &s, 1, l->arena, 1, &rows, e))
            return -1;
        if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &some))
            return err_set(e, ERR_INTERNAL, "the legacy store gave no count of parked events");
        legacy += some;
    }
    verdict(l, "parked", n + legacy == 0, "ficus parked list, then retry or drop",
            "%lld parked events (%lld towards new, %lld towards legacy)", n + legacy, n, legacy);
    return 0;
}

static int guard_reconcile(struct look *l, struct err *e)
{
    long long max = conf_int(l->conf, "cutover.reconcile_max_age_s");
    struct proof_verdict v;
    char mend[128];
    if (proof_of_group(l->control, l->conf, l->group, max, &v, e))
        return -1;
    snprintf(mend, sizeof mend,
             v.differences > 0 ? "ficus reconcile --group %s --repair"
                               : "ficus reconcile --group %s",
             l->group->name);
    verdict(l, "reconcile", v.proven == v.entities && v.differences == 0, mend,
            "%zu of %zu entities proven, %lld differences, oldest proof %lld s (limit %lld s)%s%s",
            v.proven, v.entities, v.differences, v.oldest_s, max, v.why[0] ? "; " : "", v.why);
    return 0;
}

static int guard_instances(struct look *l, struct err *e)
{
    long long n[2] = {0, 1};
    uint64_t end = clock_mono_ms() + INSTANCES_MS;
    // A change of a moment ago is on its way to them: wait for it, bounded.
    for (bool first = true; n[1] > 0 && (first || clock_mono_ms() < end); first = false) {
        if (!first)
            clock_sleep_ms(50);
        if (numbers(l,
                    STR("SELECT count(*), count(*) FILTER (WHERE table_version <"
                        " (SELECT version FROM ficus.version)) FROM ficus.instance"
                        " WHERE kind = 'serve' AND heartbeat > now() - " TRANSFER_ALIVE),
                    NULL, 0, n, 2, e))
            return -1;
    }
    verdict(l, "instances", n[1] == 0, "wait for them, or stop the facade that lags (ficus status)",
            "facades alive: %lld, not on the current table: %lld", n[0], n[1]);
    return 0;
}

static int guard_stages(struct look *l, struct err *e)
{
    unsigned routes = 0, behind = 0;
    char first[64] = "";
    (void)e;
    for (size_t i = 0; i < route_count(l->table); i++) {
        const struct route *r = route_at(l->table, i);
        if (r->group != l->group)
            continue;
        routes++;
        if (l->to == SIDE_NEW && r->stage != STAGE_NEW && behind++ == 0)
            snprintf(first, sizeof first, "%s", r->name);
    }
    char mend[128];
    snprintf(mend, sizeof mend, "ficus route set %s ... --why ... up to stage new", first);
    verdict(l, "stages", behind == 0, mend, "%u of %u routes not at stage new", behind, routes);
    return 0;
}

// What the comparisons of the last stay at a stage said about each route that reads.
static int guard_evidence(struct look *l, struct err *e)
{
    long long least = conf_int(l->conf, "cutover.evidence_min");
    unsigned reads = 0, thin = 0, differ = 0;
    char first[64] = "";
    for (size_t i = 0; i < route_count(l->table) && l->to == SIDE_NEW; i++) {
        const struct route *r = route_at(l->table, i);
        long long n[2];
        if (r->group != l->group || !(r->operations & ROUTE_READS))
            continue;
        struct value p = value_set(str_of(r->name));
        if (numbers(l,
                    STR("SELECT coalesce(sum(matched), 0), coalesce(sum(mismatched), 0)"
                        " FROM ficus.shadow_stat s WHERE route = $1 AND stage_since ="
                        " (SELECT max(stage_since) FROM ficus.shadow_stat WHERE route = $1"
                        " AND matched + ignored + mismatched > 0)"),
                    &p, 1, n, 2, e))
            return -1;
        reads++;
        thin += n[0] < least;
        differ += n[1] > 0;
        if ((n[0] < least || n[1] > 0) && !first[0])
            snprintf(first, sizeof first, "%s", r->name);
    }
    char mend[192];
    snprintf(mend, sizeof mend,
             "ficus route mismatches %s; mend, or ficus route ignore; then stage shadow again",
             first);
    verdict(l, "evidence", thin + differ == 0, mend,
            "%u routes read: %u with answers that differed, %u with fewer than %lld that matched",
            reads, differ, thin, least);
    return 0;
}

// PostgreSQL keeps the WAL that capture has not confirmed, up to max_slot_wal_keep_size.
static int guard_headroom(struct look *l, struct err *e)
{
    long long n[3];
    char slot[64];
    snprintf(slot, sizeof slot, "ficus_%.50s_new", conf_str(l->conf, "kafka.prefix"));
    struct value p = value_set(str_of(slot));
    if (numbers(l,
                STR("SELECT count(*), count(*) FILTER (WHERE wal_status IN ('unreserved', 'lost')),"
                    " coalesce(min(safe_wal_size), 9223372036854775807) / 1048576"
                    " FROM pg_replication_slots WHERE slot_name = $1"),
                &p, 1, n, 3, e))
        return -1;
    bool limited = n[2] < INT64_MAX / 1048576;
    char left[64] = "without a limit";
    if (limited)
        snprintf(left, sizeof left, "%lld MiB before PostgreSQL lets go", n[2]);
    verdict(l, "headroom", n[0] == 1 && n[1] == 0 && (!limited || n[2] >= HEADROOM_MIB),
            n[0] == 1 ? "let capture catch up (ficus status), or raise max_slot_wal_keep_size"
                      : "start ficus sync; it makes the slot",
            "replication slot %s: %s, WAL kept %s", slot,
            n[0] != 1  ? "missing"
            : n[1] > 0 ? "about to be lost"
                       : "sound",
            left);
    return 0;
}

struct disk {
    long long free_mib; // -1: not to be seen from here
    char why[64];
};

// `rows`: of disk_sql.
static struct disk disk_of(const struct rows *rows)
{
    struct disk d = {.free_mib = -1};
    char path[512], here[256] = "";
    struct statvfs fs;
    if (rows->nrows != 1 || rows->cells[0].state != VALUE_SET ||
        str_copy(path, sizeof path, value_str(rows->cells[0]))) {
        snprintf(d.why, sizeof d.why, "its place may not be seen by this user");
        return d;
    }
    struct str host = value_str(rows->cells[1]);
    (void)gethostname(here, sizeof here - 1);
    if (rows->cells[1].state != VALUE_SET || (host.len > 0 && !str_eqz(host, here)))
        snprintf(d.why, sizeof d.why, "on another machine");
    else if (statvfs(path, &fs) != 0)
        snprintf(d.why, sizeof d.why, "its place cannot be read: %s", strerror(errno));
    else
        d.free_mib = (long long)((double)fs.f_bavail * (double)fs.f_frsize / 1048576);
    return d;
}

static int look_at_disk(struct look *l, enum side side, struct disk *out, struct err *e)
{
    struct rows rows = {0};
    struct pg_conn *pg = control_pg(l->control, e);
    const struct dbms *d = side == SIDE_NEW ? &dbms_postgres : odbc_dbms(l->legacy);
    if (!pg)
        return -1;
    if (!d->disk_sql)
        *out = (struct disk){.free_mib = -1, .why = "this DBMS does not tell"};
    else if (side == SIDE_NEW
                 ? pg_query(pg, str_of(d->disk_sql), NULL, 0, l->arena, &rows, e)
                 : odbc_query(l->legacy, str_of(d->disk_sql), NULL, 0, l->arena, 1, &rows, e))
        return err_prefix(e, "disk of the %s store", side_name(side));
    else
        *out = disk_of(&rows);
    return 0;
}

// What cannot be seen does not refuse, and is said.
static int guard_disk(struct look *l, struct err *e)
{
    long long least = conf_int(l->conf, "cutover.disk_min_mib");
    char text[2][80];
    bool enough = true;
    for (enum side side = SIDE_LEGACY; side <= SIDE_NEW; side++) {
        struct disk d;
        if (look_at_disk(l, side, &d, e))
            return -1;
        if (d.free_mib < 0)
            snprintf(text[side], sizeof text[side], "not seen (%s)", d.why);
        else
            snprintf(text[side], sizeof text[side], "%lld MiB free", d.free_mib);
        enough = enough && (d.free_mib < 0 || d.free_mib >= least);
    }
    verdict(l, "disk", enough, "make room, or lower cutover.disk_min_mib",
            "legacy: %s, new: %s (limit %lld MiB)", text[SIDE_LEGACY], text[SIDE_NEW], least);
    return 0;
}

// Without our triggers nothing stops a direct writer, and no marker proves that all has arrived.
static int guard_fence(struct look *l, struct err *e)
{
    const struct entity *without = NULL;
    size_t n = 0;
    (void)e;
    for (size_t i = 0; i < l->group->nentities; i++)
        if (!entity_has_changelog(l->group->entities[i])) {
            without = l->group->entities[i];
            n++;
        }
    verdict(l, "fence", n == 0,
            "put \"capture\": {\"by\": \"changelog\"} in their maps, then ficus migrate up",
            "%zu of %zu entities without triggers in the legacy%s%s", n, l->group->nentities,
            without ? ", such as " : "", without ? without->name : "");
    return 0;
}

// The way back must work before anyone needs it: a marker from the target to the other side.
static int guard_roundtrip(struct look *l, struct err *e)
{
    char marker[64], uuid[37];
    unsigned got = 0;
    unsigned want = (unsigned)l->group->nentities * (unsigned)conf_int(l->conf, "kafka.partitions");
    struct pg_conn *pg = control_pg(l->control, e);
    uint64_t start = clock_mono_ms(), end = start + ROUNDTRIP_MS;
    uuid_make(uuid);
    snprintf(marker, sizeof marker, "roundtrip-%s", uuid);
    if (!pg || (l->to == SIDE_NEW ? marker_send_new(pg, marker, e)
                                  : marker_send_legacy(l->legacy, marker, e)))
        return -1;
    while (got < want && clock_mono_ms() < end) {
        int failed = l->to == SIDE_NEW ? marker_count_legacy(l->legacy, marker, l->group->entities,
                                                             l->group->nentities, &got, e)
                                       : marker_count_new(pg, marker, l->group->entities,
                                                          l->group->nentities, &got, e);
        if (failed)
            return -1;
        if (got < want)
            clock_sleep_ms(5);
    }
    verdict(l, "roundtrip", got >= want, "ficus status; is ficus sync running both ways?",
            "reverse marker in %u of %u partitions after %llu ms", got, want,
            (unsigned long long)(clock_mono_ms() - start));
    l->out[l->n - 1].took_ms = (double)(clock_mono_ms() - start);
    return 0;
}

int transfer_guards(struct control *c, const struct conf *conf, const struct route_table *t,
                    const struct group *g, enum side to, struct guard *out, size_t *n,
                    struct err *e)
{
    static int (*const guards[])(struct look *, struct err *) = {
        guard_sync,   guard_instances, guard_fence,    guard_stages, guard_evidence,  guard_lag,
        guard_parked, guard_reconcile, guard_headroom, guard_disk,   guard_roundtrip,
    };
    struct look l = {.control = c, .conf = conf, .table = t, .group = g, .to = to, .out = out};
    const struct dbms *d = dbms_find(str_of(conf_str(conf, "legacy.dbms")));
    int result = -1;
    *n = 0;
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(conf, "legacy.dbms"));
    if (!(l.arena = arena_create(0)))
        return err_memory(e);
    if (odbc_open(conf_str(conf, "legacy.odbc"), d, &l.legacy, e)) {
        err_prefix(e, "legacy database (legacy.odbc)");
        goto out;
    }
    for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++) {
        if (guards[i](&l, e))
            goto out;
        // A round trip through a sync that is known to be down only waits.
        if (i == 0 && !out[0].passed)
            break;
    }
    *n = l.n;
    result = 0;
out:
    odbc_close(l.legacy);
    arena_destroy(l.arena);
    return result;
}
