// SPDX-License-Identifier: Apache-2.0
// What a request's and a reply's header fields become on their way through a proxy (RFC 9110,
// 7.6): hop-by-hop fields end here, framing is made anew, the rest goes through as it came and in
// its order. Pure. Thread: any.
#ifndef FICUS_FACADE_PASS_HEAD_H
#define FICUS_FACADE_PASS_HEAD_H

#include "base/buf.h"
#include "facade/http/http.h"
#include "facade/http/stream.h"
#include "routes/upstream.h"

// Where a request goes and how its body is framed there.
struct pass_way {
    const struct upstream *upstream;
    const char *name;   // "host:port" of its URL
    const char *prefix; // of its URL
    enum wire_framing framing;
    uint64_t length; // WIRE_LENGTH
    bool expects;    // 100 before the body
};

// The request as the upstream gets it.
void pass_request_head(struct buf *out, const struct http_request *r, const struct pass_way *way);

// The reply as the client gets it. `fields` has room for WIRE_HEADERS_MAX + 1; `out` points to
// them, and they to `h`.
void pass_reply_head(const struct wire_head *h, const struct upstream *u,
                     struct http_header *fields, struct http_stream_head *out);

// Trailer lines that may go on, each with its CRLF, appended to `out`: none that frames, routes
// or authenticates (RFC 9110, 6.5.1).
void pass_trailers(struct buf *out, struct str lines);

#endif
