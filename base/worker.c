// SPDX-License-Identifier: Apache-2.0
// A fixed set of threads over one bounded queue. The pool owns a job from submit until its
// `done`; it knows nothing of what the job does. A job past its deadline, or queued when
// the pool ends, is not run: it comes back cancelled. Completions travel by mailbox.
// Threads: submit and stats from any; run in a worker; destroy from the creator, once.
#include "base/worker.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct slot {
    struct worker_pool *pool;
    pthread_t thread;
    unsigned number;
    uint64_t running_since_ns; // 0: idle; pool->lock
};

struct worker_pool {
    struct worker_options o;
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t work;  // a job was queued, or stopping
    pthread_cond_t ended; // a thread is about to end
    struct worker_job *first, *last;
    bool stopping;
    unsigned live; // threads that have not ended
    unsigned busy, queued;
    uint64_t done, refused, expired;
    bool abandoned; // destroy gave up: the last thread frees the pool
    unsigned nslots;
    struct slot slots[];
};

static void deliver(struct mail *m)
{
    struct worker_job *job = (struct worker_job *)((char *)m - offsetof(struct worker_job, mail));

    job->done(job);
}

// Not under the lock: `done` may submit again.
static void finish(struct worker_job *job)
{
    if (!job->reply_to) {
        job->done(job);
        return;
    }
    job->mail.deliver = deliver;
    mailbox_post(job->reply_to, &job->mail);
}

static struct worker_job *take_locked(struct worker_pool *p)
{
    struct worker_job *job = p->first;

    p->first = job->next;
    if (!p->first)
        p->last = NULL;
    p->queued--;
    job->next = NULL;
    return job;
}

// The next job to deal with, NULL when the pool ends.
static struct worker_job *next_job(struct slot *s)
{
    struct worker_pool *p = s->pool;
    struct worker_job *job = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->stopping)
        pthread_cond_wait(&p->work, &p->lock);
    if (!p->stopping) {
        uint64_t now = clock_mono_ns();
        job = take_locked(p);
        if (job->deadline_ns != 0 && now >= job->deadline_ns) {
            job->cancelled = true;
            p->expired++;
        } else {
            s->running_since_ns = now;
            p->busy++;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void ran(struct slot *s)
{
    pthread_mutex_lock(&s->pool->lock);
    s->running_since_ns = 0;
    s->pool->busy--;
    s->pool->done++;
    pthread_mutex_unlock(&s->pool->lock);
}

static void pool_free(struct worker_pool *p)
{
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->ended);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void leave(struct slot *s)
{
    struct worker_pool *p = s->pool;

    pthread_mutex_lock(&p->lock);
    p->live--;
    bool last = p->abandoned && p->live == 0;
    pthread_cond_broadcast(&p->ended);
    pthread_mutex_unlock(&p->lock);
    if (last)
        pool_free(p);
}

static void *thread_main(void *arg)
{
    struct slot *s = arg;
    struct worker_pool *p = s->pool;
    struct worker_job *job;
    char name[16];
    void *state = NULL;

    snprintf(name, sizeof(name), "%.9s-%u", p->name, s->number % 10000);
    pthread_setname_np(pthread_self(), name);
    if (p->o.slot_start)
        state = p->o.slot_start(p->o.arg, s->number);
    while ((job = next_job(s)) != NULL) {
        if (!job->cancelled) {
            job->run(job, s->number, state);
            ran(s);
        }
        finish(job);
    }
    if (p->o.slot_stop)
        p->o.slot_stop(p->o.arg, s->number, state);
    leave(s);
    return NULL;
}

static int start_threads(struct worker_pool *p, struct err *e)
{
    sigset_t all, before;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < p->o.threads && rc == 0; i++) {
        p->slots[i].pool = p;
        p->slots[i].number = i;
        rc = pthread_create(&p->slots[i].thread, NULL, thread_main, &p->slots[i]);
        if (rc == 0) {
            pthread_mutex_lock(&p->lock);
            p->nslots++;
            p->live++;
            pthread_mutex_unlock(&p->lock);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, "cannot start a %s worker: %s", p->o.name, strerror(rc));
    return 0;
}

struct worker_pool *worker_pool_create(const struct worker_options *o, struct err *e)
{
    struct worker_pool *p = calloc(1, sizeof(*p) + o->threads * sizeof(p->slots[0]));
    pthread_condattr_t attr;

    if (!p) {
        err_memory(e);
        return NULL;
    }
    p->o = *o;
    snprintf(p->name, sizeof(p->name), "%s", o->name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->ended, &attr);
    pthread_condattr_destroy(&attr);
    if (start_threads(p, e) != 0) {
        worker_pool_destroy(p, 1000);
        return NULL;
    }
    return p;
}

int worker_pool_submit(struct worker_pool *p, struct worker_job *job, struct err *e)
{
    const char *why = NULL;

    job->submitted_ns = clock_mono_ns();
    job->cancelled = false;
    job->next = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->stopping) {
        why = "is stopping";
    } else if (p->queued >= p->o.queue_max) {
        why = "has a full queue";
        p->refused++;
    } else {
        if (p->last)
            p->last->next = job;
        else
            p->first = job;
        p->last = job;
        p->queued++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return why ? err_set(e, ERR_BUSY, "worker pool %s %s", p->name, why) : 0;
}

void worker_pool_stats(const struct worker_pool *pool, struct worker_stats *out)
{
    struct worker_pool *p = (struct worker_pool *)pool; // the lock is not part of the value
    uint64_t oldest = 0;

    pthread_mutex_lock(&p->lock);
    *out = (struct worker_stats){.threads = p->live,
                                 .busy = p->busy,
                                 .queued = p->queued,
                                 .done = p->done,
                                 .refused = p->refused,
                                 .expired = p->expired};
    for (unsigned i = 0; i < p->nslots; i++) {
        uint64_t since = p->slots[i].running_since_ns;
        if (since != 0 && (oldest == 0 || since < oldest))
            oldest = since;
    }
    pthread_mutex_unlock(&p->lock);
    if (oldest != 0)
        out->longest_running_ns = clock_mono_ns() - oldest;
}

static void wait_ended_locked(struct worker_pool *p, unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (p->live > 0)
        if (pthread_cond_timedwait(&p->ended, &p->lock, &until) == ETIMEDOUT)
            break;
}

unsigned worker_pool_destroy(struct worker_pool *p, unsigned ms)
{
    struct worker_job *queued;

    if (!p)
        return 0;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    queued = p->first;
    p->first = p->last = NULL;
    p->queued = 0;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    while (queued) {
        struct worker_job *job = queued;
        queued = job->next;
        job->cancelled = true;
        finish(job);
    }
    pthread_mutex_lock(&p->lock);
    wait_ended_locked(p, ms);
    unsigned stuck = p->live;
    p->abandoned = stuck > 0;
    for (unsigned i = 0; stuck > 0 && i < p->nslots; i++)
        pthread_detach(p->slots[i].thread);
    pthread_mutex_unlock(&p->lock);
    if (stuck > 0)
        return stuck; // the last of them frees the pool
    for (unsigned i = 0; i < p->nslots; i++)
        pthread_join(p->slots[i].thread, NULL);
    pool_free(p);
    return 0;
}
