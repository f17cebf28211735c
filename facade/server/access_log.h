// SPDX-License-Identifier: Apache-2.0
// One line a request, written with its neighbours at the end of the loop's turn, and the metrics of requests: http_requests_total by handler, method and
// status, http_request_duration_seconds by handler. One a loop. Fields are documented in
// docs/operations.md; their names are the same in text and JSON.
#ifndef FICUS_FACADE_ACCESS_LOG_H
#define FICUS_FACADE_ACCESS_LOG_H

#include "base/conf.h"
#include "base/loop.h"
#include "facade/http/listener.h"

struct access_log;

struct access_log *access_log_create(struct loop *loop, const struct conf *conf, struct err *e);
void access_log_destroy(struct access_log *a); // NULL is fine
// For http_listener_options.on_access. Thread: the loop's.
void access_log_write(struct access_log *a, const struct http_access *x);

#endif
