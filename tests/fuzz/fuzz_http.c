// SPDX-License-Identifier: Apache-2.0
// HTTP as hostile bytes. The first byte chooses: a request head, a reply head, a chunked
// body (whole and in pieces must agree), forms, or a whole connection of the server, fed
// in pieces through a socket pair.
#include "base/log.h"
#include "facade/http/form.h"
#include "facade/http/http_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct str part, struct str whole)
{
    if (part.len > 0 && (part.data < whole.data || part.data + part.len > whole.data + whole.len))
        abort();
}

static void heads(struct str text, bool request)
{
    struct http_header headers[WIRE_HEADERS_MAX];
    struct wire_head h;
    struct wire_fault f = {0};
    size_t scanned = 0, len = 0;

    if (wire_find_end(text, &scanned, &len, &f) <= 0)
        return;
    text.len = len;
    int rc = request ? wire_parse_request(text, headers, &h, &f)
                     : wire_parse_response(text, false, headers, &h, &f);
    if (rc != 0) {
        if (f.status < 400 || !f.why)
            abort();
        return;
    }
    for (size_t i = 0; i < h.nheaders; i++) {
        inside(h.headers[i].name, text);
        inside(h.headers[i].value, text);
        if (!wire_is_token(h.headers[i].name) || !wire_is_value(h.headers[i].value))
            abort();
    }
    if (request && (h.framing == WIRE_TO_CLOSE || !wire_is_token(h.method)))
        abort();
}

// Appends the decoded body to `out`; returns 1, 0 or -1 and how much was taken.
static int decode(struct str text, size_t step, struct buf *out, size_t *taken)
{
    struct wire_chunks c = {0};
    struct wire_fault f;
    size_t at = 0, end = 0;
    int rc = 0;

    while (rc == 0 && (at < end || end < text.len)) {
        struct str data;
        size_t n = 0;
        if (at == end)
            end = text.len - end < step ? text.len : end + step;
        rc = wire_chunks_next(&c, str_n(text.data + at, end - at), &n, &data, &f);
        if (rc < 0)
            break;
        if (n > end - at)
            abort();
        inside(data, text);
        buf_addstr(out, data);
        at += n;
    }
    *taken = at;
    return rc;
}

static void chunks(struct str text)
{
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    size_t a = 0, b = 0;
    int first = decode(text, text.len + 1, &whole, &a);
    int second = decode(text, 1, &pieces, &b);

    if (first != second || (first >= 0 && (a != b || !str_eq(buf_str(&whole), buf_str(&pieces)))))
        abort();
    buf_free(&whole);
    buf_free(&pieces);
}

static void forms(struct str text)
{
    struct arena *a = arena_create(16u << 20);
    struct form form;
    struct str out;
    struct err e;

    if (!a)
        return;
    if (form_parse_urlencoded(text, a, &form, &e) == 0)
        (void)form_get(&form, "a");
    if (form_parse_multipart(text, STR("multipart/form-data; boundary=b"), a, &form, &e) == 0)
        for (size_t i = 0; i < form.n; i++)
            inside(form.fields[i].value, text);
    if (form_parse_multipart(STR("--b\r\n\r\n--b--"), text, a, &form, &e) == 0)
        abort(); // a part without a name
    if (form_decode_segment(text, a, &out, &e) == 0 && memchr(out.data, '\0', out.len) &&
        !memchr(text.data, '\0', text.len))
        abort();
    arena_destroy(a);
}

// ---- a whole connection

static struct loop *loop;
static struct http_listener *listener;

static void on_request(void *ctx, struct http_request *r)
{
    struct http_response reply = {.status = 200, .content_type = STR("text/plain")};

    (void)ctx;
    if (r->path.len == 0 || r->nheaders > WIRE_HEADERS_MAX)
        abort();
    reply.body = r->body; // reads every byte of it
    http_reply(r->exchange, &reply);
}

static void start(void)
{
    struct http_listener_options o = {.address = "127.0.0.1:0",
                                      .on_request = on_request,
                                      .limits = {.header_max = 1024, .body_max = 4096}};
    struct err e;

    log_setup(LOG_ERROR, false, "fuzz");
    loop = loop_create("fuzz", 0, &e);
    o.loop = loop;
    listener = loop ? http_listener_create(&o, &e) : NULL;
    if (!listener)
        abort();
}

static void turn(int fd)
{
    char reply[4096];

    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0)
        ;
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void connection(struct str text, size_t step)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    struct http_listener_stats stats;
    int pair[2];

    if (!listener)
        start();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
        fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        abort();
    conn_open(listener, pair[0], &peer);
    while (text.len > 0) {
        size_t n = text.len < step ? text.len : step;
        if (send(pair[1], text.data, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
            break;
        text = str_n(text.data + n, text.len - n);
        turn(pair[1]);
    }
    close(pair[1]);
    for (int i = 0; i < 4; i++)
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    http_listener_stats(listener, &stats);
    if (stats.connections != 0 || stats.exchanges != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str text = str_n((const char *)data + 1, size - 1);
    switch (data[0] % 8) {
    case 0: heads(text, true); break;
    case 1: heads(text, false); break;
    case 2: chunks(text); break;
    case 3: forms(text); break;
    default: connection(text, data[0] % 8 == 4 ? 1 : data[0]); break;
    }
    return 0;
}
