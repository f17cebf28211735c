// SPDX-License-Identifier: Apache-2.0
// One libevent base a thread, without locks, and the mailbox through which other threads
// reach it. The mailbox is a lock-free stack (push by compare-and-swap, taken whole by one
// exchange, reversed to posting order); its eventfd is written only by the post that finds
// it empty. Everything else of a loop belongs to its own thread.
#include "base/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
    _Atomic(struct mail *) newest; // any thread
    int wake_fd;                   // any thread writes
};

struct loop {
    struct event_base *base;
    struct event *wake;
    struct mailbox box;
    _Atomic bool stop; // any thread sets
    bool started;
    pthread_t thread;
    unsigned index;
    char name[16]; // as the kernel takes it for a thread
};

static _Thread_local const struct loop *current;

static void wake(struct mailbox *box)
{
    uint64_t one = 1;

    // The counter would be full, and this fail, after 2^64 - 2 of them.
    while (write(box->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void mailbox_post(struct mailbox *box, struct mail *m)
{
    struct mail *old = atomic_load_explicit(&box->newest, memory_order_relaxed);

    do {
        m->next = old;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &old, m, memory_order_release,
                                                    memory_order_relaxed));
    if (!old)
        wake(box);
}

static void deliver_all(struct loop *l)
{
    struct mail *m = atomic_exchange_explicit(&l->box.newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;

    while (m) {
        struct mail *next = m->next;
        m->next = oldest;
        oldest = m;
        m = next;
    }
    while (oldest) {
        m = oldest;
        oldest = m->next;
        m->deliver(m);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;

    (void)fd;
    (void)what;
    // The eventfd is edge-triggered: each write of it is an event, so that nobody needs to read it.
    deliver_all(l);
    if (atomic_load(&l->stop))
        event_base_loopbreak(l->base);
}

static int open_base(struct loop *l)
{
    struct event_config *config = event_config_new();

    if (!config)
        return -1;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        event_config_require_features(config, EV_FEATURE_ET) == 0)
        l->base = event_base_new_with_config(config);
    event_config_free(config);
    return l->base ? 0 : -1;
}

struct loop *loop_create(const char *name, unsigned index, struct err *e)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (!l) {
        err_memory(e);
        return NULL;
    }
    snprintf(l->name, sizeof(l->name), "%s-%u", name, index);
    l->index = index;
    l->box.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->box.wake_fd < 0) {
        err_set(e, ERR_INTERNAL, "eventfd: %s", strerror(errno));
        goto fail;
    }
    if (open_base(l) != 0) {
        err_set(e, ERR_INTERNAL, "cannot create an event base");
        goto fail;
    }
    l->wake = event_new(l->base, l->box.wake_fd, EV_READ | EV_ET | EV_PERSIST, on_wake, l);
    if (!l->wake || event_add(l->wake, NULL) != 0) {
        err_memory(e);
        goto fail;
    }
    return l;
fail:
    loop_destroy(l);
    return NULL;
}

void loop_deliver(struct loop *l)
{
    const struct loop *before = current;

    current = l;
    deliver_all(l);
    current = before;
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    loop_deliver(l);
    if (l->wake)
        event_free(l->wake);
    if (l->base)
        event_base_free(l->base);
    if (l->box.wake_fd >= 0)
        close(l->box.wake_fd);
    free(l);
}

void loop_run(struct loop *l)
{
    const struct loop *before = current;

    current = l;
    while (!atomic_load(&l->stop))
        if (event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
            break;
    current = before;
}

static void *thread_main(void *arg)
{
    struct loop *l = arg;

    pthread_setname_np(pthread_self(), l->name);
    loop_run(l);
    return NULL;
}

int loop_start(struct loop *l, struct err *e)
{
    sigset_t all, before;

    // Signals belong to the main thread's loop.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&l->thread, NULL, thread_main, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(e, ERR_INTERNAL, "cannot start thread %s: %s", l->name, strerror(rc));
    l->started = true;
    return 0;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    wake(&l->box);
}

void loop_join(struct loop *l)
{
    if (!l->started)
        return;
    pthread_join(l->thread, NULL);
    l->started = false;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

struct mailbox *loop_mailbox(struct loop *l)
{
    return &l->box;
}

unsigned loop_index(const struct loop *l)
{
    return l->index;
}

bool loop_is_current(const struct loop *l)
{
    return current == l;
}

// libevent 2.1 tells nobody when a turn begins, and reading the clock through the vDSO
// costs no more than a cache would: so it is read.
uint64_t loop_now_ns(const struct loop *l)
{
    (void)l;
    return clock_mono_ns();
}
