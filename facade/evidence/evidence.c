// SPDX-License-Identifier: Apache-2.0
// Counters by route and stay, and a bounded ring of mismatch samples, under one mutex that is
// held for moments; drained to ficus.shadow_stat and ficus.mismatch.
#include "facade/evidence/evidence.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "facade/canonical.h"
#include "routes/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define SAMPLES_MAX   1024
#define TEXT_MAX      256
#define OPERATION_MAX 8192 // bytes of a request that is kept
#define NOISES_MAX    256

struct sample {
    char route[64], entity[64], key[160], field[64], legacy[TEXT_MAX], new_[TEXT_MAX],
        request[TEXT_MAX], unkept[64];
    const char *kind;
    char *operation; // owned; NULL: not kept
    uint64_t at_us;  // wall clock
};

// A field of a route that differed between two reads of the legacy; field "": pairs of reads.
struct noise {
    char route[64], field[64], key[160];
    unsigned long long n;
};

// Of one stay of a route at a stage.
struct stay_key {
    char route[64];
    long long since_us;
};
struct stay {
    struct stay_key key;
    unsigned long long n[EVIDENCE_OUTCOMES]; // not yet written
    unsigned long long compared[3][2];       // likewise; by get, list, count; ok, not found
    struct metric *metric[EVIDENCE_OUTCOMES];
    UT_hash_handle hh;
};

struct evidence {
    pthread_mutex_t lock;
    struct stay *stays;              // under lock
    struct sample *samples;          // under lock
    size_t nsamples;                 // under lock
    struct noise noises[NOISES_MAX]; // under lock; since the last flush
    size_t nnoises;                  // under lock
};

static const char *const outcome_names[] = {"match", "ignored", "mismatch", "stale", "dropped"};

struct evidence *evidence_create(struct err *e)
{
    struct evidence *v = calloc(1, sizeof *v);
    if (!v || !(v->samples = calloc(SAMPLES_MAX, sizeof *v->samples))) {
        free(v);
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void evidence_destroy(struct evidence *v)
{
    struct stay *t, *next;
    if (!v)
        return;
    HASH_ITER(hh, v->stays, t, next)
    {
        HASH_DEL(v->stays, t);
        free(t);
    }
    for (size_t i = 0; i < v->nsamples; i++)
        free(v->samples[i].operation);
    pthread_mutex_destroy(&v->lock);
    free(v->samples);
    free(v);
}

// Under lock. NULL on no memory.
static struct stay *stay_of(struct evidence *v, const struct route *r)
{
    struct stay_key key = {.since_us = r->since_us};
    struct stay *t;
    snprintf(key.route, sizeof key.route, "%s", r->name);
    HASH_FIND(hh, v->stays, &key, sizeof key, t);
    if (t || !(t = calloc(1, sizeof *t)))
        return t;
    t->key = key;
    for (int o = 0; o < EVIDENCE_OUTCOMES; o++) {
        char labels[160];
        snprintf(labels, sizeof labels, "route=\"%s\",outcome=\"%s\"", key.route, outcome_names[o]);
        t->metric[o] = metrics_counter("ficus_shadow_total", "Shadow comparisons by outcome.",
                                       labels);
    }
    HASH_ADD(hh, v->stays, key, sizeof t->key, t);
    return t;
}

void evidence_count(struct evidence *v, const struct route *r, enum evidence_outcome o,
                    const struct operation *op, enum result_status told)
{
    pthread_mutex_lock(&v->lock);
    struct stay *t = stay_of(v, r);
    if (t) {
        t->n[o]++;
        metric_add(t->metric[o], 1);
        if (o <= EVIDENCE_MISMATCH && operation_is_read(op->kind))
            t->compared[op->kind][told == RESULT_NOT_FOUND]++;
    }
    pthread_mutex_unlock(&v->lock);
}

void evidence_show(char *out, size_t size, const struct field *f, struct value v)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
        snprintf(out, size, "%s", v.state == VALUE_NULL ? "NULL" : "(absent)");
    else if (f && (f->personal || f->secret))
        snprintf(out, size, "(%u bytes)", v.len);
    else
        snprintf(out, size, "%.*s", (int)(v.len < size - 1 ? v.len : size - 1),
                 v.data ? v.data : "");
}

static bool names_personal(const struct filter *f)
{
    bool found = f->field && (f->field->personal || f->field->secret) && f->nvalues;
    for (size_t i = 0; i < f->nchildren && !found; i++)
        found = names_personal(f->children[i]);
    return found;
}

// The request as canonical JSON, to be asked again; NULL with the reason in `unkept`. Owned.
static char *keep_operation(const struct operation *op, char unkept[64])
{
    struct buf out = {.limit = OPERATION_MAX};
    if (op->query.filter && names_personal(op->query.filter)) {
        snprintf(unkept, 64, "it names a personal value");
        return NULL;
    }
    canonical_write_operation(op, &out);
    buf_addc(&out, 0);
    if (!out.failed)
        return out.data; // the caller's now
    snprintf(unkept, 64, "it is too large");
    buf_free(&out);
    return NULL;
}

static void fill_sample(struct sample *s, const struct route *r, const struct operation *op,
                        const struct mismatch *m)
{
    s->at_us = clock_wall_us();
    s->kind = mismatch_kind(m);
    snprintf(s->route, sizeof s->route, "%s", r->name);
    snprintf(s->entity, sizeof s->entity, "%s", op->entity->name);
    snprintf(s->key, sizeof s->key, "%.*s", (int)(m->key.len < 150 ? m->key.len : 150),
             m->key.data ? m->key.data : "");
    snprintf(s->field, sizeof s->field, "%s", m->field ? m->field->name : "");
    evidence_show(s->legacy, sizeof s->legacy, m->field, m->legacy);
    evidence_show(s->new_, sizeof s->new_, m->field, m->new_);
    snprintf(s->request, sizeof s->request, "%s", op->request_line ? op->request_line : "");
}

void evidence_sample(struct evidence *v, const struct route *r, const struct operation *op,
                     const struct mismatch *m)
{
    char unkept[64] = "";
    char *operation = keep_operation(op, unkept);
    pthread_mutex_lock(&v->lock);
    if (v->nsamples < SAMPLES_MAX) {
        struct sample *s = &v->samples[v->nsamples++];
        fill_sample(s, r, op, m);
        s->operation = operation;
        snprintf(s->unkept, sizeof s->unkept, "%s", unkept);
        operation = NULL;
    }
    pthread_mutex_unlock(&v->lock);
    free(operation);
}

// Under lock.
static void add_noise(struct evidence *v, const char *route, const char *field, struct str key)
{
    size_t i = 0;
    while (i < v->nnoises &&
           (strcmp(v->noises[i].route, route) != 0 || strcmp(v->noises[i].field, field) != 0))
        i++;
    if (i == NOISES_MAX)
        return;
    struct noise *n = &v->noises[i];
    if (i == v->nnoises) {
        v->nnoises++;
        *n = (struct noise){.n = 0};
        snprintf(n->route, sizeof n->route, "%s", route);
        snprintf(n->field, sizeof n->field, "%s", field);
    }
    n->n++;
    snprintf(n->key, sizeof n->key, "%.*s", (int)(key.len < 150 ? key.len : 150),
             key.data ? key.data : "");
}

void evidence_noise(struct evidence *v, const struct route *r, const struct mismatch *m, unsigned n)
{
    pthread_mutex_lock(&v->lock);
    add_noise(v, r->name, "", STR(""));
    for (unsigned i = 0; i < n && i < MISMATCHES_MAX; i++)
        if (m[i].field)
            add_noise(v, r->name, m[i].field->name, m[i].key);
    pthread_mutex_unlock(&v->lock);
}

static int write_cover(const struct stay *t, struct pg_conn *pg, struct err *e)
{
    char since[24], n[24];
    snprintf(since, sizeof since, "%lld", t->key.since_us);
    for (int i = 0; i < 6; i++) {
        if (t->compared[i / 2][i % 2] == 0)
            continue;
        snprintf(n, sizeof n, "%llu", t->compared[i / 2][i % 2]);
        const char *p[] = {t->key.route, since, ladder_operations[i / 2], ladder_statuses[i % 2],
                           n};
        if (pg_execz(pg,
                     "INSERT INTO ficus.coverage (route, stage_since, operation, status, compared)"
                     " VALUES ($1, timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3,"
                     " $4, $5::bigint) ON CONFLICT (route, stage_since, operation, status)"
                     " DO UPDATE SET compared = coverage.compared + excluded.compared, at = now()",
                     p, 5, NULL, e))
            return -1;
    }
    return 0;
}

static int write_stay(const struct stay *t, struct pg_conn *pg, const char *instance, struct err *e)
{
    char n[EVIDENCE_OUTCOMES][24], since[24];
    for (int o = 0; o < EVIDENCE_OUTCOMES; o++)
        snprintf(n[o], sizeof n[o], "%llu", t->n[o]);
    snprintf(since, sizeof since, "%lld", t->key.since_us);
    const char *p[] = {t->key.route,
                       instance,
                       since,
                       n[EVIDENCE_MATCH],
                       n[EVIDENCE_IGNORED],
                       n[EVIDENCE_MISMATCH],
                       n[EVIDENCE_STALE],
                       n[EVIDENCE_DROPPED]};
    return pg_execz(pg,
                    "INSERT INTO ficus.shadow_stat (route, instance, stage_since, matched,"
                    " ignored, mismatched, stale, dropped) VALUES ($1, $2, timestamptz 'epoch'"
                    " + $3::bigint * interval '1 microsecond', $4::bigint, $5::bigint, $6::bigint,"
                    " $7::bigint, $8::bigint)"
                    " ON CONFLICT (route, instance, stage_since) DO UPDATE SET"
                    " matched = shadow_stat.matched + excluded.matched,"
                    " ignored = shadow_stat.ignored + excluded.ignored,"
                    " mismatched = shadow_stat.mismatched + excluded.mismatched,"
                    " stale = shadow_stat.stale + excluded.stale,"
                    " dropped = shadow_stat.dropped + excluded.dropped, at = now()",
                    p, 8, NULL, e);
}

// Takes what one tally has counted; empty ones are forgotten. False: nothing is left.
static bool take_stay(struct evidence *v, struct stay *out)
{
    struct stay *t, *next;
    bool found = false;
    pthread_mutex_lock(&v->lock);
    HASH_ITER(hh, v->stays, t, next)
    {
        for (int o = 0; o < EVIDENCE_OUTCOMES; o++)
            found |= t->n[o] > 0;
        for (int i = 0; i < 6; i++)
            found |= t->compared[i / 2][i % 2] > 0;
        if (found) {
            *out = *t;
            memset(t->n, 0, sizeof t->n);
            memset(t->compared, 0, sizeof t->compared);
            break;
        }
        HASH_DEL(v->stays, t);
        free(t);
    }
    pthread_mutex_unlock(&v->lock);
    return found;
}

static void give_back(struct evidence *v, const struct stay *taken)
{
    struct route r = {.name = taken->key.route, .since_us = taken->key.since_us};
    pthread_mutex_lock(&v->lock);
    struct stay *t = stay_of(v, &r);
    for (int o = 0; t && o < EVIDENCE_OUTCOMES; o++)
        t->n[o] += taken->n[o];
    for (int i = 0; t && i < 6; i++)
        t->compared[i / 2][i % 2] += taken->compared[i / 2][i % 2];
    pthread_mutex_unlock(&v->lock);
}

static int flush_stays(struct evidence *v, struct pg_conn *pg, const char *instance, struct err *e)
{
    struct stay taken;
    while (take_stay(v, &taken))
        if (write_stay(&taken, pg, instance, e)) {
            give_back(v, &taken);
            return -1;
        } else if (write_cover(&taken, pg, e)) {
            memset(taken.n, 0, sizeof taken.n);
            give_back(v, &taken);
            return -1;
        }
    return 0;
}

static int flush_sample(const struct sample *s, struct pg_conn *pg, struct err *e)
{
    char at[24];
    snprintf(at, sizeof at, "%llu", (unsigned long long)s->at_us);
    const char *p[] = {s->route,   s->entity, s->key,  s->field,     s->legacy, s->new_,
                       s->request, at,        s->kind, s->operation, s->unkept};
    return pg_execz(
        pg,
        "INSERT INTO ficus.mismatch (route, entity, k, field, legacy_value,"
        " new_value, request, at, kind, operation, unkept) VALUES ($1,$2,$3,$4,$5,$6,$7,"
        " timestamptz 'epoch' + $8::bigint * interval '1 microsecond', $9,"
        " $10::jsonb, $11)",
        p, 11, NULL, e);
}

// Only told: what cannot be written now is let go.
static void flush_noise(struct evidence *v, struct pg_conn *pg)
{
    struct err e = {0};
    pthread_mutex_lock(&v->lock);
    size_t n = v->nnoises;
    struct noise *copy = n ? calloc(n, sizeof *copy) : NULL;
    if (copy) {
        memcpy(copy, v->noises, n * sizeof *copy);
        v->nnoises = 0;
    }
    pthread_mutex_unlock(&v->lock);
    for (size_t i = 0; copy && i < n; i++) {
        char count[24];
        snprintf(count, sizeof count, "%llu", copy[i].n);
        const char *p[] = {copy[i].route, copy[i].field, count, copy[i].key};
        if (pg_execz(pg,
                     "INSERT INTO ficus.noise (route, field, n, last_key) VALUES ($1, $2,"
                     " $3::bigint, $4) ON CONFLICT (route, field) DO UPDATE SET n = noise.n +"
                     " excluded.n, last_key = excluded.last_key, last_at = now()",
                     p, 4, NULL, &e))
            break;
    }
    free(copy);
}

int evidence_flush(struct evidence *v, struct control *c, const char *instance, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    if (!pg)
        return -1;
    if (flush_stays(v, pg, instance, e))
        return -1;
    pthread_mutex_lock(&v->lock);
    size_t n = v->nsamples;
    struct sample *copy = n ? calloc(n, sizeof *copy) : NULL;
    if (copy) {
        memcpy(copy, v->samples, n * sizeof *copy);
        v->nsamples = 0;
    }
    pthread_mutex_unlock(&v->lock);
    int result = 0;
    for (size_t i = 0; copy && i < n && result == 0; i++) {
        struct err one = {0};
        // A sample cut inside a character is refused as text: it is only a sample.
        if (flush_sample(&copy[i], pg, &one) && one.code == ERR_UNREACHABLE) {
            *e = one;
            result = -1;
        }
    }
    for (size_t i = 0; copy && i < n; i++)
        free(copy[i].operation);
    free(copy);
    if (result == 0)
        flush_noise(v, pg);
    return result;
}
