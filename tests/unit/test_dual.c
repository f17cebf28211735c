// SPDX-License-Identifier: Apache-2.0
// Writes of dual groups: what facade and sync say to each other, what an answer settles, when a
// client waits and what it gets then. No store, no thread: asks are taken and answered by the test.
#include "base/clock.h"
#include "facade/dispatcher.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

// ---------------------------------------------------------------- texts

static void test_an_ask_is_read_back(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct buf text = BUF_INIT;
    struct err e = {0};
    struct dual_ask got, ask = {.id = STR("serve-1/7"), .from = SIDE_NEW, .n = 3};
    ask.at[0] = (struct dual_target){STR("account"), STR("a \"key\" with\nall \xc3\xa9")};
    ask.at[1] = (struct dual_target){STR("link"), {0}};
    ask.at[2] = (struct dual_target){STR("contact"), STR("k2")};
    assert_int_equal(dual_ask_write(&ask, &text, &e), 0);
    assert_int_equal(dual_ask_read(buf_str(&text), a, &got, &e), 0);
    assert_true(str_eq(got.id, ask.id) && got.from == SIDE_NEW && got.n == 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(got.at[i].entity, ask.at[i].entity) &&
                    str_eq(got.at[i].key, ask.at[i].key));
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"id\": \"x\"}",
        "{\"id\": \"x\", \"from\": \"new\", \"at\": []}",
        "{\"id\": \"x\", \"from\": \"old\", \"at\": [[\"a\"]]}",
        "{\"id\": \"\", \"from\": \"new\", \"at\": [[\"a\"]]}",
        "{\"id\": \"x\", \"from\": \"new\", \"at\": [[1]]}",
        "{\"id\": \"x\", \"from\": \"new\", \"at\": [[],[],[],[],[],[],[],[],[],[],[],[],[]]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(dual_ask_read(str_of(bad[i]), a, &got, &e), -1);
    char key[DUAL_TEXT_MAX];
    memset(key, 'k', sizeof key);
    ask.at[2].key = str_n(key, sizeof key);
    assert_int_equal(dual_ask_write(&ask, &text, &e), -1); // more than a notice holds
    ask.at[2].key = STR("\xff");
    assert_int_equal(dual_ask_write(&ask, &text, &e), -1); // would come back as another key
    buf_free(&text);
    arena_destroy(a);
}

static void test_marks_and_answers_are_read_back(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    struct dual_mark got, mark = {.id = STR("serve-1/7"), .at = 3, .of = 4, .key = STR("a key")};
    dual_mark_write(&mark, &text);
    assert_true(dual_mark_read(buf_str(&text), &got));
    assert_true(str_eq(got.id, mark.id) && str_eq(got.key, mark.key) && got.at == 3 && got.of == 4);
    static const char *const others[] = {"",
                                         "heartbeat",
                                         "opened-3-crm",
                                         "dual",
                                         "dual x",
                                         "dual x 1 1 k",
                                         "dual x 0 65 ",
                                         "dual  0 1 k",
                                         "dual x -1 1 "};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(dual_mark_read(str_of(others[i]), &got));
    struct dual_answer back, x = {.id = STR("serve-1/7"), .at = 0, .of = 64, .word = DUAL_PARKED};
    buf_reset(&text);
    dual_answer_write(&x, &text);
    assert_true(dual_answer_read(str_n(text.data, text.len - 1), &back));
    assert_true(str_eq(back.id, x.id) && back.of == 64 && back.word == DUAL_PARKED);
    assert_false(dual_answer_read(STR("serve-1/7 0 1 perhaps"), &back));
    buf_free(&text);
}

// ---------------------------------------------------------------- the book

static struct dual_answer answer_of(unsigned at, unsigned of, enum dual_word word)
{
    return (struct dual_answer){.id = STR("x"), .at = at, .of = of, .word = word};
}

static void test_each_mark_counts_once(void **state)
{
    (void)state;
    struct dual_book b;
    unsigned desk = 9;
    bool there;
    dual_book_init(&b, 1000);
    struct dual_group *g = dual_book_group(&b, "book");
    assert_ptr_equal(g, dual_book_group(&b, "book"));
    uint64_t n = dual_book_begin(&b, g, 5, 100);
    struct dual_answer first = answer_of(0, 2, DUAL_THERE), second = answer_of(1, 2, DUAL_THERE);
    assert_false(dual_book_answer(&b, n, &first, 200, &desk, &there));
    assert_false(dual_book_answer(&b, n, &first, 200, &desk, &there)); // delivered twice
    assert_false(dual_book_answer(&b, n + 1, &second, 200, &desk, &there));
    assert_true(dual_book_answer(&b, n, &second, 200, &desk, &there));
    assert_true(there && desk == 5);
    assert_false(dual_book_answer(&b, n, &second, 200, &desk, &there)); // it is settled
    // One word that it has not arrived settles all.
    n = dual_book_begin(&b, g, 5, 100);
    struct dual_answer bad = answer_of(1, 3, DUAL_PARKED);
    assert_true(dual_book_answer(&b, n, &bad, 200, &desk, &there));
    assert_false(there);
    // All 64.
    n = dual_book_begin(&b, g, 5, 100);
    for (unsigned i = 0; i < 64; i++) {
        struct dual_answer x = answer_of(i, 64, DUAL_THERE);
        assert_int_equal(dual_book_answer(&b, n, &x, 200, &desk, &there), i == 63);
    }
    dual_book_free(&b);
}

static void test_nobody_waits_behind_three_late_ones_until_one_is_in_time(void **state)
{
    (void)state;
    struct dual_book b;
    unsigned desk;
    bool there;
    struct dual_answer x = answer_of(0, 1, DUAL_THERE);
    dual_book_init(&b, 1000);
    struct dual_group *g = dual_book_group(&b, "late");
    for (unsigned i = 0; i < DUAL_LATE_MAX; i++) {
        assert_true(dual_book_waits(g));
        dual_book_count(g, DUAL_LATE);
    }
    assert_false(dual_book_waits(g));
    assert_true(dual_book_answer(&b, dual_book_begin(&b, g, 0, 0), &x, 1001, &desk, &there));
    assert_false(dual_book_waits(g)); // it has arrived, but waiting for it would have been in vain
    assert_true(dual_book_answer(&b, dual_book_begin(&b, g, 0, 0), &x, 1000, &desk, &there));
    assert_true(dual_book_waits(g));
    dual_book_count(g, DUAL_FAILED); // says nothing of how long the others take
    dual_book_count(g, DUAL_LATE);
    assert_true(dual_book_waits(g));
    dual_book_free(&b);
}

static void test_what_nobody_answers_is_forgotten(void **state)
{
    (void)state;
    struct dual_book b;
    unsigned desk;
    bool there;
    struct dual_answer x = answer_of(0, 1, DUAL_THERE);
    dual_book_init(&b, 1000);
    struct dual_group *g = dual_book_group(&b, "forgotten");
    uint64_t old = dual_book_begin(&b, g, 0, 0), young = dual_book_begin(&b, g, 0, 10);
    dual_book_expire(&b, DUAL_FORGET_NS);
    assert_false(dual_book_answer(&b, old, &x, DUAL_FORGET_NS, &desk, &there));
    assert_true(dual_book_answer(&b, young, &x, DUAL_FORGET_NS, &desk, &there));
    for (size_t i = 0; i < DUAL_OPEN_MAX; i++)
        assert_int_not_equal(dual_book_begin(&b, g, 0, 0), 0);
    assert_int_equal(dual_book_begin(&b, g, 0, 0), 0);
    dual_book_free(&b);
}

// ---------------------------------------------------------------- dispatch

static struct world {
    struct entity_set *maps;
    struct route_table *definitions;
    struct loop *loop;
    struct arena *arena;
    struct held_budget budget;
    struct dual *dual;
    struct dispatcher *d;
    struct backend legacy, new_;
    enum result_status status; // of every answer
    unsigned ended;
} w;

static void fake_execute(struct backend *b, struct execution *x)
{
    x->result = (struct result){
        .status = w.status, .total = -1, .served_by = b == &w.new_ ? SIDE_NEW : SIDE_LEGACY};
    x->done(x);
}

static bool fake_healthy(const struct backend *b)
{
    (void)b;
    return true;
}

static void fake_destroy(struct backend *b)
{
    (void)b;
}

static const struct backend_ops fake_ops = {
    .name = "fake", .execute = fake_execute, .healthy = fake_healthy, .destroy = fake_destroy};

static struct route_table *load(const char *writes, struct problems *p)
{
    char file[] = "/tmp/ficus-dual-XXXXXX", text[1024];
    int n = snprintf(text, sizeof text,
                     "{\"groups\": {\"crm\": {\"entities\": [\"account\", \"contact\"],"
                     " \"writes\": \"%s\"}}, \"routes\": {"
                     "\"account\": {\"entity\": \"account\", \"legacy\": {\"backend\": \"odbc\"},"
                     " \"new\": {\"backend\": \"postgres\"}},"
                     "\"lead\": {\"entity\": \"lead\", \"legacy\": {\"backend\": \"odbc\"},"
                     " \"new\": {\"backend\": \"postgres\"}}}}",
                     writes);
    int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, text, (size_t)n) == n);
    close(fd);
    struct route_table *t = route_table_load(file, w.maps, p);
    unlink(file);
    return t;
}

static void start(const char *writes, unsigned wait_ms)
{
    struct err e = {0};
    struct problems p = {0};
    memset(&w, 0, sizeof w);
    w.maps = fixture_maps();
    w.budget = (struct held_budget){.count_max = 10, .bytes_max = 1 << 20};
    w.definitions = load(writes, &p);
    assert_non_null(w.definitions);
    problems_free(&p);
    w.loop = loop_create("test", 0, &e);
    w.arena = arena_create(0);
    w.legacy.ops = w.new_.ops = &fake_ops;
    w.dual = dual_create(NULL, "serve-1", wait_ms, &e);
    struct dispatcher_options o = {.loop = w.loop,
                                   .table = w.definitions,
                                   .dual = w.dual,
                                   .budget = &w.budget,
                                   .hold_ms = 1000};
    o.backends[BACKEND_ODBC] = &w.legacy;
    o.backends[BACKEND_POSTGRES] = &w.new_;
    w.d = dispatcher_create(&o, &e);
    assert_non_null(w.d);
}

static void stop(void)
{
    loop_deliver(w.loop);
    dispatcher_destroy(w.d);
    dual_destroy(w.dual);
    loop_destroy(w.loop);
    route_table_unref(w.definitions);
    map_destroy(w.maps);
    arena_destroy(w.arena);
}

static void on_end(struct dispatch *d)
{
    (void)d;
    w.ended++;
}

static struct dispatch *run(enum operation_kind kind, const char *entity, const char *key)
{
    struct dispatch *d = arena_alloc(w.arena, sizeof *d);
    struct operation *op = arena_alloc(w.arena, sizeof *op);
    const struct field **fields = arena_array(w.arena, 1, sizeof *fields);
    struct value *k = arena_alloc(w.arena, sizeof *k);
    const struct entity *en = entity_find(w.maps, str_of(entity));
    fields[0] = en->keys[0];
    *k = value_set(str_of(key));
    *op = (struct operation){.kind = kind, .entity = en, .arena = w.arena, .request_line = "test"};
    op->query = (struct query){.entity = en, .fields = fields, .nfields = 1, .limit = -1};
    if (operation_is_read(kind))
        op->query.key = k;
    else
        op->write.key = k;
    d->operation = op;
    d->done = on_end;
    dispatch_run(w.d, d);
    return d;
}

static void expect_ask(enum side from, const char *text)
{
    char *got = dual_next_ask(w.dual, from);
    if (!text)
        assert_null(got);
    else
        assert_string_equal(got, text);
    free(got);
}

static void answer(const char *lines)
{
    dual_take_answers(w.dual, str_of(lines));
    loop_deliver(w.loop);
}

static unsigned long long counted(const char *outcome)
{
    char labels[96];
    snprintf(labels, sizeof labels, "group=\"crm\",outcome=\"%s\"", outcome);
    return metric_value(metrics_counter("ficus_dual_writes_total", "", labels));
}

static void use_owner(const char *owner)
{
    struct err e = {0};
    json_t *state = json_pack("{s:i, s:{}, s:{s:{s:s, s:i, s:s}}}", "version", 1, "routes",
                              "groups", "crm", "owner", owner, "epoch", 1, "phase", "open");
    struct route_table *t = route_table_with_state(w.definitions, state, &e);
    json_decref(state);
    assert_non_null(t);
    dispatcher_set_table(w.d, t);
    route_table_unref(t);
}

static void test_a_write_is_answered_when_the_other_side_has_it(void **state)
{
    (void)state;
    start("dual", 60000);
    unsigned long long before = counted("in_line");
    struct dispatch *d = run(OPERATION_UPDATE, "account", "k1");
    assert_int_equal(w.ended, 0);
    expect_ask(SIDE_LEGACY,
               "{\"id\": \"serve-1/1\", \"from\": \"legacy\", \"at\": [[\"account\", \"k1\"]]}");
    expect_ask(SIDE_NEW, NULL);
    answer("serve-2/1 0 1 there\nserve-1/2 0 1 there\nnonsense\n"); // of others
    assert_int_equal(w.ended, 0);
    answer("serve-1/1 0 1 there\n");
    assert_int_equal(w.ended, 1);
    assert_int_equal(d->result.status, RESULT_OK);
    assert_int_equal(counted("in_line"), before + 1);
    // The new owner's ask goes behind the write in its WAL.
    use_owner("new");
    run(OPERATION_DELETE, "account", "k2");
    expect_ask(SIDE_LEGACY, NULL);
    expect_ask(SIDE_NEW,
               "{\"id\": \"serve-1/2\", \"from\": \"new\", \"at\": [[\"account\", \"k2\"]]}");
    answer("serve-1/2 0 1 there\n");
    assert_int_equal(w.ended, 2);
    stop();
}

static void test_the_owners_answer_stands_whatever_becomes_of_the_other_side(void **state)
{
    (void)state;
    start("dual", 60000);
    unsigned long long failed = counted("failed"), late = counted("late");
    struct dispatch *d = run(OPERATION_UPDATE, "account", "k1");
    answer("serve-1/1 0 1 parked\n");
    assert_int_equal(w.ended, 1);
    assert_int_equal(d->result.status, RESULT_OK);
    assert_int_equal(counted("failed"), failed + 1);
    d = run(OPERATION_UPDATE, "account", "k1"); // the facade stops while it waits
    dispatcher_close(w.d);
    assert_int_equal(w.ended, 2);
    assert_int_equal(d->result.status, RESULT_OK);
    assert_int_equal(counted("late"), late + 1);
    answer("serve-1/2 0 1 there\n"); // too late to be heard
    assert_int_equal(w.ended, 2);
    stop();
}

static void test_the_wait_is_bounded_and_three_late_ones_end_it(void **state)
{
    (void)state;
    struct timeval again = {0, 1000};
    start("dual", 1);
    unsigned long long late = counted("late");
    for (unsigned i = 1; i <= DUAL_LATE_MAX; i++) {
        run(OPERATION_UPDATE, "account", "k1");
        assert_int_equal(w.ended, i - 1);
        while (w.ended < i) {
            event_base_loopexit(loop_base(w.loop), &again);
            event_base_loop(loop_base(w.loop), 0);
        }
    }
    run(OPERATION_UPDATE, "account", "k1"); // asked for, not waited for
    assert_int_equal(w.ended, DUAL_LATE_MAX + 1);
    assert_int_equal(counted("late"), late + DUAL_LATE_MAX + 1);
    for (unsigned i = 0; i <= DUAL_LATE_MAX; i++)
        free(dual_next_ask(w.dual, SIDE_LEGACY));
    expect_ask(SIDE_LEGACY, NULL);
    stop();
}

static void test_what_does_not_wait(void **state)
{
    (void)state;
    start("dual", 60000);
    run(OPERATION_GET, "account", "k1");
    run(OPERATION_UPDATE, "lead", "k1"); // not of the group
    w.status = RESULT_CONFLICT;
    run(OPERATION_UPDATE, "account", "k1");
    assert_int_equal(w.ended, 3);
    expect_ask(SIDE_LEGACY, NULL);
    stop();
    start("owner", 60000);
    run(OPERATION_UPDATE, "account", "k1");
    assert_int_equal(w.ended, 1);
    expect_ask(SIDE_LEGACY, NULL);
    assert_null(dual_figures(w.dual, w.definitions));
    stop();
}

static void test_the_definition_is_checked(void **state)
{
    (void)state;
    struct problems p = {0};
    memset(&w, 0, sizeof w);
    w.maps = fixture_maps();
    assert_null(load("both", &p));
    assert_non_null(strstr(p.text.data, "writes is 'owner' or 'dual'"));
    problems_free(&p);
    p = (struct problems){0};
    struct entity *contact = (struct entity *)entity_find(w.maps, STR("contact"));
    contact->sides[SIDE_LEGACY].capture.by = CAPTURE_COLUMN;
    assert_null(load("dual", &p));
    assert_non_null(strstr(p.text.data, "entity 'contact' has no changelog by triggers"));
    problems_free(&p);
    p = (struct problems){0};
    struct route_table *t = load("owner", &p);
    assert_non_null(t);
    route_table_unref(t);
    problems_free(&p);
    map_destroy(w.maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ask_is_read_back),
        cmocka_unit_test(test_marks_and_answers_are_read_back),
        cmocka_unit_test(test_each_mark_counts_once),
        cmocka_unit_test(test_nobody_waits_behind_three_late_ones_until_one_is_in_time),
        cmocka_unit_test(test_what_nobody_answers_is_forgotten),
        cmocka_unit_test(test_a_write_is_answered_when_the_other_side_has_it),
        cmocka_unit_test(test_the_owners_answer_stands_whatever_becomes_of_the_other_side),
        cmocka_unit_test(test_the_wait_is_bounded_and_three_late_ones_end_it),
        cmocka_unit_test(test_what_does_not_wait),
        cmocka_unit_test(test_the_definition_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
