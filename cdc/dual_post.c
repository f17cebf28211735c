// SPDX-License-Identifier: Apache-2.0
// The thread between the control store and the streams' threads. Asks wait in a list that its
// capture takes whole; answers gather in a buffer and go out in as few notices as they fit in.
#include "cdc/dual_post.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAIT_MS     200
#define ASKS_MAX    10000           // waiting for a capture; more are forgotten
#define ANSWERS_MAX (1024UL * 1024) // waiting for the connection

struct dual_post {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct dual_text *first, **last; // under lock, as all that follows
    size_t nasks;
    struct buf answers; // lines
    int wake_fd;
};

static const struct log_ctx ctx = {"dual", NULL, NULL};

struct dual_post *dual_post_create(struct err *e)
{
    struct dual_post *d = calloc(1, sizeof *d);
    pthread_condattr_t attr;
    if (!d || (d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
        free(d);
        err_memory(e);
        return NULL;
    }
    d->last = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->asked, &attr);
    pthread_condattr_destroy(&attr);
    return d;
}

void dual_post_destroy(struct dual_post *d)
{
    if (!d)
        return;
    for (struct dual_text *t = dual_take(d), *next; t; t = next) {
        next = t->next;
        free(t);
    }
    buf_free(&d->answers);
    close(d->wake_fd);
    pthread_cond_destroy(&d->asked);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

// ---------------------------------------------------------------- for the streams' threads

struct dual_text *dual_take(struct dual_post *d)
{
    pthread_mutex_lock(&d->lock);
    struct dual_text *all = d->first;
    d->first = NULL;
    d->last = &d->first;
    d->nasks = 0;
    pthread_mutex_unlock(&d->lock);
    return all;
}

void dual_sleep(struct dual_post *d, unsigned ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&d->lock);
    while (!d->first && pthread_cond_timedwait(&d->asked, &d->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&d->lock);
}

void dual_tell(struct dual_post *d, const struct dual_mark *m, enum dual_word word)
{
    struct dual_answer x = {.id = m->id, .at = m->at, .of = m->of, .word = word};
    uint64_t one = 1;
    pthread_mutex_lock(&d->lock);
    if (d->answers.len < ANSWERS_MAX)
        dual_answer_write(&x, &d->answers);
    pthread_mutex_unlock(&d->lock);
    while (write(d->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

// ---------------------------------------------------------------- marks

struct destination {
    size_t entity;
    int32_t partition;
    struct str key;
};

// Where the ask's marks go. 0: the stream cannot carry one of them now.
static unsigned destinations(struct publisher *p, const struct dual_ask *ask,
                             struct destination *out, struct err *e)
{
    unsigned n = 0;
    for (size_t i = 0; i < ask->n; i++) {
        long entity = sync_entity(p->sync, ask->at[i].entity);
        struct str key = ask->at[i].key;
        if (entity < 0 || p->partitions[entity] == 0 || (p->held && p->held[entity]) ||
            atomic_load(&p->sync->streams[p->side][entity].paused))
            return 0;
        int32_t first = 0, end = p->partitions[entity];
        if (key.len && publisher_partition(p, (size_t)entity, key, &first, e))
            return 0;
        for (end = key.len ? first + 1 : end; first < end; first++) {
            if (n == DUAL_MARKS_MAX)
                return 0;
            out[n++] = (struct destination){(size_t)entity, first, key};
        }
    }
    return n;
}

int dual_publish(struct publisher *p, struct str text, struct arena *a, struct err *e)
{
    struct dual_ask ask;
    struct destination at[DUAL_MARKS_MAX];
    struct err bad = {0};
    struct buf marker = BUF_INIT;
    if (dual_ask_read(text, a, &ask, &bad)) {
        log_warn(&ctx, "%s", bad.msg);
        return 0;
    }
    unsigned n = destinations(p, &ask, at, &bad);
    struct dual_mark m = {.id = ask.id, .of = n ? n : 1};
    if (n == 0)
        dual_tell(p->sync->dual, &m, DUAL_STOPPED);
    int result = 0;
    for (; m.at < n && result == 0; m.at++) {
        m.key = at[m.at].key;
        buf_reset(&marker);
        dual_mark_write(&m, &marker);
        result = buf_check(&marker, e) || publish_control_in(p, at[m.at].entity, at[m.at].partition,
                                                             buf_str(&marker), e)
                     ? -1
                     : 0;
    }
    buf_free(&marker);
    return result;
}

// ---------------------------------------------------------------- the thread

// Only the process that leads the legacy's capture can follow an ask.
static void take_ask(struct sync *s, struct dual_post *d, const char *payload)
{
    size_t n = strlen(payload);
    struct dual_text *t = desk_leads(s->desks[SIDE_LEGACY]) ? malloc(sizeof *t + n + 1) : NULL;
    if (!t)
        return;
    t->next = NULL;
    memcpy(t->text, payload, n + 1);
    pthread_mutex_lock(&d->lock);
    bool room = d->nasks < ASKS_MAX;
    if (room) {
        *d->last = t;
        d->last = &t->next;
        d->nasks++;
        pthread_cond_signal(&d->asked);
    }
    pthread_mutex_unlock(&d->lock);
    if (!room)
        free(t);
}

// The longest front of whole lines that one notice holds.
static size_t chunk(struct str lines)
{
    size_t n = lines.len < DUAL_TEXT_MAX ? lines.len : DUAL_TEXT_MAX;
    while (n > 0 && lines.data[n - 1] != '\n')
        n--;
    return n ? n : lines.len;
}

static int send_answers(struct dual_post *d, struct pg_conn *pg, struct err *e)
{
    struct value items[256];
    struct buf lines, list = BUF_INIT;
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    lines = d->answers;
    d->answers = (struct buf)BUF_INIT;
    pthread_mutex_unlock(&d->lock);
    int result = 0;
    for (struct str rest = buf_str(&lines); rest.len && result == 0; n = 0) {
        while (rest.len && n < sizeof items / sizeof items[0]) {
            size_t len = chunk(rest);
            items[n++] = value_set(str_n(rest.data, len));
            rest = str_n(rest.data + len, rest.len - len);
        }
        buf_reset(&list);
        pg_array_literal(&list, items, n, 1);
        struct value p = value_set(buf_str(&list));
        result = buf_check(&list, e) || pg_exec(pg,
                                                STR("SELECT pg_notify('" DUAL_ANSWERS
                                                    "', a) FROM unnest($1::text[]) AS a"),
                                                &p, 1, NULL, e)
                     ? -1
                     : 0;
    }
    buf_free(&list);
    buf_free(&lines);
    return result;
}

static int turn(struct sync *s, struct pg_conn *pg, struct err *e)
{
    struct dual_post *d = s->dual;
    struct pollfd p[] = {{.fd = d->wake_fd, .events = POLLIN},
                         {.fd = pg_socket(pg), .events = POLLIN}};
    struct pg_notice notice;
    uint64_t count;
    int got;
    if (poll(p, 2, WAIT_MS) < 0 && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "poll: errno %d", errno);
    if (read(d->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "eventfd: errno %d", errno);
    if (send_answers(d, pg, e))
        return -1;
    while ((got = pg_wait_notice(pg, 0, &notice, e)) > 0)
        take_ask(s, d, notice.payload);
    return got;
}

int dual_once(struct sync *s, struct err *e)
{
    struct pg_conn *pg = NULL;
    int result = sync_open_pg(s, "ficus dual", &pg, e);
    if (result == 0)
        result = pg_script(pg, STR("LISTEN " DUAL_ASKS), e);
    // An answer is of use now or never, so nobody waits for a disk.
    if (result == 0)
        result = pg_script(pg, STR("SET synchronous_commit = off"), e);
    while (result == 0 && !sync_stopping(s))
        result = turn(s, pg, e);
    pg_close(pg);
    return result;
}
