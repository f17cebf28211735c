// SPDX-License-Identifier: Apache-2.0
// Owns nothing: a path that is not normal already is made so in the caller's arena.
#include "connectors/http/path.h"

#include <string.h>

static int hex(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

int http_path_escape(struct str s, size_t at)
{
    if (s.len - at < 3 || s.data[at] != '%')
        return -1;
    int high = hex(s.data[at + 1]), low = hex(s.data[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

// RFC 3986, 2.3: the same escaped or not.
static bool is_unreserved(int c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

// Nothing escaped, and no segment that is empty or begins with a dot, but for the last.
static bool is_normal(struct str path)
{
    if (memchr(path.data, '%', path.len))
        return false;
    for (const char *p = path.data, *end = p + path.len; p && p + 1 < end;
         p = memchr(p + 1, '/', (size_t)(end - p - 1)))
        if (p[1] == '/' || p[1] == '.')
            return false;
    return true;
}

// Decodes into `to`, which has room for all of it. -1: an encoded NUL.
static int decode(struct str s, char *to, size_t *len)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        int c = s.data[i] == '%' ? http_path_escape(s, i) : -1;
        if (c == 0)
            return -1;
        if (c > 0 && is_unreserved(c)) {
            to[n++] = (char)c;
            i += 2;
        } else {
            to[n++] = s.data[i];
        }
    }
    *len = n;
    return 0;
}

// In place: what is kept of a path is never longer than what was read of it. -1: above the root.
static int resolve(char *p, size_t *len)
{
    size_t from = 0, n = 0; // p[0..n) is the result, without a final slash
    bool slash = false;     // it is to have one

    while (from < *len) {
        char *next = memchr(p + from + 1, '/', *len - from - 1);
        size_t end = next ? (size_t)(next - p) : *len;
        struct str segment = str_n(p + from + 1, end - from - 1);
        bool up = str_eqz(segment, "..");
        slash = segment.len == 0 || up || str_eqz(segment, ".");
        if (up && n == 0)
            return -1;
        if (up) {
            while (p[--n] != '/')
                ;
        } else if (!slash) {
            memmove(p + n, p + from, end - from);
            n += end - from;
        }
        from = end;
    }
    if (slash)
        p[n++] = '/';
    *len = n;
    return 0;
}

int http_path_normal(struct str path, struct arena *a, struct str *out, struct err *e)
{
    *out = path;
    if (path.len == 0 || path.data[0] != '/' || is_normal(path))
        return 0;
    char *to = arena_alloc(a, path.len + 1);
    size_t len;
    if (!to)
        return err_memory(e);
    if (decode(path, to, &len) < 0)
        return err_set(e, ERR_INVALID, "the path holds an encoded NUL");
    if (resolve(to, &len) < 0)
        return err_set(e, ERR_INVALID, "the path leads above the root");
    *out = str_n(to, len);
    return 0;
}

struct str http_path_below(struct str path, struct str mount)
{
    const char *p = path.data, *end = p + path.len;

    while (mount.len > 0 && mount.data[mount.len - 1] == '/')
        mount.len--;
    for (size_t i = 0; i < mount.len && p < end; i++) {
        if (mount.data[i] != '/')
            continue;
        const char *next = memchr(p + 1, '/', (size_t)(end - p - 1));
        p = next ? next : end;
    }
    return str_n(p, (size_t)(end - p));
}
