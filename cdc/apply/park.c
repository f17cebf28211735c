// SPDX-License-Identifier: Apache-2.0
// Parked events of the applier's sink: writing them, knowing their keys, and replaying them.
// A key's parked events stay in order: the first that fails again stops its key. An event that
// waits for its parent is tried again by itself; any other when `ficus parked retry` says so.
#include "cdc/apply/apply_int.h"

#include "base/clock.h"

#include <stdio.h>

#define IMAGE_MAX (8u << 20) // bytes of an image that are kept
#define DUE_MAX   500        // keys a round, as in SINK_PARKED_DUE

static const struct log_ctx ctx = {"park", NULL, NULL};

// What is open of every entity, for status and metrics.
static int note_counts(struct applier *ap, const struct rows *rows, struct arena *a, struct err *e)
{
    long long *totals = arena_array(a, ap->s->nentities + 1, sizeof *totals);
    long long n;
    if (!totals)
        return err_memory(e);
    for (size_t i = 0; i < rows->nrows; i++) {
        long entity = sync_entity(ap->s, value_str(*rows_at(rows, i, 0)));
        if (entity >= 0 && str_to_int(value_str(*rows_at(rows, i, 2)), 0, INT64_MAX, &n))
            totals[entity] += n;
    }
    for (size_t i = 0; i < ap->s->nentities; i++) {
        struct stream_stat *st = &ap->s->streams[ap->from][i];
        atomic_store(&st->parked, totals[i]);
        metric_set(st->m_open, (double)totals[i]);
    }
    return 0;
}

int park_load(struct applier *ap, struct err *e)
{
    struct rows rows;
    struct arena *a = arena_create(0);
    int result = a ? sink_query(ap->sink, SINK_PARKED_KEYS, NULL, 0, a, &rows, e) : err_memory(e);
    if (result == 0)
        result = note_counts(ap, &rows, a, e);
    keymap_reset(&ap->parked);
    ap->nparked = ap->nwaiting = 0;
    for (size_t i = 0; result == 0 && i < rows.nrows; i++) {
        const struct value *c = rows_at(&rows, i, 0);
        struct keymap_slot *slot;
        bool added;
        long long n = 0, waits = 0;
        long entity = sync_entity(ap->s, value_str(c[0]));
        if (!str_to_int(value_str(c[2]), 0, INT64_MAX, &n))
            n = 1;
        if (!str_to_int(value_str(c[3]), 0, INT64_MAX, &waits))
            waits = 0;
        ap->nparked += (size_t)n;
        ap->nwaiting += (size_t)waits;
        if (entity >= 0)
            result = keymap_add(&ap->parked, (uint32_t)entity, value_str(c[1]), 0, &slot, &added,
                                e);
    }
    arena_destroy(a);
    return result;
}

struct str park_text(struct str s, size_t max, struct arena *a)
{
    struct buf b = BUF_INIT;
    size_t n = s.len < max ? s.len : max;
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t len = str_utf8_next(str_n(s.data + i, n - i), &code);
        if (len && code)
            buf_add(&b, s.data + i, len);
        else
            buf_addz(&b, "\xef\xbf\xbd");
        i += len ? len : 1;
    }
    struct str out = b.failed ? (struct str){0} : arena_str(a, buf_str(&b));
    buf_free(&b);
    return out;
}

int park_write(struct applier *ap, const struct item *it, struct err *e)
{
    char part[16], offset[24], opened[24];
    const struct stream_stat *st = &ap->s->streams[ap->from][it->entity];
    const struct kafka_message *m = it->message;
    struct log_ctx entity = {"park", ap->s->entities[it->entity]->name, NULL};
    if (ap->nparked >= ap->s->parked_max) {
        char why[128];
        snprintf(why, sizeof why, "%zu events are parked (sync.parked_max): retry or drop some",
                 ap->nparked);
        if (apply_stop_entity(ap, it->entity, why, e))
            return -1;
        return err_set(e, ERR_BUSY, "%s", why);
    }
    snprintf(part, sizeof part, "%d", m->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)m->offset);
    snprintf(opened, sizeof opened, "%lld", it->opened);
    struct str key = park_text(it->event.change.key, 512, ap->arena);
    struct str image = park_text(m->value, IMAGE_MAX, ap->arena);
    struct str detail = park_text(it->detail, 1000, ap->arena);
    struct value v[] = {value_set(str_of(st->stream)),
                        value_set(str_of(part)),
                        value_set(str_of(offset)),
                        value_set(str_of(ap->s->entities[it->entity]->name)),
                        value_set(key),
                        value_set(str_of(it->reason)),
                        value_set(detail),
                        value_set(str_of(it->sqlstate)),
                        value_set(image),
                        value_set(str_of(opened))};
    // A child that waits for its parent, or an event behind another, is no news.
    bool quiet = strcmp(it->reason, "waits") == 0 || strcmp(it->reason, "behind") == 0;
    if (!quiet || log_get_level() >= LOG_DEBUG)
        log_write(quiet ? LOG_DEBUG : LOG_WARN, &entity, "%s offset %s/%s: parked (%s): %.*s",
                  st->stream, part, offset, it->reason, (int)(detail.len < 200 ? detail.len : 200),
                  detail.data);
    return sink_once(ap->sink, SINK_PARK, v, 10, 3, e);
}

// --- retry

struct parked {
    struct value id;
    struct str image, state, reason;
};

static int settle(struct applier *ap, const struct parked *p, const char *state,
                  const struct err *why, struct err *e)
{
    const char *reason = why ? sink_reason(why) : NULL;
    struct str detail = why ? park_text(str_of(why->msg), 1000, ap->arena) : STR("");
    struct value v[] = {value_set(str_of(state)), value_set(reason ? str_of(reason) : p->reason),
                        value_set(detail), value_set(why ? str_of(why->sqlstate) : STR("")), p->id};
    return sink_exec(ap->sink, SINK_PARKED_SET, v, 5, NULL, e);
}

static int replay(struct applier *ap, size_t entity, struct str key, const struct parked *p,
                  struct err *e)
{
    struct buf json = BUF_INIT;
    const struct entity *en = ap->s->entities[entity];
    int result = event_key_json(en, key, &json, e);
    struct kafka_message m = {.key = arena_str(ap->arena, buf_str(&json)), .value = p->image};
    struct item *it = &ap->items[0];
    buf_free(&json);
    *it = (struct item){.message = &m, .entity = entity};
    if (result || event_decode(en, ap->from, &m, ap->arena, &it->event, e))
        return -1;
    if (it->event.foreign.len)
        return err_set(e, ERR_VALUE, "values that may not cross: %.*s", (int)it->event.foreign.len,
                       it->event.foreign.data);
    if (it->event.kind != EVENT_CHANGE)
        return 0;
    ap->order[0] = 0;
    ap->careful = false;
    return batch_rows(ap, entity, it->event.change.op == CHANGE_DELETE, 0, 1, e);
}

// All events of one key in order, one transaction a key.
static int retry_key(struct applier *ap, size_t entity, struct str key, const struct rows *rows,
                     unsigned *done, struct err *e)
{
    for (size_t i = 0; i < rows->nrows; i++) {
        const struct value *c = rows_at(rows, i, 0);
        struct err row = {0};
        struct parked p = {c[0], value_str(c[3]), value_str(c[4]), value_str(c[5])};
        if (ap->sink->ops->savepoint(ap->sink, "ficus_retry", e))
            return -1;
        if (replay(ap, entity, key, &p, &row) == 0) {
            if (settle(ap, &p, "applied", NULL, e))
                return -1;
            (*done)++;
            continue;
        }
        if (sink_verdict(ap->sink, &row) == VERDICT_RETRY) {
            *e = row;
            return -1;
        }
        if (ap->sink->ops->rollback_to(ap->sink, "ficus_retry", e) ||
            settle(ap, &p, "parked", &row, e))
            return -1;
        // The later ones of a key asked for go back to waiting behind it.
        for (i++; i < rows->nrows; i++) {
            c = rows_at(rows, i, 0);
            p = (struct parked){c[0], value_str(c[3]), value_str(c[4]), value_str(c[5])};
            struct value v[] = {value_set(STR("parked")), value_set(STR("behind")),
                                value_set(STR("an earlier event of this key is parked")),
                                value_set(STR("")), p.id};
            if (sink_exec(ap->sink, SINK_PARKED_SET, v, 5, NULL, e))
                return -1;
        }
    }
    return 0;
}

static long stream_entity(const struct applier *ap, struct str stream)
{
    for (size_t i = 0; i < ap->s->nentities; i++)
        if (str_eqz(stream, ap->s->streams[ap->from][i].stream))
            return (long)i;
    return -1;
}

// Every event of the key came through a partition of ours.
static bool owned(const struct applier *ap, size_t entity, const struct rows *rows)
{
    for (size_t r = 0; r < rows->nrows; r++) {
        long long part = -1;
        bool found = false;
        if (!str_to_int(value_str(*rows_at(rows, r, 1)), 0, INT32_MAX, &part))
            return false;
        for (size_t i = 0; i < ap->nparts; i++)
            found |= ap->parts[i].entity == entity && ap->parts[i].partition == part;
        if (!found)
            return false;
    }
    return true;
}

// The store was opened since: its rows are newer than what was parked.
static int refuse_key(struct applier *ap, const struct rows *rows, struct err *e)
{
    for (size_t i = 0; i < rows->nrows; i++) {
        struct value v[] = {value_set(STR("parked")), value_set(STR("refused")),
                            value_set(STR("this store was opened for writing after the event was"
                                          " sent: its row is newer; drop the event")),
                            value_set(STR("")), *rows_at(rows, i, 0)};
        if (sink_exec(ap->sink, SINK_PARKED_SET, v, 5, NULL, e))
            return -1;
    }
    return 0;
}

static int retry_rows(struct applier *ap, size_t entity, struct str key, const struct rows *rows,
                      unsigned *done, struct err *e)
{
    struct fence f;
    bool fenced = false;
    if (!owned(ap, entity, rows))
        return 0;
    if (fence_read(ap, entity, &f, e))
        return -1;
    for (size_t i = 0; i < rows->nrows; i++) {
        long long opened;
        if (!str_to_int(value_str(*rows_at(rows, i, 6)), 0, INT64_MAX, &opened))
            opened = 0;
        fenced |= fence_refuses(&f, opened);
    }
    return fenced ? refuse_key(ap, rows, e) : retry_key(ap, entity, key, rows, done, e);
}

static int retry_one(struct applier *ap, struct str stream, struct str key, unsigned *done,
                     struct err *e)
{
    struct rows rows;
    struct value v[] = {value_set(stream), value_set(key)};
    long entity = stream_entity(ap, stream);
    if (entity < 0)
        return 0;
    clock_utc_seconds(clock_wall_ms(), ap->now);
    if (ap->sink->ops->begin(ap->sink, e) ||
        sink_query(ap->sink, SINK_PARKED_OF_KEY, v, 2, ap->arena, &rows, e) ||
        retry_rows(ap, (size_t)entity, key, &rows, done, e)) {
        ap->sink->ops->rollback(ap->sink);
        return -1;
    }
    return ap->sink->ops->commit(ap->sink, e);
}

// Keys asked for are always among those due; those that wait take turns, a block a round, so
// that many whose parent never comes do not keep the others from theirs.
int park_retry(struct applier *ap, struct err *e)
{
    struct rows rows;
    unsigned done = 0;
    char from[24];
    struct arena *a = arena_create(0);
    snprintf(from, sizeof from, "%lld", ap->retried);
    struct value after = value_set(str_of(from));
    int result = a ? sink_query(ap->sink, SINK_PARKED_DUE, &after, 1, a, &rows, e) : err_memory(e);
    if (result == 0 &&
        (rows.nrows < DUE_MAX ||
         !str_to_int(value_str(*rows_at(&rows, rows.nrows - 1, 2)), 0, INT64_MAX, &ap->retried)))
        ap->retried = 0;
    for (size_t i = 0; result == 0 && i < rows.nrows && !sync_stopping(ap->s); i++) {
        const struct value *c = rows_at(&rows, i, 0);
        arena_reset(ap->arena);
        result = retry_one(ap, value_str(c[0]), value_str(c[1]), &done, e);
    }
    arena_destroy(a);
    if (done)
        log_info(&ctx, "%u parked events of %s were applied", done, side_name(ap->from));
    return result == 0 ? park_load(ap, e) : -1;
}
