// SPDX-License-Identifier: Apache-2.0
// Which peers are trusted to speak for others (PROXY headers, forwarded fields): a list of
// networks. IPv4 addresses inside of IPv6 ones are the same as IPv4. Immutable: any thread.
#ifndef FICUS_FACADE_PEERS_H
#define FICUS_FACADE_PEERS_H

#include "base/err.h"

#include <sys/socket.h>

struct peers;

// "10.0.0.0/8", "fd00::/8", "192.0.2.1". ERR_CONFIG names the entry that is none; bits behind
// the prefix must be zero. `n` 0 makes a list that nobody is on.
struct peers *peers_create(const char *const *networks, size_t n, struct err *e);
void peers_destroy(struct peers *p);
bool peers_has(const struct peers *p, const struct sockaddr_storage *address); // p may be NULL

// An address without port, in numbers: "192.0.2.1", "2001:db8::1". False when it is none.
bool peers_parse_address(struct str text, struct sockaddr_storage *out);
// IPv4 in IPv6 becomes IPv4.
void peers_plain(struct sockaddr_storage *address);
// The 16 bytes of the address, IPv4 as IPv4-in-IPv6. False for another family.
bool peers_bytes(const struct sockaddr_storage *address, unsigned char out[16]);

#endif
