// SPDX-License-Identifier: Apache-2.0
// /healthz and /metrics of `ficus sync`: one thread, one short request a connection, answered
// and closed. For an operator's network, like facade.admin_listen; it takes no input but a path.
#include "cdc/sync_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define WAIT_MS     2000

struct sync_http {
    struct sync *s;
    int fd;
    atomic_bool stop;
    pthread_t thread;
};

static int open_socket(const char *address, struct err *e)
{
    char host[64];
    long long port;
    int one = 1;
    const char *colon = strrchr(address, ':');
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (!colon || str_copy(host, sizeof host, str_n(address, (size_t)(colon - address))) ||
        !str_to_int(str_of(colon + 1), 0, 65535, &port) ||
        inet_pton(AF_INET, host, &a.sin_addr) != 1)
        return err_set(e, ERR_CONFIG, "sync.listen '%s' is no numeric address:port", address);
    a.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64)) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return err_set(e, ERR_CONFIG, "sync.listen %s: errno %d", address, number);
    }
    return fd;
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void reply(int fd, const char *status, const char *type, const struct buf *body)
{
    struct buf out = BUF_INIT;
    buf_printf(&out,
               "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
               "Connection: close\r\n\r\n",
               status, type, body->len);
    buf_addstr(&out, buf_str(body));
    if (!out.failed)
        write_all(fd, out.data, out.len);
    buf_free(&out);
}

static void health(const struct sync *s, struct buf *out)
{
    buf_printf(out, "{\"status\":\"ok\",\"instance\":");
    buf_addjson(out, str_of(s->instance));
    buf_printf(out, ",\"capture\":{\"legacy\":%s,\"new\":%s},\"connected\":%s}\n",
               desk_leads(s->desks[SIDE_LEGACY]) ? "true" : "false",
               desk_leads(s->desks[SIDE_NEW]) ? "true" : "false",
               s->live && live_connected(s->live) ? "true" : "false");
}

static void answer(struct sync_http *h, int fd, struct str request)
{
    struct buf body = BUF_INIT;
    if (str_starts(request, STR("GET /healthz "))) {
        health(h->s, &body);
        reply(fd, "200 OK", "application/json", &body);
    } else if (str_starts(request, STR("GET /metrics "))) {
        metrics_write(&body);
        reply(fd, "200 OK", "text/plain; version=0.0.4", &body);
    } else {
        buf_addz(&body, "/healthz, /metrics\n");
        reply(fd, "404 Not Found", "text/plain", &body);
    }
    buf_free(&body);
}

static void serve_one(struct sync_http *h, int fd)
{
    char request[REQUEST_MAX];
    size_t len = 0;
    struct timeval wait = {.tv_sec = WAIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    while (len < sizeof request) {
        ssize_t n = recv(fd, request + len, sizeof request - len, 0);
        if (n <= 0)
            return;
        len += (size_t)n;
        if (memmem(request, len, "\r\n\r\n", 4)) {
            answer(h, fd, str_n(request, len));
            return;
        }
    }
}

static void *serve(void *arg)
{
    struct sync_http *h = arg;
    while (!atomic_load(&h->stop)) {
        struct pollfd p = {.fd = h->fd, .events = POLLIN};
        if (poll(&p, 1, 200) <= 0)
            continue;
        int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        serve_one(h, fd);
        close(fd);
    }
    return NULL;
}

struct sync_http *sync_http_start(struct sync *s, const char *address, struct err *e)
{
    struct sync_http *h = calloc(1, sizeof *h);
    if (!h) {
        err_memory(e);
        return NULL;
    }
    h->s = s;
    h->fd = open_socket(address, e);
    if (h->fd < 0) {
        free(h);
        return NULL;
    }
    if (pthread_create(&h->thread, NULL, serve, h)) {
        close(h->fd);
        free(h);
        err_set(e, ERR_INTERNAL, "a thread could not be started");
        return NULL;
    }
    return h;
}

void sync_http_stop(struct sync_http *h)
{
    if (!h)
        return;
    atomic_store(&h->stop, true);
    pthread_join(h->thread, NULL);
    close(h->fd);
    free(h);
}
