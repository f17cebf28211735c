// SPDX-License-Identifier: Apache-2.0
// Counters by route (atomics) and a bounded ring of mismatch samples (one mutex, rarely held),
// drained to ficus.shadow_stat and ficus.mismatch.
#include "facade/evidence.h"

#include "base/metrics.h"
#include "routes/control.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX 1024
#define TEXT_MAX    256

struct sample {
    char route[64], entity[64], key[160], field[64], legacy[TEXT_MAX], new_[TEXT_MAX],
        request[TEXT_MAX];
};

struct tally {
    char route[64];
    atomic_ullong n[EVIDENCE_OUTCOMES];
    unsigned long long sent[EVIDENCE_OUTCOMES]; // the flushing thread's
    struct metric *metric[EVIDENCE_OUTCOMES];
};

struct evidence {
    struct tally *tallies;
    size_t ntallies;
    pthread_mutex_t lock;
    struct sample *samples; // under lock
    size_t nsamples;        // under lock
};

static const char *const outcome_names[] = {"match", "mismatch", "stale", "dropped"};

struct evidence *evidence_create(const struct route_table *t, struct err *e)
{
    struct evidence *v = calloc(1, sizeof *v);
    if (!v || !(v->tallies = calloc(route_count(t) + 1, sizeof *v->tallies)) ||
        !(v->samples = calloc(SAMPLES_MAX, sizeof *v->samples))) {
        evidence_destroy(v);
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&v->lock, NULL);
    v->ntallies = route_count(t);
    for (size_t i = 0; i < v->ntallies; i++) {
        snprintf(v->tallies[i].route, sizeof v->tallies[i].route, "%s", route_at(t, i)->name);
        for (int o = 0; o < EVIDENCE_OUTCOMES; o++) {
            char labels[160];
            snprintf(labels, sizeof labels, "route=\"%s\",outcome=\"%s\"", v->tallies[i].route,
                     outcome_names[o]);
            v->tallies[i].metric[o] = metrics_counter("ficus_shadow_total",
                                                      "Shadow comparisons by outcome.", labels);
        }
    }
    return v;
}

void evidence_destroy(struct evidence *v)
{
    if (!v)
        return;
    free(v->tallies);
    free(v->samples);
    free(v);
}

static struct tally *tally_of(struct evidence *v, const struct route *r)
{
    for (size_t i = 0; i < v->ntallies; i++)
        if (strcmp(v->tallies[i].route, r->name) == 0)
            return &v->tallies[i];
    return NULL; // a route that came with a reload: counted from the next start
}

void evidence_count(struct evidence *v, const struct route *r, enum evidence_outcome o)
{
    struct tally *t = tally_of(v, r);
    if (!t)
        return;
    atomic_fetch_add(&t->n[o], 1);
    metric_add(t->metric[o], 1);
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

static int flush_tally(struct tally *t, struct pg_conn *pg, const char *instance, struct err *e)
{
    char n[EVIDENCE_OUTCOMES][24];
    unsigned long long now[EVIDENCE_OUTCOMES];
    bool changed = false;
    for (int o = 0; o < EVIDENCE_OUTCOMES; o++) {
        now[o] = atomic_load(&t->n[o]);
        changed |= now[o] != t->sent[o];
        snprintf(n[o], sizeof n[o], "%llu", now[o] - t->sent[o]);
    }
    if (!changed)
        return 0;
    const char *p[] = {t->route,          instance,
                       n[EVIDENCE_MATCH], n[EVIDENCE_MISMATCH],
                       n[EVIDENCE_STALE], n[EVIDENCE_DROPPED]};
    if (pg_execz(pg,
                 "INSERT INTO ficus.shadow_stat (route, instance, stage_since, matched,"
                 " mismatched, stale, dropped) SELECT $1, $2, changed_at, $3::bigint, $4::bigint,"
                 " $5::bigint, $6::bigint FROM ficus.route_state WHERE route = $1"
                 " ON CONFLICT (route, instance, stage_since) DO UPDATE SET"
                 " matched = shadow_stat.matched + excluded.matched,"
                 " mismatched = shadow_stat.mismatched + excluded.mismatched,"
                 " stale = shadow_stat.stale + excluded.stale,"
                 " dropped = shadow_stat.dropped + excluded.dropped, at = now()",
                 p, 6, NULL, e))
        return -1;
    memcpy(t->sent, now, sizeof now);
    return 0;
}

static int flush_sample(const struct sample *s, struct pg_conn *pg, struct err *e)
{
    const char *p[] = {s->route, s->entity, s->key, s->field, s->legacy, s->new_, s->request};
    return pg_execz(pg,
                    "INSERT INTO ficus.mismatch (route, entity, k, field, legacy_value,"
                    " new_value, request) VALUES ($1,$2,$3,$4,$5,$6,$7)",
                    p, 7, NULL, e);
}

int evidence_flush(struct evidence *v, struct control *c, const char *instance, struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    if (!pg)
        return -1;
    for (size_t i = 0; i < v->ntallies; i++)
        if (flush_tally(&v->tallies[i], pg, instance, e))
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
