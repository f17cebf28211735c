// SPDX-License-Identifier: Apache-2.0
// A server's replication messages as hostile bytes: what is decoded lies within the input or
// the arena, and each byte of it can be read.
#include "connectors/postgres/pgoutput.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned sum;

static void touch(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum += (unsigned char)p[i];
}

static void check_tuple(const struct pgoutput_tuple *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct value v = t->cells[i];
        if (v.state != VALUE_SET && v.state != VALUE_NULL && v.state != VALUE_ABSENT)
            abort();
        touch(v.data, v.state == VALUE_SET ? v.len : 0);
    }
}

static void check(const struct pgoutput_message *m)
{
    check_tuple(&m->old);
    check_tuple(&m->new_);
    touch(m->content.data, m->content.len);
    touch((const char *)m->truncated, m->ntruncated * sizeof *m->truncated);
    touch(m->prefix, strlen(m->prefix));
    touch(m->origin, strlen(m->origin));
    for (size_t i = 0; i < m->rel.ncolumns; i++)
        touch(m->rel.columns[i].name, strlen(m->rel.columns[i].name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(16u << 20);
    struct pgoutput_message m;
    struct err e = {0};

    if (!a)
        return 0;
    if (pgoutput_decode(str_n((const char *)data, size), a, &m, &e) == 0)
        check(&m);
    else if (e.code == ERR_NONE)
        abort(); // refused without a reason
    arena_destroy(a);
    return 0;
}
