// SPDX-License-Identifier: Apache-2.0
// The bytes under an HTTP connection, of the server and of the client: a non-blocking socket,
// plain or under TLS. Calls answer as recv(2) and send(2) do (-1 with errno EAGAIN: not now; 0
// from recv: the peer has ended), never block, never raise SIGPIPE and never fail with EINTR.
// Thread: the loop.
#ifndef FICUS_CONNECTORS_TRANSPORT_H
#define FICUS_CONNECTORS_TRANSPORT_H

#include "connectors/tls/tls.h"

#include <sys/uio.h>

struct transport {
    int fd;                 // -1: closed
    struct tls_stream *tls; // NULL: plain. Its handshake is done before the calls below
};

ssize_t transport_recv(struct transport *t, void *to, size_t size);
// Of `head` and then `body` (may be empty) as many bytes as are taken now. Bytes that were not
// taken are offered again, with more behind them or not.
ssize_t transport_send(struct transport *t, struct str head, struct str body);
// The same of several parts, none of them empty.
ssize_t transport_sendv(struct transport *t, struct iovec *parts, unsigned n);
// Bytes that came with others and wait without the socket being readable. Whoever stops
// reading before EAGAIN, or starts to read again, must ask, and read on if so.
bool transport_pending(const struct transport *t);
// Nothing more will be sent; the peer may still send.
void transport_end(struct transport *t);
// Without transport_end before, a peer under TLS takes what it got for cut.
void transport_close(struct transport *t);

#endif
