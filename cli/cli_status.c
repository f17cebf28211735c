// SPDX-License-Identifier: Apache-2.0
// ficus status, ficus version.
#include "base/clock.h"
#include "cli/listing.h"
#include "cli/tables.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef FICUS_VERSION
#define FICUS_VERSION "0.1.0"
#endif

struct section {
    const char *name;
    const char *sql;
    const char *headers[12]; // ends with NULL
    const char *empty;
    bool groups; // $1: {"group": ["entity", ..], ..}
};

static const struct section sections[] = {
    {"groups",
     "SELECT o.grp AS group, o.owner, o.epoch, o.phase, coalesce((SELECT t.kind || ' to ' ||"
     " t.target || ': ' || t.step FROM ficus.transfer t WHERE t.grp = o.grp AND t.outcome IS NULL),"
     " 'none') AS transfer, coalesce((SELECT t.kind || ' ' || t.outcome || ' ' ||"
     " to_char(t.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM ficus.transfer t"
     " WHERE t.grp = o.grp AND t.outcome IS NOT NULL ORDER BY id DESC LIMIT 1), '-') AS last"
     " FROM ficus.owner o ORDER BY 1",
     {"GROUP", "OWNER", "EPOCH", "PHASE", "TRANSFER", "LAST"},
     "no groups",
     false},
    // Every write that the new side accepted has to reach the legacy before it is opened again.
    {"ways_back",
     "SELECT o.grp AS group, CASE WHEN o.owner = 'legacy' THEN '-' WHEN o.completed_at IS NOT NULL"
     " OR s.missing + s.paused + s.silent + s.parked + c.stopped > 0 THEN 'no' ELSE 'yes' END"
     " AS lossless, CASE WHEN o.owner = 'legacy' THEN 'the legacy owns it'"
     " WHEN o.completed_at IS NOT NULL THEN 'completed by ' || o.completed_by || ' at ' ||"
     " to_char(o.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ': ' ||"
     " o.completed_why WHEN c.stopped > 0 THEN 'capture of the new side has stopped'"
     " WHEN s.parked > 0 THEN s.parked || ' events parked: ficus parked list'"
     " WHEN s.paused > 0 THEN s.paused || ' streams paused: ficus sync resume'"
     " WHEN s.missing + s.silent > 0 THEN s.missing + s.silent ||"
     " ' streams silent: is ficus sync running?' WHEN s.lag > 0"
     " THEN 'after ' || s.lag || ' events that are on their way' ELSE 'now' END AS why"
     " FROM ficus.owner o JOIN jsonb_each($1::jsonb) AS g ON g.key = o.grp,"
     " LATERAL (SELECT count(*) FILTER (WHERE st.stream IS NULL) AS missing,"
     " count(*) FILTER (WHERE st.paused) AS paused, count(*) FILTER (WHERE NOT st.paused AND"
     " st.at < now() - interval '10 seconds') AS silent, coalesce(sum(st.parked), 0) AS parked,"
     " coalesce(sum(st.lag_events), 0) AS lag FROM jsonb_array_elements_text(g.value) AS e"
     " LEFT JOIN ficus.stream_state st ON st.stream = 'new.' || e) AS s, LATERAL (SELECT count(*)"
     " AS stopped FROM ficus.capture WHERE side = 'new' AND stopped <> '') AS c ORDER BY 1",
     {"WAY BACK", "LOSSLESS", "WHY"},
     "no groups",
     true},
    {"instances",
     "SELECT id, kind, address, pid, table_version, to_char(extract(epoch FROM now() - heartbeat),"
     " 'FM9990.0') AS heartbeat_age_s FROM ficus.instance ORDER BY kind, id",
     {"INSTANCE", "KIND", "ADDRESS", "PID", "TABLE", "SEEN S AGO"},
     "no instances are running",
     false},
    // What the facades say of groups whose writes wait for the other side, since they started.
    {"dual",
     "SELECT d.key AS group, i.id AS facade, d.value->>'in_line' AS in_line, d.value->>'late' AS"
     " late, d.value->>'failed' AS failed, to_char((d.value->>'p50_ms')::float8, 'FM9999990.0') AS"
     " stale_p50_ms, to_char((d.value->>'p99_ms')::float8, 'FM9999990.0') AS stale_p99_ms, CASE"
     " WHEN (d.value->>'waits')::boolean THEN 'waits' ELSE 'does not wait: the last were late' END"
     " AS state FROM ficus.instance i, jsonb_each(i.detail->'dual') AS d WHERE i.kind = 'serve'"
     " ORDER BY 1, 2",
     {"DUAL", "FACADE", "IN LINE", "LATE", "FAILED", "STALE P50 MS", "P99 MS", "STATE"},
     "no group is dual",
     false},
    {"captures",
     "SELECT side, holder, term, published, CASE WHEN stopped = '' THEN 'running' ELSE stopped END"
     " AS state FROM ficus.capture ORDER BY side",
     {"CAPTURE", "HOLDER", "TERM", "PUBLISHED", "STATE"},
     "nothing captured yet",
     false},
    {"streams",
     "SELECT s.stream, s.captured, s.published, s.applied, s.rate, s.lag_events, s.lag_ms,"
     " s.parked, CASE WHEN paused THEN 'paused: ' || reason"
     " WHEN at < now() - interval '10 seconds' THEN 'silent' ELSE 'running' END AS state"
     " FROM ficus.stream_state s ORDER BY 1",
     {"STREAM", "CAPTURED", "PUBLISHED", "APPLIED", "RATE/S", "LAG", "LAG MS", "PARKED", "STATE"},
     "no streams yet",
     false},
    {"snapshots",
     "SELECT entity, CASE WHEN direct THEN state || ' (direct)' ELSE state END AS state, rows,"
     " estimate, CASE WHEN estimate > 0 THEN"
     " to_char(100.0 * rows / estimate, 'FM990.0') || ' %' ELSE '-' END AS done,"
     " coalesce(to_char(rows / nullif(extract(epoch FROM coalesce(finished_at, now()) - started_at),"
     " 0), 'FM9999999990'), '-') AS rate, CASE WHEN state = 'running' AND rows > 0 AND rows < estimate"
     " THEN ((estimate - rows) * extract(epoch FROM now() - started_at) / rows)::bigint || ' s'"
     " ELSE '-' END AS eta, CASE WHEN state = 'running' AND waits THEN 'waits for the stream'"
     " ELSE coalesce((rest_ms / 10 / nullif(extract(epoch FROM coalesce(finished_at, now()) -"
     " started_at), 0))::int, 0) || ' %' END AS rests, coalesce(error, '') AS error"
     " FROM ficus.snapshot ORDER BY 1",
     {"SNAPSHOT", "STATE", "ROWS", "ESTIMATE", "DONE", "ROWS/S", "ETA", "RESTS", "ERROR"},
     "no snapshots",
     false},
    {"sweeps",
     "SELECT entity, passes, coalesce(pass_rows::text, '-') AS pass_rows, walked,"
     " coalesce(extract(epoch FROM now() - pass_finished)::bigint::text, '-') AS age_s,"
     " found, coalesce(extract(epoch FROM now() - found_at)::bigint::text, '-') AS found_age_s"
     " FROM ficus.sweep ORDER BY 1",
     {"SWEEP", "PASSES", "ROWS OF A PASS", "WALKED", "AGE S", "FOUND", "FOUND S AGO"},
     "nothing swept yet",
     false},
    {"proofs",
     "SELECT f.entity, f.run, f.rows_legacy, f.rows_new, f.differences, f.unsettled, f.complete,"
     " extract(epoch FROM now() - f.finished_at)::bigint AS age_s,"
     " coalesce((SELECT extract(epoch FROM now() - max(s.finished_at))::bigint::text"
     " FROM ficus.reconcile_entity s WHERE s.entity = f.entity AND s.coverage = 'slice'), '-')"
     " AS slice_age_s, coalesce((SELECT round(100.0 * count(*) FILTER (WHERE g.done) / nullif(count(*), 0), 0)"
     "::text || ' %' FROM ficus.reconcile_range g WHERE g.entity = f.entity"
     " AND g.run = (SELECT max(run) FROM ficus.reconcile_range h WHERE h.entity = f.entity)), '-')"
     " AS under_way FROM (SELECT DISTINCT ON (entity) * FROM ficus.reconcile_entity"
     " WHERE coverage = 'full' ORDER BY entity, finished_at DESC) AS f ORDER BY 1",
     {"PROOF", "RUN", "ROWS LEGACY", "ROWS NEW", "DIFFERENCES", "UNSETTLED", "COMPLETE", "AGE S",
      "SLICE AGE S", "UNDER WAY"},
     "nothing reconciled yet",
     false},
};

// The definitions' groups as the section that needs them takes them. NULL: no memory.
static char *groups_text(const struct route_table *t)
{
    json_t *groups = json_object();
    for (size_t i = 0; i < group_count(t); i++) {
        json_t *list = json_array();
        for (size_t k = 0; k < group_at(t, i)->nentities; k++)
            json_array_append_new(list, json_string(group_at(t, i)->entities[k]->name));
        json_object_set_new(groups, group_at(t, i)->name, list);
    }
    char *text = json_dumps(groups, JSON_COMPACT);
    json_decref(groups);
    return text;
}

static int status_once(const struct cli *c, struct control *control, const char *groups)
{
    struct value param = value_set(str_of(groups));
    int status = EXIT_OK;
    size_t n = sizeof sections / sizeof sections[0];
    if (c->json)
        putchar('{');
    for (size_t i = 0; i < n && status == EXIT_OK; i++) {
        if (c->json)
            printf("%s\"%s\": ", i ? "," : "", sections[i].name);
        status = listing_print(control, sections[i].sql, &param, sections[i].groups,
                               sections[i].headers, sections[i].empty, c->json);
        if (!c->json)
            putchar('\n');
    }
    if (c->json)
        puts("}");
    return status;
}

static int run_status(const struct cli *c)
{
    struct cli_env env;
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    char *groups = groups_text(env.table);
    if (!groups)
        status = EXIT_INTERNAL;
    while (status == EXIT_OK) {
        if (cli_flag(c, "watch") && !c->json)
            fputs("\033[H\033[2J", stdout);
        status = status_once(c, env.control, groups);
        fflush(stdout);
        if (!cli_flag(c, "watch"))
            break;
        clock_sleep_ms(1000);
    }
    free(groups);
    cli_env_close(&env);
    return status;
}

static int run_version(const struct cli *c)
{
    if (c->json)
        printf("{\"version\": \"%s\"}\n", FICUS_VERSION);
    else
        printf("ficus %s (%s, jansson %s)\n", FICUS_VERSION, OpenSSL_version(OPENSSL_VERSION),
               JANSSON_VERSION);
    return EXIT_OK;
}

static const struct command_option options[] = {
    {"watch", 'w', NULL, "Show it again every second until interrupted."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_status_commands[] = {
    {"status", "", "Show owners, instances, streams, snapshots and proofs",
     "Shows who owns each group and any transfer under way, the processes that are alive, how\n"
     "far each stream got (captured, published, applied, lag, parked), how old the other side was\n"
     "after writes of dual groups, snapshots with progress,\n"
     "and how old the newest reconciliation of each entity is.",
     options, 0, 0, run_status},
    {"version", "", "Print the version", "Prints the version of Ficus and its libraries.", NULL, 0,
     0, run_version},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
