// SPDX-License-Identifier: Apache-2.0
// Counting and logging requests. Metrics are registered when a handler first meets a method and
// a status, so that a scrape shows only what happened; handlers are few (mounts), methods and
// statuses are bounded by their tables.
#include "facade/server/access_log.h"

#include "base/log.h"
#include "base/metrics.h"

#include <arpa/inet.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#define HANDLERS_MAX 80
#define PATH_MAX_LOG 200
#define FIELDS_MAX   24
#define FLUSH_US     5000 // longest that a line waits for others
#define KNOWN        256  // principals whose hash is kept

enum { STATUS_FROM = 100, STATUSES = 500 };
static const char *const methods[] = {"GET",   "HEAD",    "POST",  "PUT", "DELETE",
                                      "PATCH", "OPTIONS", "other", NULL};
#define METHODS 8

struct handler {
    const char *name; // the listener's
    struct metric *count[METHODS][STATUSES];
    struct metric *seconds;
};

enum principal_form { PRINCIPAL_HASH, PRINCIPAL_ID, PRINCIPAL_NONE };

struct access_log {
    struct handler *handlers[HANDLERS_MAX];
    size_t nhandlers;
    enum principal_form principal;
    struct {
        char id[40], hash[17];
    } known[KNOWN]; // by the sum of the id's bytes
    // Lines that wait to be written together: until there are too many (log_fields() sees to
    // that), or until `flush` has run out.
    struct buf lines;
    struct event *flush;
};

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct access_log *a = arg;
    (void)fd;
    (void)what;
    log_flush(&a->lines);
}

struct access_log *access_log_create(struct loop *loop, const struct conf *conf, struct err *e)
{
    struct access_log *a = calloc(1, sizeof *a);
    const char *form = conf_str(conf, "log.principal");
    if (a)
        a->flush = event_new(loop_base(loop), -1, 0, on_flush, a);
    if (!a || !a->flush) {
        access_log_destroy(a);
        err_memory(e);
        return NULL;
    }
    a->principal = strcmp(form, "id") == 0     ? PRINCIPAL_ID
                   : strcmp(form, "none") == 0 ? PRINCIPAL_NONE
                                               : PRINCIPAL_HASH;
    return a;
}

void access_log_destroy(struct access_log *a)
{
    for (size_t i = 0; a && i < a->nhandlers; i++)
        free(a->handlers[i]);
    if (a && a->flush) {
        log_flush(&a->lines);
        event_free(a->flush);
        buf_free(&a->lines);
    }
    free(a);
}

// ---------------------------------------------------------------- metrics

static struct handler *handler_of(struct access_log *a, const char *name)
{
    for (size_t i = 0; i < a->nhandlers; i++)
        if (a->handlers[i]->name == name || strcmp(a->handlers[i]->name, name) == 0)
            return a->handlers[i];
    struct handler *h = a->nhandlers < HANDLERS_MAX ? calloc(1, sizeof *h) : NULL;
    if (!h)
        return NULL;
    h->name = name;
    a->handlers[a->nhandlers++] = h;
    return h;
}

static unsigned method_of(const struct http_request *r)
{
    for (unsigned i = 0; r && i < METHODS - 1; i++)
        if (str_eqz(r->method, methods[i]))
            return i;
    return METHODS - 1;
}

static void count(struct access_log *a, const char *name, unsigned method,
                  const struct http_access *x)
{
    struct handler *h = handler_of(a, name);
    unsigned status = x->status - STATUS_FROM;
    char labels[200];
    if (!h || status >= STATUSES)
        return;
    struct metric **m = &h->count[method][status];
    if (!*m) {
        snprintf(labels, sizeof labels, "handler=\"%s\",method=\"%s\",code=\"%u\"", name,
                 methods[method], x->status);
        *m = metrics_counter("http_requests_total",
                             "Requests answered, by who took them, method and status.", labels);
    }
    if (!h->seconds) {
        snprintf(labels, sizeof labels, "handler=\"%s\"", name);
        h->seconds = metrics_seconds("http_request_duration_seconds",
                                     "Time from a complete request to its reply.", labels);
    }
    metric_add(*m, 1);
    metric_observe_ns(h->seconds, x->duration_ns);
}

// ---------------------------------------------------------------- the line

struct line {
    struct log_field fields[FIELDS_MAX];
    size_t n;
    char text[12][64]; // numbers and other texts that are made here
    size_t ntext;
};

static void add(struct line *l, const char *name, struct str text)
{
    if (text.len && l->n < FIELDS_MAX)
        l->fields[l->n++] = (struct log_field){name, text, false};
}

static void addz(struct line *l, const char *name, const char *text)
{
    add(l, name, str_of(text));
}

static void add_number(struct line *l, const char *name, const char *text)
{
    size_t before = l->n;
    addz(l, name, text);
    if (l->n > before)
        l->fields[before].number = true;
}

// The digits of `v` in front of `end`; where they begin.
static char *digits(char *end, uint64_t v, unsigned least)
{
    for (unsigned n = 0; v > 0 || n < least; n++, v /= 10)
        *--end = (char)('0' + v % 10);
    return end;
}

static void add_count(struct line *l, const char *name, unsigned long long v)
{
    if (l->ntext == 12)
        return;
    char *end = l->text[l->ntext++] + sizeof l->text[0] - 1;
    *end = '\0';
    add_number(l, name, digits(end, v, 1));
}

static void add_ms(struct line *l, const char *name, uint64_t ns)
{
    if (l->ntext == 12)
        return;
    char *end = l->text[l->ntext++] + sizeof l->text[0] - 1;
    uint64_t us = ns / 1000;
    *end = '\0';
    end = digits(end, us % 1000, 3);
    *--end = '.';
    add_number(l, name, digits(end, us / 1000, 1));
}

// Eight bytes of the id's SHA-256, as hex.
static void hash_text(const char *id, char out[17])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char hash[32];
    SHA256((const unsigned char *)id, strlen(id), hash);
    for (int i = 0; i < 8; i++) {
        out[2 * i] = hex[hash[i] >> 4];
        out[2 * i + 1] = hex[hash[i] & 15];
    }
    out[16] = '\0';
}

static void add_principal(struct access_log *a, struct line *l, const char *id)
{
    size_t len = strlen(id);
    unsigned char sum = 0;
    if (len == 0 || a->principal == PRINCIPAL_NONE || l->ntext == 12)
        return;
    if (a->principal == PRINCIPAL_ID) {
        addz(l, "principal", id);
        return;
    }
    char *text = l->text[l->ntext++];
    for (size_t i = 0; i < len; i++)
        sum = (unsigned char)(sum * 31 + (unsigned char)id[i]);
    if (len >= sizeof a->known[0].id) {
        hash_text(id, text);
    } else {
        if (strcmp(a->known[sum].id, id) != 0) {
            memcpy(a->known[sum].id, id, len + 1);
            hash_text(id, a->known[sum].hash);
        }
        memcpy(text, a->known[sum].hash, sizeof a->known[0].hash);
    }
    addz(l, "principal", text);
}

static void peer_text(const struct sockaddr_storage *peer, char out[INET6_ADDRSTRLEN])
{
    if (peer->ss_family == AF_INET) { // nearly every line has one
        uint32_t ip = ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr);
        char text[INET_ADDRSTRLEN], *at = text + sizeof text - 1;
        *at = '\0';
        for (unsigned i = 0; i < 4; i++, ip >>= 8) {
            at = digits(at, ip & 255, 1);
            if (i < 3)
                *--at = '.';
        }
        memcpy(out, at, (size_t)(text + sizeof text - at));
        return;
    }
    const void *address =
        peer->ss_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    if (!inet_ntop(peer->ss_family, address, out, INET6_ADDRSTRLEN))
        snprintf(out, INET6_ADDRSTRLEN, "-");
}

static struct str shown_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.data[i] <= 0x20 || (unsigned char)id.data[i] >= 0x7f)
            return STR("");
    return id.len <= 128 ? id : STR("");
}

// Not the normal form: what was tried is worth seeing.
static struct str sent_path(const struct http_request *r)
{
    size_t most = r->target.len < PATH_MAX_LOG ? r->target.len : PATH_MAX_LOG;
    const char *mark = most ? memchr(r->target.data, '?', most) : NULL;
    return str_n(r->target.data, mark ? (size_t)(mark - r->target.data) : most);
}

static void add_facts(struct access_log *a, struct line *l, const struct http_facts *f)
{
    addz(l, "handler", f->handler);
    addz(l, "route", f->route);
    addz(l, "stage", f->stage);
    addz(l, "side", f->side);
    addz(l, "operation", f->operation);
    if (f->bucket >= 0)
        add_count(l, "bucket", (unsigned)f->bucket);
    if (f->operations) {
        add_count(l, "operations", f->operations);
        add_ms(l, "upstream_ms", f->upstream_ns);
        add_count(l, "table", (unsigned long long)f->version);
    }
    add_principal(a, l, f->principal);
}

static void write_line(struct access_log *a, const struct http_access *x, unsigned method)
{
    const struct http_request *r = x->request;
    struct log_ctx ctx = {"access", x->label, NULL};
    struct line l = {.n = 0};
    char peer[INET6_ADDRSTRLEN];
    peer_text(&r->peer, peer);
    addz(&l, "client", peer);
    add(&l, "method", method < METHODS - 1 ? r->method : STR("other"));
    // The path only: a query string may carry a password.
    add(&l, "path", sent_path(r));
    add_count(&l, "status", x->status);
    add_count(&l, "bytes", x->bytes);
    add_ms(&l, "duration_ms", x->duration_ns);
    add_facts(a, &l, x->facts);
    add(&l, "request_id", shown_id(http_header(r, "X-Request-Id")));
    addz(&l, "trace_id", r->trace.trace_id);
    add(&l, "traceparent", shown_id(http_header(r, "traceparent")));
    if (x->gone)
        addz(&l, "end", "client gone");
    else if (x->cut)
        addz(&l, "end", "cut");
    bool first = a->lines.len == 0;
    log_fields(&a->lines, LOG_INFO, &ctx, l.fields, l.n);
    if (first)
        event_add(a->flush, &(struct timeval){0, FLUSH_US});
}

void access_log_write(struct access_log *a, const struct http_access *x)
{
    struct log_ctx ctx = {"access", x->label, NULL};
    unsigned method = method_of(x->request);
    const char *handler = x->facts && x->facts->handler ? x->facts->handler : "none";
    count(a, x->request ? handler : "malformed", method, x);
    if (log_get_level() < LOG_INFO)
        return;
    if (!x->request)
        log_info(&ctx, "malformed request refused with %u", x->status);
    else
        write_line(a, x, method);
}
