// SPDX-License-Identifier: Apache-2.0
// Goes through the noted keys one by one, each in a transaction of its own; then the keys that
// were written are settled as a reconciliation would. Owns the notes (on disk beyond a size) and
// its two connections. One thread.
#include "cdc/reconcile/repair.h"

#include "base/clock.h"
#include "cdc/reconcile/reconcile_int.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTES_MEMORY (4u << 20)

struct note {
    uint32_t entity; // index in the options
    XXH128_hash_t row[2];
    uint8_t has_row[2];
};

struct repair {
    const struct reconcile_options *o;
    struct spool notes, written; // `written`: entity index, key
    struct buf text, flat;
    struct odbc_conn *odbc;
    struct pg_conn *pg;
    struct arena *arena;
    struct reader side[2]; // of the entity at hand
    size_t at;             // its index; SIZE_MAX: none
};

int repair_create(const struct reconcile_options *o, struct repair **out, struct err *e)
{
    struct repair *r = calloc(1, sizeof *r);
    *out = r;
    if (!r)
        return err_memory(e);
    r->o = o;
    r->at = SIZE_MAX;
    spool_init(&r->notes, NOTES_MEMORY);
    spool_init(&r->written, NOTES_MEMORY);
    r->arena = arena_create(0);
    return r->arena ? 0 : err_memory(e);
}

void repair_destroy(struct repair *r)
{
    if (!r)
        return;
    spool_free(&r->notes);
    spool_free(&r->written);
    buf_free(&r->text);
    buf_free(&r->flat);
    odbc_close(r->odbc);
    pg_close(r->pg);
    arena_destroy(r->arena);
    free(r);
}

static size_t index_of(const struct repair *r, const struct entity *en)
{
    size_t i = 0;
    while (i + 1 < r->o->nentities && r->o->entities[i] != en)
        i++;
    return i;
}

static int use_entity(struct repair *r, size_t i, struct err *e)
{
    if (r->at == i)
        return 0;
    r->at = i;
    return reader_init(&r->side[SIDE_LEGACY], r->o->entities[i], SIDE_LEGACY, r->odbc, NULL, e) ||
                   reader_init(&r->side[SIDE_NEW], r->o->entities[i], SIDE_NEW, NULL, r->pg, e)
               ? -1
               : 0;
}

int repair_note(void *repair, const struct entity *en, struct str key, const struct value *legacy,
                const struct value *new_, struct err *e)
{
    struct repair *r = repair;
    struct note n;
    size_t i = index_of(r, en);
    const struct value *rows[] = {legacy, new_};
    if (use_entity(r, i, e))
        return -1;
    memset(&n, 0, sizeof n);
    n.entity = (uint32_t)i;
    for (int side = 0; side < 2; side++) {
        n.row[side] = scan_hash(&r->side[side], rows[side], &r->flat);
        n.has_row[side] = rows[side] != NULL;
    }
    buf_reset(&r->text);
    buf_add(&r->text, &n, sizeof n);
    buf_addstr(&r->text, key);
    return buf_check(&r->text, e) || spool_add(&r->notes, r->text.data, r->text.len, e) ? -1 : 0;
}

// ---------------------------------------------------------------- one row, in a transaction

static int begin(struct repair *r, enum side side, struct err *e)
{
    return side == SIDE_NEW ? pg_begin(r->pg, e) : odbc_begin(r->odbc, true, e);
}

static void rollback(struct repair *r, enum side side)
{
    if (side == SIDE_NEW)
        pg_rollback(r->pg);
    else
        odbc_rollback(r->odbc);
}

static int commit(struct repair *r, enum side side, struct err *e)
{
    return side == SIDE_NEW ? pg_commit(r->pg, e) : odbc_commit(r->odbc, e);
}

static int run(struct repair *r, enum side side, struct str sql, const struct value *v, size_t n,
               struct err *e)
{
    return side == SIDE_NEW ? pg_exec(r->pg, sql, v, n, NULL, e)
                            : odbc_exec(r->odbc, sql, v, n, NULL, e);
}

// The row as it is now, held against other writers until the transaction ends: the root's row is
// written onto itself first where the store has no changelog, else locked by reading it.
static int still_as_seen(struct repair *r, enum side side, const struct note *n, struct str key,
                         struct reader_row *out, bool *same, struct err *e)
{
    if (reader_keys(&r->side[side], &key, 1, r->arena, out, e))
        return -1;
    XXH128_hash_t now = scan_hash(&r->side[side], out->values, &r->flat);
    *same = (out->values != NULL) == (n->has_row[side] != 0) && out->copies <= 1 &&
            XXH128_isEqual(now, n->row[side]);
    return 0;
}

static int note_in_changelog(struct repair *r, struct str key, struct err *e)
{
    struct value v[] = {value_set(str_of(r->o->entities[r->at]->name)), value_set(key)};
    return odbc_exec(r->odbc, STR("INSERT INTO ficus_changelog (entity, k) VALUES (?, ?)"), v, 2,
                     NULL, e);
}

// UPDATE root SET k1 = k1 WHERE key: nothing changes, and the log tells of the row.
static int onto_itself(struct repair *r, enum side side, struct str key, struct err *e)
{
    struct sql sql;
    struct value parts[16];
    const struct entity *en = r->o->entities[r->at];
    return entity_key_split(en, key, parts, e) ||
                   query_touch(en, side, reader_dbms(&r->side[side]), parts, r->arena, &sql, e) ||
                   run(r, side, sql.text, sql.params, sql.nparams, e)
               ? -1
               : 0;
}

static int write_all(struct repair *r, enum side side, const struct write *w, struct err *e)
{
    struct write_statement *list;
    size_t n;
    if (query_write(w, side, reader_dbms(&r->side[side]), r->arena, &list, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (run(r, side, list[i].sql.text, list[i].sql.params, list[i].sql.nparams, e))
            return -1;
    return 0;
}

// Every field by its index; ABSENT where nothing crosses.
static struct value *by_index(struct repair *r, enum side side, const struct value *row)
{
    const struct entity *en = r->o->entities[r->at];
    struct value *v = arena_array(r->arena, en->nfields, sizeof *v);
    for (size_t i = 0; v && i < r->side[side].nfields; i++)
        v[r->side[side].fields[i]->index] = row[i];
    return v;
}

// Deletion by key for good, as apply would: soft deletes are fields of a row.
static int delete_all(struct repair *r, enum side side, const struct value *row, struct err *e)
{
    struct apply_statement *list;
    size_t n;
    char now[20];
    const struct entity *en = r->o->entities[r->at];
    clock_utc_seconds(clock_wall_ms(), now);
    if (query_apply_delete(en, side, reader_dbms(&r->side[side]), r->arena, &list, &n, e))
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct value *v = arena_array(r->arena, list[i].nparams + 1, sizeof *v);
        for (size_t k = 0; v && k < list[i].nparams; k++) {
            if (query_apply_param(&list[i], k, side, row, now, r->arena, &v[k], e))
                return -1;
            if (side == SIDE_NEW) { // its statements take arrays of all rows
                struct buf one = BUF_INIT;
                pg_array_literal(&one, &v[k], 1, 1);
                v[k] = value_set(arena_str(r->arena, buf_str(&one)));
                buf_free(&one);
            }
        }
        if (!v)
            return err_memory(e);
        if (run(r, side, list[i].text, v, list[i].nparams, e))
            return -1;
    }
    return 0;
}

// The owner lacks the row and has no changelog: it comes and goes in one transaction, so that
// the log tells of its end.
static int come_and_go(struct repair *r, enum side owner, struct str key, const struct value *row,
                       struct err *e)
{
    char now[20];
    struct value parts[16];
    const struct entity *en = r->o->entities[r->at];
    struct value *values = by_index(r, side_other(owner), row);
    clock_utc_seconds(clock_wall_ms(), now);
    struct write w = {
        .entity = en, .kind = WRITE_CREATE, .key = parts, .values = values, .now = now};
    if (!values)
        return err_memory(e);
    return entity_key_split(en, key, parts, e) || write_all(r, owner, &w, e) ||
                   delete_all(r, owner, values, e)
               ? -1
               : 0;
}

static bool has_changelog(const struct repair *r, enum side side)
{
    return side == SIDE_LEGACY && odbc_dbms(r->odbc)->changelog_max_sql != NULL;
}

// From the owner, through the stream. *done false: it moved.
static int from_owner(struct repair *r, enum side owner, const struct note *n, struct str key,
                      bool *done, struct err *e)
{
    struct reader_row mine, theirs = {0};
    *done = false;
    // Writing it onto itself first holds the row; what it is then is what the log will say.
    if (!has_changelog(r, owner) && n->has_row[owner] && onto_itself(r, owner, key, e))
        return -1;
    bool same;
    if (still_as_seen(r, owner, n, key, &mine, &same, e))
        return -1;
    if (!same)
        return 0;
    *done = true;
    if (has_changelog(r, owner))
        return note_in_changelog(r, key, e);
    if (n->has_row[owner])
        return 0;
    if (reader_keys(&r->side[side_other(owner)], &key, 1, r->arena, &theirs, e))
        return -1;
    *done = theirs.values != NULL;
    return *done ? come_and_go(r, owner, key, theirs.values, e) : 0;
}

// The owner's row becomes the other side's, if both are as seen.
static int toward_owner(struct repair *r, enum side owner, const struct note *n, struct str key,
                        bool *done, struct err *e)
{
    struct reader_row mine, theirs;
    bool same[2];
    char now[20];
    struct value parts[16];
    const struct entity *en = r->o->entities[r->at];
    *done = false;
    clock_utc_seconds(clock_wall_ms(), now);
    if ((n->has_row[owner] && onto_itself(r, owner, key, e)) ||
        still_as_seen(r, owner, n, key, &mine, &same[0], e) ||
        still_as_seen(r, side_other(owner), n, key, &theirs, &same[1], e) ||
        entity_key_split(en, key, parts, e))
        return -1;
    if (!same[0] || !same[1])
        return 0;
    *done = true;
    if (!theirs.values)
        return delete_all(r, owner, by_index(r, owner, mine.values), e);
    struct write w = {.entity = en,
                      .kind = mine.values ? WRITE_UPDATE : WRITE_CREATE,
                      .key = parts,
                      .values = by_index(r, side_other(owner), theirs.values),
                      .now = now};
    return w.values ? write_all(r, owner, &w, e) : err_memory(e);
}

// ---------------------------------------------------------------- all rows

static enum side owner_of(const struct repair *r)
{
    const struct group *g = group_of(r->o->table, r->o->entities[r->at]);
    return g ? g->owner : SIDE_LEGACY;
}

static int one_row(struct repair *r, const struct repair_options *o, const struct note *n,
                   struct str key, struct repair_report *out, struct err *e)
{
    struct err why = {0};
    bool done = false;
    enum side owner = owner_of(r);
    arena_reset(r->arena);
    if (begin(r, owner, e))
        return -1;
    int result = o->toward_owner ? toward_owner(r, owner, n, key, &done, &why)
                                 : from_owner(r, owner, n, key, &done, &why);
    if (result == 0 && done)
        result = commit(r, owner, &why);
    else
        rollback(r, owner);
    if (result && (why.code == ERR_UNREACHABLE || why.code == ERR_UNKNOWN_OUTCOME ||
                   why.code == ERR_MEMORY)) {
        *e = why;
        return -1;
    }
    if (result) {
        if (out->refused++ == 0)
            snprintf(out->refusal, sizeof out->refusal, "%s", why.msg);
        return 0;
    }
    if (!done) {
        out->moved++;
        return 0;
    }
    out->written++;
    buf_reset(&r->text);
    buf_add(&r->text, &n->entity, sizeof n->entity);
    buf_addstr(&r->text, key);
    return buf_check(&r->text, e) || spool_add(&r->written, r->text.data, r->text.len, e) ? -1 : 0;
}

static void rest(const struct repair_options *o, long long done, uint64_t start)
{
    if (o->rows_per_s <= 0)
        return;
    uint64_t due = (uint64_t)(done * 1000 / o->rows_per_s), now = clock_mono_ms() - start;
    if (due > now)
        clock_sleep_ms((unsigned)(due - now));
}

static int write_rows(struct repair *r, const struct repair_options *o, struct repair_report *out,
                      struct err *e)
{
    struct str record;
    uint64_t start = clock_mono_ms();
    long long done = 0;
    int more = spool_rewind(&r->notes, e);
    while (more == 0 && (more = spool_next(&r->notes, &record, e)) == 1) {
        struct note n;
        more = 0;
        if (o->limit > 0 && done >= o->limit) {
            out->skipped++;
            continue;
        }
        memcpy(&n, record.data, sizeof n);
        if (o->dry_run) {
            done++;
            continue;
        }
        if (use_entity(r, n.entity, e) ||
            one_row(r, o, &n, str_n(record.data + sizeof n, record.len - sizeof n), out, e))
            return -1;
        rest(o, ++done, start);
        if (o->progress)
            o->progress(o->ctx, done, out->found);
    }
    return more;
}

// Of one entity: what was written is settled like candidates.
static int check_entity(struct repair *r, size_t i, struct control *c, struct repair_report *out,
                        struct err *e)
{
    struct entity_report report = {.entity = r->o->entities[i]};
    struct reconcile_options quiet = *r->o;
    quiet.each = NULL;
    struct pass p = {.o = &quiet,
                     .entity = r->o->entities[i],
                     .control = c,
                     .odbc = r->odbc,
                     .pg = r->pg,
                     .report = &report,
                     .keep = arena_create(0),
                     .chunk = arena_create(0)};
    struct str record;
    int more = p.keep && p.chunk ? pool_init(&p.pool, e) : err_memory(e);
    if (more == 0) {
        more = reader_init(&p.side[SIDE_LEGACY], p.entity, SIDE_LEGACY, r->odbc, NULL, e) ||
                       reader_init(&p.side[SIDE_NEW], p.entity, SIDE_NEW, NULL, r->pg, e)
                   ? -1
                   : spool_rewind(&r->written, e);
        p.side[SIDE_NEW].versions = true;
        while (more == 0 && (more = spool_next(&r->written, &record, e)) == 1) {
            uint32_t entity;
            memcpy(&entity, record.data, sizeof entity);
            more = entity == i
                       ? pool_candidate(
                             &p.pool,
                             str_n(record.data + sizeof entity, record.len - sizeof entity), e)
                       : 0;
        }
        if (more == 0 && p.pool.candidates.records > 0)
            more = settle(&p, e);
        pool_free(&p.pool);
    }
    out->mended += report.settled;
    out->left += report.differences + report.unsettled;
    arena_destroy(p.keep);
    arena_destroy(p.chunk);
    return more;
}

int repair_run(struct repair *r, const struct repair_options *o, struct control *c,
               struct repair_report *out, struct err *e)
{
    *out = (struct repair_report){.found = r->notes.records};
    if (r->notes.records == 0)
        return 0;
    r->at = SIZE_MAX;
    if (pass_open(r->o, &r->odbc, &r->pg, e) || write_rows(r, o, out, e))
        return -1;
    for (size_t i = 0; i < r->o->nentities && !o->dry_run; i++)
        if (check_entity(r, i, c, out, e))
            return -1;
    return 0;
}
