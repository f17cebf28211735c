// SPDX-License-Identifier: Apache-2.0
// See address_count.h. A chained hash table of the addresses that have a connection now.
#include "facade/http/address_count.h"

#include "facade/http/peers.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#define BUCKETS 8192u

struct entry {
    struct entry *next;
    unsigned char key[16];
    unsigned open;
};

struct address_count {
    pthread_mutex_t lock;
    unsigned most;
    uint64_t seed; // so that no client can choose a bucket
    struct entry *buckets[BUCKETS];
};

struct address_count *address_count_create(unsigned most, struct err *e)
{
    struct address_count *a = calloc(1, sizeof(*a));

    if (!a) {
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&a->lock, NULL);
    a->most = most;
    a->seed = (uint64_t)(uintptr_t)a; // an address of a randomised layout
    return a;
}

void address_count_destroy(struct address_count *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (a->buckets[i]) {
            struct entry *x = a->buckets[i];
            a->buckets[i] = x->next;
            free(x);
        }
    }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static bool key_of(const struct sockaddr_storage *address, unsigned char key[16])
{
    if (!peers_bytes(address, key))
        return false;
    if (address->ss_family == AF_INET6)
        memset(key + 8, 0, 8);
    return true;
}

static struct entry **find(struct address_count *a, const unsigned char key[16])
{
    struct entry **at = &a->buckets[XXH3_64bits_withSeed(key, 16, a->seed) % BUCKETS];

    while (*at && memcmp((*at)->key, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool address_count_enter(struct address_count *a, const struct sockaddr_storage *address)
{
    unsigned char key[16];
    bool taken = false;

    if (!key_of(address, key))
        return true;
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, key);
    if (!*at && (*at = calloc(1, sizeof(**at))) != NULL)
        memcpy((*at)->key, key, sizeof(key));
    if (*at && (*at)->open < a->most) {
        (*at)->open++;
        taken = true;
    }
    pthread_mutex_unlock(&a->lock);
    return taken;
}

void address_count_leave(struct address_count *a, const struct sockaddr_storage *address)
{
    unsigned char key[16];

    if (!key_of(address, key))
        return;
    pthread_mutex_lock(&a->lock);
    struct entry **at = find(a, key), *x = *at;
    if (x && --x->open == 0) {
        *at = x->next;
        free(x);
    }
    pthread_mutex_unlock(&a->lock);
}
