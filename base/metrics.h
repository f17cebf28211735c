// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms in the Prometheus text format 0.0.4.
// Registered at start-up by name, help and a fixed set of label values; updated without
// locks (relaxed atomics). Thread: any. Cardinality is bounded by construction: labels
// come from maps, routes and enums, never from a request.
#ifndef FICUS_BASE_METRICS_H
#define FICUS_BASE_METRICS_H

#include "base/buf.h"

struct metric;

// `name` and `help` are literals; `labels` is `entity="account",stage="new"` or "" and is
// copied. The same name and labels give the same metric. NULL only when memory is out.
struct metric *metrics_counter(const char *name, const char *help, const char *labels);
struct metric *metrics_gauge(const char *name, const char *help, const char *labels);
// Histogram of seconds with fixed log-spaced bounds from 50 us to 60 s.
struct metric *metrics_seconds(const char *name, const char *help, const char *labels);

void metric_add(struct metric *m, uint64_t n);            // counters
void metric_set(struct metric *m, double v);              // gauges
void metric_observe_ns(struct metric *m, uint64_t ns);    // histograms
uint64_t metric_value(const struct metric *m);            // counters, for tests and status
double metric_quantile(const struct metric *m, double q); // seconds, by interpolation

void metrics_write(struct buf *out); // the whole exposition, sorted by name

#endif
