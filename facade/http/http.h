// SPDX-License-Identifier: Apache-2.0
// The server side of HTTP/1.1 as dialects see it: a complete request in, one reply out.
// Everything here runs on the loop that owns the listener.
#ifndef FICUS_FACADE_HTTP_H
#define FICUS_FACADE_HTTP_H

#include "base/arena.h"
#include "base/trace.h"
#include "connectors/http/path.h"
#include "connectors/http/wire.h"

#include <stdint.h>
#include <sys/socket.h>

struct http_exchange; // one request and its reply
struct loop;

// Valid until http_reply. Everything points into the exchange's memory.
struct http_request {
    struct str method; // a token, case as sent
    struct str target; // as sent, origin-form ("/a/b?c") or "*" for OPTIONS; absolute-form
                       // is reduced to origin-form and its authority replaces `host`
    struct str path;   // target before '?', in its normal form (connectors/http/path.h)
    struct str query;  // after '?', .data NULL when there is no '?'
    struct str host;   // Host field, "" only for HTTP/1.0
    bool http10, head, keep_alive;
    bool expect_continue;      // waits for 100 before its body; a streaming handler's affair
    enum wire_framing framing; // of the body, as it comes
    uint64_t length;           // WIRE_LENGTH
    const struct http_header *headers;
    size_t nheaders;
    struct str body; // whole and de-chunked; len 0 when none, and in on_head
    // The client: `hop`, or whom it speaks for if it is trusted to.
    struct sockaddr_storage peer;
    struct sockaddr_storage hop; // the connection's peer, as the PROXY header said if it has one
    bool https;                  // the client's connection was TLS, here or before a trusted peer
    struct trace trace;          // never empty; to be passed on to whatever is asked for the answer
    struct arena *arena;         // lives and dies with the exchange; for whatever the answer needs
    struct http_exchange *exchange;
};

// Sets target, path and query; r->arena is there. -1: ERR_INVALID for a path that no server serves
// (http_path_normal), ERR_MEMORY.
int http_request_target(struct http_request *r, struct str target, struct err *e) FICUS_MUST_CHECK;

// First field of that name, any case; .data NULL when there is none.
struct str http_header(const struct http_request *r, const char *name);

// Date, Content-Length and Connection are the server's. Borrowed until http_reply returns.
struct http_response {
    unsigned status;         // 200..599
    struct str content_type; // "" when there is no body
    struct str body;
    const struct http_header *headers; // names must be tokens, values without CR/LF/NUL:
    size_t nheaders;                   // a field that is not is left out and logged
};

// Ends the exchange: sends (or, when the client has gone, only frees) and invalidates the
// request with its arena. Exactly once an exchange, now or later. Thread: the loop.
void http_reply(struct http_exchange *x, const struct http_response *r);

// `closed` is called at most once, when the client goes away before the reply, so that the
// work can be orphaned. http_reply must still be called. NULL takes it back.
void http_exchange_on_close(struct http_exchange *x, void (*closed)(void *ctx), void *ctx);
bool http_exchange_gone(const struct http_exchange *x);
bool http_exchange_collected(const struct http_exchange *x); // on_request: the body is all here
struct loop *http_exchange_loop(const struct http_exchange *x);
// Time since the request was complete.
uint64_t http_exchange_age_ns(const struct http_exchange *x);
// How a request was answered: for the access log, the explaining field and traces. Texts live
// as long as the listener does.
// A span of the request's way: an operation in dispatch, or a call of a backend. Monotonic times.
#define HTTP_PARTS_MAX 8
struct http_part {
    const char *name, *detail;
    bool backend;
    uint64_t begin_ns, end_ns;
};

struct http_facts {
    const char *handler; // who took it: a dialect, "admin", .. NULL: nobody
    const char *route, *stage, *side, *backend, *owner, *why; // of its last operation; or NULL
    const char *operation;                                    // likewise
    int bucket;                                               // of the key; -1: none
    long long epoch, version;                                 // of the owner; of the route table
    unsigned operations;
    uint64_t dispatch_ns, upstream_ns;      // in dispatch; of that, with backends
    char principal[40];                     // "" before login
    struct http_part parts[HTTP_PARTS_MAX]; // the first ones
    unsigned nparts;
};
struct http_facts *http_exchange_facts(struct http_exchange *x);
// The reply is to tell them in a field `Ficus-Route`.
void http_exchange_explain(struct http_exchange *x);
const struct http_request *http_exchange_request(const struct http_exchange *x);

// A short name of the route or call for the access log; must outlive the exchange.
void http_exchange_label(struct http_exchange *x, const char *label);

const char *http_status_text(unsigned status); // "Not Found"

#endif
