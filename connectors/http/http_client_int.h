// SPDX-License-Identifier: Apache-2.0
// What http_client.c (calls, upstreams, queue) and http_client_conn.c (one connection)
// share. Thread: the loop.
#ifndef FICUS_CONNECTORS_HTTP_CLIENT_INT_H
#define FICUS_CONNECTORS_HTTP_CLIENT_INT_H

#include "base/buf.h"
#include "connectors/http/http_client_stream.h"
#include "connectors/http/transport.h"
#include "connectors/http/wire_out.h"

#include <event2/event_struct.h>
#include <sys/socket.h>

#define CLIENT_ADDRESSES_MAX 8
#define CLIENT_IN_SLACK      8192u // room behind the largest head

//   CONNECTING -> BUSY <-> IDLE        (any state -> CLOSED)
enum client_state {
    CLIENT_CONNECTING, // has a call; TCP's or TLS's handshake
    CLIENT_BUSY,       // has a call: its request is being sent or its reply received
    CLIENT_IDLE,       // on the upstream's idle list, newest first
    CLIENT_CLOSED,     // to be freed
};
#define CLIENT_STATES (CLIENT_CLOSED + 1)

struct client_conn {
    struct http_upstream *upstream;
    struct client_conn *prev, *next; // the upstream's list of all connections
    struct client_conn *idle_next;   // IDLE
    enum client_state state;
    struct transport io;
    bool reused;      // at least one reply came over it
    bool delivering;  // `done` is on the stack
    unsigned address; // of the upstream's, being tried or connected
    uint64_t idle_since_ns;
    struct event read_event, write_event;
    struct http_call *call;

    char *in; // head, and a body that came with it
    size_t in_len, scanned, head_len, used;
    bool head_done;
    unsigned interim; // 1xx replies seen
    struct wire_head head;
    struct wire_chunks chunks;
    uint64_t left;
    struct buf body;
    size_t run; // streams: bytes at `used` that the chunk decoder has passed already
    struct http_header headers[WIRE_HEADERS_MAX];
};

// The flow of a call; ops NULL: it has none.
struct client_flow {
    const struct http_call_ops *ops;
    struct wire_out out; // framing of the request's body
    bool over;           // the request's body is complete
    bool taken;          // something of it was
    bool deaf;           // the upstream does not read any more
    bool blocked;        // the caller waits for `writable`
    bool paused;         // the caller wants no reply now
    bool head_now;
    unsigned silence_ms;
    uint64_t progress_ns; // when the upstream last took or sent something
    struct buf trailers;  // of the reply
};

struct http_call {
    struct http_upstream *upstream;
    struct http_call *prev, *next; // the upstream's queue while waiting
    struct client_conn *conn;      // NULL while waiting
    struct event timer;            // the deadline
    struct buf request;            // wire bytes
    size_t sent;                   // of them, over the present connection
    bool head_request, idempotent, retried;
    struct client_flow flow;
    void (*done)(void *ctx, struct err *e, const struct http_client_response *r);
    void *ctx;
};

struct http_upstream {
    struct http_client *client;
    struct http_upstream *next;
    char *url;    // as given
    char *name;   // host:port, for messages and Host
    char *prefix; // "" or "/a"
    char *host;   // without port and brackets
    bool https;
    struct sockaddr_storage addresses[CLIENT_ADDRESSES_MAX];
    socklen_t lengths[CLIENT_ADDRESSES_MAX];
    unsigned naddresses;
    struct client_conn *conns;
    struct client_conn *idle;       // newest first
    struct http_call *first, *last; // waiting
    struct http_upstream_stats stats;
    unsigned retry_tenths; // budget: each call adds one, each retry takes ten
};

struct http_client {
    struct http_client_options o; // with defaults filled in
    struct http_upstream *upstreams;
    struct event *tick;
    bool closing; // being destroyed: nothing new is sent
};

// http_client_conn.c
// Opens a connection for the call. Failure is told later, by the call's end.
int client_conn_open(struct http_upstream *u, struct http_call *call,
                     struct err *e) FICUS_MUST_CHECK;
void client_conn_use(struct client_conn *c, struct http_call *call); // an idle one
void client_conn_close(struct client_conn *c);
void client_conn_free(struct client_conn *c); // closed while `delivering` was set
// The reply is complete and the call let go of: idle, or closed.
void client_conn_rest(struct client_conn *c, bool keep);
// Parses the head when it is there. 1 done, 0 more is needed, -1 the connection is gone.
int client_conn_take_head(struct client_conn *c);
void client_conn_refuse(struct client_conn *c, enum err_code code, const char *why);
ssize_t client_conn_sendv(struct client_conn *c, struct iovec *parts, unsigned n);

// http_client_stream.c
void client_stream_begin(struct client_conn *c);    // the call has got the connection
void client_stream_step(struct client_conn *c);     // something has arrived
void client_stream_done(struct client_conn *c);     // the reply is complete
void client_stream_writable(struct client_conn *c); // there is room
void client_stream_timer(evutil_socket_t fd, short what, void *call);

// http_client.c
// -1: closing, or connections and queue are full.
int client_may_call(const struct http_upstream *u, struct err *e) FICUS_MUST_CHECK;
// Queues the call or gives it a connection. -1: the call is still the caller's.
int client_call_start(struct http_call *call, struct err *e) FICUS_MUST_CHECK;
void client_call_detach(struct http_call *call); // off its queue or connection, which is closed
void client_call_free(struct http_call *call);
enum err_code client_call_outcome(const struct http_call *call, enum err_code code);
// The call is over; frees it after `done`. The connection must have let it go.
void client_call_end(struct http_call *call, struct err *e, const struct http_client_response *r);
// The connection broke before any byte of a reply: sends again or ends the call.
void client_call_broken(struct http_call *call, bool may_retry, const char *why);
void client_pump(struct http_upstream *u); // gives waiting calls what connections there are

#endif
