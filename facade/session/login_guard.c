// SPDX-License-Identifier: Apache-2.0
// See login_guard.h. Two tables of buckets; a key lives in one bucket only, so that both look-up
// and forgetting look at BUCKET slots.
#include "facade/session/login_guard.h"

#include "base/fold.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS 2048
#define BUCKET  8

struct slot {
    uint64_t key; // 0: free
    uint64_t since_ms;
    unsigned failures;
};

struct login_guard {
    struct login_guard_options o;
    pthread_mutex_t lock;
    struct slot names[BUCKETS][BUCKET], addresses[BUCKETS][BUCKET]; // under lock
};

struct login_guard *login_guard_create(const struct login_guard_options *o)
{
    struct login_guard *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->o = *o;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void login_guard_destroy(struct login_guard *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static uint64_t some(uint64_t hash)
{
    return hash ? hash : 1;
}

struct login_who login_who(struct str name, const struct sockaddr_storage *peer)
{
    struct login_who who = {0};
    struct buf folded = BUF_INIT;
    fold_add(&folded, name);
    who.name = some(XXH3_64bits(buf_str(&folded).data, buf_str(&folded).len));
    buf_free(&folded);
    if (peer && peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        who.address = some(XXH3_64bits(&in->sin_addr, 4));
    } else if (peer && peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)peer;
        who.address = some(XXH3_64bits(&in->sin6_addr, 8));
    }
    return who;
}

static bool is_over(const struct login_guard *g, const struct slot *s, uint64_t now)
{
    return s->key == 0 || now - s->since_ms >= g->o.window_ms;
}

static struct slot *find(const struct login_guard *g, struct slot (*table)[BUCKET], uint64_t key,
                         uint64_t now)
{
    struct slot *bucket = table[key % BUCKETS];
    for (unsigned i = 0; i < BUCKET; i++)
        if (bucket[i].key == key && !is_over(g, &bucket[i], now))
            return &bucket[i];
    return NULL;
}

// What is over goes first, then the fewest failures: a lock cannot be washed out by other names.
static void count(struct login_guard *g, struct slot (*table)[BUCKET], uint64_t key, uint64_t now)
{
    struct slot *s = find(g, table, key, now);
    struct slot *bucket = table[key % BUCKETS];
    if (s) {
        s->failures++;
        return;
    }
    s = &bucket[0];
    for (unsigned i = 0; i < BUCKET; i++) {
        if (is_over(g, &bucket[i], now)) {
            s = &bucket[i];
            break;
        }
        if (bucket[i].failures < s->failures)
            s = &bucket[i];
    }
    *s = (struct slot){.key = key, .since_ms = now, .failures = 1};
}

enum login_answer login_guard_ask(struct login_guard *g, struct login_who who, uint64_t now_ms)
{
    enum login_answer answer = LOGIN_MAY_TRY;
    pthread_mutex_lock(&g->lock);
    const struct slot *name = find(g, g->names, who.name, now_ms);
    const struct slot *address = who.address ? find(g, g->addresses, who.address, now_ms) : NULL;
    if (g->o.name_max && name && name->failures >= g->o.name_max)
        answer = LOGIN_LOCKED;
    else if (g->o.address_max && address && address->failures >= g->o.address_max)
        answer = LOGIN_TOO_MANY;
    pthread_mutex_unlock(&g->lock);
    return answer;
}

void login_guard_failed(struct login_guard *g, struct login_who who, uint64_t now_ms)
{
    pthread_mutex_lock(&g->lock);
    count(g, g->names, who.name, now_ms);
    if (who.address)
        count(g, g->addresses, who.address, now_ms);
    pthread_mutex_unlock(&g->lock);
}

void login_guard_passed(struct login_guard *g, struct login_who who)
{
    pthread_mutex_lock(&g->lock);
    for (unsigned i = 0; i < BUCKET; i++)
        if (g->names[who.name % BUCKETS][i].key == who.name)
            g->names[who.name % BUCKETS][i].key = 0;
    pthread_mutex_unlock(&g->lock);
}
