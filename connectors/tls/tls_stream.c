// SPDX-License-Identifier: Apache-2.0
// One TLS session over a non-blocking socket. OpenSSL reads and writes the socket through a
// BIO of our own, so that a peer that left raises no SIGPIPE. It reads no further than the
// record it is at (no read-ahead): what is left in the socket tells of itself, and what a
// record left over is `pending`. Thread: the loop.
#include "connectors/tls/tls_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD_MAX 16384u

struct tls_stream {
    SSL *ssl;
    struct tls_bundle *bundle; // referenced: SNI looks into it
    size_t held;               // bytes of a record that the socket did not take
    bool broken;               // nothing more may be asked of `ssl`
};

// ---- the socket under OpenSSL

static int socket_of(BIO *b)
{
    return (int)(intptr_t)BIO_get_data(b);
}

static int on_bio_read(BIO *b, char *to, int size)
{
    ssize_t n;

    BIO_clear_retry_flags(b);
    do {
        n = recv(socket_of(b), to, (size_t)size, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(b);
    if (n == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static int on_bio_write(BIO *b, const char *from, int size)
{
    ssize_t n;

    BIO_clear_retry_flags(b);
    do {
        n = send(socket_of(b), from, (size_t)size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_write(b);
    return (int)n;
}

static long on_bio_ctrl(BIO *b, int cmd, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    if (cmd == BIO_CTRL_EOF)
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ficus socket");
    if (!method)
        return;
    BIO_meth_set_read(method, on_bio_read);
    BIO_meth_set_write(method, on_bio_write);
    BIO_meth_set_ctrl(method, on_bio_ctrl);
}

static BIO *bio_create(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (b) {
        BIO_set_data(b, (void *)(intptr_t)fd);
        BIO_set_init(b, 1);
    }
    return b;
}

// ---- a session's life

static int expect_host(SSL *ssl, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 ? 0 : -1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1 ? 0 : -1;
}

struct tls_stream *tls_stream_create(struct tls *t, int fd, const char *host, struct err *e)
{
    struct tls_stream *s = calloc(1, sizeof(*s));
    BIO *bio;

    if (!s) {
        err_memory(e);
        return NULL;
    }
    s->bundle = tls_bundle_of(t);
    s->ssl = SSL_new(s->bundle->contexts[0]);
    bio = s->ssl ? bio_create(fd) : NULL;
    if (bio)
        SSL_set_bio(s->ssl, bio, bio); // owns it
    if (!bio || (host && expect_host(s->ssl, host) != 0)) {
        ERR_clear_error();
        tls_stream_destroy(s);
        err_memory(e);
        return NULL;
    }
    if (tls_is_server(t))
        SSL_set_accept_state(s->ssl);
    else
        SSL_set_connect_state(s->ssl);
    return s;
}

void tls_stream_destroy(struct tls_stream *s)
{
    if (!s)
        return;
    SSL_free(s->ssl);
    tls_bundle_unref(s->bundle);
    free(s);
}

// ---- the handshake

static enum tls_step handshake_failed(struct tls_stream *s, struct err *e)
{
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    long verified = SSL_get_verify_result(s->ssl);

    s->broken = true;
    if (reason == SSL_R_HTTP_REQUEST) {
        err_set(e, ERR_INVALID, "plain HTTP where TLS is spoken");
        ERR_clear_error();
    } else if (verified != X509_V_OK) {
        err_set(e, ERR_UNREACHABLE, "TLS: the peer's certificate: %s",
                X509_verify_cert_error_string(verified));
        ERR_clear_error();
    } else if (ERR_peek_last_error() == 0) {
        err_set(e, ERR_UNREACHABLE, "TLS: the peer left during the handshake");
    } else {
        tls_error(e, ERR_UNREACHABLE, "TLS");
    }
    return TLS_FAILED;
}

enum tls_step tls_stream_handshake(struct tls_stream *s, struct err *e)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(s->ssl);

    if (rc == 1)
        return TLS_DONE;
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ: return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE: return TLS_WANT_WRITE;
    default: return handshake_failed(s, e);
    }
}

// ---- bytes

// The answer of a call that moved nothing.
static ssize_t nothing(struct tls_stream *s, int rc)
{
    int error = SSL_get_error(s->ssl, rc);

    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    // A read that wants to write (a key update's answer) goes on with the next call.
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    s->broken = true;
    ERR_clear_error();
    errno = ECONNRESET;
    return -1;
}

ssize_t tls_stream_recv(struct tls_stream *s, void *to, size_t size)
{
    size_t n = 0;

    if (s->broken) {
        errno = ECONNRESET;
        return -1;
    }
    ERR_clear_error();
    int rc = SSL_read_ex(s->ssl, to, size, &n);
    return rc == 1 ? (ssize_t)n : nothing(s, rc);
}

// Bytes that one record of this session holds (RFC 6066, 4: the client may ask for less).
static size_t record_max(const struct tls_stream *s)
{
    unsigned mode = SSL_SESSION_get_max_fragment_length(SSL_get0_session(s->ssl));

    return mode >= 1 && mode <= 4 ? (size_t)512 << (mode - 1) : RECORD_MAX;
}

// OpenSSL wants a record that the socket did not take offered again, byte by byte. The caller
// need not: such a record is held here, and its last byte is not said to be taken, so that the
// caller comes again. -1 with EAGAIN when the socket still does not take it; else the byte is.
static ssize_t send_held(struct tls_stream *s)
{
    static const char same_length[RECORD_MAX]; // OpenSSL has the bytes
    size_t n = 0;
    int rc = SSL_write_ex(s->ssl, same_length, s->held, &n);

    if (rc != 1)
        return nothing(s, rc);
    s->held = 0;
    return 1;
}

// The bytes taken, or as `nothing`.
static ssize_t send_record(struct tls_stream *s, const char *from, size_t len)
{
    size_t n = 0;

    ERR_clear_error();
    if (s->held > 0)
        return send_held(s);
    int rc = SSL_write_ex(s->ssl, from, len, &n);
    if (rc == 1)
        return (ssize_t)n;
    if (SSL_get_error(s->ssl, rc) != SSL_ERROR_WANT_WRITE)
        return nothing(s, rc);
    s->held = len;
    if (len > 1)
        return (ssize_t)len - 1;
    errno = EAGAIN;
    return -1;
}

// The next record's bytes, from `skip` bytes into the parts: in place if one part has enough,
// else gathered in `space`, so that a head and its body share one.
static struct str gather(const struct iovec *parts, unsigned n, size_t skip, size_t most,
                         char space[RECORD_MAX])
{
    size_t len = 0;

    for (; n > 0 && skip >= parts->iov_len; parts++, n--)
        skip -= parts->iov_len;
    if (n > 0 && (n == 1 || parts->iov_len - skip >= most)) {
        size_t all = parts->iov_len - skip;
        return str_n((const char *)parts->iov_base + skip, all < most ? all : most);
    }
    for (; n > 0 && len < most; parts++, n--) {
        size_t more = parts->iov_len - skip;
        more = more < most - len ? more : most - len;
        memcpy(space + len, (const char *)parts->iov_base + skip, more);
        len += more;
        skip = 0;
    }
    return str_n(space, len);
}

ssize_t tls_stream_sendv(struct tls_stream *s, const struct iovec *parts, unsigned n)
{
    char space[RECORD_MAX];
    size_t sent = 0, most = record_max(s);
    struct str piece;

    if (s->broken) {
        errno = ECONNRESET;
        return -1;
    }
    while ((piece = gather(parts, n, sent, most, space)).len > 0) {
        ssize_t taken = send_record(s, piece.data, piece.len);
        if (taken < 0)
            return sent > 0 && errno == EAGAIN ? (ssize_t)sent : taken;
        sent += (size_t)taken;
        if (s->held > 0)
            break;
    }
    return (ssize_t)sent;
}

bool tls_stream_pending(const struct tls_stream *s)
{
    return !s->broken &&
           (SSL_pending(s->ssl) > 0 || (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
}

void tls_stream_end(struct tls_stream *s)
{
    if (s->broken || !SSL_is_init_finished(s->ssl))
        return;
    ERR_clear_error();
    if (SSL_shutdown(s->ssl) < 0)
        ERR_clear_error();
}
