// SPDX-License-Identifier: Apache-2.0
// Sockets that a supervisor opened for us: the LISTEN_PID and LISTEN_FDS convention, in which
// the first one is descriptor 3. Owns nothing; the listener duplicates what it uses.
// Thread: any; reads the environment only.
#include "facade/http/activation.h"

#include "base/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3

static bool is_tcp_listener(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss), size = sizeof(int);
    int listening = 0, type = 0;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
           (ss.ss_family == AF_INET || ss.ss_family == AF_INET6);
}

int activation_socket(int *fd, struct err *e)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    long long n;

    *fd = 0;
    if (!pid || !count || !str_to_int(str_of(pid), 1, 0x7fffffff, &n) || n != getpid())
        return 0; // meant for another process, or for none
    if (!str_to_int(str_of(count), 0, 1024, &n))
        return err_set(e, ERR_CONFIG, "LISTEN_FDS is not a number of sockets");
    if (n == 0)
        return 0;
    if (n > 1 || !is_tcp_listener(FIRST_FD))
        return err_set(e, ERR_CONFIG, "LISTEN_FDS: one listening TCP socket is taken, not %s",
                       n > 1 ? "several" : "another kind");
    if (fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC) != 0)
        return err_set(e, ERR_INTERNAL, "LISTEN_FDS: the socket cannot be kept from children");
    *fd = FIRST_FD;
    return 0;
}
