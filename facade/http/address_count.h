// SPDX-License-Identifier: Apache-2.0
// How many connections each client address has open, over all loops of a process, and the most
// that one may have. An IPv6 client is its /64: that is what one host is given.
// Thread: any (a lock inside).
#ifndef FICUS_FACADE_ADDRESS_COUNT_H
#define FICUS_FACADE_ADDRESS_COUNT_H

#include "base/err.h"

#include <sys/socket.h>

struct address_count;

struct address_count *address_count_create(unsigned most, struct err *e);
void address_count_destroy(struct address_count *a); // NULL is fine
// Counts one more; false (nothing is counted) when the address has its fill or memory is out.
bool address_count_enter(struct address_count *a, const struct sockaddr_storage *address);
void address_count_leave(struct address_count *a, const struct sockaddr_storage *address);

#endif
