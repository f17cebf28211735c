// SPDX-License-Identifier: Apache-2.0
// Loads a folder of entity maps into an immutable set. Owns the set's memory (one arena and the
// parsed documents); parts of a map have files of their own: map_sides.c, map_fields.c,
// map_relations.c, and map_check.c for what makes sense only as a whole. Format:
// entity-map.schema.json. Thread: one while loading, any afterwards.
#include "migrations/map_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

const char *map_at(struct map_job *j, const char *at, const char *key)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "%s/", at);
    for (; *key; key++) {
        if (*key == '~')
            buf_addz(&b, "~0");
        else if (*key == '/')
            buf_addz(&b, "~1");
        else
            buf_addc(&b, *key);
    }
    const char *copy = b.failed ? NULL : arena_strz(j->set->arena, buf_str(&b));
    buf_free(&b);
    return copy ? copy : "";
}

const char *map_at_index(struct map_job *j, const char *at, size_t i)
{
    struct str s = arena_printf(j->set->arena, "%s/%zu", at, i);
    return s.data ? s.data : "";
}

const char *map_copy(struct map_job *j, const char *z)
{
    const char *copy = arena_strz(j->set->arena, str_of(z));
    if (!copy)
        problems_add(j->p, j->doc, "", "out of memory");
    return copy;
}

void *map_array(struct map_job *j, size_t n, size_t size)
{
    void *p = arena_array(j->set->arena, n > 0 ? n : 1, size);
    if (!p)
        problems_add(j->p, j->doc, "", "out of memory");
    return p;
}

const json_t *map_object(struct map_job *j, const json_t *in, const char *at, const char *key)
{
    const json_t *v = json_object_get(in, key);
    if (v && !json_is_object(v)) {
        problems_add(j->p, j->doc, map_at(j, at, key), "must be an object");
        return NULL;
    }
    return v;
}

const json_t *map_list(struct map_job *j, const json_t *in, const char *at, const char *key)
{
    const json_t *v = json_object_get(in, key);
    if (v && !json_is_array(v)) {
        problems_add(j->p, j->doc, map_at(j, at, key), "must be an array");
        return NULL;
    }
    return v;
}

const char *const *map_strings(struct map_job *j, const json_t *in, const char *at, const char *key,
                               size_t *n)
{
    *n = 0;
    const json_t *list = map_list(j, in, at, key);
    if (!list)
        return NULL;
    const char **out = map_array(j, json_array_size(list), sizeof(*out));
    if (!out)
        return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *z = json_string_value(json_array_get(list, i));
        if (!z || !*z)
            problems_add(j->p, j->doc, map_at_index(j, map_at(j, at, key), i),
                         "must be a string that is not empty");
        else if ((out[*n] = map_copy(j, z)) != NULL)
            (*n)++;
    }
    return out;
}

bool map_is_name(const char *z, size_t max)
{
    size_t n = 0;
    for (; z[n]; n++)
        if (!((z[n] >= 'a' && z[n] <= 'z') ||
              (n > 0 && ((z[n] >= '0' && z[n] <= '9') || z[n] == '_'))))
            return false;
    return n > 0 && n <= max;
}

// Name, plural, title and flags.
static void map_head(struct map_job *j, const json_t *root)
{
    static const char *const known[] = {
        "$schema", "comment", "entity", "plural", "title",  "link",          "read_only", "key",
        "deleted", "owner",   "legacy", "new",    "fields", "relationships", "dialects",  NULL};
    struct entity *en = j->en;
    const char *name = "", *plural = "", *title = "";
    json_only_keys(j->doc, root, "", known, j->p);
    if (json_get_str(j->doc, root, "", "entity", NULL, &name, j->p) == 0 &&
        !map_is_name(name, MAP_NAME_MAX))
        problems_add(j->p, j->doc, "/entity",
                     "must be a lower-case name of at most %d letters, digits and '_'",
                     MAP_NAME_MAX);
    (void)json_get_str(j->doc, root, "", "plural", name, &plural, j->p);
    (void)json_get_str(j->doc, root, "", "title", name, &title, j->p);
    (void)json_get_bool(j->doc, root, "", "link", false, &en->link, j->p);
    (void)json_get_bool(j->doc, root, "", "read_only", false, &en->read_only, j->p);
    en->name = name ? name : "";
    en->plural = plural ? plural : "";
    en->title = title ? title : "";
    en->dialects = map_object(j, root, "", "dialects");
}

static int by_name(const void *a, const void *b)
{
    const struct entity *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void hash_add(uint64_t *h, const void *data, size_t len)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        *h = (*h ^ p[i]) * 1099511628211u;
}

// Second pass: what needs the other entities.
static void map_finish(struct entity_set *s, struct entity **en, struct problems *p)
{
    memcpy(s->list, en, s->n * sizeof(*en));
    if (s->n > 1)
        qsort(s->list, s->n, sizeof(*s->list), by_name);
    for (size_t i = 1; i < s->n; i++)
        if (strcmp(s->list[i - 1]->name, s->list[i]->name) == 0)
            problems_addz(p, s->list[i]->name, "two maps describe this entity; remove one");
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->list[i]->plural, s->list[k]->plural) == 0)
                problems_addz(p, s->list[i]->name, "plural \"%s\" is also that of %s",
                              s->list[i]->plural, s->list[k]->name);
    s->hash = 14695981039346656037u;
    for (size_t i = 0; i < s->n; i++) // in the order of names
        for (size_t k = 0; k < s->ndocs; k++)
            if (en[k] == s->list[i])
                hash_add(&s->hash, s->docs[k].text, s->docs[k].len);
    for (size_t i = 0; i < s->ndocs; i++) {
        struct map_job j = {s, &s->docs[i], en[i], p};
        map_relationships(&j, s->docs[i].root);
        map_also(&j, s->docs[i].root);
        map_check(&j, s->docs[i].root);
    }
}

// Parsed documents -> set. Takes over `s` in any case.
static struct entity_set *map_build(struct entity_set *s, struct problems *p, unsigned before)
{
    struct entity **en = arena_array(s->arena, s->ndocs + 1, sizeof(*en));
    s->list = arena_array(s->arena, s->ndocs + 1, sizeof(*s->list));
    if (!en || !s->list)
        problems_addz(p, "maps", "out of memory");
    for (size_t i = 0; i < s->ndocs && en && s->list; i++) {
        struct map_job j = {s, &s->docs[i], arena_alloc(s->arena, sizeof(struct entity)), p};
        if (!j.en) {
            problems_addz(p, "maps", "out of memory");
            break;
        }
        en[i] = j.en;
        if (!json_is_object(j.doc->root)) {
            problems_add(p, j.doc, "", "a map must be an object");
            j.en->name = j.en->plural = j.en->title = "";
            continue;
        }
        map_head(&j, j.doc->root);
        map_side(&j, j.doc->root, SIDE_LEGACY);
        map_side(&j, j.doc->root, SIDE_NEW);
        map_fields(&j, j.doc->root);
        s->n = i + 1;
    }
    if (en && s->list && s->n == s->ndocs)
        map_finish(s, en, p);
    for (size_t i = 0; s->list && i < s->n && p->count == before; i++) {
        struct err e;
        if (query_prepare(s->list[i], s->arena, &e) < 0)
            problems_addz(p, s->list[i]->name, "%s", e.msg);
    }
    if (p->count > before) {
        map_destroy(s);
        return NULL;
    }
    return s;
}

static struct entity_set *set_create(size_t ndocs, struct problems *p)
{
    struct entity_set *s = calloc(1, sizeof(*s));
    if (s) {
        s->arena = arena_create(MAP_MEMORY_MAX);
        s->docs = calloc(ndocs + 1, sizeof(*s->docs));
    }
    if (!s || !s->arena || !s->docs) {
        problems_addz(p, "maps", "out of memory");
        map_destroy(s);
        return NULL;
    }
    return s;
}

struct entity_set *map_parse(const struct str *texts, const char *const *names, size_t n,
                             struct problems *p)
{
    unsigned before = p->count;
    struct entity_set *s = set_create(n, p);
    if (!s)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *name = arena_strz(s->arena, str_of(names[i]));
        if (name && json_doc_parse(&s->docs[s->ndocs], name, texts[i], p) == 0)
            s->ndocs++;
        else if (p->count == before)
            problems_addz(p, names[i], "could not be read");
    }
    return map_build(s, p, before);
}

static int is_map_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".json") == 0;
}

struct entity_set *map_load(const char *folder, struct problems *p)
{
    struct dirent **files = NULL;
    unsigned before = p->count;
    int n = *folder ? scandir(folder, &files, is_map_file, alphasort) : 0;
    if (*folder && n <= 0) {
        problems_addz(p, folder, "%s",
                      n < 0 ? strerror(errno) : "holds no *.json; a map is needed");
        free(files);
        return NULL;
    }
    struct entity_set *s = set_create((size_t)n, p);
    for (int i = 0; i < n; i++) {
        if (s) {
            struct str path = arena_printf(s->arena, "%s/%s", folder, files[i]->d_name);
            if (path.data && json_doc_load(&s->docs[s->ndocs], path.data, p) == 0)
                s->ndocs++;
            else if (p->count == before)
                problems_addz(p, files[i]->d_name, "could not be read");
        }
        free(files[i]);
    }
    free(files);
    return s ? map_build(s, p, before) : NULL;
}

void map_destroy(struct entity_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->docs && i < s->ndocs; i++)
        json_doc_free(&s->docs[i]);
    free(s->docs);
    arena_destroy(s->arena);
    free(s);
}
