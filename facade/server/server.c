// SPDX-License-Identifier: Apache-2.0
// A facade process. Owns the live table, the shared workers, pins and evidence, and the loops.
// Threads: one a loop, the workers, the live thread. A new table travels from the live thread
// to each loop as a mailbox message.
#include "facade/server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "facade/server/server_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HASHERS     2
#define HASH_QUEUE  64
#define ADMIN_QUEUE 16

#define LOOPS_WAIT_MS 1000

static const struct log_ctx log_ctx = {"server", NULL, NULL};

// ---------------------------------------------------------------- tables to loops

struct table_mail {
    struct mail mail; // first
    struct server_loop *to;
    struct route_table *table; // referenced
};

static void on_table_mail(struct mail *m)
{
    struct table_mail *t = (struct table_mail *)m;
    dispatcher_set_table(t->to->dispatcher, t->table);
    server_route_set(t->to, t->table);
    atomic_store(&t->to->table_version, route_table_version(t->table));
    route_table_unref(t->table);
    free(t);
}

// The next heartbeat tells the control store that this instance goes by the table: not before
// each of its loops does.
static void wait_for_loops(struct server *s, long long version)
{
    uint64_t end = clock_mono_ms() + LOOPS_WAIT_MS;
    for (unsigned i = 0; atomic_load(&s->started) && i < s->nloops; i++)
        while (atomic_load(&s->loops[i].table_version) < version && clock_mono_ms() < end)
            clock_sleep_ms(1);
}

// A table without routes and mounts needs no store: everything passes through.
static int check_needs(struct server *s, const struct route_table *t, struct err *e)
{
    static const char *const needed[] = {"control.conninfo", "legacy.odbc", "legacy.dbms"};
    bool through_only = route_count(t) == 0 && mount_count(t) == 0;
    for (size_t i = 0; !through_only && !s->o.service && i < 3; i++)
        if (!*conf_str(s->o.conf, needed[i]))
            return err_set(e, ERR_CONFIG, "%s is needed: the route table has routes or mounts",
                           needed[i]);
    return 0;
}

static void on_table(void *ctx, struct route_table *table)
{
    struct server *s = ctx;
    struct err e = {0};
    if (check_needs(s, table, &e)) {
        log_error(&log_ctx, "the new route table is not taken: %s", e.msg);
        return;
    }
    for (unsigned i = 0; atomic_load(&s->started) && i < s->nloops; i++) {
        struct table_mail *t = calloc(1, sizeof *t);
        if (!t) {
            log_error(&log_ctx, "no memory to hand out a route table; the loop keeps its old one");
            continue;
        }
        *t = (struct table_mail){.mail.deliver = on_table_mail, .to = &s->loops[i], .table = table};
        route_table_ref(table);
        mailbox_post(loop_mailbox(s->loops[i].loop), &t->mail);
    }
    wait_for_loops(s, route_table_version(table));
    if (atomic_load(&s->started) && s->dual)
        dual_follow(s->dual, table);
}

static json_t *on_heartbeat(void *ctx)
{
    struct server *s = ctx;
    unsigned held = 0;
    if (!atomic_load(&s->started))
        return NULL;
    for (unsigned i = 0; i < s->nloops; i++)
        held += dispatcher_held(s->loops[i].dispatcher);
    struct route_table *t = live_table(s->live);
    json_t *dual = s->dual ? dual_figures(s->dual, t) : NULL;
    route_table_unref(t);
    return json_pack("{s:i, s:o*}", "held", (int)held, "dual", dual);
}

// ---------------------------------------------------------------- starting

static int start_shared(struct server *s, struct err *e)
{
    const struct conf *conf = s->o.conf;
    struct live_options live = {
        .conf = conf,
        .entities = s->o.entities,
        .kind = s->o.service ? "service" : "serve",
        .address = conf_str(conf, s->o.service ? "service.listen" : "facade.listen"),
        .state_path = s->o.service ? NULL : conf_path(conf, "facade.state_path"),
        .on_table = on_table,
        .on_heartbeat = on_heartbeat,
        .ctx = s};
    struct worker_options hashers = {.name = "hash", .threads = HASHERS, .queue_max = HASH_QUEUE};
    if (server_wire_open(s, e) || !(s->live = live_start(&live, e)))
        return -1;
    struct route_table *t = live_table(s->live);
    int lacking = check_needs(s, t, e);
    route_table_unref(t);
    struct login_guard_options guard = {
        .name_max = (unsigned)conf_int(conf, "facade.login_failures"),
        .address_max = (unsigned)conf_int(conf, "facade.login_failures_address"),
        .window_ms = (unsigned)conf_int(conf, "facade.login_window_ms")};
    if (!(s->logins = login_guard_create(&guard)))
        return err_memory(e);
    struct worker_options admin = {.name = "admin", .threads = 1, .queue_max = ADMIN_QUEUE};
    if (lacking || !(s->hashers = worker_pool_create(&hashers, e)) ||
        (!s->through_only && !(s->admin_workers = worker_pool_create(&admin, e))))
        return -1;
    if (s->o.service || s->through_only)
        return 0;
    s->evidence = evidence_create(e);
    s->dual = dual_create(conf_str(conf, "control.conninfo"), live_id(s->live),
                          (unsigned)conf_int(conf, "dual.wait_ms"), e);
    return s->evidence && s->dual && (s->pins = pins_create(s->o.entities, s->live, e)) &&
                   (s->workers = odbc_workers_create(conf, e))
               ? 0
               : -1;
}

// The address of `text` with the port that the listener got.
static void note_address(char out[128], const char *text, const struct http_listener *l)
{
    const char *colon = strrchr(text, ':');
    snprintf(out, 128, "%.*s:%u", (int)(colon ? colon - text : (long)strlen(text)), text,
             http_listener_port(l));
}

static void note_addresses(struct server *s)
{
    const struct server_loop *first = &s->loops[0];
    note_address(s->address, conf_str(s->o.conf, s->o.service ? "service.listen" : "facade.listen"),
                 first->listener);
    if (first->tls_listener)
        note_address(s->tls_address, server_tls_listen(s), first->tls_listener);
}

static unsigned loops_wanted(const struct conf *conf)
{
    long n = (long)conf_int(conf, "facade.loops");
    if (n == 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > LOOPS_MAX ? LOOPS_MAX : (unsigned)n;
}

static int start_loops(struct server *s, struct err *e)
{
    unsigned n = loops_wanted(s->o.conf);
    s->held.count_max = (unsigned)conf_int(s->o.conf, "facade.hold_max");
    s->held.bytes_max = (size_t)conf_int(s->o.conf, "facade.hold_bytes");
    for (unsigned i = 0; i < n; i++) {
        s->nloops = i + 1;
        if (server_loop_create(&s->loops[i], s, i, e))
            return -1;
        if (i == 0)
            note_addresses(s);
    }
    for (unsigned i = 0; i < n; i++)
        if (loop_start(s->loops[i].loop, e))
            return -1;
    return 0;
}

static int start_ledger(struct server *s, struct err *e)
{
    struct tally *tallies[LOOPS_MAX];
    for (unsigned i = 0; i < s->nloops; i++)
        tallies[i] = dispatcher_tally(s->loops[i].dispatcher);
    struct ledger_options o = {.conf = s->o.conf,
                               .live = s->live,
                               .evidence = s->evidence,
                               .tallies = tallies,
                               .ntallies = s->nloops};
    return s->o.service || s->through_only || (s->ledger = ledger_start(&o, e)) ? 0 : -1;
}

struct server *server_start(const struct server_options *o, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->o = *o;
    s->through_only = !o->service && !*conf_str(o->conf, "control.conninfo");
    if (people_load(o->conf, &s->people, e) || otel_start(o->conf, &s->otel, e) ||
        start_shared(s, e) || start_loops(s, e) || start_ledger(s, e)) {
        server_stop(s);
        return NULL;
    }
    atomic_store(&s->started, true);
    // A table that came while the loops were being built.
    struct route_table *t = live_table(s->live);
    on_table(s, t);
    route_table_unref(t);
    log_info(&log_ctx, "serving on %s%s%s with %u loops", s->address,
             *s->tls_address ? ", by TLS on " : "", s->tls_address, s->nloops);
    return s;
}

// ---------------------------------------------------------------- stopping

struct drain_mail {
    struct mail mail; // first
    struct server_loop *loop;
};

static void on_drained(void *ctx)
{
    struct server_loop *sl = ctx;
    atomic_fetch_sub(&sl->draining, 1);
}

static void on_drain_mail(struct mail *m)
{
    struct drain_mail *d = (struct drain_mail *)m;
    http_listener_drain(d->loop->listener, on_drained, d->loop);
    if (d->loop->tls_listener)
        http_listener_drain(d->loop->tls_listener, on_drained, d->loop);
    free(d);
}

static void drain(struct server *s)
{
    uint64_t end = clock_mono_ms() + (uint64_t)conf_int(s->o.conf, "facade.drain_ms");
    for (unsigned i = 0; i < s->nloops; i++) {
        struct drain_mail *d = calloc(1, sizeof *d);
        if (!d)
            continue;
        atomic_store(&s->loops[i].draining, s->loops[i].tls_listener ? 2 : 1);
        *d = (struct drain_mail){.mail.deliver = on_drain_mail, .loop = &s->loops[i]};
        mailbox_post(loop_mailbox(s->loops[i].loop), &d->mail);
    }
    for (unsigned i = 0; i < s->nloops; i++)
        while (atomic_load(&s->loops[i].draining) > 0 && clock_mono_ms() < end)
            clock_sleep_ms(5);
}

void server_stop(struct server *s)
{
    if (!s)
        return;
    atomic_store(&s->draining, true);
    // The table goes on being followed: a held write may be released while draining.
    if (atomic_load(&s->started))
        drain(s);
    for (unsigned i = 0; i < s->nloops; i++)
        if (s->loops[i].loop)
            loop_stop(s->loops[i].loop);
    for (unsigned i = 0; i < s->nloops; i++)
        if (s->loops[i].loop)
            loop_join(s->loops[i].loop);
    ledger_stop(s->ledger);
    otel_stop(s->otel);
    live_stop(s->live);
    dual_stop(s->dual);
    if (s->hashers)
        worker_pool_destroy(s->hashers, 2000);
    if (s->admin_workers)
        worker_pool_destroy(s->admin_workers, 2000);
    odbc_workers_destroy(s->workers, 2000);
    // Calls of the admin API that are on their way through the loops end where they began.
    for (unsigned round = 0; round <= s->nloops; round++)
        for (unsigned i = 0; i < s->nloops; i++)
            if (s->loops[i].loop)
                loop_deliver(s->loops[i].loop);
    for (unsigned i = 0; i < s->nloops; i++)
        server_loop_destroy(&s->loops[i]);
    login_guard_destroy(s->logins);
    server_wire_close(s);
    pins_destroy(s->pins);
    dual_destroy(s->dual);
    evidence_destroy(s->evidence);
    free(s);
}

int server_reload(struct server *s, struct err *e)
{
    struct err tls;
    int result = live_reload(s->live, e);
    if (server_wire_reload(s, &tls) == 0)
        return result;
    return result ? err_prefix(e, "%s; and", tls.msg) : err_set(e, tls.code, "%s", tls.msg);
}

const char *server_address(const struct server *s)
{
    return s->address;
}
