// SPDX-License-Identifier: Apache-2.0
// The HTTP wire grammar: what is taken, what is refused and with which status.
#include "connectors/http/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

// Status of the fault, 0 when the whole text was taken as one request head.
static unsigned request_fault(struct str text, struct http_header *headers, struct wire_head *out)
{
    struct wire_fault f = {0};
    size_t scanned = 0, len = 0;
    int rc = wire_find_end(text, &scanned, &len, &f);

    if (rc < 0)
        return f.status;
    assert_int_equal(rc, 1);
    if (wire_parse_request(str_n(text.data, len), headers, out, &f) != 0) {
        assert_non_null(f.why);
        return f.status;
    }
    return 0;
}

struct probe {
    const char *name;
    struct str text;
    unsigned status;
};

#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct probe refused[] = {
    {"two lengths that differ", STR(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400},
    {"two lengths that agree", STR(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400},
    {"length list", STR(POST "Content-Length: 5, 5\r\n\r\n"), 400},
    {"length with plus", STR(POST "Content-Length: +5\r\n\r\n"), 400},
    {"length negative", STR(POST "Content-Length: -1\r\n\r\n"), 400},
    {"length in hex", STR(POST "Content-Length: 0x5\r\n\r\n"), 400},
    {"length with letters", STR(POST "Content-Length: 5abc\r\n\r\n"), 400},
    {"length with blank inside", STR(POST "Content-Length: 5 5\r\n\r\n"), 400},
    {"length empty", STR(POST "Content-Length:\r\n\r\n"), 400},
    {"length past 64 bits", STR(POST "Content-Length: 18446744073709551621\r\n\r\n"), 413},
    {"length beside coding", STR(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {"coding beside length", STR(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
     400},
    {"blank before colon", STR(POST "Transfer-Encoding : chunked\r\n\r\n"), 400},
    {"tab before colon", STR(POST "Transfer-Encoding\t: chunked\r\n\r\n"), 400},
    {"coding xchunked", STR(POST "Transfer-Encoding: xchunked\r\n\r\n"), 501},
    {"coding gzip, chunked", STR(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501},
    {"coding chunked, chunked", STR(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), 501},
    {"coding twice", STR(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400},
    {"coding identity then chunked",
     STR(POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"coding empty", STR(POST "Transfer-Encoding:\r\n\r\n"), 400},
    {"coding in 1.0", STR("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"coding with vertical tab",
     STR(POST "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n"),
     400},
    {"NUL in value", STR(GET HOST "X: a\0b\r\n\r\n"), 400},
    {"NUL in name", STR(GET HOST "X\0: a\r\n\r\n"), 400},
    {"CR in value", STR(GET HOST "X: a\rb\r\n\r\n"), 400},
    {"DEL in value", STR(GET HOST "X: a\x7f\r\n\r\n"), 400},
    {"bare LF after request line", STR("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400},
    {"bare LF after field", STR(GET "Host: a\nX: b\r\n\r\n"), 400},
    {"bare LF as blank line", STR(GET HOST "\n"), 400},
    {"folded field", STR(GET HOST "X: a\r\n b\r\n\r\n"), 400},
    {"folded with tab", STR(GET HOST "X: a\r\n\tb\r\n\r\n"), 400},
    {"blank before the first field", STR(GET " Host: a\r\n\r\n"), 400},
    {"no colon", STR(GET HOST "Xab\r\n\r\n"), 400},
    {"empty name", STR(GET HOST ": a\r\n\r\n"), 400},
    {"blank in name", STR(GET HOST "X Y: a\r\n\r\n"), 400},
    {"two hosts", STR(GET HOST "Host: b\r\n\r\n"), 400},
    {"two equal hosts", STR(GET HOST HOST "\r\n"), 400},
    {"no host", STR(GET "\r\n"), 400},
    {"host with path", STR(GET "Host: a/b\r\n\r\n"), 400},
    {"host with user", STR(GET "Host: u@a\r\n\r\n"), 400},
    {"host with blank", STR(GET "Host: a b\r\n\r\n"), 400},
    {"host list", STR(GET "Host: a, b\r\n\r\n"), 400},
    {"blank in target", STR("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"blank in method", STR("GE T / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"two blanks", STR("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"two blanks before version", STR("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"trailing blank", STR("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
    {"tab as separator", STR("GET\t/\tHTTP/1.1\r\n" HOST "\r\n"), 400},
    {"no target", STR("GET HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"HTTP/0.9", STR("GET /\r\n\r\n"), 400},
    {"empty request line", STR("\r\n"), 400},
    {"fragment", STR("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"raw byte in target", STR("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"NUL in target", STR("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"relative target", STR("GET a HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"asterisk for GET", STR("GET * HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"authority with user", STR("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"empty authority", STR("GET http:///a HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"other scheme", STR("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"connect", STR("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), 501},
    {"long method", STR("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI / HTTP/1.1\r\n" HOST "\r\n"), 501},
    {"HTTP/9.9", STR("GET / HTTP/9.9\r\n" HOST "\r\n"), 505},
    {"HTTP/2.0", STR("GET / HTTP/2.0\r\n" HOST "\r\n"), 505},
    {"backslash in path", STR("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"backslash in absolute path", STR("GET http://a/a\\b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"port with a letter", STR("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"), 400},
    {"two ports", STR("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"), 400},
    {"open bracket in host", STR("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"), 400},
    {"bracket inside host", STR("GET / HTTP/1.1\r\nHost: a[1]\r\n\r\n"), 400},
    {"port with a letter in target", STR("GET http://a:8x/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"HTTP/1.11", STR("GET / HTTP/1.11\r\n" HOST "\r\n"), 400},
    {"http/1.1", STR("GET / http/1.1\r\n" HOST "\r\n"), 400},
    {"expect foo", STR(POST "Expect: foo\r\nContent-Length: 1\r\n\r\n"), 417},
    {"expect twice", STR(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), 417},
};

static void refuses(void **state)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        unsigned status = request_fault(refused[i].text, headers, &h);
        if (status != refused[i].status)
            fail_msg("%s: %u instead of %u", refused[i].name, status, refused[i].status);
    }
}

static void takes_a_plain_request(void **state)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;
    struct str text = STR("POST /a/b?c=d HTTP/1.1\r\nhOST: crm.example:8080\r\nX-Empty:\r\n"
                          "Content-Length:  12 \t\r\nAccept: a, b\r\n\r\n");

    (void)state;
    assert_int_equal(request_fault(text, headers, &h), 0);
    assert_true(str_eqz(h.method, "POST"));
    assert_true(str_eqz(h.target, "/a/b?c=d"));
    assert_true(str_eqz(h.host, "crm.example:8080"));
    assert_int_equal(h.framing, WIRE_LENGTH);
    assert_int_equal(h.length, 12);
    assert_int_equal(h.nheaders, 4);
    assert_true(h.keep_alive);
    assert_false(h.http10);
    assert_true(str_eqz(wire_find(h.headers, h.nheaders, "x-empty"), ""));
    assert_non_null(wire_find(h.headers, h.nheaders, "x-empty").data);
    assert_null(wire_find(h.headers, h.nheaders, "x-none").data);
    assert_true(wire_has_token(h.headers, h.nheaders, "accept", "B"));
    assert_false(wire_has_token(h.headers, h.nheaders, "accept", "c"));
}

static void takes_what_is_legal_though_rare(void **state)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;

    (void)state;
    assert_int_equal(
        request_fault(STR("GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), headers, &h), 0);
    assert_true(str_eqz(h.target, "/x?y"));
    assert_true(str_eqz(h.host, "b:1"));
    assert_int_equal(request_fault(STR("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n"), headers, &h),
                     0);
    assert_true(str_eqz(h.target, "/"));
    assert_int_equal(request_fault(STR("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), headers, &h), 0);
    assert_true(str_eqz(h.target, "*"));
    assert_int_equal(request_fault(STR("BREW / HTTP/1.1\r\nHost:\r\n\r\n"), headers, &h), 0);
    assert_true(str_eqz(h.method, "BREW"));
    assert_int_equal(h.host.len, 0);
    assert_int_equal(request_fault(STR("GET / HTTP/1.0\r\n\r\n"), headers, &h), 0);
    assert_true(h.http10);
    assert_false(h.keep_alive);
    assert_null(h.host.data);
    assert_int_equal(
        request_fault(STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), headers, &h), 0);
    assert_true(h.keep_alive);
    assert_int_equal(request_fault(STR(GET "Host: a\r\nConnection: x, Close\r\n\r\n"), headers, &h),
                     0);
    assert_false(h.keep_alive);
    assert_int_equal(request_fault(STR(POST "Transfer-Encoding: Chunked\r\n\r\n"), headers, &h), 0);
    assert_int_equal(h.framing, WIRE_CHUNKED);
    assert_int_equal(request_fault(STR(POST "Expect: 100-Continue\r\n\r\n"), headers, &h), 0);
    assert_true(h.expect_continue);
    assert_int_equal(request_fault(STR(GET HOST "X: \xc3\xa9\t!\r\n\r\n"), headers, &h), 0);
}

static void limits_the_number_of_fields(void **state)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text), GET HOST);

    (void)state;
    for (int i = 1; i < WIRE_HEADERS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "X: %d\r\n", i);
    memcpy(text + n, "\r\n", 3);
    assert_int_equal(request_fault(str_n(text, n + 2), headers, &h), 0);
    assert_int_equal(h.nheaders, WIRE_HEADERS_MAX);
    memcpy(text + n, "Y: 1\r\n\r\n", 9);
    assert_int_equal(request_fault(str_n(text, n + 8), headers, &h), 431);
}

static void finds_the_end_byte_by_byte(void **state)
{
    struct str text = STR(GET HOST "\r\nrest\n");
    size_t scanned = 0, len = 0;
    struct wire_fault f;

    (void)state;
    for (size_t n = 0; n < text.len; n++) {
        int rc = wire_find_end(str_n(text.data, n), &scanned, &len, &f);
        if (n < sizeof(GET HOST "\r\n") - 1) {
            assert_int_equal(rc, 0);
            continue;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(len, sizeof(GET HOST "\r\n") - 1);
        break;
    }
}

// ---- responses

static int response(struct str text, bool head, struct http_header *headers, struct wire_head *out,
                    struct wire_fault *f)
{
    size_t scanned = 0, len = 0;

    if (wire_find_end(text, &scanned, &len, f) != 1)
        return -1;
    return wire_parse_response(str_n(text.data, len), head, headers, out, f);
}

static void parses_responses(void **state)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;
    struct wire_fault f;

    (void)state;
    assert_int_equal(
        response(STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), false, headers, &h, &f), 0);
    assert_int_equal(h.status, 200);
    assert_int_equal(h.framing, WIRE_LENGTH);
    assert_true(h.keep_alive);
    assert_int_equal(
        response(STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), true, headers, &h, &f), 0);
    assert_int_equal(h.framing, WIRE_NO_BODY);
    assert_int_equal(response(STR("HTTP/1.1 404\r\n\r\n"), false, headers, &h, &f), 0);
    assert_int_equal(h.framing, WIRE_TO_CLOSE);
    assert_false(h.keep_alive);
    assert_int_equal(
        response(STR("HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n"), false, headers, &h, &f), 0);
    assert_int_equal(h.framing, WIRE_NO_BODY);
    assert_int_equal(response(STR("HTTP/1.0 200 x\r\n\r\n"), false, headers, &h, &f), 0);
    assert_false(h.keep_alive);
}

static void refuses_bad_responses(void **state)
{
    static const struct str bad[] = {
        STR("\r\n"),
        STR("HTTP/1.1\r\n\r\n"),
        STR("HTTP/1.1 20 OK\r\n\r\n"),
        STR("HTTP/1.1 2000 OK\r\n\r\n"),
        STR("HTTP/1.1 099 OK\r\n\r\n"),
        STR("HTTP/1.1 999 OK\r\n\r\n"),
        STR("HTTP/2.0 200 OK\r\n\r\n"),
        STR("HTTP/1.1  200 OK\r\n\r\n"),
        STR("HTTP/1.1 200 O\0K\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
        STR("HTTP/1.1 200 OK\nA: b\r\n\r\n"),
        STR("ICY 200 OK yes\r\n\r\n"),
    };
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;
    struct wire_fault f;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (response(bad[i], false, headers, &h, &f) != -1)
            fail_msg("took %.*s", (int)bad[i].len, bad[i].data);
}

// ---- chunks

// Decodes text given in pieces of `step` bytes into out. Returns 1, 0 or -1 as the decoder.
static int unchunk(struct str text, size_t step, char *out, size_t *used, unsigned *status)
{
    struct wire_chunks c = {0};
    struct wire_fault f;
    size_t at = 0, end = 0, len = 0;
    int rc = 0;

    while (rc == 0) {
        if (at == end) {
            if (end == text.len)
                break;
            end = end + step < text.len ? end + step : text.len;
        }
        struct str data;
        size_t n = 0;
        rc = wire_chunks_next(&c, str_n(text.data + at, end - at), &n, &data, &f);
        if (rc < 0) {
            *status = f.status;
            return -1;
        }
        memcpy(out + len, data.data, data.len);
        len += data.len;
        at += n;
    }
    out[len] = '\0';
    *used = at;
    return rc;
}

static void decodes_chunks_in_any_pieces(void **state)
{
    struct str text = STR("5\r\nhello\r\n00A;name=\"v;\"\r\n, big worl\r\n1\r\nd\r\n"
                          "0;last\r\nTrailer: x\r\nOther:\r\n\r\nGET");

    (void)state;
    for (size_t step = 1; step <= text.len; step++) {
        char out[128];
        size_t used = 0;
        unsigned status = 0;
        assert_int_equal(unchunk(text, step, out, &used, &status), 1);
        assert_string_equal(out, "hello, big world");
        assert_int_equal(used, text.len - 3);
    }
}

static void refuses_bad_chunks(void **state)
{
    static const struct probe bad[] = {
        {"size in C notation", STR("0x5\r\nhello\r\n0\r\n\r\n"), 400},
        {"signed size", STR("+5\r\nhello\r\n0\r\n\r\n"), 400},
        {"negative size", STR("-5\r\nhello\r\n0\r\n\r\n"), 400},
        {"no size", STR("\r\nhello\r\n"), 400},
        {"blank before size", STR(" 5\r\nhello\r\n"), 400},
        {"blank after size", STR("5 \r\nhello\r\n"), 400},
        {"size past 64 bits", STR("10000000000000005\r\nhello\r\n"), 413},
        {"many zeros", STR("00000000000000005\r\nhello\r\n"), 413},
        {"bare LF after size", STR("5\nhello\r\n"), 400},
        {"bare LF in extension", STR("5;a\nhello\r\n"), 400},
        {"NUL in extension", STR("5;a\0b\r\nhello\r\n"), 400},
        {"CR without LF", STR("5\rhello\r\n"), 400},
        {"data too long", STR("5\r\nhello!\r\n"), 400},
        {"data too short", STR("5\r\nhell\r\n0\r\n"), 400},
        {"bare LF after data", STR("5\r\nhello\n0\r\n\r\n"), 400},
        {"trailer folded", STR("0\r\nA: b\r\n c\r\n\r\n"), 400},
        {"trailer without colon", STR("0\r\nAb\r\n\r\n"), 400},
        {"trailer without name", STR("0\r\n: b\r\n\r\n"), 400},
        {"trailer with NUL", STR("0\r\nA: \0\r\n\r\n"), 400},
        {"trailer with bare LF", STR("0\r\nA: b\n\r\n"), 400},
        {"end with bare LF", STR("0\r\n\n"), 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[128];
        size_t used;
        unsigned status = 0;
        int rc = unchunk(bad[i].text, bad[i].text.len, out, &used, &status);
        if (rc != -1 || status != bad[i].status)
            fail_msg("%s: %d, %u", bad[i].name, rc, status);
    }
}

static void limits_extensions_and_trailers(void **state)
{
    static char text[WIRE_TRAILER_MAX + 64];
    char out[16];
    size_t used;
    unsigned status = 0;

    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text, "1;", 2);
    assert_int_equal(unchunk(str_n(text, sizeof(text)), 999, out, &used, &status), -1);
    assert_int_equal(status, 400);
    memcpy(text, "0\r\nA:", 5);
    assert_int_equal(unchunk(str_n(text, sizeof(text)), 999, out, &used, &status), -1);
    assert_int_equal(status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(takes_a_plain_request),
        cmocka_unit_test(takes_what_is_legal_though_rare),
        cmocka_unit_test(limits_the_number_of_fields),
        cmocka_unit_test(finds_the_end_byte_by_byte),
        cmocka_unit_test(parses_responses),
        cmocka_unit_test(refuses_bad_responses),
        cmocka_unit_test(decodes_chunks_in_any_pieces),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(limits_extensions_and_trailers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
