// SPDX-License-Identifier: Apache-2.0
// What http_client.c (calls, upstreams, queue) and http_client_conn.c (one connection)
// share. Thread: the loop.
#ifndef FICUS_CONNECTORS_HTTP_CLIENT_INT_H
#define FICUS_CONNECTORS_HTTP_CLIENT_INT_H

#include "base/buf.h"
#include "connectors/http/http_client.h"
#include "connectors/http/transport.h"

#include <event2/event_struct.h>
#include <sys/socket.h>

#define CLIENT_ADDRESSES_MAX 8
#define CLIENT_IN_SLACK      8192u // room behind the largest head

//   CONNECTING -> BUSY <-> IDLE        (any state -> CLOSED)
enum client_state {
    CLIENT_CONNECTING, // has a call
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
    struct http_header headers[WIRE_HEADERS_MAX];
};

struct http_call {
    struct http_upstream *upstream;
    struct http_call *prev, *next; // the upstream's queue while waiting
    struct client_conn *conn;      // NULL while waiting
    struct event timer;            // the deadline
    struct buf request;            // wire bytes
    size_t sent;                   // of them, over the present connection
    bool head_request, idempotent, retried;
    void (*done)(void *ctx, struct err *e, const struct http_client_response *r);
    void *ctx;
};

struct http_upstream {
    struct http_client *client;
    struct http_upstream *next;
    char *url;    // as given
    char *name;   // host:port, for messages and Host
    char *prefix; // "" or "/a"
    struct sockaddr_storage addresses[CLIENT_ADDRESSES_MAX];
    socklen_t lengths[CLIENT_ADDRESSES_MAX];
    unsigned naddresses;
    struct client_conn *conns;
    struct client_conn *idle;       // newest first
    struct http_call *first, *last; // waiting
    struct http_upstream_stats stats;
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

// http_client.c
// The call is over; frees it after `done`. The connection must have let it go.
void client_call_end(struct http_call *call, struct err *e, const struct http_client_response *r);
// The connection broke before any byte of a reply: sends again or ends the call.
void client_call_broken(struct http_call *call, bool may_retry, const char *why);
void client_pump(struct http_upstream *u); // gives waiting calls what connections there are

#endif
