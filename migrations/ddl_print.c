// SPDX-License-Identifier: Apache-2.0
// `ficus check --print sql ENTITY`: every statement that is made from one map, for both sides.
// Sample values stand for parameters; nothing is run. Thread: any.
#include "migrations/ddl.h"
#include "migrations/query_int.h"

struct print_job {
    const struct entity *en;
    const struct dbms *d;
    enum side side;
    struct arena *a;
    struct buf *out;
};

static void heading(struct print_job *j, const char *what)
{
    buf_printf(j->out, "\n-- %s (%s, %s)\n", what, side_name(j->side), j->d->name);
}

static void statement(struct print_job *j, struct str sql)
{
    buf_addstr(j->out, sql);
    buf_addz(j->out, sql.len > 0 && sql.data[sql.len - 1] == ';' ? "\n" : ";\n"); // MERGE has one
}

static int print_reads(struct print_job *j, struct err *e)
{
    const struct entity *en = j->en;
    const struct field **fields = arena_array(j->a, en->nfields, sizeof(*fields));
    struct value key[MAP_KEYS_MAX];
    struct str text;
    struct sql sql;
    if (!fields)
        return err_memory(e);
    for (size_t i = 0; i < en->nfields; i++)
        fields[i] = &en->fields[i];
    for (size_t i = 0; i < en->nkeys; i++)
        key[i] = value_set(STR("1"));
    struct query q = {
        .entity = en, .fields = fields, .nfields = en->nfields, .key = key, .limit = -1};
    heading(j, "facade: one row");
    if (query_select(&q, j->side, j->d, j->a, &sql, e) < 0)
        return -1;
    statement(j, sql.text);
    q.key = NULL;
    q.limit = 20;
    heading(j, "facade: a page");
    if (query_select(&q, j->side, j->d, j->a, &sql, e) < 0)
        return -1;
    statement(j, sql.text);
    heading(j, "capture and reconcile: aggregates by key");
    if (query_read_keys(en, j->side, j->d, 2, j->a, &text, e) < 0)
        return -1;
    statement(j, text);
    heading(j, "snapshot: a range of keys");
    struct scan_query slice = {.entity = en, .after = key, .deleted = DELETED_ANY, .limit = 1000};
    if (query_scan(&slice, j->side, j->d, j->a, &sql, e) < 0)
        return -1;
    statement(j, sql.text);
    return 0;
}

// A value that every field can hold, so that all columns show.
static struct value sample(const struct field *f)
{
    if (f->ncodes > 0)
        return value_set(f->codes[0].canonical);
    if (f->type == TYPE_BOOLEAN)
        return value_set(STR("false"));
    return f->key ? value_set(STR("1")) : value_null();
}

// As if every listed field changed.
static int print_also(struct print_job *j, const struct write *w, struct err *e)
{
    const struct entity *en = j->en;
    struct value *before = arena_array(j->a, en->nfields, sizeof(*before));
    struct write_statement *list;
    size_t n;
    if (!before)
        return err_memory(e);
    for (size_t i = 0; i < en->nfields; i++)
        before[i] = (struct value){"", 0, VALUE_FOREIGN, PROBLEM_EMPTY};
    if (query_also(w, before, j->side, j->d, j->a, &list, &n, e) < 0)
        return -1;
    if (n > 0)
        buf_addz(j->out, "-- and besides, in the same transaction\n");
    for (size_t i = 0; i < n; i++)
        statement(j, list[i].sql.text);
    return 0;
}

static int print_writes(struct print_job *j, struct err *e)
{
    static const char *const names[] = {"facade: create", "facade: update", "facade: delete"};
    const struct entity *en = j->en;
    struct value *values = arena_array(j->a, en->nfields, sizeof(*values)), key[MAP_KEYS_MAX];
    if (!values)
        return err_memory(e);
    for (size_t i = 0; i < en->nfields; i++)
        values[i] = sample(&en->fields[i]);
    for (size_t i = 0; i < en->nkeys; i++)
        key[i] = value_set(STR("1"));
    for (int kind = WRITE_CREATE; kind <= WRITE_DELETE; kind++) {
        struct write w = {en,   (enum write_kind)kind, key, values, "2024-01-01 00:00:00", STR("1"),
                          false};
        struct write_statement *list;
        size_t n;
        heading(j, names[kind]);
        if (query_write(&w, j->side, j->d, j->a, &list, &n, e) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            statement(j, list[i].sql.text);
        if (print_also(j, &w, e) < 0)
            return -1;
    }
    return 0;
}

static int print_apply(struct print_job *j, struct err *e)
{
    struct apply_statement *list;
    size_t n;
    heading(j, "apply: upserts");
    if (query_apply(j->en, j->side, j->d, j->a, &list, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        statement(j, list[i].text);
    heading(j, "apply: deletes");
    if (query_apply_delete(j->en, j->side, j->d, j->a, &list, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        statement(j, list[i].text);
    return 0;
}

static int print_side(struct print_job *j, struct err *e)
{
    if (!j->en->sides[j->side].root) {
        buf_printf(j->out, "\n-- %s side: a service at %s\n", side_name(j->side),
                   j->en->sides[j->side].service_url ? j->en->sides[j->side].service_url : "?");
        return 0;
    }
    if (print_reads(j, e) < 0 || (!j->en->read_only && !j->en->link && print_writes(j, e) < 0))
        return -1;
    return print_apply(j, e);
}

static int print_triggers(struct print_job *j, const char *group, struct err *e)
{
    struct dbms_trigger *list;
    size_t n;
    if (!j->d->trigger_ddl || !j->en->sides[SIDE_LEGACY].root)
        return 0;
    heading(j, "changelog triggers");
    if (ddl_triggers(j->en, group, false, j->d, j->a, &list, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        j->d->trigger_ddl(j->out, &list[i]);
        buf_addz(j->out, "\n--\n");
    }
    return 0;
}

int ddl_print(const struct entity *en, const char *group, const struct dbms *legacy,
              struct buf *out, struct err *e)
{
    struct print_job j = {en, legacy, SIDE_LEGACY, arena_create(MAP_MEMORY_MAX), out};
    if (!j.a)
        return err_memory(e);
    int rc = print_side(&j, e);
    if (rc == 0)
        rc = print_triggers(&j, group, e);
    j.d = &dbms_postgres;
    j.side = SIDE_NEW;
    if (rc == 0)
        rc = print_side(&j, e);
    if (rc == 0) {
        heading(&j, "table and guard");
        ddl_new_table(en, out);
        if (group)
            ddl_new_guard(en, group, out);
        rc = buf_check(out, e);
    }
    arena_destroy(j.a);
    return rc;
}
