// SPDX-License-Identifier: Apache-2.0
// The configuration: ficus.json checked against the option table and frozen. Knows types
// and ranges, not what options mean. Values are looked up by name at start-up, so a scan of
// the table is fast enough. Thread: any, once loaded.
#include "base/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_FILE_MAX 65536

struct item {
    const char *text;         // scalar in text form, NULL: unset
    const char *path;         // resolved against the folder; strings only
    long long number;         // CONF_INT, CONF_BOOL
    const char *const *list;  // CONF_LIST
    const char *const *paths; // the same as files
    size_t nlist;
};

struct conf {
    struct arena *arena; // everything below
    const char *file;
    struct str folder;
    struct item *items; // as in conf_options
};

struct load {
    struct conf *c;
    struct json_doc doc;
    struct problems *p;
};

static size_t option_count(void)
{
    size_t n = 0;

    while (conf_options[n].name)
        n++;
    return n;
}

// ---- ${env:NAME} and ${file:PATH}

static const char *resolve(struct conf *c, const char *path)
{
    if (path[0] == '/' || path[0] == '\0' || c->folder.len == 0)
        return arena_strz(c->arena, str_of(path));
    return arena_printf(c->arena, "%.*s/%s", (int)c->folder.len, c->folder.data, path).data;
}

static int add_file(struct load *l, struct buf *out, const char *at, const char *path)
{
    char text[SECRET_FILE_MAX];
    const char *full = resolve(l->c, path);
    FILE *f = full ? fopen(full, "re") : NULL;

    if (!f) {
        problems_add(l->p, &l->doc, at, "${file:%s} cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    size_t n = fread(text, 1, sizeof(text), f);
    bool bad = ferror(f) || n == sizeof(text);
    fclose(f);
    if (bad) {
        problems_add(l->p, &l->doc, at, "${file:%s} cannot be read or is too large", path);
        return -1;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (memchr(text, '\0', n)) {
        problems_add(l->p, &l->doc, at, "${file:%s} holds a NUL byte", path);
        return -1;
    }
    buf_add(out, text, n);
    explicit_bzero(text, sizeof(text));
    return 0;
}

static int add_reference(struct load *l, struct buf *out, const char *at, struct str ref)
{
    char name[PATH_MAX];

    if (str_starts(ref, STR("env:")) &&
        str_copy(name, sizeof(name), str_n(ref.data + 4, ref.len - 4)) == 0) {
        const char *value = getenv(name);
        if (!value) {
            problems_add(l->p, &l->doc, at, "environment variable %s is not set", name);
            return -1;
        }
        buf_addz(out, value);
        return 0;
    }
    if (str_starts(ref, STR("file:")) &&
        str_copy(name, sizeof(name), str_n(ref.data + 5, ref.len - 5)) == 0)
        return add_file(l, out, at, name);
    problems_add(l->p, &l->doc, at, "only ${env:NAME} and ${file:PATH} can be expanded");
    return -1;
}

static const char *expand(struct load *l, const char *at, const char *text)
{
    struct buf out = {.limit = 4 * SECRET_FILE_MAX};
    const char *result = NULL;
    const char *from = text, *open;

    while ((open = strstr(from, "${")) != NULL) {
        const char *close = strchr(open, '}');
        if (!close) {
            problems_add(l->p, &l->doc, at, "${ without }");
            goto out;
        }
        buf_add(&out, from, (size_t)(open - from));
        if (add_reference(l, &out, at, str_n(open + 2, (size_t)(close - open - 2))) != 0)
            goto out;
        from = close + 1;
    }
    buf_addz(&out, from);
    if (!out.failed)
        result = arena_strz(l->c->arena, buf_str(&out));
    if (!result)
        problems_add(l->p, &l->doc, at, "is too long");
out:
    if (out.data)
        explicit_bzero(out.data, out.size);
    buf_free(&out);
    return result;
}

// ---- one option

static void list_words(const char *const *words, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (; *words && len < size; words++) {
        int n = snprintf(out + len, size - len, "%s%s", len ? ", " : "", *words);
        len += n > 0 ? (size_t)n : 0;
    }
}

static int check_text(struct load *l, const struct conf_option *o, const char *at, struct item *it)
{
    char words[256];

    switch (o->type) {
    case CONF_INT:
        if (str_to_int(str_of(it->text), o->min, o->max, &it->number))
            return 0;
        problems_add(l->p, &l->doc, at, "must be an integer from %lld to %lld", o->min, o->max);
        return -1;
    case CONF_BOOL:
        it->number = strcmp(it->text, "true") == 0;
        if (it->number || strcmp(it->text, "false") == 0)
            return 0;
        problems_add(l->p, &l->doc, at, "must be true or false");
        return -1;
    case CONF_ENUM:
        for (const char *const *w = o->words; *w; w++)
            if (strcmp(*w, it->text) == 0)
                return 0;
        list_words(o->words, words, sizeof(words));
        problems_add(l->p, &l->doc, at, "must be one of %s", words);
        return -1;
    case CONF_STRING: it->path = resolve(l->c, it->text); return it->path ? 0 : -1;
    default: return 0;
    }
}

static int read_list(struct load *l, const char *at, const json_t *v, struct item *it)
{
    char pointer[256];
    size_t n = json_array_size(v);

    if (!json_is_array(v)) {
        problems_add(l->p, &l->doc, at, "must be an array of strings");
        return -1;
    }
    const char **list = arena_array(l->c->arena, n + 1, sizeof(*list));
    const char **paths = arena_array(l->c->arena, n + 1, sizeof(*paths));
    if (!list || !paths)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(v, i);
        snprintf(pointer, sizeof(pointer), "%s/%zu", at, i);
        if (!json_is_string(s)) {
            problems_add(l->p, &l->doc, pointer, "must be a string");
            return -1;
        }
        list[i] = expand(l, pointer, json_string_value(s));
        paths[i] = list[i] ? resolve(l->c, list[i]) : NULL;
        if (!paths[i])
            return -1;
    }
    it->list = list;
    it->paths = paths;
    it->nlist = n;
    return 0;
}

static int read_value(struct load *l, const struct conf_option *o, const char *at, const json_t *v,
                      struct item *it)
{
    if (o->type == CONF_LIST)
        return read_list(l, at, v, it);
    if (json_is_string(v))
        it->text = expand(l, at, json_string_value(v));
    else if (json_is_integer(v) && o->type == CONF_INT)
        it->text = arena_printf(l->c->arena, "%lld", (long long)json_integer_value(v)).data;
    else if (json_is_boolean(v) && o->type == CONF_BOOL)
        it->text = json_is_true(v) ? "true" : "false";
    else
        problems_add(l->p, &l->doc, at, "must be %s",
                     o->type == CONF_INT    ? "an integer"
                     : o->type == CONF_BOOL ? "true or false"
                                            : "a string");
    return it->text ? check_text(l, o, at, it) : -1;
}

static int read_option(struct load *l, const struct conf_option *o, struct item *it)
{
    const char *dot = strchr(o->name, '.');
    char section[64], at[128];

    if (!dot || str_copy(section, sizeof(section), str_n(o->name, (size_t)(dot - o->name))) != 0)
        abort(); // the table is wrong
    snprintf(at, sizeof(at), "/%s/%s", section, dot + 1);
    const json_t *group = json_object_get(l->doc.root, section);
    const json_t *v = json_object_get(group, dot + 1);
    if (v)
        return read_value(l, o, at, v, it);
    if (!o->fallback) {
        if (!group)
            return 0;
        snprintf(at, sizeof(at), "/%s", section);
        problems_add(l->p, &l->doc, at, "needs \"%s\": %s", dot + 1, o->doc);
        return -1;
    }
    if (o->type == CONF_LIST)
        return 0;
    it->text = o->fallback;
    return check_text(l, o, "", it);
}

// ---- unknown sections and keys

static void check_keys(struct load *l)
{
    const char *sections[64] = {0}, *keys[64];
    char names[64][32];
    size_t nsections = 0;

    for (const struct conf_option *o = conf_options; o->name; o++) {
        size_t len = (size_t)(strchr(o->name, '.') - o->name);
        if (nsections > 0 && strlen(names[nsections - 1]) == len &&
            strncmp(names[nsections - 1], o->name, len) == 0)
            continue;
        if (nsections == 63 || str_copy(names[nsections], 32, str_n(o->name, len)) != 0)
            abort();
        sections[nsections] = names[nsections];
        nsections++;
    }
    json_only_keys(&l->doc, l->doc.root, "", sections, l->p);
    for (size_t s = 0; s < nsections; s++) {
        size_t n = 0, len = strlen(names[s]);
        char at[40];
        for (const struct conf_option *o = conf_options; o->name && n < 63; o++)
            if (strncmp(o->name, names[s], len) == 0 && o->name[len] == '.')
                keys[n++] = o->name + len + 1;
        keys[n] = NULL;
        snprintf(at, sizeof(at), "/%s", names[s]);
        const json_t *group = json_object_get(l->doc.root, names[s]);
        if (group && !json_is_object(group))
            problems_add(l->p, &l->doc, at, "must be an object");
        else if (group)
            json_only_keys(&l->doc, group, at, keys, l->p);
    }
}

// ---- loading

static struct conf *conf_create(const char *file)
{
    struct conf *c = calloc(1, sizeof(*c));
    const char *slash = strrchr(file, '/');

    if (!c)
        return NULL;
    c->arena = arena_create(64u << 20);
    if (!c->arena)
        goto fail;
    c->file = arena_strz(c->arena, str_of(file));
    c->items = arena_array(c->arena, option_count(), sizeof(*c->items));
    if (slash)
        c->folder = arena_str(c->arena, str_n(file, slash == file ? 1 : (size_t)(slash - file)));
    if (!c->file || !c->items || (slash && !c->folder.data))
        goto fail;
    return c;
fail:
    conf_destroy(c);
    return NULL;
}

struct conf *conf_load(const char *file, struct problems *p)
{
    struct load l = {.c = conf_create(file), .p = p};
    unsigned before = p->count;

    if (!l.c) {
        problems_addz(p, file, "out of memory");
        return NULL;
    }
    if (json_doc_load(&l.doc, file, p) != 0)
        goto fail;
    if (!json_is_object(l.doc.root)) {
        problems_add(p, &l.doc, "", "must be an object");
        goto fail;
    }
    check_keys(&l);
    for (size_t i = 0; conf_options[i].name; i++)
        if (read_option(&l, &conf_options[i], &l.c->items[i]) != 0 && p->count == before)
            problems_addz(p, file, "out of memory at %s", conf_options[i].name);
    json_doc_free(&l.doc);
    if (p->count == before)
        return l.c;
fail:
    json_doc_free(&l.doc);
    conf_destroy(l.c);
    return NULL;
}

void conf_destroy(struct conf *c)
{
    if (!c)
        return;
    arena_destroy(c->arena);
    free(c);
}

// ---- reading

static const struct item *find(const struct conf *c, const char *name, size_t *index)
{
    for (size_t i = 0; conf_options[i].name; i++) {
        if (strcmp(conf_options[i].name, name) == 0) {
            *index = i;
            return &c->items[i];
        }
    }
    abort(); // asked for an option that the table does not have
}

const char *conf_str(const struct conf *c, const char *name)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    return it->text ? it->text : "";
}

long long conf_int(const struct conf *c, const char *name)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    if (conf_options[i].type != CONF_INT)
        abort();
    return it->number;
}

bool conf_bool(const struct conf *c, const char *name)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    if (conf_options[i].type != CONF_BOOL)
        abort();
    return it->number != 0;
}

size_t conf_list(const struct conf *c, const char *name, const char *const **items)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    if (conf_options[i].type != CONF_LIST)
        abort();
    *items = it->list;
    return it->nlist;
}

size_t conf_paths(const struct conf *c, const char *name, const char *const **items)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    if (conf_options[i].type != CONF_LIST)
        abort();
    *items = it->paths;
    return it->nlist;
}

const char *conf_path(const struct conf *c, const char *name)
{
    size_t i;
    const struct item *it = find(c, name, &i);

    return it->path ? it->path : "";
}

const char *conf_file(const struct conf *c)
{
    return c->file;
}

static json_t *dump_item(const struct conf_option *o, const struct item *it)
{
    if (o->type == CONF_LIST) {
        json_t *list = json_array();
        for (size_t i = 0; i < it->nlist; i++)
            json_array_append_new(list, json_string(it->list[i]));
        return list;
    }
    if (!it->text)
        return json_null();
    if (o->type == CONF_SECRET)
        return json_string(*it->text ? "***" : "");
    if (o->type == CONF_INT)
        return json_integer(it->number);
    if (o->type == CONF_BOOL)
        return json_boolean(it->number);
    return json_string(it->text);
}

json_t *conf_dump(const struct conf *c)
{
    json_t *root = json_object();

    for (size_t i = 0; conf_options[i].name; i++) {
        const char *dot = strchr(conf_options[i].name, '.');
        size_t len = (size_t)(dot - conf_options[i].name);
        char section[64];
        if (str_copy(section, sizeof(section), str_n(conf_options[i].name, len)) != 0)
            abort();
        json_t *group = json_object_get(root, section);
        if (!group) {
            group = json_object();
            json_object_set_new(root, section, group);
        }
        json_object_set_new(group, dot + 1, dump_item(&conf_options[i], &c->items[i]));
    }
    return root;
}
