// SPDX-License-Identifier: Apache-2.0
// A request whose body and reply flow through, so that neither has to fit into memory. Starts
// at a complete head (http_listener_options.on_head) or at a collected request (on_request).
// Thread: the loop that owns the listener.
//
//   request side   OPEN <-> PAUSED         body took less than all .. http_stream_resume
//                    |                     body_end, once
//                   DONE
//   reply side     NONE -> OPEN            http_stream_interim*, http_stream_head
//                            |             http_stream_write*
//                           ENDED          http_stream_end; or http_stream_abort at any time
//
// The two sides are independent: a reply may begin, and even end, before the request's body is
// complete. Then the connection is not used again, since where its next request begins would
// depend on bytes that nobody wants.
// Memory: the connection's input buffer (header_max and a few KiB) and the reply's head;
// whoever cannot take more makes the socket of the other side wait.
#ifndef FICUS_FACADE_HTTP_STREAM_H
#define FICUS_FACADE_HTTP_STREAM_H

#include "facade/http/http.h"

#include <sys/types.h>

enum http_gone {
    HTTP_GONE_LEFT, // closed, or broke
    HTTP_GONE_SLOW, // owed bytes, or room for the reply, for longer than write_ms
    HTTP_GONE_BAD,  // its body is malformed
};

struct http_stream_ops {
    // Some of the request's body, chunked coding removed. Returns how much was taken; less than
    // all pauses the body until http_stream_resume, and what is left is offered again.
    size_t (*body)(void *ctx, struct str data);
    // The body is complete. `trailers` are its trailer lines, each with its CRLF, as they came.
    // Called for a request with a body only.
    void (*body_end)(void *ctx, struct str trailers);
    // After http_stream_write took less than all: there is room again.
    void (*writable)(void *ctx);
    // Nothing can be had of the client any more. Must end the exchange before it returns, but for
    // HTTP_GONE_LEFT by http_reply if no head was sent.
    void (*gone)(void *ctx, enum http_gone why);
};

// From here the handler owes one end: http_stream_end, http_stream_abort, or http_reply while
// no head was sent. Never calls back; the body is offered after the handler returned. `ops` and
// `ctx` must live until the end.
void http_stream_start(struct http_exchange *x, const struct http_stream_ops *ops, void *ctx);
bool http_stream_body_done(const struct http_exchange *x); // nothing of the body is to come
void http_stream_resume(struct http_exchange *x);          // may call `body` before it returns

struct http_stream_head {
    unsigned status;   // 200..599
    struct str reason; // "": the usual one
    // Sent as they are, in order. Connection, Content-Length, Transfer-Encoding and other
    // hop-by-hop fields must not be among them; Date is added when missing.
    const struct http_header *headers;
    size_t nheaders;
    bool has_length; // `length` is the body's; to HEAD and with 304 only announced
    uint64_t length;
};

// The functions below return -1 when the client is gone or memory is out: what is left then is
// http_stream_abort. They never call back.

// 1xx but 101. Nothing for an HTTP/1.0 client.
int http_stream_interim(struct http_exchange *x, unsigned status, struct str reason,
                        const struct http_header *headers, size_t n) FICUS_MUST_CHECK;
// Kept until the first bytes of the body, http_stream_flush or the end, to go in one packet.
int http_stream_head(struct http_exchange *x, const struct http_stream_head *h) FICUS_MUST_CHECK;
bool http_stream_head_sent(const struct http_exchange *x); // given, that is
// Takes a head back of which no byte has gone to the client: another one, or http_reply, may follow.
// false: the client has seen it.
bool http_stream_take_back(struct http_exchange *x);
// How much was taken; less than all: wait for `writable`.
ssize_t http_stream_write(struct http_exchange *x, struct str data) FICUS_MUST_CHECK;
int http_stream_flush(struct http_exchange *x) FICUS_MUST_CHECK;
// The reply is complete. `trailers` as in body_end; dropped when the client gets no chunks.
void http_stream_end(struct http_exchange *x, struct str trailers);
// Gives the exchange up: the connection is reset, so that no client takes what it got for the
// whole reply.
void http_stream_abort(struct http_exchange *x);

#endif
