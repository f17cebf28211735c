// SPDX-License-Identifier: Apache-2.0
// Dispatch over backends that do what the test says: which side is asked, what is held and in
// which order it goes on, what a fenced write becomes, how a shadow comparison ends.
#include "base/clock.h"
#include "facade/dispatcher.h"
#include "facade/evidence/evidence.h"
#include "facade/evidence/shadow.h"
#include "tests/unit/legacy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define ASKED_MAX 64

// A backend that answers at once with the next of `answers`, or keeps the execution.
struct fake {
    struct backend base;
    const char *name;
    enum result_status status;
    const char *text; // value of every field of the one row; NULL: no row
    bool keeps;
    struct execution *kept[ASKED_MAX];
    unsigned asked;
    long long epochs[ASKED_MAX];
};

static struct world {
    struct entity_set *maps;
    struct route_table *definitions;
    struct loop *loop;
    struct fake legacy, new_;
    struct held_budget budget;
    struct dispatcher *d;
    struct shadow *shadow;
    struct evidence *evidence;
    struct arena *arena;
    unsigned ended;
    struct dispatch *order[ASKED_MAX]; // as they ended
    const char *label;                 // of the last one
} w;

static void answer(struct fake *f, struct execution *x, enum result_status status)
{
    const struct operation *op = x->operation;
    x->result = (struct result){
        .status = status, .total = -1, .served_by = f == &w.new_ ? SIDE_NEW : SIDE_LEGACY};
    if (status == RESULT_OK && operation_is_read(op->kind) && f->text) {
        struct record *row = arena_alloc(op->arena, sizeof *row);
        struct value *v = arena_array(op->arena, op->query.nfields, sizeof *v);
        for (size_t i = 0; i < op->query.nfields; i++)
            v[i] = value_set(str_of(f->text));
        row->values = v;
        x->result.records = (struct record_set){row, 1};
    }
    x->done(x);
}

static void fake_execute(struct backend *b, struct execution *x)
{
    struct fake *f = (struct fake *)b;
    assert_true(f->asked < ASKED_MAX);
    f->epochs[f->asked] = x->operation->epoch;
    f->kept[f->asked++] = x;
    if (!f->keeps)
        answer(f, x, f->status);
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

static void load_definitions(void)
{
    static const char text[] =
        "{\"groups\": {\"crm\": {\"entities\": [\"account\", \"contact\"]}}, \"routes\": {"
        "\"account\": {\"entity\": \"account\", \"legacy\": {\"backend\": \"odbc\"},"
        " \"new\": {\"backend\": \"postgres\"}},"
        "\"user\": {\"entity\": \"user\", \"legacy\": {\"backend\": \"odbc\"},"
        " \"new\": {\"backend\": \"postgres\"}},"
        "\"lead\": {\"entity\": \"lead\", \"legacy\": {\"backend\": \"odbc\"},"
        " \"new\": {\"backend\": \"postgres\"}}}}";
    char file[] = "/tmp/ficus-dispatch-XXXXXX";
    struct problems p = {0};
    int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    w.definitions = route_table_load(file, w.maps, &p);
    unlink(file);
    if (!w.definitions)
        fail_msg("%s", p.text.data);
    problems_free(&p);
}

static struct route_table *table(long long version, const char *stage, int bp, const char *owner,
                                 long long epoch, const char *phase)
{
    struct err e = {0};
    json_t *state = json_pack("{s:I, s:{s:{s:s, s:i}}, s:{s:{s:s, s:I, s:s}}}", "version",
                              (json_int_t)version, "routes", "account", "stage", stage, "canary_bp",
                              bp, "groups", "crm", "owner", owner, "epoch", (json_int_t)epoch,
                              "phase", phase);
    struct route_table *t = route_table_with_state(w.definitions, state, &e);
    json_decref(state);
    assert_non_null(t);
    return t;
}

static void use(long long version, const char *stage, int bp, const char *owner, long long epoch,
                const char *phase)
{
    struct route_table *t = table(version, stage, bp, owner, epoch, phase);
    dispatcher_set_table(w.d, t);
    route_table_unref(t);
}

static void start(unsigned hold_max, unsigned hold_ms, bool service)
{
    struct err e = {0};
    memset(&w, 0, sizeof w);
    w.maps = fixture_maps();
    w.budget = (struct held_budget){.count_max = hold_max, .bytes_max = 1 << 20};
    load_definitions();
    w.loop = loop_create("test", 0, &e);
    w.arena = arena_create(0);
    w.legacy = (struct fake){.base = {&fake_ops}, .name = "legacy", .text = "same"};
    w.new_ = (struct fake){.base = {&fake_ops}, .name = "new", .text = "same"};
    w.evidence = evidence_create(&e);
    struct shadow_options so = {
        .loop = w.loop, .evidence = w.evidence, .in_flight_max = 2, .deadline_ms = 1000};
    so.backends[BACKEND_ODBC] = &w.legacy.base;
    so.backends[BACKEND_POSTGRES] = &w.new_.base;
    w.shadow = shadow_create(&so, &e);
    struct dispatcher_options o = {.loop = w.loop,
                                   .table = w.definitions,
                                   .shadow = w.shadow,
                                   .service = service,
                                   .budget = &w.budget,
                                   .hold_ms = hold_ms};
    memcpy(o.backends, so.backends, sizeof o.backends);
    w.d = dispatcher_create(&o, &e);
    assert_non_null(w.d);
}

static void stop(void)
{
    dispatcher_destroy(w.d);
    shadow_destroy(w.shadow);
    evidence_destroy(w.evidence);
    loop_destroy(w.loop);
    route_table_unref(w.definitions);
    map_destroy(w.maps);
    arena_destroy(w.arena);
}

static void on_end(struct dispatch *d)
{
    w.label = dispatch_label(d);
    w.order[w.ended++] = d;
}

static struct dispatch *run_with(enum operation_kind kind, const char *entity, const char *key,
                                 bool before_write)
{
    struct dispatch *d = arena_alloc(w.arena, sizeof *d);
    struct operation *op = arena_alloc(w.arena, sizeof *op);
    const struct field **fields = arena_array(w.arena, 2, sizeof *fields);
    struct value *k = arena_alloc(w.arena, sizeof *k);
    const struct entity *en = entity_find(w.maps, str_of(entity));
    fields[0] = en->keys[0];
    fields[1] = &en->fields[1];
    *k = value_set(str_of(key));
    *op = (struct operation){.kind = kind, .entity = en, .arena = w.arena, .request_line = "test"};
    op->before_write = before_write;
    op->query = (struct query){.entity = en, .fields = fields, .nfields = 2, .limit = -1};
    if (operation_is_read(kind))
        op->query.key = k;
    else
        op->write.key = k;
    d->operation = op;
    d->done = on_end;
    dispatch_run(w.d, d);
    return d;
}

static struct dispatch *run(enum operation_kind kind, const char *entity, const char *key)
{
    return run_with(kind, entity, key, false);
}

static unsigned long long outcome(const char *name)
{
    char labels[96];
    snprintf(labels, sizeof labels, "route=\"account\",outcome=\"%s\"", name);
    return metric_value(
        metrics_counter("ficus_shadow_total", "Shadow comparisons by outcome.", labels));
}

// ---------------------------------------------------------------- which side

static void test_the_stage_chooses_for_reads_the_owner_for_writes(void **state)
{
    (void)state;
    static const struct {
        const char *stage, *owner;
        int bp;
        bool read_new, write_new;
    } rows[] = {{"legacy", "legacy", 0, false, false},    {"canary", "legacy", 0, false, false},
                {"canary", "legacy", 10000, true, false}, {"new", "legacy", 0, true, false},
                {"legacy", "new", 0, true, true},         {"new", "new", 0, true, true}};
    start(10, 1000, false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        use((long long)i + 1, rows[i].stage, rows[i].bp, rows[i].owner, (long long)i, "open");
        w.legacy.asked = w.new_.asked = 0;
        struct dispatch *r = run(OPERATION_GET, "account", "k1");
        assert_int_equal(r->result.status, RESULT_OK);
        // At canary the legacy's answers go on being compared.
        bool compared = !rows[i].read_new && strcmp(rows[i].stage, "canary") == 0;
        assert_int_equal(w.new_.asked, rows[i].read_new || compared);
        assert_int_equal(w.legacy.asked, !rows[i].read_new);
        assert_string_equal(w.label, rows[i].read_new ? "account new" : "account legacy");
        w.legacy.asked = w.new_.asked = 0;
        run(OPERATION_UPDATE, "account", "k1");
        assert_int_equal(w.new_.asked, rows[i].write_new);
        assert_int_equal(w.legacy.asked, !rows[i].write_new);
        // Under the epoch of the table that it was routed by.
        assert_int_equal((rows[i].write_new ? &w.new_ : &w.legacy)->epochs[0], (long long)i);
    }
    stop();
}

// What a write is decided by must be what the owner holds, whatever the ladder says of reads.
static void test_a_read_before_a_write_is_answered_by_the_owner(void **state)
{
    static const struct {
        const char *stage, *owner;
        bool read_new;
    } rows[] = {{"legacy", "legacy", false},
                {"canary", "legacy", false},
                {"new", "legacy", false},
                {"legacy", "new", true},
                {"new", "new", true}};
    (void)state;
    start(10, 1000, false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        use((long long)i + 1, rows[i].stage, 10000, rows[i].owner, (long long)i, "open");
        w.legacy.asked = w.new_.asked = 0;
        run_with(OPERATION_GET, "account", "k1", true);
        bool compared = !rows[i].read_new && strcmp(rows[i].stage, "canary") == 0;
        assert_int_equal(w.new_.asked, rows[i].read_new || compared);
        assert_int_equal(w.legacy.asked, !rows[i].read_new);
    }
    stop();
}

static void test_what_no_side_is_asked_for(void **state)
{
    (void)state;
    start(10, 1000, false);
    assert_int_equal(run(OPERATION_UPDATE, "security_group", "1")->result.status, RESULT_DENIED);
    assert_int_equal(run(OPERATION_GET, "note", "1")->result.status, RESULT_UNSUPPORTED);
    use(1, "retired", 0, "legacy", 0, "open");
    assert_int_equal(run(OPERATION_GET, "account", "1")->result.status, RESULT_RETIRED);
    assert_int_equal(run(OPERATION_UPDATE, "account", "1")->result.status, RESULT_RETIRED);
    assert_int_equal(w.legacy.asked + w.new_.asked, 0);
    // Without a group: the legacy side, and no epoch to check.
    assert_int_equal(run(OPERATION_UPDATE, "lead", "1")->result.status, RESULT_OK);
    assert_int_equal(w.legacy.epochs[0], -1);
    stop();
}

static void test_a_create_gets_its_key_and_a_write_its_id(void **state)
{
    (void)state;
    start(10, 1000, false);
    struct dispatch *d = arena_alloc(w.arena, sizeof *d);
    struct operation op = {
        .kind = OPERATION_CREATE, .arena = w.arena, .entity = entity_find(w.maps, STR("account"))};
    d->operation = &op;
    d->done = on_end;
    dispatch_run(w.d, d);
    assert_int_equal(w.legacy.asked, 1);
    assert_int_equal(op.write.key[0].len, 36);
    assert_int_equal(strlen(op.write_id), 36);
    assert_int_equal(strlen(op.write.now), 19);
    stop();
}

// ---------------------------------------------------------------- holding

static void test_held_writes_go_on_in_order_to_the_new_owner(void **state)
{
    (void)state;
    struct dispatch *d[5];
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "holding");
    for (int i = 0; i < 5; i++)
        d[i] = run(OPERATION_UPDATE, "account", "k");
    run(OPERATION_GET, "account", "k"); // reads go on
    assert_int_equal(w.ended, 1);
    assert_int_equal(dispatcher_held(w.d), 5);
    use(2, "legacy", 0, "legacy", 1, "holding"); // newer, still holding: they stay, in order
    assert_int_equal(dispatcher_held(w.d), 5);
    w.new_.keeps = true;
    use(3, "legacy", 0, "new", 2, "open");
    assert_int_equal(dispatcher_held(w.d), 0);
    // The writes of one key one after the other, though the store has many connections.
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(w.new_.asked, i + 1);
        answer(&w.new_, w.new_.kept[i], RESULT_OK);
    }
    assert_int_equal(w.ended, 6);
    assert_int_equal(w.new_.asked, 5);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(w.order[i + 1], d[i]);
        assert_int_equal(w.new_.epochs[i], 2);
    }
    stop();
}

static void test_writes_of_other_keys_go_on_side_by_side(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "a", "b", "c"};
    struct dispatch *d[5];
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "holding");
    for (int i = 0; i < 5; i++)
        d[i] = run(OPERATION_UPDATE, "account", keys[i]);
    w.new_.keeps = true;
    use(2, "legacy", 0, "new", 2, "open");
    assert_int_equal(w.new_.asked, 3); // a, b, c
    struct dispatch *later = run(OPERATION_UPDATE, "account", "a");
    assert_int_equal(w.new_.asked, 3); // behind those that came before it
    answer(&w.new_, w.new_.kept[0], RESULT_OK);
    answer(&w.new_, w.new_.kept[3], RESULT_OK);
    assert_ptr_equal(w.order[1], d[2]);
    answer(&w.new_, w.new_.kept[4], RESULT_OK);
    assert_ptr_equal(w.order[2], later);
    for (int i = 1; i < 3; i++)
        answer(&w.new_, w.new_.kept[i], RESULT_OK);
    answer(&w.new_, w.new_.kept[5], RESULT_OK);
    assert_int_equal(w.ended, 6);
    run(OPERATION_UPDATE, "account", "a"); // nobody is before it any more
    assert_int_equal(w.new_.asked, 7);
    answer(&w.new_, w.new_.kept[6], RESULT_OK);
    stop();
}

static void test_a_fenced_write_stays_before_those_that_came_after_it(void **state)
{
    (void)state;
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "open");
    w.legacy.keeps = true;
    struct dispatch *first = run(OPERATION_UPDATE, "account", "k");
    use(2, "legacy", 0, "legacy", 1, "holding");
    struct dispatch *second = run(OPERATION_UPDATE, "account", "k");
    answer(&w.legacy, w.legacy.kept[0], RESULT_FENCED); // sealed meanwhile; it waits too
    assert_int_equal(dispatcher_held(w.d), 2);
    w.new_.keeps = true;
    use(3, "legacy", 0, "new", 2, "open");
    // Sealed again before the first was done: both wait again, in their order.
    use(4, "legacy", 0, "new", 2, "holding");
    answer(&w.new_, w.new_.kept[0], RESULT_FENCED);
    assert_int_equal(dispatcher_held(w.d), 2);
    w.legacy.keeps = false;
    use(5, "legacy", 0, "legacy", 3, "open");
    assert_int_equal(w.ended, 2);
    assert_ptr_equal(w.order[0], first);
    assert_ptr_equal(w.order[1], second);
    stop();
}

static void test_a_wait_does_not_use_up_the_deadline(void **state)
{
    (void)state;
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "holding");
    struct dispatch *d = arena_alloc(w.arena, sizeof *d);
    struct value key = value_set(STR("k"));
    struct operation op = {.kind = OPERATION_UPDATE,
                           .arena = w.arena,
                           .entity = entity_find(w.maps, STR("account")),
                           .write = {.key = &key}};
    uint64_t before = clock_mono_ns();
    d->operation = &op;
    d->done = on_end;
    d->deadline_ns = before + 1000;
    dispatch_run(w.d, d);
    use(2, "legacy", 0, "legacy", 1, "open");
    assert_int_equal(w.ended, 1);
    uint64_t waited = w.legacy.kept[0]->deadline_ns - (before + 1000);
    assert_true(waited > 0 && waited <= clock_mono_ns() - before);
    stop();
}

// Another facade may have the new owner's table already, and a client its write there.
static void test_reads_wait_for_the_switch_but_not_for_ever(void **state)
{
    (void)state;
    start(10, 1, false);
    use(1, "new", 0, "new", 1, "holding");
    struct dispatch *first = run(OPERATION_GET, "account", "k1");
    assert_int_equal(dispatcher_held(w.d), 1);
    use(2, "new", 0, "legacy", 2, "open");
    assert_int_equal(first->result.status, RESULT_OK);
    assert_int_equal(first->result.served_by, SIDE_NEW); // the stage, now that legacy owns
    use(3, "legacy", 0, "legacy", 2, "holding");
    struct dispatch *second = run(OPERATION_GET, "account", "k1");
    uint64_t end = clock_mono_ms() + 10000;
    while (w.ended < 2 && clock_mono_ms() < end)
        event_base_loop(loop_base(w.loop), EVLOOP_ONCE);
    assert_int_equal(second->result.status, RESULT_OK);
    assert_int_equal(second->result.served_by, SIDE_LEGACY);
    assert_int_equal(dispatcher_held(w.d), 0);
    // Reads leave room for writes.
    for (int i = 0; i < 9; i++)
        run(OPERATION_GET, "account", "k1");
    assert_int_equal(dispatcher_held(w.d), 5);
    use(4, "legacy", 0, "legacy", 2, "open");
    assert_int_equal(w.ended, 11);
    stop();
}

static void test_bounds_of_holding(void **state)
{
    (void)state;
    start(2, 50, false);
    use(1, "legacy", 0, "legacy", 1, "holding");
    run(OPERATION_UPDATE, "account", "1");
    run(OPERATION_UPDATE, "account", "2");
    assert_int_equal(run(OPERATION_UPDATE, "account", "3")->result.status, RESULT_BUSY);
    assert_int_equal(w.ended, 1);
    while (w.ended < 3)
        event_base_loop(loop_base(w.loop), EVLOOP_ONCE);
    assert_int_equal(w.order[1]->result.status, RESULT_BUSY);
    assert_int_equal(w.order[2]->result.status, RESULT_BUSY);
    assert_int_equal(w.legacy.asked, 0);
    stop();
}

static void test_the_bytes_held_are_bounded_over_all_loops(void **state)
{
    (void)state;
    start(1000, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "holding");
    atomic_store(&w.budget.bytes, w.budget.bytes_max / 2); // of another loop
    unsigned kept = 0;
    assert_non_null(arena_alloc(w.arena, 1000));
    while (run(OPERATION_UPDATE, "account", "k")->result.status != RESULT_BUSY)
        kept++;
    assert_int_equal(w.ended, 1);
    assert_in_range(kept, 1, 500);
    assert_int_equal(dispatcher_held(w.d), kept);
    assert_true(atomic_load(&w.budget.bytes) <= w.budget.bytes_max);
    use(2, "legacy", 0, "legacy", 1, "open");
    assert_int_equal(w.ended, kept + 1);
    assert_int_equal(atomic_load(&w.budget.bytes), w.budget.bytes_max / 2);
    assert_int_equal(atomic_load(&w.budget.count), 0);
    stop();
}

static void test_a_fenced_write_waits_for_the_next_table(void **state)
{
    (void)state;
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "open");
    w.legacy.status = RESULT_FENCED;
    struct dispatch *d = run(OPERATION_UPDATE, "account", "k");
    char id[37];
    memcpy(id, d->operation->write_id, sizeof id);
    assert_int_equal(w.ended, 0);
    assert_int_equal(dispatcher_held(w.d), 1);
    use(2, "legacy", 0, "new", 2, "open");
    assert_int_equal(d->result.status, RESULT_OK);
    assert_int_equal(w.new_.asked, 1);
    assert_string_equal(d->operation->write_id, id); // the same write
    stop();
}

static void test_a_table_that_came_while_the_write_was_fenced(void **state)
{
    (void)state;
    start(10, 10000, false);
    use(1, "legacy", 0, "legacy", 1, "open");
    w.legacy.keeps = true;
    struct dispatch *d = run(OPERATION_UPDATE, "account", "k");
    use(2, "legacy", 0, "new", 2, "open");
    answer(&w.legacy, w.legacy.kept[0], RESULT_FENCED);
    assert_int_equal(d->result.status, RESULT_OK); // at once, without waiting for a third table
    assert_int_equal(w.new_.asked, 1);
    stop();
}

static void test_a_service_reports_its_fence(void **state)
{
    (void)state;
    start(10, 10000, true);
    use(1, "legacy", 0, "legacy", 1, "holding"); // the ladder is not a service's
    w.new_.status = RESULT_FENCED;
    assert_int_equal(run(OPERATION_UPDATE, "account", "k")->result.status, RESULT_FENCED);
    assert_int_equal(run(OPERATION_GET, "note", "k")->result.status, RESULT_FENCED);
    assert_int_equal(w.legacy.asked, 0);
    stop();
}

static void test_closing_answers_everyone(void **state)
{
    (void)state;
    start(10, 10000, false);
    w.legacy.keeps = true;
    struct dispatch *busy = run(OPERATION_GET, "account", "k");
    use(1, "legacy", 0, "legacy", 1, "holding");
    struct dispatch *held = run(OPERATION_UPDATE, "account", "k");
    dispatcher_close(w.d);
    assert_int_equal(held->result.status, RESULT_BUSY);
    assert_int_equal(run(OPERATION_GET, "account", "k")->result.status, RESULT_BUSY);
    answer(&w.legacy, w.legacy.kept[0], RESULT_OK);
    assert_int_equal(busy->result.status, RESULT_OK);
    stop();
}

// ---------------------------------------------------------------- shadow

static void test_shadow_outcomes(void **state)
{
    (void)state;
    unsigned long long match, mismatch, stale, dropped;
    start(10, 1000, false);
    match = outcome("match"), mismatch = outcome("mismatch");
    stale = outcome("stale"), dropped = outcome("dropped");
    use(1, "shadow", 0, "legacy", 1, "open");

    assert_string_equal(run(OPERATION_GET, "account", "k")->result.records.rows[0].values[0].data,
                        "same");
    assert_int_equal(outcome("match"), match + 1);

    w.new_.text = "other"; // differs, and still does when both are read again
    run(OPERATION_GET, "account", "k");
    assert_int_equal(outcome("mismatch"), mismatch + 1);

    w.new_.keeps = true; // the new side catches up between the two reads
    w.new_.asked = 0;
    run(OPERATION_GET, "account", "k");
    answer(&w.new_, w.new_.kept[0], RESULT_OK);
    w.new_.text = "same";
    answer(&w.new_, w.new_.kept[1], RESULT_OK);
    assert_int_equal(outcome("stale"), stale + 1);

    w.new_.text = "other"; // the legacy's row changes between its two reads
    w.new_.asked = 0;
    run(OPERATION_GET, "account", "k");
    w.legacy.text = "changed";
    answer(&w.new_, w.new_.kept[0], RESULT_OK);
    answer(&w.new_, w.new_.kept[1], RESULT_OK);
    assert_int_equal(outcome("stale"), stale + 2);
    assert_int_equal(outcome("mismatch"), mismatch + 1);

    w.new_.asked = 0; // down, then more at once than may be
    run(OPERATION_GET, "account", "k");
    answer(&w.new_, w.new_.kept[0], RESULT_UNAVAILABLE);
    assert_int_equal(outcome("dropped"), dropped + 1);
    unsigned asked = w.new_.asked;
    for (int i = 0; i < 3; i++)
        assert_int_equal(run(OPERATION_GET, "account", "k")->result.status, RESULT_OK);
    assert_int_equal(w.new_.asked, asked + 2);
    assert_int_equal(outcome("dropped"), dropped + 2);
    shadow_close(w.shadow); // one under way ends here, without its next read
    asked = w.legacy.asked;
    answer(&w.new_, w.new_.kept[1], RESULT_OK);
    answer(&w.new_, w.new_.kept[2], RESULT_OK);
    assert_int_equal(w.legacy.asked, asked);
    assert_int_equal(outcome("dropped"), dropped + 4);
    stop();
}

// The field is ignored as said, the key always.
static void use_rule(const char *field, bool any, uint64_t expires_ms)
{
    struct err e = {0};
    json_t *state = json_pack("{s:I, s:{s:{s:s, s:[{s:s, s:b, s:I}, {s:s, s:b, s:I}]}}}", "version",
                              (json_int_t)1, "routes", "account", "stage", "shadow", "ignored",
                              "field", field, "any", any, "expires_ms", (json_int_t)expires_ms,
                              "field", "id", "any", true, "expires_ms", (json_int_t)INT64_MAX);
    struct route_table *t = route_table_with_state(w.definitions, state, &e);
    assert_non_null(t);
    json_t *again = route_table_state(t); // what the file of the last good table keeps
    struct route_table *kept = route_table_with_state(w.definitions, again, &e);
    assert_non_null(kept);
    dispatcher_set_table(w.d, kept);
    json_decref(state);
    json_decref(again);
    route_table_unref(t);
    route_table_unref(kept);
}

static void test_a_rule_makes_a_difference_ignored_until_it_expires(void **state)
{
    (void)state;
    start(10, 1000, false);
    unsigned long long ignored = outcome("ignored"), mismatch = outcome("mismatch");
    const struct entity *en = entity_find(w.maps, STR("account"));
    const char *second = en->fields[1].name;
    w.new_.text = "other";
    use_rule(second, true, clock_wall_ms() + 60000);
    run(OPERATION_GET, "account", "k");
    assert_int_equal(outcome("ignored"), ignored + 1);
    use_rule(second, true, clock_wall_ms() - 1);
    run(OPERATION_GET, "account", "k");
    use_rule(en->fields[2].name, true, clock_wall_ms() + 60000); // another field
    run(OPERATION_GET, "account", "k");
    use_rule(second, false, clock_wall_ms() + 60000); // no policy explains it
    run(OPERATION_GET, "account", "k");
    assert_int_equal(outcome("mismatch"), mismatch + 3);
    assert_int_equal(outcome("ignored"), ignored + 1);
    stop();
}

static void test_only_reads_are_shadowed(void **state)
{
    (void)state;
    start(10, 1000, false);
    use(1, "shadow", 0, "legacy", 1, "open");
    run(OPERATION_UPDATE, "account", "k");
    run(OPERATION_DELETE, "account", "k");
    assert_int_equal(w.legacy.asked, 2);
    assert_int_equal(w.new_.asked, 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_stage_chooses_for_reads_the_owner_for_writes),
        cmocka_unit_test(test_a_read_before_a_write_is_answered_by_the_owner),
        cmocka_unit_test(test_what_no_side_is_asked_for),
        cmocka_unit_test(test_a_create_gets_its_key_and_a_write_its_id),
        cmocka_unit_test(test_held_writes_go_on_in_order_to_the_new_owner),
        cmocka_unit_test(test_a_wait_does_not_use_up_the_deadline),
        cmocka_unit_test(test_reads_wait_for_the_switch_but_not_for_ever),
        cmocka_unit_test(test_bounds_of_holding),
        cmocka_unit_test(test_the_bytes_held_are_bounded_over_all_loops),
        cmocka_unit_test(test_writes_of_other_keys_go_on_side_by_side),
        cmocka_unit_test(test_a_fenced_write_stays_before_those_that_came_after_it),
        cmocka_unit_test(test_a_fenced_write_waits_for_the_next_table),
        cmocka_unit_test(test_a_table_that_came_while_the_write_was_fenced),
        cmocka_unit_test(test_a_service_reports_its_fence),
        cmocka_unit_test(test_closing_answers_everyone),
        cmocka_unit_test(test_shadow_outcomes),
        cmocka_unit_test(test_a_rule_makes_a_difference_ignored_until_it_expires),
        cmocka_unit_test(test_only_reads_are_shadowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
