// SPDX-License-Identifier: Apache-2.0
// One reconciliation run: opens both stores, scans and settles each entity, records the run in
// the control store. The passes are in reconcile_scan.c and reconcile_settle.c. Thread: the
// caller's, which may block.
#include "cdc/reconcile.h"

#include "base/clock.h"
#include "base/log.h"
#include "cdc/event.h"
#include "cdc/reconcile_int.h"

#include <stdio.h>
#include <stdlib.h>

static const struct log_ctx log_ctx = {"reconcile", NULL, NULL};

static int record_differences(struct control *c, const char *run, const struct entity_report *r,
                              struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    for (size_t i = 0; pg && i < r->nsamples; i++) {
        const struct difference *d = &r->samples[i];
        struct value p[] = {value_set(str_of(run)),
                            value_set(str_of(r->entity->name)),
                            value_set(d->key),
                            value_set(str_of(d->kind)),
                            value_set(str_of(d->field)),
                            d->legacy,
                            d->new_,
                            value_set(d->real_key)};
        if (pg_exec(pg,
                    STR("INSERT INTO ficus.difference (run, entity, k, kind, field,"
                        " legacy_value, new_value, cause) VALUES ($1::bigint,$2,$3,$4,$5,$6,$7,"
                        " CASE WHEN EXISTS (SELECT 1 FROM ficus.parked p WHERE p.entity = $2"
                        " AND p.k = $8 AND p.state IN ('parked','retry')) THEN 'parked'"
                        " ELSE 'drift' END)"),
                    p, 8, NULL, e))
            return -1;
    }
    return pg ? 0 : -1;
}

static int record_entity(struct control *c, const char *run, const struct entity_report *r,
                         struct err *e)
{
    char n[5][24];
    const long long figures[] = {r->rows_legacy, r->rows_new, r->differences, r->settled,
                                 r->unsettled};
    struct pg_conn *pg = control_pg(c, e);
    if (!pg)
        return -1;
    for (size_t i = 0; i < 5; i++)
        snprintf(n[i], sizeof n[i], "%lld", figures[i]);
    const char *p[] = {
        run, r->entity->name, n[0], n[1], n[2], n[3], n[4], r->complete ? "true" : "false"};
    if (pg_execz(pg,
                 "INSERT INTO ficus.reconcile_entity (run, entity, rows_legacy, rows_new,"
                 " differences, settled, unsettled, complete) VALUES ($1::bigint, $2, $3::bigint,"
                 " $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::boolean)",
                 p, 8, NULL, e))
        return -1;
    return record_differences(c, run, r, e);
}

// In both directions: each store keeps what could not be applied to it.
static int parked_count(struct scan *s, struct control *c, struct err *e)
{
    char stream[160];
    struct rows rows;
    long long towards_legacy = 0;
    struct entity_report *r = s->report;
    stream_name(r->entity, SIDE_LEGACY, stream, sizeof stream);
    struct value p = value_set(str_of(stream));
    if (control_number(c,
                       "SELECT count(*) FROM ficus.parked WHERE state IN ('parked','retry')"
                       " AND stream = $1",
                       &p, 1, &r->parked, e))
        return -1;
    stream_name(r->entity, SIDE_NEW, stream, sizeof stream);
    p = value_set(str_of(stream));
    arena_reset(s->chunk);
    if (odbc_query(s->odbc,
                   STR("SELECT COUNT(*) FROM ficus_parked WHERE state IN ('parked','retry')"
                       " AND stream = ?"),
                   &p, 1, s->chunk, 1, &rows, e))
        return err_prefix(e, "parked events of the legacy");
    if (rows.nrows != 1 || !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &towards_legacy))
        return err_set(e, ERR_INTERNAL, "parked events cannot be counted");
    r->parked += towards_legacy;
    return 0;
}

static int bad_keys(struct scan *s, struct err *e)
{
    struct str sql;
    struct rows rows;
    arena_reset(s->chunk);
    if (query_bad_keys(s->entity, SIDE_LEGACY, odbc_dbms(s->odbc), s->chunk, &sql, e) ||
        odbc_query(s->odbc, sql, NULL, 0, s->chunk, 1, &rows, e))
        return err_prefix(e, "%s: keys of the legacy", s->entity->name);
    if (rows.nrows != 1 ||
        !str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &s->report->bad_keys))
        return err_set(e, ERR_INTERNAL, "%s: keys cannot be counted", s->entity->name);
    return 0;
}

static int one_entity(struct scan *s, struct control *c, const char *run, struct err *e)
{
    struct entity_report *r = s->report;
    if (reader_init(&s->side[SIDE_LEGACY], s->entity, SIDE_LEGACY, s->odbc, NULL, e) ||
        reader_init(&s->side[SIDE_NEW], s->entity, SIDE_NEW, NULL, s->pg, e) || bad_keys(s, e) ||
        scan_side(s, SIDE_LEGACY, e) || scan_side(s, SIDE_NEW, e) || settle(s, e) ||
        parked_count(s, c, e))
        return -1;
    r->complete = !s->overflow && r->unsettled == 0 && r->bad_keys == 0;
    return record_entity(c, run, r, e);
}

static int finish_run(struct control *c, const char *run, const struct reconcile_report *r,
                      struct err *e)
{
    struct pg_conn *pg = control_pg(c, e);
    long long differences = 0;
    for (size_t i = 0; i < r->nentities; i++)
        differences += r->entities[i].differences;
    json_t *j = json_pack("{s:b, s:I, s:I}", "equal", (int)r->equal, "differences",
                          (json_int_t)differences, "ms", (json_int_t)r->ms);
    char *text = json_dumps(j, JSON_COMPACT);
    const char *p[] = {run, r->complete ? "true" : "false", text};
    int result = !pg ? -1
                     : pg_execz(pg,
                                "UPDATE ficus.reconcile_run SET finished_at = now(),"
                                " complete = $2::boolean, summary = $3::jsonb"
                                " WHERE id = $1::bigint",
                                p, 3, NULL, e);
    free(text);
    json_decref(j);
    return result;
}

// A run that cannot go on leaves its reason.
static void fail_run(struct control *c, const char *run, const struct err *why)
{
    struct err e = {0};
    struct pg_conn *pg = control_pg(c, &e);
    const char *p[] = {run, why->msg};
    if (!pg || pg_execz(pg,
                        "UPDATE ficus.reconcile_run SET finished_at = now(), complete = false,"
                        " summary = jsonb_build_object('error', $2::text) WHERE id = $1::bigint",
                        p, 2, NULL, &e))
        log_warn(&log_ctx, "run %s has no end on record: %s", run, e.msg);
}

static int run_entities(struct scan *s, struct control *c, const char *run,
                        struct reconcile_report *out, struct err *e)
{
    for (size_t i = 0; i < s->o->nentities; i++) {
        s->entity = s->o->entities[i];
        s->report = &out->entities[i];
        s->report->entity = s->entity;
        s->candidates = NULL;
        s->ncandidates = 0;
        s->overflow = false;
        if (one_entity(s, c, run, e))
            return -1;
        out->complete &= s->report->complete;
        out->equal &= s->report->differences == 0;
    }
    return 0;
}

int reconcile_run(const struct reconcile_options *o, struct control *c, struct arena *a,
                  struct reconcile_report *out, struct err *e)
{
    struct scan s = {.o = o, .keep = a};
    const struct dbms *d = dbms_find(str_of(conf_str(o->conf, "legacy.dbms")));
    uint64_t start = clock_mono_ms();
    struct value who = value_set(str_of(o->who));
    char run[24];
    int result = -1;
    *out = (struct reconcile_report){.complete = true, .equal = true};
    out->nentities = o->nentities;
    out->entities = arena_array(a, o->nentities ? o->nentities : 1, sizeof *out->entities);
    if (!d)
        return err_set(e, ERR_CONFIG, "legacy.dbms: '%s' is not known",
                       conf_str(o->conf, "legacy.dbms"));
    if (!out->entities || !(s.chunk = arena_create(0)))
        return err_memory(e);
    if (odbc_open(conf_str(o->conf, "legacy.odbc"), d, &s.odbc, e)) {
        err_prefix(e, "legacy database (legacy.odbc)");
        goto out;
    }
    if (pg_open(conf_str(o->conf, "control.conninfo"), "ficus reconcile", &s.pg, e) ||
        control_number(c, "INSERT INTO ficus.reconcile_run (who) VALUES ($1) RETURNING id", &who, 1,
                       &out->run, e))
        goto out;
    snprintf(run, sizeof run, "%lld", out->run);
    if (run_entities(&s, c, run, out, e)) {
        fail_run(c, run, e);
        goto out;
    }
    out->equal &= out->complete;
    out->ms = clock_mono_ms() - start;
    result = finish_run(c, run, out, e);
out:
    pg_close(s.pg);
    odbc_close(s.odbc);
    arena_destroy(s.chunk);
    return result;
}
