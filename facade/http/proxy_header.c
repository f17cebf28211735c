// SPDX-License-Identifier: Apache-2.0
// Version 1:  PROXY TCP4 192.0.2.1 198.51.100.1 40000 443 CR LF   (TCP6, UNKNOWN; 107 bytes)
// Version 2:  12 bytes of signature | 0x20 LOCAL or 0x21 PROXY | family and transport |
//             16 bits of length | addresses | extensions (type, 16 bits of length, value)*
// Extensions must be well-formed and are passed over.
#include "facade/http/proxy_header.h"

#include "facade/http/peers.h"

#include <netinet/in.h>

#define V1_MAX    107
#define V2_HEAD   16
#define V2_LENGTH (PROXY_HEADER_MAX - V2_HEAD)

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

// ---- version 1

// The next of the words that single spaces separate; false when there is none.
static bool next_word(struct str *line, struct str *word)
{
    const char *space = line->len > 0 ? memchr(line->data, ' ', line->len) : NULL;
    size_t n = space ? (size_t)(space - line->data) : line->len;

    *word = str_n(line->data, n);
    *line = space ? str_n(space + 1, line->len - n - 1) : str_n(NULL, 0);
    return n > 0;
}

static bool is_port(struct str word, long long *port)
{
    return word.len > 0 && (word.len == 1 || word.data[0] != '0') &&
           str_to_int(word, 0, 65535, port) && word.data[0] >= '0' && word.data[0] <= '9';
}

static void set_port(struct sockaddr_storage *ss, in_port_t port)
{
    if (ss->ss_family == AF_INET)
        ((struct sockaddr_in *)ss)->sin_port = port;
    else
        ((struct sockaddr_in6 *)ss)->sin6_port = port;
}

static int parse_line(struct str line, struct proxy_header *out)
{
    struct str word, family, from, to, from_port, to_port;
    struct sockaddr_storage other;
    long long port, other_port;

    if (!next_word(&line, &word) || !next_word(&line, &family))
        return -1;
    if (str_eqz(family, "UNKNOWN"))
        return 1;
    bool v4 = str_eqz(family, "TCP4");
    if (!v4 && !str_eqz(family, "TCP6"))
        return -1;
    if (!next_word(&line, &from) || !next_word(&line, &to) || !next_word(&line, &from_port) ||
        !next_word(&line, &to_port) || line.data)
        return -1;
    if (!peers_parse_address(from, &out->client) || !peers_parse_address(to, &other) ||
        v4 == (memchr(from.data, ':', from.len) != NULL) ||
        v4 == (memchr(to.data, ':', to.len) != NULL) || !is_port(from_port, &port) ||
        !is_port(to_port, &other_port))
        return -1;
    set_port(&out->client, htons((uint16_t)port));
    out->told = true;
    return 1;
}

static int parse_v1(struct str data, struct proxy_header *out, size_t *used)
{
    size_t most = data.len < V1_MAX ? data.len : V1_MAX;
    const char *lf = memchr(data.data, '\n', most);

    if (!lf)
        return data.len < V1_MAX ? 0 : -1;
    size_t n = (size_t)(lf - data.data);
    if (n == 0 || data.data[n - 1] != '\r')
        return -1;
    *used = n + 1;
    return parse_line(str_n(data.data, n - 1), out);
}

// ---- version 2

static size_t u16(const unsigned char *p)
{
    return (size_t)p[0] << 8 | p[1];
}

static bool extensions_are_whole(const unsigned char *p, size_t len)
{
    while (len > 0) {
        if (len < 3 || u16(p + 1) > len - 3)
            return false;
        size_t n = 3 + u16(p + 1);
        p += n;
        len -= n;
    }
    return true;
}

// `p` are the `len` bytes behind the fixed part.
static int parse_addresses(unsigned family, const unsigned char *p, size_t len,
                           struct proxy_header *out)
{
    size_t size = family == 0x11 ? 12 : family == 0x21 ? 36 : family == 0x31 ? 216 : 0;

    if (size == 0 && family != 0)
        return -1; // datagrams, or nothing known
    if (len < size)
        return -1;
    if (family != 0 && !extensions_are_whole(p + size, len - size))
        return -1;
    if (family == 0x11) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        memcpy(&v4.sin_addr, p, 4);
        memcpy(&v4.sin_port, p + 8, 2);
        memcpy(&out->client, &v4, sizeof(v4));
    } else if (family == 0x21) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        memcpy(&v6.sin6_addr, p, 16);
        memcpy(&v6.sin6_port, p + 32, 2);
        memcpy(&out->client, &v6, sizeof(v6));
        peers_plain(&out->client);
    }
    out->told = family == 0x11 || family == 0x21;
    return 1;
}

static int parse_v2(struct str data, struct proxy_header *out, size_t *used)
{
    const unsigned char *p = (const unsigned char *)data.data;

    if (data.len < V2_HEAD)
        return 0;
    size_t len = u16(p + 14);
    if ((p[12] != 0x20 && p[12] != 0x21) || len > V2_LENGTH)
        return -1;
    if (data.len < V2_HEAD + len)
        return 0;
    *used = V2_HEAD + len;
    return p[12] == 0x20 ? 1 : parse_addresses(p[13], p + V2_HEAD, len, out);
}

int proxy_header_parse(struct str data, struct proxy_header *out, size_t *used)
{
    static const char word[6] = "PROXY ";
    size_t n1 = data.len < sizeof(word) ? data.len : sizeof(word);
    size_t n2 = data.len < sizeof(signature) ? data.len : sizeof(signature);

    *out = (struct proxy_header){0};
    if (data.len == 0)
        return 0;
    if (memcmp(data.data, word, n1) == 0)
        return n1 < sizeof(word) ? 0 : parse_v1(data, out, used);
    if (memcmp(data.data, signature, n2) == 0)
        return n2 < sizeof(signature) ? 0 : parse_v2(data, out, used);
    return -1;
}
