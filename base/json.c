// SPDX-License-Identifier: Apache-2.0
// JSON definitions: loading (jansson parses, this file refuses what is too deep, too large
// or ambiguous), the collected list of mistakes, typed getters, and the walk that finds the
// line of a JSON pointer in the text. Thread: one owner at a time.
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBLEMS_MAX 100

// ---- the list of mistakes

static void add_text(struct problems *p, const char *where, const char *fmt, va_list ap)
{
    char text[1024];

    p->count++;
    if (p->count > PROBLEMS_MAX)
        return;
    if (vsnprintf(text, sizeof(text), fmt, ap) >= (int)sizeof(text))
        memcpy(text + sizeof(text) - 4, "...", 4);
    buf_printf(&p->text, "%s: %s\n", where, text);
    if (p->count == PROBLEMS_MAX)
        buf_addz(&p->text, "(further mistakes are counted, not shown)\n");
}

void problems_add(struct problems *p, const struct json_doc *doc, const char *pointer,
                  const char *fmt, ...)
{
    char where[1024];
    unsigned line = json_doc_line(doc, pointer);
    va_list ap;

    snprintf(where, sizeof(where), "%s:%u: %s", doc->file, line ? line : 1,
             *pointer ? pointer : "(document)");
    va_start(ap, fmt);
    add_text(p, where, fmt, ap);
    va_end(ap);
}

void problems_addz(struct problems *p, const char *where, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_text(p, where, fmt, ap);
    va_end(ap);
}

void problems_free(struct problems *p)
{
    buf_free(&p->text);
    p->count = 0;
}

// ---- loading

// Deepest nesting of brackets outside strings; jansson itself would take 2048.
static unsigned depth_of(struct str text, unsigned *line)
{
    unsigned depth = 0, deepest = 0, at = 1;
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '\n')
            at++;
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > deepest) {
                deepest = depth;
                *line = at;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

static int parse(struct json_doc *doc, struct problems *p)
{
    struct str text = str_n(doc->text, doc->len);
    json_error_t je;
    unsigned line = 1;
    char where[512];

    snprintf(where, sizeof(where), "%s", doc->file);
    if (!str_is_utf8(text)) {
        problems_addz(p, where, "not valid UTF-8");
        return -1;
    }
    if (depth_of(text, &line) > JSON_DEPTH_MAX) {
        snprintf(where, sizeof(where), "%s:%u", doc->file, line);
        problems_addz(p, where, "nested deeper than %d levels", JSON_DEPTH_MAX);
        return -1;
    }
    doc->root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &je);
    if (!doc->root) {
        snprintf(where, sizeof(where), "%s:%d", doc->file, je.line > 0 ? je.line : 1);
        problems_addz(p, where, "%s (column %d)", je.text, je.column);
        return -1;
    }
    return 0;
}

int json_doc_parse(struct json_doc *doc, const char *name, struct str text, struct problems *p)
{
    *doc = (struct json_doc){.file = name};
    if (text.len > JSON_FILE_MAX) {
        problems_addz(p, name, "larger than %u bytes", JSON_FILE_MAX);
        return -1;
    }
    doc->text = malloc(text.len + 1);
    if (!doc->text) {
        problems_addz(p, name, "out of memory");
        return -1;
    }
    if (text.len > 0)
        memcpy(doc->text, text.data, text.len);
    doc->text[text.len] = '\0';
    doc->len = text.len;
    if (parse(doc, p) != 0) {
        json_doc_free(doc);
        return -1;
    }
    return 0;
}

int json_doc_load(struct json_doc *doc, const char *file, struct problems *p)
{
    struct buf text = {.limit = JSON_FILE_MAX + 1};
    char chunk[16384];
    size_t n;
    int rc = -1;

    *doc = (struct json_doc){.file = file};
    FILE *f = fopen(file, "re");
    if (!f) {
        problems_addz(p, file, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    while (!text.failed && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&text, chunk, n);
    if (ferror(f))
        problems_addz(p, file, "cannot be read: %s", strerror(errno));
    else if (text.failed)
        problems_addz(p, file, "larger than %u bytes, or out of memory", JSON_FILE_MAX);
    else
        rc = json_doc_parse(doc, file, buf_str(&text), p);
    fclose(f);
    buf_free(&text);
    return rc;
}

void json_doc_free(struct json_doc *doc)
{
    if (!doc)
        return;
    free(doc->text);
    json_decref(doc->root);
    doc->text = NULL;
    doc->root = NULL;
    doc->len = 0;
}

// ---- the line of a pointer: a walk over text that is known to be valid JSON

struct walk {
    struct str text;
    size_t pos;
};

static void skip_blanks(struct walk *w)
{
    while (w->pos < w->text.len && strchr(" \t\r\n", w->text.data[w->pos]))
        w->pos++;
}

static struct str take_string(struct walk *w)
{
    size_t start = w->pos++;

    while (w->pos < w->text.len && w->text.data[w->pos] != '"')
        w->pos += w->text.data[w->pos] == '\\' ? 2 : 1;
    w->pos++;
    if (w->pos > w->text.len)
        w->pos = w->text.len;
    return str_n(w->text.data + start, w->pos - start);
}

static void skip_value(struct walk *w)
{
    unsigned depth = 0;

    skip_blanks(w);
    while (w->pos < w->text.len) {
        char c = w->text.data[w->pos];
        if (c == '"') {
            (void)take_string(w);
        } else if (c == '{' || c == '[') {
            depth++;
            w->pos++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return;
            depth--;
            w->pos++;
        } else if (depth == 0 && strchr(", \t\r\n:", c)) {
            return;
        } else {
            w->pos++;
            continue;
        }
        if (depth == 0)
            return;
    }
}

// Whether a quoted key spells the (unescaped) token.
static bool key_is(struct str quoted, const char *token)
{
    if (!memchr(quoted.data, '\\', quoted.len))
        return str_eqz(str_n(quoted.data + 1, quoted.len - 2), token);
    json_t *key = json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY, NULL);
    bool same = key && strcmp(json_string_value(key), token) == 0;
    json_decref(key);
    return same;
}

static bool enter_object(struct walk *w, const char *token)
{
    w->pos++;
    for (;;) {
        skip_blanks(w);
        if (w->pos >= w->text.len || w->text.data[w->pos] != '"')
            return false;
        struct str key = take_string(w);
        skip_blanks(w);
        w->pos++; // the colon
        skip_blanks(w);
        if (key_is(key, token))
            return true;
        skip_value(w);
        skip_blanks(w);
        if (w->pos >= w->text.len || w->text.data[w->pos] != ',')
            return false;
        w->pos++;
    }
}

static bool enter_array(struct walk *w, const char *token)
{
    long long index;

    if (!str_to_int(str_of(token), 0, JSON_FILE_MAX, &index))
        return false;
    w->pos++;
    for (;;) {
        skip_blanks(w);
        if (w->pos >= w->text.len || w->text.data[w->pos] == ']')
            return false;
        if (index-- == 0)
            return true;
        skip_value(w);
        skip_blanks(w);
        if (w->pos >= w->text.len || w->text.data[w->pos] != ',')
            return false;
        w->pos++;
    }
}

// The next token of a pointer, unescaped (~1 -> '/', ~0 -> '~'); false when too long.
static bool next_token(const char **pointer, char *out, size_t size)
{
    size_t n = 0;
    const char *c = *pointer + 1;

    for (; *c && *c != '/'; c++) {
        if (n + 1 >= size)
            return false;
        if (c[0] == '~' && (c[1] == '0' || c[1] == '1'))
            out[n++] = *++c == '0' ? '~' : '/';
        else
            out[n++] = *c;
    }
    out[n] = '\0';
    *pointer = c;
    return true;
}

unsigned json_doc_line(const struct json_doc *doc, const char *pointer)
{
    struct walk w = {.text = str_n(doc->text, doc->len)};
    char token[512];
    unsigned line = 1;

    if (!doc->text)
        return 0;
    skip_blanks(&w);
    while (*pointer == '/') {
        if (!next_token(&pointer, token, sizeof(token)) || w.pos >= w.text.len)
            return 0;
        char c = w.text.data[w.pos];
        if (!(c == '{' ? enter_object(&w, token) : c == '[' && enter_array(&w, token)))
            return 0;
    }
    for (size_t i = 0; i < w.pos && i < w.text.len; i++)
        line += w.text.data[i] == '\n';
    return line;
}

// ---- typed getters

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

// at + "/" + escaped key
static const char *pointer_to(char *out, size_t size, const char *at, const char *key)
{
    int n = snprintf(out, size, "%s/", at);
    size_t len = n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;

    for (; *key && len + 2 < size; key++) {
        if (*key == '~' || *key == '/') {
            out[len++] = '~';
            out[len++] = *key == '~' ? '0' : '1';
        } else {
            out[len++] = *key;
        }
    }
    out[len] = '\0';
    return out;
}

static int wrong_type(const struct json_doc *doc, const char *at, const char *key, const json_t *v,
                      const char *wanted, struct problems *p)
{
    char pointer[512];

    problems_add(p, doc, pointer_to(pointer, sizeof(pointer), at, key), "must be %s, is %s", wanted,
                 type_name(v));
    return -1;
}

static int missing(const struct json_doc *doc, const char *at, const char *key, const char *wanted,
                   struct problems *p)
{
    problems_add(p, doc, at, "needs \"%s\" (%s)", key, wanted);
    return -1;
}

int json_get_str(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                 const char *fallback, const char **out, struct problems *p)
{
    const json_t *v = json_object_get(object, key);

    if (!v && !fallback)
        return missing(doc, at, key, "a string", p);
    if (!v) {
        *out = fallback;
        return 0;
    }
    if (!json_is_string(v))
        return wrong_type(doc, at, key, v, "a string", p);
    *out = json_string_value(v);
    return 0;
}

int json_get_int(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                 long long min, long long max, const long long *fallback, long long *out,
                 struct problems *p)
{
    const json_t *v = json_object_get(object, key);
    char pointer[512];

    if (!v && !fallback)
        return missing(doc, at, key, "an integer", p);
    if (!v) {
        *out = *fallback;
        return 0;
    }
    if (!json_is_integer(v))
        return wrong_type(doc, at, key, v, "an integer", p);
    long long n = json_integer_value(v);
    if (n < min || n > max) {
        problems_add(p, doc, pointer_to(pointer, sizeof(pointer), at, key),
                     "is %lld, must be from %lld to %lld", n, min, max);
        return -1;
    }
    *out = n;
    return 0;
}

int json_get_bool(const struct json_doc *doc, const json_t *object, const char *at, const char *key,
                  bool fallback, bool *out, struct problems *p)
{
    const json_t *v = json_object_get(object, key);

    if (!v) {
        *out = fallback;
        return 0;
    }
    if (!json_is_boolean(v))
        return wrong_type(doc, at, key, v, "true or false", p);
    *out = json_is_true(v);
    return 0;
}

// ---- unknown keys

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

// Levenshtein distance; words longer than the row count as far away.
static unsigned distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t la = strlen(a), lb = strlen(b);

    if (la >= 64 || lb >= 64)
        return 64;
    for (unsigned j = 0; j <= lb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned above = row[j];
            row[j] = min3(row[j - 1] + 1, above + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}

const char *json_nearest(const char *word, const char *const *known)
{
    const char *best = NULL;
    unsigned least = (unsigned)strlen(word) / 3 + 2; // farther is no help

    for (; *known; known++) {
        unsigned d = distance(word, *known);
        if (d < least) {
            least = d;
            best = *known;
        }
    }
    return best;
}

void json_only_keys(const struct json_doc *doc, const json_t *object, const char *at,
                    const char *const *known, struct problems *p)
{
    char pointer[512];
    const char *key;
    json_t *v;

    json_object_foreach((json_t *)object, key, v)
    {
        bool found = false;
        for (const char *const *k = known; *k && !found; k++)
            found = strcmp(*k, key) == 0;
        if (found)
            continue;
        const char *near = json_nearest(key, known);
        pointer_to(pointer, sizeof(pointer), at, key);
        if (near)
            problems_add(p, doc, pointer, "is not known; did you mean \"%s\"?", near);
        else
            problems_add(p, doc, pointer, "is not known");
    }
}
