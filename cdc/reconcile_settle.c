// SPDX-License-Identifier: Apache-2.0
// What is a difference: every candidate is read on both sides, a marker goes through both
// streams, every candidate is read again. Everything committed before the first read has then
// arrived, whichever way it travelled. If the sides agree now, it was in flight. If neither side
// has moved and they still disagree, nothing in flight explains it. If a side moved, the key is
// still being written: another round, with those that are left. Of the first read only a hash of
// each row is kept, so that one marker serves all candidates. A row that went and came back reads
// the same: the legacy's changelog tells that it moved.
#include "base/clock.h"
#include "cdc/event.h"
#include "cdc/marker.h"
#include "cdc/reconcile_int.h"
#include "cdc/sync_int.h"

#include <stdio.h>

#define ROUNDS    20
#define MARKER_MS 30000
#define BLOCK     500
#define SHOWN_MAX 200 // bytes of a value

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
    return value_set(park_text(str_utf8_cut(value_str(v), SHOWN_MAX), SHOWN_MAX, s->keep));
}

static struct str shown_key(const struct scan *s, struct str key)
{
    for (size_t i = 0; i < s->entity->nkeys; i++)
        if (s->entity->keys[i]->personal || s->entity->keys[i]->secret)
            return arena_printf(s->keep, "(%zu bytes)", key.len);
    return park_text(key, key.len, s->keep);
}

static void add_difference(struct scan *s, struct str key, const char *kind, const struct field *f,
                           struct value legacy, struct value new_)
{
    struct entity_report *r = s->report;
    if (r->nsamples == SAMPLES_MAX) {
        r->samples_cut = true;
        return;
    }
    if (!r->samples && !(r->samples = arena_array(s->keep, SAMPLES_MAX, sizeof *r->samples)))
        return;
    r->samples[r->nsamples++] = (struct difference){.key = shown_key(s, key),
                                                    .real_key = key,
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

static XXH128_hash_t row_hash(const struct scan *s, const struct value *v)
{
    XXH3_state_t h;
    XXH3_128bits_reset(&h);
    for (size_t i = 0; v && i < s->side[0].nfields; i++) {
        XXH3_128bits_update(&h, &v[i].state, sizeof v[i].state);
        XXH3_128bits_update(&h, &v[i].len, sizeof v[i].len);
        if (v[i].state == VALUE_SET || v[i].state == VALUE_FOREIGN)
            XXH3_128bits_update(&h, v[i].data, v[i].len);
    }
    return XXH3_128bits_digest(&h);
}

static bool stood_still(const struct scan *s, const struct candidate *c,
                        const struct reader_row *legacy, const struct reader_row *new_)
{
    return XXH128_isEqual(c->hash[SIDE_LEGACY], row_hash(s, legacy->values)) &&
           XXH128_isEqual(c->hash[SIDE_NEW], row_hash(s, new_->values));
}

// *moved: the legacy's changelog tells of the key beyond `after`.
static int moved_since(struct scan *s, struct str key, long long after, bool *moved, struct err *e)
{
    char seq[24];
    struct rows rows;
    snprintf(seq, sizeof seq, "%lld", after);
    struct value p[] = {value_set(str_of(seq)), value_set(str_of(s->entity->name)), value_set(key)};
    if (odbc_query(s->odbc,
                   STR("SELECT COUNT(*) FROM ficus_changelog WHERE seq > ? AND entity = ?"
                       " AND k = ?"),
                   p, 3, s->chunk, 1, &rows, e))
        return err_prefix(e, "changelog");
    *moved = rows.nrows != 1 || !str_eqz(value_str(rows.cells[0]), "0");
    return 0;
}

static int changelog_end(struct scan *s, long long *out, struct err *e)
{
    struct rows rows;
    arena_reset(s->chunk);
    if (odbc_query(s->odbc, STR("SELECT COALESCE(MAX(seq), 0) FROM ficus_changelog"), NULL, 0,
                   s->chunk, 1, &rows, e))
        return err_prefix(e, "changelog");
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out))
        return err_set(e, ERR_INTERNAL, "the changelog has no end");
    return 0;
}

static int read_both(struct scan *s, const struct candidate *c, size_t n, struct reader_row **l,
                     struct reader_row **w, struct err *e)
{
    arena_reset(s->chunk);
    struct str *keys = arena_array(s->chunk, n, sizeof *keys);
    *l = arena_array(s->chunk, n, sizeof **l);
    *w = arena_array(s->chunk, n, sizeof **w);
    if (!keys || !*l || !*w)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        keys[i] = c[i].key;
    return reader_keys(&s->side[SIDE_LEGACY], keys, n, s->chunk, *l, e) ||
                   reader_keys(&s->side[SIDE_NEW], keys, n, s->chunk, *w, e)
               ? -1
               : 0;
}

static int remember(struct scan *s, struct candidate *c, size_t n, struct err *e)
{
    struct reader_row *l, *w;
    if (read_both(s, c, n, &l, &w, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        c[i].hash[SIDE_LEGACY] = row_hash(s, l[i].values);
        c[i].hash[SIDE_NEW] = row_hash(s, w[i].values);
    }
    return 0;
}

// Behind the markers. Keys that must be looked at again go to `left`, from *nleft on.
static int judge(struct scan *s, const struct candidate *c, size_t n, long long after,
                 struct candidate *left, size_t *nleft, struct err *e)
{
    struct reader_row *l, *w;
    if (read_both(s, c, n, &l, &w, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool moved = !stood_still(s, &c[i], &l[i], &w[i]);
        if (rows_agree(s, l[i].values, w[i].values)) {
            s->report->settled++;
            continue;
        }
        if (!moved && moved_since(s, c[i].key, after, &moved, e))
            return -1;
        if (moved)
            left[(*nleft)++] = c[i];
        else
            report_row(s, c[i].key, l[i].values, w[i].values);
    }
    return 0;
}

static size_t block_at(size_t at, size_t n)
{
    return n - at < BLOCK ? n - at : BLOCK;
}

// All candidates through one round. Those that must be looked at again stay at the front.
static int settle_round(struct scan *s, size_t *n, struct err *e)
{
    long long after;
    size_t left = 0;
    if (changelog_end(s, &after, e))
        return -1;
    for (size_t at = 0; at < *n; at += BLOCK)
        if (remember(s, s->candidates + at, block_at(at, *n), e))
            return -1;
    if (markers(s, e))
        return -1;
    for (size_t at = 0; at < *n; at += BLOCK)
        if (judge(s, s->candidates + at, block_at(at, *n), after, s->candidates, &left, e))
            return -1;
    *n = left;
    return 0;
}

int settle(struct scan *s, struct err *e)
{
    unsigned rounds = s->o->rounds ? s->o->rounds : ROUNDS;
    size_t left = s->ncandidates;
    for (unsigned r = 0; r < rounds && left > 0; r++)
        if (settle_round(s, &left, e))
            return -1;
    s->report->unsettled += (long long)left;
    return 0;
}
