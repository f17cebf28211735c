// SPDX-License-Identifier: Apache-2.0
// Finds the rule of a request. The tree and its tables are drawn in match_int.h; match_build.c
// makes them. Thread: any; nothing is changed here.
#include "connectors/http/path.h"
#include "routes/match_int.h"

#include <strings.h>
#include <xxhash.h>

#define PATH_SEGMENTS_MAX 64
#define SEGMENT_MAX       256 // bytes of an escaped segment that is decoded to be compared
#define HOST_MAX          256

uint64_t match_hash(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.data ? s.data : "", s.len, seed);
}

uint32_t match_table_find(const struct match_table *t, uint64_t hash, uint32_t owner,
                          bool (*same)(const void *ctx, uint32_t value), const void *ctx)
{
    if (t->size == 0)
        return NOTHING;
    for (size_t i = hash & (t->size - 1); t->slots[i].value != NOTHING;
         i = (i + 1) & (t->size - 1)) {
        const struct match_slot *s = &t->slots[i];
        if (s->hash == hash && s->owner == owner && same(ctx, s->value))
            return s->value;
    }
    return NOTHING;
}

// ---- paths

struct named {
    const char *const *names;
    struct str wanted;
};

static bool is_named(const void *ctx, uint32_t value)
{
    const struct named *n = ctx;

    return n->names[value] && str_eqz(n->wanted, n->names[value]);
}

uint32_t match_child(const struct matcher *m, uint32_t node, struct str segment)
{
    struct named n = {m->segments, segment};

    return match_table_find(&m->edges, match_hash(segment, node), node, is_named, &n);
}

uint32_t match_root(const struct matcher *m, struct str host)
{
    struct named n = {(const char *const *)m->hosts, host};
    uint32_t i = match_table_find(&m->by_host, match_hash(host, 0), 0, is_named, &n);

    return i == NOTHING ? NOTHING : m->roots[i];
}

// The segment without its escapes, in `to`; as it is when it has none, or malformed ones.
static struct str decoded(struct str s, char to[SEGMENT_MAX])
{
    size_t n = 0;

    if (!s.data || s.len > SEGMENT_MAX || !memchr(s.data, '%', s.len))
        return s;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '%') {
            to[n++] = s.data[i];
            continue;
        }
        int c = http_path_escape(s, i);
        if (c < 0)
            return s;
        to[n++] = (char)c;
        i += 2;
    }
    return str_n(to, n);
}

// ---- conditions

struct search {
    const struct matcher *m;
    const struct match_request *r;
    struct str segments[PATH_SEGMENTS_MAX];
    size_t nsegments;
    const struct match_rule *found;
};

struct candidate {
    const struct matcher *m;
    const struct match_request *r;
    uint32_t shape;
    const struct str *values;
};

static bool holds(const void *ctx, uint32_t value)
{
    const struct candidate *c = ctx;
    const struct match_entry *e = &c->m->entries[value];
    const struct match_rule *rule = e->rule;

    if (e->shape != c->shape || (e->method && !str_eqz(c->r->method, e->method)))
        return false;
    for (size_t i = 0; i < rule->nconditions; i++)
        if (rule->conditions[i].value && !str_eqz(c->values[i], rule->conditions[i].value))
            return false;
    return true;
}

static enum match_result try_shape(struct search *s, uint32_t at)
{
    const struct match_shape *shape = &s->m->shapes[at];
    const struct match_request *r = s->r;
    struct str values[MATCH_CONDITIONS_MAX];
    uint64_t hash = match_values_start(at);

    if (shape->kinds & ~(r->have | r->later))
        return MATCH_NONE;
    if (shape->kinds & ~r->have)
        return MATCH_NEEDS_BODY;
    if (shape->method)
        hash = match_values_add(hash, r->method);
    for (size_t i = 0; i < shape->nfields; i++) {
        if (!r->field(r->ctx, shape->fields[i].kind, shape->fields[i].name, &values[i]))
            return MATCH_NONE;
        if (!shape->fields[i].present)
            hash = match_values_add(hash, values[i]);
    }
    struct candidate c = {s->m, r, at, values};
    uint32_t entry = match_table_find(&s->m->by_values, hash, at, holds, &c);
    if (entry == NOTHING)
        return MATCH_NONE;
    s->found = s->m->entries[entry].rule;
    return MATCH_FOUND;
}

static enum match_result try_shapes(struct search *s, uint32_t first)
{
    enum match_result result = MATCH_NONE;

    for (uint32_t at = first; at != NOTHING && result == MATCH_NONE; at = s->m->shapes[at].next)
        result = try_shape(s, at);
    return result;
}

// From the node on with the segments from `i` on; as deep as the longest template.
static enum match_result walk(struct search *s, uint32_t node, size_t i)
{
    const struct match_node *n = &s->m->nodes[node];
    enum match_result result = MATCH_NONE;

    if (i == s->nsegments) {
        result = try_shapes(s, n->here);
    } else {
        char scratch[SEGMENT_MAX];
        uint32_t child = match_child(s->m, node, decoded(s->segments[i], scratch));
        if (child != NOTHING)
            result = walk(s, child, i + 1);
        if (result == MATCH_NONE && n->param != NOTHING)
            result = walk(s, n->param, i + 1);
    }
    return result == MATCH_NONE ? try_shapes(s, n->below) : result;
}

// ---- hosts

// Lower case, without port and final dot. Longer names match no rule with a host.
static struct str plain_host(struct str host, char to[HOST_MAX])
{
    size_t n = 0;

    while (n < host.len && n < HOST_MAX && (host.data[n] != ':' || host.data[0] == '[')) {
        char c = host.data[n];
        to[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        if (c == ']')
            break;
    }
    if (n > 0 && to[n - 1] == '.')
        n--;
    return str_n(to, n == HOST_MAX ? 0 : n);
}

// What is behind the last segment that is kept is deeper than any template.
static bool split(struct search *s)
{
    struct str path = s->r->path;

    if (path.len == 0 || path.data[0] != '/')
        return false;
    for (size_t from = 1; s->nsegments < PATH_SEGMENTS_MAX;) {
        const char *slash = memchr(path.data + from, '/', path.len - from);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        s->segments[s->nsegments++] = str_n(path.data + from, end - from);
        if (!slash)
            break;
        from = end + 1;
    }
    return true;
}

static bool is_slash(struct str path, size_t at)
{
    return path.data[at] == '/' || (path.data[at] == '%' && http_path_escape(path, at) == '/');
}

// As who decodes escapes before he splits: with the dot segments that come of it.
static void split_decoded(struct search *s)
{
    struct str path = s->r->path;

    for (size_t from = 0; from < path.len && s->nsegments < PATH_SEGMENTS_MAX;) {
        size_t end = from;
        while (end < path.len && !is_slash(path, end))
            end++;
        struct str segment = str_n(path.data + from, end - from);
        if (str_eqz(segment, ".."))
            s->nsegments -= s->nsegments > 0;
        else if (segment.len > 0 && !str_eqz(segment, "."))
            s->segments[s->nsegments++] = segment;
        from = end + (end < path.len && path.data[end] == '%' ? 3 : 1);
    }
}

static enum match_result under_host(struct search *s, struct str host)
{
    uint32_t root = match_root(s->m, host);

    return root == NOTHING ? MATCH_NONE : walk(s, root, 0);
}

static enum match_result search(struct search *s)
{
    const struct matcher *m = s->m;
    char name[HOST_MAX];
    enum match_result result = MATCH_NONE;

    if (m->nroots > 1 || m->hosts[0][0]) { // some rule names a host
        struct str host = plain_host(s->r->host, name);
        if (host.len > 0)
            result = under_host(s, host);
        for (size_t i = 1; i < host.len && result == MATCH_NONE; i++)
            if (host.data[i] == '.')
                result = under_host(s, str_n(host.data + i, host.len - i));
    }
    return result == MATCH_NONE ? under_host(s, STR("")) : result;
}

// MATCH_HIDDEN: encoded slashes lead past a mount. MATCH_NONE: nothing against what was found.
static enum match_result look_behind_slashes(const struct matcher *m, const struct match_request *r,
                                             const struct match_rule *found)
{
    struct search s = {.m = m, .r = r};

    split_decoded(&s);
    enum match_result result = search(&s);
    if (result == MATCH_FOUND)
        result = s.found->mount && s.found != found ? MATCH_HIDDEN : MATCH_NONE;
    return result;
}

enum match_result match_find(const struct matcher *m, const struct match_request *r,
                             const struct match_rule **out)
{
    struct search s = {.m = m, .r = r};

    if (m->nroots == 0 || !split(&s))
        return MATCH_NONE;
    enum match_result result = search(&s);
    if (result != MATCH_NEEDS_BODY && memchr(r->path.data, '%', r->path.len)) {
        enum match_result behind = look_behind_slashes(m, r, s.found);
        if (behind != MATCH_NONE)
            return behind;
    }
    *out = s.found;
    return result;
}

size_t match_count(const struct matcher *m)
{
    return m->nrules;
}

const struct match_rule *match_at(const struct matcher *m, size_t i)
{
    return m->rules[i];
}

uint64_t match_values_start(uint32_t shape)
{
    return match_hash(str_n((const char *)&shape, sizeof shape), 0);
}

uint64_t match_values_add(uint64_t hash, struct str value)
{
    return match_hash(value, hash);
}
