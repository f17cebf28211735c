// SPDX-License-Identifier: Apache-2.0
// What dispatch tells the client's exchange: facts for the access log, traces and the field
// Ficus-Route; and the header by which chosen users pick a side. Thread: the loop's.
#ifndef FICUS_FACADE_EXPLAIN_H
#define FICUS_FACADE_EXPLAIN_H

#include "facade/dispatch.h"

// `d` has ended; `route` lives as long as the dispatcher (NULL: not routed).
void explain_note(const struct dispatch *d, const char *route, uint64_t took_ns);
// A part of the request's way, ending now. Literals.
void explain_part(struct http_exchange *x, const char *name, const char *detail, bool backend,
                  uint64_t begin_ns);
// True: the request carries the table's override header, its user is one of those who may, and
// the route is at shadow or canary.
bool explain_asked_side(const struct dispatch *d, enum side *out);

// Who answers for a record (key "": a list) by the table, and why, as JSON. What only a running
// facade knows (a change that has not arrived) is left out. `read` false: a write.
json_t *explain_route(const struct route_table *t, const struct route *r, struct str key,
                      bool read);

#endif
