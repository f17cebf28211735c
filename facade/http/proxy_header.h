// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's header, versions 1 (a line of text) and 2 (binary): what a load balancer
// sends before the first byte of its client. Pure functions. Thread: any.
#ifndef FICUS_FACADE_PROXY_HEADER_H
#define FICUS_FACADE_PROXY_HEADER_H

#include "base/str.h"

#include <sys/socket.h>

#define PROXY_HEADER_MAX 2064 // bytes, with the extensions of version 2

struct proxy_header {
    bool told;                      // false: the balancer speaks for itself (LOCAL, UNKNOWN)
    struct sockaddr_storage client; // if told
};

// 1 with *used (bytes of the header), 0 when more is needed, -1 when it is none.
int proxy_header_parse(struct str data, struct proxy_header *out, size_t *used) FICUS_MUST_CHECK;

#endif
