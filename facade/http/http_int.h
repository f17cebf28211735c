// SPDX-License-Identifier: Apache-2.0
// What listener.c, conn.c, conn_input.c and exchange.c share; for them and their tests only.
// Thread: the loop that owns the listener, throughout.
#ifndef FICUS_FACADE_HTTP_INT_H
#define FICUS_FACADE_HTTP_INT_H

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "connectors/http/transport.h"
#include "connectors/http/wire_out.h"
#include "facade/http/listener.h"
#include "facade/http/proxy_header.h"
#include "facade/http/stream.h"
#include "facade/http/unix_socket.h"

#include <event2/event_struct.h>

#define IN_SLACK 4096u // room behind the largest head, so that body bytes can follow it

// A connection's state is also the list that it is on (PROXY shares TLS's); each list but
// HANDLING is in order of `since_ns`, so that timeouts are found at its front.
//
//   PROXY -> TLS -> IDLE (each of the first two only where the listener has it)
//
//   IDLE -> HEAD -> BODY -> HANDLING -> WRITING -> IDLE (or HEAD: pipelined)
//             |       |        ^           |
//             +-------|--> STREAM ---------+
//             |       |        |           |
//             +-------+--------+-----------+--> LINGER -> CLOSED   (any state -> CLOSED)
// STREAM also goes to HANDLING's successors, and HANDLING to STREAM.
enum conn_state {
    CONN_PROXY,    // the PROXY header of a trusted peer, in `in`
    CONN_TLS,      // the handshake
    CONN_IDLE,     // between requests; holds no buffer
    CONN_HEAD,     // some bytes of a header block
    CONN_BODY,     // header block complete, body not
    CONN_HANDLING, // the handler has the request
    CONN_STREAM,   // body and reply flow (stream.h); its clock is the last progress
    CONN_WRITING,  // the socket did not take the whole reply
    CONN_LINGER,   // said "close"; reads and drops until the client closes too
    CONN_CLOSED,   // to be freed
};
#define CONN_STATES (CONN_CLOSED + 1)

struct conn {
    struct http_listener *listener;
    struct conn *prev, *next; // the state's list
    enum conn_state state;
    uint64_t since_ns; // when the state's clock started
    struct transport io;
    bool reading;     // read_event is added
    bool stepping;    // run is on the stack: it goes on with what follows
    bool close_after; // no further request on this connection
    bool blank_seen;  // an empty line before the request line was skipped
    bool counted;     // in o.addresses
    unsigned requests;
    struct event read_event, write_event;
    struct sockaddr_storage peer; // as the PROXY header said, else the socket's

    char *in;       // listener->in_size bytes, NULL when idle
    size_t in_len;  // bytes in it
    size_t used;    // of them, those that belong to the present request
    size_t scanned; // wire_find_end's place
    size_t head_len;
    enum wire_framing framing;
    uint64_t left;      // WIRE_LENGTH: body bytes still to come
    uint64_t moved;     // bytes of the present body or reply, for the least rate
    uint64_t moving_ns; // since when
    struct wire_chunks chunks;
    struct buf body; // a body that does not stay in `in`
    size_t run;      // STREAM: bytes at `used` that the chunk decoder has passed already

    struct http_exchange *exchange; // from head to reply
    struct buf out;                 // the rest of a reply that the socket did not take
    size_t out_pos;
};

// The flow of an exchange; ops NULL: it has none.
struct stream {
    const struct http_stream_ops *ops;
    void *ctx;
    bool paused;         // the handler wants no body now
    bool body_done;      // nothing of the body is to come
    bool head_given;     // http_stream_head was called
    bool head_gone;      // .. and the client may have seen of it
    size_t head_at;      // where it begins in the connection's output
    bool blocked;        // the handler waits for `writable`
    unsigned status;     // of the head
    uint64_t bytes;      // of the reply's body, taken by the socket
    struct wire_out out; // framing of the reply
    struct buf trailers; // of the request
};

struct http_exchange {
    struct http_request request;
    struct stream stream;
    struct http_listener *listener;
    struct conn *conn;          // NULL once the client is gone
    struct http_exchange *next; // free list
    void (*closed)(void *ctx);
    void *closed_ctx;
    const char *label;
    struct http_facts facts;
    bool explain;
    uint64_t started_ns; // request complete
    char *in;            // taken over from a connection that went away
    struct buf body;     // the same
    struct http_header headers[WIRE_HEADERS_MAX];
};

struct conn_list {
    struct conn *first, *last;
};

struct http_listener {
    struct http_listener_options o;
    struct http_limits limits; // with defaults filled in
    int fd;
    unsigned port;
    struct unix_socket path; // "": a port
    struct event *accept_event, *tick;
    struct conn_list lists[CONN_STATES];
    struct http_listener_stats stats;
    struct log_limit full_limit; // of "too many connections"
    struct log_limit address_limit, handshakes_limit, proxy_limit, trickle_limit;
    unsigned handshaking; // connections in CONN_TLS
    struct metric *handshakes_done, *handshakes_failed;
    struct trace_random random;
    uint64_t now_ns; // of this turn
    size_t in_size;
    char **spare_in; // recycled input buffers
    unsigned nspare_in;
    struct http_exchange *spare; // recycled exchanges
    unsigned nspare;
    struct buf head; // of the reply being built
    char date[40];   // "Date: ...\r\n" of date_second
    long long date_second;
    bool draining, destroyed, accept_paused;
    unsigned depth; // of listener_enter
    void (*drained)(void *ctx);
    void *drained_ctx;
};

// conn.c
void conn_open(struct http_listener *l, int fd, const struct sockaddr_storage *peer);
void conn_close(struct conn *c); // freed by the listener_leave that ends this turn
void conn_free_closed(struct http_listener *l);
void conn_timeout(struct conn *c);
void conn_drain(struct conn *c); // an idle one: serves what has arrived, else closes
// Sends head and body, keeps what the socket did not take, and moves on: the next request,
// idle, or the end. Called with the exchange already released.
void conn_send(struct conn *c, struct str head, struct str body, bool close_after);
const char *conn_state_name(enum conn_state s);
// For conn_input.c. The first checks that the state may be entered, and restarts its clock.
void conn_set_state(struct conn *c, enum conn_state to);
void conn_set_reading(struct conn *c, bool on);
// Bytes taken by the socket, 0 when it takes none now, -1 when it is broken.
ssize_t conn_send_parts(struct conn *c, struct str head, struct str body);
ssize_t conn_sendv(struct conn *c, struct iovec *parts, unsigned n);
void conn_touch(struct conn *c); // progress: restarts the clock of its state
// The reply stands in `out`, but for what went already: sends the rest, then as conn_send.
void conn_send_rest(struct conn *c, bool close_after);
void conn_wait_writable(struct conn *c, bool on);
// `n` more bytes of a body or reply were moved: whether that is slower than rate_min allows.
bool conn_is_too_slow(struct conn *c, size_t n);
void conn_begin_moving(struct conn *c); // a body or a reply begins
// Answers `status` with `why` as its text, and gives the connection up.
void conn_refuse(struct conn *c, unsigned status, const char *why);

// conn_input.c
// Goes on through the input until more of it, the handler or the socket is needed.
void conn_run(struct conn *c);
void conn_on_readable(evutil_socket_t fd, short what, void *arg); // arg: the connection

// stream.c
// Offers what has arrived of the body. Whether the connection's state changed.
bool stream_step(struct conn *c);
void stream_writable(struct conn *c);
// `n` bytes came: restarts the clock. A body of known length that comes too slowly is given up;
// one in chunks may be a conversation.
void stream_received(struct conn *c, size_t n);
void stream_timeout(struct conn *c); // of the last progress: the client's fault, or not

// conn_greeting.c
void conn_greet(struct conn *c);       // a new connection; may close it
void conn_on_greeting(struct conn *c); // PROXY or TLS: the socket is ready
void conn_greeting_expired(struct conn *c);

// exchange.c
struct http_exchange *exchange_take(struct http_listener *l); // NULL: out of memory
void exchange_release(struct http_exchange *x);
void exchange_gone(struct http_exchange *x); // the client left; takes over the buffers
// The access log's line.
void exchange_tell(struct http_exchange *x, unsigned status, size_t bytes, bool gone, bool cut);
const char *exchange_date(struct http_listener *l); // "Date: ..\r\n"
// The field `Ficus-Route`, when it is wanted.
void exchange_add_facts(const struct http_exchange *x, struct buf *b);
// Head of a reply in l->head, for an exchange or NULL. `body_len` is announced unless the status
// forbids it.
struct str exchange_build_head(struct http_listener *l, const struct http_exchange *x,
                               const struct http_response *r, bool http10, bool keep_alive);

// listener.c
char *listener_take_in(struct http_listener *l); // NULL: out of memory
void listener_give_in(struct http_listener *l, char *in);
void listener_access(struct http_listener *l, const struct http_access *a);
// Around everything that a callback does. The outermost listener_leave frees closed
// connections, and the listener itself when it was destroyed and nothing is left of it.
void listener_enter(struct http_listener *l);
void listener_leave(struct http_listener *l);

#endif
