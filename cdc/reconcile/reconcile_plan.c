// SPDX-License-Identifier: Apache-2.0
// What one entity's first pass will do: which rows (the slice), in which order (is there an
// index for it), by which plan (what would each cost), cut into which ranges. Everything here is
// asked of the stores' catalogues and statistics; nothing reads the table through.
#include "base/clock.h"
#include "cdc/reconcile/reconcile_int.h"
#include "cdc/reconcile/sketch.h"
#include "migrations/type.h"

#include <stdio.h>
#include <stdlib.h>

#define RANGE_ROWS  50000
#define PROBE_BYTES 1000000 // of a test answer, to see how fast the link is
#define STREAM_US   7.0     // a row's cost of a walk on both sides, its bytes apart
#define SKETCH_US   2.5     // the same, the new side by its heap
#define PUSHDOWN_US 16.0    // a row's cost of checksums on both sides
#define SKETCH_ROWS 20000   // fewer are as well streamed
#define SKETCH_KEY  64      // bytes of a key part that the map does not bound
#define SAMPLE_ROWS 3000.0

const char *reconcile_plan_name(enum reconcile_plan p)
{
    static const char *const names[] = {"auto", "stream", "sketch", "pushdown"};
    return names[p];
}

// ---------------------------------------------------------------- slice

static int add_filter(struct pass *p, const struct field *f, enum text_match op, struct str text,
                      struct err *e)
{
    struct filter *one = arena_array(p->plan, 1, sizeof *one);
    struct value *v = arena_array(p->plan, 1, sizeof *v);
    struct filter *both = arena_array(p->plan, 1, sizeof *both);
    struct filter **children = arena_array(p->plan, 2, sizeof *children);
    if (!one || !v || !both || !children)
        return err_memory(e);
    if (type_parse(f, text, p->plan, v, e))
        return -1;
    if (v->state != VALUE_SET)
        return err_set(e, ERR_INVALID, "'%.*s' is no value of field %s (%s)", (int)text.len,
                       text.data, f->name, field_type_name(f->type));
    *one = (struct filter){.kind = FILTER_COMPARE, .field = f, .op = op, .values = v, .nvalues = 1};
    if (!p->slice.filter) {
        p->slice.filter = one;
        return 0;
    }
    children[0] = (struct filter *)p->slice.filter;
    children[1] = one;
    *both = (struct filter){.kind = FILTER_AND, .children = children, .nchildren = 2};
    p->slice.filter = both;
    return 0;
}

// "field=value", "field<>value", "field<=value", ..
static int parse_where(struct pass *p, const char *text, struct err *e)
{
    static const struct {
        const char *sign;
        enum text_match op;
    } ops[] = {{"<>", MATCH_NE}, {"!=", MATCH_NE}, {"<=", MATCH_LE}, {">=", MATCH_GE},
               {"=", MATCH_EQ},  {"<", MATCH_LT},  {">", MATCH_GT}};
    size_t at = strcspn(text, "=<>!");
    const struct field *f = entity_field(p->entity, str_trim(str_n(text, at)));
    if (!f || !f->synced || f->place[SIDE_LEGACY].kind == PLACE_NONE ||
        f->place[SIDE_NEW].kind == PLACE_NONE)
        return err_set(e, ERR_INVALID, "--where: %s has no synced field '%.*s'", p->entity->name,
                       (int)at, text);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t len = strlen(ops[i].sign);
        if (strncmp(text + at, ops[i].sign, len) == 0)
            return add_filter(p, f, ops[i].op, str_trim(str_of(text + at + len)), e);
    }
    return err_set(e, ERR_INVALID, "--where wants FIELD=VALUE, or <>, <, <=, >, >= for =");
}

// A field that the facade fills in on every write tells how recent a row is.
static const struct field *recency(const struct entity *en)
{
    for (size_t i = 0; i < en->nfields; i++)
        if (en->fields[i].auto_fill == AUTO_NOW && en->fields[i].synced &&
            en->fields[i].type == TYPE_TIMESTAMP)
            return &en->fields[i];
    return NULL;
}

static int parse_since(struct pass *p, const char *text, struct err *e)
{
    static const char units[] = "smhd";
    static const long long seconds[] = {1, 60, 3600, 86400};
    char from[20];
    const struct field *f = recency(p->entity);
    size_t len = strlen(text);
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    long long n;
    if (!f)
        return err_set(e, ERR_INVALID, "--since: no timestamp of %s is filled in on each write",
                       p->entity->name);
    if (!unit || !str_to_int(str_n(text, len - 1), 0, 1000000000, &n))
        return add_filter(p, f, MATCH_GE, str_of(text), e);
    clock_utc_seconds(clock_wall_ms() - (uint64_t)(n * seconds[unit - units]) * 1000, from);
    struct str kept = arena_str(p->plan, str_of(from));
    return kept.data ? add_filter(p, f, MATCH_GE, kept, e) : err_memory(e);
}

static int key_bound(struct pass *p, const char *text, const struct value **out, struct err *e)
{
    struct value *v = arena_array(p->plan, 1, sizeof *v);
    if (!v)
        return err_memory(e);
    if (type_parse(p->entity->keys[0], str_of(text), p->plan, v, e))
        return -1;
    *out = v;
    return v->state == VALUE_SET
               ? 0
               : err_set(e, ERR_INVALID, "'%s' is no key of %s", text, p->entity->name);
}

int pass_slice(struct pass *p, struct err *e)
{
    const struct reconcile_options *o = p->o;
    p->slice = (struct scan_query){.entity = p->entity,
                                   .deleted = o->skip_deleted ? DELETED_NO : DELETED_ANY};
    if ((o->from && key_bound(p, o->from, &p->slice.above, e)) ||
        (o->to && key_bound(p, o->to, &p->slice.up_to, e)) ||
        (o->where && parse_where(p, o->where, e)) || (o->since && parse_since(p, o->since, e)))
        return -1;
    return 0;
}

// ---------------------------------------------------------------- indexes

static int ask(struct pass *p, enum side side, const char *sql, const struct value *params,
               size_t n, struct rows *rows, struct err *e)
{
    return side == SIDE_NEW ? pg_query(p->pg, str_of(sql), params, n, p->plan, rows, e)
                            : odbc_query(p->odbc, str_of(sql), params, n, p->plan, 0, rows, e);
}

static bool one(struct value v)
{
    return v.state == VALUE_SET && v.len == 1 && v.data[0] == '1';
}

// Rows `from` .. `to` of the catalogue's answer are one index.
static void look_at_index(struct pass *p, enum side side, const struct rows *rows, size_t from,
                          size_t to, bool *ordered)
{
    const struct side_map *m = &p->entity->sides[side];
    size_t n = p->entity->nkeys;
    bool not_null = true;
    if (to - from < n)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!str_eq_nocase(value_str(*rows_at(rows, from + i, 2)), str_of(m->key_columns[i])))
            return;
        not_null &= one(*rows_at(rows, from + i, 3));
    }
    *ordered = true;
    p->unique[side] |= to - from == n && not_null && one(*rows_at(rows, from, 1));
}

static int look_at_indexes(struct pass *p, enum side side, struct err *e)
{
    const struct dbms *d = reader_dbms(&p->side[side]);
    struct value table = value_set(str_of(p->entity->sides[side].root));
    struct rows rows;
    struct str mend;
    bool ordered = false;
    p->unique[side] = p->unordered[side] = false;
    if (ask(p, side, d->indexes_sql, &table, 1, &rows, e))
        return err_prefix(e, "indexes of %s", p->entity->sides[side].root);
    for (size_t from = 0, to; from < rows.nrows; from = to) {
        for (to = from + 1;
             to < rows.nrows && value_eq(*rows_at(&rows, to, 0), *rows_at(&rows, from, 0));)
            to++;
        look_at_index(p, side, &rows, from, to, &ordered);
    }
    if (ordered)
        return 0;
    if (p->o->without_index) {
        p->unordered[side] = true;
        return 0;
    }
    if (query_key_index(p->entity, side, d, p->plan, &mend, e))
        return -1;
    return err_set(e, ERR_SCHEMA,
                   "%s: no index of %s has the order of its key on the %s side; create it with"
                   " `%.*s`, or let it be read unordered with --without-index (slower)",
                   p->entity->name, p->entity->sides[side].root, side_name(side), (int)mend.len,
                   mend.data);
}

// ---------------------------------------------------------------- size and cost

struct size {
    double rows, width;
};

static int look_at_size(struct pass *p, struct size *out, struct err *e)
{
    struct value table = value_set(str_of(p->entity->sides[SIDE_NEW].root));
    struct rows rows;
    if (ask(p, SIDE_NEW,
            "SELECT greatest(c.reltuples, 0)::bigint, pg_relation_size(c.oid),"
            " (c.relkind = 'r' AND NOT EXISTS"
            " (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid))::int, pg_relation_size(c.oid)"
            " / current_setting('block_size')::bigint"
            " FROM pg_class c WHERE c.oid = to_regclass($1)",
            &table, 1, &rows, e))
        return err_prefix(e, "size of %s", p->entity->sides[SIDE_NEW].root);
    long long n = 0, bytes = 0;
    p->pages_there = -1;
    if (rows.nrows == 1 && (!str_to_int(value_str(rows.cells[0]), 0, INT64_MAX, &n) ||
                            !str_to_int(value_str(rows.cells[1]), 0, INT64_MAX, &bytes) ||
                            (one(rows.cells[2]) &&
                             !str_to_int(value_str(rows.cells[3]), 0, INT64_MAX, &p->pages_there))))
        return err_set(e, ERR_INTERNAL, "%s has no size", p->entity->sides[SIDE_NEW].root);
    // Never analyzed: about so many rows of 200 bytes.
    out->rows = n > 0 ? (double)n : (double)bytes / 200;
    out->width = out->rows > 0 ? (double)bytes / out->rows : 200;
    p->report->estimate = (long long)out->rows;
    return 0;
}

// Bytes a second from a store to here, the better of two tries: one may meet a busy moment.
static int look_at_link(struct pass *p, enum side side, double *out, struct err *e)
{
    struct rows rows;
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT REPEAT('x', %d)", PROBE_BYTES);
    *out = 0;
    for (int try = 0; try < 2; try++) {
        uint64_t start = clock_mono_ns();
        if (ask(p, side, sql, NULL, 0, &rows, e))
            return err_prefix(e, "probing the link");
        double s = (double)(clock_mono_ns() - start) / 1e9, speed = PROBE_BYTES / (s + 1e-6);
        *out = speed > *out ? speed : *out;
    }
    return 0;
}

bool pass_can_push(const struct pass *p, struct str *why)
{
    const struct field *f = query_checksum_unfit(p->entity);
    const struct dbms *d = odbc_dbms(p->odbc);
    if (!d->row_hash) {
        *why = arena_printf(p->keep, "%s has no MD5", d->name);
        return false;
    }
    if (f) {
        *why = arena_printf(p->keep, "field %s has no text that both sides write alike", f->name);
        return false;
    }
    if (p->unordered[0] || p->unordered[1]) {
        *why = arena_printf(p->keep, "without an index there are no key ranges");
        return false;
    }
    return true;
}

// The new side by its heap's pages: a plain table, all of it.
static bool can_sketch(struct pass *p, struct str *why)
{
    struct str sql;
    struct err unfit = {0};
    if (p->slice.filter || p->slice.above || p->slice.up_to)
        *why = STR("a slice is read by key");
    else if (p->unordered[SIDE_LEGACY])
        *why = STR("without an index there are no key ranges");
    else if (p->pages_there < 0)
        *why = STR("the new side is no plain table, or others inherit from it");
    else if (query_scan_pages(p->entity, p->slice.deleted, 0, 1, p->plan, &sql, &unfit))
        *why = arena_printf(p->keep, "%s", unfit.msg);
    else
        return true;
    return false;
}

size_t pass_key_max(const struct entity *en)
{
    size_t len = en->nkeys - 1; // the parts' separators
    for (size_t i = 0; i < en->nkeys; i++)
        len += en->keys[i]->length > 0 ? en->keys[i]->length : SKETCH_KEY;
    return len < SKETCH_KEY_MAX ? len : SKETCH_KEY_MAX;
}

static int as_asked(struct pass *p, struct err *e)
{
    struct str why_not = {0};
    enum reconcile_plan asked = p->o->plan;
    if ((asked == PLAN_PUSHDOWN && !pass_can_push(p, &why_not)) ||
        (asked == PLAN_SKETCH && !can_sketch(p, &why_not)))
        return err_set(e, ERR_UNSUPPORTED, "%s: no %s: %.*s", p->entity->name,
                       reconcile_plan_name(asked), (int)why_not.len, why_not.data);
    p->report->plan = asked;
    p->report->why = STR("asked for");
    return 0;
}

static int cheapest(struct pass *p, const struct size *size, struct err *e)
{
    struct entity_report *r = p->report;
    struct str no_push = {0}, no_sketch = {0};
    bool push = pass_can_push(p, &no_push);
    bool sketch = size->rows >= SKETCH_ROWS && can_sketch(p, &no_sketch);
    double link[2] = {1e12, 1e12};
    r->plan = sketch ? PLAN_SKETCH : PLAN_STREAM;
    if (push &&
        (look_at_link(p, SIDE_LEGACY, &link[0], e) || look_at_link(p, SIDE_NEW, &link[1], e)))
        return -1;
    double slow = link[0] < link[1] ? link[0] : link[1];
    double wire = size->width / slow;
    double here = size->rows * ((sketch ? SKETCH_US : STREAM_US) / 1e6 + wire);
    double there = size->rows * PUSHDOWN_US / 1e6;
    if (push && there < here)
        r->plan = PLAN_PUSHDOWN;
    struct str no = push ? no_sketch : no_push;
    r->why = push
                 ? arena_printf(p->keep,
                                "%.0f rows of %.0f bytes over %.1f MB/s: %s %.2f s,"
                                " pushdown %.2f s%s%.*s",
                                size->rows, size->width, slow / 1e6, sketch ? "sketch" : "stream",
                                here, there, no.len ? "; " : "", (int)no.len, no.len ? no.data : "")
                 : arena_printf(p->keep, "%.*s", (int)no.len, no.len ? no.data : "");
    return r->why.data ? 0 : err_memory(e);
}

// ---------------------------------------------------------------- ranges

const char *part_name(enum part p)
{
    static const char *const names[] = {"both", "legacy", "pages"};
    return names[p];
}

// Quantiles of the first key part in the new side's order, of a sample of its pages.
static int ask_bounds(struct pass *p, size_t n, double rows_there, struct rows *rows, struct err *e)
{
    const struct dbms *d = &dbms_postgres;
    struct buf sql = BUF_INIT, column = BUF_INIT, list = BUF_INIT;
    double percent = 100 * SAMPLE_ROWS / rows_there * 10;
    d->quote(&column, str_of(p->entity->sides[SIDE_NEW].key_columns[0]));
    buf_printf(&sql, "SELECT ");
    for (size_t i = 1; i < n; i++)
        buf_printf(&list, "%s%.6f", i > 1 ? "," : "", (double)i / (double)n);
    buf_addz(&column, "");
    buf_printf(&sql,
               "unnest(percentile_disc('{%s}'::float8[]) WITHIN GROUP (ORDER BY %s)) AS b FROM ",
               list.data ? list.data : "", column.data ? column.data : "");
    d->quote(&sql, str_of(p->entity->sides[SIDE_NEW].root));
    buf_printf(&sql, " TABLESAMPLE SYSTEM (%.4f) REPEATABLE (1)", percent < 100 ? percent : 100.0);
    int result = buf_check(&sql, e);
    if (result == 0)
        result = pg_query(p->pg, buf_str(&sql), NULL, 0, p->plan, rows, e);
    buf_free(&sql);
    buf_free(&column);
    buf_free(&list);
    return result;
}

static bool samples_well(const struct pass *p)
{
    return !p->slice.above && !p->slice.up_to && !p->unordered[0] && !p->unordered[1] &&
           p->entity->sides[SIDE_NEW].root;
}

// Key ranges into `keys`, at most RANGES_MAX; one when the keys cannot be sampled.
static int cut_keys(struct pass *p, size_t n, struct range *keys, size_t *nkeys, struct err *e)
{
    struct rows rows = {0};
    struct value last = {0};
    struct err ignored = {0};
    *nkeys = 0;
    // A view cannot be sampled, a column kind may not be read so: one range then.
    if (n > 1 && samples_well(p) && p->report->bad_keys == 0 &&
        ask_bounds(p, n, p->rows_there, &rows, &ignored)) {
        rows.nrows = 0;
        if (!pg_alive(p->pg))
            return *e = ignored, -1;
    }
    for (size_t i = 0; i < rows.nrows && *nkeys + 1 < RANGES_MAX; i++) {
        struct value v;
        if (type_read(p->entity->keys[0], SIDE_NEW, rows.cells[i], p->plan, &v, e))
            return -1;
        if (v.state != VALUE_SET || value_eq(v, last))
            continue;
        keys[(*nkeys)++] = (struct range){.above = last, .up_to = v};
        last = v;
    }
    keys[(*nkeys)++] = (struct range){.above = last};
    return 0;
}

// The new side's pages between the key ranges, so that both stores are read at a time.
static void add_pages(struct pass *p, const struct range *keys, size_t nkeys, size_t nparts)
{
    long long first = 0;
    for (size_t i = 0; i < nkeys; i++) {
        p->ranges[p->nranges] = keys[i];
        p->ranges[p->nranges++].part = PART_LEGACY;
        for (; first < (long long)((i + 1) * nparts / nkeys); first++)
            p->ranges[p->nranges++] = (struct range){
                .part = PART_PAGES,
                .first = p->pages_there * first / (long long)nparts,
                .end = p->pages_there * (first + 1) / (long long)nparts};
    }
    p->ranges[p->nranges++] = (struct range){
        .part = PART_PAGES, .first = p->pages_there, .end = -1};
}

int pass_cut(struct pass *p, struct err *e)
{
    double each = (double)(p->o->range_rows ? p->o->range_rows : RANGE_ROWS);
    size_t n = (size_t)(p->rows_there / each) + 1, nkeys;
    n = n > RANGES_MAX ? RANGES_MAX : n;
    bool sketch = p->report->plan == PLAN_SKETCH;
    size_t nparts = p->pages_there < (long long)n ? 1 : n;
    struct range *keys = arena_array(p->plan, n + 1, sizeof *keys);
    p->ranges = sketch ? arena_array(p->plan, n + nparts + 2, sizeof *p->ranges) : keys;
    p->nranges = 0;
    if (!keys || !p->ranges)
        return err_memory(e);
    if (cut_keys(p, n, keys, &nkeys, e))
        return -1;
    if (sketch)
        add_pages(p, keys, nkeys, nparts);
    else
        p->nranges = nkeys;
    p->report->ranges = (long long)p->nranges;
    return 0;
}

int pass_plan(struct pass *p, struct err *e)
{
    struct size size = {0};
    if (look_at_indexes(p, SIDE_LEGACY, e) || look_at_indexes(p, SIDE_NEW, e) ||
        look_at_size(p, &size, e))
        return -1;
    p->rows_there = size.rows;
    return p->o->plan == PLAN_AUTO ? cheapest(p, &size, e) : as_asked(p, e);
}
