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
    const char *headers[10];
    const char *empty;
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
     "no groups"},
    {"instances",
     "SELECT id, kind, address, pid, table_version, to_char(extract(epoch FROM now() - heartbeat),"
     " 'FM9990.0') AS heartbeat_age_s FROM ficus.instance ORDER BY kind, id",
     {"INSTANCE", "KIND", "ADDRESS", "PID", "TABLE", "SEEN S AGO"},
     "no instances are running"},
    {"captures",
     "SELECT side, holder, term, published, CASE WHEN stopped = '' THEN 'running' ELSE stopped END"
     " AS state FROM ficus.capture ORDER BY side",
     {"CAPTURE", "HOLDER", "TERM", "PUBLISHED", "STATE"},
     "nothing captured yet"},
    {"streams",
     "SELECT s.stream, s.captured, s.published, s.applied, s.lag_events, s.lag_ms,"
     " s.parked, CASE WHEN paused THEN 'paused: ' || reason"
     " WHEN at < now() - interval '10 seconds' THEN 'silent' ELSE 'running' END AS state"
     " FROM ficus.stream_state s ORDER BY 1",
     {"STREAM", "CAPTURED", "PUBLISHED", "APPLIED", "LAG", "LAG MS", "PARKED", "STATE"},
     "no streams yet"},
    {"snapshots",
     "SELECT entity, state, rows, estimate, CASE WHEN estimate > 0 THEN"
     " to_char(100.0 * rows / estimate, 'FM990.0') || ' %' ELSE '-' END AS done,"
     " coalesce(error, '') AS error FROM ficus.snapshot ORDER BY 1",
     {"SNAPSHOT", "STATE", "ROWS", "ESTIMATE", "DONE", "ERROR"},
     "no snapshots"},
    {"proofs",
     "SELECT DISTINCT ON (entity) entity, run, rows_legacy, rows_new, differences, unsettled,"
     " complete, extract(epoch FROM now() - finished_at)::bigint AS age_s"
     " FROM ficus.reconcile_entity ORDER BY entity, finished_at DESC",
     {"PROOF", "RUN", "ROWS LEGACY", "ROWS NEW", "DIFFERENCES", "UNSETTLED", "COMPLETE", "AGE S"},
     "nothing reconciled yet"},
};

static int status_once(const struct cli *c, struct control *control)
{
    int status = EXIT_OK;
    size_t n = sizeof sections / sizeof sections[0];
    if (c->json)
        putchar('{');
    for (size_t i = 0; i < n && status == EXIT_OK; i++) {
        if (c->json)
            printf("%s\"%s\": ", i ? "," : "", sections[i].name);
        status = listing_print(control, sections[i].sql, NULL, 0, sections[i].headers,
                               sections[i].empty, c->json);
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
    do {
        if (cli_flag(c, "watch") && !c->json)
            fputs("\033[H\033[2J", stdout);
        status = status_once(c, env.control);
        fflush(stdout);
        if (cli_flag(c, "watch"))
            clock_sleep_ms(1000);
    } while (cli_flag(c, "watch") && status == EXIT_OK);
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
     "far each stream got (captured, published, applied, lag, parked), snapshots with progress,\n"
     "and how old the newest reconciliation of each entity is.",
     options, 0, 0, run_status},
    {"version", "", "Print the version", "Prints the version of Ficus and its libraries.", NULL, 0,
     0, run_version},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
