// SPDX-License-Identifier: Apache-2.0
// Decoder of pgoutput, protocol version 1. Integers are big-endian, strings end with NUL.
//   B begin    int64 final lsn, int64 commit time, int32 xid
//   C commit   int8 flags, int64 lsn, int64 end lsn, int64 commit time
//   O origin   int64 lsn, string name
//   R relation int32 oid, string schema, string table, int8 identity, int16 n,
//              n * (int8 flags, string name, int32 type, int32 modifier)
//   Y type     int32 oid, string schema, string name
//   I insert   int32 oid, 'N' tuple
//   U update   int32 oid, ['K'|'O' tuple], 'N' tuple
//   D delete   int32 oid, 'K'|'O' tuple
//   T truncate int32 n, int8 options, n * int32 oid
//   M message  int8 flags, int64 lsn, string prefix, int32 length, bytes
// tuple: int16 n, n * ('n' null | 'u' unchanged TOAST | 't' int32 length, bytes)
// The cursor remembers the first overrun; nothing of a message is used unless all of it fits.
#include "connectors/postgres/pgoutput.h"

#define PG_EPOCH_US 946684800000000ull // 2000-01-01 in microseconds since 1970

struct cursor {
    const unsigned char *p, *end;
    bool bad;
};

static const unsigned char *take(struct cursor *c, size_t n)
{
    const unsigned char *p = c->p;
    if (c->bad || n > (size_t)(c->end - c->p)) {
        c->bad = true;
        return NULL;
    }
    c->p += n;
    return p;
}

static uint64_t number(struct cursor *c, size_t bytes)
{
    const unsigned char *p = take(c, bytes);
    uint64_t n = 0;
    for (size_t i = 0; p && i < bytes; i++)
        n = n << 8 | p[i];
    return n;
}

static void string(struct cursor *c, char *out, size_t size)
{
    size_t left = c->bad ? 0 : (size_t)(c->end - c->p);
    const unsigned char *end = left ? memchr(c->p, 0, left) : NULL;
    if (!end || str_copy(out, size, str_n((const char *)c->p, (size_t)(end - c->p)))) {
        c->bad = true;
        out[0] = 0;
        return;
    }
    c->p = end + 1;
}

// Names that others choose freely (message prefixes, origins) may be longer than ours ever
// are: cut, they still equal none of ours.
static void free_name(struct cursor *c, char *out, size_t size)
{
    size_t left = c->bad ? 0 : (size_t)(c->end - c->p);
    const unsigned char *end = left ? memchr(c->p, 0, left) : NULL;
    size_t n = end ? (size_t)(end - c->p) : 0;
    c->bad |= !end;
    if (n >= size)
        n = size - 1;
    if (n)
        memcpy(out, c->p, n);
    out[n] = 0;
    if (end)
        c->p = end + 1;
}

static void relation(struct cursor *c, struct arena *a, struct pgoutput_relation *r)
{
    r->oid = (uint32_t)number(c, 4);
    string(c, r->schema, sizeof r->schema);
    string(c, r->table, sizeof r->table);
    r->identity = (char)number(c, 1);
    r->ncolumns = number(c, 2);
    // Each column takes at least ten bytes: no allocation beyond what the message can hold.
    if (c->bad || r->ncolumns > (size_t)(c->end - c->p) / 10) {
        c->bad = true;
        return;
    }
    r->columns = arena_array(a, r->ncolumns ? r->ncolumns : 1, sizeof *r->columns);
    c->bad |= !r->columns;
    for (size_t i = 0; !c->bad && i < r->ncolumns; i++) {
        r->columns[i].key = number(c, 1) & 1;
        string(c, r->columns[i].name, sizeof r->columns[i].name);
        r->columns[i].type_oid = (uint32_t)number(c, 4);
        number(c, 4);
    }
}

static void tuple(struct cursor *c, struct arena *a, struct pgoutput_tuple *t)
{
    t->n = number(c, 2);
    if (c->bad || t->n > (size_t)(c->end - c->p)) {
        c->bad = true;
        return;
    }
    t->cells = arena_array(a, t->n ? t->n : 1, sizeof *t->cells);
    c->bad |= !t->cells;
    for (size_t i = 0; !c->bad && i < t->n; i++) {
        char kind = (char)number(c, 1);
        if (kind == 't') {
            size_t len = number(c, 4);
            const unsigned char *p = take(c, len);
            t->cells[i] = value_set(str_n((const char *)p, p ? len : 0));
        } else if (kind == 'n') {
            t->cells[i] = value_null();
        } else if (kind == 'u') {
            t->cells[i] = (struct value){.state = VALUE_ABSENT};
        } else {
            c->bad = true;
        }
    }
}

static void old_tuple(struct cursor *c, struct arena *a, struct pgoutput_message *m, char kind)
{
    m->has_old = true;
    m->old_kind = kind;
    tuple(c, a, &m->old);
}

static void row(struct cursor *c, struct arena *a, struct pgoutput_message *m)
{
    m->relation = (uint32_t)number(c, 4);
    char kind = (char)number(c, 1);
    if (m->kind != PGOUTPUT_INSERT && (kind == 'K' || kind == 'O')) {
        old_tuple(c, a, m, kind);
        if (m->kind == PGOUTPUT_DELETE)
            return;
        kind = (char)number(c, 1);
    }
    if (kind != 'N' || m->kind == PGOUTPUT_DELETE)
        c->bad = true;
    else
        tuple(c, a, &m->new_);
}

static void truncate_list(struct cursor *c, struct arena *a, struct pgoutput_message *m)
{
    m->ntruncated = number(c, 4);
    number(c, 1);
    if (c->bad || m->ntruncated > (size_t)(c->end - c->p) / 4) {
        c->bad = true;
        return;
    }
    m->truncated = arena_array(a, m->ntruncated ? m->ntruncated : 1, sizeof *m->truncated);
    c->bad |= !m->truncated;
    for (size_t i = 0; !c->bad && i < m->ntruncated; i++)
        m->truncated[i] = (uint32_t)number(c, 4);
}

static void message(struct cursor *c, struct pgoutput_message *m)
{
    m->transactional = number(c, 1) & 1;
    m->lsn = number(c, 8);
    free_name(c, m->prefix, sizeof m->prefix);
    size_t len = number(c, 4);
    const unsigned char *p = take(c, len);
    m->content = str_n((const char *)p, p ? len : 0);
}

static void bracket(struct cursor *c, struct pgoutput_message *m)
{
    if (m->kind == PGOUTPUT_COMMIT) {
        number(c, 1);
        number(c, 8);
    }
    m->lsn = number(c, 8);
    m->commit_us = number(c, 8) + PG_EPOCH_US;
    if (m->kind == PGOUTPUT_BEGIN)
        m->xid = (uint32_t)number(c, 4);
}

static void body(struct cursor *c, char kind, struct arena *a, struct pgoutput_message *m)
{
    char skipped[64];
    switch (kind) {
    case 'B':
        m->kind = PGOUTPUT_BEGIN;
        bracket(c, m);
        break;
    case 'C':
        m->kind = PGOUTPUT_COMMIT;
        bracket(c, m);
        break;
    case 'O':
        m->kind = PGOUTPUT_ORIGIN;
        m->lsn = number(c, 8);
        free_name(c, m->origin, sizeof m->origin);
        break;
    case 'R':
        m->kind = PGOUTPUT_RELATION;
        relation(c, a, &m->rel);
        break;
    case 'Y':
        m->kind = PGOUTPUT_TYPE;
        number(c, 4);
        string(c, skipped, sizeof skipped);
        string(c, skipped, sizeof skipped);
        break;
    case 'I':
        m->kind = PGOUTPUT_INSERT;
        row(c, a, m);
        break;
    case 'U':
        m->kind = PGOUTPUT_UPDATE;
        row(c, a, m);
        break;
    case 'D':
        m->kind = PGOUTPUT_DELETE;
        row(c, a, m);
        break;
    case 'T':
        m->kind = PGOUTPUT_TRUNCATE;
        truncate_list(c, a, m);
        break;
    case 'M':
        m->kind = PGOUTPUT_MESSAGE;
        message(c, m);
        break;
    default: c->bad = true;
    }
}

int pgoutput_decode(struct str bytes, struct arena *a, struct pgoutput_message *out, struct err *e)
{
    struct cursor c = {(const unsigned char *)bytes.data,
                       (const unsigned char *)bytes.data + bytes.len, bytes.len == 0};
    *out = (struct pgoutput_message){0};
    char kind = (char)number(&c, 1);
    body(&c, kind, a, out);
    if (!c.bad && c.p == c.end)
        return 0;
    *out = (struct pgoutput_message){0};
    return err_set(e, ERR_INVALID, "pgoutput: a message of kind '%c' and %zu bytes is %s",
                   kind >= 0x20 && kind < 0x7f ? kind : '?', bytes.len,
                   c.bad ? "cut short or malformed" : "longer than its content");
}
