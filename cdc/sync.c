// SPDX-License-Identifier: Apache-2.0
// `ficus sync` as a whole: what all threads share, their start, supervision and end, and the
// report thread. Each thread runs a "once" that returns only on an error or at the end; the
// supervisor logs, waits with a growing pause and runs it again, so that any store or broker
// may be away at the start or in between.
#include "cdc/sync_int.h"

#include "base/clock.h"
#include "cdc/capture/column.h"
#include "cdc/capture/sweep.h"
#include "cdc/dual_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BACKOFF_MAX_MS 3000
#define SAY_AGAIN_MS   60000
#define REPORT_MS      1000

static const struct log_ctx ctx = {"sync", NULL, NULL};

void sync_pause(const struct sync *s, unsigned ms)
{
    uint64_t until = clock_mono_ms() + ms;
    for (uint64_t now; !sync_stopping(s) && (now = clock_mono_ms()) < until;)
        clock_sleep_ms((unsigned)(until - now < 50 ? until - now : 50));
}

long sync_entity(const struct sync *s, struct str name)
{
    for (size_t i = 0; i < s->nentities; i++)
        if (str_eqz(name, s->entities[i]->name))
            return (long)i;
    return -1;
}

int sync_open_legacy(const struct sync *s, struct odbc_conn **out, struct err *e)
{
    return odbc_open(conf_str(s->conf, "legacy.odbc"), s->dbms, out, e)
               ? err_prefix(e, "legacy (legacy.odbc)")
               : 0;
}

int sync_open_pg(const struct sync *s, const char *what, struct pg_conn **out, struct err *e)
{
    return pg_open(conf_str(s->conf, "control.conninfo"), what, out, e)
               ? err_prefix(e, "new store (control.conninfo)")
               : 0;
}

void sync_supervise(struct sync *s, const char *name, int (*once)(struct sync *, struct err *))
{
    struct log_ctx who = {name, NULL, NULL};
    char last[sizeof((struct err *)0)->msg] = "";
    uint64_t said = 0, started;
    unsigned pause = 100;
    while (!sync_stopping(s)) {
        struct err e = {0};
        started = clock_mono_ms();
        if (once(s, &e) == 0 || sync_stopping(s)) {
            if (last[0] && !sync_stopping(s))
                log_info(&who, "goes on");
            last[0] = '\0';
            continue;
        }
        if (clock_mono_ms() - started > 2 * BACKOFF_MAX_MS) // it had worked for a while
            pause = 100;
        if (strcmp(last, e.msg) != 0 || clock_mono_ms() - said > SAY_AGAIN_MS) {
            log_error(&who, "%s: %s; trying again", err_name(e.code), e.msg);
            said = clock_mono_ms();
            snprintf(last, sizeof last, "%s", e.msg);
        }
        sync_pause(s, pause);
        pause = pause * 2 < BACKOFF_MAX_MS ? pause * 2 : BACKOFF_MAX_MS;
    }
}

static void stop_stream(struct sync *s, enum side side, size_t entity, bool lost,
                        const char *reason)
{
    struct stream_stat *st = &s->streams[side][entity];
    struct log_ctx who = {"sync", s->entities[entity]->name, NULL};
    pthread_mutex_lock(&st->lock);
    snprintf(st->reason, sizeof st->reason, "%s", reason);
    st->stop_asked = true;
    st->lost |= lost;
    bool was = atomic_exchange(&st->paused, true);
    pthread_mutex_unlock(&st->lock);
    if (!was)
        log_error(&who, "%s stops: %s; when mended: ficus sync %s %s", st->stream, reason,
                  lost ? "snapshot" : "resume", s->entities[entity]->name);
}

void sync_stop_stream(struct sync *s, enum side side, size_t entity, const char *reason)
{
    stop_stream(s, side, entity, false, reason);
}

void sync_lose_stream(struct sync *s, enum side side, size_t entity, const char *reason)
{
    stop_stream(s, side, entity, true, reason);
}

// ---------------------------------------------------------------- report

// What is stopped here and not told yet is no less stopped.
static void set_paused(struct stream_stat *st, bool paused)
{
    pthread_mutex_lock(&st->lock);
    bool changed = !st->stop_asked && atomic_exchange(&st->paused, paused) != paused;
    pthread_mutex_unlock(&st->lock);
    if (changed)
        log_info(&ctx, "%s is %s", st->stream, paused ? "paused" : "resumed");
}

static int read_pauses(struct sync *s, struct pg_conn *pg, struct arena *a, struct err *e)
{
    struct rows rows;
    if (pg_query(pg,
                 STR("SELECT stream, paused, EXISTS (SELECT 1 FROM ficus.anew a WHERE a.stream ="
                     " s.stream) FROM ficus.stream_state s"),
                 NULL, 0, a, &rows, e))
        return -1;
    for (size_t i = 0; i < rows.nrows; i++)
        for (int side = 0; side < 2; side++)
            for (size_t k = 0; k < s->nentities; k++) {
                struct stream_stat *st = &s->streams[side][k];
                if (!str_eqz(value_str(*rows_at(&rows, i, 0)), st->stream))
                    continue;
                atomic_store(&st->anew, str_eqz(value_str(*rows_at(&rows, i, 2)), "t"));
                set_paused(st, str_eqz(value_str(*rows_at(&rows, i, 1)), "t"));
            }
    atomic_store(&s->pauses_known, true);
    return 0;
}

static int tell_stop(struct stream_stat *st, struct pg_conn *pg, struct err *e)
{
    char reason[sizeof st->reason];
    pthread_mutex_lock(&st->lock);
    bool asked = st->stop_asked, lost = st->lost;
    snprintf(reason, sizeof reason, "%s", st->reason);
    pthread_mutex_unlock(&st->lock);
    if (!asked)
        return 0;
    const char *p[] = {st->stream, reason, lost ? "t" : "f"};
    if (pg_execz(pg,
                 "INSERT INTO ficus.stream_state AS s (stream, paused, reason, lost)"
                 " VALUES ($1, true, $2, $3::boolean) ON CONFLICT (stream) DO UPDATE SET"
                 " paused = true, reason = excluded.reason, lost = s.lost OR excluded.lost",
                 p, 3, NULL, e))
        return -1;
    pthread_mutex_lock(&st->lock);
    st->stop_asked = strcmp(reason, st->reason) != 0; // another one came meanwhile
    st->lost &= st->stop_asked;
    pthread_mutex_unlock(&st->lock);
    return 0;
}

// Events a second since this was asked last.
static double applied_rate(struct stream_stat *st)
{
    uint64_t now = clock_mono_ns(), since = now - st->rated_ns;
    long long applied = atomic_load(&st->applied);
    double rate = st->rated_ns && since > 0 ? (double)(applied - st->rated) * 1e9 / (double)since
                                            : 0;
    st->rated = applied;
    st->rated_ns = now;
    return rate;
}

// Several processes share a stream: each writes what it knows of, the captures' leader the
// captured ones, who owns a partition the applied ones.
static int write_stream(struct sync *s, enum side side, size_t i, struct pg_conn *pg, struct err *e)
{
    struct stream_stat *st = &s->streams[side][i];
    char n[6][24], rate[32];
    atomic_llong *const numbers[] = {&st->captured,   &st->published, &st->applied,
                                     &st->lag_events, &st->lag_ms,    &st->parked};
    for (int k = 0; k < 6; k++)
        snprintf(n[k], sizeof n[k], "%lld", atomic_load(numbers[k]));
    snprintf(rate, sizeof rate, "%.1f", applied_rate(st));
    const char *p[] = {st->stream,
                       n[0],
                       n[1],
                       n[2],
                       n[3],
                       n[4],
                       n[5],
                       desk_leads(s->desks[side]) ? "t" : "f",
                       atomic_load(&st->owned) > 0 ? "t" : "f",
                       rate};
    return pg_execz(
        pg,
        "INSERT INTO ficus.stream_state AS s (stream, captured, published, applied, lag_events,"
        " lag_ms, parked, rate) VALUES ($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint,"
        " $6::bigint, $7::bigint, $10::numeric)"
        " ON CONFLICT (stream) DO UPDATE SET"
        " captured = CASE WHEN $8::boolean THEN excluded.captured ELSE s.captured END,"
        " published = CASE WHEN $8::boolean THEN excluded.published ELSE s.published END,"
        " applied = CASE WHEN $9::boolean THEN excluded.applied ELSE s.applied END,"
        " lag_events = CASE WHEN $9::boolean THEN excluded.lag_events ELSE s.lag_events END,"
        " lag_ms = CASE WHEN $9::boolean THEN excluded.lag_ms ELSE s.lag_ms END,"
        " rate = CASE WHEN $9::boolean THEN excluded.rate ELSE s.rate END,"
        " parked = CASE WHEN $9::boolean THEN excluded.parked ELSE s.parked END,"
        " at = CASE WHEN $9::boolean THEN now() ELSE s.at END",
        p, 10, NULL, e);
}

static int report(struct sync *s, struct pg_conn *pg, struct arena *a, struct err *e)
{
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < s->nentities; i++)
            if (tell_stop(&s->streams[side][i], pg, e))
                return -1;
    if (read_pauses(s, pg, a, e))
        return -1;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < s->nentities; i++)
            if (write_stream(s, side, i, pg, e))
                return -1;
    return 0;
}

int report_once(struct sync *s, struct err *e)
{
    struct pg_conn *pg = NULL;
    struct arena *a = arena_create(0);
    int result = a ? sync_open_pg(s, "ficus report", &pg, e) : err_memory(e);
    while (result == 0 && !sync_stopping(s)) {
        arena_reset(a);
        result = report(s, pg, a, e);
        sync_pause(s, REPORT_MS);
    }
    pg_close(pg);
    arena_destroy(a);
    return result;
}

// ---------------------------------------------------------------- start and end

// `a` has rows that point at rows of `b`.
static bool depends(const struct entity *a, const struct entity *b)
{
    for (size_t i = 0; i < a->nrelationships; i++)
        if (a->relationships[i].kind == RELATION_FOREIGN_KEY && a->relationships[i].to_one &&
            a->relationships[i].target == b)
            return true;
    for (size_t i = 0; i < b->nrelationships; i++) {
        const struct relationship *r = &b->relationships[i];
        if ((r->kind == RELATION_FOREIGN_KEY && !r->to_one && r->target == a) ||
            (r->kind == RELATION_LINK && r->through == a))
            return true;
    }
    return false;
}

static bool is_placed(const struct sync *s, const struct entity *en)
{
    for (size_t i = 0; i < s->nentities; i++)
        if (s->entities[i] == en)
            return true;
    return false;
}

// Parents before children; a circle is cut at its first by name.
static void order_entities(struct sync *s)
{
    size_t n = entity_count(s->set);
    while (s->nentities < n) {
        const struct entity *next = NULL, *first = NULL;
        for (size_t i = 0; i < n && !next; i++) {
            const struct entity *en = entity_at(s->set, i);
            bool ready = !is_placed(s, en);
            if (!ready)
                continue;
            first = first ? first : en;
            for (size_t k = 0; k < n; k++) {
                const struct entity *other = entity_at(s->set, k);
                ready = ready && (other == en || is_placed(s, other) || !depends(en, other));
            }
            next = ready ? en : NULL;
        }
        s->entities[s->nentities++] = next ? next : first;
    }
}

static int make_stream(struct sync *s, enum side side, size_t i, struct err *e)
{
    char labels[256];
    struct stream_stat *st = &s->streams[side][i];
    const struct entity *en = s->entities[i];
    if (!en)
        return err_set(e, ERR_INTERNAL, "entity %zu is not there", i);
    stream_name(en, side, st->stream, sizeof st->stream);
    const struct capture_source *by = &en->sides[SIDE_LEGACY].capture;
    topic_name(s->prefix, en, side, st->topic, sizeof st->topic);
    st->foreign_topic = side == SIDE_LEGACY && by->by == CAPTURE_DEBEZIUM;
    if (st->foreign_topic)
        snprintf(st->topic, sizeof st->topic, "%s", by->topic);
    pthread_mutex_init(&st->lock, NULL);
    snprintf(labels, sizeof labels, "entity=\"%s\",side=\"%s\"", en->name, side_name(side));
    st->m_captured = metrics_counter("ficus_captured_total", "Events captured.", labels);
    st->m_applied = metrics_counter("ficus_applied_total", "Events applied.", labels);
    st->m_parked = metrics_counter("ficus_parked_total", "Events parked.", labels);
    st->m_open = metrics_gauge("ficus_parked_open", "Parked events that wait for someone.", labels);
    st->m_refused = metrics_counter("ficus_refused_total",
                                    "Changes not taken because the target owns the group.", labels);
    st->m_lag = metrics_seconds("ficus_lag_seconds",
                                "From the commit at the source to the commit at the sink.", labels);
    return st->m_captured && st->m_applied && st->m_parked && st->m_open && st->m_refused &&
                   st->m_lag
               ? 0
               : err_memory(e);
}

static int fill(struct sync *s, struct err *e)
{
    size_t n = entity_count(s->set);
    s->prefix = conf_str(s->conf, "kafka.prefix");
    s->partitions = (unsigned)conf_int(s->conf, "kafka.partitions");
    s->batch_max = (size_t)conf_int(s->conf, "sync.batch_max");
    s->parked_max = (size_t)conf_int(s->conf, "sync.parked_max");
    atomic_init(&s->copy_pace.rows_per_s, conf_int(s->conf, "sync.snapshot_rows"));
    atomic_init(&s->copy_pace.share, (unsigned)conf_int(s->conf, "sync.snapshot_share"));
    s->dbms = dbms_find(str_of(conf_str(s->conf, "legacy.dbms")));
    s->kafka = kafka_options_of(s->conf);
    s->kafka.client_id = s->instance;
    s->entities = calloc(n + 1, sizeof *s->entities);
    if (!s->entities)
        return err_memory(e);
    if (!s->dbms || !s->dbms->changelog_read_sql)
        return err_set(e, ERR_CONFIG, "legacy.dbms: no changelog is known for '%s'",
                       conf_str(s->conf, "legacy.dbms"));
    dbms_warn_untested(s->dbms);
    order_entities(s);
    if (!(s->dual = dual_post_create(e)))
        return -1;
    for (int side = 0; side < 2; side++) {
        s->streams[side] = calloc(n + 1, sizeof **s->streams);
        s->desks[side] = desk_create(e);
        if (!s->streams[side] || !s->desks[side])
            return err_memory(e);
        for (size_t i = 0; i < n; i++)
            if (make_stream(s, (enum side)side, i, e))
                return -1;
    }
    return 0;
}

struct job {
    struct sync *s;
    const char *name;
    int (*once)(struct sync *, struct err *);
};

static void *thread_main(void *arg)
{
    struct job job = *(struct job *)arg;
    free(arg);
    // A paused stream must not move before this process knows that it is paused.
    while (job.once != report_once && !atomic_load(&job.s->pauses_known) && !sync_stopping(job.s))
        clock_sleep_ms(2);
    sync_supervise(job.s, job.name, job.once);
    return NULL;
}

static int start_thread(struct sync *s, const char *name, int (*once)(struct sync *, struct err *),
                        struct err *e)
{
    struct job *job = malloc(sizeof *job);
    if (!job)
        return err_memory(e);
    *job = (struct job){s, name, once};
    if (pthread_create(&s->threads[s->nthreads], NULL, thread_main, job)) {
        free(job);
        return err_set(e, ERR_INTERNAL, "a thread could not be started");
    }
    s->nthreads++;
    return 0;
}

static int start_all(struct sync *s, struct err *e)
{
    static const struct job jobs[] = {
        {NULL, "capture.legacy", capture_legacy_once},
        {NULL, "capture.new", capture_new_once},
        {NULL, "apply.new", apply_new_once},
        {NULL, "apply.legacy", apply_legacy_once},
        {NULL, "snapshot", snapshot_once},
        {NULL, "sweep", sweep_once},
        {NULL, "column", column_once},
        {NULL, "dual", dual_once},
        {NULL, "report", report_once},
    };
    const char *address = conf_str(s->conf, "sync.listen");
    struct live_options o = {
        .conf = s->conf, .entities = s->set, .kind = "sync", .address = address};
    // The page about health is last of the three: it looks at the others.
    if (!(s->live = live_start(&o, e)) ||
        !(s->coordinator = coordinator_start(s->conf, s->live, e)) ||
        !(s->http = sync_http_start(s, address, e)))
        return -1;
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
        if (start_thread(s, jobs[i].name, jobs[i].once, e))
            return -1;
    return 0;
}

struct sync *sync_start(const struct conf *conf, const struct entity_set *set, struct err *e)
{
    struct sync *s = calloc(1, sizeof *s);
    char host[40] = "";
    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->conf = conf;
    s->set = set;
    gethostname(host, sizeof host - 1);
    if (conf_str(conf, "sync.instance")[0])
        snprintf(s->instance, sizeof s->instance, "%.63s", conf_str(conf, "sync.instance"));
    else
        snprintf(s->instance, sizeof s->instance, "%.39s:%d", host, (int)getpid());
    if (fill(s, e) || start_all(s, e)) {
        sync_stop(s);
        return NULL;
    }
    log_info(&ctx, "%s: %zu entities, topics %s.*, health and metrics on %s", s->instance,
             s->nentities, s->prefix, conf_str(conf, "sync.listen"));
    return s;
}

void sync_stop(struct sync *s)
{
    if (!s)
        return;
    atomic_store(&s->stop, true);
    sync_http_stop(s->http); // looks at all that follows
    if (s->coordinator)
        coordinator_stop(s->coordinator);
    for (size_t i = 0; i < s->nthreads; i++)
        pthread_join(s->threads[i], NULL);
    if (s->live)
        live_stop(s->live);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; s->streams[side] && i < s->nentities; i++)
            pthread_mutex_destroy(&s->streams[side][i].lock);
        free(s->streams[side]);
        desk_destroy(s->desks[side]);
    }
    dual_post_destroy(s->dual);
    free(s->entities);
    free(s);
}
