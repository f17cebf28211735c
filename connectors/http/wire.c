// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 header blocks and their framing. Owns nothing, keeps nothing. The chunked coding
// is in wire_chunks.c. Thread: any.
//
//   request-line  = method SP request-target SP HTTP-version CRLF
//   status-line   = HTTP-version SP 3DIGIT [ SP reason ] CRLF
//   field-line    = token ":" OWS value OWS CRLF        (no folding, no blank before ":")
//   head          = first line, *field-line, CRLF       (every line ends in CRLF)
//
// Refused although other parsers take it: bare LF, obs-fold, blanks before a colon, more
// than one Content-Length or Host, Content-Length beside Transfer-Encoding, any transfer
// coding but one "chunked", control characters anywhere.
#include "connectors/http/wire.h"

#define TCHAR  1u // token
#define VALUE  2u // field value
#define TARGET 4u // request target: visible ASCII without '#'
#define HOST   8u // uri-host and port

// Filled by ranges: written out, the table could not be read.
static const unsigned char kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TCHAR | VALUE | TARGET,
    ['"'] = VALUE | TARGET,
    ['#'] = TCHAR | VALUE,
    ['$' ... '%'] = TCHAR | VALUE | TARGET | HOST,
    ['&' ... '\''] = TCHAR | VALUE | TARGET,
    ['(' ... ')'] = VALUE | TARGET,
    ['*' ... '+'] = TCHAR | VALUE | TARGET,
    [','] = VALUE | TARGET,
    ['-' ... '.'] = TCHAR | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TCHAR | VALUE | TARGET | HOST,
    [':'] = VALUE | TARGET | HOST,
    [';' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TCHAR | VALUE | TARGET | HOST,
    ['['] = VALUE | TARGET | HOST,
    ['\\'] = VALUE | TARGET,
    [']'] = VALUE | TARGET | HOST,
    ['^'] = TCHAR | VALUE | TARGET,
    ['_'] = TCHAR | VALUE | TARGET | HOST,
    ['`'] = TCHAR | VALUE | TARGET,
    ['a' ... 'z'] = TCHAR | VALUE | TARGET | HOST,
    ['{'] = VALUE | TARGET,
    ['|'] = TCHAR | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TCHAR | VALUE | TARGET | HOST,
    [0x80 ... 0xff] = VALUE,
};

static int fault(struct wire_fault *f, unsigned status, const char *why)
{
    *f = (struct wire_fault){status, why};
    return -1;
}

// Length of the longest prefix made of one kind.
static size_t span(struct str s, unsigned kind)
{
    size_t n = 0;

    while (n < s.len && (kinds[(unsigned char)s.data[n]] & kind))
        n++;
    return n;
}

bool wire_is_token(struct str s)
{
    return s.len > 0 && span(s, TCHAR) == s.len;
}

bool wire_is_value(struct str s)
{
    return span(s, VALUE) == s.len;
}

bool wire_is_target(struct str s)
{
    return s.len > 0 && s.data[0] == '/' && span(s, TARGET) == s.len;
}

int wire_find_end(struct str data, size_t *scanned, size_t *head_len, struct wire_fault *f)
{
    size_t at = *scanned;
    const char *lf;

    while (at < data.len && (lf = memchr(data.data + at, '\n', data.len - at)) != NULL) {
        size_t i = (size_t)(lf - data.data);
        if (i == 0 || data.data[i - 1] != '\r')
            return fault(f, 400, "a line ends without CR LF");
        if (i == 1 || data.data[i - 2] == '\n') {
            *head_len = i + 1;
            return 1;
        }
        at = i + 1;
    }
    *scanned = data.len;
    return 0;
}

// The next line without its CRLF; `rest` moves behind it. The block is known to be made
// of CRLF lines.
static struct str take_line(struct str *rest)
{
    const char *lf = memchr(rest->data, '\n', rest->len);
    size_t n = (size_t)(lf - rest->data);
    struct str line = str_n(rest->data, n - 1);

    rest->data += n + 1;
    rest->len -= n + 1;
    return line;
}

// ---- field lines

static int parse_field(struct str line, struct http_header *h, struct wire_fault *f)
{
    size_t n = span(line, TCHAR);

    if (n == 0 && line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return fault(f, 400, "a header field is folded");
    if (n == 0 || n == line.len || line.data[n] != ':')
        return fault(f, 400, "a header field's name is malformed");
    h->name = str_n(line.data, n);
    struct str v = str_n(line.data + n + 1, line.len - n - 1);
    if (!wire_is_value(v))
        return fault(f, 400, "a header field's value holds a control character");
    while (v.len > 0 && (v.data[0] == ' ' || v.data[0] == '\t')) {
        v.data++;
        v.len--;
    }
    while (v.len > 0 && (v.data[v.len - 1] == ' ' || v.data[v.len - 1] == '\t'))
        v.len--;
    h->value = v;
    return 0;
}

// The fields that decide framing and connection, gathered in the one pass.
struct seen {
    unsigned hosts, lengths, codings, expects;
    struct str host, length, coding, expect;
    bool close, keep_alive;
};

static bool list_has(struct str list, struct str token)
{
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.data) : list.len;
        if (str_eq_nocase(str_trim(str_n(list.data, n)), token))
            return true;
        n += comma ? 1 : 0;
        list.data += n;
        list.len -= n;
    }
    return false;
}

static void note(struct seen *s, const struct http_header *h)
{
    switch (h->name.len) { // most fields are told apart by length alone
    case 4:
        if (str_eq_nocase(h->name, STR("host"))) {
            s->hosts++;
            s->host = h->value;
        }
        break;
    case 6:
        if (str_eq_nocase(h->name, STR("expect"))) {
            s->expects++;
            s->expect = h->value;
        }
        break;
    case 10:
        if (str_eq_nocase(h->name, STR("connection"))) {
            s->close |= list_has(h->value, STR("close"));
            s->keep_alive |= list_has(h->value, STR("keep-alive"));
        }
        break;
    case 14:
        if (str_eq_nocase(h->name, STR("content-length"))) {
            s->lengths++;
            s->length = h->value;
        }
        break;
    case 17:
        if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
            s->codings++;
            s->coding = h->value;
        }
        break;
    default: break;
    }
}

static int parse_fields(struct str rest, struct http_header *headers, struct wire_head *out,
                        struct seen *seen, struct wire_fault *f)
{
    out->headers = headers;
    out->nheaders = 0;
    while (rest.len > 2) { // the blank line is left
        if (out->nheaders == WIRE_HEADERS_MAX)
            return fault(f, 431, "too many header fields");
        struct http_header *h = &headers[out->nheaders];
        if (parse_field(take_line(&rest), h, f) != 0)
            return -1;
        note(seen, h);
        out->nheaders++;
    }
    return 0;
}

static int parse_length(struct str s, uint64_t *out, struct wire_fault *f)
{
    uint64_t n = 0;

    if (s.len == 0)
        return fault(f, 400, "Content-Length is empty");
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return fault(f, 400, "Content-Length is not a number");
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(s.data[i] - '0'), &n))
            return fault(f, 413, "Content-Length is beyond any limit");
    }
    if (n > INT64_MAX) // a reader with signed numbers would see another length
        return fault(f, 413, "Content-Length is beyond any limit");
    *out = n;
    return 0;
}

// What the fields say of a body; WIRE_NO_BODY when they say nothing.
static int parse_framing(const struct seen *s, struct wire_head *out, struct wire_fault *f)
{
    out->framing = WIRE_NO_BODY;
    if (s->codings > 0) {
        if (s->lengths > 0)
            return fault(f, 400, "Content-Length beside Transfer-Encoding");
        if (out->http10)
            return fault(f, 400, "Transfer-Encoding in HTTP/1.0");
        if (s->codings > 1)
            return fault(f, 400, "more than one Transfer-Encoding");
        if (!str_eq_nocase(s->coding, STR("chunked")))
            return fault(f, s->coding.len > 0 ? 501 : 400, "unsupported transfer coding");
        out->framing = WIRE_CHUNKED;
    } else if (s->lengths > 1) {
        return fault(f, 400, "more than one Content-Length");
    } else if (s->lengths == 1) {
        if (parse_length(s->length, &out->length, f) != 0)
            return -1;
        out->framing = WIRE_LENGTH;
    }
    return 0;
}

// "HTTP/1.0" and "HTTP/1.1". A higher minor version is read as 1.1, the highest that is known
// here (RFC 9110, 2.5); another major version is one that we do not speak.
static int parse_version(struct str s, bool *http10, struct wire_fault *f)
{
    if (s.len != 8 || memcmp(s.data, "HTTP/", 5) != 0 || s.data[6] != '.' || s.data[5] < '0' ||
        s.data[5] > '9' || s.data[7] < '0' || s.data[7] > '9')
        return fault(f, 400, "malformed HTTP version");
    if (s.data[5] != '1')
        return fault(f, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    *http10 = s.data[7] == '0';
    return 0;
}

// ---- requests

// Some servers read '\\' as '/'. Queries may hold it: clients send JSON there as it is.
static int check_path(struct str target, struct wire_fault *f)
{
    const char *query = memchr(target.data, '?', target.len);
    size_t n = query ? (size_t)(query - target.data) : target.len;

    return memchr(target.data, '\\', n) ? fault(f, 400, "the path holds a backslash") : 0;
}

// Reduces absolute-form to origin-form; *authority is set then.
static int parse_target(struct wire_head *out, struct str *authority, struct wire_fault *f)
{
    struct str t = out->target;

    if (t.len > 0 && t.data[0] == '/')
        return check_path(t, f);
    if (str_eqz(t, "*") && str_eqz(out->method, "OPTIONS"))
        return 0;
    if (str_eqz(out->method, "CONNECT"))
        return fault(f, 501, "CONNECT is not supported");
    size_t scheme = 0;
    if (t.len > 7 && str_eq_nocase(str_n(t.data, 7), STR("http://")))
        scheme = 7;
    else if (t.len > 8 && str_eq_nocase(str_n(t.data, 8), STR("https://")))
        scheme = 8;
    if (scheme == 0)
        return fault(f, 400, "malformed request target");
    struct str rest = str_n(t.data + scheme, t.len - scheme);
    size_t n = span(rest, HOST);
    if (n == 0 || (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?'))
        return fault(f, 400, "malformed authority in the request target");
    *authority = str_n(rest.data, n);
    if (n == rest.len)
        out->target = STR("/");
    else if (rest.data[n] == '?')
        return fault(f, 400, "the request target has no path");
    else
        out->target = str_n(rest.data + n, rest.len - n);
    return check_path(out->target, f);
}

static int parse_request_line(struct str line, struct wire_head *out, struct str *authority,
                              struct wire_fault *f)
{
    size_t n = span(line, TCHAR);

    if (n == 0 || n == line.len || line.data[n] != ' ')
        return fault(f, 400, "malformed method");
    if (n > WIRE_METHOD_MAX)
        return fault(f, 501, "unknown method");
    out->method = str_n(line.data, n);
    struct str rest = str_n(line.data + n + 1, line.len - n - 1);
    n = span(rest, TARGET);
    if (n == 0 || n == rest.len || rest.data[n] != ' ')
        return fault(f, 400, "malformed request target");
    out->target = str_n(rest.data, n);
    if (parse_version(str_n(rest.data + n + 1, rest.len - n - 1), &out->http10, f) != 0)
        return -1;
    return parse_target(out, authority, f);
}

// uri-host [ ":" *DIGIT ]; brackets only around an IP literal.
static bool is_authority(struct str s)
{
    size_t host = 0;
    if (s.len > 0 && s.data[0] == '[') {
        const char *end = memchr(s.data, ']', s.len);
        if (!end)
            return false;
        host = (size_t)(end - s.data) + 1;
    } else {
        while (host < s.len && s.data[host] != ':' && s.data[host] != '[' && s.data[host] != ']')
            host++;
    }
    if (host < s.len && s.data[host] != ':')
        return false;
    for (size_t i = host + 1; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return span(s, HOST) == s.len;
}

static int check_host(const struct seen *s, struct wire_head *out, struct str authority,
                      struct wire_fault *f)
{
    if (s->hosts > 1)
        return fault(f, 400, "more than one Host");
    if (s->hosts == 0 && !out->http10)
        return fault(f, 400, "no Host");
    if (!is_authority(s->host) || (authority.data && !is_authority(authority)))
        return fault(f, 400, "malformed Host");
    out->host = authority.data ? authority : s->host;
    return 0;
}

int wire_parse_request(struct str head, struct http_header *headers, struct wire_head *out,
                       struct wire_fault *f)
{
    struct seen seen = {0};
    struct str authority = {0};

    *out = (struct wire_head){0};
    if (parse_request_line(take_line(&head), out, &authority, f) != 0 ||
        parse_fields(head, headers, out, &seen, f) != 0 ||
        check_host(&seen, out, authority, f) != 0 || parse_framing(&seen, out, f) != 0)
        return -1;
    if (seen.expects > 0 && !out->http10) {
        if (seen.expects > 1 || !str_eq_nocase(seen.expect, STR("100-continue")))
            return fault(f, 417, "only 100-continue can be expected");
        out->expect_continue = true;
    }
    out->keep_alive = !seen.close && (!out->http10 || seen.keep_alive);
    return 0;
}

// ---- responses

static int parse_status_line(struct str line, struct wire_head *out, struct wire_fault *f)
{
    if (line.len < 12 || line.data[8] != ' ')
        return fault(f, 502, "malformed status line");
    if (parse_version(str_n(line.data, 8), &out->http10, f) != 0)
        return fault(f, 502, "malformed or unknown HTTP version");
    for (size_t i = 9; i < 12; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return fault(f, 502, "malformed status");
        out->status = out->status * 10 + (unsigned)(line.data[i] - '0');
    }
    // Some servers leave out the blank before an empty reason.
    if (out->status < 100 || out->status > 599 || (line.len > 12 && line.data[12] != ' ') ||
        !wire_is_value(str_n(line.data + 12, line.len - 12)))
        return fault(f, 502, "malformed status line");
    out->reason = line.len > 13 ? str_n(line.data + 13, line.len - 13) : str_n(NULL, 0);
    return 0;
}

int wire_parse_response(struct str head, bool head_request, struct http_header *headers,
                        struct wire_head *out, struct wire_fault *f)
{
    struct seen seen = {0};

    *out = (struct wire_head){0};
    if (head.len < 4) // only the blank line
        return fault(f, 502, "malformed status line");
    if (parse_status_line(take_line(&head), out, f) != 0 ||
        parse_fields(head, headers, out, &seen, f) != 0 || parse_framing(&seen, out, f) != 0) {
        f->status = 502;
        return -1;
    }
    if (head_request || out->status < 200 || out->status == 204 || out->status == 304)
        out->framing = WIRE_NO_BODY;
    else if (out->framing == WIRE_NO_BODY)
        out->framing = WIRE_TO_CLOSE;
    out->keep_alive = !seen.close && (!out->http10 || seen.keep_alive) &&
                      out->framing != WIRE_TO_CLOSE;
    return 0;
}

// ---- looking fields up

struct str wire_find(const struct http_header *headers, size_t n, const char *name)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, wanted))
            return headers[i].value;
    return str_n(NULL, 0);
}

bool wire_has_token(const struct http_header *headers, size_t n, const char *name,
                    const char *token)
{
    struct str wanted = str_of(name), t = str_of(token);

    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, wanted) && list_has(headers[i].value, t))
            return true;
    return false;
}
