// SPDX-License-Identifier: Apache-2.0
// What peers say before and about a request, as hostile bytes. The first byte chooses: a PROXY
// header (a shorter beginning must never be refused or taken as another), a forwarded field,
// trace context, a list of networks.
#include "base/trace.h"
#include "facade/http/forwarded.h"
#include "facade/http/proxy_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void proxy(struct str text)
{
    struct proxy_header h, again;
    size_t used = 0, n = 0;

    if (proxy_header_parse(text, &h, &used) <= 0)
        return;
    if (used == 0 || used > text.len || used > PROXY_HEADER_MAX)
        abort();
    if (proxy_header_parse(str_n(text.data, used), &again, &n) != 1 || n != used ||
        again.told != h.told)
        abort();
    for (size_t len = 0; len < used; len++)
        if (proxy_header_parse(str_n(text.data, len), &again, &n) != 0)
            abort();
}

static void forwarded(struct str text, enum forwarded_field field, const struct peers *trusted)
{
    struct http_header headers[2] = {
        {field == FORWARDED_RFC ? STR("Forwarded") : STR("X-Forwarded-For"), text},
        {STR("X-Forwarded-Proto"), text}};
    struct sockaddr_storage client;
    bool https = false;

    if (!peers_parse_address(STR("10.0.0.1"), &client))
        abort();
    forwarded_client(headers, 2, field, trusted, &client, &https);
    if (client.ss_family != AF_INET && client.ss_family != AF_INET6)
        abort();
}

static void trace(struct str text)
{
    static struct trace_random random = {{1, 2}};
    size_t n = text.len < TRACE_PARENT_LEN ? text.len : TRACE_PARENT_LEN;
    struct trace t, next;
    char out[TRACE_PARENT_LEN + 1];

    trace_begin(&t, &random, str_n(text.data, n), str_n(text.data + n, text.len - n));
    trace_write_parent(&t, out);
    trace_begin(&next, &random, str_of(out), t.state);
    if (memcmp(next.trace_id, t.trace_id, 33) != 0 || memcmp(next.parent_id, t.span_id, 17) != 0)
        abort(); // what we pass on is understood
}

static void networks(struct str text)
{
    char z[128];
    const char *one = z;
    struct err e;

    if (str_copy(z, sizeof(z), text) == 0)
        peers_destroy(peers_create(&one, 1, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct peers *trusted;
    const char *const list[] = {"10.0.0.0/8", "fd00::/8"};
    struct err e;

    if (!trusted && !(trusted = peers_create(list, 2, &e)))
        abort();
    if (size < 1)
        return 0;
    struct str text = str_n((const char *)data + 1, size - 1);
    switch (data[0] % 5) {
    case 0: proxy(text); break;
    case 1: forwarded(text, FORWARDED_X, trusted); break;
    case 2: forwarded(text, FORWARDED_RFC, trusted); break;
    case 3: trace(text); break;
    default: networks(text); break;
    }
    return 0;
}
