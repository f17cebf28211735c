// SPDX-License-Identifier: Apache-2.0
// Non-blocking PostgreSQL connections of one loop: the bounded queue of jobs, their deadlines,
// the pool's life. One job a connection at a time. A job past its deadline is answered at
// once; its connection is closed, which also ends the work on the server. Nothing waits here.
#include "connectors/postgres/pg_pool_int.h"

#include "base/clock.h"

#include <stdlib.h>

#define TICK_MS 20 // how late a deadline may be noticed

// ---------------------------------------------------------------- jobs

static void answer(struct pg_pool *p, struct pg_job *job)
{
    p->done += job->err.code == ERR_NONE;
    p->failed += job->err.code != ERR_NONE;
    job->done(job);
}

void pg_pool_answer(struct pool_conn *c)
{
    struct pg_job *job = c->job;
    c->job = NULL;
    if (!job)
        return;
    job->err = c->err;
    job->failed = c->failed;
    err_clear(&c->err);
    answer(c->pool, job);
}

static struct pg_job *dequeue(struct pg_pool *p)
{
    struct pg_job *job = p->first;
    p->first = job->next;
    if (!p->first)
        p->last = &p->first;
    p->waiting--;
    job->next = NULL;
    return job;
}

void pg_pool_pump(struct pg_pool *p)
{
    for (unsigned i = 0; i < p->size && p->first; i++)
        while (p->conns[i].state == CONN_IDLE && p->first)
            pg_pool_job_start(&p->conns[i], dequeue(p));
}

void pg_pool_fail_waiting(struct pg_pool *p, const struct err *why)
{
    struct err e = *why; // an answer may change the original
    for (unsigned n = p->waiting; n > 0 && p->first; n--) {
        struct pg_job *job = dequeue(p);
        job->err = e;
        job->failed = 0;
        answer(p, job);
    }
}

bool pg_pool_all_down(const struct pg_pool *p)
{
    for (unsigned i = 0; i < p->size; i++)
        if (p->conns[i].state >= CONN_IDLE)
            return false;
    return p->down.code != ERR_NONE;
}

// ---------------------------------------------------------------- deadlines

static void expire_conn(struct pool_conn *c, uint64_t now)
{
    if (c->state < CONN_BUSY || !c->deadline_ns || now < c->deadline_ns)
        return;
    if (c->job && !c->committed && c->err.code == ERR_NONE) {
        c->failed = c->job->transaction ? c->job->ncalls : 0;
        err_set(&c->err, c->job->transaction ? ERR_UNKNOWN_OUTCOME : ERR_TIMEOUT,
                "PostgreSQL did not answer in time");
    }
    pg_pool_conn_reopen(c, 1);
    pg_pool_answer(c);
}

static void expire_waiting(struct pg_pool *p, uint64_t now)
{
    struct pg_job **at = &p->first, *expired = NULL, *job;
    while ((job = *at) != NULL) {
        if (!job->deadline_ns || now < job->deadline_ns) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        p->waiting--;
        job->next = expired;
        expired = job;
    }
    p->last = at;
    while ((job = expired) != NULL) {
        expired = job->next;
        err_set(&job->err, ERR_TIMEOUT, "no PostgreSQL connection was free in time");
        answer(p, job);
    }
}

static void tick(struct pg_pool *p)
{
    struct timeval tv = {0, TICK_MS * 1000};
    if (!event_pending(p->deadlines, EV_TIMEOUT, NULL))
        event_add(p->deadlines, &tv);
}

static void on_deadlines(evutil_socket_t fd, short what, void *arg)
{
    struct pg_pool *p = arg;
    uint64_t now = clock_mono_ns();
    bool more = false;
    (void)fd;
    (void)what;
    for (unsigned i = 0; i < p->size; i++)
        expire_conn(&p->conns[i], now);
    expire_waiting(p, now);
    for (unsigned i = 0; i < p->size; i++)
        more |= p->conns[i].state >= CONN_BUSY;
    if (more || p->first)
        tick(p);
}

// ---------------------------------------------------------------- the pool

struct pg_pool *pg_pool_create(struct loop *loop, const struct pg_pool_options *o, struct err *e)
{
    struct pg_pool *p = calloc(1, sizeof *p);
    if (!p) {
        err_memory(e);
        return NULL;
    }
    p->loop = loop;
    p->size = o->size ? o->size : 1;
    p->queue_max = o->queue_max;
    p->last = &p->first;
    p->conninfo = strdup(o->conninfo);
    p->application = strdup(o->application ? o->application : "ficus");
    p->conns = calloc(p->size, sizeof *p->conns);
    p->deadlines = event_new(loop_base(loop), -1, 0, on_deadlines, p);
    int result = p->conninfo && p->application && p->conns && p->deadlines ? 0 : err_memory(e);
    for (unsigned i = 0; result == 0 && i < p->size; i++)
        result = pg_pool_conn_create(p, &p->conns[i], e);
    if (result) {
        pg_pool_destroy(p);
        return NULL;
    }
    return p;
}

void pg_pool_destroy(struct pg_pool *p)
{
    struct err closing = {0};
    if (!p)
        return;
    err_set(&closing, ERR_CANCELLED, "the pool is closing");
    for (unsigned i = 0; p->conns && i < p->size; i++) {
        struct pool_conn *c = &p->conns[i];
        if (!c->timer)
            continue;
        pg_pool_conn_close(c);
        c->err = closing;
        pg_pool_answer(c);
        event_free(c->timer);
    }
    pg_pool_fail_waiting(p, &closing);
    if (p->deadlines)
        event_free(p->deadlines);
    if (p->conninfo)
        explicit_bzero(p->conninfo, strlen(p->conninfo)); // it may hold a password
    free(p->conns);
    free(p->conninfo);
    free(p->application);
    free(p);
}

// What the server would refuse is refused before anything is sent.
static int check_params(struct pg_job *job, struct err *e)
{
    for (size_t i = 0; i < job->ncalls; i++)
        for (size_t k = 0; k < job->calls[i].nparams; k++) {
            struct value v = job->calls[i].params[k];
            job->failed = i;
            if (v.state == VALUE_SET && v.len && memchr(v.data, 0, v.len))
                return err_set(e, ERR_VALUE, "parameter %zu holds a NUL, which PostgreSQL refuses",
                               k + 1);
        }
    job->failed = 0;
    return 0;
}

int pg_pool_submit(struct pg_pool *p, struct pg_job *job, struct err *e)
{
    if (pg_pool_all_down(p)) {
        p->refused++;
        return err_set(e, ERR_UNREACHABLE, "%s", p->down.msg);
    }
    if (p->waiting >= p->queue_max) {
        p->refused++;
        return err_set(e, ERR_BUSY, "%u jobs wait for a PostgreSQL connection", p->waiting);
    }
    if (check_params(job, e))
        return -1;
    err_clear(&job->err);
    job->xid[0] = 0;
    job->next = NULL;
    *p->last = job;
    p->last = &job->next;
    p->waiting++;
    tick(p);
    pg_pool_pump(p);
    return 0;
}

void pg_pool_orphan(struct pg_pool *p, struct pg_job *job)
{
    for (struct pg_job **at = &p->first; *at; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (p->last == &job->next)
            p->last = at;
        p->waiting--;
        return;
    }
    for (unsigned i = 0; i < p->size; i++)
        if (p->conns[i].job == job)
            p->conns[i].job = NULL;
}

void pg_pool_stats(const struct pg_pool *p, struct pg_pool_stats *out)
{
    *out = (struct pg_pool_stats){
        .waiting = p->waiting, .done = p->done, .failed = p->failed, .refused = p->refused};
    for (unsigned i = 0; i < p->size; i++) {
        out->connections += p->conns[i].state >= CONN_IDLE;
        out->idle += p->conns[i].state == CONN_IDLE;
    }
}
