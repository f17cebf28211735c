// SPDX-License-Identifier: Apache-2.0
// See legacy_fixture.h. Tables are made from the maps themselves, so a column that a map names
// exists by construction: that the names are the reference CRM's own is tested elsewhere.
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char email_tables[] =
    "CREATE TABLE email_addresses (id varchar(36) PRIMARY KEY, email_address varchar(255),"
    " email_address_caps varchar(255), invalid_email tinyint(1), opt_out tinyint(1),"
    " date_created datetime, date_modified datetime, deleted tinyint(1) DEFAULT 0)"
    "\n--\n"
    "CREATE TABLE email_addr_bean_rel (id varchar(36) PRIMARY KEY, email_address_id varchar(36),"
    " bean_id varchar(36), bean_module varchar(100), primary_address tinyint(1) DEFAULT 0,"
    " reply_to_address tinyint(1), date_created datetime, date_modified datetime,"
    " deleted tinyint(1) DEFAULT 0)"
    "\n--\n"
    "CREATE INDEX ea_caps ON email_addresses (email_address_caps)"
    "\n--\n"
    "CREATE INDEX eabr_address ON email_addr_bean_rel (email_address_id)"
    "\n--\n"
    "CREATE INDEX eabr_bean ON email_addr_bean_rel (bean_id, bean_module)";

struct entity_set *fixture_maps(void)
{
    struct problems p = {0};
    struct entity_set *s = map_load("migrations/maps/suitecrm", &p);
    if (!s)
        fail_msg("%s", p.text.data);
    problems_free(&p);
    return s;
}

static int run_one(void *ctx, struct str sql, struct err *e)
{
    return odbc_direct(ctx, sql, e);
}

static void run_all(struct odbc_conn *c, struct str text)
{
    struct err e = {0};
    if (dbms_each_statement(text, run_one, c, &e) < 0)
        fail_msg("%s", e.msg);
}

static void add_column(const struct legacy *l, struct buf *out, const struct field *f)
{
    const struct place *p = &f->place[SIDE_LEGACY];
    unsigned size = f->type == TYPE_INTEGER                                ? f->bits
                    : f->type == TYPE_DECIMAL || f->type == TYPE_TIMESTAMP ? f->precision
                                                                           : f->length;
    l->d->quote(out, str_of(p->column));
    buf_addc(out, ' ');
    l->d->column_type(out, p->storage, size, f->scale);
    if (f->sequence)
        buf_addz(out, l->d == &dbms_mariadb ? " AUTO_INCREMENT UNIQUE" : " UNIQUE");
}

static void make_table(const struct legacy *l, const struct entity *en, const char *table,
                       const char *key, enum place_kind kind, unsigned index)
{
    struct buf sql = BUF_INIT;
    buf_addz(&sql, "DROP TABLE IF EXISTS ");
    l->d->quote(&sql, str_of(table));
    buf_addz(&sql, "\n--\nCREATE TABLE ");
    l->d->quote(&sql, str_of(table));
    buf_addz(&sql, " (");
    if (kind == PLACE_EXTENSION)
        buf_printf(&sql, "%s varchar(36), ", key);
    for (size_t i = 0; i < en->nfields; i++) {
        const struct place *p = &en->fields[i].place[SIDE_LEGACY];
        if (p->kind != kind || (kind == PLACE_EXTENSION && p->index != index))
            continue;
        add_column(l, &sql, &en->fields[i]);
        buf_addz(&sql, ", ");
    }
    buf_printf(&sql, "PRIMARY KEY (%s))", key);
    run_all(l->c, buf_str(&sql));
    buf_free(&sql);
}

struct odbc_conn *legacy_connect(const struct legacy *l)
{
    char conninfo[128];
    struct odbc_conn *c;
    struct err e = {0};
    const char *given = getenv("FICUS_TEST_ODBC");
    snprintf(conninfo, sizeof(conninfo), "DRIVER=SQLite3;Database=%s", l->file);
    if (odbc_open(given ? given : conninfo, l->d, &c, &e) < 0)
        fail_msg("%s", e.msg);
    return c;
}

void legacy_open(struct legacy *l)
{
    const char *name = getenv("FICUS_TEST_DBMS");
    struct err e = {0};
    *l = (struct legacy){.d = dbms_find(str_of(name ? name : "sqlite")), .a = arena_create(0)};
    assert_non_null(l->d);
    snprintf(l->file, sizeof(l->file), "/tmp/ficus-test-maps-XXXXXX");
    int fd = mkstemp(l->file);
    assert_true(fd >= 0);
    close(fd);
    l->set = fixture_maps();
    l->c = legacy_connect(l);
    if (ddl_remove_legacy(l->c, l->set, NULL, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < entity_count(l->set); i++) {
        const struct entity *en = entity_at(l->set, i);
        const struct side_map *m = &en->sides[SIDE_LEGACY];
        make_table(l, en, m->root, m->key_columns[0], PLACE_ROOT, 0);
        for (unsigned x = 0; x < m->nextensions; x++)
            make_table(l, en, m->extensions[x].table, m->extensions[x].key_column, PLACE_EXTENSION,
                       x);
    }
    legacy_exec(l->c, "DROP TABLE IF EXISTS email_addr_bean_rel");
    legacy_exec(l->c, "DROP TABLE IF EXISTS email_addresses");
    run_all(l->c, STR(email_tables));
}

void legacy_close(struct legacy *l)
{
    odbc_close(l->c);
    map_destroy(l->set);
    arena_destroy(l->a);
    unlink(l->file);
}

void legacy_exec(struct odbc_conn *c, const char *sql)
{
    struct err e = {0};
    if (odbc_exec(c, str_of(sql), NULL, 0, NULL, &e) < 0)
        fail_msg("%s: %s", sql, e.msg);
}

enum err_code legacy_refused(struct odbc_conn *c, const char *sql)
{
    struct err e = {0};
    if (odbc_exec(c, str_of(sql), NULL, 0, NULL, &e) == 0)
        fail_msg("was not refused: %s", sql);
    return e.code;
}

struct rows legacy_query(struct legacy *l, const char *sql)
{
    struct err e = {0};
    struct rows r;
    if (odbc_query(l->c, str_of(sql), NULL, 0, l->a, 0, &r, &e) < 0)
        fail_msg("%s: %s", sql, e.msg);
    return r;
}

const char *legacy_text(struct legacy *l, const char *sql)
{
    struct rows r = legacy_query(l, sql);
    if (r.nrows == 0)
        return "(none)";
    return r.cells[0].state == VALUE_NULL ? "(null)" : arena_strz(l->a, value_str(r.cells[0]));
}

long long legacy_run(struct legacy *l, const struct write_statement *s, size_t n)
{
    long long first = -1;
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        long long found = 0;
        if (odbc_exec(l->c, s[i].sql.text, s[i].sql.params, s[i].sql.nparams, &found, &e) < 0)
            fail_msg("%.*s: %s", (int)s[i].sql.text.len, s[i].sql.text.data, e.msg);
        if (i == 0)
            first = found;
    }
    return first;
}

const char *legacy_changes(struct legacy *l)
{
    struct rows r = legacy_query(l, "SELECT entity, k FROM ficus_changelog ORDER BY seq");
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < r.nrows; i++) {
        struct str en = value_str(*rows_at(&r, i, 0)), k = value_str(*rows_at(&r, i, 1));
        buf_printf(&b, "%.*s:%.*s ", (int)en.len, en.data, (int)k.len, k.data);
    }
    const char *text = arena_strz(l->a, buf_str(&b));
    buf_free(&b);
    legacy_exec(l->c, "DELETE FROM ficus_changelog");
    return text;
}
