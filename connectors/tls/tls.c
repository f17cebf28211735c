// SPDX-License-Identifier: Apache-2.0
// One role's TLS settings and their present generation of files. A reload builds a whole new
// generation and swaps it; streams hold the one they began with. Thread: any, by the lock.
#include "connectors/tls/tls_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX (2 * TLS_CERTIFICATES_MAX + 1)

// How a file looked; all zero when it was not there.
struct stamp {
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tls {
    pthread_mutex_t lock;
    struct tls_options o;           // immutable; owns its paths
    struct tls_bundle *current;     // lock
    struct stamp stamps[FILES_MAX]; // lock
};

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (!path || !*path || stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_ino, st.st_size, st.st_mtim};
}

static bool stamps_equal(const struct stamp *a, const struct stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static const char *file_at(const struct tls_options *o, size_t i)
{
    size_t n = o->ncertificates;

    return i < n ? o->certificates[i] : i < 2 * n ? o->keys[i - n] : o->ca;
}

// Whether any file looks other than it did; remembers how they look now.
static bool look_locked(struct tls *t)
{
    bool changed = false;

    for (size_t i = 0; i <= 2 * t->o.ncertificates; i++) {
        struct stamp now = stamp_of(file_at(&t->o, i));
        changed |= !stamps_equal(&now, &t->stamps[i]);
        t->stamps[i] = now;
    }
    return changed;
}

static int copy_options(struct tls *t, const struct tls_options *o, struct err *e)
{
    if (o->ncertificates > TLS_CERTIFICATES_MAX || (o->server && o->ncertificates == 0))
        return err_set(e, ERR_CONFIG, "TLS needs 1 to %d certificates", TLS_CERTIFICATES_MAX);
    t->o = (struct tls_options){.server = o->server, .clients = o->clients, .only_13 = o->only_13};
    t->o.ca = strdup(o->ca ? o->ca : "");
    bool whole = t->o.ca != NULL;
    for (size_t i = 0; whole && i < o->ncertificates; i++) {
        t->o.ncertificates++;
        t->o.certificates[i] = strdup(o->certificates[i]);
        t->o.keys[i] = strdup(o->keys[i]);
        whole = t->o.certificates[i] && t->o.keys[i];
    }
    return whole ? 0 : err_memory(e);
}

struct tls *tls_create(const struct tls_options *o, struct err *e)
{
    struct tls *t = calloc(1, sizeof(*t));

    if (!t) {
        err_memory(e);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    if (copy_options(t, o, e) != 0) {
        tls_destroy(t);
        return NULL;
    }
    look_locked(t); // before loading: what changes meanwhile is seen later
    t->current = tls_bundle_load(&t->o, e);
    if (!t->current) {
        tls_destroy(t);
        return NULL;
    }
    return t;
}

void tls_destroy(struct tls *t)
{
    if (!t)
        return;
    tls_bundle_unref(t->current);
    for (size_t i = 0; i < t->o.ncertificates; i++) {
        free((char *)t->o.certificates[i]);
        free((char *)t->o.keys[i]);
    }
    free((char *)t->o.ca);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int tls_reload(struct tls *t, struct err *e)
{
    struct tls_bundle *fresh, *old;

    pthread_mutex_lock(&t->lock);
    look_locked(t);
    pthread_mutex_unlock(&t->lock);
    fresh = tls_bundle_load(&t->o, e); // reads files: not under the lock that loops take
    if (!fresh)
        return -1;
    pthread_mutex_lock(&t->lock);
    old = t->current;
    t->current = fresh;
    pthread_mutex_unlock(&t->lock);
    tls_bundle_unref(old);
    return 0;
}

bool tls_changed(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    bool changed = look_locked(t);
    pthread_mutex_unlock(&t->lock);
    return changed;
}

struct tls_bundle *tls_bundle_of(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    struct tls_bundle *b = t->current;
    atomic_fetch_add(&b->refs, 1);
    pthread_mutex_unlock(&t->lock);
    return b;
}

bool tls_is_server(const struct tls *t)
{
    return t->o.server;
}
