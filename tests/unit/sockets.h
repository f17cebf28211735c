// SPDX-License-Identifier: Apache-2.0
// Blocking loopback sockets for tests that play the other end. Every wait ends after
// SOCKETS_WAIT_MS at the latest, by failing the test.
#ifndef FICUS_TESTS_SOCKETS_H
#define FICUS_TESTS_SOCKETS_H

#include "base/buf.h"

#define SOCKETS_WAIT_MS 10000

int sockets_listen(unsigned *port); // on 127.0.0.1, any free port
int sockets_accept(int fd);
int sockets_connect(unsigned port);
void sockets_send(int fd, struct str s); // all of it; a reset peer is no failure
// Appends what comes next; false at the end of the stream (or a reset).
bool sockets_read(int fd, struct buf *to);
void sockets_read_all(int fd, struct buf *to); // until the end
// Until `to` holds `text`.
void sockets_read_until(int fd, struct buf *to, const char *text);
// Until `condition(arg)` holds.
void sockets_wait(bool (*condition)(void *arg), void *arg);

#endif
