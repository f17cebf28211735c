// SPDX-License-Identifier: Apache-2.0
// Each record: 4 bytes of length in host order, then the bytes. Owns the file, which has no
// name any more, so that a killed process leaves nothing behind.
#include "cdc/reconcile/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW (64u << 10)

void spool_init(struct spool *s, size_t memory_max)
{
    *s = (struct spool){.memory_max = memory_max, .fd = -1};
}

void spool_free(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    buf_free(&s->memory);
    *s = (struct spool){.fd = -1};
}

static int open_file(struct spool *s, struct err *e)
{
    char name[1024];
    const char *folder = getenv("TMPDIR");
    int n = snprintf(name, sizeof name, "%s/ficus-spool-XXXXXX",
                     folder && *folder ? folder : "/tmp");
    if (n < 0 || (size_t)n >= sizeof name)
        return err_set(e, ERR_CONFIG, "TMPDIR is too long");
    s->fd = mkstemp(name);
    if (s->fd < 0)
        return err_set(e, ERR_LIMIT, "temporary file %s: %s", name, strerror(errno));
    unlink(name);
    return 0;
}

static int to_disk(struct spool *s, struct err *e)
{
    size_t done = 0;
    if (s->fd < 0 && open_file(s, e))
        return -1;
    while (done < s->memory.len) {
        ssize_t n = pwrite(s->fd, s->memory.data + done, s->memory.len - done, s->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, ERR_LIMIT, "temporary file: %s", strerror(n < 0 ? errno : ENOSPC));
        done += (size_t)n;
        s->written += n;
    }
    buf_reset(&s->memory);
    return 0;
}

int spool_add(struct spool *s, const void *data, size_t len, struct err *e)
{
    uint32_t size = (uint32_t)len;
    if (s->reading || len > UINT32_MAX)
        return err_set(e, ERR_INTERNAL, "a spool takes no record of %zu bytes now", len);
    buf_add(&s->memory, &size, sizeof size);
    buf_add(&s->memory, data, len);
    s->records++;
    if (buf_check(&s->memory, e))
        return -1;
    return s->memory.len > s->memory_max ? to_disk(s, e) : 0;
}

int spool_rewind(struct spool *s, struct err *e)
{
    // With a file, `memory` becomes its window.
    if (s->fd >= 0 && !s->reading && s->memory.len > 0 && to_disk(s, e))
        return -1;
    if (s->fd >= 0)
        buf_reset(&s->memory);
    s->reading = true;
    s->read_at = 0;
    s->at = 0;
    return 0;
}

// At least `want` bytes beyond `at`, unless the file ends.
static int fill(struct spool *s, size_t want, struct err *e)
{
    if (s->fd < 0)
        return 0; // all is in memory, and stays
    buf_consume(&s->memory, s->at);
    s->at = 0;
    while (s->memory.len < want && s->read_at < s->written) {
        size_t room = want - s->memory.len > WINDOW ? want - s->memory.len : WINDOW;
        if (buf_reserve(&s->memory, room + 1))
            return err_memory(e);
        ssize_t n = pread(s->fd, s->memory.data + s->memory.len, room, s->read_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, ERR_INTERNAL, "temporary file: %s", n < 0 ? strerror(errno) : "cut");
        s->memory.len += (size_t)n;
        s->read_at += n;
    }
    return 0;
}

int spool_next(struct spool *s, struct str *record, struct err *e)
{
    uint32_t size;
    if (s->memory.len - s->at < sizeof size && fill(s, sizeof size, e))
        return -1;
    if (s->memory.len == s->at)
        return 0;
    if (s->memory.len - s->at < sizeof size)
        return err_set(e, ERR_INTERNAL, "temporary file: cut");
    memcpy(&size, s->memory.data + s->at, sizeof size);
    if (s->memory.len - s->at - sizeof size < size && fill(s, sizeof size + size, e))
        return -1;
    if (s->memory.len - s->at - sizeof size < size)
        return err_set(e, ERR_INTERNAL, "temporary file: cut");
    *record = str_n(s->memory.data + s->at + sizeof size, size);
    s->at += sizeof size + size;
    return 1;
}
