// SPDX-License-Identifier: Apache-2.0
// A fixed set of threads over one bounded queue. The pool owns a job from submit until its
// `done`; it knows nothing of what the job does. A job past its deadline, or queued when
// the pool ends, is not run: it comes back cancelled. Completions travel by mailbox.
// Waking is the dear part of a hand-off, so it is thrifty: while one thread is on its way
// no other is woken; the one that comes wakes the next if work is left. Whenever a job is
// queued and a thread sleeps, one thread is on its way or about to look. Each thread sleeps on a
// semaphore of its own, the last to lie down is the first to be woken, and a wake-up takes one
// call of the kernel: a condition variable's mutex would be contended at every one.
// Threads: submit and stats from any; run in a worker; destroy from the creator, once.
#include "base/worker.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct slot {
    struct worker_pool *pool;
    pthread_t thread;
    unsigned number;
    sem_t wake;
    // pool->lock:
    struct slot *next_asleep;
    bool used;
    bool given_up;                // another took its place: its thread ends by itself
    const struct worker_job *job; // that it runs
    uint64_t running_since_ns;    // 0: idle
};

struct worker_pool {
    struct worker_options o;
    char name[12];
    pthread_mutex_t lock;
    pthread_cond_t ended; // a thread is about to end
    struct worker_job *first, *last;
    bool stopping;
    unsigned live; // threads that have not ended
    struct slot *asleep;
    unsigned woken; // taken from there and not yet running
    unsigned busy, queued;
    unsigned stuck;
    uint64_t done, refused, expired, replaced;
    bool abandoned;  // destroy gave up: the last thread frees the pool
    unsigned nslots; // o.threads + o.spares
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

// Whom the caller is to wake once it has let go of the lock, or NULL: under the lock the woken
// thread would only run into it.
static struct slot *to_wake_locked(struct worker_pool *p)
{
    struct slot *s = p->asleep;

    if (!p->first || !s || p->woken > 0)
        return NULL;
    p->asleep = s->next_asleep;
    p->woken++;
    return s;
}

static void wake(struct slot *s)
{
    if (s)
        sem_post(&s->wake);
}

// Lets go of the lock meanwhile.
static void sleep_locked(struct slot *s)
{
    struct worker_pool *p = s->pool;

    s->next_asleep = p->asleep;
    p->asleep = s;
    pthread_mutex_unlock(&p->lock);
    while (sem_wait(&s->wake) != 0)
        ; // a signal's handler ran
    pthread_mutex_lock(&p->lock);
    p->woken--;
}

static void wake_all_locked(struct worker_pool *p)
{
    while (p->asleep) {
        struct slot *s = p->asleep;
        p->asleep = s->next_asleep;
        p->woken++;
        wake(s);
    }
}

// The next job to deal with, NULL when the pool ends. `ran`: the slot has just run one.
static struct worker_job *next_job(struct slot *s, bool ran)
{
    struct worker_pool *p = s->pool;
    struct worker_job *job = NULL;
    struct slot *next;

    pthread_mutex_lock(&p->lock);
    if (ran) {
        s->running_since_ns = 0;
        s->job = NULL;
        p->busy--;
        p->done++;
    }
    while (!p->first && !p->stopping && !s->given_up)
        sleep_locked(s);
    if (!p->stopping && !s->given_up) {
        uint64_t now = clock_mono_ns();
        job = take_locked(p);
        if (job->deadline_ns != 0 && now >= job->deadline_ns) {
            job->cancelled = true;
            p->expired++;
        } else {
            s->running_since_ns = now;
            s->job = job;
            p->busy++;
        }
    }
    next = to_wake_locked(p);
    pthread_mutex_unlock(&p->lock);
    wake(next);
    return job;
}

static void pool_free(struct worker_pool *p)
{
    for (unsigned i = 0; i < p->nslots; i++)
        sem_destroy(&p->slots[i].wake);
    pthread_cond_destroy(&p->ended);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void leave(struct slot *s)
{
    struct worker_pool *p = s->pool;

    pthread_mutex_lock(&p->lock);
    p->live--;
    if (s->given_up) {
        pthread_detach(pthread_self()); // nobody joins it
        p->stuck--;
        s->used = s->given_up = false;
    }
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
    for (bool ran = false; (job = next_job(s, ran)) != NULL;) {
        ran = !job->cancelled;
        if (ran)
            job->run(job, s->number, state);
        finish(job);
    }
    if (p->o.slot_stop)
        p->o.slot_stop(p->o.arg, s->number, state);
    leave(s);
    return NULL;
}

static int start_thread_locked(struct worker_pool *p, struct err *e)
{
    sigset_t all, before;
    struct slot *s = p->slots;

    while (s->used)
        s++;
    s->pool = p;
    s->number = (unsigned)(s - p->slots);
    s->used = true;
    s->given_up = false;
    s->job = NULL;
    s->running_since_ns = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&s->thread, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        s->used = false;
        return err_set(e, ERR_INTERNAL, "cannot start a %s worker: %s", p->o.name, strerror(rc));
    }
    p->live++;
    return 0;
}

static int start_threads(struct worker_pool *p, struct err *e)
{
    int result = 0;

    pthread_mutex_lock(&p->lock); // a thread's first look at its slot waits for this
    for (unsigned i = 0; i < p->o.threads && result == 0; i++)
        result = start_thread_locked(p, e);
    pthread_mutex_unlock(&p->lock);
    return result;
}

int worker_pool_give_up(struct worker_pool *p, const struct worker_job *job, struct err *e)
{
    struct slot *s = NULL;
    int result;

    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->nslots && !s; i++)
        if (p->slots[i].used && p->slots[i].job == job)
            s = &p->slots[i];
    if (!s || s->given_up || p->stopping)
        result = err_set(e, ERR_NOT_FOUND, "worker pool %s: the job does not run", p->name);
    else if (p->stuck >= p->o.spares)
        result = err_set(e, ERR_LIMIT, "worker pool %s: %u threads are stuck, no spare is left",
                         p->name, p->stuck);
    else
        result = start_thread_locked(p, e);
    if (result == 0) {
        s->given_up = true;
        p->stuck++;
        p->replaced++;
    }
    pthread_mutex_unlock(&p->lock);
    return result;
}

struct worker_pool *worker_pool_create(const struct worker_options *o, struct err *e)
{
    struct worker_pool *p = calloc(1, sizeof(*p) + (o->threads + o->spares) * sizeof(p->slots[0]));
    pthread_condattr_t attr;

    if (!p) {
        err_memory(e);
        return NULL;
    }
    p->o = *o;
    p->nslots = o->threads + o->spares;
    snprintf(p->name, sizeof(p->name), "%s", o->name);
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < p->nslots; i++)
        sem_init(&p->slots[i].wake, 0, 0);
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
    struct slot *sleeper = NULL;

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
        sleeper = to_wake_locked(p);
    }
    pthread_mutex_unlock(&p->lock);
    wake(sleeper);
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
                                 .expired = p->expired,
                                 .replaced = p->replaced,
                                 .stuck = p->stuck};
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
    wake_all_locked(p);
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
        if (p->slots[i].used && !p->slots[i].given_up)
            pthread_detach(p->slots[i].thread);
    pthread_mutex_unlock(&p->lock);
    if (stuck > 0)
        return stuck; // the last of them frees the pool
    for (unsigned i = 0; i < p->nslots; i++)
        if (p->slots[i].used)
            pthread_join(p->slots[i].thread, NULL);
    pool_free(p);
    return 0;
}
