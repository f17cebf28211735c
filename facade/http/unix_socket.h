// SPDX-License-Identifier: Apache-2.0
// Listening on a path instead of a port: "unix:/run/ficus/admin.sock". What a process that died
// left behind is replaced; a socket at which someone answers, and what is no socket, is not.
// Thread: any; one owner.
#ifndef FICUS_FACADE_HTTP_UNIX_SOCKET_H
#define FICUS_FACADE_HTTP_UNIX_SOCKET_H

#include "base/err.h"

#include <sys/stat.h>
#include <sys/un.h>

struct unix_socket {
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; // "": none
    dev_t device;
    ino_t inode;
};

bool unix_socket_is(const char *address); // begins with "unix:"
// Nobody can connect before the file has the mode. ERR_INVALID: the path is not absolute or too
// long; ERR_UNREACHABLE: it cannot be bound.
int unix_socket_listen(const char *address, mode_t mode, struct unix_socket *s, int *fd,
                       struct err *e) FICUS_MUST_CHECK;
// Removes the file, unless it is another one by now.
void unix_socket_remove(struct unix_socket *s);
// Three or four octal digits, such as 0660.
int unix_socket_mode(const char *text, mode_t *out, struct err *e) FICUS_MUST_CHECK;

#endif
