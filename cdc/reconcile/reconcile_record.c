// SPDX-License-Identifier: Apache-2.0
// What a run leaves in the control store: its ranges while it runs, so that another process can
// go on with it; its entities, findings and differences when it is done. Personal values and
// keys are recorded by their length only; waiting prints hold real keys until the run ends.
#include "cdc/event/event.h"
#include "cdc/reconcile/reconcile_int.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static const struct log_ctx log_ctx = {"reconcile", NULL, NULL};

static const char *text_or_null(struct value v, char *out, size_t size)
{
    if (v.state != VALUE_SET)
        return NULL;
    return str_copy(out, size, value_str(v)) ? NULL : out;
}

// What decides whether another process may go on with a run.
static void options_text(const struct pass *p, struct buf *out)
{
    const struct reconcile_options *o = p->o;
    for (size_t i = 0; i < o->nentities; i++)
        buf_printf(out, "%s,", o->entities[i]->name);
    buf_printf(out, " from=%s to=%s where=%s since=%s deleted=%d changed=%d unordered=%d",
               o->from ? o->from : "", o->to ? o->to : "", o->where ? o->where : "",
               o->since ? o->since : "", !o->skip_deleted, o->changed, o->without_index);
}

// The newest run of the same options, when it has not ended well. Its id goes to p->run.
static int find_unfinished(struct pass *p, const char *options, struct reconcile_report *out,
                           struct err *e)
{
    struct value v = value_set(str_of(options));
    if (control_number(p->control,
                       "SELECT coalesce((SELECT CASE WHEN r.finished_at IS NULL OR r.summary ?"
                       " 'error' THEN r.id ELSE 0 END FROM ficus.reconcile_run r"
                       " WHERE r.options = $1 ORDER BY r.id DESC LIMIT 1), 0)",
                       &v, 1, &out->run, e))
        return -1;
    return out->run > 0 ? 0
                        : err_set(e, ERR_NOT_FOUND,
                                  "no unfinished run of these entities and options to go on with");
}

int record_begin(struct pass *p, struct reconcile_report *out, struct err *e)
{
    struct buf options = BUF_INIT;
    int result = -1;
    options_text(p, &options);
    char *positions = json_dumps(out->positions, JSON_COMPACT);
    if (buf_check(&options, e) || !positions) {
        err_memory(e);
    } else if (p->o->resume) {
        result = find_unfinished(p, options.data, out, e);
        snprintf(p->run, sizeof p->run, "%lld", out->run);
        const char *v[] = {p->run};
        struct pg_conn *pg = control_pg(p->control, e);
        if (result == 0)
            result = pg ? pg_execz(pg,
                                   "UPDATE ficus.reconcile_run SET finished_at = NULL,"
                                   " summary = '{}' WHERE id = $1::bigint",
                                   v, 1, NULL, e)
                        : -1;
    } else {
        struct value v[] = {value_set(str_of(p->o->who)), value_set(buf_str(&options)),
                            value_set(str_of(positions))};
        result = control_number(p->control,
                                "INSERT INTO ficus.reconcile_run (who, options, positions)"
                                " VALUES ($1, $2, $3::jsonb) RETURNING id",
                                v, 3, &out->run, e);
        snprintf(p->run, sizeof p->run, "%lld", out->run);
    }
    free(positions);
    buf_free(&options);
    return result;
}

// ---------------------------------------------------------------- ranges

static int insert_range(struct pass *p, struct pg_conn *pg, size_t i, struct err *e)
{
    char at[24], above[1024], up_to[1024];
    const struct range *r = &p->ranges[i];
    snprintf(at, sizeof at, "%zu", i);
    const char *v[] = {p->run,
                       p->entity->name,
                       at,
                       text_or_null(r->above, above, sizeof above),
                       text_or_null(r->up_to, up_to, sizeof up_to),
                       part_name(r->part)};
    if (r->part == PART_PAGES) {
        snprintf(above, sizeof above, "%lld", r->first);
        snprintf(up_to, sizeof up_to, "%lld", r->end);
        v[3] = above;
        v[4] = up_to;
    } else if ((r->above.state == VALUE_SET && !v[3]) || (r->up_to.state == VALUE_SET && !v[4]))
        return err_set(e, ERR_LIMIT, "%s: a key is longer than %zu bytes", p->entity->name,
                       sizeof above);
    return pg_execz(pg,
                    "INSERT INTO ficus.reconcile_range (run, entity, ordinal, above, up_to, part)"
                    " VALUES ($1::bigint, $2, $3::int, $4, $5, $6)",
                    v, 6, NULL, e);
}

int record_ranges(struct pass *p, struct err *e)
{
    struct pg_conn *pg = control_pg(p->control, e);
    int result = pg ? pg_begin(pg, e) : -1;
    if (result)
        return -1;
    for (size_t i = 0; i < p->nranges && result == 0; i++)
        result = insert_range(p, pg, i, e);
    if (result == 0)
        return pg_commit(pg, e);
    pg_rollback(pg);
    return -1;
}

static void add_hex(struct buf *out, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (buf_reserve(out, 2 * bytes.len))
        return; // sticky
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        out->data[out->len++] = digits[c >> 4];
        out->data[out->len++] = digits[c & 15];
    }
    out->data[out->len] = '\0';
}

// Waiting prints, one after the other, each after its length: hex for a bytea.
static int waiting_hex(struct spool *waiting, struct buf *out, struct err *e)
{
    struct str record;
    int more = spool_rewind(waiting, e);
    buf_addz(out, "\\x");
    while (more == 0 && (more = spool_next(waiting, &record, e)) == 1) {
        uint32_t len = (uint32_t)record.len;
        const char head[4] = {(char)(len >> 24), (char)(len >> 16), (char)(len >> 8), (char)len};
        add_hex(out, str_n(head, sizeof head));
        add_hex(out, record);
        more = 0;
    }
    return more < 0 ? -1 : buf_check(out, e);
}

static int one_done(struct pass *p, struct pg_conn *pg, struct range_done *done, struct err *e)
{
    char at[24], n[2][24];
    struct buf hex = BUF_INIT;
    snprintf(at, sizeof at, "%zu", done->range);
    for (int side = 0; side < 2; side++)
        snprintf(n[side], sizeof n[side], "%lld", done->rows[side]);
    int result = waiting_hex(&done->waiting, &hex, e);
    const char *v[] = {p->run, p->entity->name, at, n[SIDE_LEGACY], n[SIDE_NEW], hex.data};
    if (result == 0)
        result = pg_execz(pg,
                          "UPDATE ficus.reconcile_range SET done = true, rows_legacy = $4::bigint,"
                          " rows_new = $5::bigint, waiting = $6::bytea WHERE run = $1::bigint"
                          " AND entity = $2 AND ordinal = $3::int",
                          v, 6, NULL, e);
    buf_free(&hex);
    return result;
}

static int save_sketch(struct pass *p, struct pg_conn *pg, struct sketch *sketch, struct err *e)
{
    struct buf hex = BUF_INIT;
    buf_addz(&hex, "\\x");
    add_hex(&hex, sketch_bytes(sketch));
    char oldest[24], file[24];
    snprintf(oldest, sizeof oldest, "%llu", p->heap.oldest);
    snprintf(file, sizeof file, "%lld", p->heap.file);
    const char *v[] = {p->run, p->entity->name, hex.data, oldest, file};
    int result = buf_check(&hex, e);
    if (result == 0)
        result = pg_execz(pg,
                          "INSERT INTO ficus.reconcile_sketch (run, entity, cells, oldest, heap)"
                          " VALUES ($1::bigint, $2, $3::bytea, $4, $5)"
                          " ON CONFLICT (run, entity) DO UPDATE SET cells = excluded.cells",
                          v, 5, NULL, e);
    buf_free(&hex);
    return result;
}

int record_done(struct pass *p, struct pg_conn *pg, struct range_done *done, size_t n,
                struct sketch *sketch, struct err *e)
{
    if (pg_begin(pg, e))
        return -1;
    int result = sketch ? save_sketch(p, pg, sketch, e) : 0;
    for (size_t i = 0; i < n && result == 0; i++)
        result = one_done(p, pg, &done[i], e);
    if (result == 0)
        return pg_commit(pg, e);
    pg_rollback(pg);
    return -1;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

static int add_unhexed(struct buf *out, struct str hex, struct err *e)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2)
        buf_addc(out, (char)(hex_digit(hex.data[i]) << 4 | hex_digit(hex.data[i + 1])));
    return buf_check(out, e);
}

static int take_waiting(struct pass *p, struct str hex, struct err *e)
{
    struct buf raw = BUF_INIT;
    int result = add_unhexed(&raw, hex, e);
    for (size_t at = 0; result == 0 && at + 4 <= raw.len;) {
        const unsigned char *h = (const unsigned char *)raw.data + at;
        size_t len = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
        if (len > raw.len - at - 4)
            result = err_set(e, ERR_INTERNAL, "%s: a range on record is cut", p->entity->name);
        else
            result = pool_put(&p->pool, str_n(raw.data + at + 4, len), e);
        at += 4 + len;
    }
    buf_free(&raw);
    return result;
}

static int take_sketch(struct pass *p, const struct value *cells, struct sketch *out, struct err *e)
{
    struct buf raw = BUF_INIT;
    long long oldest;
    if (!str_to_int(value_str(cells[1]), 0, INT64_MAX, &oldest) ||
        !str_to_int(value_str(cells[2]), 0, INT64_MAX, &p->heap.file))
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: run %s was begun by an older version; run without --resume",
                       p->entity->name, p->run);
    p->heap.oldest = (unsigned long long)oldest;
    int result = add_unhexed(&raw, value_str(cells[0]), e);
    if (result == 0)
        result = sketch_load(out, buf_str(&raw), e);
    buf_free(&raw);
    return result;
}

int record_sketch(struct pass *p, struct sketch *out, bool *found, struct err *e)
{
    struct rows rows;
    struct value v[] = {value_set(str_of(p->run)), value_set(str_of(p->entity->name))};
    struct pg_conn *pg = control_pg(p->control, e);
    if (!pg || pg_query(pg,
                        STR("SELECT encode(cells, 'hex'), oldest, heap FROM ficus.reconcile_sketch"
                            " WHERE run = $1::bigint AND entity = $2"),
                        v, 2, p->plan, &rows, e))
        return -1;
    *found = rows.nrows > 0;
    return *found ? take_sketch(p, rows.cells, out, e) : 0;
}

int record_forget(struct pass *p, struct err *e)
{
    static const char *const tables[] = {"DELETE FROM ficus.reconcile_range", //
                                         "DELETE FROM ficus.reconcile_sketch"};
    struct pg_conn *pg = control_pg(p->control, e);
    const char *v[] = {p->run, p->entity->name};
    int result = pg ? 0 : -1;
    for (size_t i = 0; i < 2 && result == 0; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "%s WHERE run = $1::bigint AND entity = $2", tables[i]);
        result = pg_execz(pg, sql, v, 2, NULL, e);
    }
    return result;
}

static int take_bounds(const struct value *cells, struct range *out, struct err *e)
{
    out->part = str_eqz(value_str(cells[6]), "pages")    ? PART_PAGES
                : str_eqz(value_str(cells[6]), "legacy") ? PART_LEGACY
                                                         : PART_BOTH;
    if (out->part != PART_PAGES) {
        out->above = cells[0].state == VALUE_SET ? cells[0] : (struct value){0};
        out->up_to = cells[1].state == VALUE_SET ? cells[1] : (struct value){0};
    } else if (!str_to_int(value_str(cells[0]), 0, INT64_MAX, &out->first) ||
               !str_to_int(value_str(cells[1]), -1, INT64_MAX, &out->end)) {
        return err_set(e, ERR_INTERNAL, "a range on record has no pages");
    }
    return 0;
}

static int take_range(struct pass *p, const struct value *cells, struct range *out, struct err *e)
{
    long long legacy = 0, new_ = 0;
    if (take_bounds(cells, out, e))
        return -1;
    out->done = str_eqz(value_str(cells[2]), "t");
    if (!out->done)
        return 0;
    if (!str_to_int(value_str(cells[3]), 0, INT64_MAX, &legacy) ||
        !str_to_int(value_str(cells[4]), 0, INT64_MAX, &new_))
        return err_set(e, ERR_INTERNAL, "a range on record has no counts");
    p->report->rows_legacy += legacy;
    p->report->rows_new += new_;
    p->report->ranges_resumed++;
    return take_waiting(p, value_str(cells[5]), e);
}

// An entity that an earlier process finished counts as it was found then.
static int finished_before(struct pass *p, struct pg_conn *pg, bool *finished, struct err *e)
{
    struct entity_report *r = p->report;
    struct rows rows;
    struct value v[] = {value_set(str_of(p->run)), value_set(str_of(p->entity->name))};
    if (pg_query(pg,
                 STR("SELECT rows_legacy, rows_new, differences, settled, unsettled, complete,"
                     " coverage FROM ficus.reconcile_entity WHERE run = $1::bigint"
                     " AND entity = $2"),
                 v, 2, p->plan, &rows, e))
        return -1;
    *finished = rows.nrows == 1;
    if (!*finished)
        return 0;
    long long *figures[] = {&r->rows_legacy, &r->rows_new, &r->differences, &r->settled,
                            &r->unsettled};
    for (size_t i = 0; i < 5; i++)
        if (!str_to_int(value_str(rows.cells[i]), 0, INT64_MAX, figures[i]))
            return err_set(e, ERR_INTERNAL, "an entity on record has no counts");
    r->complete = str_eqz(value_str(rows.cells[5]), "t");
    r->full = str_eqz(value_str(rows.cells[6]), "full");
    r->why = STR("finished before the run was interrupted");
    return 0;
}

int record_resume(struct pass *p, bool *found, bool *finished, struct err *e)
{
    struct rows rows;
    struct value v[] = {value_set(str_of(p->run)), value_set(str_of(p->entity->name))};
    struct pg_conn *pg = control_pg(p->control, e);
    if (!pg || finished_before(p, pg, finished, e))
        return -1;
    *found = false;
    if (*finished)
        return 0;
    if (pg_query(pg,
                 STR("SELECT above, up_to, done, rows_legacy, rows_new, encode(waiting, 'hex'),"
                     " part FROM ficus.reconcile_range WHERE run = $1::bigint AND entity = $2"
                     " ORDER BY ordinal"),
                 v, 2, p->plan, &rows, e))
        return -1;
    *found = rows.nrows > 0;
    p->ranges = arena_array(p->plan, rows.nrows + 1, sizeof *p->ranges);
    p->nranges = rows.nrows;
    p->report->ranges = (long long)rows.nrows;
    if (!p->ranges)
        return err_memory(e);
    for (size_t i = 0; i < rows.nrows; i++)
        if (take_range(p, rows_at(&rows, i, 0), &p->ranges[i], e))
            return -1;
    return 0;
}

// ---------------------------------------------------------------- what was found

static json_t *detail_of(const struct difference *d)
{
    return json_pack("{s:{s:s, s:s}, s:{s:s, s:s}}", "version", "legacy", d->version[SIDE_LEGACY],
                     "new", d->version[SIDE_NEW], "event", "legacy", d->event[SIDE_LEGACY], "new",
                     d->event[SIDE_NEW]);
}

static int record_difference(struct pass *p, struct pg_conn *pg, const struct difference *d,
                             struct err *e)
{
    json_t *j = detail_of(d);
    char *detail = j ? json_dumps(j, JSON_COMPACT) : NULL;
    int result = detail ? 0 : err_memory(e);
    // What --reveal shows is for this process's report, not for the record.
    const struct field *f = d->field[0] ? entity_field(p->entity, str_of(d->field)) : NULL;
    bool hide = p->o->reveal && f && (f->personal || f->secret);
    struct value v[] = {value_set(str_of(p->run)),
                        value_set(str_of(p->entity->name)),
                        value_set(d->key),
                        value_set(str_of(d->kind)),
                        value_set(str_of(d->field)),
                        hide ? value_set(STR("(hidden)")) : d->legacy,
                        hide ? value_set(STR("(hidden)")) : d->new_,
                        value_set(str_of(cause_name(d->cause))),
                        value_set(str_of(detail))};
    if (result == 0)
        result = pg_exec(pg,
                         STR("INSERT INTO ficus.difference (run, entity, k, kind, field,"
                             " legacy_value, new_value, cause, detail)"
                             " VALUES ($1::bigint,$2,$3,$4,$5,$6,$7,$8,$9::jsonb)"),
                         v, 9, NULL, e);
    free(detail);
    json_decref(j);
    return result;
}

static json_t *entity_detail(const struct entity_report *r)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < r->nfindings; i++)
        json_array_append_new(
            findings, json_pack("{s:s, s:s, s:s, s:I}", "kind", r->findings[i].kind, "field",
                                r->findings[i].field, "cause", cause_name(r->findings[i].cause),
                                "rows", (json_int_t)r->findings[i].rows));
    return json_pack("{s:s, s:s%, s:I, s:I, s:I, s:I, s:I, s:o}", "plan",
                     reconcile_plan_name(r->plan), "why", r->why.data ? r->why.data : "",
                     r->why.len, "ranges", (json_int_t)r->ranges, "wire", (json_int_t)r->wire,
                     "bad_keys", (json_int_t)r->bad_keys, "parked", (json_int_t)r->parked, "ms",
                     (json_int_t)r->ms, "findings", findings);
}

static int record_figures(struct pass *p, struct pg_conn *pg, struct err *e)
{
    const struct entity_report *r = p->report;
    char n[5][24];
    const long long figures[] = {r->rows_legacy, r->rows_new, r->differences, r->settled,
                                 r->unsettled};
    json_t *j = entity_detail(r);
    char *detail = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!detail)
        return err_memory(e);
    for (size_t i = 0; i < 5; i++)
        snprintf(n[i], sizeof n[i], "%lld", figures[i]);
    const char *v[] = {p->run,
                       p->entity->name,
                       n[0],
                       n[1],
                       n[2],
                       n[3],
                       n[4],
                       r->complete ? "true" : "false",
                       r->full ? "full" : "slice",
                       detail};
    int result = pg_execz(pg,
                          "INSERT INTO ficus.reconcile_entity (run, entity, rows_legacy, rows_new,"
                          " differences, settled, unsettled, complete, coverage, detail)"
                          " VALUES ($1::bigint, $2, $3::bigint, $4::bigint, $5::bigint,"
                          " $6::bigint, $7::bigint, $8::boolean, $9, $10::jsonb)",
                          v, 10, NULL, e);
    free(detail);
    return result;
}

int record_entity(struct pass *p, struct err *e)
{
    const struct entity_report *r = p->report;
    struct pg_conn *pg = control_pg(p->control, e);
    if (!pg || pg_begin(pg, e))
        return -1;
    int result = record_figures(p, pg, e);
    for (size_t i = 0; i < r->nsamples && result == 0; i++)
        result = record_difference(p, pg, &r->samples[i], e);
    if (result == 0)
        result = record_forget(p, e);
    if (result == 0)
        return pg_commit(pg, e);
    pg_rollback(pg);
    return -1;
}

int record_end(struct pass *p, struct reconcile_report *r, struct err *e)
{
    struct pg_conn *pg = control_pg(p->control, e);
    long long differences = 0;
    for (size_t i = 0; i < r->nentities; i++)
        differences += r->entities[i].differences;
    json_t *j = json_pack("{s:b, s:b, s:I, s:I}", "equal", (int)r->equal, "full", (int)r->full,
                          "differences", (json_int_t)differences, "ms", (json_int_t)r->ms);
    char *text = json_dumps(j, JSON_COMPACT);
    const char *v[] = {p->run, r->complete ? "true" : "false", text,
                       r->receipt.len ? r->receipt.data : NULL};
    int result = !pg ? -1
                     : pg_execz(pg,
                                "UPDATE ficus.reconcile_run SET finished_at = now(),"
                                " complete = $2::boolean, summary = $3::jsonb,"
                                " receipt = $4::jsonb WHERE id = $1::bigint",
                                v, 4, NULL, e);
    free(text);
    json_decref(j);
    return result;
}

void record_failure(struct pass *p, const struct err *why)
{
    struct err e = {0};
    struct pg_conn *pg = control_pg(p->control, &e);
    const char *v[] = {p->run, why->msg};
    if (!pg || pg_execz(pg,
                        "UPDATE ficus.reconcile_run SET finished_at = now(), complete = false,"
                        " summary = jsonb_build_object('error', $2::text) WHERE id = $1::bigint",
                        v, 2, NULL, &e))
        log_warn(&log_ctx, "run %s has no end on record: %s", p->run, e.msg);
}
