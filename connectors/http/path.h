// SPDX-License-Identifier: Apache-2.0
// Paths of requests in the one form by which they are told apart. Servers that map paths to files
// and scripts decode escapes, merge slashes and resolve dot segments first (RFC 3986, 6.2.2;
// nginx's ngx_http_parse_complex_uri, its merge_slashes), so that "//a", "/./a", "/x/../a" and
// "/%61" are "/a" to them: who decides by the path must see it as they do. Thread: any.
#ifndef FICUS_CONNECTORS_HTTP_PATH_H
#define FICUS_CONNECTORS_HTTP_PATH_H

#include "base/arena.h"
#include "base/err.h"

// The normal form: escapes of unreserved characters decoded (all others stay as they are, so that
// "%2F" is no slash), slashes merged, "." and ".." gone; a final slash stays. `path` begins with
// '/' ("*" stays itself). *out points into `path` when that is normal already, else into `a`.
// -1: ERR_INVALID when ".." leads above the root or a NUL is encoded, ERR_MEMORY.
int http_path_normal(struct str path, struct arena *a, struct str *out,
                     struct err *e) FICUS_MUST_CHECK;

// What stands below a mount, "" or from its slash on: without as many segments as `mount` has,
// whatever of them was escaped. `path` is normal and known to be the mount's or below.
struct str http_path_below(struct str path, struct str mount);

// The octet that the escape at s.data[at] stands for; -1: it is none.
int http_path_escape(struct str s, size_t at);

#endif
