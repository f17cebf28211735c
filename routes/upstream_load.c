// SPDX-License-Identifier: Apache-2.0
// Loads the upstreams of a route table.
//
//   "upstreams": {"crm": {"url": "http://10.0.0.7:80", "host": "keep" | "rewrite",
//                         "x_forwarded": "replace" | "append" | "off", "forwarded": false,
//                         "via": false, "connections": 64,
//                         "queue": 1024, "connect_ms": 5000, "silence_ms": 60000}},
//   "passthrough": "crm"
#include "routes/route_int.h"

#include <stdio.h>

#define AT_MAX 320

struct load {
    const struct json_doc *doc;
    struct problems *p;
    const json_t *def; // the upstream being loaded
    char at[AT_MAX];
};

// One of the words; the first when the key is missing.
static unsigned get_word(struct load *l, const char *key, const char *const *words)
{
    const char *word;

    if (json_get_str(l->doc, l->def, l->at, key, words[0], &word, l->p))
        return 0;
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    char here[AT_MAX + 32];
    const char *near = json_nearest(word, words);
    snprintf(here, sizeof here, "%s/%s", l->at, key);
    problems_add(l->p, l->doc, here, "'%s' is not one of its words; '%s' is", word,
                 near ? near : words[0]);
    return 0;
}

static unsigned get_number(struct load *l, const char *key, long long min, long long max,
                           long long fallback)
{
    long long n = fallback;

    (void)json_get_int(l->doc, l->def, l->at, key, min, max, &fallback, &n, l->p);
    return (unsigned)n;
}

static bool get_flag(struct load *l, const char *key)
{
    bool on = false;

    (void)json_get_bool(l->doc, l->def, l->at, key, false, &on, l->p);
    return on;
}

static void load_one(struct load *l, struct definitions *d, const char *name)
{
    static const char *const known[] = {"url",         "host",  "x_forwarded", "forwarded",  "via",
                                        "connections", "queue", "connect_ms",  "silence_ms", NULL};
    static const char *const hosts[] = {"keep", "rewrite", NULL};
    static const char *const forwards[] = {"replace", "append", "off", NULL};
    struct upstream *u = &d->upstreams[d->nupstreams];
    const char *url;

    snprintf(l->at, sizeof l->at, "/upstreams/%.200s", name);
    if (!json_is_object(l->def)) {
        problems_add(l->p, l->doc, l->at, "needs an object such as {\"url\": \"http://..\"}");
        return;
    }
    json_only_keys(l->doc, l->def, l->at, known, l->p);
    if (json_get_str(l->doc, l->def, l->at, "url", NULL, &url, l->p))
        return;
    *u = (struct upstream){.name = arena_strz(d->arena, str_of(name)),
                           .index = (unsigned)d->nupstreams,
                           .url = route_expand(d, l->doc, l->at, url, l->p),
                           .host_rewritten = get_word(l, "host", hosts) == 1,
                           .forwarded = (enum x_forwarded)get_word(l, "x_forwarded", forwards),
                           .forwarded_rfc = get_flag(l, "forwarded"),
                           .via = get_flag(l, "via"),
                           .connections = get_number(l, "connections", 1, 10000, 64),
                           .queue = get_number(l, "queue", 0, 1000000, 1024),
                           .connect_ms = get_number(l, "connect_ms", 1, 600000, 5000),
                           .silence_ms = get_number(l, "silence_ms", 1, 3600000, 60000)};
    if (!u->name || !u->url)
        problems_add(l->p, l->doc, l->at, "no memory");
    else
        d->nupstreams++;
}

static void load_fallback(struct definitions *d, const struct json_doc *doc, struct problems *p)
{
    const char *name;

    if (json_get_str(doc, doc->root, "", "passthrough", "", &name, p) || !*name)
        return;
    for (size_t i = 0; i < d->nupstreams; i++)
        if (strcmp(d->upstreams[i].name, name) == 0)
            d->fallback = &d->upstreams[i];
    if (!d->fallback)
        problems_add(p, doc, "/passthrough", "there is no upstream '%s'", name);
}

void upstreams_load(struct definitions *d, const struct json_doc *doc, struct problems *p)
{
    struct load l = {.doc = doc, .p = p};
    json_t *list = json_object_get(doc->root, "upstreams"), *def;
    const char *name;

    if (list && (!json_is_object(list) || json_object_size(list) > ROUTE_UPSTREAMS_MAX)) {
        problems_add(p, doc, "/upstreams", "an object of at most %d upstreams by name",
                     ROUTE_UPSTREAMS_MAX);
        return;
    }
    d->upstreams = arena_array(d->arena, json_object_size(list) + 1, sizeof *d->upstreams);
    if (!d->upstreams) {
        problems_add(p, doc, "/upstreams", "no memory");
        return;
    }
    json_object_foreach(list, name, def)
    {
        l.def = def;
        load_one(&l, d, name);
    }
    load_fallback(d, doc, p);
}
