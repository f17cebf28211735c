// SPDX-License-Identifier: Apache-2.0
// One listening socket on one loop (SO_REUSEPORT: a facade makes one a loop on the same
// address), its connections and their limits.
#ifndef FICUS_FACADE_LISTENER_H
#define FICUS_FACADE_LISTENER_H

#include "connectors/tls/tls.h"
#include "facade/http/address_count.h"
#include "facade/http/forwarded.h"
#include "facade/http/http.h"

struct http_listener;

// Zero means the default in brackets.
struct http_limits {
    size_t header_max;        // bytes of request line and header fields [16 KiB]
    size_t body_max;          // bytes of a body after de-chunking [8 MiB]
    unsigned idle_ms;         // between requests on a kept-alive connection [60 000]
    unsigned head_ms;         // first byte of a request to the end of its fields [10 000]
    unsigned request_ms;      // from there to the last byte of its body [30 000]
    unsigned write_ms;        // without progress while a reply is being sent, or by the client
                              // of a stream [30 000]
    unsigned rate_min;        // bytes/s of a body or reply after its first 2 s [none]
    unsigned requests_max;    // on one connection, which is then closed [no limit]
    unsigned connections_max; // more are accepted and closed at once [10 000]
    unsigned handshake_ms;    // PROXY header and TLS handshake, from the accept [5 000]
    unsigned handshakes_max;  // TLS handshakes at a time; more are closed at once [256]
};

// What happened to one request, after its reply was handed to the socket or dropped.
struct http_access {
    const struct http_request *request; // NULL when it was refused before it was complete
    const char *label;                  // http_exchange_label or NULL
    const struct http_facts *facts;     // NULL when there is no request
    unsigned status;
    size_t bytes;         // of the reply's body
    uint64_t duration_ns; // complete request -> reply
    bool gone;            // the client had left
    bool cut;             // the reply was given up half-way: the client saw a reset
};

struct http_listener_options {
    struct loop *loop;
    const char *address; // "127.0.0.1:8080", "[::1]:8080", "127.0.0.1:0"; numeric; or "unix:/path"
    mode_t mode;         // of the path's file
    bool reuse_port;     // not of a path
    int inherited;       // a listening socket to duplicate instead of binding `address`; 0: none
    struct http_limits limits;
    struct tls *tls;                 // NULL: plain. Borrowed, as the following
    const struct peers *trusted;     // who may speak for others; NULL: nobody
    bool proxy;                      // connections of trusted peers begin with a PROXY header
    enum forwarded_field forwarded;  // what trusted peers tell the client by
    struct address_count *addresses; // limit by client, shared by loops; NULL: none
    // Called on the loop with every complete head, `body` empty. True: the handler took the
    // request, by http_stream_start (stream.h) or http_reply. False: its body is collected, for
    // on_request. May be NULL.
    bool (*on_head)(void *ctx, struct http_request *r);
    // Called on the loop with every complete request; must lead to one http_reply.
    void (*on_request)(void *ctx, struct http_request *r);
    void (*on_access)(void *ctx, const struct http_access *a); // may be NULL
    void *ctx;
};

struct http_listener_stats {
    unsigned connections; // open now
    unsigned exchanges;   // waiting for http_reply
    uint64_t accepted, refused, requests, malformed, trickled, handshakes, handshakes_failed;
};

// ERR_UNREACHABLE when the address cannot be bound, ERR_INVALID when it cannot be read.
// Thread: the loop, or before the loop runs.
struct http_listener *http_listener_create(const struct http_listener_options *o, struct err *e);
unsigned http_listener_port(const struct http_listener *l);
// Requests without a reply yet, at most `max`. Thread: the loop.
void http_listener_each(const struct http_listener *l,
                        void (*each)(void *ctx, const struct http_request *r,
                                     const struct http_facts *f, uint64_t age_ns),
                        void *ctx, unsigned max);
void http_listener_stats(const struct http_listener *l, struct http_listener_stats *out);

// Stops accepting; idle connections close now, busy ones after their reply ("Connection:
// close"). `drained` is called (possibly at once) when no connection is left. Thread: the loop.
void http_listener_drain(struct http_listener *l, void (*drained)(void *ctx), void *ctx);
// Closes what is left. Exchanges without a reply stay valid until their http_reply; the
// listener's memory goes with the last of them. NULL is fine.
// Thread: the loop, or after it has ended.
void http_listener_destroy(struct http_listener *l);

#endif
