// SPDX-License-Identifier: Apache-2.0
// The ODBC client against a private SQLite file through the real driver.
#include "base/clock.h"
#include "connectors/odbc/odbc.h"
#include "migrations/ddl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    char file[64], conninfo[128];
    struct odbc_conn *c;
    struct arena *a;
};

static void exec(struct odbc_conn *c, const char *sql)
{
    struct err e = {0};
    if (odbc_exec(c, str_of(sql), NULL, 0, NULL, &e))
        fail_msg("%s: %s", sql, e.msg);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    snprintf(f->file, sizeof f->file, "/tmp/ficus-test-odbc-XXXXXX");
    int fd = mkstemp(f->file);
    assert_true(fd >= 0);
    close(fd);
    snprintf(f->conninfo, sizeof f->conninfo, "DRIVER=SQLite3;Database=%s", f->file);
    if (odbc_open(f->conninfo, &dbms_sqlite, &f->c, &e))
        fail_msg("%s", e.msg);
    f->a = arena_create(0);
    exec(f->c, "CREATE TABLE t (id char(36) PRIMARY KEY, name varchar(20), big text, raw blob)");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    odbc_close(f->c);
    arena_destroy(f->a);
    unlink(f->file);
    free(f);
    return 0;
}

static struct rows query(struct fixture *f, const char *sql, const struct value *p, size_t n)
{
    struct err e = {0};
    struct rows r;
    if (odbc_query(f->c, str_of(sql), p, n, f->a, 0, &r, &e))
        fail_msg("%s: %s", sql, e.msg);
    return r;
}

static void values_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct buf big = BUF_INIT;
    for (int i = 0; i < 50000; i++)
        buf_addz(&big, "\xc3\xa4\xe6\x97\xa5");
    struct value p[] = {value_set(STR("k1")), value_null(), value_set(buf_str(&big))};
    long long n = -1;
    assert_int_equal(
        odbc_exec(f->c, STR("INSERT INTO t (id, name, big) VALUES (?,?,?)"), p, 3, &n, &e), 0);
    assert_int_equal(n, 1);
    struct rows r = query(f, "SELECT id, name, big FROM t WHERE id = ?", p, 1);
    assert_int_equal(r.nrows, 1);
    assert_true(str_eqz(value_str(r.cells[0]), "k1"));
    assert_int_equal(r.cells[1].state, VALUE_NULL);
    assert_true(str_eq(value_str(r.cells[2]), buf_str(&big)));
    buf_free(&big);
}

static void empty_is_not_null(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct value p[] = {value_set(STR("k")), value_set(STR(""))};
    assert_int_equal(odbc_exec(f->c, STR("INSERT INTO t (id, name) VALUES (?,?)"), p, 2, NULL, &e),
                     0);
    struct rows r = query(f, "SELECT name FROM t WHERE name = ''", NULL, 0);
    assert_int_equal(r.nrows, 1);
    assert_int_equal(r.cells[0].state, VALUE_SET);
    assert_int_equal(r.cells[0].len, 0);
}

static void bytes_read_as_hex(void **state)
{
    struct fixture *f = *state;
    exec(f->c, "INSERT INTO t (id, raw) VALUES ('b', x'00ff10')");
    struct rows r = query(f, "SELECT raw FROM t WHERE id = 'b'", NULL, 0);
    assert_true(str_eqz(value_str(r.cells[0]), "00ff10"));
}

static void a_nul_is_refused_where_the_driver_cuts(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct value p[] = {value_set(str_n("a\0b", 3))};
    assert_int_equal(odbc_exec(f->c, STR("INSERT INTO t (id) VALUES (?)"), p, 1, NULL, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
}

static void errors_are_classified(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct rows r;
    exec(f->c, "INSERT INTO t (id) VALUES ('x')");
    assert_int_equal(odbc_exec(f->c, STR("INSERT INTO t (id) VALUES ('x')"), NULL, 0, NULL, &e),
                     -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_int_equal(odbc_query(f->c, STR("SELECT nosuch FROM t"), NULL, 0, f->a, 0, &r, &e), -1);
    if (e.code != ERR_SCHEMA)
        fail_msg("%s: %s", err_name(e.code), e.msg);
    assert_true(odbc_alive(f->c));
}

static void a_transaction_is_seen_only_after_commit(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct odbc_conn *other;
    struct rows r;
    assert_int_equal(odbc_open(f->conninfo, &dbms_sqlite, &other, &e), 0);
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    exec(f->c, "INSERT INTO t (id) VALUES ('y')");
    assert_int_equal(odbc_query(other, STR("SELECT count(*) FROM t"), NULL, 0, f->a, 0, &r, &e), 0);
    assert_true(str_eqz(value_str(r.cells[0]), "0"));
    assert_int_equal(odbc_commit(f->c, &e), 0);
    assert_int_equal(odbc_query(other, STR("SELECT count(*) FROM t"), NULL, 0, f->a, 0, &r, &e), 0);
    assert_true(str_eqz(value_str(r.cells[0]), "1"));
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    exec(f->c, "DELETE FROM t");
    odbc_rollback(f->c);
    assert_false(odbc_in_transaction(f->c));
    assert_int_equal(odbc_query(other, STR("SELECT count(*) FROM t"), NULL, 0, f->a, 0, &r, &e), 0);
    assert_true(str_eqz(value_str(r.cells[0]), "1"));
    odbc_close(other);
}

static int count_rows(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    size_t *n = ctx;
    (void)cells;
    if (++*n == 70)
        return err_set(e, ERR_CANCELLED, "enough");
    return ncols == 1 ? 0 : -1;
}

static void rows_stream_and_stop(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    size_t n = 0;
    exec(f->c, "INSERT INTO t (id) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
               " WHERE x < 60) SELECT 'id' || x FROM c");
    assert_int_equal(odbc_each(f->c, STR("SELECT id FROM t"), NULL, 0, count_rows, &n, &e), 0);
    assert_int_equal(n, 60);
    assert_int_equal(odbc_each(f->c, STR("SELECT id FROM t"), NULL, 0, count_rows, &n, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(n, 70);
    exec(f->c, "DELETE FROM t"); // the connection is still good
}

static void many_rows_and_the_one_at_fault(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    long long failed;
    struct value p[] = {value_set(STR("m1")), value_set(STR("m2")), value_set(STR("m1"))};
    assert_int_equal(
        odbc_exec_many(f->c, STR("INSERT INTO t (id) VALUES (?)"), p, 1, 3, &failed, &e), -1);
    assert_int_equal(failed, 2);
    assert_int_equal(e.code, ERR_CONFLICT);
}

static void too_many_rows_are_a_limit(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct rows r;
    exec(f->c, "INSERT INTO t (id) VALUES ('1'), ('2'), ('3')");
    assert_int_equal(odbc_query(f->c, STR("SELECT id FROM t"), NULL, 0, f->a, 2, &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(odbc_query(f->c, STR("SELECT id FROM t"), NULL, 0, f->a, 3, &r, &e), 0);
    assert_int_equal(r.nrows, 3);
}

static void writes_count_rows(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    static const struct {
        const char *sql;
        long long rows;
    } steps[] = {
        {"INSERT INTO t (id) VALUES ('1'), ('2')", 2},
        {"UPDATE t SET name = 'a'", 2},
        {"UPDATE t SET name = 'a'", 2},
        {"UPDATE t SET name = 'b' WHERE id = '3'", 0},
        {"DELETE FROM t WHERE id = '3'", 0},
        {"DELETE FROM t", 2},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        long long n = -1;
        assert_int_equal(odbc_exec(f->c, str_of(steps[i].sql), NULL, 0, &n, &e), 0);
        assert_int_equal(n, steps[i].rows);
    }
}

static void one_writer_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct odbc_conn *other;
    char conninfo[160];
    snprintf(conninfo, sizeof conninfo, "%s;Timeout=50", f->conninfo);
    assert_int_equal(odbc_open(conninfo, &dbms_sqlite, &other, &e), 0);
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    assert_int_equal(odbc_begin(other, true, &e), -1);
    assert_int_equal(e.code, ERR_BUSY);
    assert_true(e.retriable);
    assert_false(odbc_in_transaction(other));
    assert_int_equal(odbc_commit(f->c, &e), 0);
    assert_int_equal(odbc_begin(other, true, &e), 0);
    odbc_close(other); // gives the lock back
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    odbc_rollback(f->c);
}

struct cancel {
    struct odbc_conn *c;
    bool ended;
};

static void *cancel_until_ended(void *arg)
{
    struct cancel *x = arg;
    while (!__atomic_load_n(&x->ended, __ATOMIC_ACQUIRE)) {
        odbc_cancel(x->c);
        clock_sleep_ms(20);
    }
    return NULL;
}

// With StepAPI the work is done while fetching, so there it must be possible to stop it.
static void a_statement_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct rows r;
    struct cancel x = {f->c, false};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, cancel_until_ended, &x), 0);
    int result = odbc_query(f->c,
                            STR("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1"
                                " FROM c) SELECT max(x) FROM c"),
                            NULL, 0, f->a, 0, &r, &e);
    __atomic_store_n(&x.ended, true, __ATOMIC_RELEASE);
    pthread_join(t, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_true(odbc_alive(f->c));
    assert_true(str_eqz(value_str(query(f, "SELECT 5", NULL, 0).cells[0]), "5"));
}

static void more_statements_than_are_kept(void **state)
{
    struct fixture *f = *state;
    char sql[40], text[16];
    for (int i = 0; i < 600; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i % 300);
        snprintf(text, sizeof text, "%d", i % 300);
        assert_true(str_eqz(value_str(query(f, sql, NULL, 0).cells[0]), text));
    }
}

// Of a DBMS that lacks a word (as Oracle does), what needs it is refused before it begins.
static void what_a_dbms_lacks_is_refused(void **state)
{
    struct fixture *f = *state;
    struct dbms lacking = dbms_sqlite;
    struct odbc_conn *other;
    struct err e = {0};
    lacking.begin_write = NULL;
    lacking.changelog_read_sql = NULL;
    assert_int_equal(odbc_open(f->conninfo, &lacking, &other, &e), 0);
    assert_int_equal(odbc_begin(other, true, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    assert_int_equal(odbc_begin(other, false, &e), -1);
    assert_false(odbc_in_transaction(other));
    e = (struct err){0};
    assert_int_equal(ddl_install_legacy(other, NULL, NULL, NULL, false, &e), -1);
    assert_int_equal(e.code, ERR_UNSUPPORTED);
    odbc_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_back_as_they_went, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_is_not_null, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_read_as_hex, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nul_is_refused_where_the_driver_cuts, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_classified, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_is_seen_only_after_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_stream_and_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(many_rows_and_the_one_at_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_rows_are_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_count_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(one_writer_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_statement_can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(more_statements_than_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_dbms_lacks_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
