// SPDX-License-Identifier: Apache-2.0
// What a request to this dialect would be, without doing it: for `ficus route explain`.
// Pure; any thread.
#include "facade/dialect/rest.h"

int rest_describe(const struct entity_set *set, const struct mount *mount,
                  const struct http_request *r, struct dialect_call *out, struct err *e)
{
    struct str path = http_path_below(r->path, str_of(mount->path));
    struct str segments[2] = {STR(""), STR("")};
    const char *p = path.data, *end = p + path.len;
    for (size_t n = 0; n < 2 && p < end; n++) {
        p += *p == '/';
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (form_decode_segment(str_n(p, (size_t)(stop - p)), r->arena, &segments[n], e))
            return -1;
        p = stop;
    }
    out->method = r->method;
    out->module = segments[0];
    out->key = segments[1];
    out->entity = entity_by_plural(set, segments[0]);
    out->read = str_eqz(r->method, "GET") || str_eqz(r->method, "HEAD");
    return 0;
}
