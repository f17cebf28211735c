// SPDX-License-Identifier: Apache-2.0
// The order of the questions: several rows of one key; parked; a link whose end is missing; equal
// to a collation; changed by a policy; written past a closed fence; then the last events of the
// key on both streams:
//
//   the owner's row | the other side's row      | cause
//   as last sent    | as some earlier event     | lost event
//   as last sent    | sent by its own stream    | direct write on a side that is not the owner
//   as last sent    | missing                   | lost event
//   as last sent    | nothing that was ever sent| direct write (unsure: history may be cut)
//   not as sent     |                           | unsent event
//   missing, no event at all                    | direct write
#include "cdc/reconcile/reconcile_cause.h"

#include "cdc/reconcile/reconcile_events.h"
#include "cdc/sync_int.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MAX     500
#define SHOWN_MAX     200 // bytes of a value
#define FIELD_SAMPLES 200 // of one field and cause
#define MAP_SAMPLES   5
#define MAP_ROWS      20 // fewer rows make no pattern
#define MAP_PART      5  // nor does less than one in so many

static const struct log_ctx log_ctx = {"reconcile", NULL, NULL};

struct row {
    struct str key;
    const struct value *side[2];
    bool doubled, near_miss, parked, rogue, orphan;
};

// What samples do not show: the real key, and how sure the cause is.
struct hidden {
    struct str key;
    XXH128_hash_t row[2];
    bool has_row[2], sure;
};

struct causes {
    struct pass *p;
    struct row rows[BLOCK_MAX];
    size_t n;
    struct hidden *hidden; // parallel to the report's samples
    struct buf flat;
    enum side owner;
};

const char *cause_name(enum cause c)
{
    static const char *const names[] = {
        [CAUSE_UNKNOWN] = "unknown",     [CAUSE_LOST] = "lost_event",
        [CAUSE_UNSENT] = "unsent_event", [CAUSE_PARKED] = "parked",
        [CAUSE_DIRECT] = "direct_write", [CAUSE_LOSSY] = "lossy_type",
        [CAUSE_MAP] = "map_error",       [CAUSE_COLLATION] = "collation",
        [CAUSE_DUPLICATE] = "duplicate", [CAUSE_ORPHAN] = "orphan_link",
    };
    return c < CAUSE_COUNT ? names[c] : "?";
}

int causes_open(struct pass *p, struct causes **out, struct err *e)
{
    struct causes *c = calloc(1, sizeof *c);
    const struct group *g = group_of(p->o->table, p->entity);
    *out = NULL;
    if (!c || !(c->hidden = calloc(SAMPLES_MAX, sizeof *c->hidden))) {
        free(c);
        return err_memory(e);
    }
    c->p = p;
    c->owner = g ? g->owner : SIDE_LEGACY;
    p->report->samples = arena_array(p->keep, SAMPLES_MAX, sizeof *p->report->samples);
    p->report->findings = arena_array(p->keep, FINDINGS_MAX, sizeof *p->report->findings);
    *out = c;
    return p->report->samples && p->report->findings ? 0 : err_memory(e);
}

void causes_close(struct causes *c)
{
    if (!c)
        return;
    buf_free(&c->flat);
    free(c->hidden);
    free(c);
}

int causes_row(struct causes *c, const struct reader_row *legacy, const struct reader_row *new_,
               struct err *e)
{
    if (c->n == BLOCK_MAX && causes_block(c, e))
        return -1;
    c->rows[c->n++] = (struct row){.key = legacy->key,
                                   .side = {legacy->values, new_->values},
                                   .doubled = legacy->copies > 1 || new_->copies > 1,
                                   .near_miss = legacy->near_miss || new_->near_miss};
    return 0;
}

// ---------------------------------------------------------------- asked for a block

static struct row *find_row(struct causes *c, struct str key)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->rows[i].key, key))
            return &c->rows[i];
    return NULL;
}

static int ask_new(struct causes *c, struct err *e)
{
    struct value keys[BLOCK_MAX];
    struct buf list = BUF_INIT;
    struct rows rows;
    for (size_t i = 0; i < c->n; i++)
        keys[i] = value_set(c->rows[i].key);
    pg_array_literal(&list, keys, c->n, 1);
    int result = buf_check(&list, e);
    struct value v[] = {value_set(str_of(c->p->entity->name)), value_set(buf_str(&list))};
    if (result == 0)
        result = pg_query(c->p->pg,
                          STR("SELECT DISTINCT k FROM ficus.parked WHERE entity = $1"
                              " AND k = ANY($2::text[]) AND state IN ('parked','retry')"),
                          v, 2, c->p->chunk, &rows, e);
    for (size_t i = 0; result == 0 && i < rows.nrows; i++) {
        struct row *r = find_row(c, value_str(rows.cells[i]));
        if (r)
            r->parked = true;
    }
    buf_free(&list);
    return result;
}

static int ask_legacy(struct causes *c, const char *table, bool rogue, struct err *e)
{
    struct value v[BLOCK_MAX + 1] = {value_set(str_of(c->p->entity->name))};
    struct buf sql = BUF_INIT;
    struct rows rows;
    buf_printf(&sql, "SELECT DISTINCT k FROM %s WHERE entity = ?%s AND k IN (", table,
               rogue ? "" : " AND state IN ('parked','retry')");
    for (size_t i = 0; i < c->n; i++) {
        buf_addz(&sql, i > 0 ? ", ?" : "?");
        v[i + 1] = value_set(c->rows[i].key);
    }
    buf_addc(&sql, ')');
    int result = buf_check(&sql, e);
    if (result == 0)
        result = odbc_query(c->p->odbc, buf_str(&sql), v, c->n + 1, c->p->chunk, 0, &rows, e);
    for (size_t i = 0; result == 0 && i < rows.nrows; i++) {
        struct row *r = find_row(c, value_str(rows.cells[i]));
        if (r && rogue)
            r->rogue = true;
        else if (r)
            r->parked = true;
    }
    buf_free(&sql);
    return result;
}

// ---- ends of links

static size_t position_of(const struct reader *r, const struct field *f)
{
    for (size_t i = 0; i < r->nfields; i++)
        if (r->fields[i] == f)
            return i;
    return SIZE_MAX;
}

// Rows of this link that one side lacks: is the row that `end` points at there?
static int ask_end(struct causes *c, enum side side, const struct entity *target,
                   const struct field *end, struct err *e)
{
    struct pass *p = c->p;
    struct reader reader;
    struct str keys[BLOCK_MAX];
    struct row *of[BLOCK_MAX];
    size_t n = 0, at = position_of(&p->side[SIDE_LEGACY], end);
    if (at == SIZE_MAX || !target->sides[side].root || target->nkeys != 1)
        return 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct value *there = c->rows[i].side[side_other(side)];
        if (c->rows[i].side[side] || !there || there[at].state != VALUE_SET)
            continue;
        of[n] = &c->rows[i];
        keys[n++] = value_str(there[at]);
    }
    struct reader_row *found = arena_array(p->chunk, n ? n : 1, sizeof *found);
    if (!found)
        return err_memory(e);
    if (n == 0)
        return 0;
    if (reader_init(&reader, target, side, p->odbc, p->pg, e) ||
        reader_keys(&reader, keys, n, p->chunk, found, e))
        return err_prefix(e, "%s of %s", target->name, side_name(side));
    for (size_t i = 0; i < n; i++)
        of[i]->orphan |= found[i].values == NULL;
    return 0;
}

static int ask_ends(struct causes *c, struct err *e)
{
    const struct entity_set *set = route_entities(c->p->o->table);
    for (size_t i = 0; c->p->entity->link && i < entity_count(set); i++) {
        const struct entity *en = entity_at(set, i);
        for (size_t k = 0; k < en->nrelationships; k++) {
            const struct relationship *r = &en->relationships[k];
            if (r->kind != RELATION_LINK || r->through != c->p->entity)
                continue;
            for (int side = 0; side < 2; side++)
                if (ask_end(c, side, r->source, r->near, e) ||
                    ask_end(c, side, r->target, r->far, e))
                    return -1;
        }
    }
    return 0;
}

// ---------------------------------------------------------------- one row

static bool differs(const struct row *r, size_t i)
{
    const struct value *l = r->side[SIDE_LEGACY], *n = r->side[SIDE_NEW];
    return l[i].state == VALUE_FOREIGN || n[i].state == VALUE_FOREIGN || !value_eq(l[i], n[i]);
}

static bool only_case(struct value a, struct value b)
{
    struct str x = value_str(a), y = value_str(b);
    return a.state == VALUE_SET && b.state == VALUE_SET && str_eq_nocase(x, y);
}

static enum cause cause_of_row(const struct row *r)
{
    return r->doubled     ? CAUSE_DUPLICATE
           : r->parked    ? CAUSE_PARKED
           : r->orphan    ? CAUSE_ORPHAN
           : r->near_miss ? CAUSE_COLLATION
           : r->rogue     ? CAUSE_DIRECT
                          : CAUSE_UNKNOWN;
}

static enum cause cause_of_field(const struct causes *c, const struct row *r, size_t i)
{
    const struct field *f = c->p->side[SIDE_LEGACY].fields[i];
    struct value l = r->side[SIDE_LEGACY][i], n = r->side[SIDE_NEW][i];
    enum cause cause = cause_of_row(r);
    if (cause == CAUSE_UNKNOWN && (l.problem != PROBLEM_NONE || n.problem != PROBLEM_NONE))
        return CAUSE_LOSSY;
    if (cause == CAUSE_UNKNOWN && f->nocase && only_case(l, n))
        return CAUSE_COLLATION;
    return cause;
}

// One field's value for people: personal data only by its length, unless it was asked for.
static struct value shown(const struct causes *c, const struct field *f, struct value v)
{
    if (v.state == VALUE_NULL || v.state == VALUE_ABSENT)
        return value_null();
    if (f->secret || (f->personal && !c->p->o->reveal))
        return value_set(arena_printf(c->p->keep, "(%u bytes)", v.len));
    return value_set(park_text(str_utf8_cut(value_str(v), SHOWN_MAX), SHOWN_MAX, c->p->keep));
}

static struct str shown_key(const struct causes *c, struct str key)
{
    const struct entity *en = c->p->entity;
    for (size_t i = 0; i < en->nkeys; i++)
        if (en->keys[i]->secret || (en->keys[i]->personal && !c->p->o->reveal))
            return arena_printf(c->p->keep, "(%zu bytes)", key.len);
    return park_text(key, key.len, c->p->keep);
}

static struct finding *count(struct entity_report *r, const char *kind, const char *field,
                             enum cause cause, long long rows)
{
    for (size_t i = 0; i < r->nfindings; i++) {
        struct finding *f = &r->findings[i];
        if (f->cause == cause && strcmp(f->kind, kind) == 0 && strcmp(f->field, field) == 0) {
            f->rows += rows;
            return f;
        }
    }
    if (r->nfindings == FINDINGS_MAX)
        return NULL;
    r->findings[r->nfindings] = (struct finding){kind, field, cause, rows};
    return &r->findings[r->nfindings++];
}

static void version_text(XXH128_hash_t h, char out[24])
{
    snprintf(out, 24, "%016llx", (unsigned long long)(h.high64 ^ h.low64));
}

static void add(struct causes *c, const struct row *r, const char *kind, size_t field,
                enum cause cause)
{
    struct entity_report *report = c->p->report;
    const struct field *f = field == SIZE_MAX ? NULL : c->p->side[SIDE_LEGACY].fields[field];
    const struct finding *finding = count(report, kind, f ? f->name : "", cause, 1);
    if (report->nsamples == SAMPLES_MAX || (f && finding && finding->rows > FIELD_SAMPLES)) {
        report->samples_cut = true;
        return;
    }
    struct hidden *h = &c->hidden[report->nsamples];
    struct difference *d = &report->samples[report->nsamples++];
    *d = (struct difference){.key = shown_key(c, r->key),
                             .kind = kind,
                             .field = f ? f->name : "",
                             .legacy = f ? shown(c, f, r->side[SIDE_LEGACY][field]) : value_null(),
                             .new_ = f ? shown(c, f, r->side[SIDE_NEW][field]) : value_null(),
                             .cause = cause};
    *h = (struct hidden){.key = arena_str(c->p->keep, r->key), .sure = cause != CAUSE_UNKNOWN};
    for (int side = 0; side < 2; side++) {
        h->has_row[side] = r->side[side] != NULL;
        h->row[side] = scan_hash(&c->p->side[side], r->side[side], &c->flat);
        if (h->has_row[side])
            version_text(h->row[side], d->version[side]);
    }
}

static void add_row(struct causes *c, const struct row *r)
{
    c->p->report->differences++;
    if (!r->side[SIDE_LEGACY] || !r->side[SIDE_NEW]) {
        add(c, r, r->side[SIDE_LEGACY] ? "missing_new" : "missing_legacy", SIZE_MAX,
            cause_of_row(r));
        return;
    }
    bool any = false;
    for (size_t i = 0; i < c->p->side[SIDE_LEGACY].nfields; i++)
        if (differs(r, i)) {
            add(c, r, "field", i, cause_of_field(c, r, i));
            any = true;
        }
    if (!any) // rows of one key that look alike
        add(c, r, "duplicate", SIZE_MAX, CAUSE_DUPLICATE);
}

int causes_block(struct causes *c, struct err *e)
{
    const struct reconcile_options *o = c->p->o;
    if (c->n == 0)
        return 0;
    if (ask_new(c, e) || ask_legacy(c, "ficus_parked", false, e) ||
        ask_legacy(c, "ficus_rogue", true, e) || ask_ends(c, e))
        return err_prefix(e, "%s: causes", c->p->entity->name);
    for (size_t i = 0; i < c->n; i++) {
        const struct row *r = &c->rows[i];
        add_row(c, r);
        if (o->each &&
            o->each(o->each_ctx, c->p->entity, r->key, r->side[SIDE_LEGACY], r->side[SIDE_NEW], e))
            return -1;
    }
    c->n = 0;
    return 0;
}

// ---------------------------------------------------------------- at the end

static enum cause cause_of_trail(const struct causes *c, const struct event_trail *t, bool *sure)
{
    enum side owner = c->owner, other = side_other(owner);
    bool as_sent = t->side[owner].seen &&
                   (t->side[owner].gone
                        ? !t->has_row[owner]
                        : t->has_row[owner] && XXH128_isEqual(t->side[owner].last, t->row[owner]));
    bool by_itself = t->side[other].seen && t->has_row[other] && !t->side[other].gone &&
                     XXH128_isEqual(t->side[other].last, t->row[other]);
    *sure = true;
    if (by_itself || (t->side[other].seen && t->side[other].gone && !t->has_row[other]))
        return CAUSE_DIRECT;
    if (!t->side[owner].seen)
        return t->has_row[owner] ? CAUSE_UNSENT : CAUSE_DIRECT;
    if (!as_sent)
        return CAUSE_UNSENT;
    if (!t->has_row[other] || t->side[owner].stale)
        return CAUSE_LOST;
    *sure = false;
    return CAUSE_DIRECT;
}

static void settle_sample(struct causes *c, size_t at, const struct event_trail *t)
{
    struct difference *d = &c->p->report->samples[at];
    for (int side = 0; side < 2; side++)
        memcpy(d->event[side], t->side[side].text, EVENT_TEXT_MAX);
    if (d->cause != CAUSE_UNKNOWN)
        return;
    count(c->p->report, d->kind, d->field, CAUSE_UNKNOWN, -1);
    d->cause = cause_of_trail(c, t, &c->hidden[at].sure);
    count(c->p->report, d->kind, d->field, d->cause, 1);
}

static int trails(struct causes *c, struct err *e)
{
    size_t n = c->p->report->nsamples, made = 0;
    struct event_trail *list = calloc(n + 1, sizeof *list);
    size_t *of = calloc(n + 1, sizeof *of);
    int result = list && of ? 0 : err_memory(e);
    for (size_t i = 0; i < n && result == 0; i++) {
        const struct hidden *h = &c->hidden[i];
        if (i > 0 && str_eq(list[made - 1].key, h->key)) {
            of[i] = made - 1; // fields of one row follow each other
            continue;
        }
        list[made] = (struct event_trail){.key = h->key};
        memcpy(list[made].row, h->row, sizeof h->row);
        memcpy(list[made].has_row, h->has_row, sizeof h->has_row);
        of[i] = made++;
    }
    struct err why = {0};
    if (result == 0 && n > 0 && events_trail(c->p, list, made, &why))
        log_warn(&log_ctx, "%s: causes are known without the streams' events only: %s",
                 c->p->entity->name, why.msg);
    else
        for (size_t i = 0; i < n && result == 0; i++)
            settle_sample(c, i, &list[of[i]]);
    free(list);
    free(of);
    return result;
}

// ---- one field, many rows

static long long rows_of_field(const struct entity_report *r, const char *field)
{
    long long n = 0;
    for (size_t i = 0; i < r->nfindings; i++)
        if (strcmp(r->findings[i].field, field) == 0 && strcmp(r->findings[i].kind, "field") == 0)
            n += r->findings[i].rows;
    return n;
}

// Samples of the field whose cause is certain, of those whose is not.
static bool mostly_unsure(const struct causes *c, const char *field)
{
    size_t sure = 0, unsure = 0;
    for (size_t i = 0; i < c->p->report->nsamples; i++)
        if (strcmp(c->p->report->samples[i].field, field) == 0)
            c->hidden[i].sure ? sure++ : unsure++;
    return unsure > sure;
}

static void make_map_error(struct causes *c, const char *field)
{
    struct entity_report *r = c->p->report;
    size_t kept = 0, shown = 0;
    for (size_t i = 0; i < r->nfindings; i++)
        if (strcmp(r->findings[i].field, field) == 0 &&
            (r->findings[i].cause == CAUSE_UNKNOWN || r->findings[i].cause == CAUSE_DIRECT ||
             r->findings[i].cause == CAUSE_LOST)) {
            long long rows = r->findings[i].rows;
            r->findings[i].rows = 0;
            count(r, "field", field, CAUSE_MAP, rows);
        }
    for (size_t i = 0; i < r->nsamples; i++) {
        bool mine = strcmp(r->samples[i].field, field) == 0 && !c->hidden[i].sure;
        if (mine) {
            r->samples[i].cause = CAUSE_MAP;
            if (shown++ >= MAP_SAMPLES) {
                r->samples_cut = true;
                continue;
            }
        }
        c->hidden[kept] = c->hidden[i];
        r->samples[kept++] = r->samples[i];
    }
    r->nsamples = kept;
}

static void patterns(struct causes *c)
{
    const struct entity_report *r = c->p->report;
    long long rows = r->rows_legacy < r->rows_new ? r->rows_legacy : r->rows_new;
    for (size_t i = 0; i < c->p->side[SIDE_LEGACY].nfields; i++) {
        const char *field = c->p->side[SIDE_LEGACY].fields[i]->name;
        long long n = rows_of_field(r, field);
        if (n >= MAP_ROWS && n * MAP_PART >= rows && mostly_unsure(c, field))
            make_map_error(c, field);
    }
}

static void drop_empty(struct entity_report *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->nfindings; i++)
        if (r->findings[i].rows > 0)
            r->findings[kept++] = r->findings[i];
    r->nfindings = kept;
}

int causes_finish(struct causes *c, struct err *e)
{
    if (causes_block(c, e) || trails(c, e))
        return -1;
    patterns(c);
    drop_empty(c->p->report);
    return 0;
}
