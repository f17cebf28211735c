// SPDX-License-Identifier: Apache-2.0
// See store_fixture.h.
#include "tests/unit/store_fixture.h"

#include "migrations/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdlib.h>

static void new_store(struct store *s, const char *conninfo)
{
    struct err e = {0};
    unsigned n;
    if (pg_open(conninfo, "unit", &s->pg, &e) < 0 ||
        pg_script(s->pg,
                  STR("DROP SCHEMA IF EXISTS crm CASCADE; DROP SCHEMA IF EXISTS ficus CASCADE;"
                      "DROP SCHEMA IF EXISTS ficus_migrations CASCADE;"
                      "DROP PUBLICATION IF EXISTS ficus"),
                  &e) < 0 ||
        migrate_up(s->pg, "control", NULL, &n, &e) < 0 ||
        migrate_up(s->pg, "crm", "migrations/sql/crm", &n, &e) < 0)
        fail_msg("%s", e.msg);
}

bool store_open(struct store *s, enum side side)
{
    const char *conninfo = getenv("FICUS_TEST_PG");
    *s = (struct store){.side = side};
    if (side == SIDE_LEGACY) {
        legacy_open(&s->l);
        s->d = s->l.d;
        return true;
    }
    if (!conninfo)
        return false;
    s->d = &dbms_postgres;
    s->l.a = arena_create(0);
    s->l.set = fixture_maps();
    new_store(s, conninfo);
    return true;
}

void store_close(struct store *s)
{
    if (s->side == SIDE_LEGACY) {
        legacy_close(&s->l);
        return;
    }
    pg_close(s->pg);
    map_destroy(s->l.set);
    arena_destroy(s->l.a);
}

const struct entity *store_entity(struct store *s, const char *name)
{
    const struct entity *en = entity_find(s->l.set, str_of(name));
    assert_non_null(en);
    return en;
}

struct rows store_query(struct store *s, const struct sql *sql)
{
    struct err e = {0};
    struct rows r;
    int rc = s->pg ? pg_query(s->pg, sql->text, sql->params, sql->nparams, s->l.a, &r, &e)
                   : odbc_query(s->l.c, sql->text, sql->params, sql->nparams, s->l.a, 0, &r, &e);
    if (rc < 0)
        fail_msg("%.*s: %s", (int)sql->text.len, sql->text.data, e.msg);
    return r;
}

static long long store_exec(struct store *s, struct str sql, const struct value *p, size_t n)
{
    struct err e = {0};
    long long found = -1;
    int rc = s->pg ? pg_exec(s->pg, sql, p, n, &found, &e)
                   : odbc_exec(s->l.c, sql, p, n, &found, &e);
    if (rc < 0)
        fail_msg("%.*s: %s", (int)sql.len, sql.data, e.msg);
    return found;
}

long long store_run(struct store *s, const struct write_statement *list, size_t n)
{
    long long first = -1;
    for (size_t i = 0; i < n; i++) {
        long long found = store_exec(s, list[i].sql.text, list[i].sql.params, list[i].sql.nparams);
        first = i == 0 ? found : first;
    }
    return first;
}

static void run_apply(struct store *s, const struct apply_statement *st, const struct value *row)
{
    struct value p[256];
    struct err e = {0};
    assert_true(st->nparams <= 256);
    for (size_t i = 0; i < st->nparams; i++) {
        if (query_apply_param(st, i, s->side, row, "2024-05-06 07:08:09", s->l.a, &p[i], &e) < 0)
            fail_msg("%s", e.msg);
        if (s->pg) { // arrays of one row
            struct buf b = BUF_INIT;
            pg_array_literal(&b, &p[i], 1, 1);
            p[i] = value_set(arena_str(s->l.a, buf_str(&b)));
            buf_free(&b);
        }
    }
    (void)store_exec(s, st->text, p, st->nparams);
}

void store_apply(struct store *s, const struct entity *en, const struct value *row)
{
    struct apply_statement *list;
    struct err e = {0};
    size_t n;
    if (query_apply(en, s->side, s->d, s->l.a, &list, &n, &e) < 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < n; i++)
        run_apply(s, &list[i], row);
}

void store_text_is(struct store *s, const char *sql_legacy, const char *sql_new, const char *want)
{
    struct sql sql = {str_of(s->side == SIDE_LEGACY ? sql_legacy : sql_new), NULL, 0};
    struct rows r = store_query(s, &sql);
    const char *got = r.nrows == 0                     ? "(none)"
                      : r.cells[0].state == VALUE_NULL ? "(null)"
                                                       : arena_strz(s->l.a, value_str(r.cells[0]));
    assert_string_equal(got, want);
}

long long store_write(struct store *s, const char *entity, enum write_kind kind, const char *key,
                      ...)
{
    const struct entity *en = store_entity(s, entity);
    struct value *values = arena_array(s->l.a, en->nfields, sizeof(*values));
    struct value k = value_set(str_of(key));
    struct write w = {en, kind, &k, values, "2024-05-06 07:08:09", STR("u1"), false};
    struct write_statement *list;
    struct err e = {0};
    const char *name;
    size_t n;
    va_list ap;
    va_start(ap, key);
    while ((name = va_arg(ap, const char *)) != NULL) {
        const char *text = va_arg(ap, const char *);
        const struct field *f = entity_field(en, str_of(name));
        assert_non_null(f);
        values[f->index] = strcmp(text, "(null)") == 0 ? value_null() : value_set(str_of(text));
    }
    va_end(ap);
    if (query_write(&w, s->side, s->d, s->l.a, &list, &n, &e) < 0)
        fail_msg("%s", e.msg);
    return store_run(s, list, n);
}

const char *store_select(struct store *s, const struct query *q)
{
    struct err e = {0};
    struct sql sql;
    if (query_select(q, s->side, s->d, s->l.a, &sql, &e) < 0)
        fail_msg("%s", e.msg);
    struct rows r = store_query(s, &sql);
    struct buf b = BUF_INIT;
    size_t extra = r.ncols - q->nfields; // the parent's key
    for (size_t i = 0; i < r.nrows; i++) {
        buf_addz(&b, i > 0 ? ";" : "");
        for (size_t c = 0; c < r.ncols; c++) {
            struct value v = *rows_at(&r, i, c);
            if (c >= extra && type_read(q->fields[c - extra], s->side, v, s->l.a, &v, &e) < 0)
                fail_msg("%s", e.msg);
            buf_printf(&b, "%s%s%.*s", c > 0 ? "|" : "", v.state == VALUE_FOREIGN ? "!" : "",
                       (int)v.len, v.state == VALUE_NULL ? "" : v.data);
            buf_addz(&b, v.state == VALUE_NULL ? "(null)" : "");
        }
    }
    const char *text = b.len > 0 ? arena_strz(s->l.a, buf_str(&b)) : "";
    buf_free(&b);
    return text;
}

const char *store_get(struct store *s, const char *entity, const char *key, const char *field)
{
    const struct entity *en = store_entity(s, entity);
    const struct field *f = entity_field(en, str_of(field));
    struct value k = value_set(str_of(key));
    struct query q = {
        .entity = en, .fields = &f, .nfields = 1, .key = &k, .deleted = DELETED_ANY, .limit = -1};
    const char *text = store_select(s, &q);
    return *text ? text : "";
}
