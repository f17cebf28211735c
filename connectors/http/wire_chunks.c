// SPDX-License-Identifier: Apache-2.0
// The chunked transfer coding (RFC 9112, 7.1), one byte at a time but for the data.
// Keeps all it knows in struct wire_chunks. Extensions are checked and dropped, trailer fields
// are checked and shown as they came. Thread: any.
//
//   chunk   = 1*HEXDIG [ ";" extension ] CRLF data CRLF
//   body    = *chunk "0" [ ";" extension ] CRLF *field-line CRLF
#include "connectors/http/wire.h"

#define SIZE_DIGITS_MAX 15 // 2^60 bytes: no sum with it overflows

static int fault(struct wire_fault *f, unsigned status, const char *why)
{
    *f = (struct wire_fault){status, why};
    return -1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

static int in_size(struct wire_chunks *c, char ch, struct wire_fault *f)
{
    int digit = hex_digit(ch);

    if (digit >= 0) {
        if (++c->digits > SIZE_DIGITS_MAX)
            return fault(f, 413, "a chunk is beyond any limit");
        c->left = c->left << 4 | (uint64_t)digit;
        return 0;
    }
    if (c->digits == 0 || (ch != ';' && ch != '\r'))
        return fault(f, 400, "malformed chunk size");
    c->state = ch == ';' ? WIRE_CHUNK_EXTENSION : WIRE_CHUNK_SIZE_LF;
    return 0;
}

static int in_extension(struct wire_chunks *c, char ch, struct wire_fault *f)
{
    if (ch == '\r')
        c->state = WIRE_CHUNK_SIZE_LF;
    else if (!is_text(ch))
        return fault(f, 400, "malformed chunk extension");
    else if (++c->line > WIRE_CHUNK_LINE_MAX)
        return fault(f, 400, "a chunk extension is too long");
    return 0;
}

// Expects exactly `wanted`, then goes to `next`.
static int expect(struct wire_chunks *c, char ch, char wanted, enum wire_chunk_state next,
                  struct wire_fault *f)
{
    if (ch != wanted)
        return fault(f, 400, "a chunk does not end in CR LF");
    c->state = next;
    c->line = 0;
    if (next == WIRE_CHUNK_SIZE) {
        c->digits = 0;
        c->left = 0;
    }
    return 0;
}

static int in_trailer(struct wire_chunks *c, char ch, struct wire_fault *f)
{
    if (++c->trailer > WIRE_TRAILER_MAX)
        return fault(f, 431, "the trailer is too long");
    if (c->state == WIRE_CHUNK_TRAILER) {
        if (ch == '\r') {
            c->state = WIRE_CHUNK_LAST_LF;
            return 0;
        }
        c->named = false;
        c->line = 0;
        c->state = WIRE_CHUNK_FIELD;
    }
    if (!c->named) {
        if (ch == ':' && c->line > 0)
            c->named = true;
        else if (!wire_is_token(str_n(&ch, 1)))
            return fault(f, 400, "malformed trailer field");
    } else if (ch == '\r') {
        c->state = WIRE_CHUNK_FIELD_LF;
    } else if (!is_text(ch)) {
        return fault(f, 400, "malformed trailer field");
    }
    c->line++;
    return 0;
}

static int step(struct wire_chunks *c, char ch, struct wire_fault *f)
{
    switch (c->state) {
    case WIRE_CHUNK_SIZE: return in_size(c, ch, f);
    case WIRE_CHUNK_EXTENSION: return in_extension(c, ch, f);
    case WIRE_CHUNK_SIZE_LF:
        return expect(c, ch, '\n', c->left ? WIRE_CHUNK_DATA : WIRE_CHUNK_TRAILER, f);
    case WIRE_CHUNK_DATA_CR: return expect(c, ch, '\r', WIRE_CHUNK_DATA_LF, f);
    case WIRE_CHUNK_DATA_LF: return expect(c, ch, '\n', WIRE_CHUNK_SIZE, f);
    case WIRE_CHUNK_TRAILER:
    case WIRE_CHUNK_FIELD: return in_trailer(c, ch, f);
    case WIRE_CHUNK_FIELD_LF: return expect(c, ch, '\n', WIRE_CHUNK_TRAILER, f);
    case WIRE_CHUNK_LAST_LF: return expect(c, ch, '\n', WIRE_CHUNK_DONE, f);
    case WIRE_CHUNK_DATA:
    case WIRE_CHUNK_DONE: break;
    }
    return fault(f, 500, "chunk decoder out of step");
}

static bool in_fields(const struct wire_chunks *c)
{
    return c->state == WIRE_CHUNK_TRAILER || c->state == WIRE_CHUNK_FIELD ||
           c->state == WIRE_CHUNK_FIELD_LF;
}

// One byte that is part of a trailer line, the blank line behind them left out.
static void show_field(struct wire_chunks *c, const char *at)
{
    if (!c->fields.data)
        c->fields.data = at;
    c->fields.len++;
}

int wire_chunks_next(struct wire_chunks *c, struct str in, size_t *used, struct str *data,
                     struct wire_fault *f)
{
    size_t i = 0;

    *data = str_n(in.data, 0);
    c->fields = str_n(NULL, 0);
    while (i < in.len && c->state != WIRE_CHUNK_DONE) {
        if (c->state == WIRE_CHUNK_DATA) {
            size_t n = in.len - i;
            if (n > c->left)
                n = (size_t)c->left;
            *data = str_n(in.data + i, n);
            c->left -= n;
            if (c->left == 0)
                c->state = WIRE_CHUNK_DATA_CR;
            *used = i + n;
            return 0;
        }
        bool field = in_fields(c);
        if (step(c, in.data[i], f) != 0)
            return -1;
        if (field && c->state != WIRE_CHUNK_LAST_LF)
            show_field(c, in.data + i);
        i++;
    }
    *used = i;
    return c->state == WIRE_CHUNK_DONE ? 1 : 0;
}
