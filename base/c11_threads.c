// SPDX-License-Identifier: Apache-2.0
// ThreadSanitizer of gcc 12 and clang 14 knows pthreads but not C11's threads: a thread made by
// thrd_create (librdkafka makes its own that way) crashes at its first instrumented call. In
// that variant alone these stand in for libc's and go through pthreads, which are known. glibc's
// types of both kinds have the same layout.
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define C11_THREADS_OURS
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define C11_THREADS_OURS
#endif

#ifdef C11_THREADS_OURS

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

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

static int result(int rc)
{
    return rc == 0           ? thrd_success
           : rc == ETIMEDOUT ? thrd_timedout
           : rc == EBUSY     ? thrd_busy
           : rc == ENOMEM    ? thrd_nomem
                             : thrd_error;
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

int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
    return result(pthread_cond_timedwait((pthread_cond_t *)c, (pthread_mutex_t *)m, until));
}

#else
typedef int c11_threads_unused; // ISO C wants a declaration
#endif
