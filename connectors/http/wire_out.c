// SPDX-License-Identifier: Apache-2.0
// The outgoing side of a body's framing. Keeps all it knows in struct wire_out. Thread: any.
//
// A chunk is  edge | data | CRLF,  the edge being its size line. `left` counts the open chunk's
// data; a CRLF that went in part only becomes the edge.
#include "connectors/http/wire_out.h"

#include <stdio.h>

static char crlf[] = "\r\n";

void wire_out_begin(struct wire_out *o, enum wire_framing framing, uint64_t length)
{
    *o = (struct wire_out){.framing = framing, .left = framing == WIRE_LENGTH ? length : 0};
}

static size_t allowed(const struct wire_out *o, struct str data)
{
    switch (o->framing) {
    case WIRE_TO_CLOSE: return data.len;
    case WIRE_LENGTH:
    case WIRE_CHUNKED: return data.len < o->left ? data.len : (size_t)o->left;
    case WIRE_NO_BODY: break;
    }
    return 0;
}

// Appends a size line; what is there already is at most the end of a CRLF.
static void open_chunk(struct wire_out *o, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    unsigned shift = 0;

    while (shift + 4 < 64 && len >> (shift + 4))
        shift += 4;
    for (;; shift -= 4) {
        o->edge[o->edge_len++] = digits[len >> shift & 15];
        if (shift == 0)
            break;
    }
    o->edge[o->edge_len++] = '\r';
    o->edge[o->edge_len++] = '\n';
    o->left = len;
}

unsigned wire_out_parts(struct wire_out *o, struct str data, struct iovec parts[WIRE_OUT_PARTS])
{
    unsigned n = 0;

    if (o->framing == WIRE_CHUNKED && o->left == 0 && data.len > 0)
        open_chunk(o, data.len);
    if (o->edge_len > 0)
        parts[n++] = (struct iovec){o->edge, o->edge_len};
    size_t take = allowed(o, data);
    if (take == 0)
        return n;
    parts[n++] = (struct iovec){(void *)data.data, take};
    if (o->framing == WIRE_CHUNKED && take == o->left)
        parts[n++] = (struct iovec){crlf, 2};
    return n;
}

size_t wire_out_sent(struct wire_out *o, struct str data, size_t sent)
{
    size_t edge = sent < o->edge_len ? sent : o->edge_len;
    size_t take = allowed(o, data);

    memmove(o->edge, o->edge + edge, o->edge_len - edge);
    o->edge_len = (unsigned char)(o->edge_len - edge);
    sent -= edge;
    size_t went = sent < take ? sent : take;
    if (o->framing == WIRE_LENGTH || o->framing == WIRE_CHUNKED)
        o->left -= went;
    if (o->framing == WIRE_CHUNKED && went > 0 && o->left == 0) {
        size_t tail = sent - went;
        o->edge_len = (unsigned char)(2 - tail);
        memcpy(o->edge, crlf + tail, o->edge_len);
    }
    return o->framing == WIRE_NO_BODY ? data.len : went;
}

bool wire_out_open(const struct wire_out *o)
{
    return o->edge_len > 0 ||
           ((o->framing == WIRE_LENGTH || o->framing == WIRE_CHUNKED) && o->left);
}

size_t wire_out_trace(const struct trace *t, char parent[TRACE_PARENT_LEN + 1],
                      struct http_header out[2])
{
    trace_write_parent(t, parent);
    out[0] = (struct http_header){STR("traceparent"), str_of(parent)};
    out[1] = (struct http_header){STR("tracestate"), t->state};
    return t->state.len > 0 ? 2 : 1;
}
