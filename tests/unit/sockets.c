// SPDX-License-Identifier: Apache-2.0
// Blocking loopback sockets for tests. Owns nothing. Thread: any.
#include "sockets.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

int sockets_listen(unsigned *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int rc;

    do {
        rc = poll(&p, 1, SOCKETS_WAIT_MS);
    } while (rc < 0 && errno == EINTR);
    if (rc != 1)
        fail_msg("nothing came within %d ms", SOCKETS_WAIT_MS);
}

int sockets_accept(int fd)
{
    wait_readable(fd);
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(client >= 0);
    return client;
}

int sockets_connect(unsigned port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

void sockets_send(int fd, struct str s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.data, s.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        s = str_n(s.data + n, s.len - (size_t)n);
    }
}

bool sockets_read(int fd, struct buf *to)
{
    char chunk[65536];

    wait_readable(fd);
    ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
    if (n <= 0)
        return false;
    buf_add(to, chunk, (size_t)n);
    return true;
}

void sockets_read_all(int fd, struct buf *to)
{
    while (sockets_read(fd, to))
        ;
}

void sockets_read_until(int fd, struct buf *to, const char *text)
{
    while (!to->data || !memmem(to->data, to->len, text, strlen(text)))
        if (!sockets_read(fd, to))
            fail_msg("the stream ended before \"%s\": %s", text, to->data ? to->data : "");
}

void sockets_wait(bool (*condition)(void *arg), void *arg)
{
    uint64_t end = clock_mono_ms() + SOCKETS_WAIT_MS;

    while (!condition(arg)) {
        if (clock_mono_ms() > end)
            fail_msg("a condition did not come true within %d ms", SOCKETS_WAIT_MS);
        poll(NULL, 0, 1);
    }
}
