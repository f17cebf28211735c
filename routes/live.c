// SPDX-License-Identifier: Apache-2.0
// The live route table: one thread that listens on the control store, builds a new snapshot
// for every change, keeps the last good state on disk, heartbeats, and (when someone waits for
// it) follows how far the streams towards the new store have come.
//
//   CONNECTED --error--> AWAY --retry--> CONNECTED       in both, the last good table serves
//
// Shared with other threads under `lock`: the current table, the definitions, the `through`
// numbers. Everything else is the thread's.
#include "routes/live.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#define HEARTBEAT_MS 1000
#define THROUGH_MS   100
#define RETRY_MS     500
#define REFRESH_MS   5000 // even without a notice

struct live {
    struct live_options o;
    char id[64], host[64];
    pthread_t thread;
    pthread_mutex_t lock;
    struct route_table *definitions; // under lock
    struct route_table *table;       // under lock
    long long *through;              // under lock; by entity position
    struct control *control;
    atomic_bool stop, connected, wanted, reload;
    uint64_t heartbeat_ms, refresh_ms, through_ms;
    long long load; // the number of `ficus route load` that was followed last; -1: none yet
    char load_error[512];
};

static const struct log_ctx log_ctx = {"live", NULL, NULL};

// ---------------------------------------------------------------- the file of the last table

// Over everything but itself, so that a file that was cut or edited is known.
static void checksum(const json_t *state, char out[17])
{
    json_t *rest = json_copy((json_t *)state);
    json_object_del(rest, "checksum");
    char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(out, 17, "%016llx", text ? (unsigned long long)XXH3_64bits(text, strlen(text)) : 0ULL);
    free(text);
    json_decref(rest);
}

// The name of the new file is durable only once its folder is.
static void sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fsync(fd))
        log_debug(&log_ctx, "fsync of %s: errno %d", folder, errno);
    close(fd);
}

static void save_state(const struct live *l, json_t *state)
{
    char sum[17];
    char temporary[4096];
    if (!l->o.state_path || !*l->o.state_path)
        return;
    checksum(state, sum);
    json_object_set_new(state, "checksum", json_string(sum));
    int n = snprintf(temporary, sizeof temporary, "%s.new", l->o.state_path);
    int fd = n > 0 && (size_t)n < sizeof temporary
                 ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                 : -1;
    bool good = fd >= 0 && json_dumpfd(state, fd, JSON_INDENT(1)) == 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    FAILPOINT("state.written");
    // The old file stays whole until the new one is on disk.
    if (!good || rename(temporary, l->o.state_path))
        log_warn(&log_ctx, "the last good table cannot be saved in %s: errno %d", l->o.state_path,
                 errno);
    else
        sync_folder(l->o.state_path);
    FAILPOINT("state.renamed");
}

static json_t *load_state(const struct live *l)
{
    json_error_t e;
    if (!l->o.state_path || !*l->o.state_path)
        return NULL;
    json_t *state = json_load_file(l->o.state_path, JSON_REJECT_DUPLICATES, &e);
    if (!state && access(l->o.state_path, F_OK) == 0)
        log_warn(&log_ctx, "%s is not used: line %d: %s", l->o.state_path, e.line, e.text);
    const char *said = json_string_value(json_object_get(state, "checksum"));
    char sum[17];
    checksum(state, sum);
    if (state && (!said || strcmp(said, sum) != 0)) {
        log_warn(&log_ctx, "%s is not used: its checksum does not fit", l->o.state_path);
        json_decref(state);
        return NULL;
    }
    return state;
}

// ---------------------------------------------------------------- tables

static void publish(struct live *l, struct route_table *t)
{
    pthread_mutex_lock(&l->lock);
    struct route_table *old = l->table;
    l->table = t;
    route_table_ref(t); // for the callback, which runs without the lock
    pthread_mutex_unlock(&l->lock);
    if (l->o.on_table)
        l->o.on_table(l->o.ctx, t);
    route_table_unref(t);
    route_table_unref(old);
}

static int use_state(struct live *l, const json_t *state, struct err *e)
{
    struct route_table *base;
    pthread_mutex_lock(&l->lock);
    base = l->definitions;
    route_table_ref(base);
    pthread_mutex_unlock(&l->lock);
    struct route_table *t = route_table_with_state(base, state, e);
    route_table_unref(base);
    if (!t)
        return -1;
    publish(l, t);
    return 0;
}

static int beat(struct live *l, struct err *e)
{
    uint64_t now = clock_mono_ms();
    struct instance i = {.pid = (int)getpid()};
    if (now - l->heartbeat_ms < HEARTBEAT_MS)
        return 0;
    l->heartbeat_ms = now;
    struct route_table *t = live_table(l);
    i.table_version = route_table_version(t);
    route_table_unref(t);
    i.detail = l->o.on_heartbeat ? l->o.on_heartbeat(l->o.ctx) : NULL;
    if (!i.detail)
        i.detail = json_object();
    json_object_set_new(i.detail, "load", json_integer(l->load));
    json_object_set_new(i.detail, "load_error", json_string(l->load_error));
    snprintf(i.id, sizeof i.id, "%s", l->id);
    snprintf(i.kind, sizeof i.kind, "%s", l->o.kind);
    snprintf(i.host, sizeof i.host, "%s", l->host);
    snprintf(i.address, sizeof i.address, "%s", l->o.address ? l->o.address : "");
    snprintf(i.maps_hash, sizeof i.maps_hash, "%016llx",
             (unsigned long long)entity_set_hash(l->o.entities));
    int result = control_heartbeat(l->control, &i, e);
    json_decref(i.detail);
    return result;
}

// Someone said `ficus route load`. A mistake in the file changes nothing; the heartbeat tells.
static void follow_load(struct live *l, long long load)
{
    struct err e = {0};
    if (load == l->load)
        return;
    if (l->load >= 0 && live_reload(l, &e)) {
        snprintf(l->load_error, sizeof l->load_error, "%s", e.msg);
        log_error(&log_ctx, "load %lld refused, the running definitions stay: %s", load, e.msg);
    } else if (l->load >= 0) {
        l->load_error[0] = 0;
        log_info(&log_ctx, "definitions reloaded (load %lld)", load);
    }
    l->load = load;
}

static int refresh(struct live *l, struct err *e)
{
    json_t *state = control_state(l->control, e);
    if (!state)
        return -1;
    follow_load(l, json_integer_value(json_object_get(state, "load")));
    int result = 0;
    long long version = json_integer_value(json_object_get(state, "version"));
    struct route_table *now = live_table(l);
    bool same = route_table_version(now) == version && !atomic_exchange(&l->reload, false);
    route_table_unref(now);
    if (!same) {
        result = use_state(l, state, e);
        if (result == 0) {
            log_info(&log_ctx, "route table version %lld", version);
            l->heartbeat_ms = 0; // a transfer waits to see this instance on the new table
            result = beat(l, e);
            save_state(l, state);
        }
    }
    json_decref(state);
    l->refresh_ms = clock_mono_ms();
    return result;
}

// ---------------------------------------------------------------- the control store

static int listen_on(struct live *l, struct err *e)
{
    struct pg_conn *pg = control_pg(l->control, e);
    return pg ? pg_script(pg, STR("LISTEN ficus"), e) : -1;
}

static size_t position_of(const struct entity_set *set, struct str name)
{
    size_t n = entity_count(set);
    for (size_t i = 0; i < n; i++)
        if (str_eqz(name, entity_at(set, i)->name))
            return i;
    return n;
}

static int follow_through(struct live *l, struct err *e)
{
    uint64_t now = clock_mono_ms();
    struct rows rows;
    if (!atomic_load(&l->wanted) || now - l->through_ms < THROUGH_MS)
        return 0;
    l->through_ms = now;
    struct pg_conn *pg = control_pg(l->control, e);
    struct arena *a = pg ? arena_create(0) : NULL;
    if (!pg)
        return -1;
    if (!a)
        return err_memory(e);
    int result = pg_query(pg,
                          STR("SELECT substr(stream, 8), min(through) FROM ficus.position"
                              " WHERE stream LIKE 'legacy.%' GROUP BY stream"),
                          NULL, 0, a, &rows, e);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; result == 0 && i < rows.nrows; i++) {
        long long n;
        if (str_to_int(value_str(*rows_at(&rows, i, 1)), 0, INT64_MAX, &n))
            l->through[position_of(l->o.entities, value_str(*rows_at(&rows, i, 0)))] = n;
    }
    pthread_mutex_unlock(&l->lock);
    arena_destroy(a);
    return result;
}

static int connect(struct live *l, struct err *e)
{
    char name[96];
    snprintf(name, sizeof name, "ficus %s", l->o.kind);
    if (!l->control && control_open(conf_str(l->o.conf, "control.conninfo"), name, &l->control, e))
        return -1;
    if (listen_on(l, e) || refresh(l, e))
        return -1;
    atomic_store(&l->connected, true);
    return 0;
}

static int turn(struct live *l, struct err *e)
{
    struct pg_notice notice;
    unsigned wait = atomic_load(&l->wanted) ? THROUGH_MS / 2 : 200;
    struct pg_conn *pg = control_pg(l->control, e);
    int got = pg ? pg_wait_notice(pg, wait, &notice, e) : -1;
    if (got < 0 || !pg_alive(pg))
        return -1;
    while (got > 0) // one refresh serves every notice that is waiting
        if ((got = pg_wait_notice(pg, 0, &notice, e)) < 0)
            return -1;
        else if (got == 0 && refresh(l, e))
            return -1;
    if ((atomic_load(&l->reload) || clock_mono_ms() - l->refresh_ms > REFRESH_MS) && refresh(l, e))
        return -1;
    return beat(l, e) || follow_through(l, e) ? -1 : 0;
}

static void away(struct live *l, const struct err *e)
{
    if (atomic_exchange(&l->connected, false) || !l->refresh_ms)
        log_warn(&log_ctx, "control store away (%s); serving with the last good table", e->msg);
    l->refresh_ms = l->refresh_ms ? l->refresh_ms : 1;
    control_close(l->control);
    l->control = NULL;
    clock_sleep_ms(RETRY_MS);
}

static void *live_main(void *arg)
{
    struct live *l = arg;
    while (!atomic_load(&l->stop)) {
        struct err e = {0};
        bool was = atomic_load(&l->connected);
        int result = was ? turn(l, &e) : connect(l, &e);
        if (result)
            away(l, &e);
        else if (!was)
            log_info(&log_ctx, "connected to the control store");
    }
    return NULL;
}

// ---------------------------------------------------------------- public

static struct route_table *load_definitions(const struct live_options *o, struct err *e)
{
    struct problems p = {0};
    struct route_table *t = route_table_load(conf_path(o->conf, "routes.path"), o->entities, &p);
    if (!t)
        err_set(e, ERR_CONFIG, "route table: %.*s", (int)(p.text.len < 400 ? p.text.len : 400),
                p.text.data ? p.text.data : "");
    problems_free(&p);
    return t;
}

static int first_table(struct live *l, struct err *e)
{
    json_t *state = load_state(l);
    int result = 0;
    l->definitions = load_definitions(&l->o, e);
    if (!l->definitions) {
        result = -1;
    } else if (state && use_state(l, state, e) == 0) {
        log_info(&log_ctx, "starting with the table of %s", l->o.state_path);
    } else if (!l->table) {
        route_table_ref(l->definitions);
        publish(l, l->definitions);
    }
    json_decref(state);
    return result;
}

struct live *live_start(const struct live_options *o, struct err *e)
{
    struct live *l = calloc(1, sizeof *l);
    char uuid[37];
    if (!l || !(l->through = calloc(entity_count(o->entities) + 1, sizeof *l->through))) {
        free(l);
        err_memory(e);
        return NULL;
    }
    l->o = *o;
    l->load = -1;
    for (size_t i = 0; i <= entity_count(o->entities); i++)
        l->through[i] = -1;
    pthread_mutex_init(&l->lock, NULL);
    uuid_make(uuid);
    if (gethostname(l->host, sizeof l->host - 1))
        snprintf(l->host, sizeof l->host, "unknown");
    snprintf(l->id, sizeof l->id, "%s-%.36s", o->kind, uuid);
    // A first attempt here, so that a process that can reach its control store never serves
    // with defaults for a moment.
    struct err first = {0};
    if (first_table(l, e)) {
        live_stop(l);
        return NULL;
    }
    if (!*conf_str(o->conf, "control.conninfo"))
        return l; // only passes through: there is no state to follow
    if (connect(l, &first))
        away(l, &first);
    if (pthread_create(&l->thread, NULL, live_main, l)) {
        err_set(e, ERR_MEMORY, "no thread for the live table");
        l->thread = 0;
        live_stop(l);
        return NULL;
    }
    return l;
}

void live_stop(struct live *l)
{
    struct err e = {0};
    if (!l)
        return;
    atomic_store(&l->stop, true);
    if (l->thread)
        pthread_join(l->thread, NULL);
    if (l->control && control_forget(l->control, l->id, &e))
        log_debug(&log_ctx, "leaving: %s", e.msg);
    control_close(l->control);
    route_table_unref(l->table);
    route_table_unref(l->definitions);
    pthread_mutex_destroy(&l->lock);
    free(l->through);
    free(l);
}

struct route_table *live_table(struct live *l)
{
    pthread_mutex_lock(&l->lock);
    struct route_table *t = l->table;
    route_table_ref(t);
    pthread_mutex_unlock(&l->lock);
    return t;
}

bool live_connected(const struct live *l)
{
    return atomic_load(&l->connected);
}

const char *live_id(const struct live *l)
{
    return l->id;
}

long long live_through(const struct live *l, const struct entity *en)
{
    struct live *mine = (struct live *)l;
    size_t at = position_of(l->o.entities, str_of(en->name));
    pthread_mutex_lock(&mine->lock);
    long long n = l->through[at];
    pthread_mutex_unlock(&mine->lock);
    return n;
}

void live_want_through(struct live *l, bool wanted)
{
    atomic_store(&l->wanted, wanted);
}

int live_reload(struct live *l, struct err *e)
{
    struct route_table *t = load_definitions(&l->o, e);
    if (!t)
        return -1;
    pthread_mutex_lock(&l->lock);
    struct route_table *old = l->definitions;
    l->definitions = t;
    pthread_mutex_unlock(&l->lock);
    route_table_unref(old);
    atomic_store(&l->reload, true);
    if (!l->thread) { // no state to join it with
        route_table_ref(t);
        publish(l, t);
    }
    return 0;
}
