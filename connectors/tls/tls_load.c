// SPDX-License-Identifier: Apache-2.0
// Files to OpenSSL contexts: one context a certificate, chosen by the name that a client asks
// for (SNI), with all the other settings alike. Thread: any.
#include "connectors/tls/tls_int.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

int tls_error(struct err *e, enum err_code code, const char *what)
{
    unsigned long number = ERR_peek_last_error();
    const char *reason = number ? ERR_reason_error_string(number) : NULL;

    ERR_clear_error();
    return err_set(e, code, "%s: %s", what, reason ? reason : "not accepted");
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                   const unsigned char *in, unsigned inlen, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, outlen, ours, sizeof(ours) - 1, in, inlen) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

// The first context whose certificate is for the name that the client asks for.
static int on_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_bundle *b = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < b->n; i++) {
        X509 *x = SSL_CTX_get0_certificate(b->contexts[i]);
        if (x && X509_check_host(x, name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(ssl, b->contexts[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK; // the first certificate; the client decides
}

static int use_certificate(SSL_CTX *ctx, const char *certificate, const char *key, struct err *e)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return tls_error(e, ERR_CONFIG, certificate);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return tls_error(e, ERR_CONFIG, key);
    return 0;
}

static int ask_clients(SSL_CTX *ctx, const struct tls_options *o, struct err *e)
{
    int mode = SSL_VERIFY_PEER;

    if (o->clients == TLS_CLIENTS_OFF)
        return 0;
    if (!*o->ca)
        return err_set(e, ERR_CONFIG, "client certificates need the file of those who sign them");
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca);
    if (!names || SSL_CTX_load_verify_file(ctx, o->ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_error(e, ERR_CONFIG, o->ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    if (o->clients == TLS_CLIENTS_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
    return 0;
}

static int set_server(SSL_CTX *ctx, const struct tls_options *o, struct tls_bundle *b,
                      struct err *e)
{
    static const unsigned char id[] = "ficus";

    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); // tickets only: no state of ours
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, b);
    return ask_clients(ctx, o, e);
}

static int set_client(SSL_CTX *ctx, const struct tls_options *o, struct err *e)
{
    static const unsigned char alpn[] = "\x08http/1.1";

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0)
        return err_memory(e);
    if (*o->ca ? SSL_CTX_load_verify_file(ctx, o->ca) != 1
               : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return tls_error(e, ERR_CONFIG, *o->ca ? o->ca : "the system's certificates");
    return 0;
}

static SSL_CTX *context_load(const struct tls_options *o, size_t i, struct tls_bundle *b,
                             struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(o->server ? TLS_server_method() : TLS_client_method());

    if (!ctx) {
        err_memory(e);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, o->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    if ((i < o->ncertificates && use_certificate(ctx, o->certificates[i], o->keys[i], e) != 0) ||
        (o->server ? set_server(ctx, o, b, e) : set_client(ctx, o, e)) != 0) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tls_bundle *tls_bundle_load(const struct tls_options *o, struct err *e)
{
    struct tls_bundle *b = calloc(1, sizeof(*b));
    size_t n = o->server ? o->ncertificates : 1;

    if (!b) {
        err_memory(e);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    for (size_t i = 0; i < n; i++) {
        b->contexts[i] = context_load(o, i, b, e);
        if (!b->contexts[i]) {
            tls_bundle_unref(b);
            return NULL;
        }
        b->n++;
    }
    return b;
}

void tls_bundle_unref(struct tls_bundle *b)
{
    if (!b || atomic_fetch_sub(&b->refs, 1) > 1)
        return;
    for (size_t i = 0; i < b->n; i++)
        SSL_CTX_free(b->contexts[i]);
    free(b);
}
