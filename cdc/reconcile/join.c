// SPDX-License-Identifier: Apache-2.0
// A chained hash table that forgets what it has matched, and the pool behind it, cut into parts
// by the key's hash so that each part fits in memory. A record in the pool: hash of the key,
// hash of the row, side, key text. The lock guards the pool's spools and nothing else.
#include "cdc/reconcile/join.h"

#include <stdlib.h>

#define PART_MEMORY      (64u << 10)
#define CANDIDATE_MEMORY (1u << 20)
#define FIRST_SIZE       1024

struct join_entry {
    struct join_entry *next;
    uint64_t key_hash;
    XXH128_hash_t hash;
    uint32_t len;
    uint8_t side;
    char key[];
};

struct record {
    uint64_t key_hash;
    XXH128_hash_t hash;
    uint8_t side;
};

// ---------------------------------------------------------------- pool

int pool_init(struct pool *p, struct err *e)
{
    *p = (struct pool){0};
    for (size_t i = 0; i < POOL_PARTS; i++)
        spool_init(&p->parts[i], PART_MEMORY);
    spool_init(&p->candidates, CANDIDATE_MEMORY);
    return pthread_mutex_init(&p->lock, NULL) == 0 ? 0 : err_memory(e);
}

void pool_free(struct pool *p)
{
    for (size_t i = 0; i < POOL_PARTS; i++)
        spool_free(&p->parts[i]);
    spool_free(&p->candidates);
    pthread_mutex_destroy(&p->lock);
}

int pool_candidate(struct pool *p, struct str key, struct err *e)
{
    pthread_mutex_lock(&p->lock);
    int result = spool_add(&p->candidates, key.data, key.len, e);
    pthread_mutex_unlock(&p->lock);
    return result;
}

int pool_put(struct pool *p, struct str record, struct err *e)
{
    struct record r;
    if (record.len < sizeof r)
        return err_set(e, ERR_INTERNAL, "a waiting print of %zu bytes", record.len);
    memcpy(&r, record.data, sizeof r);
    pthread_mutex_lock(&p->lock);
    int result = spool_add(&p->parts[r.key_hash >> 57], record.data, record.len, e);
    p->waiting++;
    pthread_mutex_unlock(&p->lock);
    return result;
}

static int entry_to_pool(struct join *j, const struct join_entry *x, struct buf *text,
                         struct err *e)
{
    struct record r;
    memset(&r, 0, sizeof r);
    r.key_hash = x->key_hash;
    r.hash = x->hash;
    r.side = x->side;
    buf_reset(text);
    buf_add(text, &r, sizeof r);
    buf_add(text, x->key, x->len);
    if (buf_check(text, e) || pool_put(j->pool, buf_str(text), e))
        return -1;
    return j->kept ? spool_add(j->kept, text->data, text->len, e) : 0;
}

// ---------------------------------------------------------------- join

int join_init(struct join *j, struct pool *pool, size_t max, struct err *e)
{
    *j = (struct join){.pool = pool, .max = max, .size = FIRST_SIZE};
    j->buckets = calloc(j->size, sizeof *j->buckets);
    return j->buckets ? 0 : err_memory(e);
}

void join_free(struct join *j)
{
    for (size_t i = 0; j->buckets && i < j->size; i++)
        for (struct join_entry *x = j->buckets[i], *next; x; x = next) {
            next = x->next;
            free(x);
        }
    free(j->buckets);
    *j = (struct join){0};
}

static int grow(struct join *j, struct err *e)
{
    size_t size = j->size * 4;
    struct join_entry **buckets = calloc(size, sizeof *buckets);
    if (!buckets)
        return err_memory(e);
    for (size_t i = 0; i < j->size; i++)
        for (struct join_entry *x = j->buckets[i], *next; x; x = next) {
            next = x->next;
            x->next = buckets[x->key_hash & (size - 1)];
            buckets[x->key_hash & (size - 1)] = x;
        }
    free(j->buckets);
    j->buckets = buckets;
    j->size = size;
    return 0;
}

static int insert(struct join *j, enum side side, const struct print *p, uint64_t key_hash,
                  struct err *e)
{
    struct join_entry *x = malloc(sizeof *x + p->key.len);
    if (!x)
        return err_memory(e);
    struct join_entry **bucket = &j->buckets[key_hash & (j->size - 1)];
    *x = (struct join_entry){*bucket, key_hash, p->hash, (uint32_t)p->key.len, (uint8_t)side};
    memcpy(x->key, p->key.data, p->key.len);
    *bucket = x;
    if (++j->count > j->max)
        return join_flush(j, e);
    return j->count > j->size * 2 ? grow(j, e) : 0;
}

int join_add(struct join *j, enum side side, const struct print *p, struct err *e)
{
    uint64_t key_hash = XXH3_64bits(p->key.data, p->key.len);
    struct join_entry **at = &j->buckets[key_hash & (j->size - 1)];
    while (*at && ((*at)->key_hash != key_hash || (*at)->len != p->key.len ||
                   memcmp((*at)->key, p->key.data, p->key.len) != 0))
        at = &(*at)->next;
    struct join_entry *x = *at;
    if (!x)
        return insert(j, side, p, key_hash, e);
    bool same = XXH128_isEqual(x->hash, p->hash);
    if (x->side == (uint8_t)side) // read again, or a duplicate key
        return same ? 0 : pool_candidate(j->pool, p->key, e);
    *at = x->next;
    j->count--;
    free(x);
    j->matched++;
    return same ? 0 : pool_candidate(j->pool, p->key, e);
}

int join_flush(struct join *j, struct err *e)
{
    struct buf text = BUF_INIT;
    int result = 0;
    for (size_t i = 0; i < j->size; i++) {
        for (struct join_entry *x = j->buckets[i], *next; x; x = next) {
            next = x->next;
            if (result == 0)
                result = entry_to_pool(j, x, &text, e);
            free(x);
        }
        j->buckets[i] = NULL;
    }
    j->count = 0;
    buf_free(&text);
    return result;
}

// ---------------------------------------------------------------- the pool's end

static int finish_part(struct pool *p, struct spool *part, struct err *e)
{
    struct join j;
    struct str text;
    int more = 0, result = -1;
    if (join_init(&j, p, SIZE_MAX, e) || spool_rewind(part, e))
        goto out;
    while ((more = spool_next(part, &text, e)) == 1) {
        struct record r;
        memcpy(&r, text.data, sizeof r);
        struct print one = {.key = str_n(text.data + sizeof r, text.len - sizeof r),
                            .hash = r.hash};
        if (join_add(&j, r.side ? SIDE_NEW : SIDE_LEGACY, &one, e))
            goto out;
    }
    result = more;
    for (size_t i = 0; result == 0 && i < j.size; i++)
        for (const struct join_entry *x = j.buckets[i]; result == 0 && x; x = x->next)
            result = pool_candidate(p, str_n(x->key, x->len), e);
out:
    join_free(&j);
    spool_free(part);
    return result;
}

int pool_finish(struct pool *p, struct err *e)
{
    for (size_t i = 0; i < POOL_PARTS; i++)
        if (finish_part(p, &p->parts[i], e))
            return -1;
    return 0;
}
