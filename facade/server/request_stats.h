// SPDX-License-Identifier: Apache-2.0
// Counts and times of operations by route, stage, answering side and outcome. One a
// dispatcher; what it made for a route stays for as long as it lives. Thread: the loop.
#ifndef FICUS_FACADE_REQUEST_STATS_H
#define FICUS_FACADE_REQUEST_STATS_H

#include "facade/operation.h"

struct request_stats;

struct request_stats *request_stats_create(struct err *e);
void request_stats_destroy(struct request_stats *s); // NULL is fine
// `r` may be NULL: an operation without a route is only counted.
void request_stats_note(struct request_stats *s, const struct route *r, const struct result *x,
                        uint64_t duration_ns);
// "account legacy"; "-" without a route. Lives as long as `s`.
const char *request_stats_label(struct request_stats *s, const struct route *r, enum side side);

// The route's name; NULL without a route. Lives as long as `s`.
const char *request_stats_name(struct request_stats *s, const struct route *r);

#endif
