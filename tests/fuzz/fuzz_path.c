// SPDX-License-Identifier: Apache-2.0
// The normal form of a path is normal, stays itself, and is never longer.
#include "connectors/http/path.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(struct str s, const char *part)
{
    return memmem(s.data, s.len, part, strlen(part)) != NULL;
}

static bool ends(struct str s, const char *part)
{
    size_t n = strlen(part);

    return s.len >= n && memcmp(s.data + s.len - n, part, n) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(0);
    struct str path = {(const char *)data, size}, once, twice;
    struct err e;

    if (a && size > 0 && data[0] == '/' && http_path_normal(path, a, &once, &e) == 0) {
        if (once.len == 0 || once.data[0] != '/' || once.len > size || has(once, "//") ||
            has(once, "/./") || has(once, "/../") || ends(once, "/.") || ends(once, "/.."))
            abort();
        // An escape that was escaped is one now: decoded once, it is not decoded again.
        if (!memchr(path.data, '%', path.len) &&
            (http_path_normal(once, a, &twice, &e) < 0 || !str_eq(once, twice)))
            abort();
        (void)http_path_below(once, STR("/a/b"));
    }
    arena_destroy(a);
    return 0;
}
