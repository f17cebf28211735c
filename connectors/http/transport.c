// SPDX-License-Identifier: Apache-2.0
// See transport.h. Owns the descriptor. Thread: the loop.
#include "connectors/http/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t transport_recv(struct transport *t, void *to, size_t size)
{
    ssize_t n;

    do {
        n = recv(t->fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    return n;
}

ssize_t transport_send(struct transport *t, struct str head, struct str body)
{
    struct iovec parts[2] = {{(void *)head.data, head.len}, {(void *)body.data, body.len}};

    return transport_sendv(t, parts, body.len > 0 ? 2 : 1);
}

ssize_t transport_sendv(struct transport *t, struct iovec *parts, unsigned count)
{
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n;

    do {
        n = sendmsg(t->fd, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

void transport_end(struct transport *t)
{
    shutdown(t->fd, SHUT_WR);
}

void transport_close(struct transport *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}
