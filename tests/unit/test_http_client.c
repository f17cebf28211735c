// SPDX-License-Identifier: Apache-2.0
// The HTTP client against a scripted server: this thread plays the upstream, a loop's
// thread runs the client.
#include "connectors/http/http_client.h"

#include "sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static struct http_client *client;
static struct http_upstream *upstream;
static int server;
static unsigned port;
static struct buf got; // what the upstream read

// One call and what became of it.
struct job {
    struct mail mail;
    const char *method, *target, *body;
    unsigned deadline_ms;
    bool cancel, again; // cancel right after sending; send another from within done
    struct http_call *call;
    enum err_code sent_code; // of http_client_send
    enum err_code code;
    unsigned status;
    char text[64], type[32];
    _Atomic unsigned ended;
    _Atomic bool started;
};

static void submit(struct job *j);

static void on_done(void *ctx, struct err *e, const struct http_client_response *r)
{
    struct job *j = ctx;

    j->code = e ? e->code : ERR_NONE;
    if (r) {
        j->status = r->status;
        snprintf(j->text, sizeof(j->text), "%.*s", (int)r->body.len,
                 r->body.data ? r->body.data : "");
        struct str type = wire_find(r->headers, r->nheaders, "content-type");
        snprintf(j->type, sizeof(j->type), "%.*s", (int)type.len, type.data ? type.data : "");
    }
    if (j->again) {
        j->again = false;
        submit(j);
    }
    j->ended++;
}

static void submit(struct job *j)
{
    struct http_header h = {STR("X-Call"), STR("1")};
    struct http_client_request r = {.upstream = upstream,
                                    .method = str_of(j->method),
                                    .target = str_of(j->target),
                                    .headers = &h,
                                    .nheaders = 1,
                                    .body = str_of(j->body),
                                    .deadline_ms = j->deadline_ms,
                                    .done = on_done,
                                    .ctx = j};
    struct err e = {0};

    if (http_client_send(client, &r, &j->call, &e) != 0)
        j->sent_code = e.code;
    else if (j->cancel)
        http_call_cancel(j->call);
}

static void on_mail(struct mail *m)
{
    struct job *j = (struct job *)m;

    submit(j);
    j->started = true;
}

static bool is_started(void *arg)
{
    return ((struct job *)arg)->started;
}

static bool is_ended(void *arg)
{
    return ((struct job *)arg)->ended > 0;
}

static bool is_ended_twice(void *arg)
{
    return ((struct job *)arg)->ended > 1;
}

static void send_job(struct job *j)
{
    j->mail.deliver = on_mail;
    if (!j->method)
        j->method = "GET";
    if (!j->target)
        j->target = "/x?y";
    if (!j->deadline_ms)
        j->deadline_ms = SOCKETS_WAIT_MS;
    j->started = false;
    j->ended = 0;
    j->text[0] = '\0';
    mailbox_post(loop_mailbox(loop), &j->mail);
    sockets_wait(is_started, j);
}

static void expect_end(struct job *j, enum err_code code, const char *text)
{
    sockets_wait(is_ended, j);
    if (j->code != code || strcmp(j->text, text) != 0)
        fail_msg("ended %s with \"%s\", not %s with \"%s\"", err_name(j->code), j->text,
                 err_name(code), text);
}

static int setup(void **state)
{
    struct http_client_options o = {
        .connections_max = 2, .queue_max = 1, .header_max = 4096, .body_max = 100000};
    char url[64];
    struct err e;

    (void)state;
    server = sockets_listen(&port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/api/", port);
    loop = loop_create("test", 0, &e);
    o.loop = loop;
    client = loop ? http_client_create(&o, &e) : NULL;
    if (!client || http_client_upstream(client, url, &upstream, &e) != 0)
        return -1;
    return loop_start(loop, &e);
}

static int teardown(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_join(loop);
    http_client_destroy(client);
    loop_destroy(loop);
    close(server);
    return 0;
}

struct count {
    struct mail mail;
    struct http_upstream_stats *out;
    _Atomic bool done;
};

static void on_count(struct mail *m)
{
    struct count *c = (struct count *)m;

    http_upstream_stats(upstream, c->out);
    c->done = true;
}

static bool is_counted(void *arg)
{
    return ((struct count *)arg)->done;
}

static void take_stats(struct http_upstream_stats *out)
{
    struct count c = {.mail.deliver = on_count, .out = out};

    mailbox_post(loop_mailbox(loop), &c.mail);
    sockets_wait(is_counted, &c);
}

// Reads one request (a body ends with "!") and answers.
static void serve(int fd, const char *until, struct str reply)
{
    buf_reset(&got);
    sockets_read_until(fd, &got, until);
    sockets_send(fd, reply);
}

#define OK(length, text) STR("HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" text)

static void sends_and_receives(void **state)
{
    struct job j = {.method = "POST", .body = "body!"};

    (void)state;
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "body!",
          STR("HTTP/1.1 201 Created\r\nContent-Type: a/b\r\nContent-Length: 4\r\n"
              "\r\ntext"));
    expect_end(&j, ERR_NONE, "text");
    assert_int_equal(j.status, 201);
    assert_string_equal(j.type, "a/b");
    char expected[128];
    snprintf(expected, sizeof(expected),
             "POST /api/x?y HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-Call: 1\r\n"
             "Content-Length: 5\r\n\r\nbody!",
             port);
    assert_string_equal(got.data, expected);
    close(fd);
}

static void reuses_the_connection(void **state)
{
    struct job j = {0};
    struct http_upstream_stats s;

    (void)state;
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", OK("1", "a"));
    expect_end(&j, ERR_NONE, "a");
    for (int i = 0; i < 3; i++) {
        send_job(&j);
        serve(fd, "\r\n\r\n",
              STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "2\r\nbc\r\n0\r\n\r\n"));
        expect_end(&j, ERR_NONE, "bc");
    }
    struct job head = {.method = "HEAD"};
    send_job(&head);
    serve(fd, "\r\n\r\n", STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
    expect_end(&head, ERR_NONE, "");
    send_job(&head);
    serve(fd, "\r\n\r\n",
          STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n"
              "HTTP/1.1 204 OK\r\n\r\n"));
    expect_end(&head, ERR_NONE, "");
    assert_int_equal(head.status, 204);
    take_stats(&s);
    assert_int_equal(s.opened, 1);
    assert_int_equal(s.retried, 0);
    close(fd);
}

static void reads_replies_in_any_pieces(void **state)
{
    static const struct str replies[] = {
        STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        STR("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
            "1\r\na\r\n2;x\r\nbc\r\n0\r\nT: x\r\n\r\n"),
    };
    struct job j = {0};
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        send_job(&j);
        if (fd < 0)
            fd = sockets_accept(server);
        buf_reset(&got);
        sockets_read_until(fd, &got, "\r\n\r\n");
        for (size_t at = 0; at < replies[i].len; at++)
            sockets_send(fd, str_n(replies[i].data + at, 1));
        expect_end(&j, ERR_NONE, "abc");
    }
    close(fd);
}

static void close_delimited_body(void **state)
{
    struct job j = {0};

    (void)state;
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", STR("HTTP/1.0 200 OK\r\n\r\nto the end"));
    close(fd);
    expect_end(&j, ERR_NONE, "to the end");
}

static void large_bodies(void **state)
{
    static char body[70000];
    struct job j = {0};

    (void)state;
    memset(body, 'x', sizeof(body));
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", STR("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"));
    sockets_send(fd, str_n(body, sizeof(body)));
    sockets_wait(is_ended, &j);
    assert_int_equal(j.code, ERR_NONE);
    assert_int_equal(strlen(j.text), sizeof(j.text) - 1);
    send_job(&j);
    serve(fd, "\r\n\r\n", STR("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"));
    sockets_wait(is_ended, &j);
    assert_int_equal(j.code, ERR_LIMIT);
    close(fd);
}

static void refuses_malformed_replies(void **state)
{
    static const struct {
        struct str reply;
        enum err_code code;
    } bad[] = {
        {STR("hello\r\n\r\n"), ERR_INVALID},
        {STR("HTTP/1.1 200 OK\nContent-Length: 1\n\na"), ERR_INVALID},
        {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"), ERR_INVALID},
        {STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na"),
         ERR_INVALID},
        {STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"), ERR_INVALID},
        {STR("HTTP/1.1 101 Switch\r\n\r\n"), ERR_INVALID},
        {STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), ERR_UNREACHABLE}, // cut
        {STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), ERR_UNREACHABLE},
        {STR("HTTP/1.1 200 OK\r\nContent-Le"), ERR_UNREACHABLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct job j = {0};
        send_job(&j);
        int fd = sockets_accept(server);
        serve(fd, "\r\n\r\n", bad[i].reply);
        if (bad[i].code == ERR_UNREACHABLE)
            close(fd);
        expect_end(&j, bad[i].code, "");
        if (bad[i].code != ERR_UNREACHABLE)
            close(fd);
    }
}

static void head_limit(void **state)
{
    struct job j = {0};
    struct buf reply = BUF_INIT;

    (void)state;
    buf_addz(&reply, "HTTP/1.1 200 OK\r\nX: ");
    for (int i = 0; i < 5000; i++)
        buf_addc(&reply, 'a');
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", buf_str(&reply));
    expect_end(&j, ERR_LIMIT, "");
    close(fd);
    buf_free(&reply);
}

// A kept connection that the server closes as the next request arrives.
static void retries_only_what_may_be_repeated(void **state)
{
    struct job j = {0}, post = {.method = "POST", .body = "!"};
    struct http_upstream_stats s;

    (void)state;
    send_job(&j);
    int fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", OK("1", "a"));
    expect_end(&j, ERR_NONE, "a");
    send_job(&j);
    buf_reset(&got);
    sockets_read_until(fd, &got, "\r\n\r\n");
    close(fd); // no byte of a reply
    fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", OK("1", "b"));
    expect_end(&j, ERR_NONE, "b");
    take_stats(&s);
    assert_int_equal(s.retried, 1);

    send_job(&post);
    buf_reset(&got);
    sockets_read_until(fd, &got, "!");
    close(fd);
    expect_end(&post, ERR_UNKNOWN_OUTCOME, "");

    send_job(&j); // a fresh connection that breaks is not tried again
    fd = sockets_accept(server);
    buf_reset(&got);
    sockets_read_until(fd, &got, "\r\n\r\n");
    close(fd);
    expect_end(&j, ERR_UNREACHABLE, "");
}

static void deadlines(void **state)
{
    struct job get = {.deadline_ms = 50}, post = {.method = "POST", .deadline_ms = 50};

    (void)state;
    send_job(&get);
    send_job(&post);
    expect_end(&get, ERR_TIMEOUT, "");
    expect_end(&post, ERR_UNKNOWN_OUTCOME, "");
    int fd = sockets_accept(server); // both connections are closed by the client
    buf_reset(&got);
    sockets_read_all(fd, &got);
    close(fd);
}

static void queues_and_refuses(void **state)
{
    struct job a = {0}, b = {0}, c = {.deadline_ms = SOCKETS_WAIT_MS}, d = {0};

    (void)state;
    send_job(&a);
    send_job(&b);
    send_job(&c); // waits: two connections at most
    send_job(&d); // no room to wait
    assert_int_equal(d.sent_code, ERR_BUSY);
    int first = sockets_accept(server), second = sockets_accept(server);
    serve(first, "\r\n\r\n", OK("1", "1"));
    serve(first, "\r\n\r\n", OK("1", "3"));
    serve(second, "\r\n\r\n", OK("1", "2"));
    sockets_wait(is_ended, &a);
    sockets_wait(is_ended, &b);
    expect_end(&c, ERR_NONE, "3");
    close(first);
    close(second);
}

static void sends_from_within_done(void **state)
{
    struct job j = {.again = true};

    (void)state;
    send_job(&j);
    int first = sockets_accept(server);
    serve(first, "\r\n\r\n", OK("1", "1"));
    int second = sockets_accept(server); // the first is still delivering
    serve(second, "\r\n\r\n", OK("1", "2"));
    sockets_wait(is_ended_twice, &j);
    expect_end(&j, ERR_NONE, "2");
    close(first);
    close(second);
}

static void cancels(void **state)
{
    struct job j = {.cancel = true}, next = {0};

    (void)state;
    send_job(&j);
    int fd = sockets_accept(server);
    buf_reset(&got);
    sockets_read_all(fd, &got); // the connection was closed
    close(fd);
    send_job(&next);
    fd = sockets_accept(server);
    serve(fd, "\r\n\r\n", OK("1", "a"));
    expect_end(&next, ERR_NONE, "a");
    assert_int_equal(j.ended, 0);
    close(fd);
}

static void nobody_listens(void **state)
{
    struct job j = {.deadline_ms = SOCKETS_WAIT_MS};

    (void)state;
    close(server);
    send_job(&j);
    if (j.sent_code == ERR_NONE)
        expect_end(&j, ERR_UNREACHABLE, "");
    else
        assert_int_equal(j.sent_code, ERR_UNREACHABLE);
    server = sockets_listen(&port);
}

static void destroying_ends_calls(void **state)
{
    static struct job j, k, waiting;

    (void)state;
    send_job(&j);
    send_job(&k);
    send_job(&waiting);
    waiting.again = true; // refused while closing
    loop_stop(loop);
    loop_join(loop);
    http_client_destroy(client);
    client = NULL;
    assert_int_equal(j.code, ERR_CANCELLED);
    assert_int_equal(k.code, ERR_CANCELLED);
    assert_int_equal(waiting.code, ERR_CANCELLED);
    assert_int_equal(waiting.sent_code, ERR_CANCELLED);
}

static void checks_urls_and_requests(void **state)
{
    static const struct {
        const char *url;
        enum err_code code;
    } bad[] = {
        {"https://a", ERR_UNSUPPORTED}, {"ftp://a", ERR_INVALID},
        {"http://", ERR_INVALID},       {"http://a:0", ERR_INVALID},
        {"http://a:x", ERR_INVALID},    {"http://u@a", ERR_INVALID},
        {"http://a/b c", ERR_INVALID},  {"http://a:65536", ERR_INVALID},
    };
    struct http_upstream *u;
    struct err e;
    struct job method = {.method = "GE T"}, target = {.target = "x"},
               forged = {.target = "/ HTTP/1.1\r\nX: y"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(http_client_upstream(client, bad[i].url, &u, &e), -1);
        assert_int_equal(e.code, bad[i].code);
    }
    send_job(&method);
    assert_int_equal(method.sent_code, ERR_INVALID);
    send_job(&target);
    assert_int_equal(target.sent_code, ERR_INVALID);
    send_job(&forged);
    assert_int_equal(forged.sent_code, ERR_INVALID);
}

int main(void)
{
#define LIVE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        LIVE(sends_and_receives),
        LIVE(reuses_the_connection),
        LIVE(reads_replies_in_any_pieces),
        LIVE(close_delimited_body),
        LIVE(large_bodies),
        LIVE(refuses_malformed_replies),
        LIVE(head_limit),
        LIVE(retries_only_what_may_be_repeated),
        LIVE(deadlines),
        LIVE(queues_and_refuses),
        LIVE(sends_from_within_done),
        LIVE(cancels),
        LIVE(nobody_listens),
        LIVE(destroying_ends_calls),
        LIVE(checks_urls_and_requests),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    buf_free(&got);
    return failed;
}
