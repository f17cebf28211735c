// SPDX-License-Identifier: Apache-2.0
// Messages that are gone, and how a stream goes on after that.
//
// A topic that was truncated, or deleted and made anew, has lost messages that nobody applied.
// The broker says so only while the position lies outside of what is there. So a position keeps a
// fingerprint of the message before it, and each partition is first read from that message on: a
// different one means another topic. Retention may have taken it: then nothing can be compared,
// and nothing that was not applied is missing.
//
// Such a stream stops as "lost". `ficus sync snapshot` asks for a new copy and says in ficus.anew
// which partitions begin at the first message that is there; all that is there is newer than all
// that was applied, since the position was behind it or in another topic. What was deleted at the
// source meanwhile is left to a reconciliation.
//
// The new store restored from a backup also brings the control store back: terms and LSNs that
// were seen from it before come again. A sink on the other side has kept both and finds that out.
// Thread: the applier's.
#include "cdc/apply/apply_int.h"

#include "cdc/capture/history.h"

#include <stdio.h>
#include <xxhash.h>

#define ASK_MS 10000

long long anew_print(const struct kafka_message *m)
{
    uint64_t hash = XXH3_64bits_withSeed(m->key.data, m->key.len,
                                         (uint64_t)m->timestamp_ms * 31 + m->value.len);
    return (long long)(hash >> 2) + 1;
}

int64_t anew_start(struct part *p)
{
    p->probe = p->print != 0 && p->next > 0;
    return p->probe ? p->next - 1 : p->next;
}

void anew_lost(struct applier *ap, size_t entity, const char *why)
{
    struct err e = {0};
    err_set(&e, ERR_STALE, "%s", why);
    err_prefix(&e, "messages that were not applied are gone, a new snapshot is due");
    sync_lose_stream(ap->s, ap->from, entity, e.msg);
}

static struct part *probing(struct applier *ap, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        if (p->probe && p->partition == partition &&
            strcmp(ap->s->streams[ap->from][p->entity].topic, topic) == 0)
            return p;
    }
    return NULL;
}

int anew_probe(struct applier *ap, size_t n, struct err *e)
{
    bool any = false;
    for (size_t i = 0; i < ap->nparts; i++)
        any |= ap->parts[i].probe && !ap->parts[i].paused;
    for (size_t i = 0; any && i < n; i++) {
        const struct kafka_message *m = &ap->messages[i];
        struct part *p = probing(ap, m->topic, m->partition);
        if (!p || p->paused)
            continue;
        p->probe = false;
        if (m->offset != p->next - 1 || anew_print(m) == p->print)
            continue;
        char why[400];
        snprintf(why, sizeof why,
                 "topic %.250s is another one: its message %lld of partition %d"
                 " is not the one that was applied",
                 m->topic, (long long)m->offset, (int)m->partition);
        anew_lost(ap, p->entity, why);
        p->paused = true; // what is in hand is not taken
    }
    (void)e;
    return 0;
}

bool anew_unprobed(struct applier *ap, const struct err *e)
{
    bool found = false;
    for (size_t i = 0; i < ap->nparts; i++) {
        struct part *p = &ap->parts[i];
        struct err ignored = {0};
        const char *topic = ap->s->streams[ap->from][p->entity].topic;
        if (!p->probe || !strstr(e->msg, topic))
            continue;
        p->probe = false;
        if (kafka_consumer_seek(ap->consumer, topic, p->partition, p->next, &ignored))
            return false;
        found = true;
    }
    return found;
}

// Whether this partition was given up.
static int is_asked(struct applier *ap, struct pg_conn *pg, const char *const *p, bool *asked,
                    struct err *e)
{
    struct rows rows;
    struct value v[] = {value_set(str_of(p[0])), value_set(str_of(p[1]))};
    if (pg_query(pg, STR("SELECT 1 FROM ficus.anew WHERE stream = $1 AND part = $2::int"), v, 2,
                 ap->arena, &rows, e))
        return -1;
    *asked = rows.nrows > 0;
    return 0;
}

// Repeating this after a crash does no harm: the same messages come again, in their order.
static int begin_anew(struct applier *ap, struct part *p, struct err *e)
{
    struct log_ctx ctx = {"apply", ap->s->entities[p->entity]->name, NULL};
    const struct stream_stat *st = &ap->s->streams[ap->from][p->entity];
    int64_t low, high;
    if (kafka_watermarks(ap->consumer, st->topic, p->partition, &low, &high, ASK_MS, e))
        return -1;
    p->new_next = low;
    p->new_term = p->new_through = p->new_print = 0;
    p->new_opened = p->opened;
    if (ap->sink->ops->begin(ap->sink, e) || batch_move(ap, p, e)) {
        ap->sink->ops->rollback(ap->sink);
        return -1;
    }
    if (ap->sink->ops->commit(ap->sink, e))
        return -1;
    log_info(&ctx, "%s partition %d begins anew at %lld, was at %lld", st->stream, p->partition,
             (long long)low, (long long)p->next);
    p->next = low;
    p->term = p->through = p->print = 0;
    return 0;
}

int anew_take(struct applier *ap, struct part *p, struct err *e)
{
    struct stream_stat *st = &ap->s->streams[ap->from][p->entity];
    struct pg_conn *pg = NULL;
    char part[16];
    bool asked = false;
    if (!atomic_load(&st->anew))
        return 0;
    snprintf(part, sizeof part, "%d", p->partition);
    const char *v[] = {st->stream, part};
    int result = sync_open_pg(ap->s, "ficus apply anew", &pg, e) || is_asked(ap, pg, v, &asked, e)
                     ? -1
                     : 0;
    if (result == 0 && asked)
        result = begin_anew(ap, p, e) ||
                         pg_execz(pg, "DELETE FROM ficus.anew WHERE stream = $1 AND part = $2::int",
                                  v, 2, NULL, e)
                     ? -1
                     : 0;
    pg_close(pg);
    return result;
}

void anew_term(struct part *p, long long term)
{
    if (p->new_term > 0 && term >= p->new_term + TERM_ANEW)
        p->new_through = 0; // another history: its LSNs may be lower
    p->new_term = term;
}

int anew_check_restored(struct applier *ap, struct err *e)
{
    struct pg_conn *pg = NULL;
    struct history_seen seen = {0};
    for (size_t i = 0; i < ap->nparts; i++)
        history_add(&seen, ap->parts[i].term, ap->parts[i].through);
    if (ap->from != SIDE_NEW || seen.term == 0)
        return 0;
    int result = sync_open_pg(ap->s, "ficus apply looks back", &pg, e) ||
                         history_check(pg, &seen, e)
                     ? -1
                     : 0;
    pg_close(pg);
    return result;
}
