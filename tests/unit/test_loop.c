// SPDX-License-Identifier: Apache-2.0
// Loops and mailboxes: order, no lost mail, what is left at the end is delivered.
#include "base/loop.h"

#include "sockets.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define POSTERS 4
#define LETTERS 20000u

static struct loop *loop;
static _Atomic unsigned delivered;
static unsigned last_from[POSTERS]; // the loop's

struct letter {
    struct mail mail;
    unsigned from, number;
};

static void on_letter(struct mail *m)
{
    struct letter *l = (struct letter *)m;

    assert_true(loop_is_current(loop));
    assert_int_equal(l->number, last_from[l->from] + 1); // in order of posting, by poster
    last_from[l->from] = l->number;
    free(l);
    delivered++;
}

static void post(unsigned from, unsigned number)
{
    struct letter *l = malloc(sizeof(*l));

    if (!l)
        abort();
    *l = (struct letter){.mail.deliver = on_letter, .from = from, .number = number};
    mailbox_post(loop_mailbox(loop), &l->mail);
}

static void *poster(void *arg)
{
    unsigned from = (unsigned)(uintptr_t)arg;

    for (unsigned i = 1; i <= LETTERS; i++)
        post(from, i);
    return NULL;
}

static bool all_delivered(void *arg)
{
    (void)arg;
    return delivered == POSTERS * LETTERS;
}

static void no_mail_is_lost(void **state)
{
    pthread_t threads[POSTERS];
    struct err e;

    (void)state;
    delivered = 0;
    memset(last_from, 0, sizeof(last_from));
    loop = loop_create("test", 3, &e);
    assert_non_null(loop);
    assert_int_equal(loop_index(loop), 3);
    assert_int_equal(loop_start(loop, &e), 0);
    assert_false(loop_is_current(loop));
    for (uintptr_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster, (void *)i), 0);
    for (size_t i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    sockets_wait(all_delivered, NULL);
    loop_stop(loop);
    loop_join(loop);
    loop_destroy(loop);
}

static void what_is_left_is_delivered(void **state)
{
    struct err e;

    (void)state;
    delivered = 0;
    memset(last_from, 0, sizeof(last_from));
    loop = loop_create("test", 0, &e);
    assert_non_null(loop);
    post(0, 1);
    post(0, 2);
    assert_int_equal(delivered, 0);
    loop_destroy(loop);
    assert_int_equal(delivered, 2);
    loop_destroy(NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_stop(arg);
}

static void runs_in_the_calling_thread(void **state)
{
    struct timeval soon = {.tv_usec = 1000};
    struct err e;

    (void)state;
    loop = loop_create("main", 0, &e);
    assert_non_null(loop);
    uint64_t before = loop_now_ns(loop);
    assert_int_equal(event_base_once(loop_base(loop), -1, EV_TIMEOUT, on_timer, loop, &soon), 0);
    loop_run(loop);
    assert_true(loop_now_ns(loop) - before >= 1000000);
    assert_false(loop_is_current(loop));
    loop_run(loop); // stopped stays stopped
    loop_destroy(loop);
}

static void stop_before_start(void **state)
{
    struct err e;

    (void)state;
    loop = loop_create("early", 0, &e);
    loop_stop(loop);
    assert_int_equal(loop_start(loop, &e), 0);
    loop_join(loop);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_mail_is_lost),
        cmocka_unit_test(what_is_left_is_delivered),
        cmocka_unit_test(runs_in_the_calling_thread),
        cmocka_unit_test(stop_before_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
