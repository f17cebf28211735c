// SPDX-License-Identifier: Apache-2.0
// Worker pools: bounded queue, deadlines, hand-over to a loop, an end that does not hang.
#include "base/worker.h"

#include "base/clock.h"
#include "sockets.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct job {
    struct worker_job job;
    bool wait; // for the gate
    _Atomic unsigned ran, done, cancelled;
    unsigned slot;
    void *slot_state;
    bool done_on_loop;
};

static sem_t gate;
static struct loop *loop;
static _Atomic unsigned running, slots_started, slots_stopped;

static void run(struct worker_job *w, unsigned slot, void *slot_state)
{
    struct job *j = (struct job *)w;

    running++;
    if (j->wait)
        while (sem_wait(&gate) != 0)
            ;
    j->slot = slot;
    j->slot_state = slot_state;
    running--;
    j->ran++;
}

static void done(struct worker_job *w)
{
    struct job *j = (struct job *)w;

    j->done_on_loop = loop && loop_is_current(loop);
    j->cancelled = w->cancelled;
    j->done++;
}

static void *slot_start(void *arg, unsigned slot)
{
    slots_started++;
    return (char *)arg + slot;
}

static void slot_stop(void *arg, unsigned slot, void *state)
{
    assert_ptr_equal(state, (char *)arg + slot);
    slots_stopped++;
}

static struct worker_pool *create(unsigned threads, unsigned queue_max)
{
    static char slots[64];
    struct worker_options o = {.name = "test",
                               .threads = threads,
                               .queue_max = queue_max,
                               .spares = 1,
                               .slot_start = slot_start,
                               .slot_stop = slot_stop,
                               .arg = slots};
    struct err e;

    sem_init(&gate, 0, 0);
    running = slots_started = slots_stopped = 0;
    struct worker_pool *p = worker_pool_create(&o, &e);
    if (!p)
        fail_msg("%s", e.msg);
    return p;
}

static enum err_code submit(struct worker_pool *p, struct job *j)
{
    struct err e = {0};

    j->job.run = run;
    j->job.done = done;
    return worker_pool_submit(p, &j->job, &e) == 0 ? ERR_NONE : e.code;
}

static bool counted_50(void *arg)
{
    struct worker_stats s;

    worker_pool_stats(arg, &s);
    return s.done == 50;
}

static bool is_done(void *arg)
{
    return ((struct job *)arg)->done > 0;
}

static bool is_running(void *arg)
{
    return running >= *(unsigned *)arg;
}

static void wait_running(unsigned n)
{
    sockets_wait(is_running, &n);
}

static bool is_past(void *arg)
{
    return clock_mono_ns() >= *(uint64_t *)arg;
}

static void pass_ns(uint64_t ns)
{
    uint64_t end = clock_mono_ns() + ns;

    sockets_wait(is_past, &end);
}

static void runs_jobs_and_answers_on_the_loop(void **state)
{
    struct worker_pool *p = create(3, 100);
    struct worker_stats s;
    struct job jobs[50] = {0};
    struct err e;

    (void)state;
    loop = loop_create("test", 0, &e);
    assert_non_null(loop);
    assert_int_equal(loop_start(loop, &e), 0);
    for (size_t i = 0; i < 50; i++) {
        jobs[i].job.reply_to = loop_mailbox(loop);
        assert_int_equal(submit(p, &jobs[i]), ERR_NONE);
    }
    for (size_t i = 0; i < 50; i++) {
        sockets_wait(is_done, &jobs[i]);
        assert_int_equal(jobs[i].ran, 1);
        assert_int_equal(jobs[i].done, 1);
        assert_true(jobs[i].done_on_loop);
        assert_false(jobs[i].cancelled);
        assert_true(jobs[i].slot < 3);
        assert_non_null(jobs[i].slot_state);
    }
    sockets_wait(counted_50, p);
    worker_pool_stats(p, &s);
    assert_int_equal(s.threads, 3);
    assert_int_equal(s.queued, 0);
    assert_int_equal(worker_pool_destroy(p, SOCKETS_WAIT_MS), 0);
    assert_int_equal(slots_started, 3);
    assert_int_equal(slots_stopped, 3);
    loop_stop(loop);
    loop_join(loop);
    loop_destroy(loop);
    loop = NULL;
}

static void refuses_when_full(void **state)
{
    struct worker_pool *p = create(1, 2);
    struct job a = {.wait = true}, b = {0}, c = {0}, d = {0};
    struct worker_stats s;

    (void)state;
    assert_int_equal(submit(p, &a), ERR_NONE);
    wait_running(1);
    assert_int_equal(submit(p, &b), ERR_NONE);
    assert_int_equal(submit(p, &c), ERR_NONE);
    assert_int_equal(submit(p, &d), ERR_BUSY);
    pass_ns(3000000);
    worker_pool_stats(p, &s);
    assert_int_equal(s.busy, 1);
    assert_int_equal(s.queued, 2);
    assert_int_equal(s.refused, 1);
    assert_true(s.longest_running_ns >= 3000000);
    sem_post(&gate);
    sockets_wait(is_done, &c);
    assert_int_equal(d.done, 0); // still the caller's
    assert_int_equal(worker_pool_destroy(p, SOCKETS_WAIT_MS), 0);
}

static void does_not_start_what_is_too_late(void **state)
{
    struct worker_pool *p = create(1, 10);
    struct job a = {.wait = true}, late = {0}, timely = {0};
    struct worker_stats s;

    (void)state;
    assert_int_equal(submit(p, &a), ERR_NONE);
    wait_running(1);
    late.job.deadline_ns = clock_mono_ns() + 1000;
    timely.job.deadline_ns = clock_mono_ns() + 60000000000u;
    assert_int_equal(submit(p, &late), ERR_NONE);
    assert_int_equal(submit(p, &timely), ERR_NONE);
    pass_ns(2000000);
    sem_post(&gate);
    sockets_wait(is_done, &timely);
    assert_int_equal(late.done, 1);
    assert_true(late.cancelled);
    assert_int_equal(late.ran, 0);
    assert_int_equal(timely.ran, 1);
    worker_pool_stats(p, &s);
    assert_int_equal(s.expired, 1);
    assert_int_equal(worker_pool_destroy(p, SOCKETS_WAIT_MS), 0);
}

static void the_end_cancels_and_leaves_the_stuck(void **state)
{
    struct worker_pool *p = create(2, 10);
    static struct job stuck, stuck_too, queued;

    (void)state;
    stuck.wait = stuck_too.wait = true;
    assert_int_equal(submit(p, &stuck), ERR_NONE);
    assert_int_equal(submit(p, &stuck_too), ERR_NONE);
    wait_running(2);
    assert_int_equal(submit(p, &queued), ERR_NONE);
    assert_int_equal(worker_pool_destroy(p, 20), 2);
    assert_int_equal(queued.done, 1);
    assert_true(queued.cancelled);
    assert_int_equal(queued.ran, 0);
    assert_int_equal(stuck.done, 0);
    sem_post(&gate); // they come back one day and free the pool
    sem_post(&gate);
    sockets_wait(is_done, &stuck);
    sockets_wait(is_done, &stuck_too);
    assert_int_equal(worker_pool_destroy(NULL, 0), 0);
}

static bool has_none_stuck(void *arg)
{
    struct worker_stats s;

    worker_pool_stats(arg, &s);
    return s.stuck == 0;
}

static void one_that_hangs_is_replaced(void **state)
{
    struct worker_pool *p = create(1, 10);
    struct job stuck = {.wait = true}, other = {0}, stuck_too = {.wait = true}, last = {0};
    struct worker_stats s;
    struct err e;

    (void)state;
    assert_int_equal(submit(p, &stuck), ERR_NONE);
    wait_running(1);
    assert_int_equal(submit(p, &other), ERR_NONE);
    assert_int_equal(worker_pool_give_up(p, &other.job, &e), -1); // waits, does not run
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(worker_pool_give_up(p, &stuck.job, &e), 0);
    sockets_wait(is_done, &other);
    assert_int_equal(worker_pool_give_up(p, &stuck.job, &e), -1); // once
    assert_int_equal(e.code, ERR_NOT_FOUND);
    worker_pool_stats(p, &s);
    assert_int_equal(s.stuck, 1);
    assert_int_equal(s.replaced, 1);
    assert_int_equal(s.threads, 2);
    assert_int_equal(submit(p, &stuck_too), ERR_NONE);
    wait_running(2);
    assert_int_equal(worker_pool_give_up(p, &stuck_too.job, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT); // no spare
    sem_post(&gate);
    sem_post(&gate);
    sockets_wait(is_done, &stuck);
    sockets_wait(is_done, &stuck_too);
    sockets_wait(has_none_stuck, p);
    assert_int_equal(submit(p, &last), ERR_NONE); // the one that was not given up goes on
    sockets_wait(is_done, &last);
    worker_pool_stats(p, &s);
    assert_int_equal(s.threads, 1);
    assert_int_equal(worker_pool_destroy(p, SOCKETS_WAIT_MS), 0);
    assert_int_equal(slots_stopped, slots_started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_jobs_and_answers_on_the_loop),
        cmocka_unit_test(refuses_when_full),
        cmocka_unit_test(does_not_start_what_is_too_late),
        cmocka_unit_test(one_that_hangs_is_replaced),
        cmocka_unit_test(the_end_cancels_and_leaves_the_stuck),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
