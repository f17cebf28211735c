// SPDX-License-Identifier: Apache-2.0
// One batch: messages are decoded, checked and coalesced (the last event of a key stands for
// the earlier ones), then rows, parked events, markers and positions go into one transaction of
// the sink. A batch that fails for a row's sake is done again with savepoints, halving until
// the rows at fault stand alone; those are parked with the reason, the rest is applied.
#include "cdc/apply/apply_int.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <stdio.h>

#define HEARTBEAT_WAIT_MS 10 // topics' heartbeats come one by one: one transaction for all

static struct part *part_of(struct applier *ap, const struct kafka_message *m, size_t *hint)
{
    for (size_t i = 0; i < ap->nparts; i++) {
        size_t at = (*hint + i) % ap->nparts;
        struct part *p = &ap->parts[at];
        if (p->partition == m->partition &&
            strcmp(ap->s->streams[ap->from][p->entity].topic, m->topic) == 0) {
            *hint = at;
            return p;
        }
    }
    return NULL;
}

static int park_item(struct applier *ap, struct item *it, const char *reason, const char *detail,
                     struct err *e)
{
    struct keymap_slot *slot;
    bool added;
    it->reason = reason;
    it->detail = arena_str(ap->arena, str_of(detail));
    if (!it->event.change.key.data) // not even the key could be read
        it->event.change.key = it->message->key;
    if (!it->detail.data ||
        keymap_add(&ap->parked, (uint32_t)it->entity, it->event.change.key, 0, &slot, &added, e))
        return err_memory(e);
    return 0;
}

static int add_item(struct applier *ap, struct item *it, struct err *e)
{
    struct keymap_slot *slot;
    bool added;
    const struct event *ev = &it->event;
    if (keymap_find(&ap->parked, (uint32_t)it->entity, ev->change.key))
        return park_item(ap, it, "behind", "an earlier event of this key is parked", e);
    if (ev->foreign.len) {
        char detail[256];
        snprintf(detail, sizeof detail, "values that may not cross: %.*s", (int)ev->foreign.len,
                 ev->foreign.data);
        return park_item(ap, it, "type", detail, e);
    }
    size_t at = (size_t)(it - ap->items);
    if (keymap_add(&ap->keys, (uint32_t)it->entity, ev->change.key, (uint32_t)at, &slot, &added, e))
        return -1;
    if (!added) {
        ap->items[slot->value].superseded = true;
        slot->value = (uint32_t)at;
    }
    return 0;
}

static int take_change(struct applier *ap, struct part *p, struct item *it, struct err *e)
{
    const struct change *c = &it->event.change;
    if (c->term < p->new_term)
        return 0; // a capture that lost its lead
    anew_term(p, c->term);
    // The WAL is read again after a restart; what is older than the newest applied is known.
    if (ap->from == SIDE_NEW && c->op != CHANGE_READ && c->seq > 0) {
        if (c->seq < p->new_through)
            return 0;
        p->new_through = c->seq;
    }
    ap->nitems++;
    return add_item(ap, it, e);
}

static int take_message(struct applier *ap, const struct kafka_message *m, struct part *p,
                        struct err *e)
{
    struct err bad = {0};
    struct item *it = &ap->items[ap->nitems];
    *it = (struct item){.message = m,
                        .entity = p->entity,
                        .part = (size_t)(p - ap->parts),
                        .opened = p->new_opened};
    if (event_decode(ap->s->entities[p->entity], ap->from, m, ap->arena, &it->event, &bad)) {
        if (bad.code == ERR_MEMORY) {
            *e = bad;
            return -1;
        }
        ap->nitems++;
        return park_item(ap, it, "malformed", bad.msg, e);
    }
    if (it->event.kind == EVENT_CHANGE)
        return take_change(ap, p, it, e);
    if (it->event.kind == EVENT_MARKER && it->event.change.term >= p->new_term) {
        anew_term(p, it->event.change.term);
        if (it->event.through > p->new_through)
            p->new_through = it->event.through;
        fence_opened(ap, p, it->event.marker);
        struct control_item c = {.marker = it->event.marker, .part = it->part};
        c.dual = dual_mark_read(c.marker, &c.mark);
        if (!str_eqz(c.marker, MARKER_HEARTBEAT))
            ap->controls[ap->ncontrols++] = c;
    }
    return 0;
}

int batch_take(struct applier *ap, size_t n, struct err *e)
{
    size_t hint = 0;
    ap->nitems = ap->ncontrols = 0;
    keymap_reset(&ap->keys);
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        p->in_batch = p->pending;
        p->new_next = p->pending ? p->pend_next : p->next;
        p->new_term = p->pending ? p->pend_term : p->term;
        p->new_through = p->pending ? p->pend_through : p->through;
        p->new_opened = p->pending ? p->pend_opened : p->opened;
        p->new_print = p->pending ? p->pend_print : p->print;
    }
    for (size_t i = 0; i < n; i++) {
        const struct kafka_message *m = &ap->messages[i];
        struct part *p = part_of(ap, m, &hint);
        if (!p || p->paused)
            continue; // fetched before the partition was paused: it is sought back on resume
        if (m->offset < p->new_next)
            continue;
        p->in_batch = true;
        if (take_message(ap, m, p, e))
            return -1;
        p->new_next = m->offset + 1;
        p->new_print = anew_print(m);
    }
    return 0;
}

bool batch_due(const struct applier *ap)
{
    return ap->pending_ns && clock_mono_ns() - ap->pending_ns >= HEARTBEAT_WAIT_MS * 1000000ull;
}

bool batch_waits(struct applier *ap)
{
    bool any = false;
    if (ap->nitems || ap->ncontrols || batch_due(ap))
        return false;
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        p->pending = p->in_batch;
        p->pend_next = p->new_next;
        p->pend_term = p->new_term;
        p->pend_through = p->new_through;
        p->pend_opened = p->new_opened;
        p->pend_print = p->new_print;
        any |= p->pending;
    }
    if (any && !ap->pending_ns)
        ap->pending_ns = clock_mono_ns();
    return true;
}

// Canonical values of an item; for a delete only the key's.
static const struct value *row_of(struct applier *ap, const struct item *it, struct err *e)
{
    const struct entity *en = ap->s->entities[it->entity];
    struct value parts[16];
    if (it->event.change.op != CHANGE_DELETE)
        return it->event.change.after;
    struct value *row = arena_array(ap->arena, en->nfields, sizeof *row);
    if (!row || en->nkeys > 16) {
        err_memory(e);
        return NULL;
    }
    if (entity_key_split(en, it->event.change.key, parts, e))
        return NULL;
    for (size_t i = 0; i < en->nkeys; i++)
        row[en->keys[i]->index] = parts[i];
    return row;
}

static int write_rows(struct applier *ap, size_t entity, bool remove, size_t lo, size_t hi,
                      struct err *e)
{
    const struct value **rows = arena_array(ap->arena, hi - lo + 1, sizeof *rows);
    if (!rows)
        return err_memory(e);
    for (size_t i = lo; i < hi; i++)
        if (!(rows[i - lo] = row_of(ap, &ap->items[ap->order[i]], e)))
            return -1;
    return sink_apply(ap->sink, entity, remove, rows, hi - lo, ap->now, ap->arena, e);
}

int batch_rows(struct applier *ap, size_t entity, bool remove, size_t lo, size_t hi, struct err *e)
{
    struct err row = {0};
    if (lo == hi)
        return 0;
    if (!ap->careful)
        return write_rows(ap, entity, remove, lo, hi, e);
    if (ap->sink->ops->savepoint(ap->sink, "ficus_rows", e))
        return -1;
    if (write_rows(ap, entity, remove, lo, hi, &row) == 0)
        return 0;
    if (sink_verdict(ap->sink, &row) != VERDICT_ROW) {
        *e = row;
        return -1;
    }
    if (ap->sink->ops->rollback_to(ap->sink, "ficus_rows", e))
        return -1;
    if (hi - lo == 1) {
        struct item *it = &ap->items[ap->order[lo]];
        memcpy(it->sqlstate, row.sqlstate, sizeof it->sqlstate);
        return park_item(ap, it, sink_reason(&row), row.msg, e);
    }
    size_t middle = lo + (hi - lo) / 2;
    return batch_rows(ap, entity, remove, lo, middle, e) ||
                   batch_rows(ap, entity, remove, middle, hi, e)
               ? -1
               : 0;
}

static int rows_of_kind(struct applier *ap, size_t entity, bool remove, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < ap->nitems; i++) {
        const struct item *it = &ap->items[i];
        if (it->entity == entity && !it->superseded && !it->refused && !it->reason &&
            (it->event.change.op == CHANGE_DELETE) == remove)
            ap->order[n++] = i;
    }
    if (batch_rows(ap, entity, remove, 0, n, e)) {
        if (sink_verdict(ap->sink, e) != VERDICT_SCHEMA)
            return -1;
        ap->refused = (long)entity; // stopped once this transaction is out of the way
        snprintf(ap->refused_with, sizeof ap->refused_with, "%.299s", e->msg);
        return err_set(e, ERR_BUSY, "again");
    }
    return 0;
}

int batch_move(struct applier *ap, const struct part *p, struct err *e)
{
    char n[8][24];
    long long changed = 0;
    snprintf(n[0], 24, "%lld", (long long)p->new_next);
    snprintf(n[1], 24, "%lld", p->new_term);
    snprintf(n[2], 24, "%lld", p->new_through);
    snprintf(n[3], 24, "%d", p->partition);
    snprintf(n[4], 24, "%lld", (long long)p->next);
    snprintf(n[5], 24, "%lld", p->epoch);
    snprintf(n[6], 24, "%lld", p->new_opened);
    snprintf(n[7], 24, "%lld", p->new_print);
    const char *stream = ap->s->streams[ap->from][p->entity].stream;
    struct value v[] = {value_set(str_of(n[0])), value_set(str_of(n[1])), value_set(str_of(n[2])),
                        value_set(str_of(n[6])), value_set(str_of(n[7])), value_set(str_of(stream)),
                        value_set(str_of(n[3])), value_set(str_of(n[4])), value_set(str_of(n[5]))};
    if (sink_exec(ap->sink, SINK_POSITION_MOVE, v, 9, &changed, e))
        return -1;
    return changed == 1
               ? 0
               : err_set(e, ERR_STALE,
                         "%s partition %d: another applier took over, or the stream was paused",
                         stream, p->partition);
}

static int write_control(struct applier *ap, const struct control_item *c, struct err *e)
{
    char part[16];
    const struct part *p = &ap->parts[c->part];
    snprintf(part, sizeof part, "%d", p->partition);
    struct value v[] = {value_set(c->marker),
                        value_set(str_of(ap->s->streams[ap->from][p->entity].stream)),
                        value_set(str_of(part))};
    return sink_once(ap->sink, SINK_MARKER, v, 3, 3, e);
}

// Children before parents when removing, parents first otherwise (entities are in that order).
static int write_all(struct applier *ap, struct err *e)
{
    size_t n = ap->s->nentities;
    if (fence_refuse(ap, e))
        return -1;
    for (size_t i = n; i-- > 0;)
        if (rows_of_kind(ap, i, true, e))
            return -1;
    for (size_t i = 0; i < n; i++)
        if (rows_of_kind(ap, i, false, e))
            return -1;
    for (size_t i = 0; i < ap->nitems; i++)
        if (ap->items[i].reason && !ap->items[i].refused && park_write(ap, &ap->items[i], e))
            return -1;
    for (size_t i = 0; i < ap->ncontrols; i++)
        if (!ap->controls[i].dual && write_control(ap, &ap->controls[i], e))
            return -1;
    for (size_t i = 0; i < ap->nparts; i++)
        if (ap->parts[i].in_batch && batch_move(ap, &ap->parts[i], e))
            return -1;
    return 0;
}

// The batch is committed. A key whose events are parked has not arrived.
static void answer_marks(struct applier *ap)
{
    for (size_t i = 0; i < ap->ncontrols; i++) {
        const struct control_item *c = &ap->controls[i];
        uint32_t entity = (uint32_t)ap->parts[c->part].entity;
        if (c->dual)
            dual_tell(ap->s->dual, &c->mark,
                      c->mark.key.len && keymap_find(&ap->parked, entity, c->mark.key)
                          ? DUAL_PARKED
                          : DUAL_THERE);
    }
}

static void count(struct applier *ap)
{
    uint64_t now_us = clock_wall_us();
    ap->pending_ns = 0;
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        if (!p->in_batch)
            continue;
        p->pending = false;
        p->next = p->new_next;
        p->term = p->new_term;
        p->through = p->new_through;
        p->opened = p->new_opened;
        p->print = p->new_print;
    }
    for (size_t i = 0; i < ap->nitems; i++) {
        const struct item *it = &ap->items[i];
        struct stream_stat *st = &ap->s->streams[ap->from][it->entity];
        if (it->refused) {
            metric_add(st->m_refused, 1);
            continue;
        }
        if (it->reason) {
            ap->nparked++;
            ap->nwaiting += strcmp(it->reason, "waits") == 0;
            atomic_fetch_add(&st->parked, 1);
            metric_set(st->m_open, (double)atomic_load(&st->parked));
            metric_add(st->m_parked, 1);
            continue;
        }
        const struct change *c = &it->event.change;
        ap->applied = true;
        atomic_fetch_add_explicit(&st->applied, 1, memory_order_relaxed);
        metric_add(st->m_applied, 1);
        if (c->op == CHANGE_READ || !c->commit_us)
            continue;
        uint64_t lag = now_us > c->commit_us ? now_us - c->commit_us : 0;
        metric_observe_ns(st->m_lag, lag * 1000);
        atomic_store_explicit(&st->lag_ms, (long long)(lag / 1000), memory_order_relaxed);
    }
}

int batch_write(struct applier *ap, struct err *e)
{
    bool any = false;
    for (size_t i = 0; i < ap->nparts; i++)
        any |= ap->parts[i].in_batch;
    if (!any)
        return 0;
    clock_utc_seconds(clock_wall_ms(), ap->now);
    if (ap->sink->ops->begin(ap->sink, e) || write_all(ap, e)) {
        ap->sink->ops->rollback(ap->sink);
        return -1;
    }
    FAILPOINT("applied");
    if (ap->sink->ops->commit(ap->sink, e))
        return -1;
    FAILPOINT("committed");
    count(ap);
    answer_marks(ap);
    return 0;
}
