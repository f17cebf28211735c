// SPDX-License-Identifier: Apache-2.0
// See unix_socket.h. Owns no state. Thread: any.
#include "facade/http/unix_socket.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct str prefix = {"unix:", 5};

bool unix_socket_is(const char *address)
{
    return str_starts(str_of(address), prefix);
}

// Whether someone answers at that path.
static bool is_taken(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool taken = fd >= 0 && (connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 ||
                             (errno != ECONNREFUSED && errno != ENOENT));
    if (fd >= 0)
        close(fd);
    return taken;
}

// Makes room: nothing there, or a socket that nobody listens on any more.
static int clear(const struct sockaddr_un *at, struct err *e)
{
    struct stat st;
    if (lstat(at->sun_path, &st) != 0)
        return errno == ENOENT
                   ? 0
                   : err_set(e, ERR_UNREACHABLE, "%s: %s", at->sun_path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_UNREACHABLE, "%s is there and no socket", at->sun_path);
    if (is_taken(at))
        return err_set(e, ERR_UNREACHABLE, "%s: another process listens there", at->sun_path);
    if (unlink(at->sun_path) != 0 && errno != ENOENT)
        return err_set(e, ERR_UNREACHABLE, "%s: %s", at->sun_path, strerror(errno));
    return 0;
}

int unix_socket_listen(const char *address, mode_t mode, struct unix_socket *s, int *fd,
                       struct err *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const char *path = address + prefix.len;
    struct stat st;
    *s = (struct unix_socket){0};
    if (path[0] != '/' || str_copy(at.sun_path, sizeof at.sun_path, str_of(path)) != 0)
        return err_set(e, ERR_INVALID,
                       "\"%s\" is not unix: and an absolute path of at most %zu bytes", address,
                       sizeof at.sun_path - 1);
    if (clear(&at, e))
        return -1;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return err_set(e, ERR_INTERNAL, "socket: %s", strerror(errno));
    // The file takes its mode from the socket, less the umask: never more than `mode`.
    if (fchmod(*fd, mode) != 0 || bind(*fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        chmod(path, mode) != 0 || lstat(path, &st) != 0 || listen(*fd, 128) != 0)
        return err_set(e, ERR_UNREACHABLE, "cannot listen on %s: %s", path, strerror(errno));
    memcpy(s->path, at.sun_path, sizeof s->path);
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return 0;
}

void unix_socket_remove(struct unix_socket *s)
{
    struct stat st;
    if (s->path[0] && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        (void)unlink(s->path);
    s->path[0] = '\0';
}

int unix_socket_mode(const char *text, mode_t *out, struct err *e)
{
    size_t n = strspn(text, "01234567");
    if (n < 3 || n > 4 || text[n] || (n == 4 && text[0] != '0'))
        return err_set(e, ERR_CONFIG, "\"%s\" is not a mode such as 0600", text);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = (mode_t)(*out * 8 + (mode_t)(text[i] - '0'));
    return 0;
}
