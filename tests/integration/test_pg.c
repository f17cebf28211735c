// SPDX-License-Identifier: Apache-2.0
// The blocking PostgreSQL client against the server named by FICUS_TEST_POSTGRES.
#include "base/clock.h"
#include "connectors/postgres/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct pg_conn *c, *side;
    struct arena *a;
};

static const char *server(void)
{
    return getenv("FICUS_TEST_POSTGRES");
}

static void sql(struct pg_conn *c, const char *text)
{
    struct err e = {0};
    if (pg_script(c, str_of(text), &e))
        fail_msg("%s: %s", text, e.msg);
}

static struct rows query(struct fixture *f, const char *text, const struct value *p, size_t n)
{
    struct err e = {0};
    struct rows r;
    if (pg_query(f->c, str_of(text), p, n, f->a, &r, &e))
        fail_msg("%s: %s", text, e.msg);
    return r;
}

static void cell_is(struct rows r, const char *text)
{
    assert_int_equal(r.nrows, 1);
    if (r.cells[0].state != VALUE_SET || !str_eqz(value_str(r.cells[0]), text))
        fail_msg("'%.*s' is not '%s'", (int)r.cells[0].len, r.cells[0].data, text);
}

static enum err_code fails(struct fixture *f, const char *text, const struct value *p, size_t n)
{
    struct err e = {0};
    if (pg_exec(f->c, str_of(text), p, n, NULL, &e) == 0)
        fail_msg("%s: should fail", text);
    return e.code;
}

static int setup(void **state)
{
    struct err e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    f->a = arena_create(0);
    if (pg_open(server(), "pg test", &f->c, &e) || pg_open(server(), "pg test side", &f->side, &e))
        fail_msg("%s", e.msg);
    sql(f->c,
        "SET client_min_messages = error; DROP TABLE IF EXISTS pg_test CASCADE;"
        "CREATE TABLE pg_test (id int PRIMARY KEY, v text NOT NULL DEFAULT '', n numeric(5,2))");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pg_close(f->c);
    pg_close(f->side);
    arena_destroy(f->a);
    free(f);
    return 0;
}

static void the_session_is_as_promised(void **state)
{
    struct fixture *f = *state;
    cell_is(query(f, "SELECT '2024-02-29 12:00:00+02'::timestamptz::text", NULL, 0),
            "2024-02-29 10:00:00+00");
    cell_is(query(f, "SELECT 0.1::float8::text", NULL, 0), "0.1");
    cell_is(query(f, "SELECT current_setting('application_name')", NULL, 0), "pg test");
    // The user's own options stay in force.
    char conninfo[512];
    struct err e = {0};
    struct pg_conn *c;
    snprintf(conninfo, sizeof conninfo,
             "%s options='-c work_mem=1234kB -c timezone=Asia/Tokyo' application_name=mine",
             server());
    assert_int_equal(pg_open(conninfo, "pg test", &c, &e), 0);
    struct rows r;
    assert_int_equal(
        pg_query(c,
                 STR("SELECT current_setting('work_mem') || current_setting('timezone')"
                     " || current_setting('application_name')"),
                 NULL, 0, f->a, &r, &e),
        0);
    cell_is(r, "1234kBUTCmine");
    pg_close(c);
}

static void values_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    struct value p[] = {value_set(STR("\xc3\xa4 'x' \\ $1")), value_null(), value_set(STR(""))};
    struct rows r = query(f, "SELECT $1::text, $2::text, $3::text", p, 3);
    assert_int_equal(r.ncols, 3);
    assert_true(value_eq(r.cells[0], p[0]));
    assert_int_equal(r.cells[1].state, VALUE_NULL);
    assert_int_equal(r.cells[2].state, VALUE_SET);
    p[0] = value_set(str_n("a\0b", 3));
    assert_int_equal(fails(f, "SELECT $1::text", p, 1), ERR_VALUE);
    const char *z[] = {"1", NULL, "2.50"};
    long long n = 0;
    struct err e = {0};
    assert_int_equal(
        pg_execz(f->c, "INSERT INTO pg_test VALUES ($1, coalesce($2, 'none'), $3)", z, 3, &n, &e),
        0);
    assert_int_equal(n, 1);
    cell_is(query(f, "SELECT v || n FROM pg_test", NULL, 0), "none2.50");
}

static void errors_are_classified(void **state)
{
    struct fixture *f = *state;
    sql(f->c, "INSERT INTO pg_test VALUES (1)");
    assert_int_equal(fails(f, "INSERT INTO pg_test VALUES (1)", NULL, 0), ERR_CONFLICT);
    assert_int_equal(fails(f, "INSERT INTO pg_test VALUES (2, NULL)", NULL, 0), ERR_CONSTRAINT);
    assert_int_equal(fails(f, "INSERT INTO pg_test VALUES (2, '', 1000)", NULL, 0), ERR_VALUE);
    assert_int_equal(fails(f, "SELECT nosuch FROM pg_test", NULL, 0), ERR_SCHEMA);
    assert_int_equal(fails(f, "SELECT FROM nosuch", NULL, 0), ERR_SCHEMA);
    sql(f->side, "BEGIN; LOCK TABLE pg_test");
    sql(f->c, "SET lock_timeout = 50");
    assert_int_equal(fails(f, "DELETE FROM pg_test", NULL, 0), ERR_BUSY);
    sql(f->side, "ROLLBACK");
    assert_true(pg_alive(f->c));
}

static int stop_at_500(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    long long *seen = ctx, n;
    assert_int_equal(ncols, 2);
    assert_true(str_to_int(value_str(cells[0]), 0, 100000, &n));
    assert_int_equal(n, ++*seen);
    return n == 500 ? err_set(e, ERR_CANCELLED, "enough") : 0;
}

static void rows_stream_and_stop(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    long long seen = 0;
    struct value p[] = {value_set(STR("400"))};
    struct str s = STR("SELECT i, repeat('x', 100) FROM generate_series(1, $1::int) i");
    assert_int_equal(pg_each(f->c, s, p, 1, stop_at_500, &seen, &e), 0);
    assert_int_equal(seen, 400);
    seen = 0;
    p[0] = value_set(STR("5000"));
    assert_int_equal(pg_each(f->c, s, p, 1, stop_at_500, &seen, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(seen, 500);
    // Fails after rows were delivered.
    seen = 0;
    assert_int_equal(pg_each(f->c, STR("SELECT i, 1 / (100 - i) FROM generate_series(1, 200) i"),
                             NULL, 0, stop_at_500, &seen, &e),
                     -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(seen, 99);
    cell_is(query(f, "SELECT 1", NULL, 0), "1");
}

static void transactions_and_savepoints(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(pg_begin(f->c, &e), 0);
    sql(f->c, "INSERT INTO pg_test VALUES (1)");
    assert_int_equal(pg_savepoint(f->c, "row", &e), 0);
    assert_int_equal(fails(f, "INSERT INTO pg_test VALUES (1)", NULL, 0), ERR_CONFLICT);
    assert_int_equal(pg_rollback_to(f->c, "row", &e), 0);
    sql(f->c, "INSERT INTO pg_test VALUES (2)");
    assert_int_equal(pg_commit(f->c, &e), 0);
    cell_is(query(f, "SELECT count(*) FROM pg_test", NULL, 0), "2");
    assert_int_equal(pg_begin(f->c, &e), 0);
    assert_int_equal(fails(f, "INSERT INTO pg_test VALUES (1)", NULL, 0), ERR_CONFLICT);
    assert_int_equal(pg_commit(f->c, &e), -1); // what failed is not committed in silence
    assert_int_equal(pg_begin(f->c, &e), 0);
    sql(f->c, "DELETE FROM pg_test");
    pg_rollback(f->c);
    pg_rollback(f->c); // nothing open: nothing happens
    cell_is(query(f, "SELECT count(*) FROM pg_test", NULL, 0), "2");
}

static void copy_takes_any_text(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    long long n = 0;
    char id[16];
    struct value odd = value_set(STR("tab\t new\nline\r back\\slash \\N \\. \xf0\x9f\x98\x80"));
    assert_int_equal(pg_copy_begin(f->c, STR("COPY pg_test (id, v, n) FROM STDIN"), &e), 0);
    for (int i = 0; i < 5000; i++) {
        snprintf(id, sizeof id, "%d", i);
        struct value row[] = {value_set(str_of(id)), i % 2 ? odd : value_set(STR("")),
                              value_null()};
        assert_int_equal(pg_copy_row(f->c, row, 3, &e), 0);
    }
    if (pg_copy_end(f->c, &n, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(n, 5000);
    cell_is(query(f, "SELECT count(*) FROM pg_test WHERE v = $1 AND n IS NULL", &odd, 1), "2500");
    cell_is(query(f, "SELECT count(*) FROM pg_test WHERE v = ''", NULL, 0), "2500");
    struct value bad[] = {value_set(STR("1")), value_set(STR("x")), value_set(STR("not a number"))};
    assert_int_equal(pg_copy_begin(f->c, STR("COPY pg_test (id, v, n) FROM STDIN"), &e), 0);
    assert_int_equal(pg_copy_row(f->c, bad, 3, &e), 0);
    assert_int_equal(pg_copy_end(f->c, &n, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(pg_copy_begin(f->c, STR("COPY nosuch FROM STDIN"), &e), -1);
    assert_int_equal(e.code, ERR_SCHEMA);
    cell_is(query(f, "SELECT 1", NULL, 0), "1");
}

static void arrays_take_any_text(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;
    struct value cells[] = {
        value_set(STR("a\"b\\c")), value_set(STR("1")), value_null(),       value_set(STR("2")),
        value_set(STR("NULL")),    value_set(STR("3")), value_set(STR("")), value_set(STR("4")),
        value_set(STR("{x,y}")),   value_set(STR("5"))};
    pg_array_literal(&b, cells, 5, 2);
    struct value p = value_set(buf_str(&b));
    struct rows r = query(f, "SELECT unnest($1::text[])", &p, 1);
    assert_int_equal(r.nrows, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(value_eq(r.cells[i], cells[2 * i]));
    b.len = 0;
    pg_array_literal(&b, cells, 0, 1);
    p = value_set(buf_str(&b));
    assert_int_equal(query(f, "SELECT unnest($1::text[])", &p, 1).nrows, 0);
    buf_free(&b);
}

static void notices_arrive(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct pg_notice n;
    sql(f->c, "LISTEN pg_test");
    assert_int_equal(pg_wait_notice(f->c, 0, &n, &e), 0);
    sql(f->side, "NOTIFY pg_test, 'one'; NOTIFY pg_test, 'two'");
    assert_int_equal(pg_wait_notice(f->c, 5000, &n, &e), 1);
    assert_string_equal(n.channel, "pg_test");
    assert_string_equal(n.payload, "one");
    assert_int_equal(pg_wait_notice(f->c, 5000, &n, &e), 1);
    assert_string_equal(n.payload, "two");
    assert_int_equal(pg_wait_notice(f->c, 10, &n, &e), 0);
}

static void a_retyped_column_is_prepared_again(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct rows r;
    sql(f->c, "INSERT INTO pg_test VALUES (1, '5')");
    cell_is(query(f, "SELECT v FROM pg_test", NULL, 0), "5");
    sql(f->side, "ALTER TABLE pg_test ALTER v DROP DEFAULT, ALTER v TYPE int USING v::int");
    cell_is(query(f, "SELECT v FROM pg_test", NULL, 0), "5");
    // Inside a transaction it fails that once, and says that trying again may help.
    sql(f->side, "ALTER TABLE pg_test ALTER v TYPE bigint");
    assert_int_equal(pg_begin(f->c, &e), 0);
    assert_int_equal(pg_query(f->c, STR("SELECT v FROM pg_test"), NULL, 0, f->a, &r, &e), -1);
    assert_true(e.retriable);
    pg_rollback(f->c);
    assert_int_equal(pg_begin(f->c, &e), 0);
    cell_is(query(f, "SELECT v FROM pg_test", NULL, 0), "5");
    assert_int_equal(pg_commit(f->c, &e), 0);
}

static void more_statements_than_are_kept(void **state)
{
    struct fixture *f = *state;
    char text[40];
    for (int i = 0; i < 600; i++) {
        snprintf(text, sizeof text, "SELECT %d", i);
        cell_is(query(f, text, NULL, 0), text + 7);
        cell_is(query(f, "SELECT 'always'", NULL, 0), "always");
    }
    cell_is(query(f, "SELECT (count(*) <= 256)::text FROM pg_prepared_statements", NULL, 0),
            "true");
    cell_is(query(f, "SELECT count(*) FROM pg_prepared_statements WHERE name = 's2'", NULL, 0),
            "1");
}

static void end_backend(struct fixture *f)
{
    sql(f->side, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                 " WHERE application_name = 'pg test'");
}

static void a_commit_on_a_broken_connection_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(pg_begin(f->c, &e), 0);
    sql(f->c, "INSERT INTO pg_test VALUES (1)");
    end_backend(f);
    assert_int_equal(pg_commit(f->c, &e), -1);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    assert_false(pg_alive(f->c));
    pg_rollback(f->c);
    assert_int_equal(fails(f, "SELECT 1", NULL, 0), ERR_UNREACHABLE);
}

static void a_lost_listener_notices(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct pg_notice n;
    sql(f->c, "LISTEN pg_test");
    end_backend(f);
    assert_int_equal(pg_wait_notice(f->c, 5000, &n, &e), -1);
    assert_int_equal(e.code, ERR_UNREACHABLE);
}

static void what_cannot_be_reached(void **state)
{
    struct err e = {0};
    struct pg_conn *c;
    (void)state;
    assert_int_equal(pg_open("host=127.0.0.1 port=1 password=s3cret", "x", &c, &e), -1);
    assert_int_equal(e.code, ERR_UNREACHABLE);
    assert_null(strstr(e.msg, "s3cret"));
    assert_null(strchr(e.msg, '\n'));
    assert_int_equal(pg_open("password='s3cret nonsense", "x", &c, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(strstr(e.msg, "s3cret"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_session_is_as_promised),
        T(values_come_back_as_they_went),
        T(errors_are_classified),
        T(rows_stream_and_stop),
        T(transactions_and_savepoints),
        T(copy_takes_any_text),
        T(arrays_take_any_text),
        T(notices_arrive),
        T(a_retyped_column_is_prepared_again),
        T(more_statements_than_are_kept),
        T(a_commit_on_a_broken_connection_is_unknown),
        T(a_lost_listener_notices),
        cmocka_unit_test(what_cannot_be_reached),
    };
    if (!server()) {
        fputs("FICUS_TEST_POSTGRES names no server\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
