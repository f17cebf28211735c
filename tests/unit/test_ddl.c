// SPDX-License-Identifier: Apache-2.0
// Changelog triggers, marks and fences in a real legacy store (see legacy_fixture.h).
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>

static const char *group_of_all(const void *ctx, const struct entity *en)
{
    (void)ctx;
    return strcmp(en->name, "user") == 0 ? NULL : "crm";
}

static void install(struct legacy *l, bool rogue)
{
    struct err e = {0};
    if (ddl_install_legacy(l->c, l->set, group_of_all, NULL, rogue, &e) < 0)
        fail_msg("%s", e.msg);
}

static void set_marks(struct legacy *l, const struct dbms_marks *m)
{
    struct buf b = BUF_INIT;
    struct err e = {0};
    l->d->set_marks(&b, m);
    if (odbc_direct(l->c, buf_str(&b), &e) < 0)
        fail_msg("%s", e.msg);
    buf_free(&b);
}

static void clear_marks(struct legacy *l)
{
    legacy_exec(l->c, l->d->clear_marks);
}

static long long fence(struct legacy *l, const char *sql, const char *epoch)
{
    struct value at = value_set(str_of(epoch)), group = value_set(STR("crm"));
    struct value p[] = {at, at, group, at};
    bool open = sql == l->d->fence_open_sql;
    struct err e = {0};
    long long found = -1;
    if (odbc_exec(l->c, str_of(sql), open ? p : p + 1, open ? 4 : 3, &found, &e) < 0)
        fail_msg("%s", e.msg);
    return found;
}

static void every_table_of_an_aggregate_logs_its_key(void **state)
{
    struct legacy l;
    (void)state;
    legacy_open(&l);
    install(&l, false);
    legacy_exec(l.c, "INSERT INTO accounts (id, name, deleted) VALUES ('a1', 'Acme', 0)");
    assert_string_equal(legacy_changes(&l), "account:a1 ");
    legacy_exec(l.c, "INSERT INTO accounts_cstm (id_c, customer_tier_c) VALUES ('a1', 'Gold')");
    assert_string_equal(legacy_changes(&l), "account:a1 ");
    legacy_exec(l.c,
                "INSERT INTO email_addresses (id, email_address, deleted) VALUES ('e1', 'x@y', 0)");
    assert_string_equal(legacy_changes(&l), "");
    legacy_exec(l.c, "INSERT INTO email_addr_bean_rel (id, email_address_id, bean_id, bean_module,"
                     " primary_address, deleted) VALUES ('r1', 'e1', 'a1', 'Accounts', 1, 0)");
    assert_string_equal(legacy_changes(&l), "account:a1 ");
    legacy_exec(l.c, "UPDATE email_addresses SET email_address = 'z@y' WHERE id = 'e1'");
    assert_non_null(strstr(legacy_changes(&l), "account:a1 "));
    // Another module's address is none of ours.
    legacy_exec(l.c, "INSERT INTO email_addr_bean_rel (id, email_address_id, bean_id, bean_module,"
                     " primary_address, deleted) VALUES ('r2', 'e1', 'u1', 'Users', 1, 0)");
    assert_string_equal(legacy_changes(&l), "");
    // Both sides of a move.
    legacy_exec(l.c, "UPDATE email_addr_bean_rel SET bean_id = 'a2' WHERE id = 'r1'");
    assert_string_equal(legacy_changes(&l), "account:a2 account:a1 ");
    legacy_exec(l.c, "UPDATE email_addr_bean_rel SET bean_module = 'Contacts' WHERE id = 'r1'");
    const char *moved = legacy_changes(&l);
    assert_non_null(strstr(moved, "account:a2 "));
    assert_non_null(strstr(moved, "contact:a2 "));
    legacy_exec(l.c, "UPDATE accounts SET id = 'a9' WHERE id = 'a1'");
    assert_string_equal(legacy_changes(&l), "account:a9 account:a1 ");
    legacy_exec(l.c, "DELETE FROM accounts WHERE id = 'a9'");
    assert_string_equal(legacy_changes(&l), "account:a9 ");
    legacy_close(&l);
}

static void an_applied_row_is_not_logged_and_a_mark_does_not_stay(void **state)
{
    struct legacy l;
    struct err e = {0};
    (void)state;
    legacy_open(&l);
    install(&l, false);
    assert_int_equal(odbc_begin(l.c, true, &e), 0);
    set_marks(&l, &(struct dbms_marks){.origin = "new.account", .epoch = -1});
    legacy_exec(l.c, "INSERT INTO accounts (id, name) VALUES ('a1', 'Acme')");
    clear_marks(&l);
    assert_int_equal(odbc_commit(l.c, &e), 0);
    assert_string_equal(legacy_changes(&l), "");
    legacy_exec(l.c, "UPDATE accounts SET name = 'B' WHERE id = 'a1'");
    assert_string_equal(legacy_changes(&l), "account:a1 ");
    set_marks(&l,
              &(struct dbms_marks){.epoch = 0, .write_id = "3f2b0c1e-0000-4000-8000-000000000001"});
    legacy_exec(l.c, "UPDATE accounts SET name = 'C' WHERE id = 'a1'");
    clear_marks(&l);
    assert_string_equal(legacy_text(&l, "SELECT write_id FROM ficus_changelog"),
                        "3f2b0c1e-0000-4000-8000-000000000001");
    legacy_close(&l);
}

static void a_closed_fence_refuses_and_a_stale_epoch_too(void **state)
{
    struct legacy l;
    (void)state;
    legacy_open(&l);
    install(&l, false);
    legacy_exec(l.c, "INSERT INTO accounts (id, name) VALUES ('a1', 'Acme')");
    assert_int_equal(fence(&l, l.d->fence_seal_sql, "7"), 1);
    assert_int_equal(fence(&l, l.d->fence_seal_sql, "7"), 0); // a later attempt is needed
    assert_int_equal(fence(&l, l.d->fence_open_sql, "5"), 0);
    assert_int_equal(legacy_refused(l.c, "UPDATE accounts SET name = 'x' WHERE id = 'a1'"),
                     ERR_FENCED);
    assert_int_equal(legacy_refused(l.c, "INSERT INTO contacts (id) VALUES ('c1')"), ERR_FENCED);
    assert_int_equal(legacy_refused(l.c, "DELETE FROM accounts"), ERR_FENCED);
    assert_int_equal(
        legacy_refused(l.c, "INSERT INTO email_addr_bean_rel (id, email_address_id, bean_id,"
                            " bean_module, primary_address, deleted)"
                            " VALUES ('r1', 'e1', 'a1', 'Accounts', 1, 0)"),
        ERR_FENCED);
    // Rows that belong to no aggregate of the group, and entities of no group, go on.
    legacy_exec(l.c, "INSERT INTO email_addresses (id, email_address) VALUES ('e1', 'x')");
    legacy_exec(l.c, "INSERT INTO users (id, user_name) VALUES ('1', 'admin')");
    // The applier passes a closed fence.
    set_marks(&l, &(struct dbms_marks){.origin = "new.account", .epoch = -1});
    legacy_exec(l.c, "UPDATE accounts SET name = 'applied' WHERE id = 'a1'");
    clear_marks(&l);
    assert_string_equal(legacy_text(&l, "SELECT name FROM accounts"), "applied");
    assert_int_equal(fence(&l, l.d->fence_open_sql, "9"), 1);
    assert_string_equal(legacy_text(&l, l.d->fence_openings_sql), "crm");
    assert_string_equal(legacy_text(&l, "SELECT opened FROM ficus_fence WHERE grp = 'crm'"), "9");
    legacy_exec(l.c, "UPDATE accounts SET name = 'direct' WHERE id = 'a1'");
    set_marks(&l, &(struct dbms_marks){.epoch = 8});
    assert_int_equal(legacy_refused(l.c, "UPDATE accounts SET name = 'late'"), ERR_FENCED);
    set_marks(&l, &(struct dbms_marks){.epoch = 9});
    legacy_exec(l.c, "UPDATE accounts SET name = 'mine' WHERE id = 'a1'");
    clear_marks(&l);
    assert_string_equal(legacy_text(&l, "SELECT name FROM accounts"), "mine");
    legacy_close(&l);
}

static void rogue_writers_pass_and_are_noted(void **state)
{
    struct legacy l;
    (void)state;
    legacy_open(&l);
    install(&l, true);
    assert_int_equal(fence(&l, l.d->fence_seal_sql, "3"), 1);
    legacy_exec(l.c, "INSERT INTO accounts (id, name) VALUES ('a1', 'Acme')");
    assert_string_equal(legacy_changes(&l), "account:a1 ");
    assert_string_equal(legacy_text(&l, "SELECT k FROM ficus_rogue WHERE grp = 'crm' AND op = 'i'"),
                        "a1");
    set_marks(&l, &(struct dbms_marks){.epoch = 2});
    assert_int_equal(legacy_refused(l.c, "UPDATE accounts SET name = 'late'"), ERR_FENCED);
    clear_marks(&l);
    assert_string_equal(legacy_text(&l, "SELECT COUNT(*) FROM ficus_rogue"), "1");
    legacy_close(&l);
}

static void installing_twice_changes_nothing_and_removing_leaves_nothing(void **state)
{
    struct legacy l;
    struct err e = {0};
    (void)state;
    legacy_open(&l);
    install(&l, false);
    const char *id = legacy_text(&l, "SELECT value FROM ficus_meta WHERE name = 'changelog_id'");
    assert_int_equal(fence(&l, l.d->fence_seal_sql, "4"), 1);
    // A trigger that no map asks for any more goes away.
    legacy_exec(
        l.c,
        l.d == &dbms_sqlite
            ? "CREATE TRIGGER ficus_gone_0_i AFTER INSERT ON accounts BEGIN SELECT 1; END"
            : "CREATE TRIGGER ficus_gone_0_i AFTER INSERT ON accounts FOR EACH ROW SET @x = 1");
    // A column that a store of an earlier version lacks is added.
    legacy_exec(l.c, "ALTER TABLE ficus_position DROP COLUMN opened");
    install(&l, false);
    assert_int_equal(legacy_query(&l, "SELECT opened FROM ficus_position").nrows, 0);
    assert_string_equal(legacy_text(&l, "SELECT value FROM ficus_meta WHERE name = 'changelog_id'"),
                        id);
    assert_string_equal(legacy_text(&l, "SELECT epoch FROM ficus_fence WHERE grp = 'crm'"), "4");
    struct rows r = legacy_query(&l, l.d->trigger_names_sql);
    for (size_t i = 0; i < r.nrows; i++)
        assert_false(str_eqz(value_str(*rows_at(&r, i, 0)), "ficus_gone_0_i"));
    assert_true(r.nrows >= 11 * 3);
    assert_int_equal(ddl_remove_legacy(l.c, l.set, group_of_all, NULL, &e), 0);
    assert_int_equal(legacy_query(&l, l.d->trigger_names_sql).nrows, 0);
    assert_int_equal(legacy_refused(l.c, "SELECT * FROM ficus_changelog"), ERR_SCHEMA);
    legacy_exec(l.c, "INSERT INTO accounts (id, name) VALUES ('a1', 'Acme')");
    legacy_close(&l);
}

static void the_changelog_is_read_probed_and_trimmed(void **state)
{
    struct legacy l;
    struct err e = {0};
    struct rows r;
    (void)state;
    legacy_open(&l);
    install(&l, false);
    for (int i = 0; i < 5; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "INSERT INTO accounts (id, name) VALUES ('a%d', 'n')", i);
        legacy_exec(l.c, sql);
    }
    struct value marker = value_set(STR("m1"));
    assert_int_equal(odbc_exec(l.c, str_of(l.d->changelog_marker_sql), &marker, 1, NULL, &e), 0);
    long long first;
    assert_true(str_to_int(str_of(legacy_text(&l, "SELECT MIN(seq) FROM ficus_changelog")), 0,
                           1 << 30, &first));
    char after[24], limit[] = "4";
    snprintf(after, sizeof(after), "%lld", first);
    struct value p[2] = {value_set(str_of(after)), value_set(str_of(limit))};
    if (odbc_query(l.c, str_of(l.d->changelog_read_sql), p, 2, l.a, 0, &r, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(r.nrows, 4);
    assert_int_equal(r.ncols, 5);
    long long seq, at;
    assert_true(str_to_int(value_str(*rows_at(&r, 0, 0)), first + 1, first + 1, &seq));
    assert_true(
        str_to_int(value_str(*rows_at(&r, 0, 4)), 1700000000000000LL, 4000000000000000LL, &at));
    if (l.d->changelog_probe_sql) {
        assert_int_equal(odbc_query(l.c, str_of(l.d->changelog_probe_sql), p, 1, l.a, 0, &r, &e),
                         0);
        assert_int_equal(r.nrows, 1);
    }
    assert_int_equal(odbc_exec(l.c, str_of(l.d->changelog_trim_sql), p, 1, NULL, &e), 0);
    assert_string_equal(legacy_text(&l, "SELECT COUNT(*) FROM ficus_changelog"), "5");
    const char *now = legacy_text(&l, l.d->now_us_sql);
    assert_true(str_to_int(str_of(now), 1700000000000000LL, 4000000000000000LL, &at));
    legacy_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_of_an_aggregate_logs_its_key),
        cmocka_unit_test(an_applied_row_is_not_logged_and_a_mark_does_not_stay),
        cmocka_unit_test(a_closed_fence_refuses_and_a_stale_epoch_too),
        cmocka_unit_test(rogue_writers_pass_and_are_noted),
        cmocka_unit_test(installing_twice_changes_nothing_and_removing_leaves_nothing),
        cmocka_unit_test(the_changelog_is_read_probed_and_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
