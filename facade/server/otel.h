// SPDX-License-Identifier: Apache-2.0
// Export of traces by OTLP/HTTP with JSON: one span a request, one an operation in dispatch, one
// a call of a backend. Spans wait in a bounded queue and are sent in batches by a thread of its
// own; beyond the bound, or when the collector refuses them, they are dropped and counted
// (ficus_trace_spans_total). A request is never delayed.
#ifndef FICUS_FACADE_OTEL_H
#define FICUS_FACADE_OTEL_H

#include "base/conf.h"
#include "facade/http/listener.h"

struct otel;

// NULL with `e` set; *out NULL when trace.endpoint is "".
int otel_start(const struct conf *conf, struct otel **out, struct err *e) FICUS_MUST_CHECK;
void otel_stop(struct otel *o); // what waits is sent, for a second at most; NULL is fine
// Thread: any. Takes the request when its trace is sampled, or by trace.sample.
void otel_note(struct otel *o, const struct http_access *a);

#endif
