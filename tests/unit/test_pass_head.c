// SPDX-License-Identifier: Apache-2.0
// Framing of outgoing bodies, trailers through the proxy, and the seal of an application's session.
#include "connectors/http/wire_out.h"
#include "facade/pass/pass_head.h"
#include "facade/session/app_sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

// Sends `data` through a socket that takes `step` bytes at a time; the bytes it got.
static void send_all(struct wire_out *o, struct str data, size_t step, struct buf *got)
{
    struct iovec parts[WIRE_OUT_PARTS];
    unsigned n;

    do {
        size_t total = 0;
        n = wire_out_parts(o, data, parts);
        for (unsigned i = 0; i < n; i++) {
            size_t take = parts[i].iov_len < step - total ? parts[i].iov_len : step - total;
            buf_add(got, parts[i].iov_base, take);
            total += take;
        }
        size_t taken = wire_out_sent(o, data, total);
        data = str_n(data.data + taken, data.len - taken);
    } while (data.len > 0 || o->edge_len > 0);
}

static void chunks_are_whole_however_little_a_socket_takes(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct wire_out o;
        struct buf got = BUF_INIT;
        wire_out_begin(&o, WIRE_CHUNKED, 0);
        send_all(&o, STR("hello, world, and more"), step, &got);
        send_all(&o, STR("x"), step, &got);
        assert_false(wire_out_open(&o));
        assert_string_equal(got.data, "16\r\nhello, world, and more\r\n1\r\nx\r\n");
        buf_free(&got);
    }
}

static void a_length_is_kept(void **state)
{
    struct wire_out o;
    struct buf got = BUF_INIT;
    struct iovec parts[WIRE_OUT_PARTS];

    (void)state;
    wire_out_begin(&o, WIRE_LENGTH, 7);
    send_all(&o, STR("hello"), 2, &got);
    assert_true(wire_out_open(&o));
    assert_int_equal(wire_out_parts(&o, STR("abcdef"), parts), 1);
    assert_int_equal(parts[0].iov_len, 2); // no byte beyond it
    assert_int_equal(wire_out_sent(&o, STR("abcdef"), 2), 2);
    assert_false(wire_out_open(&o));
    wire_out_begin(&o, WIRE_NO_BODY, 0);
    assert_int_equal(wire_out_parts(&o, STR("abc"), parts), 0);
    assert_int_equal(wire_out_sent(&o, STR("abc"), 0), 3); // dropped
    buf_free(&got);
}

static void trailers_neither_frame_nor_route(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    pass_trailers(&out, STR("X-Sum: 1\r\nContent-Length: 5\r\nHost: x\r\ncontent_length: 5\r\n"
                            "Transfer-Encoding: chunked\r\nAuthorization: a\r\nset-cookie: b\r\n"
                            "Server-Timing: t\r\n"));
    assert_string_equal(out.data, "X-Sum: 1\r\nServer-Timing: t\r\n");
    buf_free(&out);
}

static void a_seal_opens_for_its_session_only(void **state)
{
    struct arena *a = arena_create(0);
    struct str ours = STR("00112233445566778899aabbccddeeff"), clear = STR("{\"user\":1}\0abc");
    struct str sealed = app_session_seal(a, ours, clear);
    struct str other = app_session_seal(a, ours, clear);

    (void)state;
    assert_non_null(sealed.data);
    assert_false(str_eq(sealed, other)); // a nonce each
    assert_null(memmem(sealed.data, sealed.len, "user", 4));
    assert_true(str_eq(app_session_open(a, ours, sealed), clear));
    assert_null(app_session_open(a, STR("10112233445566778899aabbccddeeff"), sealed).data);
    ((char *)sealed.data)[30] ^= 1;
    assert_null(app_session_open(a, ours, sealed).data);
    assert_null(app_session_open(a, ours, STR("")).data);
    assert_null(app_session_open(a, ours, STR("not sealed at all!!!")).data);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_whole_however_little_a_socket_takes),
        cmocka_unit_test(a_length_is_kept),
        cmocka_unit_test(trailers_neither_frame_nor_route),
        cmocka_unit_test(a_seal_opens_for_its_session_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
