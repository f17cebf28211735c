// SPDX-License-Identifier: Apache-2.0
// C11's threads where libc's do not serve; librdkafka is made of them. Taken from our archive
// before libc's (see the Makefile). glibc's types of C11 and of POSIX have the same layout.
//
// cnd_timedwait takes its deadline by the wall clock, by definition. When that clock is set back
// while someone waits, the wait grows by as much: a poll of 50 ms lasts an hour, and so does the
// end of the process, which waits for it. Ours waits as long by the monotonic clock.
//
// ThreadSanitizer of gcc 12 and clang 14 knows pthreads but not C11's threads: a thread made by
// thrd_create (librdkafka makes its own that way) crashes at its first instrumented call. In
// that variant the rest stand in for libc's, too, and go through pthreads, which are known.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define C11_THREADS_OURS
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define C11_THREADS_OURS
#endif

#define NS     1000000000ll
#define WAIT_S 20 // beyond every timeout that we give; whoever waits longer looks again

static int result(int rc)
{
    return rc == 0           ? thrd_success
           : rc == ETIMEDOUT ? thrd_timedout
           : rc == EBUSY     ? thrd_busy
           : rc == ENOMEM    ? thrd_nomem
                             : thrd_error;
}

// The deadline may have been made before the wall clock was set back: hence the bound.
int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    struct timespec now, mono;
    if (timespec_get(&now, TIME_UTC) != TIME_UTC || clock_gettime(CLOCK_MONOTONIC, &mono))
        return thrd_error;
    long long s = (long long)until->tv_sec - now.tv_sec;
    s = s < -WAIT_S ? -WAIT_S : s > WAIT_S ? WAIT_S : s;
    long long ns = s * NS + until->tv_nsec - now.tv_nsec;
    ns = (ns > 0 ? ns : 0) + mono.tv_nsec;
    mono.tv_sec += (time_t)(ns / NS);
    mono.tv_nsec = (long)(ns % NS);
    return result(
        pthread_cond_clockwait((pthread_cond_t *)c, (pthread_mutex_t *)m, CLOCK_MONOTONIC, &mono));
}

#ifdef C11_THREADS_OURS

struct start {
    thrd_start_t function;
    void *arg;
};

static void *run(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)s.function(s.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *arg)
{
    struct start *s = malloc(sizeof *s);
    if (!s)
        return thrd_nomem;
    *s = (struct start){function, arg};
    int rc = pthread_create(thread, NULL, run, s);
    if (rc != 0)
        free(s);
    return result(rc);
}

int thrd_join(thrd_t thread, int *status)
{
    void *value;
    int rc = pthread_join(thread, &value);
    if (rc == 0 && status)
        *status = (int)(intptr_t)value;
    return result(rc);
}

int mtx_lock(mtx_t *m)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)m));
}

int mtx_trylock(mtx_t *m)
{
    return result(pthread_mutex_trylock((pthread_mutex_t *)m));
}

int mtx_unlock(mtx_t *m)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)m));
}

int cnd_signal(cnd_t *c)
{
    return result(pthread_cond_signal((pthread_cond_t *)c));
}

int cnd_broadcast(cnd_t *c)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)c));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return result(pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m));
}

#endif
