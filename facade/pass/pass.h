// SPDX-License-Identifier: Apache-2.0
// Pass-through: a request that nothing in the facade describes goes to the application behind it
// and the reply comes back, both as they are and streaming. One `struct pass` an upstream and
// loop. Thread: the loop.
#ifndef FICUS_FACADE_PASS_H
#define FICUS_FACADE_PASS_H

#include "base/loop.h"
#include "connectors/http/http_client.h"
#include "facade/http/http.h"
#include "routes/upstream.h"

struct pass;
struct tls;

// Copies what it needs of `u`. Resolves the upstream's name, which may block: before the loop
// runs, unless its address is numeric. `tls` (borrowed) is for an upstream that speaks https.
struct pass *pass_create(struct loop *loop, const struct upstream *u, struct tls *tls,
                         struct err *e);
// After the listener's destruction. NULL is fine.
void pass_destroy(struct pass *p);
bool pass_is_numeric(const struct upstream *u);               // its host is an address, not a name
bool pass_is(const struct pass *p, const struct upstream *u); // made of an equal description

// Takes the request: from on_head, or from on_request with its collected body. Replies by itself:
// 502 when the upstream cannot be reached or breaks before its reply, 504 when it is silent, 503
// with Retry-After when connections and queue are full; after the reply's head the client's
// connection is reset instead.
void pass_request(struct pass *p, struct http_request *r);

const struct upstream *pass_upstream(const struct pass *p);
// A request that the caller makes itself, over the same connections. As http_client_send; the
// upstream is filled in.
int pass_send(struct pass *p, struct http_client_request *r, struct err *e) FICUS_MUST_CHECK;

#endif
