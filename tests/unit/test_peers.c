// SPDX-License-Identifier: Apache-2.0
// Who speaks for whom: networks, PROXY headers, forwarded fields, connections by address.
#include "facade/http/address_count.h"
#include "facade/http/forwarded.h"
#include "facade/http/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss;

    if (!peers_parse_address(str_of(text), &ss))
        fail_msg("%s is no address", text);
    return ss;
}

static const char *text_of(const struct sockaddr_storage *ss)
{
    static char out[INET6_ADDRSTRLEN];
    const void *bytes = ss->ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)ss)->sin_addr;

    return inet_ntop(ss->ss_family, bytes, out, sizeof(out)) ? out : "?";
}

static struct peers *make(const char *const *networks, size_t n)
{
    struct err e;
    struct peers *p = peers_create(networks, n, &e);

    if (!p)
        fail_msg("%s", e.msg);
    return p;
}

// ---- networks

static void test_networks(void **state)
{
    const char *const networks[] = {"10.0.0.0/8", "192.0.2.1", "fd00::/8", "198.51.100.128/25"};
    const char *const in[] = {"10.0.0.0",  "10.255.255.255", "192.0.2.1",      "fd12::1",
                              "fdff::9:9", "198.51.100.200", "::ffff:10.1.2.3"};
    const char *const out[] = {"11.0.0.0", "9.255.255.255", "192.0.2.2",
                               "fe00::1",  "::1",           "198.51.100.127"};
    struct peers *p = make(networks, 4);

    (void)state;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        struct sockaddr_storage ss = address(in[i]);
        if (!peers_has(p, &ss))
            fail_msg("%s is not trusted", in[i]);
    }
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
        struct sockaddr_storage ss = address(out[i]);
        if (peers_has(p, &ss))
            fail_msg("%s is trusted", out[i]);
    }
    struct sockaddr_storage unix_peer = {.ss_family = AF_UNIX}, any = address("10.0.0.1");
    assert_false(peers_has(p, &unix_peer));
    assert_false(peers_has(NULL, &any));
    peers_destroy(p);
}

static void test_everybody(void **state)
{
    const char *const networks[] = {"0.0.0.0/0", "::/0"};
    struct peers *p = make(networks, 2), *four = make(networks, 1);
    struct sockaddr_storage v4 = address("203.0.113.9"), v6 = address("2001:db8::1");

    (void)state;
    assert_true(peers_has(p, &v4) && peers_has(p, &v6));
    assert_true(peers_has(four, &v4) && !peers_has(four, &v6));
    peers_destroy(p);
    peers_destroy(four);
}

static void test_networks_that_are_none(void **state)
{
    const char *const bad[] = {"",           "10.0.0.0/33",  "10.0.0.1/8",  "fd00::/129",
                               "localhost",  "10.0.0.0/",    "10.0.0.0/-1", "10.0.0/24",
                               "fd00::1/64", "10.0.0.0/8/8", "10.0.0.0 /8"};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peers *p = peers_create(&bad[i], 1, &e);
        if (p)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(e.code, ERR_CONFIG);
    }
}

// ---- PROXY headers

static int parse(struct str s, struct proxy_header *h)
{
    size_t used = 0;
    int rc = proxy_header_parse(s, h, &used);

    if (rc > 0)
        assert_true(used > 0 && used <= s.len);
    // Every shorter beginning asks for more, and never for what is behind the header.
    for (size_t n = 0; rc > 0 && n < used; n++) {
        struct proxy_header part;
        size_t none;
        assert_int_equal(proxy_header_parse(str_n(s.data, n), &part, &none), 0);
    }
    return rc;
}

static void test_proxy_lines(void **state)
{
    struct proxy_header h;

    (void)state;
    assert_int_equal(parse(STR("PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\nGET"), &h), 1);
    assert_true(h.told);
    assert_string_equal(text_of(&h.client), "192.0.2.7");
    assert_int_equal(((struct sockaddr_in *)&h.client)->sin_port, htons(4660));
    assert_int_equal(parse(STR("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), &h), 1);
    assert_string_equal(text_of(&h.client), "2001:db8::7");
    assert_int_equal(parse(STR("PROXY UNKNOWN\r\n"), &h), 1);
    assert_false(h.told);
    assert_int_equal(parse(STR("PROXY UNKNOWN ff ff 1 2 whatever\r\n"), &h), 1);
    assert_false(h.told);
}

static void test_proxy_lines_that_are_none(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
        "PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN 0000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proxy_header h;
        if (parse(str_of(bad[i]), &h) >= 0)
            fail_msg("taken: %s", bad[i]);
    }
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x34\x01\xbb"
#define V6_A      "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"

static void test_proxy_binary(void **state)
{
    struct proxy_header h;

    (void)state;
    assert_int_equal(parse(STR(SIGNATURE "\x21\x11\0\x0c" V4 "rest"), &h), 1);
    assert_true(h.told);
    assert_string_equal(text_of(&h.client), "192.0.2.7");
    assert_int_equal(((struct sockaddr_in *)&h.client)->sin_port, htons(0x1234));
    assert_int_equal(parse(STR(SIGNATURE "\x21\x21\0\x24" V6_A V6_A "\x12\x34\x01\xbb"), &h), 1);
    assert_string_equal(text_of(&h.client), "2001:db8::7");
    assert_int_equal(parse(STR(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\x01x\x05\0\0"), &h), 1);
    assert_true(h.told); // with two extensions
    assert_int_equal(parse(STR(SIGNATURE "\x20\x00\0\0"), &h), 1);
    assert_false(h.told);
    assert_int_equal(parse(STR(SIGNATURE "\x20\x11\0\x0c" V4), &h), 1);
    assert_false(h.told); // LOCAL: addresses are to be ignored
    assert_int_equal(parse(STR(SIGNATURE "\x21\x00\0\x03xyz"), &h), 1);
    assert_false(h.told);
}

static void test_proxy_binary_that_is_none(void **state)
{
    const struct str bad[] = {
        STR(SIGNATURE "\x11\x11\0\x0c" V4),              // version 1
        STR(SIGNATURE "\x22\x11\0\x0c" V4),              // no such command
        STR(SIGNATURE "\x21\x12\0\x0c" V4),              // datagrams
        STR(SIGNATURE "\x21\x41\0\x0c" V4),              // no such family
        STR(SIGNATURE "\x21\x11\0\x0b" V4),              // too short for its family
        STR(SIGNATURE "\x21\x11\xff\xff" V4),            // longer than we take
        STR(SIGNATURE "\x21\x11\0\x0f" V4 "\x04\0\x01"), // an extension is cut
        STR("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c" V4),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proxy_header h;
        if (parse(bad[i], &h) >= 0)
            fail_msg("case %zu was taken", i);
    }
}

// ---- forwarded fields

struct forwarded_case {
    enum forwarded_field field;
    const char *lines[3];
    const char *client;
    bool https;
};

static void expect_client(const struct peers *trusted, const struct forwarded_case *c)
{
    struct http_header headers[4];
    size_t n = 0;
    struct sockaddr_storage client = address("10.0.0.1");
    bool https = false;

    for (size_t i = 0; i < 3 && c->lines[i]; i++) {
        const char *colon = strchr(c->lines[i], ':');
        assert_non_null(colon);
        headers[n++] = (struct http_header){str_n(c->lines[i], (size_t)(colon - c->lines[i])),
                                            str_of(colon + 1)};
    }
    forwarded_client(headers, n, c->field, trusted, &client, &https);
    if (strcmp(text_of(&client), c->client) != 0 || https != c->https)
        fail_msg("%s: %s, https %d", c->lines[0], text_of(&client), https);
}

static void test_forwarded(void **state)
{
    const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};
    struct peers *trusted = make(networks, 2);
    static const struct forwarded_case cases[] = {
        {FORWARDED_NONE, {"X-Forwarded-For:192.0.2.1"}, "10.0.0.1", false},
        {FORWARDED_RFC, {"X-Forwarded-For:192.0.2.1"}, "10.0.0.1", false},
        {FORWARDED_X, {"Forwarded:for=192.0.2.1"}, "10.0.0.1", false},
        {FORWARDED_X, {"X-Forwarded-For:192.0.2.1"}, "192.0.2.1", false},
        {FORWARDED_X, {"x-forwarded-for:192.0.2.1", "X-Forwarded-Proto:https"}, "192.0.2.1", true},
        {FORWARDED_X,
         {"X-Forwarded-For:192.0.2.1", "X-Forwarded-Proto:https, http"},
         "192.0.2.1",
         false},
        // what the client itself wrote stands left of what the proxies know
        {FORWARDED_X, {"X-Forwarded-For:6.6.6.6, 192.0.2.1"}, "192.0.2.1", false},
        {FORWARDED_X, {"X-Forwarded-For:6.6.6.6, 192.0.2.1, 10.2.3.4"}, "192.0.2.1", false},
        {FORWARDED_X,
         {"X-Forwarded-For:6.6.6.6", "X-Forwarded-For:192.0.2.1,10.2.3.4"},
         "192.0.2.1",
         false},
        {FORWARDED_X, {"X-Forwarded-For:10.6.6.6, 10.2.3.4"}, "10.6.6.6", false}, // all trusted
        {FORWARDED_X, {"X-Forwarded-For:192.0.2.1, unknown"}, "10.0.0.1", false},
        {FORWARDED_X, {"X-Forwarded-For:192.0.2.1, , 10.2.3.4"}, "10.2.3.4", false},
        {FORWARDED_X, {"X-Forwarded-For:"}, "10.0.0.1", false},
        {FORWARDED_X, {"X-Forwarded-For:,,,,"}, "10.0.0.1", false},
        {FORWARDED_X, {"X-Forwarded-For:192.0.2.1:4711"}, "192.0.2.1", false},
        {FORWARDED_X, {"X-Forwarded-For:[2001:db8::1]:4711, fd00::1"}, "2001:db8::1", false},
        {FORWARDED_X, {"X-Forwarded-For:2001:db8::1"}, "2001:db8::1", false},
        {FORWARDED_X, {"X-Forwarded-For:192.0.2.1\"x"}, "10.0.0.1", false},
        {FORWARDED_RFC, {"Forwarded:for=192.0.2.1;proto=https;by=10.0.0.1"}, "192.0.2.1", true},
        {FORWARDED_RFC, {"Forwarded:For=\"[2001:db8::1]:80\""}, "2001:db8::1", false},
        {FORWARDED_RFC, {"Forwarded:for=6.6.6.6, for=192.0.2.1;proto=http"}, "192.0.2.1", false},
        {FORWARDED_RFC, {"Forwarded:for=\"6.6.6.6, for=192.0.2.1"}, "192.0.2.1", false},
        {FORWARDED_RFC, {"Forwarded:for=192.0.2.1, for=_hidden"}, "10.0.0.1", false},
        {FORWARDED_RFC, {"Forwarded:for=192.0.2.1, for=unknown, for=10.1.1.1"}, "10.1.1.1", false},
        {FORWARDED_RFC, {"Forwarded:by=10.0.0.1;proto=https"}, "10.0.0.1", true},
        {FORWARDED_RFC, {"Forwarded:for=\"192.0.2.1\\\""}, "10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_client(trusted, &cases[i]);
    peers_destroy(trusted);
}

static void test_strangers_are_not_believed(void **state)
{
    const char *const networks[] = {"10.0.0.0/8"};
    struct peers *trusted = make(networks, 1);
    struct http_header h = {STR("X-Forwarded-For"), STR("192.0.2.1")};
    struct sockaddr_storage client = address("192.0.2.99");
    bool https = true;

    (void)state;
    forwarded_client(&h, 1, FORWARDED_X, trusted, &client, &https);
    assert_string_equal(text_of(&client), "192.0.2.99");
    assert_true(https);
    peers_destroy(trusted);
}

// ---- connections by address

static void test_address_count(void **state)
{
    struct err e;
    struct address_count *a = address_count_create(2, &e);
    struct sockaddr_storage one = address("192.0.2.1"), two = address("192.0.2.2");
    struct sockaddr_storage six = address("2001:db8:0:1::1"),
                            same = address("2001:db8:0:1:ffff::2"),
                            other = address("2001:db8:0:2::1");

    (void)state;
    assert_non_null(a);
    assert_true(address_count_enter(a, &one) && address_count_enter(a, &one));
    assert_false(address_count_enter(a, &one));
    assert_true(address_count_enter(a, &two));
    address_count_leave(a, &one);
    assert_true(address_count_enter(a, &one));
    assert_true(address_count_enter(a, &six) && address_count_enter(a, &same)); // one /64
    assert_false(address_count_enter(a, &six));
    assert_true(address_count_enter(a, &other));
    for (unsigned i = 0; i < 20000; i++) { // every entry goes with its last connection
        struct sockaddr_in many = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i)};
        struct sockaddr_storage ss = {0};
        memcpy(&ss, &many, sizeof(many));
        assert_true(address_count_enter(a, &ss) && address_count_enter(a, &ss));
        address_count_leave(a, &ss);
        address_count_leave(a, &ss);
    }
    address_count_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_networks_that_are_none),
        cmocka_unit_test(test_proxy_lines),
        cmocka_unit_test(test_proxy_lines_that_are_none),
        cmocka_unit_test(test_proxy_binary),
        cmocka_unit_test(test_proxy_binary_that_is_none),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_strangers_are_not_believed),
        cmocka_unit_test(test_address_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
