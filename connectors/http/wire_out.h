// SPDX-License-Identifier: Apache-2.0
// Framing of an outgoing body without copying it: says which bytes go around the data, and
// keeps count when a socket takes only a part. Shared by the server's replies and the client's
// requests. Knows no socket; allocates nothing. Thread: any; one owner.
//
// Each piece of data offered becomes one chunk. When a piece went only in part, the next offer
// has to begin with the rest of it: what a caller keeps because it was not taken.
#ifndef FICUS_CONNECTORS_HTTP_WIRE_OUT_H
#define FICUS_CONNECTORS_HTTP_WIRE_OUT_H

#include "base/trace.h"
#include "connectors/http/wire.h"

#include <sys/uio.h>

#define WIRE_OUT_PARTS 3

struct wire_out {
    enum wire_framing framing; // WIRE_NO_BODY: data is dropped (the reply to a HEAD)
    uint64_t left;             // WIRE_LENGTH: bytes still to come; WIRE_CHUNKED: of the open chunk
    unsigned char edge_len;    // framing bytes that have to go before any data
    char edge[31];
};

// `length` is WIRE_LENGTH's.
void wire_out_begin(struct wire_out *o, enum wire_framing framing, uint64_t length);
// Fills `parts` with what to send now for `data` and returns how many there are. Data beyond
// WIRE_LENGTH's length is not among them.
unsigned wire_out_parts(struct wire_out *o, struct str data, struct iovec parts[WIRE_OUT_PARTS]);
// `sent` bytes of those parts went (`data` is the same); returns how many of them were data.
size_t wire_out_sent(struct wire_out *o, struct str data, size_t sent);
// The rest of a chunk's frame still has to go, or data that was announced.
bool wire_out_open(const struct wire_out *o);

// The fields that make a request the next hop of a trace; how many. `parent` holds a text.
size_t wire_out_trace(const struct trace *t, char parent[TRACE_PARENT_LEN + 1],
                      struct http_header out[2]);

#endif
