// SPDX-License-Identifier: Apache-2.0
// Walks over topics for reconcile. Owns a client while a call lasts.
#include "cdc/reconcile/reconcile_events.h"

#include "base/clock.h"
#include "cdc/keymap.h"

#include <stdio.h>
#include <stdlib.h>

#define ENDS_MS   5000
#define WALK_MS   60000
#define TRAIL_MAX 500000 // messages of one partition that are looked at for causes
#define TRAIL_MS  20000
#define PARTS_MAX 4096

static int open_reader(const struct reconcile_options *o, struct kafka_reader **out, struct err *e)
{
    struct kafka_options k = kafka_options_of(o->conf);
    k.client_id = "ficus-reconcile";
    return kafka_reader_open(&k, out, e);
}

static unsigned partitions_of(const struct reconcile_options *o)
{
    return (unsigned)conf_int(o->conf, "kafka.partitions");
}

// ---------------------------------------------------------------- positions

static int add_stream(const struct reconcile_options *o, struct kafka_reader *r,
                      const struct entity *en, enum side side, json_t *streams, struct err *e)
{
    char stream[160], topic[250];
    stream_name(en, side, stream, sizeof stream);
    topic_name(conf_str(o->conf, "kafka.prefix"), en, side, topic, sizeof topic);
    json_t *list = json_array();
    json_object_set_new(streams, stream, list);
    for (unsigned i = 0; i < partitions_of(o); i++) {
        int64_t low, high;
        if (kafka_reader_ends(r, topic, (int32_t)i, ENDS_MS, &low, &high, e))
            return err_prefix(e, "end of %s", topic);
        json_array_append_new(list, json_integer(high));
    }
    return 0;
}

static int legacy_end(struct odbc_conn *odbc, long long *out, struct err *e)
{
    struct rows rows;
    struct arena *a = arena_create(0);
    const char *sql = odbc_dbms(odbc)->changelog_max_sql;
    int result = !a    ? err_memory(e)
                 : sql ? odbc_query(odbc, str_of(sql), NULL, 0, a, 1, &rows, e)
                       : 0;
    *out = -1; // its changes are in its own log
    if (a && sql && result == 0 &&
        (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, out)))
        result = err_set(e, ERR_INTERNAL, "the changelog has no end");
    arena_destroy(a);
    return result;
}

json_t *positions_now(const struct reconcile_options *o, struct odbc_conn *odbc, struct err *e)
{
    struct kafka_reader *r = NULL;
    long long seq;
    json_t *streams = json_object(), *all = json_object();
    int result = legacy_end(odbc, &seq, e) || open_reader(o, &r, e) ? -1 : 0;
    for (size_t i = 0; i < o->nentities && result == 0; i++)
        for (int side = 0; side < 2 && result == 0; side++)
            result = add_stream(o, r, o->entities[i], side, streams, e);
    kafka_reader_close(r);
    json_object_set_new(all, "legacy_seq", json_integer(seq));
    json_object_set_new(all, "streams", streams);
    if (result == 0)
        return all;
    json_decref(all);
    return NULL;
}

// ---------------------------------------------------------------- keys since

struct since {
    const struct pass *p;
    enum side side;
    events_key_fn *each;
    void *ctx;
    struct arena *a;
};

static int on_key(void *ctx, const struct kafka_message *m, struct err *e)
{
    struct since *s = ctx;
    struct event event;
    struct err mine = {0};
    arena_reset(s->a);
    if (event_decode_key(s->p->entity, s->side, m, s->a, &event, &mine) && !event.change.key.data) {
        *e = mine; // a key that cannot be read could be any
        return -1;
    }
    return event.kind == EVENT_MARKER ? 0 : s->each(s->ctx, event.change.key, e);
}

static int topic_since(struct since *s, struct kafka_reader *r, const json_t *list, struct err *e)
{
    char topic[250];
    unsigned n = partitions_of(s->p->o);
    topic_name(conf_str(s->p->o->conf, "kafka.prefix"), s->p->entity, s->side, topic, sizeof topic);
    if (json_array_size(list) != n)
        return err_set(e, ERR_LIMIT, "%s: the last clean run knew no positions of it", topic);
    for (unsigned i = 0; i < n; i++) {
        int64_t low, high, from = json_integer_value(json_array_get(list, i));
        if (kafka_reader_ends(r, topic, (int32_t)i, ENDS_MS, &low, &high, e))
            return -1;
        if (low > from || high < from)
            return err_set(e, ERR_LIMIT,
                           "%s: partition %u begins at %lld and ends at %lld; the last clean run"
                           " saw it at %lld: run without --changed",
                           topic, i, (long long)low, (long long)high, (long long)from);
        if (kafka_reader_walk(r, topic, (int32_t)i, from, high, WALK_MS, on_key, s, e))
            return -1;
    }
    return 0;
}

static int on_changelog(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct since *s = ctx;
    (void)ncols;
    return s->each(s->ctx, value_str(cells[0]), e);
}

// What the store noted and capture may not have sent. Rows that are trimmed have been sent.
static int changelog_since(struct since *s, long long seq, struct err *e)
{
    char text[24];
    if (seq < 0 || !odbc_dbms(s->p->odbc)->changelog_max_sql)
        return 0;
    snprintf(text, sizeof text, "%lld", seq);
    struct value v[] = {value_set(str_of(text)), value_set(str_of(s->p->entity->name))};
    return odbc_each(s->p->odbc, STR("SELECT k FROM ficus_changelog WHERE seq > ? AND entity = ?"),
                     v, 2, on_changelog, s, e);
}

int events_keys_since(const struct pass *p, const json_t *positions, events_key_fn *each, void *ctx,
                      struct err *e)
{
    struct since s = {.p = p, .each = each, .ctx = ctx, .a = arena_create(0)};
    struct kafka_reader *r = NULL;
    const json_t *streams = json_object_get(positions, "streams");
    int result = !s.a ? err_memory(e) : open_reader(p->o, &r, e);
    if (result == 0)
        result = changelog_since(&s, json_integer_value(json_object_get(positions, "legacy_seq")),
                                 e);
    for (int side = 0; side < 2 && result == 0; side++) {
        char stream[160];
        stream_name(p->entity, side, stream, sizeof stream);
        s.side = side;
        result = topic_since(&s, r, json_object_get(streams, stream), e);
    }
    kafka_reader_close(r);
    arena_destroy(s.a);
    return result;
}

// ---------------------------------------------------------------- trails

struct trail_walk {
    const struct pass *p;
    enum side side;
    struct event_trail *trails;
    struct keymap map;
    struct arena *a;
    struct buf flat;
};

static XXH128_hash_t hash_of(struct trail_walk *w, const struct change *c)
{
    const struct reader *r = &w->p->side[w->side];
    struct value *v = arena_array(w->a, r->nfields, sizeof *v);
    for (size_t i = 0; v && i < r->nfields; i++)
        v[i] = c->after[r->fields[i]->index];
    return scan_hash(r, v, &w->flat);
}

static void describe(const struct change *c, const struct kafka_message *m, char *out)
{
    char at[20];
    uint64_t ms = c->commit_us ? c->commit_us / 1000 : (uint64_t)m->timestamp_ms;
    const char *op = c->op == CHANGE_CREATE   ? "create"
                     : c->op == CHANGE_UPDATE ? "update"
                     : c->op == CHANGE_DELETE ? "delete"
                                              : "snapshot";
    clock_utc_seconds(ms, at);
    snprintf(out, EVENT_TEXT_MAX, "%s %s UTC, seq %lld, partition %d offset %lld", op, at, c->seq,
             m->partition, (long long)m->offset);
}

static int on_trail(void *ctx, const struct kafka_message *m, struct err *e)
{
    struct trail_walk *w = ctx;
    struct event event;
    struct err ignored = {0};
    (void)e;
    arena_reset(w->a);
    // Nearly all are of other keys: their values are not read.
    if (event_decode_key(w->p->entity, w->side, m, w->a, &event, &ignored) < 0 ||
        event.kind != EVENT_CHANGE || !event.change.key.data)
        return 0;
    const struct keymap_slot *slot = keymap_find(&w->map, 0, event.change.key);
    if (!slot)
        return 0;
    bool whole = event_decode(w->p->entity, w->side, m, w->a, &event, &ignored) == 0;
    if (event.kind != EVENT_CHANGE || !event.change.key.data)
        return 0;
    struct event_trail *t = &w->trails[slot->value];
    enum side other = side_other(w->side);
    // What was the last one so far is history now: does the other side still show it?
    if (t->side[w->side].seen)
        t->side[w->side].stale |= t->side[w->side].gone
                                      ? !t->has_row[other]
                                      : t->has_row[other] &&
                                            XXH128_isEqual(t->row[other], t->side[w->side].last);
    t->side[w->side].seen = true;
    t->side[w->side].gone = event.change.op == CHANGE_DELETE;
    if (whole && event.change.after)
        t->side[w->side].last = hash_of(w, &event.change);
    describe(&event.change, m, t->side[w->side].text);
    return 0;
}

static int walk_topic(struct trail_walk *w, struct kafka_reader *r, struct err *e)
{
    char topic[250];
    topic_name(conf_str(w->p->o->conf, "kafka.prefix"), w->p->entity, w->side, topic, sizeof topic);
    for (unsigned i = 0; i < partitions_of(w->p->o); i++) {
        int64_t low, high;
        if (kafka_reader_ends(r, topic, (int32_t)i, ENDS_MS, &low, &high, e))
            return -1;
        if (high - low > TRAIL_MAX)
            low = high - TRAIL_MAX;
        if (kafka_reader_walk(r, topic, (int32_t)i, low, high, TRAIL_MS, on_trail, w, e))
            return -1;
    }
    return 0;
}

int events_trail(const struct pass *p, struct event_trail *trails, size_t n, struct err *e)
{
    struct trail_walk w = {.p = p, .trails = trails, .a = arena_create(0)};
    struct kafka_reader *r = NULL;
    int result = !w.a || keymap_init(&w.map, false, e) ? err_memory(e) : open_reader(p->o, &r, e);
    for (size_t i = 0; i < n && result == 0; i++) {
        struct keymap_slot *slot;
        bool added;
        result = keymap_add(&w.map, 0, trails[i].key, (uint32_t)i, &slot, &added, e);
    }
    for (int side = 0; side < 2 && result == 0; side++) {
        w.side = side;
        result = walk_topic(&w, r, e);
    }
    kafka_reader_close(r);
    keymap_free(&w.map);
    buf_free(&w.flat);
    arena_destroy(w.a);
    return result;
}
