// SPDX-License-Identifier: Apache-2.0
// See peers.h. Every network is kept as IPv6, so that one comparison serves both.
#include "facade/http/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#define NETWORKS_MAX 1024

struct network {
    unsigned char address[16];
    unsigned bits;
};

struct peers {
    size_t n;
    struct network networks[];
};

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool peers_bytes(const struct sockaddr_storage *address, unsigned char out[16])
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + sizeof(mapped), &v4->sin_addr, 4);
        return true;
    }
    if (address->ss_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
        return true;
    }
    return false;
}

void peers_plain(struct sockaddr_storage *address)
{
    unsigned char bytes[16];
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    if (address->ss_family != AF_INET6 || !peers_bytes(address, bytes) ||
        memcmp(bytes, mapped, sizeof(mapped)) != 0)
        return;
    memcpy(&v4.sin_addr, bytes + sizeof(mapped), 4);
    v4.sin_port = ((const struct sockaddr_in6 *)address)->sin6_port;
    *address = (struct sockaddr_storage){0};
    memcpy(address, &v4, sizeof(v4));
}

bool peers_parse_address(struct str text, struct sockaddr_storage *out)
{
    char z[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (memchr(text.data ? text.data : "", '\0', text.len) || str_copy(z, sizeof(z), text) != 0)
        return false;
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, z, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof(v4));
        return true;
    }
    if (inet_pton(AF_INET6, z, &v6.sin6_addr) != 1)
        return false;
    memcpy(out, &v6, sizeof(v6));
    peers_plain(out);
    return true;
}

static bool bits_equal(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a, b, whole) == 0 &&
           (rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xffu) == 0);
}

static int parse_network(struct network *out, const char *text, struct err *e)
{
    const char *slash = strchr(text, '/');
    struct str address = slash ? str_n(text, (size_t)(slash - text)) : str_of(text);
    static const unsigned char zero[16];
    struct sockaddr_storage ss;
    unsigned char tail[16];
    long long bits = -1;

    if (!peers_parse_address(address, &ss) || !peers_bytes(&ss, out->address))
        return err_set(e, ERR_CONFIG, "\"%s\" is not an address or network in numbers", text);
    bool v4 = ss.ss_family == AF_INET && !memchr(address.data, ':', address.len);
    long long most = v4 ? 32 : 128;
    if (!slash)
        bits = most;
    else if (!str_to_int(str_of(slash + 1), 0, most, &bits))
        return err_set(e, ERR_CONFIG, "\"%s\": the prefix is not 0 to %lld", text, most);
    out->bits = (unsigned)bits + (v4 ? 96 : 0);
    memcpy(tail, out->address, sizeof(tail));
    for (unsigned i = 0; i < out->bits; i++)
        tail[i / 8] &= (unsigned char)~(0x80u >> (i % 8));
    if (memcmp(tail, zero, sizeof(zero)) != 0)
        return err_set(e, ERR_CONFIG, "\"%s\": bits are set behind the prefix", text);
    return 0;
}

struct peers *peers_create(const char *const *networks, size_t n, struct err *e)
{
    if (n > NETWORKS_MAX) {
        err_set(e, ERR_CONFIG, "more than %d networks", NETWORKS_MAX);
        return NULL;
    }
    struct peers *p = calloc(1, sizeof(*p) + n * sizeof(p->networks[0]));
    if (!p) {
        err_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (parse_network(&p->networks[i], networks[i], e) != 0) {
            peers_destroy(p);
            return NULL;
        }
        p->n++;
    }
    return p;
}

void peers_destroy(struct peers *p)
{
    free(p);
}

bool peers_has(const struct peers *p, const struct sockaddr_storage *address)
{
    unsigned char bytes[16];

    if (!p || p->n == 0 || !peers_bytes(address, bytes))
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (bits_equal(bytes, p->networks[i].address, p->networks[i].bits))
            return true;
    return false;
}
