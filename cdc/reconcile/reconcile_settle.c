// SPDX-License-Identifier: Apache-2.0
// What is a difference: every candidate is read on both sides, a marker goes through both
// streams, every candidate is read again. Everything committed before the first read has then
// arrived, whichever way it travelled. If the sides agree now, it was in flight. If neither side
// has moved and they still disagree, nothing in flight explains it. If a side moved, the key is
// still being written: another round, with those that are left. Of the first read only a hash of
// each row is kept, so that one marker serves a whole batch of candidates. A row that went and
// came back reads the same: the legacy's changelog and the new row's version tell that it moved.
#include "base/clock.h"
#include "cdc/event/event.h"
#include "cdc/keymap.h"
#include "cdc/marker.h"
#include "cdc/reconcile/reconcile_cause.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS    20
#define MARKER_MS 30000
#define BLOCK     500
#define BATCH     50000 // candidates that one marker serves

// A key whose sides did not agree, with what they held at the first read of a round.
struct candidate {
    struct str key;
    XXH128_hash_t hash[2]; // by side
    uint64_t version;      // of the new side's row: it may come back to what it was
};

struct batch {
    struct pass *p;
    struct arena *keys;
    struct candidate *list;
    size_t n;
    struct causes *causes;
    struct buf flat;
};

bool rows_agree(const struct pass *p, const struct value *legacy, const struct value *new_)
{
    if (!legacy || !new_)
        return legacy == new_;
    for (size_t i = 0; i < p->side[0].nfields; i++)
        if (legacy[i].state == VALUE_FOREIGN || new_[i].state == VALUE_FOREIGN ||
            !value_eq(legacy[i], new_[i]))
            return false;
    return true;
}

static int markers(struct pass *p, struct err *e)
{
    char marker[64], uuid[37];
    unsigned want = (unsigned)conf_int(p->o->conf, "kafka.partitions"), to_new = 0, to_legacy = 0;
    uint64_t end = clock_mono_ms() + MARKER_MS;
    uuid_make(uuid);
    snprintf(marker, sizeof marker, "reconcile-%s", uuid);
    if (marker_send_legacy(p->odbc, marker, e) || marker_send_new(p->pg, marker, e))
        return -1;
    while (to_new < want || to_legacy < want) {
        if (marker_count_new(p->pg, marker, &p->entity, 1, &to_new, e) ||
            marker_count_legacy(p->odbc, marker, &p->entity, 1, &to_legacy, e))
            return -1;
        if (to_new >= want && to_legacy >= want)
            break;
        if (clock_mono_ms() > end)
            return err_set(e, ERR_TIMEOUT,
                           "%s: markers did not arrive (%u of %u in new, %u of %u in legacy)"
                           " within %d s; is ficus sync running?",
                           p->entity->name, to_new, want, to_legacy, want, MARKER_MS / 1000);
        clock_sleep_ms(5);
    }
    return 0;
}

static bool stood_still(struct batch *b, const struct candidate *c, const struct reader_row *legacy,
                        const struct reader_row *new_)
{
    return XXH128_isEqual(c->hash[SIDE_LEGACY],
                          scan_hash(&b->p->side[SIDE_LEGACY], legacy->values, &b->flat)) &&
           XXH128_isEqual(c->hash[SIDE_NEW],
                          scan_hash(&b->p->side[SIDE_NEW], new_->values, &b->flat)) &&
           c->version == XXH3_64bits(new_->version.data, new_->version.len);
}

// *moved: the legacy's changelog tells of the key beyond `after`.
static int moved_since(struct pass *p, struct str key, long long after, bool *moved, struct err *e)
{
    char seq[24];
    struct rows rows;
    snprintf(seq, sizeof seq, "%lld", after);
    struct value v[] = {value_set(str_of(seq)), value_set(str_of(p->entity->name)), value_set(key)};
    if (odbc_query(p->odbc,
                   STR("SELECT COUNT(*) FROM ficus_changelog WHERE seq > ? AND entity = ?"
                       " AND k = ?"),
                   v, 3, p->chunk, 1, &rows, e))
        return err_prefix(e, "changelog");
    *moved = rows.nrows != 1 || !str_eqz(value_str(rows.cells[0]), "0");
    return 0;
}

static int changelog_end(struct pass *p, long long *out, struct err *e)
{
    struct rows rows;
    arena_reset(p->chunk);
    if (odbc_query(p->odbc, STR("SELECT COALESCE(MAX(seq), 0) FROM ficus_changelog"), NULL, 0,
                   p->chunk, 1, &rows, e))
        return err_prefix(e, "changelog");
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out))
        return err_set(e, ERR_INTERNAL, "the changelog has no end");
    return 0;
}

static int read_both(struct pass *p, const struct candidate *c, size_t n, struct reader_row **l,
                     struct reader_row **w, struct err *e)
{
    arena_reset(p->chunk);
    struct str *keys = arena_array(p->chunk, n, sizeof *keys);
    *l = arena_array(p->chunk, n, sizeof **l);
    *w = arena_array(p->chunk, n, sizeof **w);
    if (!keys || !*l || !*w)
        return err_memory(e);
    for (size_t i = 0; i < n; i++)
        keys[i] = c[i].key;
    return reader_keys(&p->side[SIDE_LEGACY], keys, n, p->chunk, *l, e) ||
                   reader_keys(&p->side[SIDE_NEW], keys, n, p->chunk, *w, e)
               ? -1
               : 0;
}

// First look of a round.
static int remember(struct batch *b, struct candidate *c, size_t n, struct err *e)
{
    struct reader_row *l, *w;
    if (read_both(b->p, c, n, &l, &w, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        c[i].hash[SIDE_LEGACY] = scan_hash(&b->p->side[SIDE_LEGACY], l[i].values, &b->flat);
        c[i].hash[SIDE_NEW] = scan_hash(&b->p->side[SIDE_NEW], w[i].values, &b->flat);
        c[i].version = XXH3_64bits(w[i].version.data, w[i].version.len);
    }
    return 0;
}

// Behind the markers. Keys that must be looked at again go to the front, from *nleft on.
static int judge(struct batch *b, const struct candidate *c, size_t n, long long after,
                 size_t *nleft, struct err *e)
{
    struct pass *p = b->p;
    struct reader_row *l, *w;
    if (read_both(p, c, n, &l, &w, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        bool moved = !stood_still(b, &c[i], &l[i], &w[i]);
        bool doubled = l[i].copies > 1 || w[i].copies > 1;
        if (rows_agree(p, l[i].values, w[i].values) && !doubled) {
            p->report->settled++;
            continue;
        }
        if (!moved && moved_since(p, c[i].key, after, &moved, e))
            return -1;
        if (moved)
            b->list[(*nleft)++] = c[i];
        else if (causes_row(b->causes, &l[i], &w[i], e))
            return -1;
    }
    return causes_block(b->causes, e);
}

static size_t block_at(size_t at, size_t n)
{
    return n - at < BLOCK ? n - at : BLOCK;
}

// All candidates of the batch through one round. Those to be looked at again stay at the front.
static int settle_round(struct batch *b, struct err *e)
{
    long long after;
    size_t left = 0;
    if (changelog_end(b->p, &after, e))
        return -1;
    for (size_t at = 0; at < b->n; at += BLOCK)
        if (remember(b, b->list + at, block_at(at, b->n), e))
            return -1;
    if (markers(b->p, e))
        return -1;
    for (size_t at = 0; at < b->n; at += BLOCK)
        if (judge(b, b->list + at, block_at(at, b->n), after, &left, e))
            return -1;
    b->n = left;
    return 0;
}

// The next candidates, each key once within the batch. 0: there are none.
static int fill(struct batch *b, struct keymap *seen, struct err *e)
{
    struct str key;
    int more = 1;
    b->n = 0;
    arena_reset(b->keys);
    keymap_reset(seen);
    while (b->n < BATCH && (more = spool_next(&b->p->pool.candidates, &key, e)) == 1) {
        struct keymap_slot *slot;
        bool added;
        struct str kept = arena_str(b->keys, key);
        if (!kept.data)
            return err_memory(e);
        if (keymap_add(seen, 0, kept, 0, &slot, &added, e))
            return -1;
        if (added)
            b->list[b->n++].key = kept;
    }
    b->p->report->candidates += (long long)b->n;
    return more < 0 ? -1 : b->n > 0;
}

static int settle_batches(struct batch *b, struct keymap *seen, struct err *e)
{
    unsigned rounds = b->p->o->rounds ? b->p->o->rounds : ROUNDS;
    int more;
    if (spool_rewind(&b->p->pool.candidates, e))
        return -1;
    while ((more = fill(b, seen, e)) == 1) {
        for (unsigned r = 0; r < rounds && b->n > 0; r++)
            if (settle_round(b, e))
                return -1;
        b->p->report->unsettled += (long long)b->n;
    }
    return more;
}

int settle(struct pass *p, struct err *e)
{
    struct keymap seen = {0};
    struct batch b = {.p = p, .keys = arena_create(0)};
    int result = -1;
    b.list = p->pool.candidates.records > 0 ? calloc(BATCH, sizeof *b.list) : NULL;
    if (p->pool.candidates.records == 0)
        result = 0;
    else if (!b.keys || !b.list || keymap_init(&seen, false, e))
        err_memory(e);
    else if (causes_open(p, &b.causes, e) == 0)
        result = settle_batches(&b, &seen, e) || causes_finish(b.causes, e) ? -1 : 0;
    causes_close(b.causes);
    keymap_free(&seen);
    buf_free(&b.flat);
    free(b.list);
    arena_destroy(b.keys);
    return result;
}
