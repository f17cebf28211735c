// SPDX-License-Identifier: Apache-2.0
// The runner of numbered SQL, guards and publication, on the PostgreSQL that FICUS_TEST_PG
// names (tests/integration/test_maps.py does); skipped without one.
#include "tests/unit/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct folder {
    char path[64];
    struct pg_conn *c;
};

static void put(const struct folder *f, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void drop(const struct folder *f, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    unlink(path);
}

static void folder_open(struct folder *f)
{
    struct err e = {0};
    if (!getenv("FICUS_TEST_PG"))
        skip();
    snprintf(f->path, sizeof(f->path), "/tmp/ficus-test-migrate-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    if (pg_open(getenv("FICUS_TEST_PG"), "unit", &f->c, &e) < 0 ||
        pg_script(
            f->c,
            STR("DROP SCHEMA IF EXISTS ficus_migrations CASCADE; DROP TABLE IF EXISTS mig_a, mig_b"),
            &e) < 0)
        fail_msg("%s", e.msg);
    put(f, "0001_a.up.sql", "CREATE TABLE mig_a (x int); INSERT INTO mig_a VALUES (1);");
    put(f, "0001_a.down.sql", "DROP TABLE mig_a;");
    put(f, "README.txt", "not a migration");
}

static void folder_close(struct folder *f)
{
    static const char *const names[] = {"0001_a.up.sql", "0001_a.down.sql", "0002_b.up.sql",
                                        "0002_c.up.sql", "0003_d.up.sql",   "README.txt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        drop(f, names[i]);
    rmdir(f->path);
    pg_close(f->c);
}

static bool exists(const struct folder *f, const char *table)
{
    struct arena *a = arena_create(0);
    struct rows r;
    struct err e = {0};
    struct value p = value_set(str_of(table));
    if (pg_query(f->c, STR("SELECT to_regclass($1) IS NOT NULL"), &p, 1, a, &r, &e) < 0)
        fail_msg("%s", e.msg);
    bool yes = str_eqz(value_str(r.cells[0]), "t");
    arena_destroy(a);
    return yes;
}

static void up_and_down_are_remembered(void **state)
{
    (void)state;
    struct folder f;
    struct err e = {0};
    unsigned n;
    folder_open(&f);
    if (migrate_up(f.c, "t", f.path, &n, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(n, 1);
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    assert_int_equal(n, 0);
    put(&f, "0002_b.up.sql", "CREATE TABLE mig_b (x int);");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    assert_int_equal(n, 1);
    struct arena *a = arena_create(0);
    struct migration_state *list;
    size_t count;
    assert_int_equal(migrate_status(f.c, "t", f.path, a, &list, &count, &e), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[1].name, "b");
    assert_true(list[0].applied && list[1].applied && !list[1].changed);
    arena_destroy(a);
    assert_int_equal(migrate_down(f.c, "t", f.path, &n, &e), -1); // 0002 has no way back
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    folder_close(&f);
}

static void down_reverts_the_newest(void **state)
{
    (void)state;
    struct folder f;
    struct err e = {0};
    unsigned n;
    folder_open(&f);
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    assert_true(exists(&f, "mig_a"));
    assert_int_equal(migrate_down(f.c, "t", f.path, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_false(exists(&f, "mig_a"));
    assert_int_equal(migrate_down(f.c, "t", f.path, &n, &e), 0);
    assert_int_equal(n, 0);
    folder_close(&f);
}

static void a_failing_file_leaves_nothing(void **state)
{
    (void)state;
    struct folder f;
    struct err e = {0};
    unsigned n;
    folder_open(&f);
    put(&f, "0002_b.up.sql", "CREATE TABLE mig_b (x int); SELECT nonsense;");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), -1);
    assert_int_equal(n, 1);
    assert_non_null(strstr(e.msg, "0002_b"));
    assert_false(exists(&f, "mig_b"));
    put(&f, "0002_b.up.sql", "CREATE TABLE mig_b (x int);");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    assert_true(exists(&f, "mig_b"));
    folder_close(&f);
}

static void a_changed_or_missing_or_late_file_is_refused(void **state)
{
    (void)state;
    struct folder f;
    struct err e = {0};
    unsigned n;
    folder_open(&f);
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    put(&f, "0001_a.up.sql", "CREATE TABLE mig_a (x int);");
    put(&f, "0002_b.up.sql", "CREATE TABLE mig_b (x int);");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_non_null(strstr(e.msg, "was changed"));
    assert_false(exists(&f, "mig_b"));
    drop(&f, "0001_a.up.sql");
    drop(&f, "0001_a.down.sql");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), -1);
    assert_non_null(strstr(e.msg, "is missing"));
    put(&f, "0001_a.up.sql", "CREATE TABLE mig_a (x int); INSERT INTO mig_a VALUES (1);");
    drop(&f, "0002_b.up.sql");
    put(&f, "0003_d.up.sql", "SELECT 1;");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), 0);
    put(&f, "0002_b.up.sql", "CREATE TABLE mig_b (x int);");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), -1);
    assert_non_null(strstr(e.msg, "newer number"));
    put(&f, "0002_c.up.sql", "SELECT 1;");
    assert_int_equal(migrate_up(f.c, "t", f.path, &n, &e), -1);
    assert_non_null(strstr(e.msg, "two names"));
    folder_close(&f);
}

static const char *group_of_all(const void *ctx, const struct entity *en)
{
    (void)en;
    return ctx;
}

// SQLSTATE of a refused statement, "" when it was done.
static const char *refused(struct store *s, const char *sql)
{
    static struct err e;
    err_clear(&e);
    return pg_exec(s->pg, str_of(sql), NULL, 0, NULL, &e) < 0 ? e.sqlstate : "";
}

static void guards_follow_the_fence(void **state)
{
    (void)state;
    struct store s;
    struct err e = {0};
    if (!store_open(&s, SIDE_NEW))
        skip();
    if (ddl_install_new(s.pg, s.l.set, group_of_all, "crm", &e) < 0 ||
        ddl_install_new(s.pg, s.l.set, group_of_all, "crm", &e) < 0)
        fail_msg("%s", e.msg);
    char entities[24];
    snprintf(entities, sizeof entities, "%zu", entity_count(s.l.set));
    store_text_is(&s, "", "SELECT count(*) FROM pg_publication_tables WHERE pubname = 'ficus'",
                  entities);
    assert_string_equal(refused(&s, "INSERT INTO crm.account (id) VALUES ('a1')"),
                        "FC001"); // no fence row
    assert_string_equal(refused(&s, "INSERT INTO ficus.fence VALUES ('crm', true, 7)"), "");
    assert_string_equal(refused(&s, "INSERT INTO crm.account (id) VALUES ('a1')"), "");
    assert_string_equal(refused(&s, "SELECT ficus.fence_set('crm', false, 8)"), "");
    assert_string_equal(refused(&s, "UPDATE crm.account SET name = 'x'"), "FC001");
    assert_string_equal(refused(&s, "TRUNCATE crm.account CASCADE"), "FC001");
    // An applier passes, and its mark ends with its transaction.
    assert_int_equal(pg_begin(s.pg, &e), 0);
    struct buf b = BUF_INIT;
    dbms_postgres.set_marks(&b, &(struct dbms_marks){.origin = "legacy.account", .epoch = -1});
    assert_string_equal(refused(&s, b.data), "");
    assert_string_equal(refused(&s, "UPDATE crm.account SET name = 'applied'"), "");
    assert_int_equal(pg_commit(s.pg, &e), 0);
    assert_string_equal(refused(&s, "UPDATE crm.account SET name = 'y'"), "FC001");
    assert_string_equal(refused(&s, "SELECT ficus.fence_set('crm', true, 9)"), "");
    // The writer's epoch must be the fence's.
    for (long long epoch = 8; epoch <= 9; epoch++) {
        assert_int_equal(pg_begin(s.pg, &e), 0);
        buf_reset(&b);
        dbms_postgres.set_marks(&b, &(struct dbms_marks){.epoch = epoch});
        assert_string_equal(refused(&s, b.data), "");
        assert_string_equal(refused(&s, "UPDATE crm.account SET name = 'mine'"),
                            epoch == 9 ? "" : "FC001");
        pg_rollback(s.pg);
    }
    buf_free(&b);
    // No group any more: no guard.
    assert_int_equal(ddl_install_new(s.pg, s.l.set, NULL, NULL, &e), 0);
    store_text_is(&s, "", "SELECT count(*) FROM pg_trigger WHERE tgname = 'ficus_guard'", "0");
    store_close(&s);
}

static bool has_schema(struct store *s, const char *name)
{
    struct err e = {0};
    struct rows rows;
    struct value p = value_set(str_of(name));
    struct arena *a = arena_create(0);
    assert_non_null(a);
    assert_int_equal(
        pg_query(s->pg, STR("SELECT 1 FROM pg_namespace WHERE nspname = $1"), &p, 1, a, &rows, &e),
        0);
    bool found = rows.nrows > 0;
    arena_destroy(a);
    return found;
}

static void the_shipped_schema_reverts(void **state)
{
    (void)state;
    struct store s;
    struct err e = {0};
    unsigned n, steps = 0, tables = 0;
    if (!store_open(&s, SIDE_NEW))
        skip();
    while (has_schema(&s, "crm") && tables < 100) {
        if (migrate_down(s.pg, "crm", "migrations/sql/crm", &n, &e) < 0)
            fail_msg("%s", e.msg);
        assert_int_equal(n, 1);
        tables++;
    }
    store_text_is(&s, "", "SELECT to_regnamespace('crm')", "(null)");
    while (has_schema(&s, "ficus") && steps < 100) { // one step at a time, the first one last
        if (migrate_down(s.pg, "control", NULL, &n, &e) < 0)
            fail_msg("%s", e.msg);
        assert_int_equal(n, 1);
        steps++;
    }
    store_text_is(&s, "", "SELECT to_regnamespace('ficus')", "(null)");
    assert_int_equal(migrate_up(s.pg, "control", NULL, &n, &e), 0);
    assert_int_equal(n, steps);
    assert_int_equal(migrate_up(s.pg, "crm", "migrations/sql/crm", &n, &e), 0);
    assert_int_equal(n, tables);
    store_close(&s);
}

// What the map proposes and what the numbered SQL made: same columns and types.
static void the_shipped_schema_is_what_the_maps_propose(void **state)
{
    (void)state;
    struct store s;
    struct err e = {0};
    if (!store_open(&s, SIDE_NEW))
        skip();
    if (pg_script(s.pg,
                  STR("ALTER SCHEMA crm RENAME TO made_crm;"
                      "CREATE SCHEMA crm; CREATE SEQUENCE crm.case_number"),
                  &e) < 0)
        fail_msg("%s", e.msg);
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < entity_count(s.l.set); i++)
        ddl_new_table(entity_at(s.l.set, i), &b);
    if (pg_script(s.pg, buf_str(&b), &e) < 0)
        fail_msg("%s", e.msg);
    buf_free(&b);
    store_text_is(
        &s, "",
        "SELECT coalesce(string_agg(d, ', '), 'equal') FROM (SELECT table_name || '.' || column_name AS d"
        " FROM (SELECT table_name, column_name, data_type, numeric_precision, numeric_scale,"
        " datetime_precision, is_nullable, collation_name, table_schema FROM information_schema.columns"
        " WHERE table_schema IN ('crm', 'made_crm')) c GROUP BY table_name, column_name, data_type,"
        " numeric_precision, numeric_scale, datetime_precision, is_nullable, collation_name"
        " HAVING count(*) <> 2) x",
        "equal");
    store_text_is(
        &s, "", "SELECT count(*) > 200 FROM information_schema.columns WHERE table_schema = 'crm'",
        "t");
    assert_int_equal(pg_script(s.pg, STR("DROP SCHEMA made_crm CASCADE"), &e), 0);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_and_down_are_remembered),
        cmocka_unit_test(down_reverts_the_newest),
        cmocka_unit_test(a_failing_file_leaves_nothing),
        cmocka_unit_test(a_changed_or_missing_or_late_file_is_refused),
        cmocka_unit_test(guards_follow_the_fence),
        cmocka_unit_test(the_shipped_schema_reverts),
        cmocka_unit_test(the_shipped_schema_is_what_the_maps_propose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
