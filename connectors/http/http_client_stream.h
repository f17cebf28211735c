// SPDX-License-Identifier: Apache-2.0
// Calls whose request body and reply flow through, so that neither has to fit into memory; on
// the same pooled connections as http_client.h's. Thread: the loop.
//
//   request side   HEAD -> BODY -> OVER    http_call_write*, http_call_finish
//   reply side     interim*, head, body*, end          each a callback, none after `failed`
//   either side waits for the other's reader: `body` that took less than all stops reading until
//   http_call_resume; http_call_write that took less than all is followed by `writable`.
//
// A connection that was kept and turns out to be closed is no failure when nothing of the
// request can have been processed: not a byte of it went, or the method is idempotent and no
// body was taken. Then the call goes over another one, once.
#ifndef FICUS_CONNECTORS_HTTP_CLIENT_STREAM_H
#define FICUS_CONNECTORS_HTTP_CLIENT_STREAM_H

#include "base/buf.h"
#include "connectors/http/http_client.h"

#include <sys/types.h>

struct http_call_ops {
    // 1xx but 101. May be NULL.
    void (*interim)(void *ctx, const struct wire_head *h);
    // `h` and what it points to are valid until `head` returns.
    void (*head)(void *ctx, const struct wire_head *h);
    // Returns how much was taken.
    size_t (*body)(void *ctx, struct str data);
    // What had arrived was passed on: a good moment to send what is held back. May be NULL.
    void (*idle)(void *ctx);
    // The reply is complete; `trailers` are its trailer lines, each with CRLF. The call is gone.
    void (*end)(void *ctx, struct str trailers);
    // Codes as of http_client_request.done, before or after `head`. The call is gone.
    void (*failed)(void *ctx, const struct err *e);
    // There is a connection, or room again. Called only after a write that took less than all.
    void (*writable)(void *ctx);
};

struct http_stream_request {
    struct http_upstream *upstream;
    // Request line and fields with the blank line, framing fields included, as they will be
    // sent. Taken over, also on failure.
    struct buf *head;
    enum wire_framing framing; // WIRE_NO_BODY, WIRE_LENGTH or WIRE_CHUNKED
    uint64_t length;           // WIRE_LENGTH
    bool head_request;         // HEAD: the reply has no body
    bool idempotent;
    bool head_now;       // do not wait for the body's first bytes (Expect)
    unsigned connect_ms; // for a free connection and connecting; never 0
    unsigned silence_ms; // longest that the upstream may keep us waiting after that; never 0
    const struct http_call_ops *ops; // must live until the end
    void *ctx;
};

// -1 as http_client_send; no callback is made then, nor before it returns.
int http_client_stream(struct http_client *c, const struct http_stream_request *r,
                       struct http_call **call, struct err *e) FICUS_MUST_CHECK;
// How much was taken. When the upstream no longer reads (it may have answered already) all is,
// and dropped. Never calls back.
size_t http_call_write(struct http_call *call, struct str data);
// The body is over; `trailers` (lines with CRLF, may be empty) go only behind chunks.
void http_call_finish(struct http_call *call, struct str trailers);
void http_call_resume(struct http_call *call); // may call back before it returns
// http_call_cancel gives it up.

bool http_client_idempotent(struct str method); // RFC 9110, 9.2.2

#endif
