// SPDX-License-Identifier: Apache-2.0
// Header fields through the proxy. Names are compared with '_' as '-': a CGI program sees both
// as one, so that "Content_Length" or "X_Forwarded_For" would speak with our voice.
// Thread: any.
#include "facade/pass/pass_head.h"

#include <arpa/inet.h>
#include <stdio.h>

// What becomes of a field.
enum fate {
    FATE_PASS,
    FATE_DROP,       // hop-by-hop, framing, or made anew
    FATE_CONNECTION, // dropped, and names others
    FATE_X_FORWARDED,
    FATE_X_FORWARDED_FOR,
    FATE_FORWARDED,
    FATE_UPGRADE,
    FATE_TRACE, // becomes this hop's
};

static const struct known {
    const char *name;
    enum fate fate;
} known[] = {
    {"te", FATE_DROP},
    {"host", FATE_DROP},
    {"proxy", FATE_DROP}, // CGI's HTTP_PROXY
    {"expect", FATE_DROP},
    {"upgrade", FATE_UPGRADE},
    {"forwarded", FATE_FORWARDED},
    {"tracestate", FATE_TRACE},
    {"traceparent", FATE_TRACE},
    {"connection", FATE_CONNECTION},
    {"keep-alive", FATE_DROP},
    {"content-length", FATE_DROP},
    {"x-forwarded-for", FATE_X_FORWARDED_FOR},
    {"x-forwarded-host", FATE_X_FORWARDED},
    {"proxy-connection", FATE_DROP},
    {"x-forwarded-proto", FATE_X_FORWARDED},
    {"transfer-encoding", FATE_DROP},
    {"proxy-authenticate", FATE_DROP},
    {"proxy-authorization", FATE_DROP},
};

// `name` is lower case and has no '_'.
static bool is_name(struct str s, const char *name)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        if (c != name[i])
            return false;
    }
    return name[s.len] == '\0';
}

static enum fate fate_of(struct str name)
{
    char first = name.data[0];

    first = first >= 'A' && first <= 'Z' ? (char)(first | 0x20) : first;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].name[0] == first && is_name(name, known[i].name))
            return known[i].fate;
    return FATE_PASS;
}

// Named by Connection: it ends here too. What Connection may not name is what we make ourselves.
static bool is_listed(const struct http_header *headers, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        struct str list = headers[i].value;
        if (!str_eq_nocase(headers[i].name, STR("connection")))
            continue;
        while (list.len > 0) {
            const char *comma = memchr(list.data, ',', list.len);
            size_t len = comma ? (size_t)(comma - list.data) : list.len;
            if (str_eq_nocase(str_trim(str_n(list.data, len)), name))
                return true;
            len += comma ? 1 : 0;
            list = str_n(list.data + len, list.len - len);
        }
    }
    return false;
}

// Whether Connection names anything but the two words that concern the connection itself.
static bool lists_fields(const struct http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, STR("connection")) &&
            !str_eq_nocase(headers[i].value, STR("close")) &&
            !str_eq_nocase(headers[i].value, STR("keep-alive")))
            return true;
    return false;
}

static void add_field(struct buf *out, struct str name, struct str value)
{
    buf_addstr(out, name);
    buf_add(out, ": ", 2);
    buf_addstr(out, value);
    buf_add(out, "\r\n", 2);
}

// ---- requests

static void peer_text(const struct sockaddr_storage *peer, char out[INET6_ADDRSTRLEN])
{
    const void *address =
        peer->ss_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;

    if (!inet_ntop(peer->ss_family, address, out, INET6_ADDRSTRLEN))
        snprintf(out, INET6_ADDRSTRLEN, "unknown");
}

// The values that the client's fields of this fate hold, with ", " behind each.
static void add_earlier(struct buf *out, const struct http_request *r, enum fate fate)
{
    for (size_t i = 0; i < r->nheaders; i++) {
        if (fate_of(r->headers[i].name) != fate || r->headers[i].value.len == 0)
            continue;
        buf_addstr(out, r->headers[i].value);
        buf_add(out, ", ", 2);
    }
}

static void add_x_forwarded(struct buf *out, const struct http_request *r, const struct upstream *u,
                            const char *peer)
{
    bool append = u->forwarded == X_FORWARDED_APPEND;
    struct str host = append ? http_header(r, "X-Forwarded-Host") : str_n(NULL, 0);
    struct str proto = append ? http_header(r, "X-Forwarded-Proto") : str_n(NULL, 0);

    buf_addz(out, "X-Forwarded-For: ");
    if (append)
        add_earlier(out, r, FATE_X_FORWARDED_FOR);
    buf_addz(out, peer);
    buf_addz(out, "\r\n");
    add_field(out, STR("X-Forwarded-Proto"),
              proto.len > 0 ? proto
              : r->https    ? STR("https")
                            : STR("http"));
    if (host.len > 0 || r->host.len > 0)
        add_field(out, STR("X-Forwarded-Host"), host.len > 0 ? host : r->host);
}

static void add_forwarded(struct buf *out, const struct http_request *r, const struct upstream *u,
                          const char *peer)
{
    bool quoted = strchr(peer, ':') != NULL;

    buf_addz(out, "Forwarded: ");
    if (u->forwarded == X_FORWARDED_APPEND)
        add_earlier(out, r, FATE_FORWARDED);
    buf_addz(out, quoted ? "for=\"[" : "for=");
    buf_addz(out, peer);
    buf_addz(out, quoted ? "]\"" : "");
    if (r->host.len > 0) {
        buf_addz(out, ";host=\"");
        buf_addstr(out, r->host); // the wire's grammar knows no quote in it
        buf_addz(out, "\"");
    }
    buf_addz(out, r->https ? ";proto=https\r\n" : ";proto=http\r\n");
}

static void add_trace(struct buf *out, const struct trace *t)
{
    char parent[TRACE_PARENT_LEN + 1];

    trace_write_parent(t, parent);
    add_field(out, STR("traceparent"), str_of(parent));
    if (t->state.len > 0)
        add_field(out, STR("tracestate"), t->state);
}

static bool passes(const struct upstream *u, enum fate fate)
{
    switch (fate) {
    case FATE_PASS: return true;
    case FATE_X_FORWARDED:
    case FATE_X_FORWARDED_FOR: return u->forwarded == X_FORWARDED_OFF;
    case FATE_FORWARDED: return u->forwarded == X_FORWARDED_OFF && !u->forwarded_rfc;
    case FATE_TRACE:
    case FATE_UPGRADE:
    case FATE_CONNECTION:
    case FATE_DROP: break;
    }
    return false;
}

static void add_framing(struct buf *out, const struct pass_way *way)
{
    if (way->framing == WIRE_LENGTH) {
        buf_addz(out, "Content-Length: ");
        buf_addint(out, (long long)way->length);
        buf_addz(out, "\r\n");
    } else if (way->framing == WIRE_CHUNKED) {
        buf_addz(out, "Transfer-Encoding: chunked\r\n");
    }
}

void pass_request_head(struct buf *out, const struct http_request *r, const struct pass_way *way)
{
    const struct upstream *u = way->upstream;
    bool listed = lists_fields(r->headers, r->nheaders);
    char peer[INET6_ADDRSTRLEN] = "";

    buf_addstr(out, r->method);
    buf_addc(out, ' ');
    buf_addz(out, way->prefix);
    if (!way->prefix[0] || r->target.data[0] == '/') // "*" of a prefix is the prefix itself
        buf_addstr(out, r->target);
    buf_addz(out, " HTTP/1.1\r\n");
    add_field(out, STR("Host"),
              r->host.len > 0 && !u->host_rewritten ? r->host : str_of(way->name));
    for (size_t i = 0; i < r->nheaders; i++) {
        const struct http_header *h = &r->headers[i];
        if (passes(u, fate_of(h->name)) && !(listed && is_listed(r->headers, r->nheaders, h->name)))
            add_field(out, h->name, h->value);
    }
    if (u->forwarded != X_FORWARDED_OFF || u->forwarded_rfc)
        peer_text(u->forwarded == X_FORWARDED_APPEND ? &r->hop : &r->peer, peer);
    if (u->forwarded != X_FORWARDED_OFF)
        add_x_forwarded(out, r, u, peer);
    if (u->forwarded_rfc)
        add_forwarded(out, r, u, peer);
    add_trace(out, &r->trace);
    if (u->via)
        buf_addz(out, r->http10 ? "Via: 1.0 ficus\r\n" : "Via: 1.1 ficus\r\n");
    if (way->expects)
        buf_addz(out, "Expect: 100-continue\r\n");
    add_framing(out, way);
    buf_add(out, "\r\n", 2);
}

// ---- replies

void pass_reply_head(const struct wire_head *h, const struct upstream *u,
                     struct http_header *fields, struct http_stream_head *out)
{
    bool listed = lists_fields(h->headers, h->nheaders);
    size_t n = 0;

    for (size_t i = 0; i < h->nheaders; i++) {
        enum fate fate = fate_of(h->headers[i].name);
        bool ends = fate == FATE_DROP || fate == FATE_CONNECTION || fate == FATE_UPGRADE;
        if (!ends && !(listed && is_listed(h->headers, h->nheaders, h->headers[i].name)))
            fields[n++] = h->headers[i];
    }
    if (u->via)
        fields[n++] = (struct http_header){STR("Via"),
                                           h->http10 ? STR("1.0 ficus") : STR("1.1 ficus")};
    *out = (struct http_stream_head){
        .status = h->status,
        .reason = h->reason,
        .headers = fields,
        .nheaders = n,
        .has_length = h->framing == WIRE_LENGTH ||
                      (h->framing == WIRE_NO_BODY &&
                       wire_find(h->headers, h->nheaders, "content-length").data),
        .length = h->length};
}

// ---- trailers

static bool trails(struct str name)
{
    static const char *const refused[] = {
        "authorization", "cache-control", "content-encoding", "content-range",
        "content-type",  "cookie",        "set-cookie",       "trailer",
        "via",           "date",          "max-forwards",     "range",
        "if-match",      "if-none-match", "location",         "www-authenticate",
        "vary",          "age",           "expires",          "retry-after"};

    if (fate_of(name) != FATE_PASS)
        return false;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (is_name(name, refused[i]))
            return false;
    return true;
}

void pass_trailers(struct buf *out, struct str lines)
{
    while (lines.len > 0) {
        const char *lf = memchr(lines.data, '\n', lines.len);
        size_t n = lf ? (size_t)(lf - lines.data) + 1 : lines.len;
        const char *colon = memchr(lines.data, ':', n);
        if (colon && trails(str_n(lines.data, (size_t)(colon - lines.data))))
            buf_add(out, lines.data, n);
        lines = str_n(lines.data + n, lines.len - n);
    }
}
