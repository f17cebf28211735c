// SPDX-License-Identifier: Apache-2.0
// Who the client is when trusted proxies stand between: the rightmost address of the forwarded
// field that is not a trusted peer's. Only one field is believed, the one that the proxies are
// known to write: another may come from the client itself. Pure functions. Thread: any.
#ifndef FICUS_FACADE_FORWARDED_H
#define FICUS_FACADE_FORWARDED_H

#include "connectors/http/wire.h"
#include "facade/http/peers.h"

enum forwarded_field {
    FORWARDED_NONE,
    FORWARDED_X,   // X-Forwarded-For, X-Forwarded-Proto
    FORWARDED_RFC, // Forwarded (RFC 7239)
};

// `client` holds the trusted peer's address, and is replaced hop by hop as far as each hop is
// trusted; an entry that is no address ends the walk. `https` is what the nearest proxy says
// of its client's connection; unchanged when it says nothing.
void forwarded_client(const struct http_header *headers, size_t n, enum forwarded_field field,
                      const struct peers *trusted, struct sockaddr_storage *client, bool *https);

#endif
