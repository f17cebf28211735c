// SPDX-License-Identifier: Apache-2.0
// Loads the rules that describe requests, and makes one of each mount.
//
//   "match": [{"name": "exports", "host": "crm.example.com" | "*.example.com",
//              "method": "GET" | ["GET", ..], "path": "/exports/{id}" | "/exports/**",
//              "header": {"X-Client": "outlook" | true}, "query": {..}, "form": {..},
//              "json": {"/user/name": ".."}, "call": {"method": "set_entry", "module": "Cases"},
//              "to": {"upstream": "crm"} | {"mount": "/api"}}]
//
// A mount on /api is the rule {"path": "/api/**", "to": {"mount": "/api"}}.
#include "routes/route_int.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_MAX      96
#define METHODS_MAX 16

struct load {
    struct definitions *def;
    const struct json_doc *doc;
    struct problems *p;
    const json_t *json; // the rule being loaded
    char at[AT_MAX];
    unsigned before; // problems at its start
};

static const char *keep(struct load *l, const char *text)
{
    const char *kept = arena_strz(l->def->arena, str_of(text));

    if (!kept)
        problems_add(l->p, l->doc, l->at, "no memory");
    return kept;
}

static const char *keep_lower(struct load *l, const char *text)
{
    char *kept = arena_strz(l->def->arena, str_of(text));

    for (char *c = kept; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    if (!kept)
        problems_add(l->p, l->doc, l->at, "no memory");
    return kept;
}

// ---------------------------------------------------------------- methods

static bool is_method(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n <= 32 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == n;
}

static void load_methods(struct load *l, struct match_rule *r)
{
    const json_t *v = json_object_get(l->json, "method");
    size_t n = json_is_array(v) ? json_array_size(v) : v ? 1 : 0;
    const char **out = arena_array(l->def->arena, n + 1, sizeof *out);

    if (n == 0 && !v)
        return;
    if (!out || n == 0 || n > METHODS_MAX) {
        problems_add(l->p, l->doc, l->at, "method is a name or a list of 1 to %d", METHODS_MAX);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
        if (!name || !is_method(name)) {
            problems_add(l->p, l->doc, l->at, "a method is a name in capital letters");
            return;
        }
        out[i] = keep(l, name);
    }
    r->methods = out;
}

// ---------------------------------------------------------------- conditions

static bool name_is_good(enum match_kind kind, const char *name)
{
    if (kind == MATCH_JSON)
        return name[0] == '/';
    if (kind == MATCH_CALL)
        return strcmp(name, "method") == 0 || strcmp(name, "module") == 0;
    return name[0] != '\0';
}

static void load_kind(struct load *l, enum match_kind kind, const char *key,
                      struct match_condition *out, size_t *n)
{
    const json_t *fields = json_object_get(l->json, key);
    const char *name;
    json_t *value;
    char at[AT_MAX + 16];

    snprintf(at, sizeof at, "%s/%s", l->at, key);
    if (fields && !json_is_object(fields))
        problems_add(l->p, l->doc, at, "an object of fields and their values");
    json_object_foreach((json_t *)fields, name, value)
    {
        if (*n == MATCH_CONDITIONS_MAX) {
            problems_add(l->p, l->doc, at, "at most %d conditions", MATCH_CONDITIONS_MAX);
            return;
        }
        if (!name_is_good(kind, name) || (!json_is_string(value) && !json_is_true(value))) {
            problems_add(l->p, l->doc, at, "'%.100s': %s", name,
                         !name_is_good(kind, name)
                             ? kind == MATCH_JSON
                                   ? "a field of JSON is named by a JSON pointer, \"/a/b\""
                                   : "there is no such field"
                             : "a text that it must be, or true: it must be there");
            continue;
        }
        const char *text = json_string_value(value);
        bool lower = kind == MATCH_CALL && strcmp(name, "method") == 0;
        out[(*n)++] = (struct match_condition){
            kind, kind == MATCH_HEADER ? keep_lower(l, name) : keep(l, name),
            !text   ? NULL
            : lower ? keep_lower(l, text)
                    : keep(l, text)};
    }
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct match_condition *x = a, *y = b;

    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->name, y->name);
}

static void load_conditions(struct load *l, struct match_rule *r)
{
    static const char *const keys[] = {"header", "query", "form", "json", "call"};
    struct match_condition *list = arena_array(l->def->arena, MATCH_CONDITIONS_MAX, sizeof *list);
    size_t n = 0;

    if (!list) {
        problems_add(l->p, l->doc, l->at, "no memory");
        return;
    }
    for (unsigned k = 0; k < sizeof keys / sizeof keys[0]; k++)
        load_kind(l, (enum match_kind)k, keys[k], list, &n);
    if (l->p->count > l->before)
        return;
    qsort(list, n, sizeof *list, by_kind_and_name);
    for (size_t i = 1; i < n; i++)
        if (by_kind_and_name(&list[i - 1], &list[i]) == 0)
            problems_add(l->p, l->doc, l->at, "'%s' is asked for twice", list[i].name);
    r->conditions = list;
    r->nconditions = n;
}

// ---------------------------------------------------------------- rules

static void load_target(struct load *l, struct match_rule *r)
{
    static const char *const known[] = {"upstream", "mount", NULL};
    const json_t *to = json_object_get(l->json, "to");
    const char *upstream = json_string_value(json_object_get(to, "upstream"));
    const char *mount = json_string_value(json_object_get(to, "mount"));
    char at[AT_MAX + 4];

    snprintf(at, sizeof at, "%s/to", l->at);
    if (!json_is_object(to) || !upstream == !mount) {
        problems_add(l->p, l->doc, to ? at : l->at,
                     "to is {\"upstream\": name} or {\"mount\": path}");
        return;
    }
    json_only_keys(l->doc, to, at, known, l->p);
    for (size_t i = 0; upstream && i < l->def->nupstreams; i++)
        if (strcmp(l->def->upstreams[i].name, upstream) == 0)
            r->upstream = &l->def->upstreams[i];
    for (size_t i = 0; mount && i < l->def->nmounts; i++)
        if (strcmp(l->def->mounts[i].path, mount) == 0)
            r->mount = &l->def->mounts[i];
    if (!r->upstream && !r->mount)
        problems_add(l->p, l->doc, at, "there is no %s '%s'", upstream ? "upstream" : "mount",
                     upstream ? upstream : mount);
}

static void add(struct load *l, struct match_rule *r)
{
    struct err e = {0};

    if (l->p->count == l->before && matcher_add(l->def->matcher, r, &e))
        problems_add(l->p, l->doc, l->at, "%s", e.msg);
}

static void load_rule(struct load *l, struct match_rule *r)
{
    static const char *const known[] = {"name", "host", "method", "path", "header", "query",
                                        "form", "json", "call",   "to",   NULL};
    const char *host, *path, *name;

    if (!json_is_object(l->json)) {
        problems_add(l->p, l->doc, l->at, "a rule is an object");
        return;
    }
    json_only_keys(l->doc, l->json, l->at, known, l->p);
    if (json_get_str(l->doc, l->json, l->at, "path", "/**", &path, l->p) ||
        json_get_str(l->doc, l->json, l->at, "host", "", &host, l->p) ||
        json_get_str(l->doc, l->json, l->at, "name", path, &name, l->p))
        return;
    r->name = keep(l, name);
    r->path = keep(l, path);
    r->host = *host ? keep_lower(l, host) : NULL;
    r->pointer = keep(l, l->at);
    load_methods(l, r);
    load_conditions(l, r);
    load_target(l, r);
    add(l, r);
}

static void add_mount(struct load *l, struct match_rule *r, const struct mount *m)
{
    size_t n = strlen(m->path);

    while (n > 0 && m->path[n - 1] == '/')
        n--;
    struct str path = arena_printf(l->def->arena, "%.*s/**", (int)n, m->path);
    r->name = m->path;
    r->path = path.data;
    r->pointer = keep(l, l->at);
    r->mount = m;
    if (path.data)
        add(l, r);
}

static void on_ambiguous(void *ctx, const struct match_rule *a, const struct match_rule *b)
{
    struct load *l = ctx;

    problems_add(l->p, l->doc, b->pointer,
                 "'%s' and '%s' (%s) may both hold for one request, and neither is more specific",
                 b->name, a->name, a->pointer);
}

void match_load(struct definitions *def, const struct json_doc *doc, struct problems *p)
{
    struct load l = {.def = def, .doc = doc, .p = p};
    const json_t *list = json_object_get(doc->root, "match");
    size_t n = json_array_size(list);
    struct match_rule *rules = NULL;

    if ((list && !json_is_array(list)) || n + def->nmounts > MATCH_RULES_MAX) {
        problems_add(p, doc, "/match", "a list of at most %zu rules",
                     MATCH_RULES_MAX - def->nmounts);
        return;
    }
    rules = arena_array(def->arena, n + def->nmounts + 1, sizeof *rules);
    def->matcher = matcher_create();
    if (!rules || !def->matcher) {
        problems_add(p, doc, "/match", "no memory");
        return;
    }
    for (size_t i = 0; i < def->nmounts; i++) {
        snprintf(l.at, sizeof l.at, "/mounts/%zu", i);
        l.before = p->count;
        if (def->mounts[i].path[0] == '/') // else it was reported already
            add_mount(&l, &rules[i], &def->mounts[i]);
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(l.at, sizeof l.at, "/match/%zu", i);
        l.before = p->count;
        l.json = json_array_get(list, i);
        load_rule(&l, &rules[def->nmounts + i]);
    }
    if (matcher_check(def->matcher, on_ambiguous, &l))
        problems_add(p, doc, "/match", "no memory");
}
