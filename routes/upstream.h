// SPDX-License-Identifier: Apache-2.0
// Where requests are passed through to: an application behind the facade, as the route table
// describes it under "upstreams". Immutable; lives as long as its route table. Thread: any.
#ifndef FICUS_ROUTES_UPSTREAM_H
#define FICUS_ROUTES_UPSTREAM_H

#include "base/str.h"

#define ROUTE_UPSTREAMS_MAX 32

enum x_forwarded {
    X_FORWARDED_REPLACE, // what a client says of itself is dropped
    X_FORWARDED_APPEND,  // the peer behind what the client sent
    X_FORWARDED_OFF,     // passed as it came
};

struct upstream {
    const char *name;
    unsigned index;             // dense
    const char *url;            // http://host[:port][/prefix]
    bool host_rewritten;        // Host is the upstream's own instead of the client's
    enum x_forwarded forwarded; // of X-Forwarded-For, -Proto and -Host
    bool forwarded_rfc;         // Forwarded (RFC 7239) by the same rule
    bool via;                   // Via both ways
    unsigned connections;       // of one loop
    unsigned queue;             // requests of one loop that wait for one of them
    unsigned connect_ms;        // longest wait for a connection
    unsigned silence_ms;        // longest wait for the upstream to read or answer
};

#endif
