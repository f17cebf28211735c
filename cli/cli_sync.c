// SPDX-License-Identifier: Apache-2.0
// ficus sync: runs the sync engine; sync snapshot, sync pause, sync resume: requests to it,
// written into the control store.
#include "cdc/capture/leader.h"
#include "cdc/sync.h"

#include "base/log.h"
#include "cdc/transfer/transfer.h"
#include "cli/tables.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

static int run_sync(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    int status, sig = 0;
    sigset_t set;
    if (cli_env_open(c, NEED_ROUTES, &env, &status))
        return status;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); // inherited by every thread
    struct sync *s = sync_start(env.conf, env.set, &e);
    if (s) {
        struct log_ctx ctx = {"sync", NULL, NULL};
        sigwait(&set, &sig);
        log_info(&ctx, "%s: stopping", sig == SIGINT ? "SIGINT" : "SIGTERM");
        sync_stop(s);
        log_info(&ctx, "stopped");
    } else {
        status = cli_fail(&e);
    }
    cli_env_close(&env);
    return status;
}

static bool known(const struct cli *c, const struct cli_env *env)
{
    for (unsigned i = 0; i < c->nargs; i++)
        if (!entity_find(env->set, str_of(c->args[i]))) {
            fprintf(stderr, "ficus %s: no entity '%s'; there are:", c->command->words, c->args[i]);
            for (size_t k = 0; k < entity_count(env->set); k++)
                fprintf(stderr, " %s", entity_at(env->set, k)->name);
            fputc('\n', stderr);
            return false;
        }
    return true;
}

struct copy_request {
    const char *from, *above, *up_to; // bounds: NULL: none
    bool direct;
};

static int ask(struct pg_conn *pg, const char *entity, const struct copy_request *q, struct err *e)
{
    const char *p[] = {entity, q->from, q->direct ? "t" : "f", q->above, q->up_to};
    return pg_execz(
        pg,
        "INSERT INTO ficus.snapshot (entity, source, state, direct, above, up_to)"
        " VALUES ($1, $2, 'requested', $3::boolean, $4, $5)"
        " ON CONFLICT (entity) DO UPDATE SET source = excluded.source, direct = excluded.direct,"
        " above = excluded.above, up_to = excluded.up_to,"
        " state = 'requested', last_key = NULL, rows = 0, estimate = 0, error = NULL, rest_ms = 0, waits = false,"
        " started_at = NULL, finished_at = NULL",
        p, 5, NULL, e);
}

// A slot that came back with the store goes on where capture had been: before that lies what the
// legacy has had long ago, and would be put over what it has now.
#define RESTORED_WITH_SLOT                                                                    \
    "stopped LIKE 'the new store was restored%' AND EXISTS (SELECT FROM pg_replication_slots" \
    " WHERE database = current_database() AND slot_name LIKE 'ficus\\_%\\_new'"               \
    " AND wal_status <> 'lost')"

// A capture that stopped because something is missing begins anew; only a snapshot of
// everything makes that whole again. Its term jumps: when the control store was restored, terms
// and LSNs of a later history are still in the topics and in the legacy's positions (apply takes
// nothing of a lower term, see cdc/capture/leader.h). That concerns both captures
// when the new store is the one that was restored.
static int restart_captures(struct pg_conn *pg, struct err *e)
{
    char jump[24];
    const char *p[] = {jump};
    snprintf(jump, sizeof jump, "%lld", TERM_ANEW);
    return pg_execz(pg,
                    "UPDATE ficus.capture c SET term = term + $1::bigint, stopped = '',"
                    " published = CASE WHEN stopped <> '' AND NOT (" RESTORED_WITH_SLOT
                    ") THEN '' ELSE published END,"
                    " identity = CASE WHEN stopped <> '' THEN '' ELSE identity END"
                    " WHERE stopped <> '' OR EXISTS (SELECT 1 FROM ficus.capture n"
                    " WHERE n.side = 'new' AND n.stopped <> '')",
                    p, 1, NULL, e);
}

// A stream whose messages are gone goes on at the first one that is there.
static int begin_anew(struct pg_conn *pg, const char *side, const char *entity,
                      const struct conf *conf, struct err *e)
{
    char partitions[24];
    snprintf(partitions, sizeof partitions, "%lld", (long long)conf_int(conf, "kafka.partitions"));
    const char *p[] = {side, entity, partitions};
    return pg_execz(pg,
                    "INSERT INTO ficus.anew (stream, part) SELECT stream, n FROM"
                    " ficus.stream_state s, LATERAL (SELECT generate_series(0, $3::int - 1)"
                    " UNION SELECT part FROM ficus.position p WHERE p.stream = s.stream) AS x(n)"
                    " WHERE stream = $1 || '.' || $2 AND lost ON CONFLICT DO NOTHING",
                    p, 3, NULL, e) ||
                   pg_execz(pg,
                            "UPDATE ficus.stream_state SET paused = false, lost = false,"
                            " reason = '' WHERE stream = $1 || '.' || $2 AND lost",
                            p, 2, NULL, e)
               ? -1
               : 0;
}

static int snapshot(const struct cli *c, const struct cli_env *env, const struct copy_request *q,
                    struct err *e)
{
    struct pg_conn *pg = control_pg(env->control, e);
    if (!pg || pg_begin(pg, e))
        return -1;
    bool all = cli_flag(c, "all");
    size_t n = all ? entity_count(env->set) : c->nargs;
    int result = all ? restart_captures(pg, e) : 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        const char *entity = all ? entity_at(env->set, i)->name : c->args[i];
        if (ask(pg, entity, q, e) ||
            (!q->above && !q->up_to && begin_anew(pg, q->from, entity, env->conf, e)))
            result = -1;
    }
    if (result == 0)
        return pg_commit(pg, e);
    pg_rollback(pg);
    return -1;
}

static int run_snapshot(const struct cli *c)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    struct copy_request q = {.from = cli_option(c, "from") ? cli_option(c, "from") : "legacy",
                             .above = cli_option(c, "above"),
                             .up_to = cli_option(c, "up-to"),
                             .direct = cli_flag(c, "direct")};
    if ((c->nargs == 0) != cli_flag(c, "all") ||
        (strcmp(q.from, "legacy") != 0 && strcmp(q.from, "new") != 0)) {
        fputs("ficus sync snapshot: name entities or give --all; --from is legacy or new\n",
              stderr);
        return EXIT_USAGE;
    }
    if ((q.above || q.up_to) && c->nargs != 1) {
        fputs("ficus sync snapshot: --above and --up-to cut one ENTITY\n", stderr);
        return EXIT_USAGE;
    }
    if (q.direct && strcmp(q.from, "legacy") != 0) {
        fputs("ficus sync snapshot: --direct copies from the legacy only\n", stderr);
        return EXIT_USAGE;
    }
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    if (!known(c, &env))
        status = EXIT_USAGE;
    else if (snapshot(c, &env, &q, &e))
        status = cli_fail(&e);
    else
        fputs("asked for; ficus status shows the progress\n", stderr);
    cli_env_close(&env);
    return status;
}

// A lost stream would stop again at once.
static int check_lost(struct pg_conn *pg, const char *entity, struct err *e)
{
    struct rows rows;
    struct arena *a = arena_create(0);
    struct value v = value_set(str_of(entity));
    int result = a ? pg_query(pg,
                              STR("SELECT stream, split_part(stream, '.', 1) FROM"
                                  " ficus.stream_state WHERE lost AND stream IN"
                                  " ('legacy.' || $1, 'new.' || $1) ORDER BY 1"),
                              &v, 1, a, &rows, e)
                   : err_memory(e);
    if (result == 0 && rows.nrows > 0) {
        struct str stream = value_str(rows.cells[0]), side = value_str(rows.cells[1]);
        result = err_set(e, ERR_DENIED,
                         "%.*s has lost messages: ficus sync snapshot %s --from %.*s copies all"
                         " rows again; --anew goes on without",
                         (int)stream.len, stream.data, entity, (int)side.len, side.data);
    }
    arena_destroy(a);
    return result;
}

static int ready_to_resume(const struct cli *c, struct cli_env *env, struct pg_conn *pg,
                           const char *entity, struct err *e)
{
    if (!cli_flag(c, "anew"))
        return check_lost(pg, entity, e);
    return begin_anew(pg, "legacy", entity, env->conf, e) ||
                   begin_anew(pg, "new", entity, env->conf, e)
               ? -1
               : 0;
}

static int set_paused(const struct cli *c, bool paused)
{
    struct cli_env env;
    struct err e = {0};
    int status;
    if (cli_env_open(c, NEED_CONTROL, &env, &status))
        return status;
    struct pg_conn *pg = known(c, &env) ? control_pg(env.control, &e) : NULL;
    if (!pg && e.code == ERR_NONE)
        status = EXIT_USAGE;
    for (unsigned i = 0; pg && i < c->nargs && e.code == ERR_NONE; i++) {
        const char *p[] = {c->args[i], paused ? "t" : "f", paused ? cli_who() : ""};
        if (!paused && ready_to_resume(c, &env, pg, c->args[i], &e))
            break;
        if (pg_execz(pg,
                     "INSERT INTO ficus.stream_state AS s (stream, paused, reason)"
                     " SELECT side || '.' || $1, $2::boolean, $3"
                     " FROM unnest(ARRAY['legacy','new']) AS side ON CONFLICT (stream) DO UPDATE"
                     " SET paused = excluded.paused, reason = excluded.reason"
                     " WHERE s.reason NOT LIKE '" TRANSFER_COMPLETED "%'",
                     p, 3, NULL, &e) == 0 &&
            control_audit(env.control, cli_who(), paused ? "pause" : "resume", c->args[i], NULL,
                          &e) == 0)
            fprintf(stderr, "%s: %s\n", c->args[i], paused ? "pausing" : "resuming");
    }
    if (e.code != ERR_NONE)
        status = cli_fail(&e);
    cli_env_close(&env);
    return status;
}

static int run_pause(const struct cli *c)
{
    return set_paused(c, true);
}

static int run_resume(const struct cli *c)
{
    return set_paused(c, false);
}

static const struct command_option snapshot_options[] = {
    {"all", 'a', NULL, "Every entity; a capture that had stopped begins anew."},
    {"from", 0, "SIDE", "Which side is copied to the other: legacy (default) or new."},
    {"direct", 0, NULL, "Straight into the new store by COPY; the stream waits and goes on after."},
    {"above", 0, "KEY", "Only rows whose key is beyond this one, in the source's order."},
    {"up-to", 0, "KEY", "And not beyond this one."},
    {NULL, 0, NULL, NULL},
};

static const struct command_option resume_options[] = {
    {"anew", 0, NULL, "A stream that lost messages begins at the first one that is there."},
    {NULL, 0, NULL, NULL},
};

const struct command cli_sync_commands[] = {
    {"sync", "", "Run the sync engine",
     "Captures the changes of both stores, carries them through Kafka and applies them to the\n"
     "other store; copies existing rows; carries out cutovers. Runs until SIGTERM. More than one\n"
     "process may run: capture stands by, apply shares the partitions.",
     NULL, 0, 0, run_sync},
    {"sync snapshot", "[ENTITY...]", "Copy existing rows again",
     "Asks the running sync to copy every row of these entities, beside the running stream and\n"
     "without locks. Parents should be named with their children. A stream that had stopped because\n"
     "messages are gone goes on with it; what was deleted meanwhile: ficus reconcile --repair.",
     snapshot_options, 0, COMMAND_ARGS_MAX, run_snapshot},
    {"sync pause", "ENTITY...", "Stop applying an entity's changes",
     "Both directions of the entity stop applying; its changes are kept in their topics.", NULL, 1,
     COMMAND_ARGS_MAX, run_pause},
    {"sync resume", "ENTITY...", "Go on applying an entity's changes",
     "Goes on from where it stopped, without a gap; also after sync stopped it by itself. A stream\n"
     "whose messages are gone needs a new copy: see ficus sync snapshot.",
     resume_options, 1, COMMAND_ARGS_MAX, run_resume},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
