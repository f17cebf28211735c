// SPDX-License-Identifier: Apache-2.0
// Counters by route and stay, and a bounded ring of mismatch samples, under one mutex that is
// held for moments; drained to ficus.shadow_stat and ficus.mismatch.
#include "facade/evidence.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "routes/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#define SAMPLES_MAX 1024
#define TEXT_MAX    256

struct sample {
    char route[64], entity[64], key[160], field[64], legacy[TEXT_MAX], new_[TEXT_MAX],
        request[TEXT_MAX];
    uint64_t at_us; // wall clock
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
    struct stay *stays;     // under lock
    struct sample *samples; // under lock
    size_t nsamples;        // under lock
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

static void show(char *out, size_t size, const struct field *f, struct value v)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
        snprintf(out, size, "NULL");
    else if (f && (f->personal || f->secret))
        snprintf(out, size, "(%u bytes)", v.len);
    else
        snprintf(out, size, "%.*s", (int)(v.len < size - 1 ? v.len : size - 1),
                 v.data ? v.data : "");
}

void evidence_sample(struct evidence *v, const struct route *r, const struct operation *op,
                     const struct mismatch *m)
{
    pthread_mutex_lock(&v->lock);
    if (v->nsamples < SAMPLES_MAX) {
        struct sample *s = &v->samples[v->nsamples++];
        s->at_us = clock_wall_us();
        snprintf(s->route, sizeof s->route, "%s", r->name);
        snprintf(s->entity, sizeof s->entity, "%s", op->entity->name);
        snprintf(s->key, sizeof s->key, "%.*s", (int)(m->key.len < 150 ? m->key.len : 150),
                 m->key.data ? m->key.data : "");
        snprintf(s->field, sizeof s->field, "%s", m->field ? m->field->name : "");
        show(s->legacy, sizeof s->legacy, m->field, m->legacy);
        show(s->new_, sizeof s->new_, m->field, m->new_);
        snprintf(s->request, sizeof s->request, "%s", op->request_line ? op->request_line : "");
    }
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
    const char *p[] = {s->route, s->entity, s->key, s->field, s->legacy, s->new_, s->request, at};
    return pg_execz(pg,
                    "INSERT INTO ficus.mismatch (route, entity, k, field, legacy_value,"
                    " new_value, request, at) VALUES ($1,$2,$3,$4,$5,$6,$7, timestamptz 'epoch'"
                    " + $8::bigint * interval '1 microsecond')",
                    p, 8, NULL, e);
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
    free(copy);
    return result;
}
