// SPDX-License-Identifier: Apache-2.0
// TLS by OpenSSL for both ends. A `struct tls` is one role's settings (certificates, trust)
// loaded from files; a `struct tls_stream` is one connection's session over a socket that the
// caller owns. Files are loaded again by tls_reload(): sessions that exist keep what they
// began with, and a mistake in a file changes nothing. At least TLS 1.2, no renegotiation, no
// compression, ALPN http/1.1 alone.
// Thread: any for `struct tls` (a lock inside); a stream belongs to one loop.
#ifndef FICUS_CONNECTORS_TLS_H
#define FICUS_CONNECTORS_TLS_H

#include "base/err.h"

#include <sys/uio.h>

#define TLS_CERTIFICATES_MAX 64

struct tls;
struct tls_stream;

enum tls_clients { TLS_CLIENTS_OFF, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_REQUIRED };

// Paths are copied. A server has at least one certificate; the first one also answers clients
// that name no host, or one that no certificate is for.
struct tls_options {
    bool server;
    const char *certificates[TLS_CERTIFICATES_MAX]; // PEM: the leaf, then its chain
    const char *keys[TLS_CERTIFICATES_MAX];         // PEM, of the same place
    size_t ncertificates;                           // client: 0 or 1, shown to servers that ask
    const char *ca;           // PEM: who signs the peers' certificates. Server: needed unless
                              // `clients` is off. Client: "" means the system's store
    enum tls_clients clients; // server: whether clients must show one
    bool only_13;             // no TLS 1.2
};

// ERR_CONFIG with the file that is at fault.
struct tls *tls_create(const struct tls_options *o, struct err *e);
void tls_destroy(struct tls *t); // streams may outlive it. NULL is fine
// Loads the files anew. On an error the old ones stay in force.
int tls_reload(struct tls *t, struct err *e) FICUS_MUST_CHECK;
// Whether a file differs (inode, size, time) from when it was last looked at by this, by
// tls_reload or by tls_create; true once a change.
bool tls_changed(struct tls *t);

// A session over a connected non-blocking socket, which stays the caller's. `host` (client
// only): the name or address that the server's certificate must be for.
struct tls_stream *tls_stream_create(struct tls *t, int fd, const char *host, struct err *e);
void tls_stream_destroy(struct tls_stream *s); // NULL is fine

enum tls_step { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };
// Goes on with the handshake. TLS_FAILED: `e` says why; ERR_INVALID when the peer does not
// speak TLS but HTTP, so that it can be told in its own words.
enum tls_step tls_stream_handshake(struct tls_stream *s, struct err *e) FICUS_MUST_CHECK;

// As recv(2) and sendmsg(2) on a non-blocking socket. 0 from recv is the peer's close_notify; a
// connection that ends without one is broken (ECONNRESET). What was taken is settled: what is
// offered next may be framed anew, as long as it goes on where the taken bytes ended.
ssize_t tls_stream_recv(struct tls_stream *s, void *to, size_t size);
ssize_t tls_stream_sendv(struct tls_stream *s, const struct iovec *parts, unsigned n);
// Whether bytes, or the peer's end, are there already that no readiness of the socket will
// tell of.
bool tls_stream_pending(const struct tls_stream *s);
void tls_stream_end(struct tls_stream *s); // sends close_notify, as far as the socket takes it

#endif
