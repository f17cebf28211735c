// SPDX-License-Identifier: Apache-2.0
// Conditional requests (RFC 9110, section 13). A whole record's tag is its version (version.h):
// strong, and what If-Match of a write is compared with, by the store, inside the writing
// transaction. Everything else (some fields, expansions, lists) has a weak tag of its bytes,
// which is good for If-None-Match only.
#include "facade/dialect/rest.h"

static int malformed(struct rest_request *q, const char *name, struct err *e)
{
    return rest_mistake(q, e, true, str_of(name), "* or entity tags in quotes, at most %d",
                        REST_TAGS_MAX);
}

// One tag at the front of *s.
static bool take_tag(struct str *s, struct rest_tags *t)
{
    bool weak = str_starts(*s, STR("W/"));
    if (weak)
        *s = str_n(s->data + 2, s->len - 2);
    if (t->n == REST_TAGS_MAX || !s->data || s->len < 2 || s->data[0] != '"')
        return false;
    const char *end = memchr(s->data + 1, '"', s->len - 1);
    if (!end)
        return false;
    t->weak[t->n] = weak;
    t->tags[t->n++] = str_n(s->data + 1, (size_t)(end - s->data) - 1);
    *s = str_n(end + 1, s->len - t->tags[t->n - 1].len - 2);
    return true;
}

static int read_tags(struct rest_request *q, const char *name, struct rest_tags *t, struct err *e)
{
    struct str s = {NULL, 0};
    for (size_t i = 0; i < q->http->nheaders; i++) {
        if (!str_eq_nocase(q->http->headers[i].name, str_of(name)))
            continue;
        if (t->given)
            return malformed(q, name, e);
        t->given = true;
        s = str_trim(q->http->headers[i].value);
    }
    if (!t->given)
        return 0;
    if (str_eqz(s, "*")) {
        t->any = true;
        return 0;
    }
    for (;;) {
        if (!take_tag(&s, t))
            return malformed(q, name, e);
        s = str_trim(s);
        if (!s.len)
            return 0;
        if (s.data[0] != ',')
            return malformed(q, name, e);
        s = str_trim(str_n(s.data + 1, s.len - 1));
    }
}

int rest_conditions(struct rest_request *q, struct err *e)
{
    return read_tags(q, "If-Match", &q->match, e) ||
                   read_tags(q, "If-None-Match", &q->none_match, e)
               ? -1
               : 0;
}

int rest_condition_write(struct rest_request *q, struct err *e)
{
    struct str *list = arena_array(q->op.arena, REST_TAGS_MAX, sizeof *list);
    size_t n = 0;
    if (!list)
        return err_memory(e);
    if (!q->match.given && q->mount->need_match && !q->none_match.any)
        return err_set(e, ERR_CONSTRAINT, "this mount asks for If-Match with every change");
    if (!q->match.given || q->match.any)
        return 0;
    for (size_t i = 0; i < q->match.n; i++)
        if (!q->match.weak[i] && q->match.tags[i].len == VERSION_LEN)
            list[n++] = q->match.tags[i];
    if (!n)
        return err_set(e, ERR_STALE, "no tag of If-Match can be a record's");
    q->op.match = list;
    q->op.nmatch = n;
    return 0;
}

unsigned rest_condition_read(const struct rest_request *q, struct str tag, bool weak)
{
    if (q->match.given && !q->match.any) {
        bool found = false;
        for (size_t i = 0; i < q->match.n; i++)
            found = found || (!weak && !q->match.weak[i] && str_eq(q->match.tags[i], tag));
        if (!found)
            return 412;
    }
    if (q->none_match.any)
        return 304;
    for (size_t i = 0; i < q->none_match.n; i++)
        if (str_eq(q->none_match.tags[i], tag))
            return 304;
    return 0;
}
