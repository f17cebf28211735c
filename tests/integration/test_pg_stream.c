// SPDX-License-Identifier: Apache-2.0
// The logical replication stream against the server named by FICUS_TEST_POSTGRES (superuser,
// wal_level logical).
#include "base/clock.h"
#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 20000

struct fixture {
    struct pg_conn *side;
    struct pg_stream *s;
    struct pg_stream_options o;
    struct arena *a;
    uint64_t end; // of the last commit seen
};

static const char *server(void)
{
    return getenv("FICUS_TEST_POSTGRES");
}

static void sql(struct fixture *f, const char *text)
{
    struct err e = {0};
    if (pg_script(f->side, str_of(text), &e))
        fail_msg("%s: %s", text, e.msg);
}

static bool holds(struct fixture *f, const char *condition)
{
    char text[256];
    struct err e = {0};
    struct rows r;
    snprintf(text, sizeof text, "SELECT %s", condition);
    if (pg_query(f->side, str_of(text), NULL, 0, f->a, &r, &e))
        fail_msg("%s: %s", text, e.msg);
    return str_eqz(value_str(r.cells[0]), "t");
}

static void stream_open(struct fixture *f)
{
    struct err e = {0};
    uint64_t end = clock_mono_ms() + WAIT_MS;
    // The server may not have noticed yet that the last one is gone.
    while (pg_stream_open(&f->o, &f->s, &e)) {
        if (e.code != ERR_BUSY || clock_mono_ms() > end)
            fail_msg("%s: %s", err_name(e.code), e.msg);
        clock_sleep_ms(20);
    }
}

static void reopen(struct fixture *f)
{
    pg_stream_close(f->s);
    f->s = NULL;
    stream_open(f);
}

static int setup(void **state)
{
    struct err e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    f->a = arena_create(0);
    if (pg_open(server(), "stream test side", &f->side, &e))
        fail_msg("%s", e.msg);
    sql(f, "SET client_min_messages = error; DROP TABLE IF EXISTS streamed CASCADE;"
           "DROP PUBLICATION IF EXISTS stream_test;"
           "CREATE TABLE streamed (id int PRIMARY KEY, v text, big text);"
           "ALTER TABLE streamed ALTER big SET STORAGE EXTERNAL;"
           "CREATE PUBLICATION stream_test FOR TABLE streamed");
    f->o = (struct pg_stream_options){
        .conninfo = server(), .slot = "stream_test", .publication = "stream_test", .create = true};
    stream_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    uint64_t end = clock_mono_ms() + WAIT_MS;
    pg_stream_close(f->s);
    while (!holds(f, "NOT EXISTS (SELECT FROM pg_replication_slots"
                     " WHERE slot_name = 'stream_test' AND active)")) {
        assert_true(clock_mono_ms() < end);
        clock_sleep_ms(10);
    }
    sql(f, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
           " WHERE slot_name = 'stream_test'");
    pg_close(f->side);
    arena_destroy(f->a);
    free(f);
    return 0;
}

static struct pgoutput_message next(struct fixture *f)
{
    struct pgoutput_message m;
    struct err e = {0};
    int got = pg_stream_next(f->s, WAIT_MS, f->a, &m, &e);
    if (got != 1)
        fail_msg("no message: %s", e.msg);
    if (m.kind == PGOUTPUT_COMMIT)
        f->end = m.lsn;
    return m;
}

static void expect(struct fixture *f, const enum pgoutput_kind *kinds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum pgoutput_kind kind = next(f).kind;
        if (kind != kinds[i])
            fail_msg("message %zu is of kind %d, not %d", i, (int)kind, (int)kinds[i]);
    }
}

#define EXPECT(f, ...)                             \
    expect(f, (enum pgoutput_kind[]){__VA_ARGS__}, \
           sizeof((enum pgoutput_kind[]){__VA_ARGS__}) / sizeof(enum pgoutput_kind))

static bool quiet(struct fixture *f)
{
    struct pgoutput_message m;
    struct err e = {0};
    int got = pg_stream_next(f->s, 200, f->a, &m, &e);
    if (got < 0)
        fail_msg("%s", e.msg);
    return got == 0;
}

static void changes_arrive_as_committed(void **state)
{
    struct fixture *f = *state;
    sql(f, "BEGIN; INSERT INTO streamed VALUES (1, 'a', repeat('x', 10000)); ROLLBACK");
    sql(f, "INSERT INTO streamed VALUES (1, E'\\u00e4', repeat('x', 10000))");
    assert_int_equal(next(f).kind, PGOUTPUT_BEGIN);
    struct pgoutput_message m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_RELATION);
    assert_string_equal(m.rel.table, "streamed");
    assert_int_equal(m.rel.ncolumns, 3);
    m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_INSERT);
    assert_true(str_eqz(value_str(m.new_.cells[1]), "\xc3\xa4"));
    assert_int_equal(m.new_.cells[2].len, 10000);
    assert_int_equal(next(f).kind, PGOUTPUT_COMMIT);
    sql(f, "UPDATE streamed SET v = NULL");
    assert_int_equal(next(f).kind, PGOUTPUT_BEGIN);
    m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_UPDATE);
    assert_int_equal(m.new_.cells[1].state, VALUE_NULL);
    assert_int_equal(m.new_.cells[2].state, VALUE_ABSENT); // long and untouched
    assert_int_equal(next(f).kind, PGOUTPUT_COMMIT);
    sql(f, "BEGIN; UPDATE streamed SET id = 2; DELETE FROM streamed; COMMIT");
    assert_int_equal(next(f).kind, PGOUTPUT_BEGIN);
    m = next(f);
    assert_true(m.has_old && str_eqz(value_str(m.old.cells[0]), "1"));
    m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_DELETE);
    assert_true(str_eqz(value_str(m.old.cells[0]), "2"));
    assert_int_equal(next(f).kind, PGOUTPUT_COMMIT);
    sql(f, "TRUNCATE streamed");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION, PGOUTPUT_TRUNCATE, PGOUTPUT_COMMIT);
    sql(f, "ALTER TABLE streamed ADD w int; INSERT INTO streamed VALUES (3, '', '', 4)");
    assert_int_equal(next(f).kind, PGOUTPUT_BEGIN);
    m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_RELATION); // told anew
    assert_int_equal(m.rel.ncolumns, 4);
    assert_int_equal(next(f).new_.n, 4);
    assert_int_equal(next(f).kind, PGOUTPUT_COMMIT);
    assert_true(quiet(f));
}

static void only_what_is_confirmed_stays_away(void **state)
{
    struct fixture *f = *state;
    char condition[160], lsn[24];
    sql(f, "INSERT INTO streamed VALUES (1)");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION, PGOUTPUT_INSERT, PGOUTPUT_COMMIT);
    uint64_t first = f->end;
    pg_stream_confirm(f->s, first);
    sql(f, "INSERT INTO streamed VALUES (2)");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_INSERT, PGOUTPUT_COMMIT);
    // Told to the server within about a second, though nothing else is to be said.
    pg_lsn_text(first, lsn);
    snprintf(condition, sizeof condition,
             "(SELECT confirmed_flush_lsn = '%s' FROM pg_replication_slots"
             " WHERE slot_name = 'stream_test')",
             lsn);
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (!holds(f, condition)) {
        assert_true(quiet(f));
        assert_true(clock_mono_ms() < end);
    }
    reopen(f);
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION); // of the second
    assert_true(str_eqz(value_str(next(f).new_.cells[0]), "2"));
    EXPECT(f, PGOUTPUT_COMMIT);
    // The caller's own position wins over an older one of the slot.
    f->o.start_lsn = f->end;
    reopen(f);
    assert_true(quiet(f));
    sql(f, "INSERT INTO streamed VALUES (3)");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION);
    assert_true(str_eqz(value_str(next(f).new_.cells[0]), "3"));
}

static void messages_and_origins_come_along(void **state)
{
    struct fixture *f = *state;
    sql(f, "SELECT pg_logical_emit_message(false, 'ficus.marker', 'x1')");
    struct pgoutput_message m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_MESSAGE);
    assert_string_equal(m.prefix, "ficus.marker");
    assert_true(str_eqz(m.content, "x1"));
    assert_false(m.transactional);
    sql(f, "BEGIN; SELECT pg_logical_emit_message(true, repeat('p', 100), ''); COMMIT");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_MESSAGE, PGOUTPUT_COMMIT);
    sql(f, "SELECT pg_replication_origin_create('stream_test')");
    sql(f, "SELECT pg_replication_origin_session_setup('stream_test')");
    sql(f, "INSERT INTO streamed VALUES (1)");
    sql(f, "SELECT pg_replication_origin_session_reset()");
    sql(f, "SELECT pg_replication_origin_drop('stream_test')");
    assert_int_equal(next(f).kind, PGOUTPUT_BEGIN);
    m = next(f);
    assert_int_equal(m.kind, PGOUTPUT_ORIGIN);
    assert_string_equal(m.origin, "stream_test");
    EXPECT(f, PGOUTPUT_RELATION, PGOUTPUT_INSERT, PGOUTPUT_COMMIT);
}

static void the_server_tells_how_far_its_log_is(void **state)
{
    struct fixture *f = *state;
    char condition[128], lsn[24];
    assert_true(strlen(pg_stream_system_id(f->s)) > 10);
    assert_int_equal(pg_stream_timeline(f->s), 1);
    // Written outside of the publication: nothing comes, yet the position goes on.
    sql(f, "CREATE TEMP TABLE other AS SELECT generate_series(1, 1000) AS i");
    sql(f,
        "SELECT pg_switch_wal(); CREATE TABLE streamed_other (i int); DROP TABLE streamed_other");
    uint64_t before = pg_stream_server_lsn(f->s), end = clock_mono_ms() + WAIT_MS;
    do {
        assert_true(quiet(f));
        assert_true(clock_mono_ms() < end);
        pg_lsn_text(pg_stream_server_lsn(f->s), lsn);
        snprintf(condition, sizeof condition, "'%s'::pg_lsn >= pg_current_wal_flush_lsn() - 400",
                 lsn);
    } while (pg_stream_server_lsn(f->s) == before || !holds(f, condition));
}

static void a_lost_slot_is_said(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct pg_stream *other = NULL;
    assert_int_equal(pg_stream_open(&f->o, &other, &e), -1);
    assert_int_equal(e.code, ERR_BUSY); // another one reads it
    assert_true(e.retriable);
    f->o.create = false;
    f->o.slot = "stream_test_none";
    assert_int_equal(pg_stream_open(&f->o, &other, &e), -1);
    assert_int_equal(e.code, ERR_SCHEMA);
    f->o.slot = "x'; DROP TABLE streamed; --";
    assert_int_equal(pg_stream_open(&f->o, &other, &e), -1);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(other);
}

static void a_stream_that_ends_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct pgoutput_message m;
    struct err e = {0};
    sql(f, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
           " WHERE slot_name = 'stream_test'");
    int got;
    while ((got = pg_stream_next(f->s, WAIT_MS, f->a, &m, &e)) == 1)
        ;
    assert_int_equal(got, -1);
    assert_int_equal(e.code, ERR_UNREACHABLE);
    reopen(f);
    sql(f, "INSERT INTO streamed VALUES (9)");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION, PGOUTPUT_INSERT, PGOUTPUT_COMMIT);
}

static void a_message_beyond_the_arena_is_a_limit(void **state)
{
    struct fixture *f = *state;
    struct pgoutput_message m;
    struct err e = {0};
    struct arena *small = arena_create(100000);
    sql(f, "INSERT INTO streamed VALUES (1, repeat('x', 1000000))");
    EXPECT(f, PGOUTPUT_BEGIN, PGOUTPUT_RELATION);
    assert_int_equal(pg_stream_next(f->s, WAIT_MS, small, &m, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_destroy(small);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(changes_arrive_as_committed),
        T(only_what_is_confirmed_stays_away),
        T(messages_and_origins_come_along),
        T(the_server_tells_how_far_its_log_is),
        T(a_lost_slot_is_said),
        T(a_stream_that_ends_is_an_error),
        T(a_message_beyond_the_arena_is_a_limit),
    };
    if (!server()) {
        fputs("FICUS_TEST_POSTGRES names no server\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
