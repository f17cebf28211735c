// SPDX-License-Identifier: Apache-2.0
// A load generator that costs little beside what it measures: one thread, one epoll, keep-alive
// connections, each with one request in flight; the requests are read ready-made from a file.
//   http_load PORT REQUESTS CONNECTIONS SECONDS EXPECT  ->  "requests failed p50_us p99_us"
// REQUESTS holds whole HTTP/1.1 requests, each after a line with its length in bytes. A response
// counts as good when it is a 200 with Content-Length and its body contains EXPECT.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define REQUESTS_MAX    100000
#define RESPONSE_MAX    ((size_t)1 << 20)
#define SAMPLES_MAX     ((size_t)1 << 22)

struct request {
    char *text;
    size_t len;
};

struct connection {
    int fd;
    size_t next; // of requests[]
    double sent; // seconds
    char *in;
    size_t len;
};

static struct request requests[REQUESTS_MAX];
static size_t nrequests;
static struct connection connections[CONNECTIONS_MAX];
static float *samples; // microseconds
static size_t nsamples, failed;
static const char *expect;

static void die(const char *doing)
{
    fprintf(stderr, "http_load: %s: %s\n", doing, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void requests_read(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[32];
    if (!f)
        die(path);
    while (nrequests < REQUESTS_MAX && fgets(line, sizeof line, f)) {
        struct request *r = &requests[nrequests++];
        r->len = strtoul(line, NULL, 10);
        r->text = malloc(r->len + 1);
        if (!r->text || fread(r->text, 1, r->len, f) != r->len)
            die("short request file");
    }
    fclose(f);
    if (nrequests == 0)
        die("no request");
}

static void request_send(struct connection *c)
{
    const struct request *r = &requests[c->next++ % nrequests];
    c->len = 0;
    c->sent = now();
    if (send(c->fd, r->text, r->len, MSG_NOSIGNAL) != (ssize_t)r->len)
        die("send");
}

// The length of the response in c->in when it is whole, else 0.
static size_t response_whole(const struct connection *c)
{
    const char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - c->in) + 4;
    const char *field = memmem(c->in, head, "Content-Length: ", 16);
    if (!field)
        field = memmem(c->in, head, "content-length: ", 16);
    if (!field) {
        errno = EPROTO;
        die("a response without Content-Length");
    }
    size_t total = head + strtoul(field + 16, NULL, 10);
    return c->len >= total ? total : 0;
}

static void response_read(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, RESPONSE_MAX - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        die("the server closed a connection");
    c->len += (size_t)n;
    size_t total = response_whole(c);
    if (total == 0)
        return;
    if (nsamples < SAMPLES_MAX)
        samples[nsamples++] = (float)((now() - c->sent) * 1e6);
    if (memcmp(c->in, "HTTP/1.1 200", 12) != 0 || !memmem(c->in, total, expect, strlen(expect)))
        failed++;
    request_send(c);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void connection_open(struct connection *c, int epoll, unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->in = malloc(RESPONSE_MAX);
    if (c->fd < 0 || !c->in || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: http_load PORT REQUESTS CONNECTIONS SECONDS EXPECT\n");
        return 2;
    }
    requests_read(argv[2]);
    size_t n = strtoul(argv[3], NULL, 10);
    double end = now() + strtod(argv[4], NULL);
    int epoll = epoll_create1(0);
    expect = argv[5];
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    if (epoll < 0 || !samples || n == 0 || n > CONNECTIONS_MAX)
        die("bad arguments");
    for (size_t i = 0; i < n; i++) {
        connections[i].next = i * (nrequests / n);
        connection_open(&connections[i], epoll, (unsigned)strtoul(argv[1], NULL, 10));
        request_send(&connections[i]);
    }
    while (now() < end) {
        struct epoll_event events[CONNECTIONS_MAX];
        int ready = epoll_wait(epoll, events, CONNECTIONS_MAX, 1000);
        for (int i = 0; i < ready; i++)
            response_read(events[i].data.ptr);
    }
    if (nsamples == 0)
        die("nothing answered");
    qsort(samples, nsamples, sizeof *samples, by_value);
    printf("%zu %zu %.0f %.0f\n", nsamples, failed, (double)samples[nsamples / 2],
           (double)samples[nsamples * 99 / 100]);
    return 0;
}
