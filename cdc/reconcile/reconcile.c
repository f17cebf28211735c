// SPDX-License-Identifier: Apache-2.0
// One reconciliation run: opens both stores, passes over each entity, settles, records. Thread:
// the caller's, which may block; first_pass() has threads of its own.
#include "cdc/reconcile/reconcile.h"

#include "base/clock.h"
#include "base/log.h"
#include "cdc/event/event.h"
#include "cdc/reconcile/proof.h"
#include "cdc/reconcile/reconcile_events.h"

#include <stdio.h>
#include <stdlib.h>

#define CLEAN_MAX "12 hours" // topics may have forgotten deletions that are older

static const struct log_ctx log_ctx = {"reconcile", NULL, NULL};

int pass_open(const struct reconcile_options *o, struct odbc_conn **odbc, struct pg_conn **pg,
              struct err *e)
{
    const struct dbms *d = dbms_find(str_of(conf_str(o->conf, "legacy.dbms")));
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(o->conf, "legacy.dbms"));
    if (odbc_open(conf_str(o->conf, "legacy.odbc"), d, odbc, e))
        return err_prefix(e, "legacy database (legacy.odbc)");
    if (pg_open(conf_str(o->conf, "control.conninfo"), "ficus reconcile", pg, e))
        return -1;
    // A plan made for any range takes a chunk for a big part of its range, and sorts all of it.
    return pg_script(*pg, STR("SET plan_cache_mode = force_custom_plan"), e);
}

// In both directions: each store keeps what could not be applied to it.
static int parked_count(struct pass *p, struct err *e)
{
    char stream[160];
    struct rows rows;
    long long towards_legacy = 0;
    struct entity_report *r = p->report;
    stream_name(r->entity, SIDE_LEGACY, stream, sizeof stream);
    struct value v = value_set(str_of(stream));
    if (control_number(p->control,
                       "SELECT count(*) FROM ficus.parked WHERE state IN ('parked','retry')"
                       " AND stream = $1",
                       &v, 1, &r->parked, e))
        return -1;
    stream_name(r->entity, SIDE_NEW, stream, sizeof stream);
    v = value_set(str_of(stream));
    arena_reset(p->chunk);
    if (odbc_query(p->odbc,
                   STR("SELECT COUNT(*) FROM ficus_parked WHERE state IN ('parked','retry')"
                       " AND stream = ?"),
                   &v, 1, p->chunk, 1, &rows, e))
        return err_prefix(e, "parked events of the legacy");
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &towards_legacy))
        return err_set(e, ERR_INTERNAL, "parked events cannot be counted");
    r->parked += towards_legacy;
    return 0;
}

// Asked of a table only when no index says that every key is one row's own.
static int bad_keys(struct pass *p, enum side side, struct err *e)
{
    struct str sql;
    struct rows rows;
    long long n = 0;
    if (p->unique[side])
        return 0;
    arena_reset(p->chunk);
    if (query_bad_keys(p->entity, side, reader_dbms(&p->side[side]), p->chunk, &sql, e) ||
        (side == SIDE_NEW ? pg_query(p->pg, sql, NULL, 0, p->chunk, &rows, e)
                          : odbc_query(p->odbc, sql, NULL, 0, p->chunk, 1, &rows, e)))
        return err_prefix(e, "%s: keys of the %s side", p->entity->name, side_name(side));
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &n))
        return err_set(e, ERR_INTERNAL, "%s: keys cannot be counted", p->entity->name);
    p->report->bad_keys += n;
    return 0;
}

static bool is_slice(const struct reconcile_options *o)
{
    return o->from || o->to || o->where || o->since || o->skip_deleted;
}

// ---------------------------------------------------------------- one entity

// The positions of the last run that found this entity equal, whole and not too long ago.
static int find_clean(struct pass *p, json_t **out, struct err *e)
{
    struct rows rows;
    struct value v[] = {value_set(str_of(p->entity->name)), value_set(str_of(p->run))};
    struct pg_conn *pg = control_pg(p->control, e);
    if (!pg || pg_query(pg,
                        STR("SELECT r.positions FROM ficus.reconcile_entity x"
                            " JOIN ficus.reconcile_run r ON r.id = x.run WHERE x.entity = $1"
                            " AND r.id <> $2::bigint AND x.complete AND x.differences = 0"
                            " AND x.coverage = 'full' AND r.positions ? 'streams'"
                            " AND r.started_at > now() - interval '" CLEAN_MAX "'"
                            " ORDER BY r.id DESC LIMIT 1"),
                        v, 2, p->plan, &rows, e))
        return -1;
    if (rows.nrows == 0)
        return err_set(e, ERR_NOT_FOUND,
                       "%s: no clean and full run within the last " CLEAN_MAX
                       " to go on from: run without --changed",
                       p->entity->name);
    *out = json_loadb(rows.cells[0].data, rows.cells[0].len, 0, NULL);
    return *out ? 0 : err_set(e, ERR_INTERNAL, "positions on record are no JSON");
}

static int pass_changed(struct pass *p, struct err *e)
{
    json_t *from = NULL;
    if (find_clean(p, &from, e))
        return -1;
    p->clean_from = from;
    p->report->why = STR("keys that changed since the last clean run");
    int result = changed_pass(p, e);
    json_decref(from);
    return result;
}

// Ranges on record say how they are walked, whatever would be chosen now.
static void keep_plan(struct pass *p)
{
    bool sketch = p->nranges > 0 && p->ranges[0].part != PART_BOTH;
    if (sketch != (p->report->plan == PLAN_SKETCH))
        p->report->plan = sketch ? PLAN_SKETCH : PLAN_STREAM;
}

// A sketch does not do: the entity is walked anew, and what differs goes to the pool.
static int stream_after_all(struct pass *p, struct err *e)
{
    struct entity_report *r = p->report;
    r->plan = PLAN_STREAM;
    r->why = str_of(p->blind);
    p->blind = NULL;
    r->rows_legacy = r->rows_new = r->ranges_resumed = 0;
    pool_free(&p->pool);
    if (pool_init(&p->pool, e) || record_forget(p, e) || pass_cut(p, e) || record_ranges(p, e))
        return -1;
    return first_pass(p, e);
}

static int pass_ranges(struct pass *p, bool *finished, struct err *e)
{
    bool found = false;
    *finished = false;
    if (p->o->resume && record_resume(p, &found, finished, e))
        return -1;
    if (*finished)
        return 0;
    if (pass_plan(p, e) || bad_keys(p, SIDE_LEGACY, e) || bad_keys(p, SIDE_NEW, e))
        return -1;
    if (found)
        keep_plan(p);
    if (!found && (pass_cut(p, e) || record_ranges(p, e)))
        return -1;
    if (first_pass(p, e))
        return -1;
    return p->blind ? stream_after_all(p, e) : 0;
}

static int compare_entity(struct pass *p, struct err *e)
{
    struct entity_report *r = p->report;
    uint64_t start = clock_mono_ms();
    bool finished = false;
    if (reader_init(&p->side[SIDE_LEGACY], p->entity, SIDE_LEGACY, p->odbc, NULL, e) ||
        reader_init(&p->side[SIDE_NEW], p->entity, SIDE_NEW, NULL, p->pg, e) || pass_slice(p, e))
        return -1;
    p->side[SIDE_NEW].versions = true;
    if (p->o->changed ? pass_changed(p, e) : pass_ranges(p, &finished, e))
        return -1;
    if (finished)
        return parked_count(p, e);
    if (settle(p, e) || parked_count(p, e))
        return -1;
    r->full = !is_slice(p->o);
    r->complete = r->unsettled == 0 && r->bad_keys == 0;
    r->ms = clock_mono_ms() - start;
    return record_entity(p, e);
}

static int one_entity(struct pass *p, const struct entity *en, struct entity_report *r,
                      struct err *e)
{
    p->entity = en;
    p->report = r;
    *r = (struct entity_report){.entity = en};
    p->ranges = NULL;
    p->nranges = 0;
    p->blind = NULL;
    arena_reset(p->plan);
    if (pool_init(&p->pool, e))
        return -1;
    int result = compare_entity(p, e);
    pool_free(&p->pool);
    return result;
}

static int explain_entity(struct pass *p, const struct entity *en, struct entity_report *r,
                          struct err *e)
{
    p->entity = en;
    p->report = r;
    *r = (struct entity_report){.entity = en};
    arena_reset(p->plan);
    if (reader_init(&p->side[SIDE_LEGACY], en, SIDE_LEGACY, p->odbc, NULL, e) ||
        reader_init(&p->side[SIDE_NEW], en, SIDE_NEW, NULL, p->pg, e) || pass_slice(p, e))
        return -1;
    return pass_plan(p, e) || pass_cut(p, e) ? -1 : 0;
}

// ---------------------------------------------------------------- the run

static json_t *epochs_of(const struct route_table *t)
{
    json_t *all = json_object();
    for (size_t i = 0; i < group_count(t); i++) {
        const struct group *g = group_at(t, i);
        json_object_set_new(
            all, g->name,
            json_pack("{s:s, s:I}", "owner", side_name(g->owner), "epoch", (json_int_t)g->epoch));
    }
    return all;
}

static int begin(struct pass *p, struct reconcile_report *out, struct err *e)
{
    char now[20];
    struct err why = {0};
    clock_utc_seconds(clock_wall_ms(), now);
    out->started = arena_str(p->keep, str_of(now));
    out->version = route_table_version(p->o->table);
    out->epochs = epochs_of(p->o->table);
    if (!out->started.data || !out->epochs)
        return err_memory(e);
    if (p->o->explain)
        return 0;
    pass_look(p);
    // Without positions the run proves as much, but nothing can go on from it.
    out->positions = positions_now(p->o, p->odbc, &why);
    if (!out->positions) {
        log_warn(&log_ctx, "the streams' ends are not known: %s", why.msg);
        out->positions = json_object();
    }
    return record_begin(p, out, e);
}

static int run_entities(struct pass *p, struct reconcile_report *out, struct err *e)
{
    for (size_t i = 0; i < out->nentities; i++) {
        struct entity_report *r = &out->entities[i];
        int result = p->o->explain ? explain_entity(p, p->o->entities[i], r, e)
                                   : one_entity(p, p->o->entities[i], r, e);
        if (result)
            return -1;
        out->complete &= r->complete;
        out->full &= r->full;
        out->equal &= r->differences == 0;
    }
    return 0;
}

static int end(struct pass *p, struct reconcile_report *out, uint64_t start, struct err *e)
{
    out->equal &= out->complete;
    out->ms = clock_mono_ms() - start;
    if (proof_make(p->o->conf, p->o->who, out, p->keep, e))
        return -1;
    return record_end(p, out, e);
}

static int run_all(struct pass *p, struct reconcile_report *out, struct err *e)
{
    uint64_t start = clock_mono_ms();
    out->entities = arena_array(p->keep, out->nentities + 1, sizeof *out->entities);
    if (!out->entities || !(p->chunk = arena_create(0)) || !(p->plan = arena_create(0)))
        return err_memory(e);
    if (pass_open(p->o, &p->odbc, &p->pg, e) || begin(p, out, e))
        return -1;
    if (run_entities(p, out, e)) {
        if (!p->o->explain)
            record_failure(p, e);
        return -1;
    }
    return p->o->explain ? 0 : end(p, out, start, e);
}

int reconcile_run(const struct reconcile_options *o, struct control *c, struct arena *a,
                  struct reconcile_report *out, struct err *e)
{
    struct pass p = {.o = o, .control = c, .keep = a};
    *out = (struct reconcile_report){
        .complete = true, .equal = true, .full = true, .nentities = o->nentities};
    int result = run_all(&p, out, e);
    pg_close(p.pg);
    odbc_close(p.odbc);
    arena_destroy(p.chunk);
    arena_destroy(p.plan);
    if (result)
        reconcile_report_free(out);
    return result;
}

void reconcile_report_free(struct reconcile_report *r)
{
    json_decref(r->positions);
    json_decref(r->epochs);
    r->positions = r->epochs = NULL;
}
