// SPDX-License-Identifier: Apache-2.0
// What is a difference: a key is read on both sides, a marker goes through both streams, the
// key is read again. Everything committed before the first read has then arrived, whichever
// way it travelled. If the sides agree now, it was in flight. If neither side has moved and
// they still disagree, nothing in flight explains it. If a side moved, the key is still being
// written: another round.
#include "base/clock.h"
#include "cdc/event.h"
#include "cdc/marker.h"
#include "cdc/reconcile_int.h"

#include <stdio.h>

#define ROUNDS    20
#define MARKER_MS 30000
#define BLOCK     500

static int markers(struct scan *s, struct err *e)
{
    char marker[64], uuid[37];
    unsigned want = (unsigned)conf_int(s->o->conf, "kafka.partitions"), to_new = 0, to_legacy = 0;
    uint64_t end = clock_mono_ms() + MARKER_MS;
    uuid_make(uuid);
    snprintf(marker, sizeof marker, "reconcile-%s", uuid);
    if (marker_send_legacy(s->odbc, marker, e) || marker_send_new(s->pg, marker, e))
        return -1;
    while (to_new < want || to_legacy < want) {
        if (marker_count_new(s->pg, marker, &s->entity, 1, &to_new, e) ||
            marker_count_legacy(s->odbc, marker, &s->entity, 1, &to_legacy, e))
            return -1;
        if (to_new >= want && to_legacy >= want)
            break;
        if (clock_mono_ms() > end)
            return err_set(e, ERR_TIMEOUT,
                           "%s: markers did not arrive (%u of %u in new, %u of %u in legacy)"
                           " within %d s; is ficus sync running?",
                           s->entity->name, to_new, want, to_legacy, want, MARKER_MS / 1000);
        clock_sleep_ms(5);
    }
    return 0;
}

// One field's value for people: personal data only by its length.
static struct value shown(const struct scan *s, const struct field *f, struct value v)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
        return v;
    if (f->personal || f->secret)
        return value_set(arena_printf(s->keep, "(%u bytes)", v.len));
    size_t len = v.len > 200 ? 200 : v.len;
    return value_set(arena_str(s->keep, str_n(v.data, len)));
}

static void add_difference(struct scan *s, struct str key, const char *kind, const struct field *f,
                           struct value legacy, struct value new_)
{
    struct entity_report *r = s->report;
    if (r->nsamples == SAMPLES_MAX)
        return;
    if (!r->samples && !(r->samples = arena_array(s->keep, SAMPLES_MAX, sizeof *r->samples)))
        return;
    r->samples[r->nsamples++] = (struct difference){.key = arena_str(s->keep, key),
                                                    .kind = kind,
                                                    .field = f ? f->name : "",
                                                    .legacy = f ? shown(s, f, legacy)
                                                                : value_null(),
                                                    .new_ = f ? shown(s, f, new_) : value_null()};
}

static void report_row(struct scan *s, struct str key, const struct value *l, const struct value *n)
{
    s->report->differences++;
    if (!l || !n) {
        add_difference(s, key, l ? "missing_new" : "missing_legacy", NULL, value_null(),
                       value_null());
        return;
    }
    for (size_t i = 0; i < s->side[0].nfields; i++)
        if (l[i].state == VALUE_FOREIGN || n[i].state == VALUE_FOREIGN || !value_eq(l[i], n[i]))
            add_difference(s, key, "field", s->side[0].fields[i], l[i], n[i]);
}

static bool stood_still(const struct scan *s, const struct value *a, const struct value *b)
{
    if (!a || !b)
        return a == b;
    for (size_t i = 0; i < s->side[0].nfields; i++)
        if (!value_eq(a[i], b[i]))
            return false;
    return true;
}

static int read_both(struct scan *s, const struct str *keys, size_t n, struct reader_row **l,
                     struct reader_row **w, struct err *e)
{
    *l = arena_array(s->chunk, n, sizeof **l);
    *w = arena_array(s->chunk, n, sizeof **w);
    if (!*l || !*w)
        return err_memory(e);
    return reader_keys(&s->side[SIDE_LEGACY], keys, n, s->chunk, *l, e) ||
                   reader_keys(&s->side[SIDE_NEW], keys, n, s->chunk, *w, e)
               ? -1
               : 0;
}

// One block of candidates through one round. Keys that must be looked at again stay at the
// front of `keys`; returns how many, -1 on error.
static long settle_round(struct scan *s, struct str *keys, size_t n, struct err *e)
{
    struct reader_row *l1, *n1, *l2, *n2;
    size_t again = 0;
    arena_reset(s->chunk);
    if (read_both(s, keys, n, &l1, &n1, e) || markers(s, e) || read_both(s, keys, n, &l2, &n2, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (rows_agree(s, l2[i].values, n2[i].values))
            s->report->settled++;
        else if (stood_still(s, l1[i].values, l2[i].values) &&
                 stood_still(s, n1[i].values, n2[i].values))
            report_row(s, keys[i], l2[i].values, n2[i].values);
        else
            keys[again++] = keys[i];
    }
    return (long)again;
}

int settle(struct scan *s, struct err *e)
{
    unsigned rounds = s->o->rounds ? s->o->rounds : ROUNDS;
    for (size_t at = 0; at < s->ncandidates; at += BLOCK) {
        long left = (long)(s->ncandidates - at < BLOCK ? s->ncandidates - at : BLOCK);
        for (unsigned r = 0; r < rounds && left > 0; r++)
            if ((left = settle_round(s, s->candidates + at, (size_t)left, e)) < 0)
                return -1;
        s->report->unsettled += left;
    }
    return 0;
}
