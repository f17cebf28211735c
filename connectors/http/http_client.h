// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 client on a loop: keep-alive connections pooled by upstream, a bounded queue
// in front of them, a deadline on every call. Strict about replies as the server is about
// requests. http and https. Thread: the loop, but for what is said to be at start-up.
#ifndef FICUS_CONNECTORS_HTTP_CLIENT_H
#define FICUS_CONNECTORS_HTTP_CLIENT_H

#include "base/loop.h"
#include "connectors/http/wire.h"

struct http_client;   // one a loop
struct http_upstream; // one base URL of a client; lives as long as the client
struct http_call;     // one request under way

// Zero means the default in brackets.
struct http_client_options {
    struct loop *loop;
    struct tls *tls;          // borrowed; NULL: https is not supported
    unsigned connections_max; // to one upstream [16]
    unsigned queue_max;       // calls waiting for one of them [256]
    unsigned idle_ms;         // an unused connection is closed after [15 000]
    size_t header_max;        // bytes of a reply's head [32 KiB]
    size_t body_max;          // bytes of a reply's body after de-chunking [32 MiB]
};

// NULL on no memory.
struct http_client *http_client_create(const struct http_client_options *o, struct err *e);
// Ends every call with ERR_CANCELLED first. Not from within `done`. NULL is fine.
void http_client_destroy(struct http_client *c);

// `url` is "http://host[:port][/prefix]" or https://, where the certificate must be for host. Resolves the name, which may block: at start-up,
// before the loop runs. The same URL gives the same upstream. ERR_INVALID, ERR_UNSUPPORTED
// (https without `tls`), ERR_UNREACHABLE (name not known).
int http_client_upstream(struct http_client *c, const char *url, struct http_upstream **out,
                         struct err *e) FICUS_MUST_CHECK;

struct http_client_response {
    unsigned status; // 200..599
    const struct http_header *headers;
    size_t nheaders;
    struct str body; // whole and de-chunked
};

// Copied before http_client_send returns. Host, Content-Length and Connection are ours.
struct http_client_request {
    struct http_upstream *upstream;
    struct str method; // a token
    struct str target; // "/path?query", encoded; goes behind the upstream's prefix
    const struct http_header *headers;
    size_t nheaders;
    struct str body;
    unsigned deadline_ms; // for all of it, waiting and connecting included; never 0
    // Called once, never from within http_client_send. Either `e` is NULL and the response
    // is valid until `done` returns, or `r` is NULL:
    //   ERR_UNREACHABLE      no connection, or it broke (nothing happened, or the method is
    //                        idempotent)
    //   ERR_TIMEOUT          the deadline passed (likewise)
    //   ERR_UNKNOWN_OUTCOME  either of the two after a method that is not idempotent was sent
    //   ERR_INVALID          the reply is malformed; ERR_LIMIT: it is too large
    //   ERR_CANCELLED        the client is being destroyed
    void (*done)(void *ctx, struct err *e, const struct http_client_response *r);
    void *ctx;
};

// -1: `done` is not called. ERR_BUSY when connections and queue are full, ERR_INVALID when
// the request is malformed, ERR_UNREACHABLE when connecting failed at once. An idempotent request is sent once more, as far as the
// budget of retries goes, when a kept connection turns out to have been closed before the first byte of a reply.
// `*call` (may be NULL) is valid until `done` is called.
int http_client_send(struct http_client *c, const struct http_client_request *r,
                     struct http_call **call, struct err *e) FICUS_MUST_CHECK;
// Gives the call up: `done` will not be called, a connection in use is closed.
void http_call_cancel(struct http_call *call);

struct http_upstream_stats {
    unsigned connections, idle, queued;
    uint64_t opened, sent, retried, failed;
};
// Takes one retry from the upstream's budget: one for ten calls; saved up are at most as many
// as it has connections, and ten.
bool http_upstream_may_retry(struct http_upstream *u);
void http_upstream_stats(const struct http_upstream *u, struct http_upstream_stats *out);
const char *http_upstream_name(const struct http_upstream *u);   // "host:port"
const char *http_upstream_prefix(const struct http_upstream *u); // "" or "/a"

#endif
