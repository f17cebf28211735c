// SPDX-License-Identifier: Apache-2.0
// The pool's connections: opening without waiting, events, closing, trying again with growing
// pauses.
//
//   DOWN --timer--> CONNECTING --> IDLE <--> BUSY --> CLEANING
//    ^_________________|____________|_________|___________|    any error of the connection
#include "connectors/postgres/pg_pool_int.h"

#include <stdlib.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 3000
#define CONNECT_MS     10000

static const struct log_ctx log_ctx = {"postgres", NULL, NULL};

static void on_io(evutil_socket_t fd, short what, void *arg);

static void arm(struct pool_conn *c, unsigned ms)
{
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
    event_add(c->timer, &tv);
}

void pg_pool_known_clear(struct pool_conn *c)
{
    struct known *k = c->known, *next;
    HASH_CLEAR(hh, c->known); // the table only
    for (; k; k = next) {
        next = k->hh.next;
        free(k);
    }
}

void pg_pool_conn_watch(struct pool_conn *c, short events)
{
    // While connecting, libpq may have closed one socket and opened the next under the same
    // number, which the event would not notice.
    if (c->io && c->io_events == events && c->state != CONN_CONNECTING)
        return;
    if (c->io)
        event_free(c->io);
    c->io_events = events;
    c->io = event_new(loop_base(c->pool->loop), PQsocket(c->pq), events | EV_PERSIST, on_io, c);
    if (!c->io || event_add(c->io, NULL))
        log_error(&log_ctx, "no event for a connection");
}

void pg_pool_conn_close(struct pool_conn *c)
{
    if (c->io)
        event_free(c->io);
    c->io = NULL;
    event_del(c->timer);
    PQfinish(c->pq);
    c->pq = NULL;
    pg_pool_known_clear(c);
    c->serial = 0;
    c->forget = false;
    c->state = CONN_DOWN;
}

void pg_pool_conn_reopen(struct pool_conn *c, unsigned ms)
{
    pg_pool_conn_close(c);
    arm(c, ms ? ms : c->backoff_ms);
}

void pg_pool_conn_break(struct pool_conn *c)
{
    arm(c, 0);
}

static void failed(struct pool_conn *c, const char *why)
{
    struct pg_pool *p = c->pool;
    if (why)
        err_set(&p->down, ERR_UNREACHABLE, "PostgreSQL: %s", why);
    else
        pg_unreachable(&p->down, c->pq);
    if (c->backoff_ms == BACKOFF_MIN_MS)
        log_warn(&log_ctx, "%s", p->down.msg);
    pg_pool_conn_reopen(c, 0);
    c->backoff_ms = c->backoff_ms * 2 < BACKOFF_MAX_MS ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
    if (pg_pool_all_down(p))
        pg_pool_fail_waiting(p, &p->down);
}

static void opened(struct pool_conn *c)
{
    event_del(c->timer);
    c->backoff_ms = BACKOFF_MIN_MS;
    if (PQsetnonblocking(c->pq, 1) || !PQenterPipelineMode(c->pq)) {
        failed(c, NULL);
        return;
    }
    c->state = CONN_IDLE;
    err_clear(&c->pool->down);
    if (c->io)
        event_free(c->io);
    c->io = NULL;
    pg_pool_conn_watch(c, EV_READ);
    pg_pool_pump(c->pool);
}

static void advance(struct pool_conn *c)
{
    switch (PQconnectPoll(c->pq)) {
    case PGRES_POLLING_READING: pg_pool_conn_watch(c, EV_READ); break;
    case PGRES_POLLING_WRITING: pg_pool_conn_watch(c, EV_WRITE); break;
    case PGRES_POLLING_OK: opened(c); break;
    default: failed(c, NULL);
    }
}

static void on_notice(void *arg, const char *message)
{
    (void)arg;
    log_debug(&log_ctx, "%s", message);
}

static void open_conn(struct pool_conn *c)
{
    struct pg_params params;
    struct err e = {0};
    // A deadline closes the connection; the server then ends the work within this second.
    if (pg_params_fill(&params, c->pool->conninfo, c->pool->application,
                       "-c client_connection_check_interval=1s", &e)) {
        failed(c, e.msg);
        return;
    }
    c->pq = PQconnectStartParams(params.keys, params.values, 1);
    pg_params_free(&params);
    c->state = CONN_CONNECTING;
    if (!c->pq || PQstatus(c->pq) == CONNECTION_BAD) {
        failed(c, NULL);
        return;
    }
    PQsetNoticeProcessor(c->pq, on_notice, NULL);
    arm(c, CONNECT_MS);
    pg_pool_conn_watch(c, EV_WRITE);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct pool_conn *c = arg;
    (void)fd;
    (void)what;
    if (c->state == CONN_CONNECTING)
        failed(c, "connecting took too long");
    else if (c->state == CONN_DOWN)
        open_conn(c);
    else
        pg_pool_job_broke(c);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct pool_conn *c = arg;
    (void)fd;
    if (c->state == CONN_CONNECTING) {
        advance(c);
        return;
    }
    if (what & EV_READ)
        pg_pool_job_read(c);
    if ((what & EV_WRITE) && (c->state == CONN_BUSY || c->state == CONN_CLEANING))
        pg_pool_job_flush(c);
}

int pg_pool_conn_create(struct pg_pool *p, struct pool_conn *c, struct err *e)
{
    c->pool = p;
    c->backoff_ms = BACKOFF_MIN_MS;
    c->timer = event_new(loop_base(p->loop), -1, 0, on_timer, c);
    if (!c->timer)
        return err_memory(e);
    arm(c, 0);
    return 0;
}
