// SPDX-License-Identifier: Apache-2.0
// The pgoutput decoder on messages put together by hand, byte by byte.
#include "connectors/postgres/pg_stream.h"
#include "connectors/postgres/pgoutput.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include "base/buf.h"

static struct arena *a;

static int setup(void **state)
{
    (void)state;
    a = arena_create(1 << 20);
    return a ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(a);
    return 0;
}

static void number(struct buf *b, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_addc(b, (char)(n >> (8 * i)));
}

static void text(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z) + 1);
}

static void cell(struct buf *b, const char *z)
{
    buf_addc(b, 't');
    number(b, strlen(z), 4);
    buf_addz(b, z);
}

static struct pgoutput_message decoded(struct buf *b)
{
    struct pgoutput_message m;
    struct err e = {0};
    struct str bytes = arena_str(a, buf_str(b)); // the message points into it
    buf_free(b);
    if (pgoutput_decode(bytes, a, &m, &e))
        fail_msg("%s", e.msg);
    return m;
}

static void a_transaction(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addc(&b, 'B');
    number(&b, 0x1122334455667788, 8);
    number(&b, 1000001, 8);
    number(&b, 4242, 4);
    struct pgoutput_message m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_BEGIN);
    assert_true(m.lsn == 0x1122334455667788);
    assert_true(m.commit_us == 946684801000001); // 2000-01-01 00:00:01.000001
    assert_int_equal(m.xid, 4242);
    buf_addc(&b, 'C');
    number(&b, 0, 1);
    number(&b, 16, 8);
    number(&b, 32, 8);
    number(&b, 1000001, 8);
    m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_COMMIT);
    assert_int_equal(m.lsn, 32); // the end: where to go on
}

static void a_relation(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addc(&b, 'R');
    number(&b, 16384, 4);
    text(&b, "crm");
    text(&b, "account");
    buf_addc(&b, 'd');
    number(&b, 2, 2);
    number(&b, 1, 1);
    text(&b, "id");
    number(&b, 25, 4);
    number(&b, 0xffffffff, 4);
    number(&b, 0, 1);
    text(&b, "name");
    number(&b, 1043, 4);
    number(&b, 259, 4);
    struct pgoutput_message m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_RELATION);
    assert_int_equal(m.rel.oid, 16384);
    assert_string_equal(m.rel.schema, "crm");
    assert_string_equal(m.rel.table, "account");
    assert_int_equal(m.rel.identity, 'd');
    assert_int_equal(m.rel.ncolumns, 2);
    assert_true(m.rel.columns[0].key);
    assert_false(m.rel.columns[1].key);
    assert_string_equal(m.rel.columns[1].name, "name");
    assert_int_equal(m.rel.columns[1].type_oid, 1043);
}

static void rows(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_addc(&b, 'I');
    number(&b, 7, 4);
    buf_addc(&b, 'N');
    number(&b, 3, 2);
    cell(&b, "x");
    buf_addc(&b, 'n');
    cell(&b, "");
    struct pgoutput_message m = decoded(&b);
    assert_int_equal(m.relation, 7);
    assert_false(m.has_old);
    assert_int_equal(m.new_.n, 3);
    assert_true(str_eqz(value_str(m.new_.cells[0]), "x"));
    assert_int_equal(m.new_.cells[1].state, VALUE_NULL);
    assert_int_equal(m.new_.cells[2].state, VALUE_SET);
    assert_int_equal(m.new_.cells[2].len, 0);
    // A key change, and a long value that was not touched.
    buf_addc(&b, 'U');
    number(&b, 7, 4);
    buf_addc(&b, 'K');
    number(&b, 2, 2);
    cell(&b, "old");
    buf_addc(&b, 'n');
    buf_addc(&b, 'N');
    number(&b, 2, 2);
    cell(&b, "new");
    buf_addc(&b, 'u');
    m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_UPDATE);
    assert_true(m.has_old);
    assert_int_equal(m.old_kind, 'K');
    assert_true(str_eqz(value_str(m.old.cells[0]), "old"));
    assert_int_equal(m.new_.cells[1].state, VALUE_ABSENT); // never NULL
    buf_addc(&b, 'D');
    number(&b, 7, 4);
    buf_addc(&b, 'O');
    number(&b, 1, 2);
    cell(&b, "gone");
    m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_DELETE);
    assert_int_equal(m.old_kind, 'O');
    assert_int_equal(m.new_.n, 0);
    buf_addc(&b, 'T');
    number(&b, 2, 4);
    number(&b, 1, 1);
    number(&b, 7, 4);
    number(&b, 8, 4);
    m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_TRUNCATE);
    assert_int_equal(m.ntruncated, 2);
    assert_int_equal(m.truncated[1], 8);
}

static void messages_and_origins_of_others(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char name[200];
    memset(name, 'p', sizeof name - 1);
    name[sizeof name - 1] = 0;
    buf_addc(&b, 'M');
    number(&b, 1, 1);
    number(&b, 99, 8);
    text(&b, "ficus.marker");
    number(&b, 4, 4);
    buf_add(&b, "a\0bc", 4);
    struct pgoutput_message m = decoded(&b);
    assert_true(m.transactional);
    assert_int_equal(m.lsn, 99);
    assert_string_equal(m.prefix, "ficus.marker");
    assert_int_equal(m.content.len, 4);
    buf_addc(&b, 'M');
    number(&b, 0, 1);
    number(&b, 99, 8);
    text(&b, name);
    number(&b, 0, 4);
    m = decoded(&b);
    assert_false(m.transactional);
    assert_int_equal(strlen(m.prefix), sizeof m.prefix - 1); // cut, and no reason to stop
    buf_addc(&b, 'O');
    number(&b, 5, 8);
    text(&b, name);
    m = decoded(&b);
    assert_int_equal(m.kind, PGOUTPUT_ORIGIN);
    assert_int_equal(strlen(m.origin), sizeof m.origin - 1);
    buf_addc(&b, 'Y');
    number(&b, 5, 4);
    text(&b, "crm");
    text(&b, "stage");
    assert_int_equal(decoded(&b).kind, PGOUTPUT_TYPE);
}

// Every front part of a good message is refused, and so is one byte more.
static void a_cut_message_is_refused_whole(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct pgoutput_message m;
    struct err e = {0};
    buf_addc(&b, 'U');
    number(&b, 7, 4);
    buf_addc(&b, 'O');
    number(&b, 1, 2);
    cell(&b, "old");
    buf_addc(&b, 'N');
    number(&b, 2, 2);
    cell(&b, "new");
    buf_addc(&b, 'n');
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(pgoutput_decode(str_n(b.data, n), a, &m, &e), -1);
        assert_int_equal(e.code, ERR_INVALID);
        assert_int_equal(m.new_.n, 0);
        assert_null(m.old.cells);
    }
    assert_int_equal(pgoutput_decode(buf_str(&b), a, &m, &e), 0);
    buf_addc(&b, 0);
    assert_int_equal(pgoutput_decode(buf_str(&b), a, &m, &e), -1);
    buf_free(&b);
    // Counts far beyond the message allocate nothing.
    size_t used = arena_used(a);
    assert_int_equal(pgoutput_decode(str_n("I\0\0\0\7N\xff\xff", 8), a, &m, &e), -1);
    assert_int_equal(pgoutput_decode(str_n("T\xff\xff\xff\xff\0", 6), a, &m, &e), -1);
    assert_int_equal(arena_used(a), used);
    assert_int_equal(pgoutput_decode(STR("Z"), a, &m, &e), -1);
}

static void positions_as_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "/",           "1",    "1/",   "/1",  "1/2/3",
                                      "g/1", "123456789/1", "-1/2", " 1/2", "1/2 "};
    char out[24];
    uint64_t lsn = 0;
    struct err e = {0};
    pg_lsn_text(0x16b37480000abcd, out);
    assert_string_equal(out, "16B3748/ABCD");
    assert_int_equal(pg_lsn_parse(str_of(out), &lsn, &e), 0);
    assert_true(lsn == 0x16b37480000abcd);
    assert_int_equal(pg_lsn_parse(STR("ffffffff/FFFFFFFF"), &lsn, &e), 0);
    assert_true(lsn == UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(pg_lsn_parse(str_of(bad[i]), &lsn, &e), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_transaction),
        T(a_relation),
        T(rows),
        T(messages_and_origins_of_others),
        T(a_cut_message_is_refused_whole),
        T(positions_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
