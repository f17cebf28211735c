// SPDX-License-Identifier: Apache-2.0
// One entry a route and stay. The loop finds the entry of a route through `by_index` and adds to
// atomics; everything else is under `lock`: making entries (the loop), walking and freeing them
// (the flush). An entry of an earlier stay is freed once it has been written; `by_index` never
// points to one, since making a new entry empties it.
#include "facade/evidence/tally.h"

#include "routes/control.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define CALLERS_MAX 256 // of retired routes, between two flushes; the rest is 'other'

struct counted_arm {
    atomic_uint_fast64_t requests, errors, slots[ARM_SLOTS];
};
struct entry_key {
    char route[64];
    long long since_us;
};
struct entry {
    struct entry_key key;
    bool earlier; // under lock: a later stay has begun
    atomic_uint_fast64_t hits;
    struct counted_arm arm[2];
    atomic_uint_fast64_t seen[3][2]; // by get, list, count; ok, not found
    UT_hash_handle hh;
};
struct caller {
    char route[64], client[24];
    unsigned long long n;
};

struct tally {
    pthread_mutex_t lock;
    struct entry *entries;   // under lock
    struct entry **by_index; // the loop's
    size_t nindex;
    struct caller callers[CALLERS_MAX]; // under lock
    size_t ncallers;
};

struct tally *tally_create(struct err *e)
{
    struct tally *t = calloc(1, sizeof *t);
    if (!t) {
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void tally_destroy(struct tally *t)
{
    struct entry *x, *next;
    if (!t)
        return;
    HASH_ITER(hh, t->entries, x, next)
    {
        HASH_DEL(t->entries, x);
        free(x);
    }
    pthread_mutex_destroy(&t->lock);
    free(t->by_index);
    free(t);
}

// ---------------------------------------------------------------- the loop

static void grow_index(struct tally *t, size_t index)
{
    size_t n = index + 64;
    struct entry **grown = realloc(t->by_index, n * sizeof *grown);
    if (!grown)
        return;
    memset(grown + t->nindex, 0, (n - t->nindex) * sizeof *grown);
    t->by_index = grown;
    t->nindex = n;
}

// Under lock. NULL on no memory, or for a name that is longer than any should be.
static struct entry *make(struct tally *t, const struct entry_key *key)
{
    struct entry *x = calloc(1, sizeof *x), *other, *next;
    if (!x)
        return NULL;
    HASH_ITER(hh, t->entries, other, next)
    {
        if (strcmp(other->key.route, key->route) == 0)
            other->earlier = true;
    }
    if (t->by_index)
        memset(t->by_index, 0, t->nindex * sizeof *t->by_index);
    x->key = *key;
    HASH_ADD(hh, t->entries, key, sizeof x->key, x);
    return x;
}

// Under lock: the entry may be freed by a flush after that, unless it is of the present stay.
static struct entry *find(struct tally *t, const struct route *r)
{
    struct entry_key key = {.since_us = r->since_us};
    struct entry *x;
    if (strlen(r->name) >= sizeof key.route)
        return NULL;
    snprintf(key.route, sizeof key.route, "%s", r->name);
    HASH_FIND(hh, t->entries, &key, sizeof key, x);
    if (!x)
        x = make(t, &key);
    if (r->index >= t->nindex)
        grow_index(t, r->index);
    if (x && !x->earlier && r->index < t->nindex)
        t->by_index[r->index] = x;
    return x;
}

static void add(atomic_uint_fast64_t *n, uint64_t by)
{
    atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

static bool failed(enum result_status s)
{
    return s == RESULT_ERROR || s == RESULT_UNAVAILABLE || s == RESULT_TIMEOUT ||
           s == RESULT_BUSY || s == RESULT_UNSUPPORTED;
}

static void count(struct entry *x, const struct route *r, const struct operation *op,
                  const struct result *res, uint64_t duration_ns)
{
    bool answered = res->status == RESULT_OK || res->status == RESULT_NOT_FOUND;
    add(&x->hits, 1);
    if (!operation_is_read(op->kind) || r->stage == STAGE_LEGACY || r->stage == STAGE_RETIRED ||
        (r->group && r->group->owner == SIDE_NEW))
        return;
    if (answered)
        add(&x->seen[op->kind][res->status == RESULT_NOT_FOUND], 1);
    if (r->stage == STAGE_SHADOW)
        return;
    struct counted_arm *a = &x->arm[res->served_by];
    add(&a->requests, 1);
    add(&a->errors, failed(res->status));
    add(&a->slots[arm_slot(duration_ns)], 1);
}

static void client_of(const struct operation *op, char out[24])
{
    unsigned char hash[32];
    struct str id = op->principal ? op->principal->user_id : STR("");
    if (id.len == 0) {
        snprintf(out, 24, "anonymous");
        return;
    }
    SHA256((const unsigned char *)id.data, id.len, hash);
    for (int i = 0; i < 8; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

// Under lock.
static void note_caller(struct tally *t, const struct route *r, const struct operation *op)
{
    char client[24];
    client_of(op, client);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < t->ncallers; i++) {
            if (strcmp(t->callers[i].route, r->name) == 0 &&
                strcmp(t->callers[i].client, client) == 0) {
                t->callers[i].n++;
                return;
            }
        }
        if (t->ncallers < CALLERS_MAX - 1) // the last place is for the others of any route
            break;
        snprintf(client, sizeof client, "other");
    }
    if (t->ncallers == CALLERS_MAX)
        return;
    struct caller *c = &t->callers[t->ncallers++];
    *c = (struct caller){.n = 1};
    snprintf(c->route, sizeof c->route, "%s", r->name);
    snprintf(c->client, sizeof c->client, "%s", client);
}

void tally_note(struct tally *t, const struct route *r, const struct operation *op,
                const struct result *x, uint64_t duration_ns)
{
    struct entry *at = r && r->index < t->nindex ? t->by_index[r->index] : NULL;
    if (!r)
        return;
    if (at && at->key.since_us == r->since_us && strcmp(at->key.route, r->name) == 0 &&
        r->stage != STAGE_RETIRED) {
        count(at, r, op, x, duration_ns);
        return;
    }
    pthread_mutex_lock(&t->lock);
    if ((at = find(t, r)))
        count(at, r, op, x, duration_ns);
    if (r->stage == STAGE_RETIRED)
        note_caller(t, r, op);
    pthread_mutex_unlock(&t->lock);
}

// ---------------------------------------------------------------- the flush

// One entry's counts, taken out.
struct taken {
    struct entry_key key;
    uint64_t hits, seen[3][2];
    struct arm arm[2];
};

static uint64_t take(atomic_uint_fast64_t *n)
{
    return atomic_exchange_explicit(n, 0, memory_order_relaxed);
}

static bool take_entry(struct entry *x, struct taken *out)
{
    *out = (struct taken){.key = x->key, .hits = take(&x->hits)};
    for (int i = 0; i < 6; i++)
        out->seen[i / 2][i % 2] = take(&x->seen[i / 2][i % 2]);
    for (int s = 0; s < 2; s++) {
        out->arm[s].requests = take(&x->arm[s].requests);
        out->arm[s].errors = take(&x->arm[s].errors);
        for (int i = 0; i < ARM_SLOTS; i++)
            out->arm[s].slots[i] = take(&x->arm[s].slots[i]);
    }
    return out->hits > 0;
}

static void put_back(struct tally *t, const struct taken *k)
{
    struct entry *x;
    pthread_mutex_lock(&t->lock);
    HASH_FIND(hh, t->entries, &k->key, sizeof k->key, x);
    for (int i = 0; x && i < 6; i++)
        add(&x->seen[i / 2][i % 2], k->seen[i / 2][i % 2]);
    for (int s = 0; x && s < 2; s++) {
        add(&x->arm[s].requests, k->arm[s].requests);
        add(&x->arm[s].errors, k->arm[s].errors);
        for (int i = 0; i < ARM_SLOTS; i++)
            add(&x->arm[s].slots[i], k->arm[s].slots[i]);
    }
    if (x)
        add(&x->hits, k->hits);
    pthread_mutex_unlock(&t->lock);
}

static int write_seen(const struct taken *k, struct pg_conn *pg, struct err *e)
{
    char since[24], n[24];
    snprintf(since, sizeof since, "%lld", k->key.since_us);
    for (int i = 0; i < 6; i++) {
        if (k->seen[i / 2][i % 2] == 0)
            continue;
        snprintf(n, sizeof n, "%llu", (unsigned long long)k->seen[i / 2][i % 2]);
        const char *p[] = {k->key.route, since, ladder_operations[i / 2], ladder_statuses[i % 2],
                           n};
        if (pg_execz(pg,
                     "INSERT INTO ficus.coverage (route, stage_since, operation, status, seen)"
                     " VALUES ($1, timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3,"
                     " $4, $5::bigint) ON CONFLICT (route, stage_since, operation, status)"
                     " DO UPDATE SET seen = coverage.seen + excluded.seen, at = now()",
                     p, 5, NULL, e))
            return -1;
    }
    return 0;
}

static int write_arm(const struct taken *k, enum side s, struct pg_conn *pg, const char *instance,
                     struct err *e)
{
    char since[24], requests[24], errors[24];
    struct buf slots = BUF_INIT;
    const struct arm *a = &k->arm[s];
    if (a->requests == 0)
        return 0;
    snprintf(since, sizeof since, "%lld", k->key.since_us);
    snprintf(requests, sizeof requests, "%llu", (unsigned long long)a->requests);
    snprintf(errors, sizeof errors, "%llu", (unsigned long long)a->errors);
    for (int i = 0; i < ARM_SLOTS; i++)
        buf_printf(&slots, "%c%llu", i ? ',' : '{', (unsigned long long)a->slots[i]);
    buf_add(&slots, "}\0", 2);
    const char *p[] = {k->key.route, since, side_name(s), instance, requests, errors, slots.data};
    int result = slots.failed
                     ? err_memory(e)
                     : pg_execz(pg,
                                "INSERT INTO ficus.arm (route, stage_since, arm, win, instance,"
                                " requests, errors, slots) VALUES ($1, timestamptz 'epoch' +"
                                " $2::bigint * interval '1 microsecond', $3, to_timestamp(floor("
                                "extract(epoch FROM now()) / 10) * 10), $4, $5::bigint, $6::bigint,"
                                " $7::bigint[]) ON CONFLICT (route, stage_since, arm, win,"
                                " instance) DO UPDATE SET requests = arm.requests +"
                                " excluded.requests, errors = arm.errors + excluded.errors, slots ="
                                " (SELECT array_agg(a + b ORDER BY n) FROM unnest(arm.slots,"
                                " excluded.slots) WITH ORDINALITY x(a, b, n))",
                                p, 7, NULL, e);
    buf_free(&slots);
    return result;
}

static int write_hits(const struct taken *k, struct pg_conn *pg, struct err *e)
{
    char n[24];
    snprintf(n, sizeof n, "%llu", (unsigned long long)k->hits);
    const char *p[] = {k->key.route, n};
    return pg_execz(pg,
                    "INSERT INTO ficus.route_hit (route, hits) VALUES ($1, $2::bigint)"
                    " ON CONFLICT (route) DO UPDATE SET hits = route_hit.hits + excluded.hits,"
                    " last_at = now()",
                    p, 2, NULL, e);
}

// What was written is taken out of `k`, so that a failure gives back only the rest.
static int write_taken(struct taken *k, struct pg_conn *pg, const char *instance, struct err *e)
{
    if (write_seen(k, pg, e))
        return -1;
    memset(k->seen, 0, sizeof k->seen);
    for (int s = 0; s < 2; s++) {
        if (write_arm(k, (enum side)s, pg, instance, e))
            return -1;
        k->arm[s] = (struct arm){.requests = 0};
    }
    return k->hits ? write_hits(k, pg, e) : 0;
}

static int write_caller(const struct caller *c, struct pg_conn *pg, struct err *e)
{
    char n[24];
    snprintf(n, sizeof n, "%llu", c->n);
    const char *p[] = {c->route, c->client, n};
    return pg_execz(pg,
                    "INSERT INTO ficus.retired_hit (route, client, hits) SELECT $1, CASE WHEN"
                    " (SELECT count(*) < 100 OR bool_or(client = $2) FROM ficus.retired_hit"
                    " WHERE route = $1) THEN $2 ELSE 'other' END, $3::bigint ON CONFLICT (route,"
                    " client) DO UPDATE SET hits = retired_hit.hits + excluded.hits,"
                    " last_at = now()",
                    p, 3, NULL, e);
}

// Who called retired routes: only told, so what cannot be written now is let go.
static void flush_callers(struct tally *t, struct pg_conn *pg)
{
    struct err e = {0};
    pthread_mutex_lock(&t->lock);
    size_t n = t->ncallers;
    struct caller *copy = n ? calloc(n, sizeof *copy) : NULL;
    if (copy) {
        memcpy(copy, t->callers, n * sizeof *copy);
        t->ncallers = 0;
    }
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; copy && i < n; i++)
        if (write_caller(&copy[i], pg, &e) && e.code == ERR_UNREACHABLE)
            break;
    free(copy);
}

static void forget(struct tally *t, struct entry *x)
{
    // The analyzer takes an element of a table for one of none.
    HASH_DEL(t->entries, x); // NOLINT(clang-analyzer-core.NullDereference)
    free(x);
}

// Everything that has counted, in an array of its own; earlier stays are freed with it.
static struct taken *take_all(struct tally *t, size_t *n)
{
    struct entry *x, *next = NULL;
    *n = 0;
    pthread_mutex_lock(&t->lock);
    struct taken *all = calloc(HASH_COUNT(t->entries) + 1, sizeof *all);
    for (x = all ? t->entries : NULL; x; x = next) {
        next = x->hh.next;
        *n += take_entry(x, &all[*n]);
        if (x->earlier)
            forget(t, x);
    }
    pthread_mutex_unlock(&t->lock);
    return all;
}

int tally_flush(struct tally *t, struct control *c, const char *instance, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    size_t n;
    if (!pg)
        return -1;
    struct taken *all = take_all(t, &n);
    if (!all)
        return err_memory(e);
    int result = 0;
    for (size_t i = 0; i < n; i++) {
        result = result || write_taken(&all[i], pg, instance, e);
        if (result)
            put_back(t, &all[i]);
    }
    if (result == 0)
        flush_callers(t, pg);
    free(all);
    return result ? -1 : 0;
}
