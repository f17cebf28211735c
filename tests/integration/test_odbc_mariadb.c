// SPDX-License-Identifier: Apache-2.0
// The ODBC client on MariaDB's driver, with what that driver does differently: the server is
// named by FICUS_TEST_MARIADB.
#include "base/clock.h"
#include "connectors/odbc/odbc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct odbc_conn *c, *side;
    struct arena *a;
};

static const char *server(void)
{
    return getenv("FICUS_TEST_MARIADB");
}

static long long exec_on(struct odbc_conn *c, const char *sql, const struct value *p, size_t n)
{
    struct err e = {0};
    long long changed = -2;
    if (odbc_exec(c, str_of(sql), p, n, &changed, &e))
        fail_msg("%s: %s", sql, e.msg);
    return changed;
}

static long long exec(struct fixture *f, const char *sql)
{
    return exec_on(f->c, sql, NULL, 0);
}

static enum err_code exec_fails(struct fixture *f, const char *sql, const struct value *p, size_t n)
{
    struct err e = {0};
    if (odbc_exec(f->c, str_of(sql), p, n, NULL, &e) == 0)
        fail_msg("%s: should fail", sql);
    return e.code;
}

static struct rows query(struct fixture *f, const char *sql)
{
    struct err e = {0};
    struct rows r;
    if (odbc_query(f->c, str_of(sql), NULL, 0, f->a, 0, &r, &e))
        fail_msg("%s: %s", sql, e.msg);
    return r;
}

static void cell_is(const struct rows *r, size_t col, const char *text)
{
    assert_int_equal(r->nrows, 1);
    if (!str_eqz(value_str(r->cells[col]), text) || r->cells[col].state != VALUE_SET)
        fail_msg("column %zu is '%.*s', not '%s'", col, (int)r->cells[col].len, r->cells[col].data,
                 text);
}

static int setup(void **state)
{
    struct err e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    f->a = arena_create(0);
    if (odbc_open(server(), &dbms_mariadb, &f->c, &e) ||
        odbc_open(server(), &dbms_mariadb, &f->side, &e))
        fail_msg("%s", e.msg);
    exec(f, "DROP TABLE IF EXISTS child, t");
    exec(f, "CREATE TABLE t (id char(36) PRIMARY KEY, name varchar(150), n bigint unsigned,"
            " d decimal(26,6), day date, at datetime(6), dur time, flag tinyint(1),"
            " bits bit(1), raw varbinary(20), big longtext, blob_ longblob)"
            " DEFAULT CHARSET utf8mb4");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    odbc_close(f->c);
    odbc_close(f->side);
    arena_destroy(f->a);
    free(f);
    return 0;
}

static void values_come_as_the_store_writes_them(void **state)
{
    struct fixture *f = *state;
    exec(f, "SET SESSION sql_mode = ''");
    exec(f, "INSERT INTO t VALUES ('k', 'Z\xc3\xbcrich \xf0\x9f\x98\x80', 18446744073709551615,"
            " '-1234567890123456.780000', '0000-00-00', '2024-02-29 23:59:59.123456',"
            " '-838:59:59', 2, b'1', x'00ff10', 'a\\0b', x'00')");
    struct rows r = query(f, "SELECT id, name, n, d, day, at, dur, flag, bits + 0, raw, big, blob_"
                             " FROM t");
    const char *wanted[] = {"k",
                            "Z\xc3\xbcrich \xf0\x9f\x98\x80",
                            "18446744073709551615",
                            "-1234567890123456.780000",
                            "0000-00-00",
                            "2024-02-29 23:59:59.123456",
                            "-838:59:59",
                            "2",
                            "1",
                            "00ff10"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        cell_is(&r, i, wanted[i]);
    assert_int_equal(r.cells[10].len, 3);
    assert_memory_equal(r.cells[10].data, "a\0b", 3);
    cell_is(&r, 11, "00");
}

static void long_values_come_whole(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0,    1,     510,   511,   512,   2047,   2048,
                                   2049, 16383, 16384, 16385, 40000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char id[16];
        struct buf text = BUF_INIT;
        while (text.len + 3 <= sizes[i])
            buf_addz(&text, "\xe6\x97\xa5");
        while (text.len < sizes[i])
            buf_addc(&text, 'x');
        snprintf(id, sizeof id, "%zu", i);
        struct value p[] = {value_set(str_of(id)), value_set(buf_str(&text)),
                            value_set(buf_str(&text))};
        if (!sizes[i])
            p[1].data = p[2].data = "";
        exec_on(f->c, "INSERT INTO t (id, big, blob_) VALUES (?, ?, ?)", p, 3);
        struct rows r;
        struct err e = {0};
        assert_int_equal(
            odbc_query(f->c, STR("SELECT big, blob_ FROM t WHERE id = ?"), p, 1, f->a, 0, &r, &e),
            0);
        assert_int_equal(r.nrows, 1);
        assert_true(value_eq(r.cells[0], p[1]));
        assert_int_equal(r.cells[1].len, 2 * sizes[i]);
        buf_free(&text);
    }
}

struct seen {
    size_t n, bytes;
    bool order;
};

static int see(void *ctx, const struct value *cells, size_t ncols, struct err *e)
{
    struct seen *s = ctx;
    long long id, len;
    (void)e;
    assert_int_equal(ncols, 4);
    assert_true(str_to_int(value_str(cells[0]), 0, 1000000, &id));
    assert_true(str_to_int(value_str(cells[2]), 0, 1000000, &len));
    s->order &= id == (long long)s->n;
    assert_int_equal(cells[1].state, id % 7 ? VALUE_SET : VALUE_NULL);
    if (id % 7)
        assert_int_equal(cells[1].len, len);
    for (size_t i = 0; i < cells[1].len; i++)
        assert_int_equal(cells[1].data[i], 'a' + id % 26);
    assert_int_equal(cells[3].len, 2 * (size_t)(id % 3));
    s->n++;
    s->bytes += cells[1].len;
    return 0;
}

// Long values among short ones: each cell is its own row's.
static void stream(struct fixture *f, const char *type)
{
    char create[128];
    struct err e = {0};
    struct seen s = {0, 0, true};
    exec(f, "DROP TABLE IF EXISTS s");
    snprintf(create, sizeof create,
             "CREATE TABLE s (id int PRIMARY KEY, v %s, len int, raw varbinary(9))", type);
    exec(f, create);
    exec(f, "INSERT INTO s SELECT seq, IF(seq % 7 = 0, NULL, REPEAT(CHAR(97 + seq % 26),"
            " IF(seq % 11 = 0, 3000 + seq, seq % 50))),"
            " IF(seq % 11 = 0, 3000 + seq, seq % 50), REPEAT('z', seq % 3) FROM seq_0_to_1233");
    for (int i = 0; i < 2; i++) {
        s = (struct seen){0, 0, true};
        if (odbc_each(f->c, STR("SELECT id, v, len, raw FROM s ORDER BY id"), NULL, 0, see, &s, &e))
            fail_msg("%s", e.msg);
        assert_int_equal(s.n, 1234);
        assert_true(s.order);
        // The same statement row by row, between the streams.
        struct rows r = query(f, "SELECT id, v, len, raw FROM s ORDER BY id");
        assert_int_equal(r.nrows, 1234);
        for (size_t k = 0; k < r.nrows; k++)
            s.bytes -= rows_at(&r, k, 1)->len;
        assert_int_equal(s.bytes, 0);
    }
}

static void a_stream_has_every_row_once_in_order(void **state)
{
    stream(*state, "mediumtext"); // row by row
    stream(*state, "text");       // in blocks
}

static void a_whole_text_fits_in_a_block(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct seen s = {0, 0, true};
    exec(f, "DROP TABLE IF EXISTS s");
    exec(f, "CREATE TABLE s (id int PRIMARY KEY, v text, len int, raw varbinary(9))");
    exec(f,
         "INSERT INTO s SELECT seq, IF(seq % 7, REPEAT(CHAR(97 + seq % 26), 65535), NULL), 65535,"
         " REPEAT('z', seq % 3) FROM seq_0_to_30");
    if (odbc_each(f->c, STR("SELECT id, v, len, raw FROM s ORDER BY id"), NULL, 0, see, &s, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(s.n, 31);
}

static void writes_count_the_rows_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(exec(f, "INSERT INTO t (id, name) VALUES ('1', 'a'), ('2', 'a')"), 2);
    assert_int_equal(exec(f, "UPDATE t SET name = 'a'"), 2); // found, though nothing changes
    assert_int_equal(exec(f, "UPDATE t SET name = 'b' WHERE id = 'none'"), 0);
    assert_int_equal(exec(f, "DELETE FROM t WHERE id = 'none'"), 0);
    assert_int_equal(exec(f, "DELETE FROM t"), 2);
}

static void found_rows_are_asked_for_whatever_option_says(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct odbc_conn *c;
    char conninfo[512];
    const char *option = strstr(server(), "OPTION=");
    assert_non_null(option);
    snprintf(conninfo, sizeof conninfo, "%.*sOPTION=67108864%s", (int)(option - server()), server(),
             option + strcspn(option, ";"));
    exec(f, "INSERT INTO t (id, name) VALUES ('1', 'a')");
    assert_int_equal(odbc_open(conninfo, &dbms_mariadb, &c, &e), 0);
    assert_int_equal(exec_on(c, "UPDATE t SET name = 'a'", NULL, 0), 1);
    odbc_close(c);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    exec(f, "INSERT INTO t (id) VALUES ('x')");
    struct rows r;
    assert_int_equal(odbc_query(f->side, STR("SELECT id FROM t"), NULL, 0, f->a, 0, &r, &e), 0);
    assert_int_equal(r.nrows, 0);
    assert_int_equal(exec_fails(f, "INSERT INTO t (id) VALUES ('x')", NULL, 0), ERR_CONFLICT);
    odbc_rollback(f->c);
    assert_int_equal(query(f, "SELECT id FROM t").nrows, 0);
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    exec(f, "INSERT INTO t (id) VALUES ('y')");
    assert_int_equal(odbc_commit(f->c, &e), 0);
    assert_int_equal(odbc_query(f->side, STR("SELECT id FROM t"), NULL, 0, f->a, 0, &r, &e), 0);
    assert_int_equal(r.nrows, 1);
    assert_int_equal(odbc_begin(f->c, false, &e), 0);
    assert_int_equal(query(f, "SELECT id FROM t").nrows, 1);
    assert_int_equal(odbc_commit(f->c, &e), 0);
}

static void errors_are_classified(void **state)
{
    struct fixture *f = *state;
    struct value bad[] = {value_set(STR("\xff\xfe"))}, wide[] = {value_set(STR("123456789x"))};
    exec(f, "INSERT INTO t (id) VALUES ('x')");
    exec(f, "DROP TABLE IF EXISTS child");
    exec(f, "CREATE TABLE child (id int PRIMARY KEY, t char(36) NOT NULL REFERENCES t (id),"
            " small varchar(5), n int) ENGINE InnoDB");
    assert_int_equal(exec_fails(f, "INSERT INTO t (id) VALUES ('x')", NULL, 0), ERR_CONFLICT);
    assert_int_equal(exec_fails(f, "INSERT INTO child VALUES (1, 'none', NULL, 1)", NULL, 0),
                     ERR_CONSTRAINT);
    assert_int_equal(exec_fails(f, "INSERT INTO child VALUES (1, NULL, NULL, 1)", NULL, 0),
                     ERR_CONSTRAINT);
    assert_int_equal(exec_fails(f, "INSERT INTO child VALUES (1, 'x', ?, 1)", wide, 1), ERR_VALUE);
    assert_int_equal(exec_fails(f, "INSERT INTO child VALUES (1, 'x', '', ?)", wide, 1), ERR_VALUE);
    assert_int_equal(exec_fails(f, "INSERT INTO t (id) VALUES (?)", bad, 1), ERR_VALUE);
    assert_int_equal(exec_fails(f, "SELECT nosuch FROM t", NULL, 0), ERR_SCHEMA);
    assert_int_equal(exec_fails(f, "SELECT 1 FROM nosuch", NULL, 0), ERR_SCHEMA);
    assert_true(odbc_alive(f->c));
    exec(f, "DROP TABLE child");
}

static void a_lock_wait_is_busy(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    exec(f, "INSERT INTO t (id) VALUES ('x')");
    exec(f, "SET SESSION innodb_lock_wait_timeout = 1");
    assert_int_equal(odbc_begin(f->side, true, &e), 0);
    exec_on(f->side, "UPDATE t SET name = 'side'", NULL, 0);
    assert_int_equal(exec_fails(f, "UPDATE t SET name = 'me'", NULL, 0), ERR_BUSY);
    odbc_rollback(f->side);
    assert_int_equal(exec(f, "UPDATE t SET name = 'me'"), 1);
}

static void a_changed_table_is_prepared_again(void **state)
{
    struct fixture *f = *state;
    struct rows r;
    exec(f, "DROP TABLE IF EXISTS w");
    exec(f, "CREATE TABLE w (a varchar(3), b int)");
    exec(f, "INSERT INTO w VALUES ('abc', 1)");
    r = query(f, "SELECT * FROM w");
    assert_int_equal(r.ncols, 2);
    exec_on(f->side, "ALTER TABLE w ADD COLUMN c varchar(20) DEFAULT 'new'", NULL, 0);
    r = query(f, "SELECT * FROM w");
    assert_int_equal(r.ncols, 3);
    cell_is(&r, 2, "new");
    // Wider than it was described at first.
    cell_is((r = query(f, "SELECT a FROM w"), &r), 0, "abc");
    exec_on(f->side, "ALTER TABLE w MODIFY a varchar(300)", NULL, 0);
    exec_on(f->side, "UPDATE w SET a = REPEAT('w', 300)", NULL, 0);
    r = query(f, "SELECT a FROM w");
    assert_int_equal(r.cells[0].len, 300);
    exec_on(f->side, "ALTER TABLE w DROP COLUMN c", NULL, 0);
    assert_int_equal(query(f, "SELECT * FROM w").ncols, 2);
}

static void many_rows_go_in_batches(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    enum { ROWS = 2500 };
    long long failed = 0;
    struct value *p = calloc(ROWS * 4, sizeof *p);
    char(*ids)[8] = calloc(ROWS, sizeof *ids);
    char long_name[150];
    memset(long_name, 'n', sizeof long_name);
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(ids[i], sizeof ids[i], "%zu", i);
        p[i * 4] = value_set(str_of(ids[i]));
        p[i * 4 + 1] = i % 3 == 0   ? value_null()
                       : i % 3 == 1 ? value_set(STR(""))
                                    : value_set(str_n(long_name, i % 150));
        p[i * 4 + 2] = value_set(str_of(ids[i]));
        p[i * 4 + 3] = i % 500 == 7 ? value_set(str_n(long_name, 150)) : value_set(STR("t"));
    }
    struct str sql = STR("INSERT INTO t (id, name, n, big) VALUES (?, ?, ?, ?)");
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    if (odbc_exec_many(f->c, sql, p, 4, ROWS, &failed, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(odbc_commit(f->c, &e), 0);
    struct rows r = query(f, "SELECT COUNT(*), SUM(name IS NULL), SUM(name = ''),"
                             " SUM(CHAR_LENGTH(name)), SUM(n = id), SUM(LENGTH(big)) FROM t");
    long long sum = 0;
    for (size_t i = 2; i < ROWS; i += 3)
        sum += (long long)(i % 150);
    char text[24];
    snprintf(text, sizeof text, "%lld", sum);
    cell_is(&r, 0, "2500");
    cell_is(&r, 1, "834");
    cell_is(&r, 3, text);
    cell_is(&r, 4, "2500");
    cell_is(&r, 5, "3245"); // 5 * 150 + 2495
    // One row at fault: nothing of the transaction stays.
    exec(f, "DELETE FROM t WHERE n <> 1700");
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    assert_int_equal(odbc_exec_many(f->c, sql, p, 4, ROWS, &failed, &e), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_true(failed == -1 || failed == 1700);
    odbc_rollback(f->c);
    cell_is((r = query(f, "SELECT COUNT(*) FROM t"), &r), 0, "1");
    free(ids);
    free(p);
}

// Errors that the driver hides: the server's SQLSTATE for them begins with 01.
static void a_refused_value_is_never_a_success(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    long long failed;
    struct value p[] = {value_set(STR("a")),  value_set(STR("11")), value_set(STR("b")),
                        value_set(STR("2x")), value_set(STR("c")),  value_set(STR("33"))};
    exec(f, "INSERT INTO t (id, n) VALUES ('1', 1)");
    assert_int_equal(exec_fails(f, "UPDATE t SET n = ?", p + 3, 1), ERR_VALUE);
    assert_int_equal(odbc_direct(f->c, STR("UPDATE t SET n = '4x'"), &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    assert_int_equal(
        odbc_exec_many(f->c, STR("INSERT INTO t (id, n) VALUES (?, ?)"), p, 2, 3, &failed, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(e.native, 1265);
    odbc_rollback(f->c);
    struct rows r = query(f, "SELECT COUNT(*), SUM(n) FROM t");
    cell_is(&r, 0, "1");
    cell_is(&r, 1, "1");
    p[3] = value_set(STR("22"));
    if (odbc_exec_many(f->c, STR("INSERT INTO t (id, n) VALUES (?, ?)"), p, 2, 3, &failed, &e))
        fail_msg("%s", e.msg);
}

static void *cancel_soon(void *arg)
{
    struct fixture *f = arg;
    struct err e = {0};
    struct arena *a = arena_create(0);
    struct rows r = {0};
    // Only when the statement is really running.
    while (odbc_query(f->side,
                      STR("SELECT id FROM information_schema.processlist WHERE info LIKE"
                          " 'SELECT SLEEP(%' AND time_ms > 50"),
                      NULL, 0, a, 0, &r, &e) == 0 &&
           r.nrows == 0)
        clock_sleep_ms(10);
    odbc_cancel(f->c);
    arena_destroy(a);
    return NULL;
}

static void a_statement_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct rows r;
    pthread_t t;
    odbc_cancel(f->c); // nothing runs: nothing happens
    uint64_t start = clock_mono_ms();
    assert_int_equal(pthread_create(&t, NULL, cancel_soon, f), 0);
    int result = odbc_query(f->c, STR("SELECT SLEEP(30)"), NULL, 0, f->a, 0, &r, &e);
    pthread_join(t, NULL);
    assert_true(clock_mono_ms() - start < 10000);
    // A SLEEP that is killed may answer 1 instead of failing.
    if (result)
        assert_int_equal(e.code, ERR_CANCELLED);
    else
        cell_is(&r, 0, "1");
    assert_true(odbc_alive(f->c));
    cell_is((r = query(f, "SELECT 5"), &r), 0, "5");
}

static void kill_connection(struct fixture *f)
{
    char sql[64];
    struct rows r = query(f, "SELECT CONNECTION_ID()");
    snprintf(sql, sizeof sql, "KILL %.*s", (int)r.cells[0].len, r.cells[0].data);
    exec_on(f->side, sql, NULL, 0);
}

static void a_killed_connection_is_known_as_broken(void **state)
{
    struct fixture *f = *state;
    kill_connection(f);
    assert_int_equal(exec_fails(f, "INSERT INTO t (id) VALUES ('x')", NULL, 0), ERR_UNREACHABLE);
    assert_false(odbc_alive(f->c));
}

static void a_commit_on_a_broken_connection_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(odbc_begin(f->c, true, &e), 0);
    exec(f, "INSERT INTO t (id) VALUES ('x')");
    kill_connection(f);
    assert_int_equal(odbc_commit(f->c, &e), -1);
    assert_int_equal(e.code, ERR_UNKNOWN_OUTCOME);
    assert_false(odbc_alive(f->c));
    assert_false(odbc_in_transaction(f->c));
}

static void more_statements_than_are_kept(void **state)
{
    struct fixture *f = *state;
    char sql[64];
    for (int i = 0; i < 300; i++) {
        snprintf(sql, sizeof sql, "SELECT %d, 'always'", i % 2 ? 1000 : i);
        struct rows r = query(f, sql);
        cell_is(&r, 1, "always");
    }
    struct rows r = query(f, "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'");
    long long prepared;
    assert_true(str_to_int(value_str(r.cells[1]), 0, 100000, &prepared));
    assert_true(prepared < 180); // the one used in between was kept: 150 + 1 and a few
}

static void a_wrong_password_is_denied_and_not_told(void **state)
{
    struct err e = {0};
    struct odbc_conn *c;
    char conninfo[512];
    (void)state;
    const char *pwd = strstr(server(), "PWD=");
    snprintf(conninfo, sizeof conninfo, "%.*sPWD=s3cret-w0rd%s", (int)(pwd - server()), server(),
             pwd + strcspn(pwd, ";"));
    assert_int_equal(odbc_open(conninfo, &dbms_mariadb, &c, &e), -1);
    assert_int_equal(e.code, ERR_DENIED);
    assert_null(strstr(e.msg, "s3cret"));
    assert_null(c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(values_come_as_the_store_writes_them),
        T(long_values_come_whole),
        T(a_stream_has_every_row_once_in_order),
        T(a_whole_text_fits_in_a_block),
        T(writes_count_the_rows_found),
        T(found_rows_are_asked_for_whatever_option_says),
        T(a_transaction_is_all_or_nothing),
        T(errors_are_classified),
        T(a_lock_wait_is_busy),
        T(a_changed_table_is_prepared_again),
        T(many_rows_go_in_batches),
        T(a_refused_value_is_never_a_success),
        T(a_statement_can_be_cancelled),
        T(a_killed_connection_is_known_as_broken),
        T(a_commit_on_a_broken_connection_is_unknown),
        T(more_statements_than_are_kept),
        cmocka_unit_test(a_wrong_password_is_denied_and_not_told),
    };
    if (!server()) {
        fputs("FICUS_TEST_MARIADB names no server\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
