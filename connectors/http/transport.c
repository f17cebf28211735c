// SPDX-License-Identifier: Apache-2.0
// See transport.h. Owns the descriptor and the TLS session. Thread: the loop.
#include "connectors/http/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t transport_recv(struct transport *t, void *to, size_t size)
{
    ssize_t n;

    if (t->tls)
        return tls_stream_recv(t->tls, to, size);
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

    if (t->tls)
        return tls_stream_sendv(t->tls, parts, count);
    do {
        n = sendmsg(t->fd, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

bool transport_pending(const struct transport *t)
{
    return t->tls && tls_stream_pending(t->tls);
}

void transport_end(struct transport *t)
{
    if (t->tls)
        tls_stream_end(t->tls);
    shutdown(t->fd, SHUT_WR);
}

void transport_close(struct transport *t)
{
    if (t->tls) {
        tls_stream_destroy(t->tls);
        t->tls = NULL;
    }
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}
