// SPDX-License-Identifier: Apache-2.0
// The gap-safe changelog reader against a scripted store: which numbers are committed, locked by
// an open transaction, or do not exist.
#include "cdc/capture/changelog.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NUMBERS 64

enum state { NONE, LOCKED, THERE };
static enum state store[NUMBERS + 1];
static struct dbms fake;
static struct odbc_conn *const conn = (struct odbc_conn *)&store;

int __wrap_odbc_query(struct odbc_conn *c, struct str sql, const struct value *p, size_t n,
                      struct arena *a, size_t max, struct rows *out, struct err *e);
int __wrap_odbc_exec(struct odbc_conn *c, struct str sql, const struct value *p, size_t n,
                     long long *changed, struct err *e);
const struct dbms *__wrap_odbc_dbms(const struct odbc_conn *c);
bool __wrap_odbc_alive(const struct odbc_conn *c);

const struct dbms *__wrap_odbc_dbms(const struct odbc_conn *c)
{
    (void)c;
    return &fake;
}

bool __wrap_odbc_alive(const struct odbc_conn *c)
{
    (void)c;
    return true;
}

int __wrap_odbc_exec(struct odbc_conn *c, struct str sql, const struct value *p, size_t n,
                     long long *changed, struct err *e)
{
    long long upto;
    (void)c, (void)sql, (void)n, (void)changed, (void)e;
    assert_true(str_to_int(value_str(p[0]), 0, NUMBERS, &upto));
    for (long long i = 1; i <= upto; i++)
        store[i] = NONE;
    return 0;
}

static void add_row(struct rows *out, struct arena *a, long long seq)
{
    struct value *cells = &out->cells[out->nrows++ * 5];
    cells[0] = value_set(arena_printf(a, "%lld", seq));
    cells[1] = value_set(STR("thing"));
    cells[2] = value_set(arena_printf(a, "k%lld", seq));
    cells[3] = value_null();
    cells[4] = value_set(STR("7"));
}

int __wrap_odbc_query(struct odbc_conn *c, struct str sql, const struct value *p, size_t n,
                      struct arena *a, size_t max, struct rows *out, struct err *e)
{
    long long first = 0, limit = 1;
    (void)c, (void)max;
    *out = (struct rows){.ncols = 5,
                         .cells = arena_array(a, (NUMBERS + 1) * 5, sizeof(struct value))};
    if (n > 0)
        assert_true(str_to_int(value_str(p[0]), 0, INT64_MAX, &first));
    if (n > 1)
        assert_true(str_to_int(value_str(p[1]), 0, INT64_MAX, &limit));
    if (str_eqz(sql, "max")) {
        for (long long i = NUMBERS; i > 0 && first == 0; i--)
            first = store[i] == THERE ? i : 0;
        add_row(out, a, first);
    } else if (str_eqz(sql, "probe")) {
        if (store[first] == LOCKED)
            return err_set(e, ERR_BUSY, "locked");
        if (store[first] == THERE)
            add_row(out, a, first);
    } else {
        for (long long i = first + 1; i <= NUMBERS && (long long)out->nrows < limit; i++)
            if (store[i] == THERE)
                add_row(out, a, i);
    }
    return 0;
}

struct fixture {
    struct changelog *log;
    struct arena *arena;
    char seen[256]; // numbers given out, in order
};

static void take(struct fixture *f, const struct changelog_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(f->seen);
        snprintf(f->seen + len, sizeof f->seen - len, "%lld ", rows[i].seq);
        assert_int_equal(rows[i].at_us, 7);
    }
}

static const char *read_some(struct fixture *f, size_t max)
{
    struct changelog_row *rows;
    size_t n;
    struct err e = {0};
    f->seen[0] = 0;
    assert_int_equal(changelog_read(f->log, max, f->arena, &rows, &n, &e), 0);
    take(f, rows, n);
    return f->seen;
}

static const char *recheck(struct fixture *f)
{
    struct changelog_row *rows;
    size_t n;
    bool more;
    struct err e = {0};
    f->seen[0] = 0;
    assert_int_equal(changelog_recheck(f->log, f->arena, &rows, &n, &more, &e), 0);
    take(f, rows, n);
    return f->seen;
}

static int setup(void **state)
{
    static struct fixture f;
    struct err e = {0};
    memset(store, 0, sizeof store);
    fake = (struct dbms){.name = "fake",
                         .changelog_read_sql = "read",
                         .changelog_max_sql = "max",
                         .changelog_probe_sql = "probe",
                         .changelog_trim_sql = "trim"};
    f = (struct fixture){.arena = arena_create(0)};
    assert_int_equal(changelog_open(conn, 0, &f.log, &e), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    changelog_close(f->log);
    arena_destroy(f->arena);
    return 0;
}

static void late_commit_is_given_out_once(void **state)
{
    struct fixture *f = *state;
    store[1] = store[3] = THERE;
    store[2] = LOCKED;
    assert_string_equal(read_some(f, 10), "1 3 "); // 3 is not held up by 2
    assert_int_equal(changelog_low(f->log), 1);
    assert_int_equal(changelog_gaps(f->log), 1);
    store[4] = THERE;
    assert_string_equal(read_some(f, 10), "4 ");
    store[2] = THERE;
    uint64_t until = clock_mono_ms() + 5000;
    while (changelog_gaps(f->log) && clock_mono_ms() < until)
        if (read_some(f, 10)[0])
            assert_string_equal(f->seen, "2 ");
    assert_int_equal(changelog_gaps(f->log), 0);
    assert_int_equal(changelog_low(f->log), 4);
    assert_string_equal(read_some(f, 10), "");
}

static void rolled_back_number_closes(void **state)
{
    struct fixture *f = *state;
    store[1] = store[5] = THERE;
    store[3] = LOCKED;
    assert_string_equal(read_some(f, 10), "1 5 ");
    uint64_t start = clock_mono_ms(), until = start + 5000;
    while (changelog_low(f->log) < 2 && clock_mono_ms() < until)
        assert_string_equal(read_some(f, 10), "");
    assert_int_equal(changelog_low(f->log), 2); // 2 closed, 3 still in flight
    assert_true(clock_mono_ms() - start >= CHANGELOG_PAUSE_MS - 1);
    store[3] = NONE;
    while (changelog_low(f->log) < 5 && clock_mono_ms() < until)
        assert_string_equal(read_some(f, 10), "");
    assert_int_equal(changelog_low(f->log), 5);
}

static void empty_number_may_still_come(void **state)
{
    struct fixture *f = *state;
    store[1] = store[3] = THERE;
    assert_string_equal(read_some(f, 10), "1 3 ");
    assert_string_equal(read_some(f, 10), ""); // first look: empty
    store[2] = LOCKED;                         // inserted between the looks
    uint64_t until = clock_mono_ms() + CHANGELOG_PAUSE_MS * 3;
    while (clock_mono_ms() < until)
        assert_string_equal(read_some(f, 10), "");
    assert_int_equal(changelog_low(f->log), 1);
    store[2] = THERE;
    assert_string_equal(recheck(f), "2 ");
    assert_int_equal(changelog_low(f->log), 3);
}

static void recheck_sees_every_gap_at_once(void **state)
{
    struct fixture *f = *state;
    store[1] = store[6] = store[9] = THERE;
    for (int i = 2; i < 6; i++)
        store[i] = LOCKED;
    store[7] = store[8] = LOCKED;
    assert_string_equal(read_some(f, 10), "1 6 9 ");
    store[3] = store[5] = store[8] = THERE;
    assert_string_equal(recheck(f), "3 5 8 ");
    assert_int_equal(changelog_gaps(f->log), 3); // 2, 4, 7
    assert_int_equal(changelog_low(f->log), 1);
    store[2] = store[4] = store[7] = THERE;
    assert_string_equal(recheck(f), "2 4 7 ");
    assert_int_equal(changelog_low(f->log), 9);
}

static void blocks_are_bounded(void **state)
{
    struct fixture *f = *state;
    for (int i = 1; i <= 7; i++)
        store[i] = THERE;
    assert_string_equal(read_some(f, 3), "1 2 3 ");
    assert_string_equal(read_some(f, 3), "4 5 6 ");
    assert_string_equal(read_some(f, 3), "7 ");
}

static void single_writer_has_no_gaps(void **state)
{
    struct fixture *f = *state;
    fake.changelog_probe_sql = NULL;
    store[1] = store[4] = THERE;
    assert_string_equal(read_some(f, 10), "1 4 ");
    assert_int_equal(changelog_low(f->log), 4);
}

static void a_shorter_changelog_is_refused(void **state)
{
    struct changelog *l;
    struct err e = {0};
    (void)state;
    store[3] = THERE;
    assert_int_equal(changelog_open(conn, 4, &l, &e), -1);
    assert_int_equal(e.code, ERR_STALE);
    assert_null(l);
}

static void trim_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    store[1] = store[2] = store[3] = THERE;
    assert_string_equal(read_some(f, 10), "1 2 3 ");
    assert_int_equal(changelog_trim(f->log, 3, &e), 0);
    assert_int_equal(store[2], NONE);
    assert_int_equal(store[3], THERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(late_commit_is_given_out_once, setup, teardown),
        cmocka_unit_test_setup_teardown(rolled_back_number_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_number_may_still_come, setup, teardown),
        cmocka_unit_test_setup_teardown(recheck_sees_every_gap_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(single_writer_has_no_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shorter_changelog_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(trim_keeps_the_newest, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
