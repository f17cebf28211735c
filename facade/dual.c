// SPDX-License-Identifier: Apache-2.0
// The thread that sends asks and takes answers, and the desks of the loops. The book, the asks to
// be sent and whether there is a connection are under `lock`; a desk's waits are its loop's.
#include "facade/dual.h"

#include "base/clock.h"
#include "base/log.h"
#include "connectors/postgres/pg.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DESKS_MAX 64
#define SEND_MAX  500 // asks in one statement
#define WAIT_MS   500
#define RETRY_MS  500

struct text {
    struct text *next;
    char z[];
};

struct queue {
    struct text *first, **last;
};

struct dual {
    char *conninfo, *instance;
    size_t instance_len;
    unsigned wait_ms;
    int wake_fd;
    atomic_bool stop, wanted; // wanted: there are dual groups
    bool started;
    pthread_t thread;
    pthread_mutex_t lock;
    struct dual_book book;              // under lock, as all that follows
    struct queue asks[2];               // by side that they are for
    bool away;                          // the control store: no asks are taken
    struct dual_desk *desks[DESKS_MAX]; // by number; set before the loops run
    unsigned ndesks;
};

struct dual_desk {
    struct dual *dual;
    struct loop *loop;
    unsigned number;
    struct dual_wait *waits; // the newest first
};

static const struct log_ctx ctx = {"dual", NULL, NULL};

// ---------------------------------------------------------------- asks to be sent

static void wake(struct dual *d)
{
    uint64_t one = 1;
    while (write(d->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static bool enqueue_locked(struct dual *d, enum side from, struct str s)
{
    struct queue *q = &d->asks[from];
    struct text *t = malloc(sizeof *t + s.len + 1);
    if (!t)
        return false;
    t->next = NULL;
    memcpy(t->z, s.data, s.len);
    t->z[s.len] = '\0';
    *q->last = t;
    q->last = &t->next;
    return true;
}

static struct text *take_locked(struct dual *d, enum side from)
{
    struct text *t = d->asks[from].first;
    if (t && !(d->asks[from].first = t->next))
        d->asks[from].last = &d->asks[from].first;
    return t;
}

static void drop_asks(struct dual *d)
{
    pthread_mutex_lock(&d->lock);
    for (int side = 0; side < 2; side++)
        for (struct text *t; (t = take_locked(d, (enum side)side));)
            free(t);
    pthread_mutex_unlock(&d->lock);
}

char *dual_next_ask(struct dual *d, enum side from)
{
    pthread_mutex_lock(&d->lock);
    struct text *t = take_locked(d, from);
    pthread_mutex_unlock(&d->lock);
    char *z = t ? strdup(t->z) : NULL;
    free(t);
    return z;
}

// The legacy's capture is told at once; the new store's finds the message in the WAL, behind the
// write's commit, which is what puts it in order.
static int send_some(struct dual *d, struct pg_conn *pg, enum side from, size_t *n, struct err *e)
{
    static const char *const sql[] = {
        [SIDE_LEGACY] = "SELECT pg_notify('" DUAL_ASKS "', a) FROM unnest($1::text[]) AS a",
        [SIDE_NEW] = "SELECT pg_logical_emit_message(true, '" DUAL_WAL_PREFIX
                     "', a) FROM unnest($1::text[]) AS a"};
    struct text *texts[SEND_MAX];
    struct value items[SEND_MAX];
    struct buf list = BUF_INIT;
    *n = 0;
    pthread_mutex_lock(&d->lock);
    while (*n < SEND_MAX && (texts[*n] = take_locked(d, from))) {
        items[*n] = value_set(str_of(texts[*n]->z));
        ++*n;
    }
    pthread_mutex_unlock(&d->lock);
    pg_array_literal(&list, items, *n, 1);
    struct value p = value_set(buf_str(&list));
    int result = *n == 0               ? 0
                 : buf_check(&list, e) ? -1
                                       : pg_exec(pg, str_of(sql[from]), &p, 1, NULL, e);
    for (size_t i = 0; i < *n; i++)
        free(texts[i]);
    buf_free(&list);
    return result;
}

static int send_asks(struct dual *d, struct pg_conn *pg, struct err *e)
{
    for (int side = 0; side < 2; side++)
        for (size_t n = SEND_MAX; n == SEND_MAX;)
            if (send_some(d, pg, (enum side)side, &n, e))
                return -1;
    return 0;
}

// ---------------------------------------------------------------- answers to loops

struct answer_mail {
    struct mail mail; // first
    struct dual_desk *desk;
    uint64_t number;
    bool there;
};

static void finish(struct dual_desk *k, struct dual_wait *w, enum dual_outcome outcome)
{
    pthread_mutex_lock(&k->dual->lock);
    dual_book_count(w->group, outcome);
    pthread_mutex_unlock(&k->dual->lock);
    w->outcome = outcome;
    w->done(w); // `w` may be gone after this
}

// A wait that was given up is there no more.
static void on_answer_mail(struct mail *m)
{
    struct answer_mail *a = (struct answer_mail *)m;
    for (struct dual_wait **p = &a->desk->waits; *p; p = &(*p)->next)
        if ((*p)->number == a->number) {
            struct dual_wait *w = *p;
            *p = w->next;
            finish(a->desk, w, a->there ? DUAL_IN_LINE : DUAL_FAILED);
            break;
        }
    free(a);
}

static void take_answer(struct dual *d, struct str line)
{
    struct dual_answer x;
    long long number;
    unsigned desk;
    bool there;
    size_t n = d->instance_len;
    if (!dual_answer_read(line, &x) || x.id.len <= n + 1 ||
        memcmp(x.id.data, d->instance, n) != 0 || x.id.data[n] != '/' ||
        !str_to_int(str_n(x.id.data + n + 1, x.id.len - n - 1), 1, INT64_MAX, &number))
        return; // another facade's
    pthread_mutex_lock(&d->lock);
    bool settled = dual_book_answer(&d->book, (uint64_t)number, &x, clock_mono_ns(), &desk, &there);
    struct dual_desk *k = settled ? d->desks[desk] : NULL;
    pthread_mutex_unlock(&d->lock);
    struct answer_mail *m = k ? calloc(1, sizeof *m) : NULL;
    if (!m) // none waits, or it waits for its bound
        return;
    *m = (struct answer_mail){
        .mail.deliver = on_answer_mail, .desk = k, .number = (uint64_t)number, .there = there};
    mailbox_post(loop_mailbox(k->loop), &m->mail);
}

void dual_take_answers(struct dual *d, struct str answers)
{
    while (answers.len) {
        const char *end = memchr(answers.data, '\n', answers.len);
        size_t n = end ? (size_t)(end - answers.data) : answers.len;
        take_answer(d, str_n(answers.data, n));
        n += end != NULL;
        answers = str_n(answers.data + n, answers.len - n);
    }
}

static int take_notices(struct dual *d, struct pg_conn *pg, struct err *e)
{
    struct pg_notice notice;
    int got;
    while ((got = pg_wait_notice(pg, 0, &notice, e)) > 0)
        dual_take_answers(d, str_of(notice.payload));
    return got;
}

// ---------------------------------------------------------------- the thread

static void set_away(struct dual *d, bool away)
{
    pthread_mutex_lock(&d->lock);
    d->away = away;
    pthread_mutex_unlock(&d->lock);
}

static int turn(struct dual *d, struct pg_conn *pg, struct err *e)
{
    struct pollfd p[] = {{.fd = d->wake_fd, .events = POLLIN},
                         {.fd = pg_socket(pg), .events = POLLIN}};
    uint64_t count;
    if (poll(p, 2, WAIT_MS) < 0 && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "poll: errno %d", errno);
    if (read(d->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR)
        return err_set(e, ERR_INTERNAL, "eventfd: errno %d", errno);
    pthread_mutex_lock(&d->lock);
    dual_book_expire(&d->book, clock_mono_ns());
    pthread_mutex_unlock(&d->lock);
    return send_asks(d, pg, e) || take_notices(d, pg, e) ? -1 : 0;
}

static int serve(struct dual *d, struct err *e)
{
    struct pg_conn *pg = NULL;
    int result = pg_open(d->conninfo, "ficus dual", &pg, e);
    if (result == 0)
        result = pg_script(pg, STR("LISTEN " DUAL_ANSWERS), e);
    if (result == 0)
        set_away(d, false);
    while (result == 0 && !atomic_load(&d->stop))
        result = turn(d, pg, e);
    set_away(d, true);
    drop_asks(d);
    pg_close(pg);
    return result;
}

static void *dual_main(void *arg)
{
    struct dual *d = arg;
    char last[sizeof((struct err *)0)->msg] = "";
    while (!atomic_load(&d->stop)) {
        struct err e = {0};
        if (!atomic_load(&d->wanted)) {
            struct pollfd p = {.fd = d->wake_fd, .events = POLLIN};
            poll(&p, 1, WAIT_MS);
            continue;
        }
        if (serve(d, &e) == 0)
            continue;
        if (strcmp(last, e.msg) != 0)
            log_warn(&ctx, "writes of dual groups do not wait for the other side: %s", e.msg);
        snprintf(last, sizeof last, "%s", e.msg);
        for (unsigned ms = 0; ms < RETRY_MS && !atomic_load(&d->stop); ms += 50)
            clock_sleep_ms(50);
    }
    return NULL;
}

struct dual *dual_create(const char *conninfo, const char *instance, unsigned wait_ms,
                         struct err *e)
{
    struct dual *d = calloc(1, sizeof *d);
    if (!d) {
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    dual_book_init(&d->book, wait_ms * 1000000ull);
    d->wait_ms = wait_ms;
    for (int side = 0; side < 2; side++)
        d->asks[side].last = &d->asks[side].first;
    d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    d->instance = strdup(instance);
    d->conninfo = conninfo ? strdup(conninfo) : NULL;
    if (d->wake_fd < 0 || !d->instance || (conninfo && !d->conninfo)) {
        err_memory(e);
        dual_destroy(d);
        return NULL;
    }
    d->instance_len = strlen(d->instance);
    if (conninfo && pthread_create(&d->thread, NULL, dual_main, d)) {
        err_set(e, ERR_MEMORY, "no thread for dual writes");
        dual_destroy(d);
        return NULL;
    }
    d->started = conninfo != NULL;
    return d;
}

void dual_follow(struct dual *d, const struct route_table *t)
{
    for (size_t i = 0; i < group_count(t); i++)
        if (group_at(t, i)->dual && !atomic_exchange(&d->wanted, true))
            wake(d);
}

void dual_stop(struct dual *d)
{
    if (!d || !d->started)
        return;
    atomic_store(&d->stop, true);
    wake(d);
    pthread_join(d->thread, NULL);
    d->started = false;
}

void dual_destroy(struct dual *d)
{
    if (!d)
        return;
    dual_stop(d);
    drop_asks(d);
    dual_book_free(&d->book);
    if (d->wake_fd >= 0)
        close(d->wake_fd);
    pthread_mutex_destroy(&d->lock);
    free(d->conninfo);
    free(d->instance);
    free(d);
}

// ---------------------------------------------------------------- desks

struct dual_desk *dual_desk_create(struct dual *d, struct loop *l, struct err *e)
{
    struct dual_desk *k = d->ndesks < DESKS_MAX ? calloc(1, sizeof *k) : NULL;
    if (!k) {
        err_memory(e);
        return NULL;
    }
    *k = (struct dual_desk){.dual = d, .loop = l, .number = d->ndesks};
    pthread_mutex_lock(&d->lock);
    d->desks[d->ndesks++] = k;
    pthread_mutex_unlock(&d->lock);
    return k;
}

void dual_desk_close(struct dual_desk *k)
{
    for (struct dual_wait *w; (w = k->waits);) {
        k->waits = w->next;
        finish(k, w, DUAL_LATE);
    }
}

void dual_desk_destroy(struct dual_desk *k)
{
    if (!k)
        return;
    dual_desk_close(k);
    pthread_mutex_lock(&k->dual->lock);
    k->dual->desks[k->number] = NULL;
    pthread_mutex_unlock(&k->dual->lock);
    free(k);
}

// Puts the ask on its way. 0: it cannot be.
static uint64_t begin_locked(struct dual_desk *k, struct dual_group *g, const struct dual_ask *ask)
{
    struct dual *d = k->dual;
    struct dual_ask named = *ask;
    struct buf text = BUF_INIT;
    struct err e = {0};
    char id[128];
    uint64_t number = !d->away ? dual_book_begin(&d->book, g, k->number, clock_mono_ns()) : 0;
    if (!number)
        return 0;
    snprintf(id, sizeof id, "%.80s/%llu", d->instance, (unsigned long long)number);
    named.id = str_of(id);
    // One that fails here is forgotten after a while.
    bool sent = dual_ask_write(&named, &text, &e) == 0 &&
                enqueue_locked(d, ask->from, buf_str(&text));
    buf_free(&text);
    return sent ? number : 0;
}

bool dual_desk_wait(struct dual_desk *k, struct dual_wait *w, const struct group *g,
                    const struct operation *op, const struct result *r, uint64_t deadline_ns)
{
    struct dual *d = k->dual;
    struct dual_ask ask = {.from = r->served_by};
    bool fits = dual_targets(g, op, r, &ask);
    uint64_t now = clock_mono_ns(), until = now + d->wait_ms * 1000000ull;
    pthread_mutex_lock(&d->lock);
    struct dual_group *mine = dual_book_group(&d->book, g->name);
    uint64_t number = mine && fits && ask.n ? begin_locked(k, mine, &ask) : 0;
    bool waits = number && dual_book_waits(mine);
    if (mine && !waits)
        dual_book_count(mine, number ? DUAL_LATE : DUAL_FAILED);
    pthread_mutex_unlock(&d->lock);
    if (number)
        wake(d);
    if (!waits)
        return false;
    w->group = mine;
    w->number = number;
    w->until_ns = deadline_ns && deadline_ns < until ? deadline_ns : until;
    w->next = k->waits;
    k->waits = w;
    return true;
}

void dual_desk_tick(struct dual_desk *k, uint64_t now_ns)
{
    struct dual_wait *over = NULL, *w;
    for (struct dual_wait **p = &k->waits; *p;) {
        w = *p;
        if (now_ns < w->until_ns) {
            p = &w->next;
            continue;
        }
        *p = w->next; // taken out first: `done` may begin another wait
        w->next = over;
        over = w;
    }
    while ((w = over)) {
        over = w->next;
        finish(k, w, DUAL_LATE);
    }
}

// ---------------------------------------------------------------- figures

static json_t *figures_of(const struct dual_group *g)
{
    return json_pack(
        "{s:I, s:I, s:I, s:f, s:f, s:b}", "in_line", (json_int_t)g->counted[DUAL_IN_LINE], "late",
        (json_int_t)g->counted[DUAL_LATE], "failed", (json_int_t)g->counted[DUAL_FAILED], "p50_ms",
        metric_quantile(g->staleness, 0.5) * 1e3, "p99_ms",
        metric_quantile(g->staleness, 0.99) * 1e3, "waits", (int)dual_book_waits(g));
}

json_t *dual_figures(struct dual *d, const struct route_table *t)
{
    json_t *all = json_object();
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < group_count(t); i++) {
        const struct group *g = group_at(t, i);
        struct dual_group *mine = g->dual ? dual_book_group(&d->book, g->name) : NULL;
        if (mine)
            json_object_set_new(all, g->name, figures_of(mine));
    }
    pthread_mutex_unlock(&d->lock);
    if (json_object_size(all) > 0)
        return all;
    json_decref(all);
    return NULL;
}
