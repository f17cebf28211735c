// SPDX-License-Identifier: Apache-2.0
// The PostgreSQL pool of a loop against a real server, named by FICUS_TEST_POSTGRES.
#include "base/clock.h"
#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
// cmocka.h wants the three above first.
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 20000

struct fixture {
    struct loop *loop;
    struct pg_pool *pool;
    struct pg_conn *side; // looks at the same server from outside
    struct arena *a;
};

// A job, its calls and where it ended.
struct work {
    struct pg_job job; // first: `done` gets it back
    struct pg_call calls[4];
    struct fixture *f;
    unsigned *left;
    bool done;
};

static const char *server(void)
{
    return getenv("FICUS_TEST_POSTGRES");
}

static void side(struct fixture *f, const char *sql)
{
    struct err e = {0};
    if (pg_script(f->side, str_of(sql), &e))
        fail_msg("%s: %s", sql, e.msg);
}

static long long side_number(struct fixture *f, const char *sql)
{
    struct err e = {0};
    struct rows r;
    long long n = -1;
    if (pg_query(f->side, str_of(sql), NULL, 0, f->a, &r, &e))
        fail_msg("%s: %s", sql, e.msg);
    assert_int_equal(r.nrows, 1);
    assert_true(str_to_int(value_str(r.cells[0]), INT64_MIN, INT64_MAX, &n));
    return n;
}

static void await_number(struct fixture *f, const char *sql, long long wanted)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (side_number(f, sql) != wanted) {
        if (clock_mono_ms() > end)
            fail_msg("%s never became %lld", sql, wanted);
        clock_sleep_ms(5);
    }
}

static void pool_open(struct fixture *f, const char *conninfo, unsigned size, unsigned queue)
{
    struct err e = {0};
    struct pg_pool_options o = {conninfo, "ficus pool test", size, queue};
    f->pool = pg_pool_create(f->loop, &o, &e);
    if (!f->pool)
        fail_msg("%s", e.msg);
}

static int setup(void **state)
{
    struct err e = {0};
    struct fixture *f = calloc(1, sizeof *f);
    const char *conninfo = server();
    f->loop = loop_create("test", 0, &e);
    f->a = arena_create(0);
    if (!f->loop || pg_open(conninfo, "ficus pool test side", &f->side, &e))
        fail_msg("%s", e.msg);
    side(f, "DROP TABLE IF EXISTS pool_test; CREATE TABLE pool_test (id int PRIMARY KEY, v text)");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pg_pool_destroy(f->pool);
    pg_close(f->side);
    loop_destroy(f->loop);
    arena_destroy(f->a);
    free(f);
    return 0;
}

static void on_done(struct pg_job *job)
{
    struct work *w = (struct work *)job;
    assert_false(w->done);
    w->done = true;
    --*w->left;
}

static struct work *work(struct fixture *f, unsigned *left)
{
    struct work *w = calloc(1, sizeof *w);
    w->f = f;
    w->left = left;
    w->job = (struct pg_job){.calls = w->calls,
                             .arena = f->a,
                             .done = on_done,
                             .deadline_ns = clock_mono_ns() + WAIT_MS * 1000000ull};
    return w;
}

static void call(struct work *w, const char *sql, const struct value *params, size_t n)
{
    w->calls[w->job.ncalls++] = (struct pg_call){
        .sql = str_of(sql), .params = params, .nparams = n};
}

static void submit(struct fixture *f, struct work *w)
{
    struct err e = {0};
    if (pg_pool_submit(f->pool, &w->job, &e))
        fail_msg("%s", e.msg);
    ++*w->left;
}

static void turn(struct fixture *f, const unsigned *left)
{
    uint64_t end = clock_mono_ms() + 2 * WAIT_MS;
    while (*left > 0) {
        assert_true(clock_mono_ms() < end);
        event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
    }
}

static void run(struct fixture *f, struct work *w)
{
    submit(f, w);
    assert_false(w->done); // never from within
    turn(f, w->left);
}

static void must(const struct work *w)
{
    if (w->job.err.code)
        fail_msg("call %zu: %s", w->job.failed, w->job.err.msg);
}

// One query on its own; its single cell as a number.
static long long ask(struct fixture *f, const char *sql)
{
    unsigned left = 0;
    struct work *w = work(f, &left);
    long long n = -1;
    call(w, sql, NULL, 0);
    run(f, w);
    must(w);
    assert_true(str_to_int(value_str(w->calls[0].rows.cells[0]), INT64_MIN, INT64_MAX, &n));
    free(w);
    return n;
}

static void rows_come_back(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    struct value p[] = {value_set(STR("7")), value_set(STR("\xc3\xa4'\\\"x")), value_null()};
    pool_open(f, server(), 2, 10);
    for (int i = 0; i < 3; i++) { // prepared first, reused after
        struct work *w = work(f, &left);
        call(w, "SELECT $1::int + 1, $2::text, $3::text", p, 3);
        call(w, "SELECT generate_series(1, 3)", NULL, 0);
        run(f, w);
        must(w);
        assert_int_equal(w->calls[0].rows.nrows, 1);
        assert_true(str_eqz(value_str(w->calls[0].rows.cells[0]), "8"));
        assert_true(value_eq(w->calls[0].rows.cells[1], p[1]));
        assert_int_equal(w->calls[0].rows.cells[2].state, VALUE_NULL);
        assert_int_equal(w->calls[1].rows.nrows, 3);
        free(w);
    }
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    struct work *good = work(f, &left), *bad = work(f, &left);
    good->job.transaction = bad->job.transaction = true;
    call(good, "INSERT INTO pool_test VALUES (1, 'a')", NULL, 0);
    call(good, "UPDATE pool_test SET v = 'b' WHERE id = 1", NULL, 0);
    run(f, good);
    must(good);
    assert_int_equal(good->calls[1].rows.changed, 1);
    call(bad, "INSERT INTO pool_test VALUES (2, 'a')", NULL, 0);
    call(bad, "INSERT INTO pool_test VALUES (1, 'again')", NULL, 0);
    run(f, bad);
    assert_int_equal(bad->job.err.code, ERR_CONFLICT);
    assert_int_equal(bad->job.failed, 1);
    assert_int_equal(side_number(f, "SELECT count(*) FROM pool_test"), 1);
    // The one connection is as good as new: the failed transaction does not linger.
    assert_int_equal(ask(f, "SELECT count(*) FROM pool_test"), 1);
    bad->calls[1] = bad->calls[0];
    bad->job.ncalls = 1;
    bad->done = false;
    run(f, bad);
    must(bad);
    assert_int_equal(side_number(f, "SELECT count(*) FROM pool_test"), 2);
    free(good);
    free(bad);
}

static void the_commit_itself_can_fail(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    side(f, "ALTER TABLE pool_test ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED");
    side(f, "INSERT INTO pool_test VALUES (1, 'a')");
    pool_open(f, server(), 1, 10);
    struct work *w = work(f, &left);
    w->job.transaction = true;
    call(w, "INSERT INTO pool_test VALUES (2, 'a')", NULL, 0);
    run(f, w);
    assert_int_equal(w->job.err.code, ERR_CONFLICT);
    assert_int_equal(w->job.failed, w->job.ncalls);
    assert_int_equal(ask(f, "SELECT count(*) FROM pool_test"), 1);
    free(w);
}

static void the_xid_is_told_on_request(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    char sql[128];
    pool_open(f, server(), 1, 10);
    struct work *w = work(f, &left);
    w->job.transaction = w->job.want_xid = true;
    call(w, "INSERT INTO pool_test VALUES (1, 'a')", NULL, 0);
    run(f, w);
    must(w);
    snprintf(sql, sizeof sql, "SELECT (pg_xact_status('%s') = 'committed')::int", w->job.xid);
    assert_int_equal(side_number(f, sql), 1);
    w->job.want_xid = w->done = false;
    w->calls[0].sql = STR("SELECT 1");
    run(f, w);
    must(w);
    assert_string_equal(w->job.xid, "");
    free(w);
}

static void a_lost_commit_is_an_unknown_outcome_with_an_xid(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    char sql[128];
    pool_open(f, server(), 1, 10);
    side(f, "BEGIN; INSERT INTO pool_test VALUES (1, 'side')");
    struct work *w = work(f, &left);
    w->job.transaction = w->job.want_xid = true;
    w->job.deadline_ns = clock_mono_ns() + 400 * 1000000ull;
    call(w, "INSERT INTO pool_test VALUES (1, 'pool')", NULL, 0); // waits for the side
    run(f, w);
    assert_int_equal(w->job.err.code, ERR_UNKNOWN_OUTCOME);
    assert_true(w->job.xid[0] != 0);
    side(f, "ROLLBACK");
    // Whichever way it went, asking by the id settles it in the end.
    snprintf(sql, sizeof sql, "SELECT (pg_xact_status('%s') <> 'in progress')::int", w->job.xid);
    await_number(f, sql, 1);
    snprintf(sql, sizeof sql,
             "SELECT ((pg_xact_status('%s') = 'committed') = EXISTS (SELECT FROM pool_test))::int",
             w->job.xid);
    assert_int_equal(side_number(f, sql), 1);
    free(w);
}

// Between the pool and the server: instead of the word that the server is ready again, the first
// answer to a COMMIT is followed by what a server says that is being shut down.
struct between {
    int listener, client, server;
    pthread_t thread;
};

static void pass_or_end(struct between *b, char *data, size_t n, size_t size)
{
    static const char commit[] = "C\0\0\0\x0b"
                                 "COMMIT\0Z\0\0\0\x05I";
    static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mterminating connection due to"
                                " administrator command\0";
    char *at = memmem(data, n, commit, sizeof commit - 1);
    if (at) {
        at += sizeof commit - 1 - 6; // the ReadyForQuery
        assert_true((size_t)(at - data) + 5 + sizeof fatal <= size);
        uint32_t len = htonl((uint32_t)(4 + sizeof fatal));
        *at = 'E';
        memcpy(at + 1, &len, 4);
        memcpy(at + 5, fatal, sizeof fatal);
        n = (size_t)(at - data) + 5 + sizeof fatal;
    }
    assert_int_equal(write(b->client, data, n), n);
    if (at)
        shutdown(b->client, SHUT_RDWR);
}

static void *carry(void *arg)
{
    struct between *b = arg;
    static char data[65536];
    b->client = accept(b->listener, NULL, NULL);
    struct pollfd p[2] = {{.fd = b->client, .events = POLLIN}, {.fd = b->server, .events = POLLIN}};
    for (;;) {
        ssize_t n = poll(p, 2, WAIT_MS);
        if (n <= 0)
            break;
        if (p[0].revents) {
            if ((n = read(b->client, data, sizeof data)) <= 0)
                break;
            assert_int_equal(write(b->server, data, (size_t)n), n);
        }
        if (p[1].revents) {
            if ((n = read(b->server, data, sizeof data - 256)) <= 0)
                break;
            pass_or_end(b, data, (size_t)n, sizeof data);
        }
    }
    close(b->client);
    close(b->server);
    return NULL;
}

static int local_socket(struct sockaddr_in *at, uint16_t port)
{
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return socket(AF_INET, SOCK_STREAM, 0);
}

// Conninfo with the port of `b` instead of the server's.
static void between_open(struct between *b, char *conninfo, size_t size)
{
    const char *port = strstr(server(), "port=");
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    assert_non_null(port);
    b->server = local_socket(&at, (uint16_t)strtol(port + 5, NULL, 10));
    assert_int_equal(connect(b->server, (struct sockaddr *)&at, sizeof at), 0);
    b->listener = local_socket(&at, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(b->listener, 1), 0);
    assert_int_equal(getsockname(b->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(conninfo, size, "%s port=%u sslmode=disable", server(), ntohs(at.sin_port));
    assert_int_equal(pthread_create(&b->thread, NULL, carry, b), 0);
}

static void what_was_committed_stays_so_whatever_comes_after(void **state)
{
    struct fixture *f = *state;
    struct between b;
    char conninfo[512];
    unsigned left = 0;
    between_open(&b, conninfo, sizeof conninfo);
    pool_open(f, conninfo, 1, 10);
    struct work *w = work(f, &left);
    w->job.transaction = w->job.want_xid = true;
    call(w, "INSERT INTO pool_test VALUES (1, 'pool')", NULL, 0);
    run(f, w);
    pthread_join(b.thread, NULL);
    close(b.listener);
    assert_int_equal(side_number(f, "SELECT count(*) FROM pool_test"), 1);
    must(w);
    free(w);
}

static void a_deadline_ends_the_work_on_the_server(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    assert_int_equal(ask(f, "SELECT 1"), 1);
    struct work *w = work(f, &left), *behind = work(f, &left);
    w->job.deadline_ns = clock_mono_ns() + 200 * 1000000ull;
    call(w, "SELECT pg_sleep(600)", NULL, 0);
    call(behind, "SELECT 5", NULL, 0);
    submit(f, w);
    submit(f, behind);
    turn(f, &left);
    assert_int_equal(w->job.err.code, ERR_TIMEOUT);
    must(behind); // on a new connection
    await_number(f,
                 "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'"
                 " AND pid <> pg_backend_pid()",
                 0);
    free(w);
    free(behind);
}

static void the_queue_is_bounded_and_waits_have_deadlines(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    struct err e = {0};
    struct pg_pool_stats s;
    pool_open(f, server(), 1, 2);
    assert_int_equal(ask(f, "SELECT 1"), 1);
    struct work *w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = work(f, &left);
        call(w[i], i == 0 ? "SELECT pg_sleep(0.5)" : "SELECT 2", NULL, 0);
    }
    w[2]->job.deadline_ns = clock_mono_ns() + 50 * 1000000ull;
    for (int i = 0; i < 3; i++)
        submit(f, w[i]);
    assert_int_equal(pg_pool_submit(f->pool, &w[3]->job, &e), -1);
    assert_int_equal(e.code, ERR_BUSY);
    pg_pool_stats(f->pool, &s);
    assert_int_equal(s.waiting, 2);
    assert_int_equal(s.refused, 1);
    turn(f, &left);
    must(w[0]);
    must(w[1]);
    assert_int_equal(w[2]->job.err.code, ERR_TIMEOUT);
    for (int i = 0; i < 4; i++)
        free(w[i]);
}

static void an_orphan_is_never_answered(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    assert_int_equal(ask(f, "SELECT 1"), 1);
    struct work *running = work(f, &left), *waiting = work(f, &left), *last = work(f, &left);
    call(running, "SELECT pg_sleep(0.1)", NULL, 0);
    call(waiting, "SELECT 1", NULL, 0);
    call(last, "SELECT 9", NULL, 0);
    submit(f, running);
    submit(f, waiting);
    submit(f, last);
    pg_pool_orphan(f->pool, &running->job);
    pg_pool_orphan(f->pool, &waiting->job);
    left = 1;
    free(running); // nobody may look at it any more
    free(waiting);
    turn(f, &left);
    must(last);
    free(last);
}

static void a_nul_is_refused_and_costs_no_connection(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    struct err e = {0};
    struct value p[] = {value_set(str_n("a\0b", 3))};
    pool_open(f, server(), 1, 10);
    long long pid = ask(f, "SELECT pg_backend_pid()");
    struct work *w = work(f, &left);
    call(w, "SELECT 1", NULL, 0);
    call(w, "SELECT $1::text", p, 1);
    assert_int_equal(pg_pool_submit(f->pool, &w->job, &e), -1);
    assert_int_equal(e.code, ERR_VALUE);
    assert_int_equal(w->job.failed, 1);
    assert_int_equal(ask(f, "SELECT pg_backend_pid()"), pid);
    free(w);
}

static void a_retyped_column_is_prepared_again(void **state)
{
    struct fixture *f = *state;
    side(f, "INSERT INTO pool_test VALUES (1, '5')");
    pool_open(f, server(), 1, 10);
    assert_int_equal(ask(f, "SELECT v FROM pool_test"), 5);
    side(f, "ALTER TABLE pool_test ALTER v TYPE int USING v::int");
    assert_int_equal(ask(f, "SELECT v FROM pool_test"), 5);
}

static void bad_sql_does_not_spoil_the_next(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    for (int i = 0; i < 3; i++) {
        struct work *w = work(f, &left);
        call(w, "SELECT 1", NULL, 0);
        call(w, "SELECT nosuch FROM pool_test", NULL, 0);
        run(f, w);
        assert_int_equal(w->job.err.code, ERR_SCHEMA);
        assert_int_equal(w->job.failed, 1);
        free(w);
        assert_int_equal(ask(f, "SELECT 1"), 1);
    }
    // What was prepared is known to both ends, or to neither.
    assert_int_equal(ask(f, "SELECT count(*) FROM pg_prepared_statements"
                            " WHERE statement = 'SELECT 1'"),
                     1);
}

static void many_statements_are_forgotten_in_time(void **state)
{
    struct fixture *f = *state;
    char sql[64];
    pool_open(f, server(), 1, 10);
    for (int i = 0; i < 700; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_int_equal(ask(f, sql), i);
    }
    assert_true(ask(f, "SELECT count(*) FROM pg_prepared_statements") <= 513);
}

static void big_results_and_parameters_flow(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    size_t n = 8u << 20;
    char *big = malloc(n);
    memset(big, 'x', n);
    struct value p[] = {value_set(str_n(big, n))};
    pool_open(f, server(), 1, 10);
    struct work *w = work(f, &left);
    for (int i = 0; i < 3; i++)
        call(w, "SELECT $1::text", p, 1);
    run(f, w);
    must(w);
    for (int i = 0; i < 3; i++)
        assert_true(value_eq(w->calls[i].rows.cells[0], p[0]));
    free(w);
    free(big);
}

static void a_result_beyond_the_arena_is_a_limit(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    struct arena *small = arena_create(100000);
    pool_open(f, server(), 1, 10);
    struct work *w = work(f, &left);
    w->job.arena = small;
    call(w, "SELECT repeat('x', 1000) FROM generate_series(1, 1000)", NULL, 0);
    run(f, w);
    assert_int_equal(w->job.err.code, ERR_LIMIT);
    assert_int_equal(ask(f, "SELECT 4"), 4);
    free(w);
    arena_destroy(small);
}

static void a_killed_backend_fails_its_job_and_comes_back(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    long long pid = ask(f, "SELECT pg_backend_pid()");
    struct work *w = work(f, &left);
    call(w, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)", NULL, 0);
    run(f, w);
    assert_int_equal(w->job.err.code, ERR_UNREACHABLE);
    assert_true(ask(f, "SELECT pg_backend_pid()") != pid);
    // The same while it is idle.
    side(f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'ficus pool test'");
    struct pg_pool_stats s;
    uint64_t end = clock_mono_ms() + WAIT_MS;
    do {
        event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
        pg_pool_stats(f->pool, &s);
        assert_true(clock_mono_ms() < end);
    } while (s.connections > 0);
    pid = ask(f, "SELECT pg_backend_pid()");
    assert_true(pid > 0);
    free(w);
}

static void a_server_that_is_away_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    struct err e = {0};
    pool_open(f, "host=127.0.0.1 port=1 dbname=x", 2, 10);
    struct work *w = work(f, &left);
    call(w, "SELECT 1", NULL, 0);
    uint64_t start = clock_mono_ms();
    run(f, w); // queued before the first attempt failed, and failed with it
    assert_int_equal(w->job.err.code, ERR_UNREACHABLE);
    assert_true(clock_mono_ms() - start < 5000);
    assert_int_equal(pg_pool_submit(f->pool, &w->job, &e), -1);
    assert_int_equal(e.code, ERR_UNREACHABLE);
    free(w);
}

static void a_second_address_is_tried(void **state)
{
    struct fixture *f = *state;
    char conninfo[512];
    const char *port = strstr(server(), "port=");
    assert_non_null(port);
    // Both attempts use the same descriptor number, one after the other.
    snprintf(conninfo, sizeof conninfo, "%s host=127.0.0.1,127.0.0.1 port=1,%.*s", server(),
             (int)strcspn(port + 5, " "), port + 5);
    pool_open(f, conninfo, 1, 10);
    uint64_t start = clock_mono_ms();
    assert_int_equal(ask(f, "SELECT 3"), 3);
    assert_true(clock_mono_ms() - start < 5000);
}

static void closing_fails_what_waits(void **state)
{
    struct fixture *f = *state;
    unsigned left = 0;
    pool_open(f, server(), 1, 10);
    assert_int_equal(ask(f, "SELECT 1"), 1);
    struct work *running = work(f, &left), *waiting = work(f, &left);
    call(running, "SELECT pg_sleep(30)", NULL, 0);
    call(waiting, "SELECT 1", NULL, 0);
    submit(f, running);
    submit(f, waiting);
    pg_pool_destroy(f->pool);
    f->pool = NULL;
    assert_int_equal(running->job.err.code, ERR_CANCELLED);
    assert_int_equal(waiting->job.err.code, ERR_CANCELLED);
    assert_int_equal(left, 0);
    free(running);
    free(waiting);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rows_come_back),
        T(a_transaction_is_all_or_nothing),
        T(the_commit_itself_can_fail),
        T(the_xid_is_told_on_request),
        T(a_lost_commit_is_an_unknown_outcome_with_an_xid),
        T(what_was_committed_stays_so_whatever_comes_after),
        T(a_deadline_ends_the_work_on_the_server),
        T(the_queue_is_bounded_and_waits_have_deadlines),
        T(an_orphan_is_never_answered),
        T(a_nul_is_refused_and_costs_no_connection),
        T(a_retyped_column_is_prepared_again),
        T(bad_sql_does_not_spoil_the_next),
        T(many_statements_are_forgotten_in_time),
        T(big_results_and_parameters_flow),
        T(a_result_beyond_the_arena_is_a_limit),
        T(a_killed_backend_fails_its_job_and_comes_back),
        T(a_server_that_is_away_is_said_at_once),
        T(a_second_address_is_tried),
        T(closing_fails_what_waits),
    };
    if (!server()) {
        fputs("FICUS_TEST_POSTGRES names no server\n", stderr);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
