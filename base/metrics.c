// SPDX-License-Identifier: Apache-2.0
// The process's metrics: a registry that only grows, and values updated by relaxed
// atomics. Registration and exposition take the registry's lock; updates take none, so a
// scrape may see a histogram's sum and count a moment apart. Thread: any.
#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum kind { COUNTER, GAUGE, SECONDS };

static const uint64_t bounds_ns[] = {
    50000,      100000,     200000,      500000,      1000000,     2000000,   5000000,
    10000000,   20000000,   50000000,    100000000,   200000000,   500000000, 1000000000,
    2000000000, 5000000000, 10000000000, 20000000000, 60000000000,
};
#define BOUNDS (sizeof(bounds_ns) / sizeof(bounds_ns[0]))

struct metric {
    struct metric *next; // registry, under its lock
    enum kind kind;
    const char *name, *help; // literals
    char *labels;            // owned
    _Atomic uint64_t value;  // counter; or the gauge's bits
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[BOUNDS + 1]; // histogram only; the last is above all bounds
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *first; // sorted by name, then labels

static int compare(const struct metric *m, const char *name, const char *labels)
{
    int c = strcmp(m->name, name);

    return c != 0 ? c : strcmp(m->labels, labels);
}

static struct metric *metric_create(enum kind kind, const char *name, const char *help,
                                    const char *labels)
{
    struct metric *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->labels = strdup(labels);
    if (!m->labels) {
        free(m);
        return NULL;
    }
    m->kind = kind;
    m->name = name;
    m->help = help;
    return m;
}

static struct metric *find_or_add(enum kind kind, const char *name, const char *help,
                                  const char *labels)
{
    struct metric **at = &first, *found = NULL;

    pthread_mutex_lock(&lock);
    while (*at && compare(*at, name, labels) < 0)
        at = &(*at)->next;
    if (*at && compare(*at, name, labels) == 0) {
        found = *at;
        if (found->kind != kind)
            abort(); // one name, two kinds: a programming error
    } else {
        found = metric_create(kind, name, help, labels);
        if (found) {
            found->next = *at;
            *at = found;
        }
    }
    pthread_mutex_unlock(&lock);
    return found;
}

struct metric *metrics_counter(const char *name, const char *help, const char *labels)
{
    return find_or_add(COUNTER, name, help, labels);
}

struct metric *metrics_gauge(const char *name, const char *help, const char *labels)
{
    return find_or_add(GAUGE, name, help, labels);
}

struct metric *metrics_seconds(const char *name, const char *help, const char *labels)
{
    return find_or_add(SECONDS, name, help, labels);
}

void metric_add(struct metric *m, uint64_t n)
{
    if (m)
        atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, double v)
{
    uint64_t bits;

    if (!m)
        return;
    memcpy(&bits, &v, sizeof(bits));
    atomic_store_explicit(&m->value, bits, memory_order_relaxed);
}

void metric_observe_ns(struct metric *m, uint64_t ns)
{
    size_t i = 0;

    if (!m)
        return;
    while (i < BOUNDS && ns > bounds_ns[i])
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->sum_ns, ns, memory_order_relaxed);
}

uint64_t metric_value(const struct metric *m)
{
    return m ? atomic_load_explicit(&m->value, memory_order_relaxed) : 0;
}

double metric_quantile(const struct metric *m, double q)
{
    uint64_t counts[BOUNDS + 1], total = 0, seen = 0;

    if (!m || m->kind != SECONDS)
        return 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        counts[i] = atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        total += counts[i];
    }
    if (total == 0)
        return 0;
    double rank = q * (double)total;
    for (size_t i = 0; i < BOUNDS; i++) {
        if ((double)(seen + counts[i]) >= rank && counts[i] > 0) {
            double low = i == 0 ? 0 : (double)bounds_ns[i - 1];
            double part = (rank - (double)seen) / (double)counts[i];
            return (low + ((double)bounds_ns[i] - low) * part) / 1e9;
        }
        seen += counts[i];
    }
    return (double)bounds_ns[BOUNDS - 1] / 1e9; // above the last bound: at least that
}

static void write_name(struct buf *out, const struct metric *m, const char *suffix)
{
    buf_printf(out, "%s%s", m->name, suffix);
    if (m->labels[0])
        buf_printf(out, "{%s}", m->labels);
}

static void write_histogram(struct buf *out, const struct metric *m)
{
    const char *comma = m->labels[0] ? "," : "";
    uint64_t total = 0;

    for (size_t i = 0; i <= BOUNDS; i++) {
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"", m->name, m->labels, comma);
        if (i < BOUNDS)
            buf_printf(out, "%g", (double)bounds_ns[i] / 1e9);
        else
            buf_addz(out, "+Inf");
        buf_printf(out, "\"} %" PRIu64 "\n", total);
    }
    write_name(out, m, "_sum");
    buf_printf(out, " %.9f\n",
               (double)atomic_load_explicit(&m->sum_ns, memory_order_relaxed) / 1e9);
    write_name(out, m, "_count");
    buf_printf(out, " %" PRIu64 "\n", total);
}

static void write_one(struct buf *out, const struct metric *m)
{
    uint64_t bits = metric_value(m);
    double v;

    switch (m->kind) {
    case COUNTER:
        write_name(out, m, "");
        buf_printf(out, " %" PRIu64 "\n", bits);
        break;
    case GAUGE:
        memcpy(&v, &bits, sizeof(v));
        write_name(out, m, "");
        buf_printf(out, " %.17g\n", v);
        break;
    case SECONDS: write_histogram(out, m); break;
    }
}

void metrics_write(struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const char *last = "";

    pthread_mutex_lock(&lock);
    for (const struct metric *m = first; m; m = m->next) {
        if (strcmp(last, m->name) != 0)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
                       types[m->kind]);
        last = m->name;
        write_one(out, m);
    }
    pthread_mutex_unlock(&lock);
}
