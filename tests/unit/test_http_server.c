// SPDX-License-Identifier: Apache-2.0
// The HTTP server over real sockets: a listener on a loop's thread, raw bytes from here.
#include "facade/http/http_int.h"

#include "sockets.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG_BYTES (6u << 20)

static struct loop *loop;
static struct http_listener *listener;
static unsigned port;
static char *big;
static _Atomic unsigned requests, gone, accesses, access_gone, last_status;
static _Atomic(struct http_exchange *) parked;
static _Atomic bool drained;

static void reply_text(struct http_exchange *x, unsigned status, struct str body)
{
    struct http_header extra = {STR("X-Test"), STR("yes")};
    struct http_response r = {.status = status,
                              .content_type = STR("text/plain"),
                              .body = body,
                              .headers = &extra,
                              .nheaders = 1};

    http_reply(x, &r);
}

static void on_gone(void *ctx)
{
    (void)ctx;
    gone++;
}

static void reply_later(evutil_socket_t fd, short what, void *arg)
{
    struct http_exchange *x = arg;

    (void)fd;
    (void)what;
    reply_text(x, 200, STR("later"));
}

static void on_request(void *ctx, struct http_request *r)
{
    struct timeval soon = {.tv_usec = 1000};

    (void)ctx;
    requests++;
    if (str_eqz(r->path, "/echo")) {
        reply_text(r->exchange, 200, r->body);
    } else if (str_eqz(r->path, "/query")) {
        reply_text(r->exchange, 200, r->query);
    } else if (str_eqz(r->path, "/later")) {
        event_base_once(loop_base(loop), -1, EV_TIMEOUT, reply_later, r->exchange, &soon);
    } else if (str_eqz(r->path, "/park")) {
        http_exchange_on_close(r->exchange, on_gone, NULL);
        http_exchange_label(r->exchange, "park");
        parked = r->exchange;
    } else if (str_eqz(r->path, "/big")) {
        reply_text(r->exchange, 200, str_n(big, BIG_BYTES));
    } else if (str_eqz(r->path, "/none")) {
        reply_text(r->exchange, 204, str_n(NULL, 0));
    } else {
        reply_text(r->exchange, 404, STR("no such path"));
    }
}

static void on_access(void *ctx, const struct http_access *a)
{
    (void)ctx;
    last_status = a->status;
    access_gone += a->gone;
    accesses++;
}

static void on_drained(void *ctx)
{
    (void)ctx;
    drained = true;
}

// ---- running things on the loop

struct order {
    struct mail mail;
    void (*run)(void);
    _Atomic bool done;
};

static void run_order(struct mail *m)
{
    struct order *o = (struct order *)m;

    o->run();
    o->done = true;
}

static bool order_done(void *arg)
{
    return ((struct order *)arg)->done;
}

static void on_loop(void (*run)(void))
{
    struct order o = {.mail.deliver = run_order, .run = run};

    mailbox_post(loop_mailbox(loop), &o.mail);
    sockets_wait(order_done, &o);
}

static void reply_parked(void)
{
    reply_text(parked, 200, STR("parked"));
    parked = NULL;
}

static struct http_listener_stats stats;
static void take_stats(void)
{
    http_listener_stats(listener, &stats);
}

static bool is_parked(void *arg)
{
    (void)arg;
    return parked != NULL;
}

static bool counts(void *arg)
{
    _Atomic unsigned *const *pair = arg;
    return *pair[0] >= *pair[1];
}

static void wait_count(_Atomic unsigned *counter, unsigned at_least)
{
    _Atomic unsigned target = at_least;
    _Atomic unsigned *pair[2] = {counter, &target};

    sockets_wait(counts, pair);
}

static bool all_closed(void *arg)
{
    (void)arg;
    on_loop(take_stats);
    return stats.connections == 0;
}

static int start(const struct http_limits *limits)
{
    struct http_listener_options o = {.address = "127.0.0.1:0",
                                      .reuse_port = true,
                                      .on_request = on_request,
                                      .on_access = on_access};
    struct err e;

    requests = gone = accesses = access_gone = last_status = 0;
    parked = NULL;
    drained = false;
    loop = loop_create("test", 0, &e);
    if (!loop)
        return -1;
    o.loop = loop;
    o.limits = *limits;
    listener = http_listener_create(&o, &e);
    if (!listener)
        return -1;
    port = http_listener_port(listener);
    return loop_start(loop, &e);
}

static int setup(void **state)
{
    static const struct http_limits limits = {
        .header_max = 4096, .body_max = 1 << 20, .connections_max = 64};
    (void)state;
    return start(&limits);
}

static int setup_hasty(void **state)
{
    static const struct http_limits limits = {
        .idle_ms = 100, .head_ms = 150, .request_ms = 150, .write_ms = 200, .connections_max = 2};
    (void)state;
    return start(&limits);
}

static int teardown(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_join(loop);
    http_listener_destroy(listener);
    loop_destroy(loop);
    return 0;
}

// ---- talking

static struct buf answer;

// Sends text on a new connection and reads until the server closes.
static const char *exchange(struct str text)
{
    int fd = sockets_connect(port);

    buf_reset(&answer);
    sockets_send(fd, text);
    sockets_read_all(fd, &answer);
    close(fd);
    buf_addz(&answer, "");
    return answer.data;
}

static void expect_status(const char *name, struct str text, unsigned status)
{
    char line[32];
    const char *got = exchange(text);

    snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
    if (!got || strncmp(got, line, strlen(line)) != 0)
        fail_msg("%s: not %u but %.40s", name, status, got ? got : "nothing");
}

static unsigned count(const char *what)
{
    unsigned n = 0;

    for (const char *at = answer.data; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

#define H     "Host: a\r\n"
#define CLOSE H "Connection: close\r\n\r\n"

static void answers(void **state)
{
    (void)state;
    const char *got = exchange(STR("GET /query?a=b HTTP/1.1\r\n" CLOSE));
    assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\nDate: "));
    assert_non_null(strstr(got, " GMT\r\nContent-Type: text/plain\r\nX-Test: yes\r\n"
                                "Content-Length: 3\r\nConnection: close\r\n\r\na=b"));
    got = exchange(STR("HEAD /query?a=b HTTP/1.1\r\n" CLOSE));
    assert_non_null(strstr(got, "Content-Length: 3\r\nConnection: close\r\n\r\n"));
    assert_null(strstr(got, "a=b"));
    got = exchange(STR("GET /none HTTP/1.1\r\n" CLOSE));
    assert_non_null(strstr(got, "HTTP/1.1 204 No Content\r\n"));
    assert_null(strstr(got, "Content-Length"));
    got = exchange(STR("GET /query?x HTTP/1.0\r\n\r\n"));
    assert_non_null(strstr(got, "Connection: close\r\n\r\nx"));
    got = exchange(STR("\r\nGET /query?x HTTP/1.0\r\n\r\n"));
    assert_non_null(strstr(got, "\r\n\r\nx"));
}

static void keeps_the_connection(void **state)
{
    int fd = sockets_connect(port);

    (void)state;
    for (int i = 0; i < 3; i++) {
        buf_reset(&answer);
        sockets_send(fd, STR("POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhe"));
        sockets_send(fd, STR("llo"));
        sockets_read_until(fd, &answer, "\r\n\r\nhello");
        assert_null(strstr(answer.data, "Connection:"));
        buf_reset(&answer);
        sockets_send(fd, STR("GET /later HTTP/1.1\r\n" H "\r\n"));
        sockets_read_until(fd, &answer, "\r\n\r\nlater");
    }
    buf_reset(&answer);
    sockets_send(fd, STR("GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    sockets_read_until(fd, &answer, "Connection: keep-alive\r\n\r\n");
    close(fd);
    on_loop(take_stats);
    assert_int_equal(stats.accepted, 1);
    assert_int_equal(stats.requests, 7);
}

static void pipelines_in_order(void **state)
{
    (void)state;
    exchange(STR("GET /query?1 HTTP/1.1\r\n" H "\r\nGET /later HTTP/1.1\r\n" H "\r\n"
                 "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                 "1\r\n3\r\n0\r\n\r\nPOST /echo HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\n4"
                 "GET /query?5 HTTP/1.1\r\n" CLOSE));
    const char *at = answer.data;
    static const char *const bodies[] = {"\r\n\r\n1", "\r\n\r\nlater", "\r\n\r\n3", "\r\n\r\n4",
                                         "\r\n\r\n5"};
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, bodies[i]);
        assert_non_null(at);
    }
    assert_int_equal(count("HTTP/1.1 200 OK"), 5);
}

// More pipelined requests than the buffer holds: the kernel keeps what does not fit.
static void pipelines_beyond_the_buffer(void **state)
{
    struct buf many = BUF_INIT;

    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_addz(&many, i % 100 ? "GET /query?n HTTP/1.1\r\n" H "\r\n"
                                : "GET /later HTTP/1.1\r\n" H "\r\n");
    buf_addz(&many, "GET /query?end HTTP/1.1\r\n" CLOSE);
    exchange(buf_str(&many));
    assert_int_equal(count("HTTP/1.1 200 OK"), 2001);
    assert_non_null(strstr(answer.data, "\r\n\r\nend"));
    buf_free(&many);
}

static void takes_bodies_of_all_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 4000, 4095, 8191, 8192, 8193, 100000, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int chunked = 0; chunked < 2; chunked++) {
            struct buf text = BUF_INIT;
            buf_addz(&text, "POST /echo HTTP/1.1\r\n" H "Connection: close\r\n");
            if (chunked)
                buf_printf(&text, "Transfer-Encoding: chunked\r\n\r\n");
            else
                buf_printf(&text, "Content-Length: %zu\r\n\r\n", sizes[i]);
            for (size_t at = 0, n; chunked && at < sizes[i]; at += n) {
                n = sizes[i] - at < 7777 ? sizes[i] - at : 7777;
                buf_printf(&text, "%zx;x=y\r\n", n);
                buf_add(&text, big + at, n);
                buf_addz(&text, "\r\n");
            }
            if (chunked)
                buf_addz(&text, "0\r\nT: v\r\n\r\n");
            else
                buf_add(&text, big, sizes[i]);
            exchange(buf_str(&text));
            const char *body = strstr(answer.data, "\r\n\r\n");
            assert_non_null(body);
            assert_int_equal(answer.len - (size_t)(body + 4 - answer.data), sizes[i]);
            assert_memory_equal(body + 4, big, sizes[i]);
            buf_free(&text);
        }
    }
}

static void one_byte_at_a_time(void **state)
{
    struct str text = STR("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\n0\r\n\r\nGET /query?z HTTP/1.1\r\n" CLOSE);
    int fd = sockets_connect(port);

    (void)state;
    buf_reset(&answer);
    for (size_t i = 0; i < text.len; i++)
        sockets_send(fd, str_n(text.data + i, 1));
    sockets_read_all(fd, &answer);
    close(fd);
    assert_non_null(strstr(answer.data, "\r\n\r\nabcHTTP/1.1 200"));
    assert_non_null(strstr(answer.data, "\r\n\r\nz"));
}

static void sends_large_replies(void **state)
{
    (void)state;
    exchange(STR("GET /big HTTP/1.1\r\n" H "\r\nGET /big HTTP/1.1\r\n" CLOSE));
    const char *body = strstr(answer.data, "\r\n\r\n");
    assert_non_null(body);
    assert_memory_equal(body + 4, big, BIG_BYTES);
    assert_true(answer.len > 2 * BIG_BYTES);
    assert_memory_equal(answer.data + answer.len - BIG_BYTES, big, BIG_BYTES);
}

static void continues_on_request(void **state)
{
    int fd = sockets_connect(port);

    (void)state;
    buf_reset(&answer);
    sockets_send(fd, STR("POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
                         "Content-Length: 3\r\n\r\n"));
    sockets_read_until(fd, &answer, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(requests, 0);
    buf_reset(&answer);
    sockets_send(fd, STR("abc"));
    sockets_read_until(fd, &answer, "\r\n\r\nabc");
    // With the body already here no interim reply is needed.
    buf_reset(&answer);
    sockets_send(fd, STR("POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
                         "Content-Length: 3\r\n\r\nabc"));
    sockets_read_until(fd, &answer, "\r\n\r\nabc");
    assert_null(strstr(answer.data, "100 Continue"));
    close(fd);
}

static void refuses_and_closes(void **state)
{
    static const struct {
        const char *name;
        struct str text;
        unsigned status;
    } probes[] = {
        {"length twice",
         STR("POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd"),
         400},
        {"blank before colon",
         STR("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400},
        {"xchunked",
         STR("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501},
        {"chunk 0x5",
         STR("POST /echo HTTP/1.1\r\n" H
             "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
         400},
        {"chunk 2^64+5",
         STR("POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
             "10000000000000005\r\nhello\r\n0\r\n\r\n"),
         413},
        {"huge expectation",
         STR("POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
             "Content-Length: 1000000000000\r\n\r\n"),
         413},
        {"expect foo", STR("POST /echo HTTP/1.1\r\n" H "Expect: foo\r\n\r\n"), 417},
        {"two blank lines", STR("\r\n\r\nGET / HTTP/1.1\r\n" CLOSE), 400},
        {"TLS hello", STR("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n"), 400},
        {"HTTP/2 preface", STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
        {"no host", STR("GET / HTTP/1.1\r\n\r\n"), 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        expect_status(probes[i].name, probes[i].text, probes[i].status);
        assert_non_null(strstr(answer.data, "Connection: close\r\n"));
        assert_int_equal(count("\r\nDate: "), 1); // nothing after it was taken for a request
    }
    assert_int_equal(requests, 0);
    wait_count(&accesses, sizeof(probes) / sizeof(probes[0]));
    on_loop(take_stats);
    assert_int_equal(stats.malformed, sizeof(probes) / sizeof(probes[0]));
}

static void refuses_what_is_too_large(void **state)
{
    struct buf text = BUF_INIT;

    (void)state;
    buf_addz(&text, "GET /");
    for (int i = 0; i < 5000; i++)
        buf_addc(&text, 'a');
    expect_status("long target", buf_str(&text), 414);
    buf_reset(&text);
    buf_addz(&text, "GET / HTTP/1.1\r\nX: ");
    for (int i = 0; i < 5000; i++)
        buf_addc(&text, 'a');
    expect_status("long field, unfinished", buf_str(&text), 431);
    buf_addz(&text, "\r\n\r\n");
    expect_status("long field", buf_str(&text), 431);
    buf_reset(&text);
    buf_addz(&text, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < 200; i++)
        buf_addz(&text, "X: a\r\n");
    buf_addz(&text, "\r\n");
    expect_status("many fields", buf_str(&text), 431);
    buf_reset(&text);
    buf_printf(&text, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%x\r\n",
               (1 << 20) + 1);
    buf_add(&text, big, (1 << 20) + 1);
    expect_status("chunked past the limit", buf_str(&text), 413);
    buf_free(&text);
    assert_int_equal(requests, 0);
}

static void tells_that_the_client_left(void **state)
{
    int fd = sockets_connect(port);

    (void)state;
    sockets_send(fd, STR("POST /park HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc"));
    sockets_wait(is_parked, NULL);
    assert_int_equal(gone, 0);
    struct linger reset = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    wait_count(&gone, 1);
    assert_int_equal(accesses, 0);
    on_loop(reply_parked); // frees; under a sanitizer this is the point
    assert_int_equal(accesses, 1);
    assert_int_equal(access_gone, 1);
    on_loop(take_stats);
    assert_int_equal(stats.exchanges, 0);
}

static void idle_and_slow_clients_are_closed(void **state)
{
    int idle = sockets_connect(port);

    (void)state;
    buf_reset(&answer);
    sockets_read_all(idle, &answer);
    assert_int_equal(answer.len, 0);
    close(idle);
    expect_status("slow head", STR("GET / HT"), 408);
    expect_status("slow body", STR("POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\na"), 408);
    assert_int_equal(requests, 0);
}

// A client that asks for much and reads nothing must not keep its connection.
static void stuck_readers_are_closed(void **state)
{
    int fd = sockets_connect(port);

    (void)state;
    sockets_send(fd, STR("GET /big HTTP/1.1\r\n" H "\r\n"));
    wait_count(&accesses, 1);
    sockets_wait(all_closed, NULL);
    close(fd);
}

static void connections_are_limited(void **state)
{
    int first = sockets_connect(port), second = sockets_connect(port);
    int third;

    (void)state;
    sockets_send(first, STR("GET /park HTTP/1.1\r\n" H "\r\n"));
    sockets_wait(is_parked, NULL);
    third = sockets_connect(port);
    buf_reset(&answer);
    sockets_read_all(third, &answer); // closed at once: the first is not yet answered
    assert_int_equal(answer.len, 0);
    on_loop(take_stats);
    assert_int_equal(stats.refused, 1);
    on_loop(reply_parked);
    sockets_read_until(first, &answer, "parked");
    close(first);
    close(second);
    close(third);
}

static void drain_now(void)
{
    http_listener_drain(listener, on_drained, NULL);
}

static bool is_drained(void *arg)
{
    (void)arg;
    return drained;
}

static void drains(void **state)
{
    int idle = sockets_connect(port), busy = sockets_connect(port);

    (void)state;
    buf_reset(&answer);
    sockets_send(busy, STR("GET /park HTTP/1.1\r\n" H "\r\n"));
    sockets_wait(is_parked, NULL);
    on_loop(drain_now);
    sockets_read_all(idle, &answer);
    assert_int_equal(answer.len, 0);
    assert_false(drained);
    on_loop(reply_parked);
    sockets_read_all(busy, &answer);
    assert_non_null(strstr(answer.data, "Connection: close\r\n\r\nparked"));
    close(busy);
    close(idle);
    sockets_wait(is_drained, NULL);
}

static unsigned lean, fat;
static void count_lean(void)
{
    lean = fat = 0;
    for (struct conn *c = listener->lists[CONN_IDLE].first; c; c = c->next) {
        if (!c->in && !c->exchange && !c->body.data && !c->out.data)
            lean++;
        else
            fat++;
    }
}

static bool all_lean(void *arg)
{
    (void)arg;
    on_loop(count_lean);
    return lean == 32;
}

static void idle_connections_hold_no_buffers(void **state)
{
    int fds[32];

    (void)state;
    for (size_t i = 0; i < 32; i++) {
        fds[i] = sockets_connect(port);
        buf_reset(&answer);
        sockets_send(fds[i], STR("POST /echo HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx"));
        sockets_read_until(fds[i], &answer, "\r\n\r\nx");
    }
    sockets_wait(all_lean, NULL);
    assert_int_equal(fat, 0);
    assert_true(sizeof(struct conn) <= 1024);
    for (size_t i = 0; i < 32; i++)
        close(fds[i]);
}

static void a_listener_without_loop_run_can_be_destroyed(void **state)
{
    struct http_listener_options o = {.address = "nonsense"};
    struct err e;

    (void)state;
    o.loop = loop_create("t", 0, &e);
    assert_non_null(o.loop);
    assert_null(http_listener_create(&o, &e));
    assert_int_equal(e.code, ERR_INVALID);
    o.address = "127.0.0.1:0";
    struct http_listener *l = http_listener_create(&o, &e);
    assert_non_null(l);
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", http_listener_port(l));
    o.address = address;
    assert_null(http_listener_create(&o, &e));
    assert_int_equal(e.code, ERR_UNREACHABLE);
    http_listener_destroy(l);
    loop_destroy(o.loop);
}

int main(void)
{
#define LIVE(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)
#define HASTY(f) cmocka_unit_test_setup_teardown(f, setup_hasty, teardown)
    const struct CMUnitTest tests[] = {
        LIVE(answers),
        LIVE(keeps_the_connection),
        LIVE(pipelines_in_order),
        LIVE(pipelines_beyond_the_buffer),
        LIVE(takes_bodies_of_all_sizes),
        LIVE(one_byte_at_a_time),
        LIVE(sends_large_replies),
        LIVE(continues_on_request),
        LIVE(refuses_and_closes),
        LIVE(refuses_what_is_too_large),
        LIVE(tells_that_the_client_left),
        LIVE(drains),
        LIVE(idle_connections_hold_no_buffers),
        HASTY(idle_and_slow_clients_are_closed),
        HASTY(stuck_readers_are_closed),
        HASTY(connections_are_limited),
        cmocka_unit_test(a_listener_without_loop_run_can_be_destroyed),
    };

    big = malloc(BIG_BYTES);
    if (!big)
        return 1;
    for (size_t i = 0; i < BIG_BYTES; i++)
        big[i] = (char)('a' + i % 23);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(big);
    buf_free(&answer);
    return failed;
}
