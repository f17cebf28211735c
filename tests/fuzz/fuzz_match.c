// SPDX-License-Identifier: Apache-2.0
// Rules of a route table against requests. The input is the members of "match", a NUL, and a
// request: "METHOD HOST PATH" and lines "kind:name=value". A rule that is found holds: its method
// and its conditions are the request's, whatever the others are; the answer is the same each time,
// and no other once all fields are known than a body was said to be needed for.
#include "migrations/map.h"
#include "routes/match.h"
#include "routes/route.h"

#include <stdint.h>
#include <stdlib.h>

#define FIELDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const kinds[] = {"header", "query", "form", "json", "call"};

struct request {
    struct str key[FIELDS_MAX], value[FIELDS_MAX];
    size_t n;
};

static bool field(void *ctx, enum match_kind kind, const char *name, struct str *value)
{
    const struct request *r = ctx;
    size_t k = strlen(kinds[kind]);
    for (size_t i = 0; i < r->n; i++) {
        struct str key = r->key[i];
        if (key.len > k && memcmp(key.data, kinds[kind], k) == 0 && key.data[k] == ':' &&
            str_eqz(str_n(key.data + k + 1, key.len - k - 1), name)) {
            *value = r->value[i];
            return true;
        }
    }
    return false;
}

static struct str cut(struct str *text, char at)
{
    const char *end = text->len ? memchr(text->data, at, text->len) : NULL;
    size_t n = end ? (size_t)(end - text->data) : text->len;
    struct str out = str_n(text->data, n);
    n += end != NULL;
    *text = str_n(text->data + n, text->len - n);
    return out;
}

static const struct entity_set *maps(void)
{
    static struct entity_set *set;
    struct problems p = {0};
    if (!set && !(set = map_load("", &p)))
        abort();
    return set;
}

static struct route_table *table(struct str rules, struct problems *p)
{
    struct buf b = BUF_INIT;
    buf_addz(&b, "{\"routes\": {}, \"upstreams\": {\"a\": {\"url\": \"http://127.0.0.1:1\"}, \"b\":"
                 " {\"url\": \"http://127.0.0.1:2\"}}, \"mounts\": [{\"dialect\": \"rest\","
                 " \"path\": \"/api\"}], \"match\": [");
    buf_addstr(&b, rules);
    buf_addz(&b, "]}");
    struct route_table *t = b.failed ? NULL : route_table_parse(buf_str(&b), "input", maps(), p);
    buf_free(&b);
    return t;
}

static bool has_method(const struct match_rule *rule, struct str method)
{
    if (!rule->methods)
        return true;
    for (size_t i = 0; rule->methods[i]; i++)
        if (str_eqz(method, rule->methods[i]))
            return true;
    return false;
}

static void check_holds(const struct match_rule *rule, const struct match_request *r)
{
    struct str value;
    if (!has_method(rule, r->method))
        abort();
    for (size_t i = 0; i < rule->nconditions; i++) {
        const struct match_condition *c = &rule->conditions[i];
        if (!field(r->ctx, c->kind, c->name, &value) || (c->value && !str_eqz(value, c->value)))
            abort();
    }
}

static void ask(const struct route_table *t, struct str text)
{
    struct request have = {.n = 0};
    struct str line = cut(&text, '\n');
    struct match_request r = {.have = 31, .field = field, .ctx = &have};
    const struct match_rule *found = NULL, *again = NULL, *early = NULL;
    r.method = cut(&line, ' ');
    r.host = cut(&line, ' ');
    r.path = line;
    while (text.len > 0 && have.n < FIELDS_MAX) {
        line = cut(&text, '\n');
        have.key[have.n] = cut(&line, '=');
        have.value[have.n++] = line;
    }
    enum match_result all = match_find(route_matcher(t), &r, &found);
    if (all == MATCH_NEEDS_BODY || all != match_find(route_matcher(t), &r, &again) ||
        found != again)
        abort();
    if (all == MATCH_FOUND)
        check_holds(found, &r);
    r.have = MATCH_BIT(MATCH_HEADER) | MATCH_BIT(MATCH_QUERY);
    r.later = 31u & ~r.have;
    enum match_result head = match_find(route_matcher(t), &r, &early);
    if (head != MATCH_NEEDS_BODY && (head != all || early != found))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems p = {0};
    struct str text = {(const char *)data, size};
    struct str rules = cut(&text, '\0');
    struct route_table *t = table(rules, &p);
    if (t)
        ask(t, text);
    route_table_unref(t);
    problems_free(&p);
    return 0;
}
