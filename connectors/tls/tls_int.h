// SPDX-License-Identifier: Apache-2.0
// What tls.c (settings that are reloaded), tls_load.c (files to OpenSSL contexts) and
// tls_stream.c (one session) share.
#ifndef FICUS_CONNECTORS_TLS_INT_H
#define FICUS_CONNECTORS_TLS_INT_H

#include "connectors/tls/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

// One generation of loaded files; immutable but for the count.
struct tls_bundle {
    atomic_uint refs; // the settings' own, and one a stream
    size_t n;
    SSL_CTX *contexts[TLS_CERTIFICATES_MAX]; // by certificate; a client has exactly one
};

// tls_load.c
struct tls_bundle *tls_bundle_load(const struct tls_options *o, struct err *e);
void tls_bundle_unref(struct tls_bundle *b);
// Fills `e` with the newest error of OpenSSL's queue, and empties that.
int tls_error(struct err *e, enum err_code code, const char *what);

// tls.c
struct tls_bundle *tls_bundle_of(struct tls *t); // referenced
bool tls_is_server(const struct tls *t);

#endif
