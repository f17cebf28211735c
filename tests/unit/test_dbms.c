// SPDX-License-Identifier: Apache-2.0
// The DBMS files: names, literals, pages, and error classes by each driver's numbers.
#include "connectors/odbc/dbms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

static void dbms_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(dbms_find(STR("sqlite")), &dbms_sqlite);
    assert_ptr_equal(dbms_find(STR("mariadb")), &dbms_mariadb);
    assert_ptr_equal(dbms_find(STR("postgres")), &dbms_postgres_legacy);
    assert_ptr_equal(dbms_find(STR("sqlserver")), &dbms_sqlserver);
    assert_ptr_equal(dbms_find(STR("oracle")), &dbms_oracle);
    assert_null(dbms_find(STR("db2")));
    for (unsigned i = 0; dbms_at(i); i++)
        assert_non_null(dbms_at(i)->lock_row);
}

static const char *quoted(const struct dbms *d, const char *name, struct buf *b)
{
    buf_reset(b);
    d->quote(b, str_of(name));
    return b->data;
}

static void names_are_quoted_part_by_part(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    assert_string_equal(quoted(&dbms_sqlite, "a\"b", &b), "\"a\"\"b\"");
    assert_string_equal(quoted(&dbms_postgres, "crm.case", &b), "\"crm\".\"case\"");
    assert_string_equal(quoted(&dbms_mariadb, "x`y", &b), "`x``y`");
    buf_free(&b);
}

static void pages_are_written(void **state)
{
    (void)state;
    static const struct dbms *const all[] = {&dbms_sqlite, &dbms_mariadb, &dbms_postgres,
                                             &dbms_postgres_legacy};
    for (size_t i = 0; i < 3; i++) {
        struct buf b = BUF_INIT;
        all[i]->page(&b, -1, 0);
        assert_int_equal(b.len, 0);
        all[i]->page(&b, 20, 40);
        assert_string_equal(b.data, " LIMIT 20 OFFSET 40");
        buf_free(&b);
    }
}

static void marks_cannot_be_broken_out_of(void **state)
{
    (void)state;
    static const struct dbms *const all[] = {&dbms_sqlite, &dbms_mariadb, &dbms_postgres,
                                             &dbms_postgres_legacy};
    for (size_t i = 0; i < 3; i++) {
        struct buf b = BUF_INIT;
        all[i]->set_marks(&b, &(struct dbms_marks){.origin = "a'; DROP TABLE x; --", .epoch = 3});
        assert_non_null(strstr(b.data, "'a''; DROP TABLE x; --'"));
        buf_free(&b);
    }
}

static void errors_have_classes(void **state)
{
    (void)state;
    static const struct {
        const struct dbms *d;
        const char *sqlstate;
        int native;
        const char *message;
        enum err_code code;
    } rows[] = {
        {&dbms_sqlite, "HY000", 1, "[SQLite]ficus: fence: group crm is owned by the other side (1)",
         ERR_FENCED},
        {&dbms_sqlite, "HY000", 19, "UNIQUE constraint failed: t.id (19)", ERR_CONFLICT},
        {&dbms_sqlite, "HY000", 19, "NOT NULL constraint failed: t.x (19)", ERR_CONSTRAINT},
        {&dbms_sqlite, "HY000", 5, "database is locked (5)", ERR_BUSY},
        {&dbms_sqlite, "HY000", 1, "no such column: x (1)", ERR_SCHEMA},
        {&dbms_sqlite, "08001", 14, "unable to open database file", ERR_UNREACHABLE},
        {&dbms_mariadb, "45000", 1644, "ficus: fence: group crm is owned by the other side",
         ERR_FENCED},
        {&dbms_mariadb, "23000", 1062, "Duplicate entry", ERR_CONFLICT},
        {&dbms_mariadb, "23000", 1452, "foreign key", ERR_CONSTRAINT},
        {&dbms_mariadb, "HY000", 1205, "Lock wait timeout", ERR_BUSY},
        {&dbms_mariadb, "40001", 1213, "Deadlock", ERR_BUSY},
        {&dbms_mariadb, "22001", 1406, "Data too long", ERR_VALUE},
        {&dbms_mariadb, "HY000", 1366, "Incorrect string value", ERR_VALUE},
        {&dbms_mariadb, "HY000", 2057, "number of columns changed", ERR_SCHEMA},
        {&dbms_mariadb, "42S02", 1146, "no such table", ERR_SCHEMA},
        {&dbms_mariadb, "HY000", 2013, "Lost connection", ERR_UNREACHABLE},
        {&dbms_mariadb, "08S01", 0, "gone", ERR_UNREACHABLE},
        {&dbms_mariadb, "HY018", 0, "cancelled", ERR_CANCELLED},
        {&dbms_postgres, "FC001", 0, "ficus: fence: ..", ERR_FENCED},
        {&dbms_postgres, "23505", 0, "duplicate key", ERR_CONFLICT},
        {&dbms_postgres, "23503", 0, "foreign key", ERR_CONSTRAINT},
        {&dbms_postgres, "23514", 0, "check", ERR_CONSTRAINT},
        {&dbms_postgres, "22P02", 0, "invalid input syntax", ERR_VALUE},
        {&dbms_postgres, "40P01", 0, "deadlock detected", ERR_BUSY},
        {&dbms_postgres, "42P01", 0, "relation does not exist", ERR_SCHEMA},
        {&dbms_postgres, "57P01", 0, "terminating connection", ERR_UNREACHABLE},
        {&dbms_postgres, "57014", 0, "canceling statement", ERR_CANCELLED},
        {&dbms_postgres, "XX000", 0, "internal", ERR_INTERNAL},
        {&dbms_sqlserver, "42000", 51000, "[SQL Server]ficus: fence: group crm is ..", ERR_FENCED},
        {&dbms_sqlserver, "23000", 2627, "Violation of PRIMARY KEY constraint", ERR_CONFLICT},
        {&dbms_sqlserver, "23000", 547, "conflicted with the FOREIGN KEY", ERR_CONSTRAINT},
        {&dbms_sqlserver, "22001", 2628, "would be truncated", ERR_VALUE},
        {&dbms_sqlserver, "40001", 1205, "deadlock victim", ERR_BUSY},
        {&dbms_sqlserver, "42S02", 208, "Invalid object name", ERR_SCHEMA},
        {&dbms_sqlserver, "08S01", 10054, "link failure", ERR_UNREACHABLE},
        {&dbms_sqlserver, "HYT00", 0, "timeout", ERR_TIMEOUT},
        {&dbms_sqlserver, "HY008", 0, "canceled", ERR_CANCELLED},
        {&dbms_sqlserver, "HY000", 0, "what", ERR_INTERNAL},
        {&dbms_oracle, "HY000", 20900, "ORA-20900: ficus: fence: group crm is ..", ERR_FENCED},
        {&dbms_oracle, "23000", 1, "ORA-00001: unique constraint", ERR_CONFLICT},
        {&dbms_oracle, "HY000", -2291, "ORA-02291: parent key not found", ERR_CONSTRAINT},
        {&dbms_oracle, "HY000", 12899, "ORA-12899: value too large", ERR_VALUE},
        {&dbms_oracle, "HY000", 60, "ORA-00060: deadlock", ERR_BUSY},
        {&dbms_oracle, "42S02", 942, "ORA-00942", ERR_SCHEMA},
        {&dbms_oracle, "HY000", 3113, "ORA-03113: end-of-file", ERR_UNREACHABLE},
        {&dbms_oracle, "HY000", 1013, "ORA-01013: cancel", ERR_CANCELLED},
        {&dbms_oracle, "HY000", 600, "ORA-00600", ERR_INTERNAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum err_code code = rows[i].d->classify(rows[i].sqlstate, rows[i].native, rows[i].message);
        if (code != rows[i].code)
            fail_msg("%s %s %d: %s, not %s", rows[i].d->name, rows[i].sqlstate, rows[i].native,
                     err_name(code), err_name(rows[i].code));
    }
}

static int note(void *ctx, struct str sql, struct err *e)
{
    (void)e;
    struct buf *b = ctx;
    buf_printf(b, "[%.*s]", (int)sql.len, sql.data);
    return sql.len == 3 ? -1 : 0;
}

static void statements_are_split(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct err e = {0};
    assert_int_equal(dbms_each_statement(STR("a\n--\n b \n--\n\n--\nc"), note, &b, &e), 0);
    assert_string_equal(b.data, "[a][b][c]");
    buf_reset(&b);
    assert_int_equal(dbms_each_statement(STR("xyz\n--\nb"), note, &b, &e), -1);
    assert_string_equal(b.data, "[xyz]");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dbms_are_found_by_name), cmocka_unit_test(names_are_quoted_part_by_part),
        cmocka_unit_test(pages_are_written),      cmocka_unit_test(marks_cannot_be_broken_out_of),
        cmocka_unit_test(errors_have_classes),    cmocka_unit_test(statements_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
